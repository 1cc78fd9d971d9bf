"""MinHash: words, n-grams, signatures, and how they are cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.duplicates import minhash
from tasks.duplicates.minhash import RECALL, band_hashes, ngrams, shape, shingles, signatures, words_of

PINNED = [
    3809620785990979913,
    [657564656, 788176435, 1631467703, 1896327042],
    [[1694390270546478915, 11548143297459507181], [348895341031334716, 4854581406944106972]],
]
TEXTS = st.lists(st.text("ab \n\tä猫ไ", max_size=30), min_size=1, max_size=8)


def words(text: str) -> list[str]:
    """Return a text's words, by the book."""
    return "".join(f" {each} " if each in "猫ไ" else each for each in text).split()


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    """Return a text's n-grams, by the book."""
    found = words(text)
    return [tuple(found[place : place + n]) for place in range(max(1, len(found) - n + 1))]


@given(texts=TEXTS, n=st.integers(1, 4), room=st.sampled_from([7, 200_000]))
def test_shingles(texts: list[str], n: int, room: int):
    """Two n-grams have the same hash where their words are the same, however many texts are hashed at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "_BYTES", room)
        hashes, offsets = shingles(texts, n)
    expected = [gram for text in texts for gram in grams(text, n)]
    assert len(hashes) == offsets[-1] == len(expected)
    by_hash = dict(zip(hashes.tolist(), expected, strict=True))
    assert [by_hash[each] for each in hashes.tolist()] == expected
    assert len(by_hash) == len(set(expected))


@pytest.mark.parametrize("length", [7, 8, 9, 16, 17, 63, 64, 65, 200])
def test_long_words(length: int):
    """Every letter of a word counts, wherever the word stands."""
    word = "".join(chr(ord("a") + place % 26) for place in range(length))
    others = [word[:place] + "!" + word[place + 1 :] for place in range(length)] + [f"{word}!", word[:-1]]
    hashes, _ = shingles([word, f"  {word}\n", *others], 1)
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == len(others) + 1


def test_of_arrow():
    """A slice of an Arrow array, as batches are, is taken as it is."""
    hashes, offsets = shingles(pa.array(["x", "a b", "", "猫c"])[1:], 1)
    assert hashes.tolist() == shingles(["a", "b", "", "猫", "c"], 1)[0].tolist()
    assert offsets.tolist() == [0, 2, 3, 5]


def test_two_sorts():
    """The same words in a prompt and in a response are different n-grams."""
    (one,), (other,) = shingles(["a"], 5)[0], ngrams(*words_of(["a"]), 5, other=True)[0]
    assert one ^ other == np.uint64(1 << 63)


def test_it_is_pinned():
    """Hashes, minima and bands are the same on any machine: the index in a lake was made with them. A change needs a VERSION."""
    hashes, offsets = shingles(["the quick brown fox jumps over the lazy dog", "猫 is short"], 5)
    minima = signatures(hashes, offsets, 4)
    bands = band_hashes(minima, minhash.Shape(bands=2, rows=2))
    assert (minhash.VERSION, [int(hashes[0]), minima[:, 0].tolist(), [band.tolist() for band in bands]]) == (6, PINNED)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0])
def test_shape(threshold: float):
    """Whatever the threshold, nearly all pairs at it share a band, and with rows as long as that allows."""
    cut = shape(threshold, 128)
    assert cut is not None
    assert cut.bands * cut.rows <= 128
    assert cut.recall(threshold) >= RECALL


def test_too_few():
    """Too few minima for a threshold are refused."""
    assert shape(0.3, 16) is None


@pytest.mark.parametrize("similarity", [0.6, 0.8])
def test_recall(similarity: float):
    """As many pairs share a band as the formula says."""
    cut, many, size = shape(0.8, 128), 2_000, 180
    assert cut is not None
    shared = round(similarity * 2 * size / (1 + similarity))
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2**63, size=(many, size), dtype=np.uint64)
    other = np.concatenate([one[:, :shared], rng.integers(0, 2**63, size=(many, size - shared), dtype=np.uint64)], axis=1)
    offsets = np.arange(many + 1) * size
    bands = [band_hashes(signatures(each.ravel(), offsets, cut.bands * cut.rows), cut) for each in (one, other)]
    met = np.logical_or.reduce([a == b for a, b in zip(*bands, strict=True)])
    assert met.mean() == pytest.approx(cut.recall(shared / (2 * size - shared)), abs=0.03 if similarity < 0.8 else 0.003)
