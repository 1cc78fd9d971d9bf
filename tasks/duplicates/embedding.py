"""Static embeddings of texts, by model2vec: a table of word vectors, so that no model runs. Needs the extra `semantic`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import SetupError
from storage.wording import first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHARS = 200_000
"""Of the texts that are embedded at once, which bounds the memory that their words' vectors take."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedder:
    """Embeds texts with one model."""

    name: str
    """As the spec names it."""
    digest: str
    """Of the model's vectors and its tokenizer: the same name may stand for another model tomorrow."""
    model: Any
    """A `StaticModel`."""

    @property
    def dim(self) -> int:
        """Return the number of dimensions."""
        return int(self.model.dim)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each text; of length 0 for one in which the model knows no word."""
        made = np.zeros((len(texts), self.dim), dtype=np.float32)
        first = chars = 0
        for place, text in enumerate(texts):
            chars += len(text)
            if chars >= CHARS or place == len(texts) - 1:
                part = list(texts[first : place + 1])
                vectors = self.model.encode(part, max_length=None, normalize=False, use_multiprocessing=False, batch_size=1_024)
                made[first : place + 1] = vectors
                first, chars = place + 1, 0
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        np.divide(made, lengths, out=made, where=lengths > 0)
        return made


def load(name: str, *, what: str) -> Embedder:
    """Return the model in a folder, or of that id on the Hub. Raise SetupError where it can't be had; `what` is for messages."""
    try:
        return _load(name)
    except SetupError as error:
        raise SetupError(f"{what}: {error}") from error


@functools.lru_cache(maxsize=2)
def _load(name: str) -> Embedder:
    try:
        from model2vec import StaticModel
    except ImportError as error:
        raise SetupError(f"{name!r} needs the package model2vec: pip install 'stillhouse[semantic]'") from error
    folder = Path(name).expanduser()
    if not folder.is_dir() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise SetupError(f"{name}: no such folder, and no id of a model on the Hub either (ORG/NAME)")
    try:
        model: Any = StaticModel.from_pretrained(folder if folder.is_dir() else name, force_download=False)
    except Exception as error:  # its own errors, and those of the Hub's client, the tokenizer's and the file's
        raise SetupError(f"{name}: can't be loaded as a model2vec model: {first_line(error)}") from error
    if not np.isfinite(model.embedding).all():
        raise SetupError(f"{name}: has vectors that are no numbers; take another model")
    digest = hashlib.sha256()
    for more in (model.embedding, model.weights, model.token_mapping):
        digest.update(b"" if more is None else np.ascontiguousarray(more).tobytes())
    digest.update(model.tokenizer.to_str().encode())
    return Embedder(name=name, digest=digest.hexdigest()[:16], model=model)
