r"""The final answer of a response: where a person would look for it, and what stands there.

1. A chain of thought in `<think>` tags is no part of the response.
2. The last marker wins, since a model may restate: "The answer is", "Answer:", "A:", "####", `\boxed{…}`, `<answer>…</answer>`.
   Passed over are markers that announce nothing, questions ("The answer is 5?"), and what isn't the writer's own claim ("if the
   answer is 5", "you might think the answer is 5"). "The answer is not 5 but 6" gives 6.
   "####" and "Answer:" are headings too: what follows them is an answer only where it begins with one or stands alone.
3. What is taken back afterwards ("Wait, …", "that's wrong") no longer counts: then the last number behind that does. Nor does
   what the last sentence contradicts ("So it should be 13"): then nothing counts.
4. Without a marker: for a number, the one above its explanation, the only one in bold of the last sentence, or the one that the
   last sentence tells (`closing.py`); for a choice, a letter that begins the response, ends it on a line of its own, or "is
   correct"; for a text, the whole response.

Where a sentence offers several answers ("5 or 6", "5 to 6", "A and B"), there is none: a lucky guess must not become a lesson.
Of commas and points only 1,234.5 is read; 1.234,5 and 1,2 are refused, since a reader from elsewhere would differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar

from verifiers.reading import final_number, later, stated
from verifiers.reading.final_number import WINDOW, Read, Reading, Refusal
from verifiers.reading.granted import granted
from verifiers.reading.items import side_by_side
from verifiers.reading.labels import of_several_parts
from verifiers.reading.last_number import last_number, nothing_follows
from verifiers.reading.markers import markers, other_case
from verifiers.reading.numerals import numerals
from verifiers.reading.sentences import (
    Sentence,
    approved,
    first_sentence,
    no_answer,
    says_none,
    taken_back,
    without_aside,
    without_check,
    without_offer,
)
from verifiers.reading.signs import Marker, several
from verifiers.reading.thinking import after_thinking
from verifiers.reading.tidying import tidy


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A final answer."""

    text: str
    """As written, without markup; a choice's letter."""
    how: str
    """Where it was found: "after 'The answer is'", "at the end", …"""
    value: Fraction | None = None
    """Of a number."""
    unit: str = ""
    """Of a number, where a known one stands behind it."""
    at_end: bool = False
    """Nothing follows it: if the response was cut off, then perhaps within it."""
    bound: bool = False
    """Of a number: it is only a bound, as "at least 5" is."""
    also: Answer | None = None
    """Of a number: the same amount, as the response says it too."""
    later: Answer | None = None
    """Of what is compared only as its kind is: what the response concludes behind it, which may be another answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """There is no final answer."""

    why: str
    """For a person."""


Found = Answer | NoAnswer
T = TypeVar("T")

UNENDING = NoAnswer(why="the chain of thought never ends")
SEVERAL_CASES = NoAnswer(why="several cases, with an answer of their own each")
SEVERAL_PARTS = NoAnswer(why="several parts, with an answer of their own each")
_LEADING = re.compile(r"[\s*_:>#|$\[\](){}`]*")
_LIST_ITEM = re.compile(r"\s*(?:[-*+•>]\s+|\d{1,2}[.)]\s+(?=\S))")
_HEADING_NUMBER = re.compile(r"\s*\d{1,2}(?:[.)]|:)\s+\S")
_TERSE = re.compile(r"\s*(?:$|[(,;:—]|(?:(?:[^\W\d_]|[$%°/↑]){1,20}\s*){1,3}$|(?:because|since|as)\b)", re.IGNORECASE)
_INSTEAD = re.compile(r"^\W*(?:(?:but|it|is|'s|rather|instead|it's)\b\s*)*")
_COPULA = re.compile(r"(?<=\w)(?:です|でした|である|だ|입니다|이다|예요|이에요)$")
_LEAD = re.compile(
    r"(?:\*\*(?P<bold>[^*\n]{1,200})\*\*(?=[\s,.;:(\u2014\u2013-])(?![^.\n]{0,200}\b(?:or|and|nor|not|but|otherwise)\b|\s(?:only\s)?(?:if|when|unless)\b"
    r"|[^.\n]{0,80}[,;]\s\*\*[^*\n]{1,80}\*\*\s(?:for|in|if|when|is)\b)"
    r"|(?P<plain>[^.,;\n]{1,200}?),?\s(?:because|since)\s)"
)
"""A text in bold that something explains, or one before "because"."""
_DIGITS = "0123456789"
_CONCLUDED = re.compile(
    r"[^\d.!?]{0,40}\d[\d.,]{0,20}[^=.!?]{0,80}?(?:\s(?:is|are|was|were|has|have|had)\b|=)[^.!?]{0,120}?,?\s(?:so|thus|therefore|hence)\b,?(?=[^.!?]*\d)",
    re.IGNORECASE,
)
"""What a sentence that begins with a number concludes from."""
_REALLY = re.compile(
    r"\bbut\s(?:it|the\sanswer|that)(?:\sis|['\u2019]s)\s(?:actually|really|in\sfact)\s(?=\W{0,4}\d)", re.IGNORECASE
)
"""Between a supposition and what holds: "You might think that the answer is 12, but it is actually 15"."""
_EXPLAINS = re.compile(r"\W{0,4}(?:because|since|as)\b", re.IGNORECASE)
"""Behind "that's wrong": what its sentence has is no other answer."""
_ITEM = r"(?:(?:[-*+•]|\d{1,2}[.)])\s+)?[*_$]{0,3}-?\d[\d.,/]{0,20}(?:\s[a-z]{1,12})?[*_$.,;]{0,4}[^\S\n]*"
_ITEMS = re.compile(rf"[^\S\n]*{_ITEM}(?:\n\s*{_ITEM}){{1,20}}\s*$", re.IGNORECASE)
"""Several numbers, on a line each."""
_LATER_PART, _FIRST_PART = re.compile(r"[\s*_]{0,6}\(?[b-h]\)[^\n]*\d"), re.compile(r"(?m)^[\s*_]{0,6}\(?a\)[^\n]*\d")
"""Lines that answer a part of a question each: "(b) 5"."""
_IN_OTHER_CASE = re.compile(r"\W{0,4}(?:if|when|for|otherwise|else|in\sthe\s(?:other|second))\b", re.IGNORECASE)
_NOTE = re.compile(r"\n[^\S\n]*\n[\W_]{0,6}(?:note|remark|n\.b\.|p\.s\.)(?=[^\n]*$)", re.IGNORECASE)
"""How a last paragraph begins that supposes another case."""
_SPEAKS_OF = re.compile(r"\W{0,6}(?:so\s|then\s)?the\s\W{0,3}\d[^.!?\n]{0,80}\d", re.IGNORECASE)
"""How a text begins whose first number is given: "The 4 shirts at $5 each cost $20"."""
_MEMBER = re.compile(r"\s*:?\s*\"?([^\",{}\[\]\n]{1,40})\"?\s*[,}]")
"""Behind a name in JSON."""
_ONLY_CODE = re.compile(
    r"\s*```[ \t]*(?:py|python\d?|js|javascript|typescript|java|c|cpp|c\+\+|go|rust|bash|sh|ruby|r)\b[^`]*```\s*", re.IGNORECASE
)
_FACTORIAL = re.compile(r"(?<=[0-9)])\s?!")


def find_number(text: str) -> Found:
    """Return the final number of a response."""
    body = after_thinking(text)
    if body is None:
        return UNENDING
    marks = markers(body)
    doubts: list[str] = []
    denied: list[Fraction | None] = []
    for marker in reversed(marks):
        read = _number_at(body, marker)
        if says_none(body, marker.end, numbers=read is not None):
            return NoAnswer(why=f"it says that there is no answer, after '{marker.label}'")
        if read is None:
            continue
        if isinstance(read, Refusal) and read.negated:
            doubts.append(read.why)
            denied.append(read.value)
        elif marker.doubt:
            doubts.append(f"only a supposition, after '{marker.label}'")
        elif isinstance(read, Refusal):
            return _number(read, where(marker))
        elif read.value in denied:
            return NoAnswer(why=f"it says that the answer is {read.text} and that it isn't")
        else:
            other = several_answers(body, marks, marker, _number_in_box) or _other_case(body, marks, marker, read)
            return other or _unless_taken_back(body, marker, read)
    return (_despite_doubt(body, marks[-1]) or NoAnswer(why=doubts[0])) if doubts else _unannounced_number(body)


def _unannounced_number(body: str) -> Found:
    body = without_check(without_offer(without_aside(body)))
    last = max(map(body.rfind, _DIGITS))
    if said := no_answer(body, last):
        return NoAnswer(why=f"it says that there is no answer: '{said}'")
    if (back := taken_back(body, last) if last >= 0 else None) and back.final:
        return NoAnswer(why=f"taken back: '{back.word}'")
    if _LATER_PART.match(body, body.rfind("\n", 0, last + 1) + 1) and _FIRST_PART.search(body):
        return SEVERAL_PARTS
    if len(body) <= WINDOW and not _SPEAKS_OF.match(body) and (only := _led_number(tidy(body), concluding=True)):
        return _number(only, "the whole response", at_end=True)
    if told := stated.told(body, last):
        return _number(*told)
    return _no_single_one(body, last) or _number(last_number(body), "at the end")


def _no_single_one(body: str, last: int) -> NoAnswer | None:
    if _ONLY_CODE.fullmatch(body):
        return NoAnswer(why="only code, which nobody ran")
    items = side_by_side(body, last) if last >= 0 else ""
    return NoAnswer(why=f"several numbers: {final_number.quote(items)} (at the end)") if items else None


def whole_number(text: str) -> Found:
    """Return the number that a response consists of, its unit included."""
    if len(text) > WINDOW:
        return NoAnswer(why="more than a number")
    if not text.strip():
        return NoAnswer(why="no number found")
    read = _led_number(tidy(text))
    return _number(read, "the whole response", at_end=True) if read else NoAnswer(why="not only a number")


def find_texts(text: str) -> list[Answer] | NoAnswer:
    """Return what a response may mean by its answer: a marker's sentence, its line, all that follows; else the whole response."""
    body = after_thinking(text)
    if body is None:
        return UNENDING
    marks = markers(body)
    for marker in reversed(marks):
        # In "The answer is not guilty" the marker took "not" with it.
        begin = marker.end - len("not ") if marker.negated and body[: marker.end].lower().endswith(" not ") else marker.end
        rest = body[begin : marker.close].strip()
        sentence = first_sentence(rest.partition("\n")[0])
        if not rest or marker.doubt or sentence.asks or (marker.form == "hashes" and "\n" in rest):
            continue
        if marker.negated and begin == marker.end:  # "The answer isn't Paris"
            return NoAnswer(why=f"only what it isn't, after '{marker.label}'")
        if refused := _text_refused(body, marks, marker, sentence.text):
            return refused
        if marker.close is not None:
            return [Answer(text=rest, how=where(marker))]
        lead = _LEAD.match(rest)
        stressed = (lead["bold"] or lead["plain"]) if lead else sentence.text
        readings = dict.fromkeys(
            (sentence.text, stressed, approved(sentence.text), rest.partition("\n")[0], rest, _COPULA.sub("", sentence.text))
        )
        return [
            Answer(text=each, how=where(marker), at_end=rest.startswith(each) and not rest[len(each) :].strip("."))
            for each in readings
        ]
    return [Answer(text=body.strip(), how="the whole response", at_end=True)]


