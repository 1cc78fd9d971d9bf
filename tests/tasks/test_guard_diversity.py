"""The guard against traces that are too much alike."""

from __future__ import annotations

from typing import Any

import pytest

from storage.errors import GuardRefused
from tasks.guard_diversity import MinDiversity, guard_diversity


def measured(**values: float) -> dict[str, Any]:
    """Return measures as a build's manifest has them."""
    return values | {"kernel": "k", "chars": 1, "sizes": {"32": values}}


GOOD = measured(distinct_2=0.4, compression_ratio=3.0)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"distinct_2": 0.5}, "distinct_2 is 0.4, and guard.min_diversity wants at least 0.5"),
        ({"compression_ratio": 2.5}, "compression_ratio is 3, and guard.min_diversity wants at most 2.5"),
    ],
    ids=["at least", "at most"],
)
def test_bounds(bounds: dict[str, float], said: str):
    """A measure beyond its bound is refused, by one line with the figure and the bound, and exit 3."""
    with pytest.raises(GuardRefused, match=said) as caught:
        guard_diversity(MinDiversity(**bounds), GOOD, None)
    assert "what was paid for stays" in str(caught.value)
    assert caught.value.exit_code == 3


def test_within():
    """What keeps its bounds passes, and so does a measure that there is none of."""
    assert guard_diversity(MinDiversity(distinct_2=0.4, compression_ratio=3.0, vendi=5), GOOD, None) == []
    assert guard_diversity(None, GOOD, None) == []


def test_a_fall_is_a_warning():
    """A loss against the build before is a warning beyond a fifth, or what the spec says; a gain is nothing."""
    lost = measured(distinct_2=0.3, compression_ratio=3.0)
    (warning,) = guard_diversity(None, lost, GOOD)
    assert "distinct_2 went from 0.4 to 0.3, which is 25% less" in warning
    assert guard_diversity(MinDiversity(warn=0.3), lost, GOOD) == []
    assert guard_diversity(None, GOOD, lost) == []


def test_too_few_to_compare():
    """Where the spec bounds the fall and too few traces are there to tell, a warning says so."""
    few = {"kernel": "k", "chars": 1, "sizes": {}, "sample": 5}
    (warning,) = guard_diversity(MinDiversity(fall=0.2), few, GOOD | {"sample": 200})
    assert "takes 32 traces of each; there were 200, and are 5" in warning
    assert guard_diversity(None, few, GOOD | {"sample": 200}) == []


def test_a_fall_is_refused():
    """Where the spec gives the largest fall, a larger one is refused; a smaller one may still be a warning."""
    lost = measured(distinct_2=0.3, compression_ratio=3.0)
    with pytest.raises(GuardRefused, match="fall allows 20%"):
        guard_diversity(MinDiversity(fall=0.2), lost, GOOD)
    assert len(guard_diversity(MinDiversity(fall=0.3), lost, GOOD)) == 1
