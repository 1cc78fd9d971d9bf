"""MinHash of word n-grams: signatures of many texts at once, and how they are cut into bands.

Everything is arithmetic on whole numbers in numpy: the same texts give the same signatures on any machine and with any version of
the libraries. VERSION must change with whatever changes them.

Broder, "On the resemblance and containment of documents", 1997: of a random order of all n-grams, two sets have the same first
one with a probability that is their Jaccard similarity. Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", 3.4: of
`bands` groups of `rows` such firsts, two sets with similarity s have at least one group in common with probability
1 - (1 - s^rows)^bands.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.splitmix import mixed

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

VERSION = 6
"""Of the signatures, hashes and words below, of the texts that they are of, and of what the index has of them."""
RECALL = 0.998
"""Part of the pairs of exactly the threshold's similarity that share a band; of closer ones, more do."""
_BYTES = 400_000
"""Of texts that are hashed at a time: few enough for the processor's cache."""
_MINIMA = 16
"""That are found at a time: threads that hash wait for each other before and after each step of numpy's, so steps are few."""
_LONG = 64
"""Bytes of a word; a longer one is hashed by itself."""
_LEAD, _LEAD_OF_FOUR = 0xE0, 0xF0
"""Least first byte of a character of three bytes or more, and of four."""
_BASE = 0x9E3779B97F4A7C15
_ONE = np.uint64(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a signature is cut."""

    bands: int
    """Groups; two texts with a group in common are compared."""
    rows: int
    """Minima in a group."""

    def recall(self, similarity: float) -> float:
        """Return the part of the pairs of a similarity that share a band: 1 - (1 - s^rows)^bands."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands


def shape(threshold: float, num_perm: int) -> Shape | None:
    """Return the longest bands by which RECALL is reached at the threshold; None where `num_perm` minima don't do for any.

    Long bands are rarely shared by texts that are far from the threshold. For given rows, 1 - (1 - t^rows)^bands >= RECALL holds
    from bands = ln(1 - RECALL) / ln(1 - t^rows) on.
    """
    best = None
    for rows in range(1, num_perm + 1):
        shared = threshold**rows
        bands = 1 if shared >= RECALL else math.ceil(math.log(1.0 - RECALL) / math.log1p(-shared))
        if bands * rows > num_perm:
            break
        best = Shape(bands=bands, rows=rows)
    return best


def shingles(texts: Sequence[str] | pa.Array, n: int) -> tuple[Hashes, Offsets]:
    """Return the hashes of each text's n-grams of words, one text behind the other, and where each text's begin and end."""
    return ngrams(*words_of(texts), n)


def ngrams(words: Hashes, counts: Offsets, n: int, *, other: bool = False) -> tuple[Hashes, Offsets]:
    """Return the hashes of n-grams of words, of which each text has so many, and where each text's begin and end.

    A text of fewer than `n` words has one n-gram, of all of them. Hashes have 63 bits; the 64th is `other`, which tells two sorts
    of text apart.
    """
    first = np.concatenate([[0], np.cumsum(counts)])[:-1]
    grams = np.zeros(max(len(words) - n + 1, 0), np.uint64)
    factors = _factors(n)
    for place in range(n):
        grams += words[place : place + len(grams)] * factors[place]
    sizes = np.maximum(counts - n + 1, 1)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    places = np.repeat(first - offsets[:-1], sizes) + np.arange(offsets[-1])
    short = counts < n
    found = np.zeros(len(places), np.uint64)
    whole = np.repeat(~short, sizes)
    found[whole] = grams[places[whole]]
    for number in np.flatnonzero(short).tolist():
        count, begin = int(counts[number]), int(first[number])
        found[offsets[number]] = (words[begin : begin + count] * factors[:count]).sum(dtype=np.uint64) + np.uint64(count + 1)
    return (mixed(found) >> _ONE) | np.uint64(int(other) << 63), offsets


def signatures(hashes: Hashes, offsets: Offsets, count: int) -> npt.NDArray[np.uint32]:
    """Return `count` minima of each text's n-grams, a row for each minimum and a column for each text.

    Each order of the n-grams is that of a·h + b modulo 2^32.
    """
    small = hashes.astype(np.uint32)
    scratch = np.empty((_MINIMA, len(small)), np.uint32)
    found = np.empty((count, len(offsets) - 1), np.uint32)
    factors, summands = _orders(count)
    for first in range(0, count, _MINIMA):
        some = slice(first, first + _MINIMA)
        ordered = scratch[: len(factors[some])]
        np.multiply(small, factors[some, None], out=ordered)
        np.add(ordered, summands[some, None], out=ordered)
        np.minimum.reduceat(ordered, offsets[:-1], axis=1, out=found[some])
    return found


def band_hashes(minima: npt.NDArray[np.uint32], cut: Shape) -> list[Hashes]:
    """Return for each band the texts' hashes of their minima in it."""
    banded = minima[: cut.bands * cut.rows].reshape(cut.bands, cut.rows, -1)
    hashed = np.repeat(np.arange(1, cut.bands + 1, dtype=np.uint64)[:, None], minima.shape[1], axis=1)
    for row in range(cut.rows):
        hashed = mixed(hashed * np.uint64(_BASE) + banded[:, row])
    return list(hashed)


@functools.cache
def _factors(n: int) -> Hashes:
    return mixed(np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_BASE)) | _ONE


