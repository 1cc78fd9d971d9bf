"""Numbers as people write them, read exactly.

Read: 72, -5, 1,234.50, 1'234, .5, 3/4, 1 1/2, 1.2e3, 1.2 x 10^3, 50%, 5 million, 5k, 12th, 5km, twelve, forty-two, one half, 5万.
Not read, since two people would differ or nobody could: 1.234,50 and 1,2 (a comma that groups no thousands), 48/24 (a calculation
that wasn't carried out), 2x, more than 300 digits. Such a token still counts as a number that stands there: its value is
None. A percent sign is a unit, and doesn't change the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

MAX_DIGITS = 300
"""Of a number. Python refuses to read more than 4,300, and no final answer has that many."""
MAX_EXPONENT = 300
"""Of ten, in scientific notation: 1e999999999 would fill the memory."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number that stands in a text."""

    start: int
    """Where it begins."""
    end: int
    """Where it ends, its percent sign or scale included."""
    text: str
    """As written."""
    value: Fraction | None
    """None: it can't be read."""
    part: bool = False
    """A share of something: a fraction or a percentage."""
    signed: bool = False
    """A sign is written."""


_SMALL: Sequence[str] = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = {
    word: 10 * (i + 2) for i, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
_SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "lakh": 10**5,
    "crore": 10**7,
}
_SHARES = {
    "half": 2,
    "halves": 2,
    "quarter": 4,
    "quarters": 4,
    **{
        f"{word}{s}": n
        for n, word in enumerate(["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 3)
        for s in ("", "s")
    },
}
_UNITS_OF_ONE_LETTER = "mgshlLCFVWNJA"
_SHORT_SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "bn": 10**9, "mn": 10**6}
"""Behind a number: 5k, 1.5M, 5 bn. A small m is metres, and what a letter apart from it means isn't clear."""
_LETTERS_APART = frozenset("kKMB")
_IDEOGRAPHS = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Of Chinese, Japanese and Korean, which put no space between a word and a number."""
_COUNTED = {"百": 100, "千": 1000, "천": 1000, **dict.fromkeys("万萬만", 10**4), **dict.fromkeys("亿億억", 10**8)}
_VAGUE = re.compile(r".{0,2}(?:分之|분의|[半成折割余餘多数數几幾强弱]|では[なあ]|じゃな|[가이은는]?아[니닙])")
"""Behind a number: a part of it, about as many, or that it isn't it."""

_BLOB = r"(?:[0-9]++(?:[.,'\u2019][0-9]++)*+|\.[0-9]++)"
_SCALE = "|".join(_SCALES)
_SHARE = "|".join(sorted(_SHARES, key=len, reverse=True))
_DIGITS = re.compile(
    rf"""(?<![^\W{_IDEOGRAPHS}])(?<![^\W{_IDEOGRAPHS}][.,])(?P<sign>(?<![)%°↑])[-+])?
    (?P<a>{_BLOB})(?:[eE](?P<exp>[-+]?[0-9]++))?
    (?:[ ]?/[ ]?(?P<b>{_BLOB})(?P<more>[ ]?/[ ]?[0-9])?)?
    (?P<tail>[^\W0-9_]++)?(?P<broken>\w++|[ ](?:halves|thirds|fifths|sixths|sevenths|eighths|ninths|tenths)\b)?
    (?P<scale>[ ](?:{_SCALE})\b)?(?P<abbreviated>[ ](?:[kKMB]|bn|mn)\b(?!&))?
    (?P<percent>\s?(?:%|percent\b|per\ cent\b|pct\b))?""",
    re.VERBOSE,
)
_WORD = "|".join(sorted([*_SMALL, *_TENS], key=len, reverse=True))
_WORDS = re.compile(
    rf"""(?<![\w.])(?=[zotfsenhamZOTFSENHAM])(?:(?P<sign>minus|negative)[ ])?
    (?:(?P<words>(?:an?[ ](?:{_SCALE})|{_WORD})\b(?:(?:[ ]and)?[ -](?:{_WORD}|{_SCALE})\b)*)|an?(?=[ -](?:half|quarter)\b))
    (?:[ -](?P<share>{_SHARE}))?(?!\w)
    (?P<percent>\s?(?:%|percent\b))?""",
    re.VERBOSE | re.IGNORECASE,
)
_ALONE = re.compile(
    rf"[\s\"'(]*(?:(?:about|exactly|only|just|approximately)\s)?(?P<part>(?:an?\s)?(?P<share>(?<!a\s)half|(?<=a\s)(?!half|quarter)(?:{_SHARE})))"
    r"(?=\s*(?:$|[.!)]|of\s(?:the|it|them|all|his|her|their|its)\b))",
    re.IGNORECASE,
)
"""A text that begins with a part, and has no number before: "half of them", "a third"."""
_CHINESE_DIGITS = "零一二三四五六七八九"
_CHINESE = re.compile(
    r"\s*(?P<number>[一二三四五六七八九]?十[一二三四五六七八九]?|[零一二三四五六七八九])[个個]?\s*[\u3002.!\uff01]?\s*$"
)
"""A text that is a number up to 99 in Chinese, alone."""
_PRONOUN = re.compile(
    r"\b(?:the|no|any|this|that|each|every|which|only|another|last|first|correct|right|wrong)\s$", re.IGNORECASE
)
_EACH = re.compile(r"(?:[\d$]|\b(?:dollars?|cents?|euros?|per|for|each))\s$", re.IGNORECASE)
_A_DOZEN = re.compile(r"(?<!and a )\b(?:(?P<half>half (?:a )?)|(?<!half )an? )dozen\b", re.IGNORECASE)
_OF_DOZENS = re.compile(r"[ -]dozens?\b", re.IGNORECASE)
_OUT_OF = re.compile(r"\sout\sof\s(?:(?:the|a\stotal\sof|all)\s)?", re.IGNORECASE)
_ENDS = re.compile(r"\s*(?:$|[.!)\n])")
MAX_CHANCE = 1000
"""Of which "5 in 1000" is a chance; "5 in 2024" is of a year."""
_STRUCK = re.compile("[\u0300-\u036f]")


def numerals(text: str) -> list[Numeral]:
    """Return every number of a plain text (see `verifiers.reading.markup`), in order."""
    found = [*_in_digits(text), *_in_words(text)]
    found.sort(key=lambda numeral: numeral.start)
    joined = list(_joined(text, found))
    return [_in_dozens(text, numeral) for numeral in joined] if "ozen" in text else joined


def _in_dozens(text: str, numeral: Numeral) -> Numeral:
    dozens = _OF_DOZENS.match(text, numeral.end)
    if dozens is None:
        return numeral
    value = None if numeral.value is None else numeral.value * 12
    return replace(numeral, end=dozens.end(), text=numeral.text + dozens[0], value=value)


def _in_digits(text: str) -> Iterator[Numeral]:
    for match in _DIGITS.finditer(text):
        part = match["b"] is not None or match["percent"] is not None
        value = (
            None
            if match["more"]
            or match["broken"]
            or (match["abbreviated"] or "").strip() in _LETTERS_APART
            or _STRUCK.match(text, match.end())
            else _value(match)
        )
        if match["sign"] == "-" and value is not None:
            value = -value
        yield Numeral(match.start(), match.end(), match[0], value, part, match["sign"] is not None)


def _value(match: re.Match[str]) -> Fraction | None:
    tail = match["tail"] or ""
    if short := _SHORT_SCALES.get(tail or (match["abbreviated"] or "").strip()):
        amount = _decimal(match["a"])
        return None if amount is None or match["exp"] or match["b"] or match["scale"] else amount * short
    return _spelled(match, tail)


def _spelled(match: re.Match[str], tail: str) -> Fraction | None:  # noqa: PLR0911 - one for each thing that can't be read
    counted = _COUNTED.get(tail[:1], 1)
    if not tail.isascii() and _VAGUE.match(tail):
        return None
    if (len(tail) == 1 and tail.isalpha() and ord(tail) < 0x2E80 and tail not in _UNITS_OF_ONE_LETTER) or tail == "ish":  # noqa: PLR2004
        return None
    value = _decimal(match["a"])
    if value is None:
        return None
    value = value if counted == 1 else value * counted
    if match["exp"]:
        exponent = match["exp"]
        if len(exponent) > len(str(MAX_EXPONENT)) + 1 or abs(int(exponent)) > MAX_EXPONENT:
            return None
        value *= Fraction(10) ** int(exponent)
    if match["b"]:
        below = _decimal(match["b"])
        if not below:
            return None
        value /= below
        if value.denominator == 1:  # 48/24: the division wasn't carried out
            return None
    if match["scale"]:
        value *= _SCALES[match["scale"].strip()]
    return value


def _decimal(blob: str) -> Fraction | None:
    if blob.isdecimal():
        return Fraction(int(blob)) if len(blob) <= MAX_DIGITS else None
    if len(blob) > MAX_DIGITS:
        return None
    if "'" in blob or "\u2019" in blob:  # as the Swiss write 1'234
        if "," in blob:
            return None
        blob = blob.replace("'", ",").replace("\u2019", ",")
    whole, point, decimals = blob.partition(".")
    if not decimals.isdecimal() and point:
        return None
    groups = whole.split(",")
    if len(groups) > 1 and not (
        1 <= len(groups[0]) <= 3 and groups[0][0] != "0" and all(len(group) == 3 for group in groups[1:])  # noqa: PLR2004 - thousands
    ):
        return None
    return Fraction(int("".join(groups) + decimals or "0"), 10 ** len(decimals))


def _in_words(text: str) -> Iterator[Numeral]:
    if chinese := _CHINESE.match(text):
        tens, ten, ones = chinese["number"].rpartition("十")
        whole = 10 * _CHINESE_DIGITS.index(tens or "一") if ten else 0
        yield Numeral(*chinese.span("number"), chinese["number"], Fraction(whole + _CHINESE_DIGITS.index(ones or "零")))
    for match in _A_DOZEN.finditer(text):
        if not _EACH.search(text, max(0, match.start() - 20), match.start()):  # $3 a dozen
            yield Numeral(match.start(), match.end(), match[0], Fraction(6 if match["half"] else 12))
    if alone := _ALONE.match(text):
        part_of = Fraction(1, _SHARES[alone["share"].lower()])
        yield Numeral(alone.start("part"), alone.end(), alone["part"], part_of, part=True)
    for match in _WORDS.finditer(text):
        words = (match["words"] or "one").lower()
        if (
            words == "one"
            and not match["share"]
            and (
                _PRONOUN.search(text[max(0, match.start() - 10) : match.start()])
                or text.startswith((" of ", " can", " that "), match.end())
            )
        ):
            continue
        value = cardinal(words.replace("-", " ").split())
        share = match["share"]
        if share and value is not None:
            value = _share(value, share.lower())
        if text.startswith("-fold", match.end()):
            value = None
        if match["sign"] and value is not None:
            value = -value
        part = share is not None or match["percent"] is not None
        yield Numeral(match.start(), match.end(), match[0], value, part, match["sign"] is not None)


def _share(count: Fraction, share: str) -> Fraction | None:
    # "two thirds" is 2/3, "one third" is 1/3; "twenty third" is a place in a row.
    plural = share.endswith(("s", "ves"))
    if plural == (count == 1):
        return None
    return count / _SHARES[share]


def cardinal(words: list[str]) -> Fraction | None:
    """Return what number words mean, or None where they aren't one number ("two three")."""
    total = group = 0
    last_scale = 10**15
    for word in words:
        if word in {"and", "a", "an"}:
            continue
        if word in _TENS or word in _SMALL:
            value = _TENS.get(word) or _SMALL.index(word)
            room = 100 if value >= 10 else 10  # noqa: PLR2004 - the tens' place
            if group % room or (value == 0 and len(words) > 1) or (0 < group % 100 < 20):  # noqa: PLR2004
                return None
            group += value
        elif word == "hundred":
            if group >= 100:  # noqa: PLR2004
                return None
            group = max(group, 1) * 100
        else:
            scale = _SCALES[word]
            if scale >= last_scale:
                return None
            total, group, last_scale = total + max(group, 1) * scale, 0, scale
    return Fraction(total + group)


def _joined(text: str, found: list[Numeral]) -> Iterator[Numeral]:
    """Join what is one number to a person: "1 1/2", "2 and a half", "5 out of 6"."""
    i = 0
    while i < len(found):
        numeral = found[i]
        after = found[i + 1] if i + 1 < len(found) else None
        whole = numeral.value is not None and numeral.value.denominator == 1 and not numeral.part
        if whole and after and after.part and not after.signed and after.value and 0 < after.value < 1 and "%" not in after.text:
            gap = text[numeral.end : after.start]
            if gap in {" ", " and ", "-and-"} and "percent" not in after.text.lower():
                yield _sum(numeral, after.value, text[numeral.start : after.end], after.end)
                i += 2
                continue
        if whole and after and (joined := _out_of(text, numeral, after)):
            yield joined
            i += 2
            continue
        yield numeral
        i += 1


def _out_of(text: str, one: Numeral, other: Numeral) -> Numeral | None:
    """Return what "5 out of 6" and, at a sentence's end, "5 of 6" and "5 in 6" are: a part, 5/6."""
    gap = text[one.end : other.start]
    if one.value is None or not other.value or other.value.denominator != 1 or other.part or not 0 <= one.value <= other.value:
        return None
    if not _OUT_OF.fullmatch(gap) and not (
        gap in {" in ", " of "} and _ENDS.match(text, other.end) and other.value <= MAX_CHANCE
    ):
        return None
    return Numeral(one.start, other.end, text[one.start : other.end], one.value / other.value, part=True, signed=one.signed)


def _sum(numeral: Numeral, share: Fraction, written: str, end: int) -> Numeral:
    value = numeral.value or Fraction(0)
    negative = value < 0 or written.startswith("-")
    return Numeral(numeral.start, end, written, value - share if negative else value + share, signed=numeral.signed)
