"""JSON values, compared by what they say: the order of keys doesn't matter, and a number is its value."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from verifiers.reading.answers import Answer, Found, NoAnswer
from verifiers.reading.extraction import Block, blocks
from verifiers.reading.sentences import dismissed, guessed, taken_back
from verifiers.reading.signs import tags
from verifiers.reading.strict_json import NoJson, no_constant, once
from verifiers.reading.thinking import after_thinking

MAX_CHARS = 200_000
"""Of a response in which a value is looked for."""
MAX_TRIES = 200
"""Of places at which a value may begin."""
_BEGIN = re.compile(r"[{\[]")
_GLUE = re.compile(
    r"\s{0,9}(?:,|;|[,;.]?\s{0,2}(?:or|and)(?:,?\s(?:alternatively|also|maybe|perhaps|else))?|[,;.]?\s{0,2}alternatively)"
    r"[,:]?\s{0,9}",
    re.IGNORECASE,
)
_OR_BLOCK = re.compile(
    r"[\s*_#-]{0,9}(?:or|alternatively|another\s(?:option|possibility|solution|valid\s\w{1,12})|(?:option|alternative|variant|version)\s(?:2|b|two)|either)\b"
    r"[^\n]{0,60}\s{0,9}",
    re.IGNORECASE,
)
"""Between two blocks: neither is the answer."""
_NOT_THIS = re.compile(r"[^.\n]{0,40}\b(?:not|rather than|instead of)\s{1,3}[`*]{0,3}")
"""Between two values: the second one isn't the answer."""
_NOT = re.compile(
    r"(?:(?:\b(?:not|never|neither|nor|cannot)|n['\u2019]t)(?:\s(?:be|equal(?:\sto)?))?|(?:^\W{0,4}|\b(?:an?|the)\s)(?:wrong|incorrect)(?:\s(?:answer|one|output|result))?(?:\sis|\swould\sbe)?)"
    r":?\s{0,3}[`*]{0,3}$",
    re.IGNORECASE,
)
"""Right before a value: it isn't the answer."""
_NAIVE = re.compile(
    r"\b(?:na[iï]ve|tempting|superficial|simplistic|hasty|lazy|invalid|mistaken|flawed)\s(?:\w{1,12}\s)?"
    r"(?:answer|guess|attempt|approach|output|result|solution|reading|version|response)\b[^.\n]{0,40}$",
    re.IGNORECASE,
)
"""Before a value that somebody else would give."""
_ASKS = re.compile(r"[`*]{0,3}\s?[?\uff1f]")
_BLOCKS = 20
"""From the end, of which one may be chosen: no honest response has more."""
_NEAR = 120
"""Characters before a value that may deny it."""
_BRACKET = re.compile(r"[{}\[\]]")
_CITED = re.compile(
    r"(?:[\w.)]|\b(?:in|within|from|between|references?|refs?|sources?|see|section|note|range|interval|footnote|cf\.?)\s|∈\s?)$",
    re.IGNORECASE,
)
"""Before a list beside an object: a footnote's number, or an interval."""
_OF_INPUT = re.compile(
    r"(?:^\W*(?:\w+\s)?inputs?\W*|\b(?:previously|formerly|originally|previous(?:\s\w+)?(?:\swas)?)\W*)$", re.IGNORECASE
)
"""Before a value that isn't the answer, but what came before it."""
_ANNOUNCES = re.compile(
    r":\W*$|\b(?:is|are|be|as|get|have|use|want|obtain|gives?|yields?|returns?|becomes?|produces?|now|so|thus|hence|therefore|into"
    r"|(?:answer|result|output|solution|response|json|object)s?)\b[^.\n]{0,40}$",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"\b(?:actually|should|correct(?:ed|ion)?|instead|final(?:ly)?|rather|revised|fixed|updated|oops|wait|sorry|answer)\b[^.\n]{0,80}$",
    re.IGNORECASE,
)
"""Before a value behind the one that is given: it replaces that."""
_RIGHT_ONE = re.compile(
    r"\b(?:right|correct(?:ed)?|fixed|revised)\s(?:one|answer|json|object|array|list|value|version|output|result|response)(?:\s(?:is|would\sbe))?:?\s{0,2}[`*]{0,3}$",
    re.IGNORECASE,
)
"""The same, and it says so in plain words: that value is the answer."""
_SUPPOSES = re.compile(
    r"(?:^|[.!?\n])\W{0,8}if\b[^.!?\n]{0,80}\b(?:were|had|wasn['\u2019]t|weren['\u2019]t)\b[^.!?\n]{0,80}$", re.IGNORECASE
)
"""Before a value of another case: "If it were missing, the output should be …"."""
_IS_OTHERWISE = re.compile(
    r"\W{0,20}(?:actually|wait|correction|sorry|oops|hmm|no)\b[^.\n]{0,80}\b(?:should|must|ought\sto|needs\sto|has\sto)\s(?:have\s)?be(?:en)?\b",
    re.IGNORECASE,
)
"""Right behind a value: a part of it is wrong."""


