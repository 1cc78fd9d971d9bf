"""What a number means by what its prompt asks: dozens, a part of all, a bound, money, a factorial."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from verifiers.reading import units
from verifiers.reading.answers import Answer, Found, NoAnswer
from verifiers.reading.numerals import numerals

MAX_SHOWN = 200
"""Characters of an answer that a verdict keeps."""
_DOZEN = re.compile(r"\bdozens?\b", re.IGNORECASE)
_ASKS_DOZENS = re.compile(r"\b(?:how many|number of|in)\s(?:\w+\s){0,2}dozens?\b", re.IGNORECASE)
_OF_ALL = re.compile(r"(.{1,60}?)\s(?:out\s)?of\s.{1,80}", re.IGNORECASE)
_ASKS_HOW_MANY = re.compile(r"\b(?:how many|number of)\b", re.IGNORECASE)
_ASKS_BOUND = re.compile(
    r"\b(?:at\s(?:least|most)|least|most|min(?:imum|imal)?|max(?:imum|imal)?|fewest|smallest|largest|greatest|lowest|highest|up\sto|need(?:s|ed)?|must"
    r"|required?|enough|can|could|sufficient|guarantee[sd]?|ensure[sd]?|limit|mindestens|höchstens|minimal|maximal|au\s(?:moins|plus)|al\smenos|(?:mín|máx)im[oa]"
    r"|pelo\smenos|almeno|(?:min|mass)im[oa]|минимум|максимум|наименьш\w+|наибольш\w+)\b|至少|至多|最[少多小大低高]|少なくとも|최소|최대|적어도",
    re.IGNORECASE,
)
"""In a prompt to which "at least 5" may be an answer."""
_ASKS_ORDERS = re.compile(
    r"\b(?:factorials?|ways|arrang\w+|permut\w+|order(?:s|ed|ings?)|anagrams?|seat(?:ed|ings?))\b|[0-9a-z)]\s?!", re.IGNORECASE
)
"""In a prompt whose answer may be a factorial."""


def as_asked(found: Answer, expected: Answer, question: str, response: str) -> Found:
    """Return a number in what the prompt counts, and none where it is a bound that nobody asks for."""
    if found.bound and not expected.bound and not _ASKS_BOUND.search(question):
        return NoAnswer(why=f"a bound, not a number: {shown(found.text)} ({found.how})")
    found = _counted(_in_dozens(found, expected, question), expected, question)
    return priced(found, response) if expected.unit else found


def _in_dozens(found: Answer, expected: Answer, question: str) -> Answer:
    """Return 12 for "12 dozen" where dozens are what is counted."""
    dozens = [_DOZEN.search(each.text) is not None for each in (found, expected)]
    if dozens != [True, False] or found.value in {None, expected.value} or not _ASKS_DOZENS.search(question):
        return found
    return replace(found, value=(found.value or 0) / Fraction(12))


def _counted(found: Answer, expected: Answer, question: str) -> Answer:
    """Return 5 for "5 out of 6" where the prompt asks how many."""
    whole = expected.value is not None and expected.value.denominator == 1
    part = _OF_ALL.fullmatch(found.text)
    if not whole or part is None or found.value == expected.value or not _ASKS_HOW_MANY.search(question):
        return found
    counted = numerals(part[1])
    return replace(found, value=counted[0].value) if len(counted) == 1 else found


def priced(found: Answer, text: str) -> Answer:
    """Return a number with the sign of money that stands beside it as its unit."""
    return found if found.unit else replace(found, unit=units.currency(text, found.text))


def may_be_factorial(found: Answer, question: str, response: str) -> bool:
    """Whether a response that ends in "3!" may mean 6, by what the prompt asks, rather than exclaim."""
    return "!" in response and f"{found.text}!" in response and _ASKS_ORDERS.search(question) is not None


def shown(text: str) -> str:
    """Return an answer in one line, as a reason tells it."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