@functools.cache
def _orders(count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    drawn = mixed(np.arange(1_000, 1_000 + count, dtype=np.uint64) * np.uint64(_BASE))
    return (drawn >> np.uint64(32)).astype(np.uint32) | np.uint32(1), drawn.astype(np.uint32)


def words_of(texts: Sequence[str] | pa.Array) -> tuple[Hashes, Offsets]:
    """Return the hashes of all words, and how many each text has.

    A text is split at white space; a character of a script that is written without spaces is a word by itself.
    """
    given = pa.array(texts, pa.large_string()) if isinstance(texts, Sequence) else texts.cast(pa.large_string())
    _, offsets, content = given.buffers()
    bounds = np.frombuffer(offsets or b"", np.int64)[given.offset : given.offset + len(given) + 1]
    joined = np.frombuffer(content or b"", np.uint8)
    found: list[Hashes] = []
    counts = np.zeros(len(given), np.int64)
    first = 0
    while first < len(given):
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + _BYTES, "right")) - 1)
        hashed, counts[first:last] = _hashed(joined[bounds[first] : bounds[last]], bounds[first : last + 1] - bounds[first])
        found.append(hashed)
        first = last
    return (np.concatenate(found) if found else np.zeros(0, np.uint64)), counts


def _hashed(joined: npt.NDArray[np.uint8], bounds: Offsets) -> tuple[Hashes, Offsets]:
    """Return the hashes of the words of a few texts, and how many each has. Texts are UTF-8, one behind the other.

    Eight bytes are taken at a time, the last of them filled up with zeros, which no word has in it.
    """
    if not len(joined):
        return np.zeros(0, np.uint64), np.zeros(len(bounds) - 1, np.int64)
    word = joined > ord(" ")
    begins, ends = word.copy(), word.copy()
    begins[1:] &= ~word[:-1]
    ends[:-1] &= ~word[1:]
    edges = bounds[(bounds > 0) & (bounds < len(joined))]
    begins[edges] = word[edges]
    ends[edges - 1] = word[edges - 1]
    if joined.max() >= _LEAD:
        first, behind = _alone(joined)
        begins[first] = True
        ends[behind - 1] = True
        behind = behind[behind < len(joined)]
        begins[behind] = word[behind]
        before = first[first > 0] - 1
        ends[before] = word[before]
    starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    lengths = stops - starts
    padded = np.concatenate([joined, np.zeros(8, np.uint8)])
    eight = np.ndarray((len(joined),), "<u8", padded.data, strides=(1,))
    hashed = mixed((eight[starts] & _masks()[np.minimum(lengths, 8)]) + np.uint64(_BASE))
    for done in range(8, _LONG, 8):
        more = np.flatnonzero(lengths > done)
        if not len(more):
            break
        part = eight[starts[more] + done] & _masks()[np.minimum(lengths[more] - done, 8)]
        hashed[more] = mixed(hashed[more] * np.uint64(_BASE) + part)
    for number in np.flatnonzero(lengths > _LONG).tolist():
        whole = joined[starts[number] : stops[number]].tobytes()
        hashed[number] = int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "little")
    return hashed, np.diff(np.searchsorted(starts, bounds))


@functools.cache
def _masks() -> Hashes:
    """Return what is kept of eight bytes of which so many, from 0 to 8, belong to a word."""
    return np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


_SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3040, 0x31FF),  # kana, Bopomofo
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Where the scripts are that are written without spaces."""


def _alone(joined: npt.NDArray[np.uint8]) -> tuple[Offsets, Offsets]:
    """Return where the characters of those scripts begin, and where each ends."""
    first = np.flatnonzero(joined >= _LEAD)
    first = first[first <= len(joined) - 3]
    four = joined[first] >= _LEAD_OF_FOUR
    points = (joined[first] & np.where(four, 0x07, 0x0F).astype(np.uint8)).astype(np.int64)
    for place in (1, 2):
        points = points << 6 | joined[first + place] & 0x3F
    last = np.minimum(first + 3, len(joined) - 1)
    points = np.where(four, points << 6 | joined[last] & 0x3F, points)
    found = np.zeros(len(first), np.bool_)
    for low, high in _SPACELESS:
        found |= (points >= low) & (points <= high)
    return first[found], (first + np.where(four, 4, 3))[found]