def _text_refused(body: str, marks: list[Marker], marker: Marker, text: str) -> NoAnswer | None:
    end = marker.close or marker.end
    if back := taken_back(body, end):
        return NoAnswer(why=f"taken back: '{back.word}'")
    other = later.other_text(body, end, text)
    several = NoAnswer(why=f"several answers: {final_number.quote(text)} and {final_number.quote(other)}") if other else None
    return several or several_answers(body, marks, marker, str.strip)


def where(marker: Marker) -> str:
    """Return where a marker announces an answer, as a reason says it."""
    return "in \\boxed{}" if marker.form == "box" else f"after '{marker.label}'"


def window_at(body: str, marker: Marker) -> tuple[str, bool]:
    """Return what a marker announces, and whether it begins on another line."""
    window = body[marker.end : min(marker.close or len(body), marker.end + WINDOW)]
    if marker.label.endswith('"') and (member := _MEMBER.match(window)):
        return member[1], False
    leading = _LEADING.match(window)
    skipped = leading[0] if leading else ""
    return (window[skipped.rindex("\n") + 1 :], True) if "\n" in skipped else (window, False)


def _number_at(body: str, marker: Marker) -> Read:
    """Return what a marker announces."""
    window, on_next_line = window_at(body, marker)
    if marker.close is not None:
        return final_number.in_sentence(" ".join(tidy(_FACTORIAL.sub("↑", window)).split()))
    numbered = _HEADING_NUMBER.match(window) is not None
    if marker.form == "hashes" and numbered:  # "#### 2. Add them up"
        return None
    listed = on_next_line and _ITEMS.match(window)
    if listed or (on_next_line and numbered):
        several = f"several numbers: {final_number.quote(window)}"
        return Refusal(several, end=len(window)) if listed else last_number(body[marker.end :])
    if on_next_line:
        window = _LIST_ITEM.sub("", window, count=1)
    sentence = first_sentence(tidy(window))
    if sentence.asks or (marker.form == "hashes" and not final_number.is_led(sentence.text)):
        return None
    if marker.form == "heading" and _begins_a_solution(sentence):
        return last_number(body[marker.end :])
    return _claimed(sentence, negated=marker.negated, cut=marker.end + WINDOW < len(body))


