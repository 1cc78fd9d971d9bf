"""Which of many similar things are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.duplicates import greedy as module
from tasks.duplicates.greedy import DROPPED, KEPT, OPEN, Pairs, greedy, most_similar


def made(*pairs: tuple[int, int, float]) -> Pairs:
    """Return pairs of later, earlier and similarity."""
    later, earlier, similarity = zip(*pairs, strict=True) if pairs else ((), (), ())
    return Pairs(np.array(later, np.int64), np.array(earlier, np.int64), np.array(similarity, np.float64))


def test_a_chain():
    """What is dropped drops nothing."""
    assert greedy(made((2, 1, 0.9), (1, 0, 0.9)), 4).tolist() == [KEPT, DROPPED, KEPT, KEPT]


def test_open():
    """What depends on something open is open, unless a kept one drops it."""
    pairs = made((2, 1, 0.9), (3, 1, 0.9), (3, 0, 0.9), (4, 3, 0.9))
    incomplete = np.array([False, True, False, False, False])
    assert greedy(pairs, 5, incomplete=incomplete).tolist() == [KEPT, OPEN, OPEN, DROPPED, KEPT]


def test_most_similar():
    """Of several kept ones the most similar is named, and of equals the most preferred."""
    pairs = made((3, 0, 0.8), (3, 1, 0.9), (3, 2, 0.9), (4, 3, 1.0), (4, 0, 0.8))
    found = most_similar(pairs, greedy(pairs, 5))
    assert [column.tolist() for column in found] == [[3, 4], [1, 0], [0.9, 0.8]]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(lambda pair: pair[0] > pair[1]), max_size=60),
    chunk=st.sampled_from([1, 7, 1_000]),
)
def test_by_the_book(pairs: list[tuple[int, int]], chunk: int):
    """Each thing, in order, is dropped where a kept one before it is similar; no matter in what order pairs are given."""
    kept: set[int] = set()
    for each in range(21):
        if not any((each, other) in pairs for other in kept):
            kept.add(each)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        found = greedy(made(*((later, earlier, 1.0) for later, earlier in pairs)), 21)
    assert set(np.flatnonzero(found == KEPT).tolist()) == kept
