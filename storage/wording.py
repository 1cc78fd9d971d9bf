"""Wording: numbers of things and others' errors, as messages say them."""

from __future__ import annotations


def counted(number: int, noun: str, one: str = "", several: str = "") -> str:
    """Return `1 row` or `1,234 rows`, with the verb that fits where `one` and `several` give it."""
    verb = one if number == 1 else several
    return f"{number:,} {noun}{'' if number == 1 else 's'}{f' {verb}' if verb else ''}"


def first_line(error: BaseException) -> str:
    """Return the first line with something in it of what an error says, or its class where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