def _begins_a_solution(sentence: Sentence) -> bool:
    """Whether an "Answer:" stands over a worked solution: "Answer: She had 5. She got 7 more. So 12."."""
    if not sentence.rest.partition("\n\n")[0].strip():
        return False
    read = final_number.in_sentence(sentence.text)
    if not isinstance(read, Reading) or not final_number.is_led(sentence.text):
        return True
    return numerals(sentence.text)[0].end != read.end or _TERSE.match(sentence.text, read.end) is None


def _claimed(sentence: Sentence, *, negated: bool, cut: bool) -> Read:
    text = f"not {sentence.text}" if negated else sentence.text
    read = final_number.in_sentence(text)
    if isinstance(read, Refusal) and read.negated:
        instead = final_number.in_sentence(_INSTEAD.sub("", text[read.end :])) or last_number(sentence.rest)
        return instead or read
    if not isinstance(read, Reading) or sentence.rest.strip():
        return read
    at_end = nothing_follows(text, read.end)
    return Refusal("the number is too long to be one") if at_end and cut else replace(read, at_end=at_end)


def _number(read: Read, how: str, *, at_end: bool = False) -> Found:
    if isinstance(read, Reading):
        also = None if read.also is None else Answer(text=read.also.text, value=read.also.value, unit=read.also.unit, how=how)
        end = at_end or read.at_end
        return Answer(text=read.text, value=read.value, unit=read.unit, how=how, at_end=end, bound=read.bound, also=also)
    return NoAnswer(why=f"{read.why} ({how})" if read else "no number found")


