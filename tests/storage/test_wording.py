"""Wording: numbers of things and others' errors, as messages say them."""

from __future__ import annotations

import pytest

from storage.wording import counted, first_line


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ValueError("no such key"), "no such key"),
        (ValueError("\n \n  not a table  \nat 3"), "not a table"),
        (ValueError(), "ValueError"),
        (OSError("\n\t\n"), "OSError"),
        (KeyError("a"), "'a'"),
    ],
)
def test_first_line(given: BaseException, said: str):
    """Blank lines are passed over, and whatever says nothing is called by its class: a reason is never empty."""
    assert first_line(given) == said