def parse(text: str) -> Any:
    """Read one JSON value. Raise NoJson for NaN, a key that stands twice, and what is too large or too deep."""
    try:
        return _DECODER.decode(text.strip())
    except NoJson:
        raise
    except json.JSONDecodeError as error:
        raise NoJson(f"it is no JSON: {error.msg} at character {error.pos + 1}") from None
    except (RecursionError, ValueError) as error:
        raise NoJson(_why(error)) from None


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it has too long a number"


def _number(written: str) -> Decimal:
    try:
        return Decimal(written)  # exact, and never worked out: 1e999999999 costs nothing
    except InvalidOperation:
        raise NoJson("it has too large a number") from None


_DECODER = json.JSONDecoder(object_pairs_hook=once, parse_constant=no_constant, parse_float=_number)


def equal(one: Any, other: Any) -> bool:
    """Whether two values say the same. Raise NoJson where they are nested too deeply."""
    try:
        return _equal(one, other)
    except RecursionError:
        raise NoJson("it is nested too deeply") from None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    numbers = (int, Decimal)
    if isinstance(one, bool) or isinstance(other, bool) or not (isinstance(one, numbers) and isinstance(other, numbers)):
        return type(one) is type(other) and bool(one == other)
    return bool(one == other)


def find(text: str) -> Found:
    """Return the JSON text that a response gives: its <answer>, a ``` block, all of it, or the last object or array."""
    body = after_thinking(text, boxed=False)
    if body is None:
        return NoAnswer(why="the chain of thought never ends")
    if len(body) > MAX_CHARS:
        return NoAnswer(why="it is too long for a JSON value")
    found, end = _given(body)
    if not isinstance(found, Answer):
        return found
    while isinstance(other := _otherwise(body, found, end), tuple):
        found, end = other
    if (back := taken_back(body, end - 1)) and back.final:
        return NoAnswer(why=f"taken back: '{back.word}'")
    return NoAnswer(why="taken back: something should be otherwise") if other else found


def _otherwise(body: str, found: Answer, end: int) -> bool | tuple[Answer, int]:
    """Whether a text says behind a value that another one is right, or that a part of it is another; or the right one."""
    at = end
    for _ in range(MAX_TRIES):
        if (begin := _BEGIN.search(body, at)) is None:
            return _IS_OTHERWISE.match(body, end) is not None
        before, at = at, _end(body, begin.start())
        if _NOT_THIS.fullmatch(body, before, begin.start()):
            continue
        lead = _lead(body, begin.start(), before)
        if _SUPPOSES.search(lead):
            continue
        right = _RIGHT_ONE.search(lead)
        if (right or _CORRECTS.search(lead)) and not _NAIVE.search(lead) and _differs(found.text, body[begin.start() : at]):
            taken = right and not _unsure(body, begin.start(), at)
            return (Answer(text=body[begin.start() : at], how="in place of another one"), at) if taken else True
    return True


def _end(body: str, begin: int) -> int:
    """Return where the value, or what is none, that a bracket begins ends."""
    try:
        return _DECODER.raw_decode(body, begin)[1]
    except (NoJson, RecursionError, ValueError):
        return _closing(body, begin)


def _differs(one: str, other: str) -> bool:
    """Whether two texts are values of one kind, and not the same; what can't be read says nothing."""
    try:
        first, second = parse(one), parse(other)
        return type(first) is type(second) and not equal(first, second)
    except NoJson:
        return False


