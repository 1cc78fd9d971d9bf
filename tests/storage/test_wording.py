"""Wording: numbers of things, as messages say them."""

from __future__ import annotations

import pytest

from storage.wording import counted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((1, "row"), "1 row"),
        ((0, "row"), "0 rows"),
        ((1234, "row"), "1,234 rows"),
        ((1, "row", "has", "have"), "1 row has"),
        ((2, "other", "was", "were"), "2 others were"),
    ],
)
def test_counted(given: tuple[int, str], said: str):
    """One is singular, with the verb that fits; none is plural, as in English."""
    assert counted(*given) == said
