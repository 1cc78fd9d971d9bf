"""How unlike one another texts are: measures of a sample, and their fall against an earlier build.

Most of these measures depend on how many texts there are. So each is taken of nested samples of fixed sizes, and two builds are
compared at the largest size that both have. A text counts by its first CHARS characters.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.duplicates.embedding import Embedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE = 2_048
"""Texts that are measured at most."""
VENDI = 512
"""Texts of which the Vendi score and the similarity without a model are taken at most: their time grows with the cube."""
SIZES = (32, 128, 512, SAMPLE)
"""Of the nested samples. On fewer texts, chance alone would look like a fall."""
CHARS = 4_000
"""Of a text."""
NGRAMS = (1, 2, 3)
"""Words."""
LEVEL = 6
"""Of zlib's compression."""
BUCKETS = 4_096
"""Dimensions into which n-grams are hashed where there are no embeddings."""
OPENING = 3
"""Words of an opening phrase."""
WORDS_KERNEL = "tf-idf of words and pairs of words"
LESS_IS_MORE = ("compression_ratio", "self_similarity")
"""Measures of which a larger value means less diversity."""
BETWEEN = ("distinct_1", "distinct_2", "distinct_3", "length_entropy", "opening_entropy", "vendi", *LESS_IS_MORE)
"""What two builds are compared by."""
KERNELLED = ("vendi", "self_similarity")
"""Measures that depend on what similarity is taken by."""
_WORD = re.compile(r"\w+")
_MIX = np.uint64(0x9E3779B97F4A7C15)


def diversity(texts: Sequence[str], lengths: Sequence[int], embedder: Embedder | None = None) -> dict[str, Any]:
    """Return the measures of texts that stand in a random order, for each of SIZES that they fill and for all of them.

    distinct_n: distinct n-grams of words by all of them, 0 … 1 (Li et al. 2016). compression_ratio: bytes by compressed bytes
    (Shaib et al. 2024). length_entropy: bits, of `lengths` in bins of a quarter of a doubling. opening_entropy: bits, of the
    first three words. self_similarity: mean cosine of two texts. vendi: how many wholly different texts would be as diverse
    (Friedman and Dieng 2023). unknown: texts in which the model knows no word, so that they are like no other.
    """
    texts = [text[:CHARS] for text in texts[:SAMPLE]]
    words = _words(texts)
    vectors = embedder.embed(texts) if embedder else None
    kernel = f"embeddings of {embedder.name} ({embedder.digest})" if embedder else WORDS_KERNEL

    @functools.cache
    def likeness(size: int) -> tuple[float | None, float | None]:
        small = hashed(words[:size]) if vectors is None else vectors[:size]
        return similarity(small), vendi(small)

    def measured(size: int) -> dict[str, float | None]:
        alike, effective = likeness(min(size, VENDI))
        if vectors is not None:
            alike = similarity(vectors[:size])
        found = _measures(texts[:size], lengths[:size], words[:size]) | {"self_similarity": alike, "vendi": effective}
        return {name: None if value is None else round(value, 6) for name, value in found.items()}

    sizes = {size: measured(size) for size in SIZES if size <= len(texts)}
    whole = sizes.get(len(texts)) or measured(len(texts))
    return {
        "sample": len(texts),
        "chars": CHARS,
        "kernel": kernel,
        "unknown": int((~vectors.any(axis=1)).sum()) if vectors is not None else 0,
        **whole,
        "openings": _openings(texts),
        "sizes": {str(size): each for size, each in sizes.items()},
    }


def _measures(texts: Sequence[str], lengths: Sequence[int], words: Sequence[NDArray[np.uint64]]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for n in NGRAMS:
        grams = _joined([ngrams(each, n) for each in words])
        found[f"distinct_{n}"] = _distinct(grams) / len(grams) if len(grams) else None
    raw = "\n".join(texts).encode("utf-8", "surrogatepass")
    found["compression_ratio"] = len(raw) / len(zlib.compress(raw, LEVEL)) if raw else None
    found["length_entropy"] = entropy(Counter(np.floor(4 * np.log2(np.asarray(lengths) + 1)).tolist()))
    found["opening_entropy"] = entropy(Counter(map(opening, texts)))
    return found


def opening(text: str) -> str:
    """Return a text's first words, in small letters."""
    return " ".join(_WORD.findall(text[:200].lower())[:OPENING])


def _openings(texts: Sequence[str]) -> list[dict[str, Any]]:
    counted = Counter(map(opening, texts))
    most = sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:5]
    return [{"opening": words, "share": round(number / len(texts), 6)} for words, number in most if number > 1]


