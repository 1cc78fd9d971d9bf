"""A number that nothing announces but its form: alone or in bold, above what explains it, or before what only explains it."""

from __future__ import annotations

import re

from verifiers.reading import final_number, later
from verifiers.reading.final_number import WINDOW, Reading, Refusal
from verifiers.reading.last_number import last_number
from verifiers.reading.numerals import numerals
from verifiers.reading.sentences import first_sentence, taken_back, without_offer
from verifiers.reading.tidying import tidy

_QUALIFIES = re.compile(
    r"[^,;:=()\u2014]{0,40}?\b(?:for|after|from|in|at|of|per|since|because|with|on|out|within|to|over|including|during|among|between|by|compared)\s"
    r"[^,;:=()\u2014]*"
    r"|[^,;:=()\u2014]{0,40},\s(?:with\s[^,;:=()\u2014]*\b(?:left|remaining|over)\b|including\s)[^,;:=()\u2014]*"
)
_INTRODUCES = re.compile(
    r"(?:^|[.!?]\s)\W*(?:$|(?:(?:so|thus|therefore|hence|then),?\s)?(?:with|for|after|in|if|of|from|at|since|when|given|out|on|by|as|to)\b"
    r"[^.!?]*$)",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*(?=\S)[^*\n]{1,80}(?<=\S)\*\*")
_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
_EXPLAINS = re.compile(
    r"[\W_]{0,6}(?:(?:(?:double|quick|sanity)[\s-])?(?:explanation|verif(?:y|ication|ying)|check(?:ing)?|proof|breakdown|reason(?:ing)?|why|details)"
    r"(?:\s\w{1,12}){0,3}[*_]{0,3}\s?[:\n]|here(?:['\u2019]s|\sis)\s(?:how|why|the)\b|this\s(?:assumes|is\sbecause)\b)",
    re.IGNORECASE,
)
"""How a paragraph begins that explains or checks the one above."""
_WORKS_OUT = re.compile(
    r"[\W_]{0,6}(?:calculations?|solution|steps|step[\s-]by[\s-]step|working|work)(?:\s\w{1,12}){0,2}[*_]{0,3}\s?[:\n]",
    re.IGNORECASE,
)
_LISTED = re.compile(r"[ \t]*(?:[-*+\u2022]\s|\d{1,2}[.)]\s)")
_SUMS_UP = re.compile(
    r"\b(?:total|sum|result|answer|so|therefore|thus|hence|altogether|leaves?|remaining)\b|=\s?[^\s=]{0,4}$", re.IGNORECASE
)
_ALONE = re.compile(r"[\W_]{0,8}\d[\d.,/]{0,20}\s?%?(?:\s[a-z]{1,15}){0,3}[\W_]{0,6}", re.IGNORECASE)
_STRESSED = re.compile(r"[*_$\u20ac\u00a3]|\s[a-zA-Z]")
_CHECK_CHARS = 1500
"""Characters of a check in which its numbers are read."""
_HEAD_CHARS = 300
"""Characters of a paragraph that states an answer."""
_HEADS = 20
"""Paragraphs above an explanation that are looked at: more are steps."""
_DIGIT = re.compile(r"\d")


def told(body: str, last: int) -> tuple[Reading | Refusal, str] | None:
    """Return the number that the form of a text makes its answer, and where it stands."""
    if head := above(body):
        return head, "above what explains it"
    bold = in_bold(body, last)
    return (bold, "in bold, at the end") if bold else None


def in_bold(body: str, last: int) -> Reading | None:
    """Return 64 for "He pays **$64** for the 16 glasses.": what follows the only number in bold just explains it."""
    begin = body.rfind("\n", 0, last + 1) + 1
    line = body[begin : begin + WINDOW].partition("\n")[0]
    found = [match for match in _BOLD.finditer(line) if any(map(str.isdecimal, match[0]))]
    if len(found) != 1 or found[0].end() > last - begin or taken_back(body, begin + found[0].end() - len("**")):
        return None
    if not _QUALIFIES.fullmatch(line, found[0].end()) or _INTRODUCES.search(line[: found[0].start()]):
        return None
    sentence = first_sentence(tidy(line[found[0].start() :]))
    explained = final_number.in_sentence(sentence.text) if final_number.is_led(sentence.text) else None
    stated = last_number(body[: begin + found[0].end()])
    if any(map(str.isdecimal, sentence.rest)) or not (isinstance(explained, Reading) and isinstance(stated, Reading)):
        return None
    return stated if stated.value == explained.value else None


def above(body: str) -> Reading | Refusal | None:
    """Return 12 for "**12**", for "Tom is **12** years old." above what explains or checks it, unless that says otherwise."""
    if "\n" not in body:
        return None
    begin, first, heads = 0, True, 0
    for gap in _PARAGRAPHS.finditer(body):
        head, rest = body[begin : gap.start()], gap.end()
        candidate = (first or _EXPLAINS.match(body, rest) is not None) and len(head) <= _HEAD_CHARS
        if candidate and "\n" not in head.strip() and _DIGIT.search(head) and _DIGIT.search(body, rest):
            heads += 1
            if heads > _HEADS:
                return None
            alone = first and _ALONE.fullmatch(head) is not None
            if (alone and _tops(head, body, rest)) or _in_one_bold(head, body, rest, first=first):
                read = last_number(head)
                return _unless_contradicted(body, begin + len(head), rest, read) if isinstance(read, Reading) else None
        begin, first = rest, first and not head.strip()
    return None


def _tops(head: str, body: str, rest: int) -> bool:
    """Whether a number that is a paragraph of its own is an answer, and not the first step of a solution."""
    if _EXPLAINS.match(body, rest) or _WORKS_OUT.match(body, rest):
        return True
    if _STRESSED.search(head.strip(" .")) is None:
        return False
    read, below = last_number(head), last_number(body[rest:])
    listed = isinstance(read, Reading) and _is_above_parts(body, rest, read)
    same = isinstance(read, Reading) and isinstance(below, Reading) and read.value == below.value
    return listed or same or not isinstance(below, Reading)


def _in_one_bold(head: str, body: str, rest: int, *, first: bool) -> bool:
    """Whether the only number of a sentence is in bold, above a check of it or a list of its parts."""
    bold = [match for match in _BOLD.finditer(head) if _DIGIT.search(match[0])]
    if len(bold) != 1 or _DIGIT.search(head[: bold[0].start()] + head[bold[0].end() :]) or head.rstrip(" *").endswith(":"):
        return False
    if _EXPLAINS.match(body, rest):
        check = body[rest : rest + _CHECK_CHARS]
        if "=" not in check:
            return True
        read = last_number(head)
        return isinstance(read, Reading) and read.value in {numeral.value for numeral in numerals(tidy(check))}
    if not first or _LISTED.match(body, rest) is None:
        return False
    read = last_number(head)
    return isinstance(read, Reading) and _is_above_parts(body, rest, read)


def _is_above_parts(body: str, rest: int, read: Reading) -> bool:
    """Whether a list follows that ends the text, but for lines that say the number again: it has its parts, and no steps."""
    if _LISTED.match(body, rest) is None or _sums_up(body):
        return False
    lines = (line for line in without_offer(body[rest:]).splitlines() if not _LISTED.match(line))
    told = [line for line in lines if _DIGIT.search(line) and not line.startswith((" ", "\t"))]
    return len(told) <= _HEADS and all(_says(line, read) for line in told)


def _says(line: str, read: Reading) -> bool:
    found = last_number(line)
    return isinstance(found, Reading) and found.value == read.value


def _sums_up(body: str) -> bool:
    """Whether the last line says what all the others come to."""
    return _SUMS_UP.search(body.rstrip().rpartition("\n")[2]) is not None


def _unless_contradicted(body: str, end: int, rest: int, read: Reading) -> Reading | Refusal | None:
    """Leave to others what takes the number back; refuse another one that is concluded, or calculated at the end."""
    if taken_back(body, rest) or later.excluded(body, rest, read.text):
        return None
    below = body[rest:]
    if any(_ALONE.fullmatch(paragraph) for paragraph in _PARAGRAPHS.split(below)):
        return None
    other: final_number.Read = later.other_number(body, end, read)
    if other is None and below.rpartition("=")[2].strip(" *$.\n").replace(",", "").isdecimal():
        other = last_number(below)
    if isinstance(other, Reading) and other.value != read.value:
        return Refusal(f"several answers: {read.text} and {other.text}")
    return read
