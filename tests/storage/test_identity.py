"""Content addresses, pinned by value: if one of these changes, every lake buys its samples again."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from storage.identity import address, check_inputs, fingerprint, prompt_id, request_key, sample_id, scorer
from storage.records import Message
from tests.fakes import make_prompt

MESSAGES = (Message(role="system", content="Be brief."), Message(role="user", content="2 + 2 = ? ✓"))
ASKED = {"provider": "openai", "model": "m-1", "messages": MESSAGES, "parameters": {"temperature": 0.8, "max_tokens": 256}}
KEY = "20d03d6a7c8c0ec846a758051f2d2087"
PROMPT = make_prompt("2 + 2 = ?", reference="4", tests="assert True", tags={"topic": "sums"})


class TestPinned:
    """By value."""

    def test_address(self):
        """The address of a value."""
        assert address({"b": [1, 2.5, None, True], "a": "ä"}) == "26d99402c903f4cd8796458b9c84dff6"

    def test_request(self):
        """The address of what is asked."""
        assert request_key(**ASKED, identity={}) == KEY

    @pytest.mark.parametrize(
        ("index", "expected"), [(0, "d91e9e570f0982632c8f4ec08ac60325"), (11, "d78c7cac16bcdba525820b5cdb6e4246")]
    )
    def test_sample(self, index: int, expected: str):
        """The address of one answer to it."""
        assert sample_id(KEY, index) == expected

    def test_prompt(self):
        """The id of a prompt whose source gives none."""
        found = prompt_id(messages=MESSAGES, reference="4", tests=None, tags={"b": "2", "a": "1"}, license="MIT")
        assert found == "1b91194027cdcdef497c5425ba94116e"

    def test_fingerprint(self):
        """The address of a verifier as configured."""
        found = fingerprint(verifier="exact_match", version="3", options={"kind": "number", "tolerance": 0.0})
        assert found == "f952f0addffae22ed191815016214ad3"

    def test_scorer(self):
        """The address of a scorer that is asked for so many alternatives."""
        found = scorer(provider="openai", model="m-1", identity={"extra_body": {"a": 1}}, top=20, reasoning="omit")
        assert found == "82fbd7e1bf0181cac649a2b486ad4856"

    def test_inputs(self):
        """The address of what a prompt brings to a check."""
        assert check_inputs(PROMPT) == "56d0cd5203a59fec549fff816243d6be"


class TestWhatCounts:
    """What makes two things the same, and what doesn't."""

    def test_key_order(self):
        """The order of a mapping's keys doesn't count, at any depth."""
        assert address({"a": {"x": 1, "y": 2}, "b": 3}) == address({"b": 3, "a": {"y": 2, "x": 1}})

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ([1, 2], [2, 1]),
            (1, 1.0),
            (1, True),
            (0, None),
            ("1", 1),
            ("a", "A"),
            ("ä", "a\u0308"),
            ("", None),
            ([], {}),
            ([["a"]], ["a"]),
        ],
        ids=repr,
    )
    def test_everything_else(self, one: object, other: object):
        """Order in a list, types, case and Unicode form count."""
        assert address(one) != address(other)

    @pytest.mark.parametrize(
        "change",
        [
            {"provider": "local"},
            {"model": "m-2"},
            {"messages": MESSAGES[1:]},
            {"messages": (MESSAGES[0], Message(role="assistant", content=MESSAGES[1].content))},
            {"parameters": {"temperature": 0.8}},
            {"parameters": {"temperature": 0.7, "max_tokens": 256}},
            {"identity": {"extra_body": {"top_k": 5}}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_request_parts(self, change: dict):
        """Every part of a request makes another one of it."""
        assert request_key(**(ASKED | {"identity": {}} | change)) != KEY

    def test_sample_indices(self):
        """No two answers to any two requests share an address by the way index and request are joined."""
        assert len({sample_id(key, index) for key in ("a", "a/1", "a/11") for index in (0, 1, 11, 111)}) == 12

    @pytest.mark.parametrize(
        "change", [{"prompt": "?"}, {"reference": None}, {"tests": None}, {"tags": {"topic": "sum"}}], ids=lambda c: next(iter(c))
    )
    def test_inputs_parts(self, change: dict):
        """A corrected text, reference, test or tag is judged anew."""
        assert check_inputs(dataclasses.replace(PROMPT, **change)) != check_inputs(PROMPT)

    @pytest.mark.parametrize("change", [{"prompt_id": "x"}, {"source": "x"}, {"license": "MIT"}, {"generation": 1}])
    def test_inputs_are_what_a_check_sees(self, change: dict):
        """Where a prompt comes from changes no verdict."""
        assert check_inputs(dataclasses.replace(PROMPT, **change)) == check_inputs(PROMPT)

    @pytest.mark.parametrize("change", [{"verifier": "other"}, {"version": "4"}, {"options": {"kind": "text"}}])
    def test_fingerprint_parts(self, change: dict):
        """Another verifier, version or option is judged anew."""
        given = {"verifier": "exact_match", "version": "3", "options": {"kind": "number"}}
        assert fingerprint(**(given | change)) != fingerprint(**given)


@dataclasses.dataclass(frozen=True)
class Hidden:
    """Has a field that JSON libraries leave out."""

    _value: int


def test_options_that_json_has_no_word_for():
    """Infinities, sets, paths and hidden fields tell verifiers apart as well."""
    values = [
        math.inf,
        -math.inf,
        math.nan,
        None,
        1.0,
        Hidden(1),
        Hidden(2),
        {"a"},
        {"a", "b"},
        Path("a"),
        Path("b"),
        {"x": math.inf},
    ]
    found = [fingerprint(verifier="v", version="1", options={"o": value}) for value in values]
    assert len(set(found)) == len(values)
    one, other = (fingerprint(verifier="v", version="1", options={"o": frozenset(each)}) for each in ("abc", "cba"))
    assert one == other


def test_an_option_without_an_address():
    """It is refused rather than left out."""
    with pytest.raises(TypeError):
        fingerprint(verifier="v", version="1", options={"o": object()})
