"""How long it is from one time of a clock to another: 5:00 PM - 2:30 PM = 2.5 hours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from verifiers.calculations.arithmetic import Expression
from verifiers.calculations.lexer import Token
from verifiers.calculations.sameness import same

_TIME = r"(?P<hour{0}>[01]?\d|2[0-4])(?::(?P<minute{0}>[0-5]\d))?(?:\s?(?P<half{0}>[ap])\.?m\b\.?)?"
_SPAN = re.compile(
    rf"(?<![\d:.,/$-]){_TIME.format(1)}\s?(?:-|\u2013|to)\s?{_TIME.format(2)}\s?(?P<sign>[=\u2248])\s?"
    r"(?P<long>\d+(?:\.\d+)?)\s?(?P<unit>hours?|hrs?|minutes?|mins?)\b(?!,?\s(?:and\s)?\d+\s?(?:m|s))",
    re.IGNORECASE,
)
_NOON = 12
_HOUR = 60
"""Minutes."""
_HALF_A_DAY = _NOON * _HOUR


@dataclass(frozen=True, slots=True)
class Span:
    """A time from one to another, as it is stated."""

    text: str
    truth: Fraction | None
    """What it really is, in its unit; None: it is that."""
    left: Expression
    right: Expression


def spans(text: str) -> Iterator[Span]:
    """Yield those that a line states. Where half a day can't be told from the other, either will do."""
    if "=" not in text and "\u2248" not in text:
        return
    for match in _SPAN.finditer(text):
        if not all(match[f"minute{i}"] or match[f"half{i}"] for i in (1, 2)):
            continue
        begin, end = (_minutes(match, i) for i in (1, 2))
        around = 2 * _HALF_A_DAY if match["half1"] and match["half2"] else _HALF_A_DAY
        waits = ((end - begin) % around, (begin - end) % around)
        apart = [Fraction(wait + more, _HOUR if match["unit"][0] in "hH" else 1) for more in (0, around) for wait in waits]
        long = match["long"]
        shown = Token("number", long, *match.span("long"), Fraction(long), len(long.partition(".")[2]))
        right = Expression((shown,), 0, 1, 1, 0)
        holds = any(same(each, shown.value, right, about=match["sign"] != "=") for each in apart)
        times = tuple(Token("odd", match[name], *match.span(name)) for name in ("hour1", "hour2"))
        yield Span(match[0], None if holds else min(apart), Expression(times, 0, 2, 2, 1), right)


def _minutes(match: re.Match[str], i: int) -> int:
    """Return the minutes since midnight, or since the last midnight or noon."""
    hour = int(match[f"hour{i}"])
    if match[f"half{i}"]:
        hour = hour % _NOON + (_NOON if match[f"half{i}"] in "pP" else 0)
    return hour * _HOUR + int(match[f"minute{i}"] or 0)