def _led_number(tidy: str, *, concluding: bool = False) -> Reading | Refusal | None:
    """Return the number of a sentence that begins with it; of "3 are wrong, so 7 are right" 7, if `concluding`."""
    sentence = first_sentence(tidy.strip())
    if sentence.asks or sentence.rest.strip() or not final_number.is_led(sentence.text):
        return None
    if concluding and (concluded := _CONCLUDED.match(sentence.text)):
        return _led_number(sentence.text[concluded.end() :])
    if also := granted(sentence.text, 0, str.strip):
        return Refusal(f"several numbers: {also}, too")
    return final_number.in_sentence(sentence.text)


def _unless_taken_back(body: str, marker: Marker, read: Reading) -> Found:
    back = taken_back(body, marker.close or marker.end)
    if back is None:
        return _concluded_otherwise(body, marker, read) or _number(read, where(marker))
    rest = body[back.end :]
    instead = last_number(first_sentence(rest).rest if _EXPLAINS.match(rest) else rest)
    if back.hedges and isinstance(instead, Reading) and instead.value != read.value:
        return NoAnswer(why=f"several answers: {read.text} and {instead.text} (after '{back.word}')")
    if back.hedges:
        return _number(read, where(marker))
    if instead is not None:
        return _number(instead, f"at the end, after '{back.word}'")
    return NoAnswer(why=f"taken back: '{back.word}'") if back.final else _number(read, where(marker))


