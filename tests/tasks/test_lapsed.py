"""What is asked for again of what failed in the dataset's last build."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from storage.errors import BadResponse, LakeDamaged, RequestRejected, TeacherError, Unavailable
from storage.lake import Lake
from storage.records import Sample
from storage.workspace import Workspace
from tasks.asking.retries import FREE
from tasks.lapsed import KINDS, Again, Lapsed, find
from tasks.teachers.protocol import Completion, Request
from tests.fakes import echo
from tests.tasks.test_draw import Till


async def test_again():
    """A hundred may be asked for; whoever comes then waits for what comes of them, and is told."""
    again = Again()
    assert all([await again.worth() for _ in range(FREE)])
    waiting = [asyncio.create_task(again.worth()) for _ in range(3)]
    for came in [*[True] * (FREE // 20), *[False] * (FREE - FREE // 20)]:
        assert not any(task.done() for task in waiting)
        again.settled(came=came)
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == [False] * 3
    assert again.in_vain


async def test_again_while_they_come():
    """More than one in twenty is enough, as long as it stays so."""
    again = Again()
    for _ in range(FREE):
        assert await again.worth()
    for _ in range(FREE // 20 + 1):
        again.settled(came=True)
    told = [await asyncio.wait_for(again.worth(), 1) for _ in range(19)]
    assert all(told)
    waiting = asyncio.create_task(again.worth())
    await asyncio.sleep(0)
    again.settled(came=True)
    assert await asyncio.wait_for(waiting, 1)


def test_kinds():
    """Errors that differ by ids, numbers and what stands behind a colon are of one kind; a status makes another, and so does a teacher."""
    lapsed = Lapsed()
    one = lapsed.of("t", "400 refused by req-0123456789abcdef: no")
    assert lapsed.of("t", "400 refused by req-fedcba9876543210: never") is one
    assert lapsed.of("t", "500 refused by req-0123456789abcdef: no") is not one
    assert lapsed.of("u", "400 refused by req-0123456789abcdef: no") is not one
    others = {id(lapsed.of("t", f"error {number}")) for number in range(2 * KINDS)}
    assert len(others) == KINDS - 2


def test_a_damaged_build(tmp_path: Path):
    """Where the last build's outcomes can't be read, the line names them."""
    lake = Lake(tmp_path / "lake")
    note = lake.root / "manifests" / "builds" / "b.json"
    part = lake.snapshot("outcomes", "d", "b") / "part-00000.parquet"
    for path in (note, part):
        path.parent.mkdir(parents=True)
    note.write_text(json.dumps({"dataset": "d", "build_id": "b", "created_at": "2026-01-01T00:00:00+00:00"}))
    part.write_bytes(b"PAR1")
    with Workspace(lake, tmp_path / "work") as workspace, pytest.raises(LakeDamaged, match=re.escape(str(part))):
        find(workspace, lake, "d")


@pytest.mark.parametrize("error", [RequestRejected("a filter"), Unavailable("500"), BadResponse("?")], ids=repr)
@pytest.mark.parametrize("well", [False, True])
async def test_draw(well: bool, error: TeacherError):
    """What isn't asked for keeps its error. What didn't fail before is asked for whatever comes of the others.

    What fails again is sent once, since it had all its attempts before: else each build would spend its `retry.budget` on it.
    """
    failing = range(FREE + 50)

    def answer(request: Request) -> Completion:
        if not well and request.sample_index in failing and request.prompt_id != "control":
            raise error
        return echo(request)

    till = Till(answer)
    drawn = await till.draw.draw(till.question, range(FREE + 60), failed=dict.fromkeys(failing, "the error"))
    asked = [request for request in till.teacher.requests if request.prompt_id != "control"]
    assert len(asked) == (FREE + 60 if well else FREE + 10)
    assert sum(isinstance(each, Sample) for each in drawn.values()) == (FREE + 60 if well else 10)
    told = [str(each) for each in drawn.values() if isinstance(each, TeacherError)]
    assert (told.count(str(error)), told.count("the error")) == ((0, 0) if well else (FREE, 50))


async def test_a_stop():
    """Where the run stops meanwhile they stay open."""
    till = Till()
    till.draw.lapsed.of("smol", "the error").asked = FREE
    till.stop.set(RuntimeError())  # type: ignore[arg-type]
    assert await till.draw.draw(till.question, [0], failed={0: "the error"}) == {}
