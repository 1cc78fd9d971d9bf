"""One bill, several samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.asking.shares import shares, total
from tasks.teachers.protocol import Usage


@given(st.integers(0, 2**31), st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_sum_is_exact(whole: int, weights: list[int]):
    """Shares are whole, not negative, and sum to the bill."""
    parts = shares(whole, weights)
    assert sum(parts) == whole
    assert min(parts) >= 0
    assert len(parts) == len(weights)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 1_000), min_size=2, max_size=20))
def test_in_proportion(whole: int, weights: list[int]):
    """A share is what its weight says, but for rounding."""
    exact = [whole * weight / sum(weights) for weight in weights]
    assert all(abs(share - wanted) <= 1 for share, wanted in zip(shares(whole, weights), exact, strict=True))


def test_total() -> None:
    """A sum is of all that is billed."""
    usages = [Usage(tokens_in=1, tokens_out=2, tokens_reasoning=3), Usage(tokens_in=10, tokens_cached=4, tokens_cache_written=5)]
    assert total(usages) == Usage(tokens_in=11, tokens_out=2, tokens_reasoning=3, tokens_cached=4, tokens_cache_written=5)
    assert total([]) == Usage()
