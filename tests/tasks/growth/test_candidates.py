"""What an answer gives for each prompt that was asked for."""

from __future__ import annotations

import json

import pytest

from tasks.growth.candidates import candidates
from tasks.growth.methods import instruction, own_words
from tasks.growth.options import OPERATIONS, GrowOptions


def kinds(response: str, *, count: int = 1, finish: str = "stop") -> list[str | None]:
    """Return the kind of reason of each candidate."""
    found = candidates(response, finish, count=count)
    assert [each.place for each in found] == list(range(len(found)))
    return [None if each.reason is None else each.reason.partition(":")[0] for each in found]


def test_a_prompt():
    """A good answer gives its text, without the marks that the request has around prompts."""
    (found,) = candidates('["<<<\\nWhy?\\n>>>"]', "stop", count=1)
    assert (found.text, found.reason) == ("Why?", None)


CASES = {
    "fewer": ('["A1?", "B1?"]', 3, "stop", [None, None, "missing"]),
    "more": ('["A1?", "B1?", "C1?"]', 2, "stop", [None, None, "surplus"]),
    "an answer": ("Sure:\n1. Dry it.\n2. Air it.", 1, "stop", ["unparsable"]),
    "no form": ("Let us see.", 2, "stop", ["unparsable"] * 2),
    "a refusal": ("I'm sorry, but I can't help with that.", 2, "stop", ["refusal"] * 2),
    "a filter": ('["A1?"]', 1, "content_filter", ["refusal"]),
    "cut off in the last": ('["A1?", "B', 2, "length", [None, "cut off"]),
    "cut off at once": ("Let me think about", 1, "length", ["cut off"]),
    "nothing": ("", 1, "length", ["cut off"]),
    "a mark alone": ('["...", "A1?"]', 2, "stop", ["empty", None]),
    "no end": ("1. A1?\n\nShall I go on?", 1, "stop", ["unparsable"]),
}


@pytest.mark.parametrize(("response", "count", "finish", "expected"), CASES.values(), ids=CASES)
def test_reasons(response: str, count: int, finish: str, expected: list[str | None]):
    """Every prompt that was asked for is there once, and one that is none says why."""
    assert kinds(response, count=count, finish=finish) == expected


@pytest.mark.parametrize("changed", OPERATIONS)
def test_echoes(changed: str):
    """An answer that gives back what it was told is no prompt, and one that only begins like the seed is."""
    told = instruction(GrowOptions(method="evolve", teacher="t", per_seed=1), changed, ["Why is the sea salt?"])
    assert kinds(json.dumps([told])) == ["echo"]
    assert kinds(json.dumps([told.splitlines()[0]])) == ["echo"]
    assert kinds('["a prompt for an assistant"]') == ["echo"]
    assert kinds('["Why is the sea salt, and since when?"]') == [None]


def test_the_instructions_are_filled_in():
    """Every text is used, none has a gap left, and each says in which form to answer."""
    assert len(own_words()) == 9
    for method in ("self_instruct", "rephrase", "evolve"):
        for changed in OPERATIONS if method == "evolve" else (None,):
            for count in (1, 3):
                options = GrowOptions(method=method, teacher="t", per_seed=count, per_request=count)
                told = instruction(options, changed, ["A $5 note?", "B?"])
                assert told.count("<<<\nA $5 note?\n>>>") == 1
                assert "$count" not in told
                assert "$shown" not in told
                assert ("one text" if count == 1 else "3 texts") in told
