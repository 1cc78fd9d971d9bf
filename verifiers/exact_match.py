"""Compares a response's final answer with the prompt's reference: first where it stands, then whether it is equal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from storage.errors import VerifierError
from storage.records import CUT_OFF, Prompt, Sample
from verifiers import trials
from verifiers.mathematics import equality, intervals, sets
from verifiers.mathematics.mathtext import MAX_CHARS, Unreadable
from verifiers.mathematics.statements import Statement
from verifiers.protocol import Brought, Finding, Trial, verifier
from verifiers.reading import asked, dates, json_values, units
from verifiers.reading.answers import Answer, Found, NoAnswer, find_number, find_texts, whole_number
from verifiers.reading.asked import shown
from verifiers.reading.choices import find_choice, whole_choice
from verifiers.reading.extraction import UNANNOUNCED, Extract, Pattern, announced, passage
from verifiers.reading.markup import fold, plain
from verifiers.reading.strict_json import NoJson
from verifiers.reading.thinking import after_thinking
from verifiers.reading.tidying import ended

_PROSE = 2
"""Words without mathematics, from which on a response gives no answer."""
_WORD = re.compile(r"(?<![\\\w{])[A-Za-z]{2,}(?!\w)")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_QUOTES = ('"', "'", "“", "”", "\u2018", "\u2019", "«", "»", "`", "**", "__", "*", "_", "$")
_END = re.compile(r"(?:[.,;:?\u3002\uff01\uff1f]|(?<![0-9)])!)+$")
"""What ends a sentence: 5! is another number than 5."""
_PAIRED_BOLD = re.compile(r"(?<![\w*])\*\*(?=\S)([^*]{1,200}?)(?<=\S)\*\*(?![\w*])")
_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'", "“": '"', "”": '"'})
_BOLD = ("**", "__")
_WRAPPERS = (*((q, q) for q in _QUOTES[:2]), ("“", "”"), ("\u2018", "\u2019"), ("«", "»"), *((q, q) for q in _QUOTES[8:]))


@verifier(version="17", isolated=False, pure=True)
class ExactMatch:
    """Passes a response whose final answer is the reference: a number, a choice, a text, mathematics, a set, a date, JSON.

    The reference is read like a response, so it may be "72", "1,234", "#### 72" or a worked solution. A number is compared
    exactly, as a fraction: 0.5 is 1/2 and 72.0 is 72. A unit that only one side gives isn't compared: "50%" answers the reference
    "50" and "50" the reference "50%", but neither answers "0.5". A prompt without a reference, or with one that can't be read, is
    left undecided; a response without an answer fails. What is equal to what for each kind is in docs/spec.md.
    """

    kind: Literal["text", "number", "choice", "math", "set", "interval", "date", "json"] = "text"
    """What the answer is: a text, a number, the letter of a choice, mathematics, a set, an interval, a date or JSON."""
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """For what has numbers: by how much one may differ, in the reference's own unit. 0: not at all."""
    case_sensitive: bool = False
    """For a text: whether "paris" differs from "Paris"."""
    choices: Annotated[str, Field(pattern=r"^[A-Z]{2,26}$")] = "ABCDE"
    """For a choice: the letters that there are, in capitals."""
    day_first: bool | None = None
    """For a date: whether 03/04/2024 is in April; left out: it may be either, so only 03/03/2024 is a date."""
    extract: Extract = "auto"
    """Where the answer is. auto: where the response says so (`verifiers/reading/answers.py`), or else at its end; whole: it is
    all of it; boxed, tag (<answer>), hashes (####), last_line, code (the last ``` block), or {regex: …}: the last of these."""

    needs_of_prompt: ClassVar[frozenset[Brought]] = frozenset({"reference"})

    def __post_init__(self) -> None:
        """Refuse what decides nothing."""
        if isinstance(self.extract, Pattern):
            self.extract.ready()
        if self.day_first is not None and self.kind != "date":
            raise ValueError(f"day_first: it is for kind date, not for kind {self.kind}")
        if self.tolerance and self.kind in {"date", "json", "choice"}:
            raise ValueError(f"tolerance: it is for numbers, not for kind {self.kind}")

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Compare the final answer of a response with the reference. Raise VerifierError where that takes too long."""
        if prompt.reference is None or not prompt.reference.strip():
            return Finding(passed=None, reason="the prompt has no reference")
        cut_off = sample.finish_reason in CUT_OFF  # its last number may be half a number
        if self.kind == "text":
            return self._check_text(prompt.reference, sample.response, cut_off=cut_off)
        expected, found = self._expected(prompt.reference), self._found(sample.response)
        if isinstance(expected, NoAnswer):
            return Finding(passed=None, reason=f"the reference can't be read: {expected.why}")
        if self.kind == "number" and isinstance(found, Answer):
            found = asked.as_asked(found, expected, prompt.prompt, sample.response)
        if isinstance(found, NoAnswer):
            return Finding(passed=False, reason=found.why)
        if cut_off and found.at_end:
            return Finding(passed=False, reason=f"cut off at {shown(found.text)}", answer=shown(found.text))
        return self._unless_unclear(expected, found, prompt, sample)

    def _unless_unclear(self, expected: Answer, found: Answer, prompt: Prompt, sample: Sample) -> Finding:
        if self.kind in {"number", "math"} and asked.may_be_factorial(found, prompt.prompt, sample.response):
            return Finding(passed=None, reason=f"{shown(found.text)}! may be a factorial ({found.how})", answer=shown(found.text))
        if found.later and self._contradicts(found, found.later):
            why = f"several answers: {shown(found.text)} ({found.how}) and {shown(found.later.text)} ({found.later.how})"
            return Finding(passed=False, reason=why, answer=shown(found.text))
        compared = self._compared(expected, found)
        return self._compared(expected, found.also) if found.also and not compared.passed else compared

    def _contradicts(self, found: Answer, later: Answer) -> bool:
        """Whether what is concluded behind an answer is another one of its kind, and not a part or a rounding of it."""
        if self.kind == "date" and isinstance(dates.read(later.text, day_first=self.day_first), str):
            year = _YEAR.search(found.text)  # "So it is March 4." is of the same year
            later = replace(later, text=f"{later.text.strip(' .*')}, {year[0]}" if year else later.text)
            if isinstance(dates.read(later.text, day_first=self.day_first), str):
                return False
        if self.kind == "set" and "{" not in later.text:
            return False
        if self._compared(replace(found, later=None), later).passed is not False:
            return False
        return self.kind != "math" or not equality.says(found.text, later.text)

    def answer(self, response: str) -> str | None:
        """Return the answer of a response in full, as it is written; None where there is none. Raises as `check`."""
        if self.kind == "text":
            texts = self._texts(response)
            return None if isinstance(texts, NoAnswer) else texts[-1].text.strip() or None
        found = self._found(response)
        return None if isinstance(found, NoAnswer) else found.text

    def trials(self, prompt: Prompt) -> Iterator[Trial]:
        """Yield the reference, as the response that it is and as `extract` would find it, and answers that are near it."""
        if prompt.reference is None or not prompt.reference.strip() or isinstance(self.extract, Pattern):
            return  # who knows what a pattern finds
        if self.kind == "text":
            expected: Found = Answer(text=_reference_text(prompt.reference), how="the reference")
        else:
            expected = self._expected(prompt.reference)
        if isinstance(expected, NoAnswer):
            yield Trial(response=prompt.reference, kind="right")  # it can't be read, and the check says why
        else:
            yield from trials.answers(
                prompt.reference, expected, kind=self.kind, extract=self.extract, choices=self.choices, margin=self._margin
            )

    def _compared(self, expected: Answer, found: Answer) -> Finding:
        checks = {
            "math": self._check_math,
            "set": self._check_set,
            "interval": self._check_interval,
            "date": self._check_date,
            "json": _check_json,
        }
        if self.kind in checks:
            return checks[self.kind](expected, found)
        if units.conflict(expected.unit, found.unit):
            named = replace(found, text=f"{found.text} ({found.unit})")
            return _finding(named, f"{expected.text} ({expected.unit})", equal=False)
        return _finding(found, expected.text, equal=self._equal(found, expected))

    def _expected(self, reference: str) -> Found:
        if self.kind == "number":
            return _reference_number(reference)
        if self.kind == "choice":
            return _reference_choice(reference, self.choices)
        return _reference_json(reference) if self.kind == "json" else _reference_passage(reference)

    def _found(self, response: str) -> Found:
        """Return the answer of a response, by the spec's way of finding it."""
        if self.extract == "auto" or (self.extract == "whole" and self.kind in {"number", "choice"}):
            return self._read(response, whole=self.extract == "whole")
        where = passage(response, self.extract)
        if isinstance(where, NoAnswer) or self.kind not in {"number", "choice"}:
            return where
        read = self._read(where.text, whole=False)
        return read if isinstance(read, NoAnswer) else replace(read, how=where.how, at_end=where.at_end)

    def _read(self, response: str, *, whole: bool) -> Found:
        if self.kind in {"number", "math"} and self.tolerance:
            response = ended(response)  # 1.414... is as near as its digits
        match self.kind:
            case "number":
                return whole_number(response) if whole else find_number(response)
            case "choice":
                return whole_choice(response, self.choices) if whole else find_choice(response, self.choices)
            case "json":
                return json_values.find(response)
            case "date":
                return self._dated(response)
            case _:
                return self._listed(response) if self.kind == "set" else passage(response, "auto")

    def _listed(self, response: str) -> Found:
        """Return what is announced as a set, what "The solutions are" stands before at the end, or a list of lines."""
        found = passage(response, "auto")
        body = after_thinking(response)
        unannounced = found.why == UNANNOUNCED if isinstance(found, NoAnswer) else found.how == "the whole response"
        listed = sets.concluded(body) if body and unannounced else None
        return Answer(text=listed, how="at the end", at_end=True) if listed else found

    def _equal(self, found: Answer, expected: Answer) -> bool:
        if found.value is None or expected.value is None:
            return found.text == expected.text
        return found.value == expected.value or abs(found.value - expected.value) <= self._margin

    @property
    def _margin(self) -> Fraction:
        return Fraction(str(self.tolerance)) if self.tolerance else Fraction(0)

    def _check_math(self, expected: Answer, found: Answer) -> Finding:
        one, measured = _reference_statement(expected.text)
        exact, rounded = equality.about(found.text)
        other = equality.statement(units.spelled(exact, glued=bool(measured)) if measured is not None else exact)
        if isinstance(one, Unreadable) or isinstance(other, Unreadable):
            if equality.same_signs(expected.text, found.text):
                return _finding(found, expected.text, equal=True)
            if isinstance(one, Unreadable):
                return Finding(passed=None, reason=f"the reference can't be read: {one}", answer=shown(found.text))
            if found.how == "the whole response" and len(_WORD.findall(found.text[:MAX_CHARS])) >= _PROSE:
                return Finding(passed=False, reason="no answer found")
            return _finding(found, expected.text, equal=None, why=f"the answer can't be read: {other}")
        paid = units.conflict(one.unit or units.currency(expected.text), other.unit or units.currency(found.text))
        try:
            equal = None if paid else equality.equal(one, equality.result(other, one), self._margin)
            if not equal and rounded and not paid and (approximate := equality.rounds(equality.result(other, one), rounded)):
                equal = equality.equal(one, approximate, self._margin) or equal
            if equal is None and equality.same_signs(expected.text, found.text):
                equal = True
            return _finding(found, expected.text, equal=equal)
        except VerifierError as error:
            return _finding(found, expected.text, equal=None, why=str(error))

    def _check_set(self, expected: Answer, found: Answer) -> Finding:
        try:
            one = sets.read(expected.text, self._normal)
        except sets.Unclear as error:
            return Finding(passed=None, reason=f"the reference can't be read: {error}")
        try:
            other = sets.read(found.text, self._normal)
        except sets.Unclear as error:
            return _finding(found, expected.text, equal=None, why=str(error))
        return _finding(found, expected.text, equal=sets.equal(one, other, self._margin))

    def _check_interval(self, expected: Answer, found: Answer) -> Finding:
        try:
            one = intervals.interval(expected.text)
        except Unreadable as error:
            return Finding(passed=None, reason=f"the reference can't be read: {error}")
        try:
            return _finding(found, expected.text, equal=intervals.equal(one, intervals.interval(found.text), self._margin))
        except Unreadable as error:
            return _finding(found, expected.text, equal=None, why=f"the answer can't be read: {error}")

    def _dated(self, response: str) -> Found:
        """Return what is announced as a date, or the last line that has one."""
        body = after_thinking(response)
        where = NoAnswer(why="the chain of thought never ends") if body is None else announced(body)
        if body is None or isinstance(where, Answer) or where.why != UNANNOUNCED:
            return where
        line = body.rstrip().rpartition("\n")[2]
        found = dates.read(line, day_first=self.day_first)
        return where if isinstance(found, str) else Answer(text=line.strip(), how="at the end", at_end=True)

    def _check_date(self, expected: Answer, found: Answer) -> Finding:
        one, other = (dates.read(each.text, day_first=self.day_first) for each in (expected, found))
        if isinstance(one, str):
            return Finding(passed=None, reason=f"the reference can't be read: {one}")
        if isinstance(other, str):
            return Finding(passed=False, reason=f"{other} ({found.how})", answer=shown(found.text))
        if not one.days & other.days:
            return _finding(replace(found, text=other.text), one.text, equal=False)
        unclear = next((each.text for each in (one, other) if len(each.days) > 1), None)
        why = f"{unclear} may be two dates: say day_first"
        return _finding(replace(found, text=other.text), one.text, equal=None if unclear else True, why=why)

    def _check_text(self, reference: str, response: str, *, cut_off: bool) -> Finding:
        expected = _reference_text(reference)
        wanted = self._normal(expected)
        candidates = self._texts(response)
        if isinstance(candidates, NoAnswer):
            return Finding(passed=False, reason=candidates.why)
        if not candidates[0].text.strip():
            return Finding(passed=False, reason="no answer found")
        # Markup makes a text longer, never four times as long: no megabyte needs to be normalised to see that it differs.
        limit = 4 * len(expected) + 200
        asked = candidates[0].text.rstrip().endswith(("?", "\uff1f")) and not expected.endswith(("?", "\uff1f"))
        for found in () if asked else candidates:
            if len(found.text) <= limit and self._normal(found.text) == wanted:
                if cut_off and found.at_end:
                    return Finding(passed=False, reason=f"cut off at {shown(found.text)}", answer=shown(found.text))
                return _finding(found, expected, equal=True)
        return _finding(candidates[0], expected, equal=False)

    def _texts(self, response: str) -> list[Answer] | NoAnswer:
        if self.extract == "auto":
            return find_texts(response)
        if self.extract == "whole":
            return [Answer(text=response, how="the whole response")]
        found = passage(response, self.extract)
        return found if isinstance(found, NoAnswer) else [found]

    def _normal(self, text: str) -> str:
        if "\\" in text:
            text = plain(text)
        text = _PAIRED_BOLD.sub(r"\1", " ".join(fold(text).translate(_APOSTROPHES).split()))
        shown = _bare(text) or text
        return shown if self.case_sensitive else unicodedata.normalize("NFKC", shown.casefold())


