r"""Where the answer of a response stands: the step before anything is compared. What was taken, and from where, is in the reason.

`auto` is for responses that announce their answer in whatever form; the others are for prompts that ask for one form, as GSM8K
("####"), MATH (\boxed{}), MMLU (a last line, or a pattern) and code tasks (a fenced block) do. What they name is taken as it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from functools import lru_cache
from typing import Annotated, Literal

import regex  # type: ignore[import-untyped]
from pydantic import ConfigDict, Field

from storage.errors import VerifierError
from verifiers.reading import later
from verifiers.reading.answers import SEVERAL_CASES, Answer, Found, NoAnswer, several_answers
from verifiers.reading.markers import markers, other_case
from verifiers.reading.sentences import Retraction, approved, first_sentence, struck_out, taken_back, without_check, without_offer
from verifiers.reading.signs import Marker, boxes, hashes, tags
from verifiers.reading.thinking import after_thinking
from verifiers.reading.tidying import FACTORIAL
from verifiers.reading.units import UNITS

UNANNOUNCED = "no answer is announced"
REGEX_S = 1.0
"""Seconds by the clock that a spec's pattern may search a response."""
MAX_PASSAGE = 8000
"""Characters of an announced answer."""
_UNENDING = NoAnswer(why="the chain of thought never ends")
_FENCE = re.compile(r"(?m)^[ \t]{0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]{0,40})$")
_OPENERS = {"$$": "$$", "$": "$", r"\(": r"\)", r"\[": r"\]"}
_OPENER = re.compile(r"(?<!\\)\$\$|(?<!\\)\$|\\\(|\\\[")
_SPAN_GLUE = re.compile(r"\s*(?:,|;|or|and|,\s*(?:or|and))\s*")
_ONE_LETTER = re.compile(r"\$[a-zA-Z](?:\([a-zA-Z]\))?\$|\\\([a-zA-Z](?:\([a-zA-Z]\))?\\\)")
_REMARK = re.compile(
    r"\W*(?:unique|obvious|surprising|trivial|immediate|clear|important|affected|rounded|needed|required|always|necessarily)\b",
    re.IGNORECASE,
)
"""Behind "the answer is not": it says nothing of what it is."""
MAX_LINE = 4000
"""Characters of the end in which mathematics may stand that nothing announces."""
_DRESS = " \t\r\n*_`>"
_DRESSED = re.compile(r"(?:[ \t\r*_`:]|\n[ \t>]{0,8})*")
"""Before an answer; only where a line begins ">" is a quotation's, and no sign."""
_SYMBOLIC = re.compile(r"(?:(?<=[\s$(][a-z])|(?<=^[a-z]))!")
"""No end of a sentence: "n!"."""
_SHIELD = "\u01c3"
"""In its place while sentences are told apart."""
_GOES_ON = re.compile(r"(?:,\s?|\.\d+)$")
"""Before "...", where an answer goes on, and no sentence trails off: "1, 2, 3, ...", "0.333..."."""
_EXPLAINS = re.compile(
    r"(?:^|(?<!\s),?\s++)(?:\(?(?:because|since|as|which|so that|where we)|\((?:approximately|approx|about|roughly))\b",
    re.IGNORECASE,
)
_EXCLUDES = re.compile(r"(?<=\S),?\s++(?:(?:and|but)\s++)?(?:not|rather\s+than|instead\s+of)\b", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"""(?:(?:so|thus|hence|therefore|then|finally|and|we|get|have|obtain|find|that|this|which|gives?|is|are|equals?|the|its?|to|be|final
    |solutions?|results?|values?|roots?|sum|product|area|total|probability|of|in|at|a|by|simplified|form|expression|answer|set|interval|notation
    |vertex|minimum|maximum|domain|range|cent(?:er|re)|radius|distance|perimeter|volume|length|width|height|slope|median|mean|average
    |determinant|remainder|derivative|integral|limit|equation|function|circle|triangle|square|rectangle|line|figure|region
    |donc|ainsi|alors|d['\u2019]o[uù]|on\sa|on\sobtient|also|gilt|daher|somit|folglich|ist|die|der|das|lösung|lösungsmenge|ergebnis|und
    |por\s(?:lo\s)?tanto|entonces|luego|portanto|logo|quindi|dunque|pertanto|est|es|é|è|la|le|el|il|solution|solución|solução|soluzione)\b[\s,:*_]*
    |(?:所以|因此|因而|于是|从而|综上|故|解得|可得|得到?|即|解集|答案|结果|面积|周长|体积|最[大小]值|的值|概率|其|为|是)[\s,\uff0c:\uff1a]*)*""",
    re.IGNORECASE | re.VERBOSE,
)
_UNIT_BEHIND = re.compile(
    r"\s?(?:(?:square|cubic|sq\.?|cu\.?)\s)?(?P<unit>[a-zA-Z]{1,12})(?:\^?[23²³])?"
    r"|\s?(?:平方|立方)?(?:厘米|分米|毫米|千米|公里|米|个|元|度|人|种|岁|天|小时|分钟|秒|千克|克|升|毫升|单位)"
)
"""Behind the mathematics that ends a text: "square units"."""
_UNITS = frozenset({*UNITS, "unit", "units"})
_REASON = re.compile(
    r",?\s(?:since|because|as\s(?!well)|(?:which\sis\s)?(?:attained|achieved|reached|occurring)\s(?:at|when|for))\b[^.!?;\n]{1,160}$"
    r"|\s\((?:since|because|as|we\s(?:reject|discard|ignore)|rejecting|discarding|ignoring)\b[^()\n]{1,160}\)$",
    re.IGNORECASE,
)
"""Behind it, with mathematics of its own: ", since $x > 0$"."""
_OR_SAME = re.compile(r"(?P<one>[^()\n]{1,400}?)\s?,?\s?\(or,?\s(?:equivalently,?\s)?(?P<other>[^()\n]{1,100})\)")
_OR_BEHIND_BOX = re.compile(r"\}[$\\)\s]{0,6}\(or,?\s(?:equivalently,?\s)?(?P<other>[^()\n]{1,100})\)")
"""A second form of an answer: "(or $0.5$)". Who compares it sees whether it is the same."""
_PLURAL = re.compile(r"\b(?:solutions|roots|zeroe?s|values|elements)\b[^.!?\n]{0,100}$", re.IGNORECASE)
_BESIDE = re.compile(
    r"\}?[\s$\\()\[\],;&*]{0,12}(?:(?:and|or|und|et|y)\b|[和或]|\\(?:text|mathrm|mbox)\s?\{\s?,?\s?(?:and|or)\s?\})?[\s$\\()\[\]]{0,12}"
    r"(?:[a-zA-Z](?:_\{?\w\}?)?\s?=\s?)?"
)
"""Between two boxes of one list."""
_ALTERNATES = re.compile(r"[,;]|\\text|\bor\b|\band\b")
_COPULA = re.compile(r"(?<=[$)\]}])\s?(?:です|でした|である|だ|입니다|이다|예요|이에요)$")
"""Behind fenced mathematics."""
_ONLY_BLOCK = re.compile(
    r"(?:`{3}|~{3})(?:te?xt|plaintext|math|latex|tex)?[ \t]*\n(?P<inside>[^`~]{1,4000})\n[ \t]*(?:`{3}|~{3})", re.IGNORECASE
)
"""A response that is one block, and no code."""
_LIST = re.compile(r"\s*+(?:(?:[-*•]|\d{1,3}[.)])[ \t]++[^\n]{1,400}(?:\n\s*+|$)){2,500}")


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A spec's own pattern."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    regex: Annotated[str, Field(min_length=1, max_length=1000)]
    """Searched in the response; the last match counts, of it the first group or, without one, all."""

    def ready(self) -> None:
        """Raise ValueError for what is no pattern. Its user calls this, so that the error is not one of a union of types."""
        try:
            compiled = regex.compile(self.regex)
        except regex.error as error:
            raise ValueError(f"extract.regex: {self.regex!r} is no pattern: {error}") from None
        if compiled.groups > 1:
            raise ValueError(
                f"extract.regex: {self.regex!r} has {compiled.groups} groups; write (?:…) for those that aren't the answer"
            )


