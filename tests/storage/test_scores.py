"""Which of a sample's scores counts, and reading them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage import scores
from storage.damage import examine
from storage.identity import showing
from storage.journal import Journal
from storage.lake import Lake
from storage.logprobs import packed, unpacked
from storage.parquet import write_rows
from storage.records import Logprobs, Score
from storage.repair import repair
from storage.schemas import EMPTY, SAMPLES, SCORES
from storage.workspace import Workspace
from tests.fakes import NOON, make_sample


def logprobs(*values: float) -> Logprobs:
    """Return positions of which only the tokens' own log-probabilities are known."""
    number = len(values)
    return Logprobs(
        tokens=None,
        ids=tuple(range(number)),
        logprobs=values,
        counts=(0,) * number,
        top_tokens=None,
        top_ids=(),
        top_logprobs=(),
        rest=(0.5,) * number,
    )


def score(sample_id: str, *values: float, minute: int = 0, **given: Any) -> Score:
    """Return a score."""
    defaults: dict[str, Any] = {
        "scorer": "student",
        "provider": "transformers",
        "model": "models/student",
        "fingerprint": "f1",
        "top": 0,
        "reasoning": "omit",
        "logprobs": logprobs(*values) if values else None,
        "tokens_in": 9,
        "created_at": NOON + timedelta(minutes=minute),
    }
    return Score(sample_id=sample_id, **(defaults | given))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with samples."""
    lake = Lake(tmp_path / "lake")
    with lake.writing(print):
        rows = [dataclasses.asdict(make_sample(name)) for name in "abcd"]
        write_rows(lake.root / "samples" / "r-000000.parquet", SAMPLES, rows, store=True)
    return lake


def keep(lake: Lake, *given: Score, name: str = "r-000000") -> Path:
    """Store scores as a part."""
    rows = [
        dataclasses.asdict(each) | {"logprobs": None if each.logprobs is None else unpacked(packed(each.logprobs))}
        for each in given
    ]
    path = lake.root / "scores" / f"{name}.parquet"
    write_rows(path, SCORES, rows, store=True)
    return path


@pytest.fixture
def workspace(lake: Lake, tmp_path: Path) -> Iterator[Workspace]:
    """Open the lake, all of whose samples are asked about."""
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.execute("CREATE TABLE asked AS SELECT sample_id FROM samples")
        yield workspace


def read(workspace: Workspace) -> dict[str, list[float]]:
    """Return what `choose` chose."""
    rows = [row for batch in scores.read(workspace) for row in batch.to_pylist()]
    assert len(rows) == len({row["sample_id"] for row in rows})
    return {row["sample_id"]: row["logprobs"]["logprobs"] for row in rows}


def test_the_newest_counts(lake: Lake, workspace: Workspace):
    """Of several scores of a sample by one scorer the newest counts, in whichever part it is; others' don't."""
    keep(lake, score("a", -1.0), score("b", -2.0, minute=5), score("c", -3.0, scorer="other", model="x"))
    keep(lake, score("a", -4.0, minute=1, fingerprint="f2"), score("b", -5.0, fingerprint="f2"), name="r-000001")
    assert scores.choose(workspace, "student", "asked") == 2
    assert read(workspace) == {"a": [-4.0], "b": [-2.0]}
    assert scores.choose(workspace, "models/student", "asked") == 2


def test_only_of_this_model(lake: Lake, workspace: Workspace):
    """With fingerprints, what another version of the model made of a response doesn't count, however new."""
    keep(lake, score("a", -1.0), score("a", -4.0, minute=1, fingerprint="f2"), score("b", -5.0, fingerprint="f2"))
    assert scores.choose(workspace, "student", "asked", fingerprints=["f1"]) == 1
    assert read(workspace) == {"a": [-1.0]}
    assert scores.choose(workspace, "student", "asked", fingerprints=[]) == 0


def test_refusals_are_no_scores(lake: Lake, workspace: Workspace):
    """A sample that couldn't be scored has none, though that is newer."""
    keep(lake, score("a", -1.0), score("a", minute=1, reason="too long"), score("b", reason="too long"))
    assert scores.choose(workspace, "student", "asked") == 1
    assert read(workspace) == {"a": [-1.0]}


def test_among(lake: Lake, workspace: Workspace):
    """Only samples of the table are looked for, and `narrow` leaves the first of them by id."""
    keep(lake, *(score(name, -1.0) for name in "abcd"))
    workspace.execute("CREATE TABLE few AS SELECT sample_id FROM samples WHERE sample_id <> 'a'")
    assert scores.choose(workspace, "student", "few") == 3
    scores.narrow(workspace, 2)
    assert set(read(workspace)) == {"b", "c"}


def test_losses(lake: Lake, workspace: Workspace):
    """The loss is the mean of a response's tokens, by hand."""
    keep(lake, score("a", -1.0, -3.0), score("b", -math.inf, -1.0))
    scores.choose(workspace, "student", "asked")
    scores.losses(workspace)
    assert dict(workspace.rows("FROM losses")) == {"a": 2.0, "b": math.inf}


def test_a_lake_of_an_earlier_version(lake: Lake, tmp_path: Path):
    """A lake without the table is whole, and can be read; whoever writes next makes it."""
    (lake.root / "scores" / EMPTY).unlink()
    assert lake.exists
    assert examine(lake) == []
    with Workspace(lake, tmp_path / "work") as workspace:
        assert workspace.rows("SELECT count(*) FROM scores") == [(0,)]
    with lake.writing(print):
        assert lake.has("scores")


async def test_a_damaged_segment(lake: Lake):
    """Of a damaged segment of scores a repair lands what can be read, and puts the file aside."""
    folder = lake.segments["scores"]
    async with Journal(folder, lake.root / "scores", run="r", schema=SCORES) as journal:
        await journal.append([score("a", -1.0), score("b", -2.0)])
        (segment,) = folder.glob("*.jsonl")
        first, second = segment.read_bytes().splitlines(keepends=True)
    for name in ("r-000000.parquet", "_r-000000.footer"):  # as if it hadn't landed
        (lake.root / "scores" / name).unlink()
    segment.write_bytes(first.replace(b"student", b"stUdent") + second)
    (found,) = (each for each in examine(lake) if each.kind == "journal")
    assert (found.path, found.readable, found.lost) == (segment, 1, 1)
    done = repair(lake)
    assert done.saved[segment] == 1
    assert [each for each in examine(lake) if each.damaged] == []


def test_what_goes_together():
    """A scorer's scores of samples without reasoning go with those of each form that it scored, and with no other scorer's."""
    think, omit, other = showing("f1", "think"), showing("f1", "omit"), showing("f2", "think")
    shown = {"f1": "none", think: "think", omit: "omit", other: "think", "f3": "none", "f4": None}
    assert set(scores.together(shown)) == {(think, "f1"), (omit, "f1"), (other,), ("f3",), ("f4",)}
