"""The numbers that every command prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.report import Summary

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


@pytest.mark.parametrize(
    ("given", "rate"),
    [({}, 0.75), ({"rejected": {}}, 1.0), ({"requested": 1_000, "rejected": {}, "kept": 0}, None)],
    ids=["some", "all", "no responses"],
)
def test_pass_rate(given: dict[str, Any], rate: float | None):
    """The pass rate is the verifiers' alone: of the responses, what they accepted."""
    assert summary(**given).pass_rate == rate


def test_nothing_came():
    """Where there was no response, the lines say so."""
    lines = dict(summary(requested=1_000, kept=0, rejected={}).lines())
    assert (lines["pass rate"], lines["rejected by"]) == ("no responses", "nothing")


def test_markdown():
    """For Prefect's UI it is a table with the same lines."""
    text = summary().markdown()
    assert text.startswith("## sums\n\n| | |\n|---|---|\n| build | sums b1 |\n")
    assert text.count("\n| ") == len(summary().lines()) + 1