Extract = Literal["auto", "whole", "boxed", "tag", "hashes", "last_line", "code"] | Pattern


def passage(text: str, extract: Extract) -> Found:
    """Return what a response gives as its answer, as it is written there. Raise VerifierError where a pattern takes too long."""
    if extract == "whole":
        return Answer(text=text.strip(), how="the whole response", at_end=True)
    body = after_thinking(text)
    if body is None:
        return _UNENDING
    if extract == "auto":
        return announced(body)
    if isinstance(extract, Pattern):
        return _matched(body, extract)
    return _marked(body, extract)


def _marked(body: str, extract: Literal["boxed", "tag", "hashes", "last_line", "code"]) -> Found:
    if extract == "code":
        block = last_block(body)
        return block[0] if block else NoAnswer(why="no closed ``` block found")
    if extract == "last_line":
        line = body.rstrip().rpartition("\n")[2].strip()
        return Answer(text=line, how="the last line", at_end=True) if line else NoAnswer(why="no answer found")
    if extract == "hashes":
        for marker in reversed(hashes(body)):
            line, newline, _ = body[marker.end :].partition("\n")
            if line.strip():
                return Answer(text=line.strip(), how="after '####'", at_end=not newline)
        return NoAnswer(why="no '####' found")
    found = boxes(body) if extract == "boxed" else tags(body)
    if not found:
        return NoAnswer(why="no \\boxed{} found" if extract == "boxed" else "no <answer> found")
    return _last(body, found)


