"""Prompts that lack what verifiers decide by: no response is bought that nobody could accept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.lake import Lake
from storage.workspace import Workspace
from tasks.undecidable import query, undecided
from tasks.verify import Named, Require, Rule
from verifiers.making import make

PROMPTS = """
    CREATE TABLE prompts AS FROM (VALUES
        (0, 'with both', '42', 'assert f() == 1'),
        (1, 'reference', '42', NULL),
        (2, 'tests', NULL, 'assert f() == 1'),
        (3, 'blank', E' \\n', ''),
        (4, 'neither', NULL, NULL)
    ) AS prompts(ord, prompt_id, reference, tests)
"""
JUDGE = {"teacher": "j", "rubric": "r", "scale": [1, 5], "pass_at": 3}


def _named(*uses: tuple[str, dict[str, Any]]) -> list[Named]:
    return [
        Named(name=use, version="1", fingerprint=f"{use}-{number}", verifier=make(use, options))
        for number, (use, options) in enumerate(uses)
    ]


def _rule(verifiers: list[Named], require: Require = "all") -> Rule:
    return Rule(require=require, listed=tuple((each.name, each.fingerprint) for each in verifiers))


@pytest.fixture
def prompts(lake: Lake, tmp_path: Path) -> Iterator[Workspace]:
    """Give five prompts, of which one is barred."""
    with Workspace(lake, tmp_path / "workspace") as workspace:
        workspace.execute(PROMPTS)
        workspace.execute("CREATE TABLE barred AS SELECT 4 AS ord")
        yield workspace


@pytest.mark.parametrize(
    ("uses", "require", "found"),
    [
        ([("exact_match", {})], "all", [2, 3, 4]),
        ([("program_answer", {})], "all", [2, 3, 4]),
        ([("unit_tests", {})], "all", [1, 3, 4]),
        ([("exact_match", {}), ("unit_tests", {})], "all", [3, 4]),
        ([("exact_match", {}), ("length", {"min_chars": 1})], "all", []),
        ([("exact_match", {}), ("length", {"min_chars": 1})], ("exact_match",), [2, 3, 4]),
        ([("self_consistency", {})], "all", []),
        ([("judge", JUDGE)], "all", []),
        ([("judge", JUDGE | {"reference": True})], "all", [2, 3, 4]),
        ([("step_check", {"teacher": "j", "reference": True})], "all", [2, 3, 4]),
        ([("all", {"of": [{"use": "exact_match"}, {"use": "unit_tests"}]})], "all", [1, 2, 3, 4]),
        ([("any", {"of": [{"use": "exact_match"}, {"use": "length", "min_chars": 1}]})], "all", []),
        ([("any", {"of": [{"use": "exact_match"}, {"use": "unit_tests"}]})], "all", [3, 4]),
        (
            [("all", {"of": [{"use": "any", "of": [{"use": "exact_match"}, {"use": "unit_tests"}]}, {"use": "unit_tests"}]})],
            "all",
            [1, 3, 4],
        ),
        (
            [("any", {"of": [{"use": "all", "of": [{"use": "exact_match"}, {"use": "unit_tests"}]}, {"use": "exact_match"}]})],
            "all",
            [2, 3, 4],
        ),
        ([("any", {"of": [{"use": "exact_match"}, {"use": "unit_tests"}]}), ("judge", JUDGE)], "all", []),
        ([("any", {"of": [{"use": "exact_match"}, {"use": "unit_tests"}]}), ("unit_tests", {})], "all", [3, 4]),
        ([("weighted", {"of": [{"use": "exact_match"}, {"use": "length", "min_chars": 1}], "pass_at": 0.5})], "all", [2, 3, 4]),
        ([("cascade", {"of": [{"use": "length", "min_chars": 1}, {"use": "exact_match"}]})], "all", [2, 3, 4]),
        ([], "all", []),
    ],
)
def test_which_prompts(prompts: Workspace, uses: list[tuple[str, dict[str, Any]]], require: Require, found: list[int]):
    """A prompt is named where none of the verifiers that count could pass a response to it, and only there."""
    verifiers = _named(*uses)
    sql = query(verifiers, _rule(verifiers, require))
    assert [ord_ for ord_, _ in (prompts.rows(f"{sql} ORDER BY ord") if sql else [])] == found


def test_the_reason(prompts: Workspace):
    """An outcome's reason says who can't decide, and what the prompt lacks."""
    verifiers = _named(("exact_match", {}))
    (_, reason), *_ = prompts.rows(f"{query(verifiers, _rule(verifiers))} ORDER BY ord")
    assert reason == "undecided: exact_match: the prompt has no reference"


@pytest.mark.parametrize(
    ("uses", "require", "found"),
    [
        ([("exact_match", {}), ("length", {"min_chars": 1})], "all", (2, "exact_match", "length")),
        (
            [("exact_match", {}), ("unit_tests", {}), ("length", {"min_chars": 1})],
            "any",
            (1, "exact_match, unit_tests", "length"),
        ),
        ([("exact_match", {}), ("unit_tests", {})], "all", (0, "", "")),
        ([("exact_match", {}), ("length", {"min_chars": 1})], ("length",), (0, "", "")),
    ],
)
def test_who_decides_alone(
    prompts: Workspace, uses: list[tuple[str, dict[str, Any]]], require: Require, found: tuple[int, str, str]
):
    """Of the prompts that aren't barred, those are counted of which nobody decides by what they bring, while others may accept."""
    verifiers = _named(*uses)
    assert undecided(prompts, verifiers, _rule(verifiers, require)) == found
