"""Pairs and dozens: each may count as one of its kind or as all that is in it, and a writer doesn't say which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product

from verifiers.calculations.lexer import Token
from verifiers.calculations.line import Line

_COUNTS: Mapping[str, int] = {"pair": 2, "pairs": 2, "dozen": 12, "dozens": 12}
_NAMES: Mapping[int, str] = {2: "twosome", 12: "twelve-pack"}
"""What they are called in a reading that says what they count as."""
_MOST = 4
"""Numbers of pairs or dozens in a line, beyond which it is read as it stands."""


def readings(line: Line) -> Iterator[Line]:
    """Yield a line once for each way to count its pairs and dozens: 4 pairs and 2 dozen are 4 and 2, 8 and 2, 4 and 24, 8 and 24.

    Where a number is of each of them, $6 per dozen, it is that, or the part of it that one comes to. Where the result is in
    pairs, all pairs count alike: 1 pair + 1 pair = 3 pairs is false.
    """
    counted = {i: found for i in range(len(line.tokens)) if (found := _counted(line.tokens, i)) is not None}
    if not 0 < len(counted) <= _MOST:
        yield line
        return
    named, alike = list(line.tokens), set[str]()
    for i, (at, _) in counted.items():
        named[i] = replace(named[i], text=_NAMES[_COUNTS[named[i].text.lower()]])
        alike |= {named[i].text} if at and line.tokens[at - 1].kind in {"=", "~"} else set()
    for ways in product((False, True), repeat=len(counted)):
        taken = {(named[i].text, whole) for i, whole in zip(counted, ways, strict=True)}
        if any((name, not whole) in taken for name, whole in taken if name in alike):
            continue
        made = list(named)
        for (at, factor), whole in zip(counted.values(), ways, strict=True):
            made[at] = replace(made[at], value=made[at].value * (factor if whole else 1))
        yield replace(line, tokens=made)


def _counted(line: Sequence[Token], i: int) -> tuple[int, Fraction] | None:
    """Return the index of the number that belongs to pairs or dozens, and by what it may be multiplied; None: it has none."""
    count = _COUNTS.get(line[i].text.lower())
    if count is None or not i:
        return None
    each = line[i - 1].kind == "/" or line[i - 1].text.lower() == "per"
    at = i - 1
    while each and at > 0 and (line[at].kind == "word" or at == i - 1):
        at -= 1
    if line[at].kind != "number" or (at and line[at - 1].kind in {"/", "^"}):
        return None
    return at, Fraction(1, count) if each else Fraction(count)