def entropy(counted: Counter[Any]) -> float | None:
    """Return Shannon's entropy in bits; None of nothing."""
    if not counted:
        return None
    shares = np.array(sorted(counted.values()), dtype=np.float64) / counted.total()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _words(texts: Sequence[str]) -> list[NDArray[np.uint64]]:
    """Return the hashes of each text's words. Python's own hash differs from run to run."""
    known: dict[str, int] = {}
    made = []
    for text in texts:
        found = _WORD.findall(text.lower())
        for word in found:
            if word not in known:
                known[word] = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        made.append(np.fromiter(map(known.__getitem__, found), dtype=np.uint64, count=len(found)))
    return made


def ngrams(words: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Return the hashes of a text's n-grams of words; none of a text that is shorter."""
    if len(words) < n:
        return words[:0]
    grams = words[: len(words) - n + 1].copy()
    for shift in range(1, n):
        grams = (grams ^ (grams >> np.uint64(31))) * _MIX + words[shift : len(words) - n + 1 + shift]
    return grams


def _distinct(grams: NDArray[np.uint64]) -> int:
    grams.sort()  # many times as fast as numpy's unique, and in place
    return int((grams[1:] != grams[:-1]).sum()) + 1


def _joined(parts: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def hashed(words: Sequence[NDArray[np.uint64]]) -> NDArray[np.float32]:
    """Return vectors of length 1: tf-idf of each text's words and pairs of words, hashed with signs (Weinberger et al. 2009)."""
    own = [np.unique(np.concatenate([ngrams(each, 1), ngrams(each, 2)]), return_counts=True) for each in words]
    every, documents = np.unique(_joined([grams for grams, _ in own]), return_counts=True)
    weights = np.log((1 + len(words)) / (1 + documents)) + 1
    made = np.zeros((len(words), BUCKETS), dtype=np.float32)
    for row, (grams, counts) in zip(made, own, strict=True):
        value = (1 + np.log(counts)) * weights[np.searchsorted(every, grams)]
        mixed = (grams ^ (grams >> np.uint64(29))) * _MIX
        signs = np.where(mixed >> np.uint64(63), 1.0, -1.0)
        np.add.at(row, (mixed >> np.uint64(20)) % np.uint64(BUCKETS), (value * signs).astype(np.float32))
    # Summed in float32, the last digits would depend on the processor and on how many threads it is given.
    lengths = np.sqrt(np.einsum("ij,ij->i", made, made, dtype=np.float64))[:, np.newaxis]
    np.divide(made, lengths, out=made, where=lengths > 0)
    return made


def similarity(vectors: NDArray[np.float32]) -> float | None:
    """Return the mean cosine of two different ones of these vectors, whose length is 1; None where there is one alone."""
    if len(vectors) < 2:  # noqa: PLR2004 - a pair
        return None
    exact = vectors.astype(np.float64)
    both = float(np.square(exact.sum(axis=0)).sum()) - float(np.vdot(exact, exact))
    return both / (len(vectors) * (len(vectors) - 1))


def vendi(vectors: NDArray[np.float32]) -> float | None:
    """Return the Vendi score of vectors by their cosines: the exponential of the entropy of their kernel's eigenvalues."""
    if not len(vectors):
        return None
    exact = vectors.astype(np.float64)  # or another processor would round another way
    kernel = exact @ exact.T
    np.fill_diagonal(kernel, 1.0)  # a text is like itself, though no word of it be known
    values = np.linalg.eigvalsh(kernel / len(vectors))
    values = values[values > 1e-12]  # noqa: PLR2004 - what is below is the rounding's
    return float(np.exp(-(values * np.log(values)).sum()))


def comparable(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the sample sizes that two builds' measures have in common; none where they were taken otherwise."""
    if before.get("chars") != after.get("chars"):
        return []
    return [size for size in before.get("sizes", {}) if size in after.get("sizes", {})]


def falls(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return before, after and fall of each measure that fell, at the largest sample size that both have.

    A fall is the share of the diversity that is lost: of the value, or where less is more of its inverse (compression_ratio) or
    of what it lacks to 1 (self_similarity).
    """
    common = comparable(before, after)
    if not common:
        return {}
    size = max(common, key=int)
    was, now = before["sizes"][size], after["sizes"][size]
    found = {}
    for name in BETWEEN:
        old, new = was.get(name), now.get(name)
        if old is None or new is None or (name in KERNELLED and before.get("kernel") != after.get("kernel")):
            continue
        lost = _fall(name, old, new)
        if lost > 0:
            found[name] = {"before": old, "after": new, "fall": round(lost, 6), "sample": int(size)}
    return found


def _fall(name: str, old: float, new: float) -> float:
    if name == "self_similarity":
        old, new = 1 - old, 1 - new
    elif name == "compression_ratio":
        old, new = 1 / old, 1 / new
    return (old - new) / old if old > 0 else 0.0
