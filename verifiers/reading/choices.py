"""The choice of a multiple-choice response: where it is announced, or else where it stands. See `answers.py`."""

from __future__ import annotations

import re
from itertools import islice

from verifiers.reading import final_choice, later
from verifiers.reading.answers import SEVERAL_CASES, UNENDING, Answer, Found, NoAnswer, several_answers, where, window_at
from verifiers.reading.chosen_letter import bold_options
from verifiers.reading.final_choice import Letter, Unclear
from verifiers.reading.final_number import WINDOW
from verifiers.reading.granted import granted
from verifiers.reading.markers import markers, other_case
from verifiers.reading.markup import plain
from verifiers.reading.sentences import first_sentence, says_none, struck_out, taken_back
from verifiers.reading.signs import Marker
from verifiers.reading.thinking import after_thinking

_CHOICE_WINDOW = 4000
_OPTION = r"(?:(?i:option|choice|answer)\s)?\(?"
_ALSO = re.compile(
    r"[.;,!]\s(?:(?i:but|and|however|although|though),?\s)?"
    rf"{_OPTION}(?P<also>[A-Z])\)?\s(?:(?:is|would\sbe)\s(?:also|equally)|(?:could|might|may)\s(?:also\s|equally\s)?be)"
    r"\s(?:a(?:nother)?\s)?(?:correct|right|true|valid|acceptable|the\sanswer)\b"
    rf"|[.;!\n]\s?(?i:but|however|yet|actually|so|hence|thus|therefore),?\s(?:(?i:(?:up)?on\s\w+(?:\s\w+)?),?\s)?{_OPTION}(?P<instead>[A-Z])\)?\sis\s(?:the\s)?(?:correct|right|best|better)\b"
    rf"|[.;,!]\s(?i:but\s)?(?i:now\sit(?:\sis|['\u2019]s)|it(?:\sis|['\u2019]s)\snow)\s{_OPTION}(?P<now>[A-Z])(?=\)?[.,;!]|$)"
)
"""Behind a letter: "C is also correct", "However, C is correct", "It is now C"."""
_LINES = 8
"""That begin with the letter: no honest response has more."""
_ONLY_A_CHOICE = re.compile(r"[\W_]*(?:(?:option|choice|answer)\b[\W_]*)?([A-Za-z])[\W_]*", re.IGNORECASE)


def find_choice(text: str, choices: str) -> Found:
    """Return the letter that a response chooses."""
    body = after_thinking(text)
    if body is None:
        return UNENDING
    marks = markers(body, options=True)
    doubts: list[str] = []
    for marker in reversed(marks):
        read = _choice_at(body, marker, choices)
        if read is None and says_none(body, marker.end):
            return NoAnswer(why=f"it says that there is no answer, after '{marker.label}'")
        if read is None:
            continue
        denied = isinstance(read, Unclear) and read.negated
        if denied and not marker.doubt and not doubts and (found := _choice_behind(body, marker.end, choices)):
            return found
        if marker.doubt or denied:
            doubts.append(f"only a supposition, after '{marker.label}'")
        elif isinstance(read, Unclear):
            return NoAnswer(why=f"{read.why} ({where(marker)})")
        else:
            other = other_case(marks, marker)
            return (
                (SEVERAL_CASES if other and _another(_choice_at(body, other, choices), read) else None)
                or _choice_unless_taken_back(body, marker, choices)
                or several_answers(body, marks, marker, lambda inside: _letter_in_box(inside, choices))
                or _also(body[marker.end : marker.end + WINDOW], read.letter, choices)
                or _concluded_otherwise(body, marker, read.letter, choices)
                or Answer(text=read.letter, how=where(marker))
            )
    return NoAnswer(why=doubts[0]) if doubts else _unannounced_choice(body, choices)


def _choice_unless_taken_back(body: str, marker: Marker, choices: str) -> Found | None:
    """Return what counts in place of a letter that is taken back."""
    back = taken_back(body, marker.close or marker.end)
    if back is None:
        return None
    instead = None if back.hedges else _choice_behind(body, back.end, choices, of=f"after '{back.word}'")
    return instead or NoAnswer(why=f"taken back: '{back.word}'")


def _concluded_otherwise(body: str, marker: Marker, letter: str, choices: str) -> NoAnswer | None:
    """Refuse "The answer is A. Let me check: Berlin is in Germany. So it should be B."."""
    other = later.other_letter(body, marker.close or marker.end, letter, choices)
    return NoAnswer(why=f"several choices: {letter} and {other}") if other else None


def _also(text: str, letter: str, choices: str) -> NoAnswer | None:
    """Refuse "The answer is B. C is also correct."."""
    for also in _ALSO.finditer(plain(text)):
        other = also["also"] or also["instead"] or also["now"]
        if other != letter and other in choices:
            return NoAnswer(why=f"several choices: {letter} and {other}")
    return None


def whole_choice(text: str, choices: str) -> Found:
    """Return the letter that a response consists of, brackets and "Option" included."""
    match = _ONLY_A_CHOICE.fullmatch(text) if len(text) <= WINDOW else None
    if match is None or match[1].upper() not in choices:
        return NoAnswer(why="not only a choice")
    return Answer(text=match[1].upper(), how="the whole response")


def _choice_at(body: str, marker: Marker, choices: str) -> Letter | Unclear | None:
    window, _ = window_at(body, marker)
    sentence = first_sentence(plain(window), abbreviations=False)
    if sentence.asks:
        return None
    text = ("not " if marker.negated else "") + sentence.text
    return final_choice.in_sentence(text, choices) or final_choice.in_brackets(text, choices)


def _another(one: Letter | Unclear | None, other: Letter) -> bool:
    return one is not None and not (isinstance(one, Letter) and one.letter == other.letter)


def _choice_behind(body: str, begin: int, choices: str, *, of: str = "") -> Answer | None:
    """Return the letter that is chosen behind one that is denied or, with `of`, taken back: "Not A. It's B.", "Wait, it's B."."""
    rest = body[begin : begin + _CHOICE_WINDOW]
    read = final_choice.chosen(plain(rest if of else first_sentence(rest, abbreviations=False).rest), choices)
    return Answer(text=read, how=of or "behind one that is denied") if read else None


def _unannounced_choice(body: str, choices: str) -> Found:
    short = body if len(body) <= 2 * _CHOICE_WINDOW else body[:_CHOICE_WINDOW] + "\n" + body[-_CHOICE_WINDOW:]
    read = final_choice.unannounced(plain(short), choices, bold_options(short))
    if isinstance(read, Letter):
        for line in islice(re.finditer(rf"(?m)^\W{{0,6}}{read.letter}\b", short), _LINES):
            if struck := struck_out(short, line.end() - 1):
                return NoAnswer(why=f"taken back: '{' '.join(struck[0].split())}'")
            back = taken_back(short, line.end() - 1)
            if back and (instead := _choice_behind(short, back.end, choices, of=f"after '{back.word}'")):
                return instead
            if back and back.final and "\n" not in short[line.end() : back.end]:
                return NoAnswer(why=f"taken back: '{back.word}'")
        if also := granted(short.lstrip(), 0, lambda each: _letter_in_box(each, choices)):
            return NoAnswer(why=f"several choices: {read.letter} and {also}")
        return _also(short, read.letter, choices) or Answer(text=read.letter, how="the whole response")
    return NoAnswer(why=read.why if read else "no choice found")


def _letter_in_box(inside: str, choices: str) -> str | None:
    read = final_choice.in_sentence(plain(inside), choices)
    return read.letter if isinstance(read, Letter) else None
