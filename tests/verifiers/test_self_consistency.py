"""A vote of samples."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from storage.errors import VerifierError
from tests.fakes import make_prompt, make_sample
from verifiers.exact_match import ExactMatch
from verifiers.protocol import Finding
from verifiers.self_consistency import SelfConsistency

CASES = {
    "most agree": (["The answer is 5.", "So 5", "I get 6", "5.0"], [True, True, False, True], [0.75, 0.75, 0.25, 0.75]),
    "all agree": (["5", "5"], [True, True], [1.0, 1.0]),
    "a tie": (["5", "6", "5", "6"], [None] * 4, [0.5] * 4),
    "a tie below a majority": (["5", "6", "5", "6", "7"], [None] * 5, [0.4, 0.4, 0.4, 0.4, 0.2]),
    "too few votes": (["5", "5", "6", "7", "8"], [None] * 5, [0.4, 0.4, 0.2, 0.2, 0.2]),
    "no answer is no vote": (["5", "5", "no idea", ""], [True, True, False, False], [0.5, 0.5, 0.0, 0.0]),
    "nobody answers": (["no idea", ""], [False, False], [0.0, 0.0]),
    "alone": (["5"], [None], [1.0]),
    "several answers in one": (["5 or 6", "5", "5"], [False, True, True], [0.0, 2 / 3, 2 / 3]),
}


def vote(responses: list[str], reference: str | None = None, **options: Any) -> list[Finding]:
    """Let responses vote."""
    samples = [make_sample(str(number), response=response) for number, response in enumerate(responses)]
    return SelfConsistency(**({"kind": "number"} | options)).check_together(make_prompt(reference=reference), samples)


@pytest.mark.parametrize(("responses", "passed", "scores"), CASES.values(), ids=CASES)
def test_vote(responses: list[str], passed: list[bool | None], scores: list[float]):
    """The answer that most give passes, the others fail, and where there is none nobody knows."""
    found = vote(responses)
    assert [each.passed for each in found] == passed
    assert [each.score for each in found] == scores
    assert all(each.reason for each in found)


def test_the_reference_is_not_looked_at():
    """Samples may agree on what is wrong."""
    assert [each.passed for each in vote(["5", "5", "6"], reference="6")] == [True, True, False]


def test_reasons():
    """They tell the count."""
    for_five = "5 has 2 of 3 votes"
    assert [each.reason for each in vote(["5", "5", "6"])] == [for_five, for_five, "6 has 1 of 3 votes, 5 has 2"]
    assert [each.reason for each in vote(["5", "5", "no idea", "5 or 6"])[2:]] == [
        "no number found",
        "several numbers: “5 or 6” (the whole response)",
    ]
    assert vote(["Paris", ""], kind="text")[1].reason == "no answer found"
    assert vote(["5", "6"])[0].reason == "a tie: 5 and 6 have 1 of 2 votes each"
    assert vote(["5", "6", "7", "7"], share=0.9)[0].reason == "no answer has enough votes: 7 has 2 of 4"


def test_a_larger_share():
    """All must agree where the share is one; what is written counts, and no binary fraction near it."""
    assert vote(["7"] * 14 + [str(n) for n in range(11)], share=0.56)[0].passed is True
    assert [each.passed for each in vote(["5", "5", "6"], share=1)] == [None, None, None]


@pytest.mark.parametrize(
    ("votes", "tolerance"),
    [
        ({"1.0": True, "1.1": True, "1.2": True}, 0.1),
        ({"1.0": None, "1.1": None, "1.2": None, "1.3": None}, 0.1),
        ({"1.0": True, "1.1": True, "1.2": True, "5": False, "5.05": False}, 0.1),
        ({"1.0": None, "1.1": None, "5": None, "5.05": None}, 0.1),
        ({"1.0": True, "1.00": True, "1.3": False}, 0.2),
    ],
)
def test_a_tolerance_counts_in_whatever_order(votes: dict[str, bool | None], tolerance: float):
    """The largest group around an answer wins, and of two that are as large neither."""
    for responses in itertools.permutations(votes):
        assert {
            text: each.passed for text, each in zip(responses, vote(list(responses), tolerance=tolerance), strict=True)
        } == votes


def test_a_refusal_is_no_answer():
    """However many decline in the same words, they agree on nothing."""
    declined = "I'm sorry, but I can't help with that."
    found = vote([declined, declined, f"<think>No.</think>{declined}", "Paris", "Paris", "London"], kind="text", share=0.3)
    assert [each.passed for each in found] == [False, False, False, True, True, False]
    assert found[0].reason == "it declines to answer"


@pytest.mark.parametrize(
    ("responses", "passed"),
    [
        (["5 km", "5 m", "5 km"], [True, False, True]),
        (["5", "5 m", "5 km", "5 km"], [None] * 4),
        (["$5", "€5", "5 dollars"], [True, False, True]),
        (["50%", "50", "0.5"], [True, True, False]),
        (["5 m²", "5 m", "5 m^2"], [True, False, True]),
        (["5 m²", "5 m³", "5 cubic meters"], [False, True, True]),
        (["5", "5 km", "6"], [True, True, False]),
    ],
)
def test_units(responses: list[str], passed: list[bool | None]):
    """Numbers of two units are two answers, also where one without a unit comes first; the first that has one is how it is told."""
    found = vote(responses)
    assert [each.passed for each in found] == passed
    assert vote(["5", "$5"])[0].reason == "$5 has 2 of 2 votes"


@pytest.mark.parametrize(
    "response",
    [
        "N/A",
        "**Unknown**",
        "The answer is: not enough information.",
        "Cannot be determined.",
        "I don't know.",
        "The answer is: I have no idea.",
        "We can’t determine that.",
        "Je ne sais pas.",
        "不知道",
    ],
)
def test_who_knows_no_answer(response: str):
    """They win no vote, however many say so."""
    found = vote([response, response, "Paris"], kind="text")
    assert [each.passed for each in found] == [False, False, None]
    assert found[0].score == 0


def test_what_was_cut_off():
    """Half a number is no vote."""
    samples = [make_sample(str(n), response="It is 5", finish_reason="length" if n else "stop") for n in range(2)]
    found = SelfConsistency(kind="number").check_together(make_prompt(), samples)
    assert [each.passed for each in found] == [True, False]


@pytest.mark.parametrize(
    ("kind", "responses"),
    [
        ("choice", ["(B)", "The answer is B.", "C"]),
        ("text", ["Paris", "**paris**", "London"]),
        ("number", ["1/2", "0.5", "0.25"]),
    ],
)
def test_kinds(kind: str, responses: list[str]):
    """Answers are equal as for exact_match."""
    assert [each.passed for each in vote(responses, kind=kind)] == [True, True, False]


LONG = {
    "a long text": ("text", " ".join(f"word{i}" for i in range(60))),
    "long JSON": ("json", json.dumps({"a": list(range(100))})),
    "JSON with spaces": ("json", '{"a": "x  y"}'),
    "a list": ("set", "- a\n- b"),
    "a long sum": ("math", " + ".join(f"x_{{{i}}}" for i in range(60))),
}


@pytest.mark.parametrize(("kind", "response"), LONG.values(), ids=LONG)
def test_answers_are_compared_in_full(kind: str, response: str):
    """What a reason shortens counts all the same."""
    assert [each.passed for each in vote([response] * 3, kind=kind)] == [True] * 3
    assert [each.passed for each in vote([response, response, f"{response}9"], kind="text")] == [True, True, False]


def test_one_that_takes_too_long(monkeypatch: pytest.MonkeyPatch):
    """It is undecided, and the others have their vote."""

    def slow(self: ExactMatch, response: str) -> Any:
        if response == "slow":
            raise VerifierError("too long")
        return find(self, response)

    find = ExactMatch._found
    monkeypatch.setattr(ExactMatch, "_found", slow)
    found = vote(["5", "slow", "5", "6"])
    assert [each.passed for each in found] == [True, None, True, False]
    assert found[1].reason == "too long"
