"""What is asked for again of what failed in the dataset's last build."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path

import pytest

from storage.errors import BadResponse, LakeDamaged, RequestRejected, TeacherError, Unavailable
from storage.lake import Lake
from storage.parquet import write_rows
from storage.records import Sample
from storage.schemas import OUTCOMES
from storage.workspace import Workspace
from tasks import lapsed
from tasks.asking.retries import FREE
from tasks.lapsed import KINDS, Again, Lapsed, asked_again, find, kind
from tasks.teachers.protocol import Completion, Request
from tests.fakes import echo
from tests.tasks.test_draw import Till


async def test_again(monkeypatch: pytest.MonkeyPatch):
    """A hundred may be asked for; whoever comes then waits for what comes of them, and is told."""
    monkeypatch.setattr(lapsed, "LATER", 0)
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


@pytest.mark.parametrize("chance", [0.0, 0.2, 1.0])
async def test_again_by_chance(chance: float, monkeypatch: pytest.MonkeyPatch):
    """Behind a hundred in vain a few more are asked for, ever fewer; where these come, so are the others."""
    monkeypatch.setattr(random, "random", lambda: chance)
    again, asked = Again(), 0
    for number in range(400):
        if await again.worth():
            asked += 1
            again.settled(came=number >= 350)
    assert asked == {0.0: 400, 0.2: FREE + 24 + 0, 1.0: FREE}[chance]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("400 content_policy_violation: Your prompt 12 was flagged", "400 content_policy_violation"),
        ("400 context_length_exceeded: 9,000 tokens", "400 context_length_exceeded"),
        ("400 Your request was rejected by our safety system", "400 Your request was rejected by our safety system"),
        (
            "400 This model's maximum context length is 2048 tokens. You sent",
            "400 This model's maximum context length is … tokens",
        ),
        ('400 Invalid value "a b": no', "400 Invalid value"),
        ("400 invalid_request_error: prompt is too long: 12", "400 prompt is too long"),
        ("400 litellm.BadRequestError: OpenAIException - no", "400 OpenAIException - no"),
        ("400 Error code: 400 - Your request was rejected", "400 Your request was rejected"),
        ("400 Error code: 400 - {'error': {'type': 'invalid_request_error', 'message': 'too long: 12'}}", "400 too long"),
        ("500 Error code: 500", "500"),
        ("500", "500"),
        ("502 <html>Bad Gateway</html>", "502 <html>Bad Gateway</html>"),
        ("the connection broke: ServerDisconnectedError: x", "the connection broke"),
        ("no answer within 600 s", "no answer within 600 s"),
        ("", ""),
    ],
)
def test_kind(error: str, expected: str):
    """A status with its code, or else how the message begins; what earlier versions wrote, with an SDK's words first, is read."""
    assert kind(error) == expected


def test_a_long_error():
    """An error of an adversary's is read in no time."""
    for text in ("400 " + "a" * 300_000, "400 " + "1" * 300_000, "400 {" + "'message" * 30_000, "4" * 300_000):
        assert len(kind(text)) <= len(text)


def test_asked_again(lake: Lake, tmp_path: Path):
    """Of each kind a hundred, and of what goes through batches all."""
    rows = [
        *[("t", f"400 a_filter: {number}") for number in range(FREE + 50)],
        *[("t", f"400 too_long: {number}") for number in range(30)],
        *[("b", "500")] * (FREE + 7),
    ]
    with Workspace(lake, tmp_path / "work") as workspace:
        empty = dict.fromkeys(OUTCOMES.names) | {"outcome": "failed"}
        kept = empty | {"outcome": "kept", "teacher": "t"}
        outcomes = [kept, *(empty | {"teacher": teacher, "reason": reason} for teacher, reason in rows)]
        write_rows(workspace.staged("outcomes") / "part.parquet", OUTCOMES, outcomes)
        found = [asked_again(workspace, workspace.staged("outcomes"), batched) for batched in ((), ("b",))]
    assert found == [2 * FREE + 30, 2 * FREE + 30 + 7]


def test_kinds():
    """Errors that differ by ids, numbers and what stands behind a colon are of one kind; a status makes another, and so does a teacher."""
    found = Lapsed()
    one = found.of("t", "400 refused by req-0123456789abcdef: no")
    assert found.of("t", "400 refused by req-fedcba9876543210: never") is one
    assert found.of("t", "500 refused by req-0123456789abcdef: no") is not one
    assert found.of("u", "400 refused by req-0123456789abcdef: no") is not one
    others = {id(found.of("t", f"error {number}")) for number in range(2 * KINDS)}
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
async def test_draw(well: bool, error: TeacherError, monkeypatch: pytest.MonkeyPatch):
    """What isn't asked for keeps its error. What didn't fail before is asked for whatever comes of the others.

    What fails again is sent once, since it had all its attempts before: else each build would spend its `retry.budget` on it.
    """
    monkeypatch.setattr(lapsed, "LATER", 0)
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
