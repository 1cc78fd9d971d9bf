"""Which grown prompts say the same as a seed or another grown prompt, or nearly: by MinHash, each pair checked exactly.

Case, punctuation and white space make no difference (`tasks.words.normal`). Texts have numbers, in the order in which they are
preferred: seeds, what earlier rounds have kept, then what is new. The hashes of all texts lie in a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from storage.disk import writing
from tasks.duplicates.candidates import Candidates, similar
from tasks.duplicates.greedy import Numbers, Pairs, most_similar
from tasks.duplicates.jaccard import Grams
from tasks.duplicates.minhash import Hashes, band_hashes, shingles, signatures
from tasks.duplicates.options import NearOptions
from tasks.duplicates.signed import firsts
from tasks.words import normal

BATCH = 500
"""Texts that are hashed at a time."""
Texts = Callable[[], Iterator[str]]
"""Yields all texts in the order of their numbers, as often as it is called."""


class Alike(NamedTuple):
    """The texts that are dropped."""

    numbers: Numbers
    """Theirs."""
    others: Numbers
    """Of each, the text that is kept and that it is like."""
    similarity: np.ndarray
    """Of the two; NaN where they say the same."""


def alike(texts: Texts, total: int, *, settled: int, near: NearOptions, folder: Path) -> Alike:
    """Return which of `total` texts are like an earlier one; the first `settled` are kept whatever comes."""
    cut = near.shape
    path = folder / "grown.hashes"
    with contextlib.ExitStack() as stack:
        with writing(path):
            # A column for each band, and two for what a text says.
            hashed: Hashes = np.memmap(path, np.uint64, "w+", shape=(cut.bands + 2, max(total, 1)))
        stack.callback(path.unlink)
        for first, batch in _batches(texts):
            here = slice(first, first + len(batch))
            minima = signatures(*shingles(pa.array(batch, pa.large_string()), near.ngram), cut.bands * cut.rows)
            hashed[: cut.bands, here] = band_hashes(minima, cut)
            hashed[cut.bands :, here] = _said(batch)
        once = firsts([hashed[cut.bands, :total], hashed[cut.bands + 1, :total]])
        units = np.flatnonzero(once == np.arange(total))
        # Of settled texts that say the same, one is as good as another: all that follows is about those that say it first.
        found = _search(texts, units, hashed, settled=int(np.searchsorted(units, settled)), near=near, folder=folder)
    near_to, similarity = np.arange(total), np.full(total, np.nan)
    near_to[units[found.later]], similarity[units[found.later]] = units[found.earlier], found.similarity
    gone = np.flatnonzero((once != np.arange(total)) | ~np.isnan(similarity))
    gone = gone[gone >= settled]
    return Alike(gone, near_to[once[gone]], similarity[once[gone]])


def _search(texts: Texts, units: Numbers, hashed: Hashes, *, settled: int, near: NearOptions, folder: Path) -> Pairs:
    """Return for each unit that is near to an earlier one the kept one that it is nearest to."""
    bands, total = near.shape.bands, len(units)
    search = Candidates(lambda number: hashed[number][units], bands, total, settled)
    pairs = search.find()
    place = np.full(hashed.shape[1], -1, np.int64)
    place[units] = np.where(search.needed, np.arange(total), -1)
    with Grams(folder / "grown.grams", total) as grams:
        for first, batch in _batches(texts):
            places = place[first : first + len(batch)]
            wanted = np.flatnonzero(places >= 0)
            if len(wanted):
                grams.add(places[wanted], *shingles(pa.array([batch[one] for one in wanted], pa.large_string()), near.ngram))
        return most_similar(
            *search.resolve(similar(pairs, near.threshold, grams.similarities), near.threshold, grams.similarities)
        )


def _batches(texts: Texts) -> Iterator[tuple[int, list[str]]]:
    """Yield some texts at a time in their normal form, with the number of the first."""
    first, held = 0, list[str]()
    for text in texts():
        held.append(normal(text))
        if len(held) == BATCH:
            yield first, held
            first, held = first + len(held), []
    if held:
        yield first, held


def _said(texts: list[str]) -> Hashes:
    digests = b"".join(blake2b(text.encode(), digest_size=16).digest() for text in texts)
    halves: Hashes = np.frombuffer(digests, "<u8").reshape(-1, 2).T
    return halves