def _bare(text: str) -> str:
    """Return a text without the quotes, markdown and punctuation around it."""
    before = None
    while text != before:
        before = text
        text = _END.sub("", text.strip())
        for bold in _BOLD:
            if text.count(bold) == 1:  # "**Answer: Paris**", of which the marker took the first half
                text = text.removesuffix(bold)
        for left, right in _WRAPPERS:
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
                text = text[len(left) : -len(right)]
    return text


@lru_cache(maxsize=4096)
def _reference_number(reference: str) -> Found:
    found = find_number(reference)
    return found if isinstance(found, NoAnswer) else asked.priced(found, reference)


@lru_cache(maxsize=4096)
def _reference_choice(reference: str, choices: str) -> Found:
    return find_choice(reference, choices)


def _reference_text(reference: str) -> str:
    found = find_texts(reference)
    return reference.strip() if isinstance(found, NoAnswer) else found[-1].text


@lru_cache(maxsize=4096)
def _reference_passage(reference: str) -> Found:
    found = passage(reference, "auto")
    # A reference is an answer, with or without words around it: what announces nothing is one as a whole.
    return Answer(text=reference.strip(), how="the whole reference") if isinstance(found, NoAnswer) else found


@lru_cache(maxsize=4096)
def _reference_statement(reference: str) -> tuple[Statement | Unreadable, str | None]:
    """Return what a reference says and its unit; None in place of that where a letter may be a variable."""
    read = equality.statement(units.spelled(equality.about(reference)[0]))
    known = not isinstance(read, Unreadable) and equality.plain_value(read) is not None
    return read, read.unit if known and not isinstance(read, Unreadable) else None


@lru_cache(maxsize=1024)
def _reference_json(reference: str) -> Found:
    return json_values.find(reference)


def _check_json(expected: Answer, found: Answer) -> Finding:
    try:
        one = json_values.parse(expected.text)
    except NoJson as error:
        return Finding(passed=None, reason=f"the reference can't be read: {error}")
    try:
        return _finding(found, expected.text, equal=json_values.equal(one, json_values.parse(found.text)))
    except NoJson as error:
        return Finding(passed=False, reason=f"{error} ({found.how})", answer=shown(found.text))


def _finding(found: Answer, expected: str, *, equal: bool | None, why: str = "equality is neither shown nor refuted") -> Finding:
    answer, wanted = shown(found.text), shown(expected)
    reason = f"matches {wanted}" if equal else (f"{answer} ≠ {wanted}" if equal is False else f"{answer} and {wanted}: {why}")
    return Finding(passed=equal, reason=f"{reason} ({found.how})", answer=answer)
