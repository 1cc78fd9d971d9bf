"""Where the answer of a response stands."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from storage.errors import VerifierError
from tests.verifiers.test_exact_match import check
from verifiers.exact_match import ExactMatch
from verifiers.reading.answers import Answer
from verifiers.reading.extraction import Extract, Pattern, passage

RESPONSE = """\
I tried 3 first: \\boxed{3}.
```
4
```
<answer>5</answer>
So \\boxed{6}.
#### 7
```python
8
```
It is 9.
"""
PLACES: list[tuple[Extract, str, str]] = [
    ("boxed", "6", "in \\boxed{}"),
    ("tag", "5", "in <answer>"),
    ("hashes", "7", "after '####'"),
    ("last_line", "It is 9.", "the last line"),
    ("code", "8", "in the last ``` block"),
    ("whole", RESPONSE.strip(), "the whole response"),
    (Pattern(regex=r"tried (\d)"), "3", "by extract.regex"),
    (Pattern(regex=r"\d"), "9", "by extract.regex"),
    (Pattern(regex=r"(?m)^\d$"), "8", "by extract.regex"),
]
NOWHERE: list[tuple[Extract, str, str]] = [
    ("boxed", "#### 5", "no \\boxed{} found"),
    ("boxed", "\\boxed{5", "no \\boxed{} found"),
    ("boxed", "$x = -\\boxed{5}$", "what is in the last box is not the answer"),
    ("boxed", "\\boxed{5} or \\boxed{6}", "several answers: 5 and 6"),
    ("tag", "<answer>5", "no <answer> found"),
    ("hashes", "\\boxed{5}", "no '####' found"),
    ("hashes", "####  \n5", "no '####' found"),
    ("last_line", " \n", "no answer found"),
    ("code", "```\n5", "no closed ``` block found"),
    ("code", "```\n5\n```\n```\n6", "no closed ``` block found"),
    ("boxed", "<think>\\boxed{5}", "the chain of thought never ends"),
    ("boxed", "<think>\\boxed{5}</think> I give up", "no \\boxed{} found"),
    ("boxed", "<!-- \\boxed{5} --> I give up", "no \\boxed{} found"),
    (Pattern(regex="x"), "5", "extract.regex matches nothing"),
    (Pattern(regex="(x)?5"), "5", "extract.regex matches nothing"),
]


@pytest.mark.parametrize(("extract", "text", "how"), PLACES)
def test_each_way_finds_its_place(extract: Extract, text: str, how: str) -> None:
    """Of several, the last."""
    found = passage(RESPONSE, extract)
    assert isinstance(found, Answer)
    assert (found.text, found.how) == (text, how)


@pytest.mark.parametrize(("extract", "response", "why"), NOWHERE)
def test_a_response_without_that_place_has_no_answer(extract: Extract, response: str, why: str) -> None:
    """Nothing is taken from elsewhere."""
    found = passage(response, extract)
    assert not isinstance(found, Answer)
    assert found.why == why


@pytest.mark.parametrize(
    ("options", "reference", "response", "reason"),
    [
        ({"kind": "number", "extract": "boxed"}, "72", "\\boxed{72} or so, not 5", "matches 72 (in \\boxed{})"),
        ({"kind": "number", "extract": "hashes"}, "72", "5\n#### 72\nDone: 6", "matches 72 (after '####')"),
        ({"kind": "number", "extract": "last_line"}, "72", "5\nSo she sold 72 clips.", "matches 72 (the last line)"),
        ({"kind": "number", "extract": "boxed"}, "5", "\\boxed{5 or 6}", "several numbers: “5 or 6” (the whole response)"),
        ({"kind": "choice", "extract": "last_line"}, "B", "A is tempting.\n(B)", "matches B (the last line)"),
        ({"kind": "text", "extract": "tag"}, "Paris", "<answer>Paris</answer> or London", "matches Paris (in <answer>)"),
        ({"kind": "math", "extract": "boxed"}, "1/2", "\\boxed{0.5}, not 3", "matches 1/2 (in \\boxed{})"),
        ({"kind": "json", "extract": "code"}, "[1]", "```\n[1.0]\n```\nnot [2]", "matches [1] (in the last ``` block)"),
        (
            {"kind": "choice", "extract": {"regex": r"answer is \(?([A-J])\)?"}},
            "B",
            "The answer is (B). Not A.",
            "matches B (by extract.regex)",
        ),
    ],
)
def test_the_reason_says_where_it_was(options: dict[str, Any], reference: str, response: str, reason: str) -> None:
    """Extraction is a step of its own, for every kind."""
    verifier = TypeAdapter(ExactMatch).validate_python(options)
    extract = verifier.extract
    assert check(reference, response, **options | {"extract": extract}).reason == reason


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens"])
def test_what_is_closed_is_whole_though_the_response_was_cut_off(finish_reason: str) -> None:
    """A line isn't."""
    assert check("72", "\\boxed{72}", finish_reason, kind="number", extract="boxed").passed is True
    assert check("72", "72", finish_reason, kind="number", extract="last_line").passed is False
    assert check("72", "#### 72", finish_reason, kind="number", extract="hashes").passed is False
    assert check("72", "#### 72\nSo", finish_reason, kind="number", extract="hashes").passed is True
    assert check("72", "x=72", finish_reason, kind="number", extract=Pattern(regex=r"x=(\d+)")).passed is False


def test_a_pattern_that_would_never_end_is_stopped() -> None:
    """Its sample is undecided, and the run goes on."""
    began = time.monotonic()
    with pytest.raises(VerifierError, match=r"extract\.regex took longer than 1 s"):
        passage("a" * 60 + "b", Pattern(regex=r"(?:a|aa)+c"))
    assert time.monotonic() - began < 10


def test_a_pattern_survives_a_round_trip() -> None:
    """Its fingerprint can be recomputed."""
    adapter = TypeAdapter(ExactMatch)
    made = adapter.validate_python({"extract": {"regex": "a(b)"}})
    assert made.extract == Pattern(regex="a(b)")
    assert adapter.validate_json(adapter.dump_json(made)) == made
