"""What a build's summary says of what wasn't kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import OUTCOMES, TRACES
from storage.workspace import Workspace
from tasks.concerns import concerns
from tasks.selection.split import SplitOptions


@pytest.fixture
def workspace(lake: Lake, tmp_path: Path) -> Iterator[Workspace]:
    """Give a workspace whose snapshot has no trace."""
    with Workspace(lake, tmp_path / "workspace") as workspace:
        write_rows(workspace.staged("traces") / "part.parquet", TRACES, ())
        yield workspace


def _staged(workspace: Workspace, *rows: tuple[str, str | None, str | None]) -> dict[str, Any]:
    """Stage outcomes, and return their counts."""
    columns = [dict(zip(("outcome", "stage", "reason"), row, strict=True)) for row in rows]
    empty = dict.fromkeys(OUTCOMES.names)
    write_rows(workspace.staged("outcomes") / "part.parquet", OUTCOMES, [empty | each for each in columns])
    numbers = {outcome: sum(row[0] == outcome for row in rows) for outcome in ("kept", "rejected", "failed")}
    return numbers | {"requested": len(rows)}


def test_nothing_to_say(workspace: Workspace):
    """Where something was kept, what is rejected is no concern."""
    assert list(concerns(workspace, _staged(workspace, ("kept", None, None), ("rejected", "dedup", "duplicates a")))) == []


def test_what_failed(workspace: Workspace):
    """Of samples without a response, the reasons that most have are named, with their numbers."""
    texts = ["a.jsonl has no answer", "too long: 9,000 tokens", "too long: 8,000 tokens", "refused: no", "broken: x"]
    counts = _staged(workspace, ("kept", None, None), *(("failed", "draw", reason) for reason in texts))
    (said,) = concerns(workspace, counts)
    why = "too long (2), a.jsonl has no answer (1), broken (1) and others"
    assert said == f"5 of 6 samples got no response: {why}; a rerun asks for them again"


def test_many_failed(workspace: Workspace):
    """Where a rerun asks for a part of them at first, that is what is said."""
    counts = _staged(
        workspace, *[("failed", "draw", "400 Error code: 400 - no")] * 130, *[("failed", "draw", "400 slow: x")] * 20
    )
    (said,) = concerns(workspace, counts)
    why, then = "400 no (130), 400 slow (20)", "a rerun asks for 120 of them again, and for the others where these get answers"
    assert said == f"150 of 150 samples got no response: {why}; {then}"


def test_nothing_kept(workspace: Workspace):
    """A build that keeps nothing says where it was lost."""
    counts = _staged(workspace, *[("rejected", "verify", "exact_match: no number found")] * 2, ("rejected", "draw", "cut off"))
    assert list(concerns(workspace, counts)) == ["nothing was kept: verify: exact_match (2), draw: cut off (1)"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"validation": 0.5}, None),
        ({"test": 0.25}, "for which 0.25 of the prompts were to be held back"),
        (
            {"validation": 0.2, "test": 0.005, "group": "tag:family"},
            "for which 0.005 of the groups were to be held back; groups that share a text are one",
        ),
    ],
    ids=["all there", "a split", "a split by groups"],
)
def test_a_split_without_a_trace(workspace: Workspace, options: dict[str, Any], said: str | None):
    """What was to be held back, and isn't there, is said: whoever trains on the rest would find out late."""
    traces = [dict.fromkeys(TRACES.names) | {"sample_id": name, "split": name} for name in ("train", "validation")]
    write_rows(workspace.staged("traces") / "part.parquet", TRACES, traces)
    counts = _staged(workspace, ("kept", None, None), ("kept", None, None))
    expected = [] if said is None else [f"select.split: no trace is in the split 'test', {said}"]
    assert list(concerns(workspace, counts, SplitOptions.model_validate(options))) == expected


def test_a_split_of_nothing(workspace: Workspace):
    """Where nothing is kept, that is said alone."""
    counts = _staged(workspace, ("rejected", "dedup", "duplicates a"))
    assert list(concerns(workspace, counts, SplitOptions(test=0.5))) == ["nothing was kept: dedup: duplicates a (1)"]
