"""One bill, several samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.asking.shares import divided, shares, total
from tasks.teachers.protocol import Choice, Usage


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


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Return what a response may be billed."""
    tokens_in, tokens_out = draw(st.integers(0, 1_000)), draw(st.integers(0, 1_000))
    cached = draw(st.integers(0, tokens_in))
    return Usage(
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_reasoning=draw(st.integers(0, tokens_out)),
        tokens_cached=cached,
        tokens_cache_written=draw(st.integers(0, tokens_in - cached)),
    )


@given(
    usages(), st.lists(st.builds(Choice, response=st.text(max_size=50), reasoning=st.none() | st.text()), min_size=1, max_size=9)
)
def test_each_share_may_be_billed(whole: Usage, choices: list[Choice]):
    """No share has more of a part than of the whole, so that none costs less than nothing, and they sum to the bill."""
    found = divided(whole, choices)
    assert total(found) == whole
    assert len(found) == len(choices)
    for share in found:
        assert 0 <= share.tokens_reasoning <= share.tokens_out
        assert 0 <= share.tokens_cached + share.tokens_cache_written <= share.tokens_in
        assert min(share.tokens_cached, share.tokens_cache_written) >= 0


def test_reasoning_that_is_hidden():
    """Of what nobody sees each has as much, and of what is seen as much as it is long."""
    choices = [Choice(response="4"), Choice(response="4" * 999)]
    assert [
        (share.tokens_out, share.tokens_reasoning) for share in divided(Usage(tokens_out=500, tokens_reasoning=400), choices)
    ] == [
        (200, 200),
        (300, 200),
    ]


def test_total() -> None:
    """A sum is of all that is billed."""
    usages = [Usage(tokens_in=1, tokens_out=2, tokens_reasoning=3), Usage(tokens_in=10, tokens_cached=4, tokens_cache_written=5)]
    assert total(usages) == Usage(tokens_in=11, tokens_out=2, tokens_reasoning=3, tokens_cached=4, tokens_cache_written=5)
    assert total([]) == Usage()
