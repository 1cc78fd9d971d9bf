"""The numbers that every command prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.growth.counts import GrownCounts
from tasks.report import Saved, Summary, TeacherCounts

PROMISED = [
    "dataset",
    "build_id",
    "prompts",
    "requested",
    "reused",
    "paid",
    "kept",
    "rejected",
    "failed",
    "cost_usd",
    "tokens_in",
    "tokens_out",
    "elapsed_s",
    "lake",
]


def summary(**given: Any) -> Summary:
    """Return a summary of 12,000 samples."""
    numbers = {
        "dataset": "sums",
        "build_id": "b1",
        "prompts": 3_000,
        "requested": 12_000,
        "reused": 2_000,
        "paid": 9_000,
        "kept": 5_000,
        "rejected": {"verify": 2_750, "dedup": 3_250},
        "failed": 1_000,
        "cost_usd": 1234.5,
        "tokens_in": 1_000_000,
        "tokens_out": 2_000_000,
        "elapsed_s": 61.25,
        "lake": "/lake",
        "created_at": "2026-01-01T00:00:00+00:00",
        "spec_hash": "h",
        "version": "0.1.0",
    }
    return Summary(**(numbers | given))


def test_promised_keys():
    """What `--json` prints has all keys that were promised, and is JSON."""
    found = json.loads(json.dumps(summary().as_dict()))
    assert set(PROMISED) <= found.keys()
    assert found["rejected"] == {"verify": 2_750, "dedup": 3_250}


def test_lines_add_up():
    """The lines show the sum of the outcomes."""
    lines = dict(summary().lines())
    assert lines["outcomes"] == "5,000 kept + 6,000 rejected + 1,000 failed = 12,000"
    assert lines["samples"] == "12,000 requested: 2,000 reused, 9,000 paid, 1,000 failed"
    assert lines["rejected by"] == "verify 2,750, dedup 3,250"
    assert lines["pass rate"] == "75%"
    assert lines["spend"] == "$1,234.5000, 1,000,000 tokens in, 2,000,000 out"
    assert dict(summary(tokens_in=1).lines())["spend"] == "$1,234.5000, 1 token in, 2,000,000 out"


@pytest.mark.parametrize(
    ("given", "rate"),
    [({}, 0.75), ({"rejected": {}}, 1.0), ({"requested": 1_000, "rejected": {}, "kept": 0}, None)],
    ids=["some", "all", "no responses"],
)
def test_pass_rate(given: dict[str, Any], rate: float | None):
    """The pass rate is the verifiers' alone: of the responses, what they accepted."""
    assert summary(**given).pass_rate == rate


def test_pass_rate_without_what_nobody_asked():
    """Slots of prompts of which nothing is bought, as they are held out or not licensed, are no responses that passed."""
    assert summary(responses=5_500, accepted=2_750).pass_rate == 0.5
    assert summary(responses=0, accepted=0).pass_rate is None


def test_nothing_came():
    """Where there was no response, the lines say so."""
    lines = dict(summary(requested=1_000, kept=0, rejected={}).lines())
    assert (lines["pass rate"], lines["rejected by"]) == ("no responses", "nothing")


def test_markdown():
    """For Prefect's UI it is a table with the same lines."""
    text = summary().markdown()
    assert text.startswith("## sums\n\n| | |\n|---|---|\n| build | sums b1 |\n")
    assert text.count("\n| ") == len(summary().lines()) + 1


TEACHER = {
    "requested": 40,
    "reused": 10,
    "paid": 28,
    "kept": 9,
    "failed": 2,
    "pass_rate": 0.25,
    "cost_usd": 0.5,
    "tokens_in": 2_000,
    "tokens_out": 3_000,
}
SAVED = {"samples": 60, "tokens_in": -100, "tokens_out": 360, "usd": 0.012, "basis": "drawing all 3 samples of each"}


def test_teachers():
    """Where there are several teachers, each has a line; a judge's says only what it cost."""
    judge = TeacherCounts(**(TEACHER | {"requested": 0, "pass_rate": None}))
    lines = dict(summary(by_teacher={"t": TeacherCounts(**TEACHER), "j": judge}).lines())
    assert lines["teacher t"] == (
        "40 requested: 10 reused, 28 paid, 2 failed; pass rate 25%; $0.5000, 2,000 tokens in, 3,000 out"
    )
    assert lines["teacher j"] == "$0.5000, 2,000 tokens in, 3,000 out"
    assert "teacher t" not in dict(summary(by_teacher={"t": TeacherCounts(**TEACHER)}).lines())


@pytest.mark.parametrize(
    ("usd", "said"), [(0.012, "$0.0120"), (-0.5, "-$0.5000"), (None, "an unknown price")], ids=["less", "more", "unknown"]
)
def test_saved(usd: float | None, said: str):
    """What was spared is said with what it is compared with; where a cascade didn't pay, with a minus."""
    line = dict(summary(saved=Saved(**(SAVED | {"usd": usd}))).lines())["saved"]
    assert line == f"60 samples, {said}, -100 tokens in, 360 out, against drawing all 3 samples of each"
    assert "saved" not in dict(summary().lines())


def test_grown():
    """Where seeds come from is said without a URL's query, where a token may stand."""
    counts = {"seeds": 2, "requests": 1, "reused": 0, "paid": 1, "asked": 4, "kept": 4, "failed": 0}
    grown = GrownCounts(source="https://x.example/p?token=sesame", method="evolve", teacher="t", **counts)
    lines = dict(summary(grown=[grown]).lines())
    assert lines["grown from https://x.example/p?…"].endswith("4 kept + 0 rejected + 0 failed = 4")


def test_there_and_back():
    """A summary that went through JSON, with other keys beside it, is the same summary."""
    whole = summary(by_teacher={"t": TeacherCounts(**TEACHER)}, saved=Saved(**SAVED))
    assert Summary.of(json.loads(json.dumps(whole.as_dict() | {"exports": []}))) == whole
    assert Summary.of(summary().as_dict()) == summary()
