"""A real static model, small enough to be made in a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace


def make_model(words: Sequence[str], vectors: np.ndarray) -> StaticModel:
    """Return a model that knows these words; any other has no direction."""
    vocabulary = {word: place for place, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    none = np.zeros((1, vectors.shape[1]), dtype=np.float32)
    return StaticModel(np.concatenate([none, vectors.astype(np.float32)]), tokenizer)


def save_model(folder: Path, words: Sequence[str], vectors: np.ndarray) -> str:
    """Make a model in a folder and return the folder's path."""
    make_model(words, vectors).save_pretrained(folder)
    return str(folder)
