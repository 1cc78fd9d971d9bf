"""Exact Jaccard similarity of many pairs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tasks.duplicates.jaccard import Grams
from tasks.duplicates.minhash import ngrams, shingles, words_of


def test_by_the_book(tmp_path: Path):
    """It is what sets of tuples give, over the bounds of what is compared at a time, and whatever repeats."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices("abcd", k=rng.randint(0, 30))) for _ in range(100)]
    sets = [{tuple(text.split()[place : place + 2]) for place in range(max(1, len(text.split()) - 1))} for text in texts]
    first, second = np.array([rng.randrange(100) for _ in range(700)]), np.array([rng.randrange(100) for _ in range(700)])
    with Grams(tmp_path / "grams", 100) as grams:
        for begin in (0, 50, 0):  # what is added again stays as it is
            hashes, offsets = shingles(texts[begin : begin + 50], 2)
            grams.add(np.arange(begin, begin + 50), hashes, offsets)
        found = grams.similarities(first, second)
    expected = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert found.tolist() == expected
    assert not (tmp_path / "grams").exists()


def test_of_two_sorts(tmp_path: Path):
    """Where a text has two parts, the lower of their similarities counts."""
    one, other = shingles(["a", "a"], 1)[0], ngrams(*words_of(["b", "c"]), 1, other=True)[0]
    with Grams(tmp_path / "grams", 2) as grams:
        grams.add(np.arange(2), np.stack([one, other], axis=1).ravel(), np.array([0, 2, 4]))
        assert grams.similarities(np.array([1, 1]), np.array([0, 1])).tolist() == [0.0, 1.0]


def test_missing(tmp_path: Path):
    """A text that was never added is a defect."""
    with Grams(tmp_path / "grams", 2) as grams, pytest.raises(AssertionError):
        grams.similarities(np.array([1]), np.array([0]))