def _last(body: str, found: list[Marker]) -> Found:
    if found[-1].doubt:
        return NoAnswer(why="what is in the last box is not the answer")
    return several_answers(body, found, found[-1], str.strip) or _closed(body, found[-1])


def _closed(body: str, marker: Marker) -> Answer:
    how = "in \\boxed{}" if marker.form == "box" else f"in {marker.label}"
    return Answer(text=body[marker.end : marker.close].strip(), how=how)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A block of a response that is closed."""

    text: str
    """Without its fences."""
    mark: str
    """How its fences begin: ``` or ~~~."""
    info: str
    """What stands behind the first fence: "json"."""
    begin: int
    """Where its first fence begins."""
    end: int
    """Where its last fence ends."""


def last_block(body: str) -> tuple[Answer, int] | None:
    """Return what the last ``` or ~~~ block that is closed holds, and where it ends."""
    found = blocks(body)
    return (Answer(text=found[-1].text, how=f"in the last {found[-1].mark} block"), found[-1].end) if found else None


def blocks(body: str) -> list[Block] | None:
    """Return the ``` and ~~~ blocks of a response; None where the last one isn't closed."""
    opened: re.Match[str] | None = None
    found: list[Block] = []
    for fence in _FENCE.finditer(body):
        mark, info = fence["mark"], fence["info"].strip()
        if opened is None:
            opened = fence
        elif mark.startswith(opened["mark"]) and not info:
            text = body[opened.end() + 1 : fence.start()].rstrip("\n")
            found.append(Block(text, mark[0] * 3, opened["info"].strip(), opened.start(), fence.end()))
            opened = None
        elif mark == opened["mark"]:  # a block within a block, or one that never ended
            opened = fence
    return found if opened is None else None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def _matched(body: str, pattern: Pattern) -> Found:
    compiled = _compiled(pattern.regex)
    try:
        # Without the lock of the interpreter, so that a slow pattern holds up its own check alone.
        last = deque(compiled.finditer(body, timeout=REGEX_S, concurrent=True), maxlen=1)
    except TimeoutError:
        raise VerifierError(f"extract.regex took longer than {REGEX_S:g} s") from None
    if not last or not (found := last[0][compiled.groups and 1]) or not found.strip():
        return NoAnswer(why="extract.regex matches nothing")
    return Answer(text=found.strip(), how="by extract.regex", at_end=not body[last[0].end() :].strip())


def announced(body: str) -> Found:
    """Return the answer that the last marker announces; else the whole response, or the mathematics that ends its last line."""
    marks = markers(body)
    doubt: NoAnswer | None = None
    for marker in reversed(marks):
        if marker.doubt:
            doubt = doubt or NoAnswer(why=f"only a supposition, after '{marker.label}'")
            continue
        found = _behind(body, marker)
        if found is None:
            continue
        if marker.negated and _REMARK.match(found.text):
            continue
        if marker.negated:
            return NoAnswer(why=f"only what it isn't, after '{marker.label}'")
        back = taken_back(body, marker.close or marker.end)
        twice = _said_twice(body, marker, found, back) if back else None
        if back and not twice:
            return NoAnswer(why=f"taken back: '{back.word}'")
        if together := twice or _together(body, marks, marker):
            return _unless_concluded_otherwise(body, marker, together)
        if (other := other_case(marks, marker)) and (first := _behind(body, other)) and first.text != found.text:
            return SEVERAL_CASES
        return several_answers(body, marks, marker, str.strip) or _unless_concluded_otherwise(body, marker, found)
    return doubt or _unannounced(without_check(without_offer(body)))


def _said_twice(body: str, marker: Marker, found: Answer, back: Retraction) -> Answer | None:
    """Return an answer with its second form, "(or 0.5)", where nothing else takes it back."""
    if not back.hedges or back.word.lower() != "or":
        return None
    twice = _OR_BEHIND_BOX.match(body, marker.close) if marker.close is not None else _OR_SAME.fullmatch(found.text)
    again = taken_back(body, back.end)
    if twice is None or again:
        return None
    one = found.text if marker.close is not None else twice["one"]
    return dataclasses.replace(found, text=f"{one} or {twice['other']}", at_end=False)


def _together(body: str, marks: list[Marker], marker: Marker) -> Answer | None:
    r"""Return what several boxes hold together: "The solutions are $x = \boxed{2}$ and $x = \boxed{3}$."."""
    boxed = [each for each in marks if each.form == "box" and each.close is not None and each.end <= marker.end]
    if marker.form != "box" or len(boxed) <= 1:
        return None
    first = len(boxed) - 1
    while first and _BESIDE.fullmatch(body, boxed[first - 1].close or 0, boxed[first].start):
        first -= 1
    inside = [body[each.end : each.close].strip() for each in boxed[first:]]
    led = _PLURAL.search(body[max(0, boxed[first].start - 160) : boxed[first].start])
    plain = not any(each.doubt or _ALTERNATES.search(text) for each, text in zip(boxed[first:], inside, strict=True))
    return Answer(text="; ".join(inside), how="in \\boxed{}") if len(inside) > 1 and led and plain else None


def _unless_concluded_otherwise(body: str, marker: Marker, found: Answer) -> Found:
    """Return an announced answer, with what is concluded behind it: only who knows its kind can compare the two."""
    begin = marker.close or marker.end
    if words := later.excluded(body, begin, found.text):
        return NoAnswer(why=f"taken back: '{words}'")
    other = _sentence(later.other_passage(body, begin, found.text))[0]
    return dataclasses.replace(found, later=Answer(text=other, how="at the end")) if other else found


def _behind(body: str, marker: Marker) -> Answer | None:
    how = "in \\boxed{}" if marker.form == "box" else f"after '{marker.label}'"
    if marker.close is not None:
        return Answer(text=body[marker.end : marker.close].strip(), how=how)
    window = body[marker.end : marker.end + MAX_PASSAGE]
    if marker.form == "hashes":
        window = window.partition("\n")[0]
    if listed := _LIST.match(window):
        return Answer(text=listed[0].strip(), how=how, at_end=not body[marker.end + listed.end() :].strip())
    dressed = _DRESSED.match(window)
    rest = window[dressed.end() :] if dressed else window
    begin = marker.end + len(window) - len(rest)
    text, end, asks = _sentence(rest)
    if not text or asks:
        return None
    return Answer(text=text, how=how, at_end=not body[begin + end :].strip(_DRESS + "."))


def _sentence(rest: str) -> tuple[str, int, bool]:
    """Return an answer without what explains it, where it ends, and whether it is a question. Fenced mathematics is one word."""
    end, at = 0, 0
    if "!" in rest:
        rest = _SYMBOLIC.sub(_SHIELD, FACTORIAL.sub(lambda match: _SHIELD * len(match[0]), rest))
    while (opener := _OPENER.match(rest, at)) is not None:
        close = _OPENERS[opener[0]]
        closed = rest.find(close, opener.end())
        if closed < 0:
            break
        end = closed + len(close)
        at = end
        glue = re.match(r"\s*(?:,|;|or|and|,\s*(?:or|and))\s*(?=\$|\\\(|\\\[)", rest[at:])
        if glue is None:
            break
        at += glue.end()
    sentence = first_sentence(rest[end:])
    if rest[end:].startswith("\n"):
        tail, asks = "", False
    else:
        tail, asks = sentence.text, sentence.asks
    if explained := _EXPLAINS.search(tail):
        tail = tail[: explained.start()]
    if excluded := _EXCLUDES.search(rest[:end] + tail, max(end - 1, 0)):
        tail = tail[: max(excluded.start() - end, 0)]
    tail = approved(tail)
    text = _COPULA.sub("", (rest[:end] + (" " if end else "") + tail).strip(_DRESS.replace(">", "") + ".,\u3002"))
    if tail and _GOES_ON.search(tail) and rest.startswith("...", rest.find(tail, end) + len(tail)):
        text += "..."
    return text.replace(_SHIELD, "!"), (rest.find(tail, end) + len(tail)) if tail else end, asks


def _unannounced(body: str) -> Found:
    stripped = approved(body).strip()
    stripped = block["inside"].strip() if (block := _ONLY_BLOCK.fullmatch(stripped)) else stripped
    if len(stripped) <= MAX_PASSAGE and _LIST.fullmatch(stripped):
        return Answer(text=stripped, how="the whole response", at_end=True)
    line = stripped.rpartition("\n")[2].strip()
    if line == stripped:
        text = line.strip(_DRESS)
        if not text:
            return NoAnswer(why="no answer found")
        if struck := struck_out(text, 0):
            return NoAnswer(why=f"taken back: '{' '.join((struck['word'] or struck['said']).split())}'")
        spans = _OPENER.findall(text)
        if not spans or _OPENER.match(text):
            return Answer(text=text, how="the whole response", at_end=True)
    return _concluded(stripped) or NoAnswer(why=UNANNOUNCED)


def _concluded(body: str) -> Answer | None:
    """Return the mathematics that ends a text: "Therefore $x = 5$.". What stands before it must conclude, not deny or suppose."""
    text = _bare_end(body[-MAX_LINE:])
    spans = _spans(text)
    if not spans:
        return None
    behind = text[spans[-1][1] :]
    unit = _UNIT_BEHIND.fullmatch(behind)
    if behind and not (unit and (not unit["unit"] or unit["unit"] in _UNITS)):
        return None
    text = text[: spans[-1][1]]
    first = len(spans) - 1
    while first and _SPAN_GLUE.fullmatch(text, spans[first - 1][1], spans[first][0]):
        first -= 1
    begin = spans[first][0]
    before = text[:begin].rstrip()
    lead = before[before.rfind("\n") + 1 :] if text[begin : begin + 2] in {r"\[", "$$"} else text[:begin].rpartition("\n")[2]
    lead = _ONE_LETTER.sub("it", lead).strip(_DRESS)
    if not lead or not _CONCLUDES.fullmatch(lead):
        return None
    return Answer(text=text[begin:], how="at the end")


def _bare_end(text: str) -> str:
    """Return a text without the full stop and the reason behind the mathematics that ends it."""
    text = text.rstrip(_DRESS + ".!\u3002∎")
    begin = text.rfind("\n") + 1
    reason = _REASON.search(text, begin)
    return text[: reason.start()].rstrip(_DRESS) if reason else text


def _spans(text: str) -> list[tuple[int, int]]:
    """Return where fenced mathematics begins and ends."""
    found: list[tuple[int, int]] = []
    at = 0
    while (opener := _OPENER.search(text, at)) is not None:
        close = _OPENERS[opener[0]]
        closed = text.find(close, opener.end())
        if closed < 0:
            return []
        at = closed + len(close)
        found.append((opener.start(), at))
    return found
