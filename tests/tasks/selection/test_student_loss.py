"""Dropping what a student can't represent."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import SpecError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SAMPLES
from storage.workspace import Workspace
from tasks.selection.student_loss import StudentLossOptions, drop, tops
from tests.fakes import make_sample
from tests.storage.test_scores import keep, score


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with ten samples, of which the last is empty, and scores of nine: 1 to 9 nats a token."""
    lake = Lake(tmp_path / "lake")
    samples = [make_sample(f"s{number}", response="" if number == 9 else "4") for number in range(10)]
    with lake.writing(print):
        write_rows(lake.root / "samples" / "r-000000.parquet", SAMPLES, map(dataclasses.asdict, samples), store=True)
        keep(lake, *(score(f"s{number}", -float(number + 1), -float(number + 1)) for number in range(9)))
    return lake


@pytest.fixture
def workspace(lake: Lake, tmp_path: Path) -> Iterator[Workspace]:
    """Open a build whose candidates are the samples, each of a prompt of its own."""
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.execute(
            "CREATE TABLE candidates AS SELECT row_number() OVER (ORDER BY sample_id) AS ord, sample_id, NULL::VARCHAR AS stage, "
            "NULL::VARCHAR AS reason FROM samples"
        )
        yield workspace


def options(**given: Any) -> StudentLossOptions:
    """Return options for the student of the scores."""
    return StudentLossOptions(student="student", **given)


def dropped(workspace: Workspace) -> dict[str, str]:
    """Return why each rejected sample was."""
    return dict(workspace.rows("SELECT sample_id, reason FROM candidates WHERE stage = 'select'"))


def test_max(workspace: Workspace):
    """What costs more than the bound is rejected with the figure; what costs just that stays, and so does what has no score."""
    said = drop(workspace, options(max=7.0), ["f1"])
    assert dropped(workspace) == {
        "s7": "student_loss: 8 nats a token, more than 7 (student)",
        "s8": "student_loss: 9 nats a token, more than 7 (student)",
    }
    assert said == (
        "student_loss: student scored 9 responses, and 2 of them cost it more than 7 nats a token; 1 could not be scored and are kept"
    )


@pytest.mark.parametrize(("keep_", "left"), [(1.0, 9), (0.9, 9), (0.5, 5), (0.01, 1)])
def test_keep(workspace: Workspace, keep_: float, left: int):
    """That share of what is scored stays, rounded up: the responses of the least loss."""
    drop(workspace, options(keep=keep_), ["f1"])
    assert set(dropped(workspace)) == {f"s{number}" for number in range(left, 9)}


def test_no_probability(lake: Lake, workspace: Workspace):
    """A response with a token that the student gives no probability costs it more than any bound, and stays where all do."""
    with lake.writing(print):
        write_rows(lake.root / "samples" / "r-000001.parquet", SAMPLES, [dataclasses.asdict(make_sample("never"))], store=True)
        keep(lake, score("never", -1.0, -math.inf), name="r-000001")
    workspace.execute("INSERT INTO candidates VALUES (11, 'never', NULL, NULL)")
    drop(workspace, options(keep=1.0), ["f1"])
    assert dropped(workspace) == {}
    drop(workspace, options(max=100.0), ["f1"])
    assert dropped(workspace) == {"never": "student_loss: inf nats a token, more than 100 (student)"}


def test_what_is_out_already(workspace: Workspace):
    """What an earlier step rejected keeps its reason, needs no score, and isn't in the share."""
    workspace.execute(
        "UPDATE candidates SET stage = 'verify', reason = 'wrong' WHERE sample_id IN ('s0', 's1', 's2', 's3', 's4')"
    )
    drop(workspace, options(keep=0.5), ["f1"])
    assert set(dropped(workspace)) == {"s7", "s8"}


def test_not_scored_yet(lake: Lake, workspace: Workspace):
    """A trace that was never scored stops the build with the command to run."""
    with lake.writing(print):
        write_rows(lake.root / "samples" / "r-000001.parquet", SAMPLES, [dataclasses.asdict(make_sample("new"))], store=True)
    workspace.execute("INSERT INTO candidates VALUES (11, 'new', NULL, NULL)")
    with pytest.raises(SpecError, match=r"has not scored 1 of .*`stillhouse score SPEC --teacher student --dataset all`"):
        drop(workspace, options(max=7.0), ["f1"])


def test_another_version_of_the_student(workspace: Workspace):
    """Scores by what the student was before don't count."""
    with pytest.raises(SpecError, match="has not scored 9 of"):
        drop(workspace, options(max=7.0), ["f2"])


def test_refused_ones_stay(lake: Lake, workspace: Workspace):
    """A trace that the scorer refused is kept and counted."""
    with lake.writing(print):
        write_rows(lake.root / "samples" / "r-000001.parquet", SAMPLES, [dataclasses.asdict(make_sample("long"))], store=True)
        keep(lake, score("long", reason="too long"), name="r-000001")
    workspace.execute("INSERT INTO candidates VALUES (11, 'long', NULL, NULL)")
    assert drop(workspace, options(max=8.5), ["f1"]).endswith("2 could not be scored and are kept")
    assert set(dropped(workspace)) == {"s8"}


def test_tops(lake: Lake, workspace: Workspace):
    """The numbers of alternatives that anything was scored with are known."""
    with lake.writing(print):
        keep(lake, score("s0", -1.0, top=20), name="r-000001")
    assert tops(workspace) == [0, 20]


@pytest.mark.parametrize("given", [{}, {"max": 1.0, "keep": 0.5}, {"keep": 0.0}, {"keep": 1.1}, {"max": 0}])
def test_options(given: dict[str, Any]):
    """One of the two bounds is given, and makes sense."""
    with pytest.raises(ValidationError):
        options(**given)
