"""What an answer gives: a prompt for each that was asked for, or why there is none."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from storage.records import CUT_OFF, REFUSED
from tasks.growth.methods import BEGIN, END, own_words
from tasks.growth.parsing import Item, items
from tasks.words import normal
from verifiers.refusal import declines

SHOWN = 80
"""Characters of an answer that a reason quotes."""
_RUN = 8
"""Words of our own instruction in a row that make a text an echo of it."""
_LEAST = 3
"""Words of a text that is such a run as a whole, and shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One prompt that was asked for."""

    place: int
    """In the answer."""
    text: str | None
    """What stands there; None where nothing does."""
    reason: str | None
    """Why it is no prompt, whatever others there are."""


def candidates(response: str, finish_reason: str, *, count: int) -> list[Candidate]:
    """Return what an answer gives that was asked for so many prompts: one for each, and more where it has more."""
    cut_off = finish_reason in CUT_OFF
    found = [] if finish_reason in REFUSED else items(response, count=count, cut_off=cut_off)
    if not found:
        why = _why_none(response, finish_reason, count=count, cut_off=cut_off)
        return [Candidate(place=place, text=None, reason=why) for place in range(count)]
    given = [_candidate(place, item, count=count, cut_off=cut_off) for place, item in enumerate(found)]
    missing = f"missing: the answer has {len(found)} of {count} prompts"
    return given + [Candidate(place=place, text=None, reason=missing) for place in range(len(found), count)]


def _why_none(response: str, finish_reason: str, *, count: int, cut_off: bool) -> str:
    if finish_reason in REFUSED:
        return f"refusal: finish_reason {finish_reason}"
    shown = repr(" ".join(response[: 2 * SHOWN].split())[:SHOWN])
    if declines(response):
        return f"refusal: {shown}"
    if cut_off:
        return f"cut off: finish_reason {finish_reason}, before the first prompt"
    return f"unparsable: neither a JSON list nor a numbered one of {count}: {shown}"


def _candidate(place: int, item: Item, *, count: int, cut_off: bool) -> Candidate:
    text = item.text.removeprefix(BEGIN).removesuffix(END).strip()
    reason = None
    if place >= count:
        reason = f"surplus: {count} were asked for"
    elif not item.ends:
        reason = "cut off: the answer ends in it" if cut_off else "unparsable: nobody can tell where it ends"
    elif not any(map(str.isalnum, text)):
        reason = "empty"
    elif _is_echo(text):
        reason = "echo: it repeats the instruction"
    return Candidate(place=place, text=text or None, reason=reason)


def _is_echo(text: str) -> bool:
    words = normal(text).split()
    if len(words) < _RUN:
        return len(words) >= _LEAST and any(f" {' '.join(words)} " in own for own in _normal())
    return not _runs().isdisjoint(_runs_of(words))


@functools.cache
def _normal() -> tuple[str, ...]:
    return tuple(f" {normal(text)} " for text in own_words())


@functools.cache
def _runs() -> frozenset[str]:
    return frozenset(run for text in _normal() for run in _runs_of(text.split()))


def _runs_of(words: list[str]) -> Iterator[str]:
    for first in range(len(words) - _RUN + 1):
        yield " ".join(words[first : first + _RUN])