def _given(body: str) -> tuple[Found, int]:
    """Return the JSON text that a response gives, and where it ends."""
    if tagged := tags(body):
        inside = body[tagged[-1].end : tagged[-1].close]
        fenced = _chosen(blocks(inside) or [], inside)
        text = fenced.text if fenced else inside
        return Answer(text=text, how="in <answer>"), (tagged[-1].close or 0) + len("</answer>")
    closed = blocks(body) or []
    if (block := _chosen(closed, body)) is not None:
        before = next((each for each in reversed(closed) if each.end < block.begin), None)
        if before and _OR_BLOCK.fullmatch(body, before.end, block.begin) and _differs(before.text, block.text):
            return NoAnswer(why="several values"), block.end
        return Answer(text=block.text, how=f"in the last {block.mark} block"), block.end
    stripped = body.strip()
    if not _BEGIN.search(stripped):
        whole = Answer(text=stripped, how="the whole response", at_end=True) if stripped else NoAnswer(why="no answer found")
        return whole, len(body)
    return _last(body)


def _chosen(closed: list[Block], body: str) -> Block | None:
    """Return the last block that is marked json, or has JSON and no mark; else the last without a mark, or of all."""

    def fits(each: Block) -> bool:
        if each.info:
            return each.info.lower().startswith("json")
        return _is_json(each.text) and not _OF_INPUT.search(_line_above(body, each.begin))

    if not closed:
        return None
    fitting = next(filter(fits, reversed(closed[-_BLOCKS:])), None)
    return fitting or next((each for each in reversed(closed) if not each.info), closed[-1])


def _is_json(text: str) -> bool:
    try:
        return isinstance(parse(text), dict | list)
    except NoJson:
        return False


def _line_above(body: str, begin: int) -> str:
    return body[max(0, begin - _NEAR) : begin].rstrip().rpartition("\n")[2]


def _last(body: str) -> tuple[Found, int]:
    found: Found = NoAnswer(why="no JSON value found")
    at = ended = 0
    for _ in range(MAX_TRIES):
        begin = _BEGIN.search(body, at)
        if begin is None:
            return found, ended
        try:
            _, at = _DECODER.raw_decode(body, begin.start())
        except NoJson:
            at = _closing(body, begin.start())
            found = Answer(text=body[begin.start() : at], how="the last value")
        except (RecursionError, ValueError):
            # What stands within something broken is no value of its own.
            at = _closing(body, begin.start())
            found = NoAnswer(why="its last value is no JSON")
        else:
            glued = isinstance(found, Answer) and _GLUE.fullmatch(body, ended, begin.start())
            if glued:  # "[1] or [2]" gives no answer
                return NoAnswer(why="several values"), at
            if isinstance(found, Answer) and _NOT_THIS.fullmatch(body, ended, begin.start()):
                continue
            lead = _lead(body, begin.start(), ended)
            cited = begin[0] == "[" and (body[ended : begin.start()] in {"", " "} or _CITED.search(lead))
            if isinstance(found, Answer) and (_OF_INPUT.search(lead) or _NAIVE.search(lead) or (found.text[0] == "{" and cited)):
                continue
            above = body[max(ended, begin.start() - _NEAR) : begin.start()].rstrip().rpartition("\n")[2]
            told = _ANNOUNCES.search(lead.strip() or above)
            if isinstance(found, Answer) and begin[0] == "{" and not told and _differs(found.text, body[begin.start() : at]):
                return NoAnswer(why="several values, and none is announced"), at
            unsure = _unsure(body, begin.start(), at)
            found = NoAnswer(why=unsure) if unsure else Answer(text=body[begin.start() : at], how="the last value")
        ended = at
    return NoAnswer(why="too many brackets"), at


def _unsure(body: str, begin: int, end: int) -> str:
    """Return why a value that is part of a sentence isn't the answer; empty where it is."""
    lead = _lead(body, begin)
    if _OF_INPUT.search(lead):
        return "its last value is of the input"
    if _ASKS.match(body, end):
        return "its last value is asked for"
    if guessed(lead) or _NAIVE.search(lead):
        return "its last value is only guessed"
    return "only what it isn't" if _NOT.search(lead) or dismissed(lead, body[end : end + _NEAR]) else ""


def _lead(body: str, begin: int, behind: int = 0) -> str:
    """Return what stands before a value in its sentence, and behind the value before."""
    before = body[max(behind, begin - _NEAR) : begin]
    return before[max(map(before.rfind, ("\n", ". ", "! ", "? "))) + 1 :]


def _closing(body: str, begin: int) -> int:
    """Return where a bracket is closed, or the end."""
    depth = 0
    for match in _BRACKET.finditer(body, begin):
        depth += 1 if match[0] in "{[" else -1
        if depth == 0:
            return match.end()
    return len(body)
