"""Units of measurement behind a number: only those that two readers know by the same spellings."""

from __future__ import annotations

import re
from fractions import Fraction

_UNIT_NAMES = {
    "cm": "centimetre|centimeter|cm",
    "mm": "millimetre|millimeter|mm",
    "km": "kilometre|kilometer|km",
    "m": "metre|meter|m",
    "in": "inch|inches|in",
    "ft": "foot|feet|ft",
    "yd": "yard|yd",
    "mi": "mile|mi",
    "kg": "kilogram|kg",
    "g": "gram|g",
    "mg": "milligram|mg",
    "lb": "pound|lb|lbs",
    "oz": "ounce|oz",
    "s": "second|sec|s",
    "min": "minute|min",
    "h": "hour|hr|hrs|h",
    "day": "day",
    "week": "week",
    "month": "month",
    "year": "year|yr",
    "L": "litre|liter|L",
    "mL": "millilitre|milliliter|mL|ml",
    "gal": "gallon|gal",
    "mph": "mph",
    "N": "newton|N",
    "J": "joule|J",
    "W": "watt|W",
    "V": "volt|V",
    "°": "degree|deg",
    "rad": "radian|rad",
    "%": "percent|pct",
    "$": "dollar|usd|USD",
    "¢": "cent",
    "€": "euro|EUR",
    "£": "GBP",
    "unit": "unit",
}
UNITS = {
    spelled: unit
    for unit, names in _UNIT_NAMES.items()
    for name in names.split("|")
    for spelled in (name, name + "s" if len(name) > 3 else name)  # noqa: PLR2004 - "cms" is no word
}
"""Each unit's one name, by each of its spellings."""

_TAIL = re.compile(r"(?:[a-zA-Z]+|\s?(?:%|percent|per cent|pct))$")
_UNIT = re.compile(
    r"(?:[ \t]{0,3}|-)(?:(?P<shape>square|sq\.?|cubic|cu\.?)[ \t])?"
    r"(?P<base>[a-zA-Z]{1,12}|[%°])(?P<power>↑{0,2})(?:(?:\s?/\s?|\sper\s)(?P<below>[a-zA-Z]{1,12}↑{0,2}))?(?![\w'↑])"
)
_PREPOSITION = re.compile(r"[ \t]in\s\w")
_NONE = frozenset(["unit"])


def unit_behind(text: str, end: int, written: str) -> str:
    """Return the unit of a number that ends at `end` of a tidy text and is `written` so; empty where none is known."""
    tail = _TAIL.search(written)
    behind = (tail[0] if tail else "") + text[end : end + 40]
    match = None if _PREPOSITION.match(behind) else _UNIT.match(behind)
    base = _known(match["base"]) if match else ""
    if match is None or not base:
        return ""
    below = _known(match["below"].rstrip("↑")) if match["below"] else ""
    shape = {"s": "↑", "c": "↑↑"}[match["shape"][0]] if match["shape"] else ""
    return base + (shape or match["power"]) + ("/" + below if below else "")


def _known(word: str) -> str:
    same = {"mph": "mi", "%": "%", "per cent": "%", "°": "°"}
    one = [word[:-1]] if word.endswith("s") and len(word) > 2 else []  # noqa: PLR2004 - ms is no m
    forms = [word, *one, *([word.lower()] if len(word) > 1 else [])]
    unit = next((known for each in forms if (known := same.get(each) or UNITS.get(each))), "")
    return "" if unit in _NONE else unit


def conflict(one: str, other: str) -> bool:
    """Whether both units are given and differ. What they are per may be left out: $5 for $5 an hour."""
    (one, _, one_below), (other, _, other_below) = one.partition("/"), other.partition("/")
    return bool(one and other and one != other) or bool(one_below and other_below and one_below != other_below)


_AMOUNTS: dict[str, tuple[str, Fraction]] = {
    **{unit: ("", Fraction(part)) for unit, part in {"": "1", "$": "1", "%": "0.01", "¢": "0.01"}.items()},
    **{unit: ("m", Fraction(metres)) for unit, metres in {"mm": "0.001", "cm": "0.01", "m": "1", "km": "1000"}.items()},
    **{unit: ("in", Fraction(inches)) for unit, inches in {"in": 1, "ft": 12, "yd": 36, "mi": 63_360}.items()},
    **{unit: ("g", Fraction(grams)) for unit, grams in {"mg": "0.001", "g": "1", "kg": "1000"}.items()},
    **{unit: ("oz", Fraction(ounces)) for unit, ounces in {"oz": 1, "lb": 16}.items()},
    **{
        unit: ("s", Fraction(seconds)) for unit, seconds in {"s": 1, "min": 60, "h": 3600, "day": 86_400, "week": 604_800}.items()
    },
    **{unit: ("L", Fraction(litres)) for unit, litres in {"L": "1", "mL": "0.001"}.items()},
}
"""Units of one kind, and how many of the first each is."""


def same_amount(one: tuple[Fraction, str], other: tuple[Fraction, str], step: Fraction) -> bool:
    """Whether two values with their units are the same amount, the second perhaps rounded or cut off to `step`."""
    if one[0] == other[0] and not conflict(one[1], other[1]):
        return True
    (kind, size), (other_kind, other_size) = (_AMOUNTS.get(unit, (unit, Fraction(1))) for unit in (one[1], other[1]))
    apart = abs(one[0] * size - other[0] * other_size)
    return kind == other_kind and (apart == 0 or apart < step * other_size)


_LETTERS = "m|s|h|g|L|N|J|W|V"
_COMPOUND = "(?:km|cm|mm|mi|m|kg|g|mg|L|mL|N|J)/(?:s|h|min|m|cm|kg|L|mL)"
_SPELLED = re.compile(
    rf"(?P<value>.*[\d}}])(?P<gap>\s?)(?P<unit>(?:{_COMPOUND}|{_LETTERS})(?:\^\{{?[23]\}}?|[²³])?)\s*\.?", re.DOTALL
)


def spelled(text: str, *, glued: bool = False) -> str:
    r"""Return "5 m/s" as 5 \text{m/s}: a letter behind a number may also be a variable. `glued`: "5m" too."""
    match = _SPELLED.fullmatch(text)
    if match is None or not (match["gap"] or glued):
        return text
    unit = match["unit"].replace("{", "").replace("}", "")
    return f"{match['value']} \\text{{{unit}}}"


_MONEY = frozenset("$€£¥₹¢")
_FORMULA = re.compile(r"[^$\n]{0,200}\\[^$\n]{0,200}\$")
"""What stands behind the first of LaTeX's fences, and is no price: $5 \\text{ cm}$."""
_DIGITS = re.compile(r"\d[\d.,]*")


def currency(text: str, number: str = "") -> str:
    """Return the sign of money beside the last such number of a text, or beside its only one. Two dollars are LaTeX's fences."""
    if not number and len(every := _DIGITS.findall(text[:100])) == 1:
        number = every[0]
    at = text.rfind(number) if number else -1
    if at < 0:
        return ""
    before, behind = text[:at].rstrip(" -")[-1:], text[at + len(number) :].lstrip()[:1]
    if before == "$" and (behind == "$" or _FORMULA.match(text, at)):
        return ""
    return next((each for each in (before, behind) if each and each in _MONEY), "")
