"""From ids and log-probabilities to the record."""

from __future__ import annotations

import math

import pytest

from tasks.positions import by_id


def test_mass_outside():
    """The token counts once, whether or not it is among the alternatives."""
    half, quarter, tenth = math.log(0.5), math.log(0.25), math.log(0.1)
    found = by_id([7, 3], [half, tenth], [[(7, half), (5, quarter)], [(9, half), (8, quarter)]])
    assert found.rest == pytest.approx((0.25, 0.15))
    assert found.counts == (2, 2)
    assert found.top_ids == (7, 5, 9, 8)
    assert (found.tokens, found.top_tokens) == (None, None)


def test_rounding():
    """A sum that rounding makes more than 1 leaves nothing outside, and never less."""
    assert by_id([1], [1e-9], [[(1, 1e-9)]]).rest == (0.0,)


def test_bytes():
    """Tokens' bytes stand beside their ids, where somebody knows them."""
    found = by_id([65], [-1.0], [[(66, -0.5)]], lambda token: bytes([token]))
    assert (found.tokens, found.top_tokens) == ((b"A",), (b"B",))
