"""pass@k, against every choice of k samples."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tasks.evaluation.passing import pass_at


@pytest.mark.parametrize("n", range(1, 9))
def test_brute_force(n: int):
    """It is the share of all choices of k samples that have one which passed."""
    for k in range(1, n + 1):
        found = pass_at(k, n, np.arange(n + 1))
        for c in range(n + 1):
            choices = list(combinations([True] * c + [False] * (n - c), k))
            assert found[c] == pytest.approx(sum(map(any, choices)) / len(choices), abs=1e-12)


def test_it_is_unbiased():
    """Its mean over all outcomes of n independent samples is the chance that one of k passes, whatever n is."""
    p, k = 0.3, 3
    for n in (3, 5, 12):
        chances = np.array([_binomial(n, c, p) for c in range(n + 1)])
        assert chances @ pass_at(k, n, np.arange(n + 1)) == pytest.approx(1 - (1 - p) ** k)


def test_large():
    """Thousands of samples are no trouble for it."""
    found = pass_at(100, 10_000, np.array([0, 1, 9_900, 9_901, 10_000]))
    assert found == pytest.approx([0.0, 0.01, 1.0, 1.0, 1.0])
    assert found[1] == pytest.approx(100 / 10_000)


@pytest.mark.parametrize("k", [0, 5])
def test_more_than_there_are(k: int):
    """Of more samples than were drawn nothing unbiased can be said."""
    with pytest.raises(ValueError, match="can't be estimated from 4 samples"):
        pass_at(k, 4, np.array([1]))


def _binomial(n: int, c: int, p: float) -> float:
    choices = sum(1 for _ in combinations(range(n), c))
    return choices * p**c * (1 - p) ** (n - c)