def _concluded_otherwise(body: str, marker: Marker, read: Reading) -> NoAnswer | None:
    """Refuse "The answer is 15. Let me check: 5 + 7 = 12. So 12."; "The answer is 50%. So 0.5." says it twice."""
    begin = marker.close or marker.end
    if words := later.excluded(body, begin, read.text):
        return NoAnswer(why=f"taken back: '{words}'")
    if other := later.other_number(body, begin, read):
        return NoAnswer(why=f"several answers: {read.text} (after '{marker.label}') and {other.text} (at the end)")
    return None


def _despite_doubt(body: str, marker: Marker) -> Found | None:
    """Return what stands in the sentences after a supposition: "You might think the answer is 5. It is 6."."""
    if not marker.doubt:
        return None
    sentence = first_sentence(body[marker.end : marker.end + WINDOW])
    if really := _REALLY.search(sentence.text):
        return _number(final_number.in_sentence(tidy(sentence.text[really.end() :])), "at the end")
    read = last_number(first_sentence(body[marker.end :]).rest)
    note = None if read else _NOTE.search(body, max(0, marker.start - WINDOW), marker.end)
    if note and any(map(str.isdecimal, body[: note.start()])):
        return _unannounced_number(body[: note.start()])
    return _number(read, "at the end") if read else None


def several_answers(body: str, marks: list[Marker], marker: Marker, value: Callable[[str], T | None]) -> NoAnswer | None:
    """Refuse what is announced beside another answer: of another part of the question, in a box or tag of its own, or granted."""
    if also := granted(body, marker.close or marker.end, value, body[marker.end : marker.close] if marker.close else ""):
        return NoAnswer(why=f"several answers: {also}, too")
    return SEVERAL_PARTS if of_several_parts(body, marks, marker) else _other_box(body, marks, marker, value)


def _other_box(body: str, marks: list[Marker], marker: Marker, value: Callable[[str], T | None]) -> NoAnswer | None:
    r"""Refuse "x = \boxed{3} or x = \boxed{4}", and the same with tags."""
    before = next((each for each in reversed(marks) if each.form == marker.form and each.end < marker.end), None)
    if marker.close is None or before is None or before.close is None or before.close > marker.start:  # one within the other
        return None
    between = body[before.close : marker.start].removeprefix("}").removeprefix("</answer>")
    one, other = body[before.end : before.close], body[marker.end : marker.close]
    if not several(between) or value(one) == value(other):
        return None
    return NoAnswer(why=f"several answers: {one.strip()[:20]} and {other.strip()[:20]}")


def _other_case(body: str, marks: list[Marker], marker: Marker, read: Reading) -> NoAnswer | None:
    other = other_case(marks, marker)
    found = _number_at(body, other) if other else None
    if other is None and marker.supposed:  # the other case may be told in other words
        following = first_sentence(first_sentence(body[marker.end : marker.end + WINDOW]).rest).text
        found = last_number(following) if _IN_OTHER_CASE.match(following) else None
    if found is None or (isinstance(found, Reading) and found.value == read.value):
        return None
    return SEVERAL_CASES


def _number_in_box(inside: str) -> Fraction | None:
    read = final_number.in_sentence(tidy(inside))
    return read.value if isinstance(read, Reading) else None
