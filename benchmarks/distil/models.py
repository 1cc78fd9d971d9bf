"""Small models with a tokenizer and a chat template of their own, and gold shards to train them on beforehand."""
# pyright: reportMissingImports=false

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from problems import FORMS, Problem, problems
from tokenizers import Regex, Tokenizer, decoders, trainers
from tokenizers import models as forms
from tokenizers import pre_tokenizers as before
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

MASKED = -100
POSITIONS = 128
"""Tokens that a model reads at most; a problem with its solution has about 60."""
PIECES = r" ?[A-Za-z]+| ?\d|\s|[^\sA-Za-z\d]+"
"""What tokens are parts of: a word or a digit, with the space before it."""
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What decides a model's parameters."""

    width: int
    """Of its hidden states; heads are 16 wide, since a step of arithmetic looks at four places at a time."""
    layers: int
    """Of attention and feed-forward."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE that has a token for each digit, on questions and solutions; the same each time."""
    found = Tokenizer(forms.BPE())
    found.pre_tokenizer = before.Sequence(
        [before.Split(Regex(PIECES), "isolated"), before.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    found.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=before.ByteLevel.alphabet(), show_progress=False
    )
    some = itertools.islice(problems(0, (2, 3)), 1000)
    found.train_from_iterator((text for each in some for text in (each.question, each.solution(1))), trainer)
    whole = PreTrainedTokenizerFast(
        tokenizer_object=found, eos_token="<|end|>", pad_token="<|end|>", additional_special_tokens=special
    )
    whole.chat_template = TEMPLATE
    return whole


def untrained(folder: Path, size: Size, seed: int) -> Path:
    """Save a model whose weights are random, with the tokenizer, and return the folder."""
    words = tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=size.width,
        intermediate_size=3 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // 16,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        # What suits a width of thousands and texts of thousands of tokens would take most of the training to grow out of.
        initializer_range=size.width**-0.5,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def gold(folder: Path, *, seed: int, count: int, steps: tuple[int, ...], known: AbstractSet[str] = frozenset()) -> Path:
    """Write shards of problems with their right solutions, each in a form of words by chance, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    rows = _rows(itertools.islice(problems(seed, steps, known), count), chance)
    schema = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "train-00000-of-00001.parquet", row_group_size=1000)
    return folder


def _rows(given: Iterable[Problem], chance: random.Random) -> list[dict[str, Any]]:
    words = tokenizer()
    rows = []
    for each in given:
        prompt = words.encode(f"<|user|>{each.question}<|assistant|>", add_special_tokens=False)
        response = words.encode(f"{each.solution(chance.randrange(len(FORMS)))}<|end|>", add_special_tokens=False)
        rows.append({"input_ids": prompt + response, "labels": [MASKED] * len(prompt) + response})
    return rows
