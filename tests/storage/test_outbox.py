"""Outboxes: what other processes bought is taken over once, and never from under one that still writes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage import outbox
from storage.answers import Answers
from storage.checks import Check
from storage.errors import LakeDamaged, StorageError
from storage.journal import Journal
from storage.lake import Lake
from storage.outbox import Outbox, open_run, outboxes, run_lives
from storage.repair import repair
from storage.verdicts import VerdictStore
from storage.waste import Note, Waste
from tests.fakes import make_sample, make_verdict
from tests.storage.lines import line, segment

HOLDS = """
import sys, time
from pathlib import Path
from storage.outbox import Outbox
with Outbox(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Start a worker in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    """Kill it."""
    process.kill()
    process.communicate()


async def fill(box: Outbox, *texts: str) -> None:
    """Buy samples in an outbox; its worker is killed before it lands any."""
    journal = Journal(box.journal, box.samples, run=box.name)
    await journal.__aenter__()
    await journal.append([make_sample(text) for text in texts])
    journal._file.close()
    journal._writer.cancel()


def landed(lake: Lake) -> list[str]:
    """Return the ids of the lake's samples."""
    return sorted(
        row for part in (lake.root / "samples").glob("*.parquet") for row in pq.read_table(part)["sample_id"].to_pylist()
    )


async def test_a_killed_worker(lake: Lake) -> None:
    """What it had on disk becomes a part of the lake with its name, and its outbox goes."""
    run = lake.outboxes / "run"
    with open_run(run):
        assert run_lives(run)
        worker = holder(run / "w1", 60)
        (box,) = outboxes(run)
        await fill(box, "a", "b")
        assert not box.is_free()
        end(worker)
        assert box.is_free()
        (part,) = box.take_over(lake.root, lake.waste, lake.answers)
        assert part.name == "run-w1-000000.parquet"
        assert len(landed(lake)) == 2
        assert not box.folder.exists()
    assert not run_lives(run)
    assert not run.exists()


def test_checks_of_a_killed_worker(lake: Lake) -> None:
    """What judges had said in checks that it had under way is there for the next run, and what that had cost."""
    box = Outbox(lake.outboxes / "run" / "w1")
    answers = Answers(lake.answers, box.checks, run=box.name, to=box.answers)
    answers.add(Check("s", "judge", bill=[0.25]), "k", "yes")
    answers._checks._lines.close(sync=False)  # killed
    with lake.writing(print):
        assert not list(lake.outboxes.glob("*"))
    with Answers(lake.answers, lake.checks, run="next") as found:
        assert found.get("k") == "yes"
    assert '"cost_usd":0.25' in next(lake.waste.glob("*.jsonl")).read_text()


async def test_a_verdict_of_a_killed_worker(lake: Lake) -> None:
    """One that is only in a segment yet is landed before its check is looked at, which isn't waste then."""
    box = Outbox(lake.outboxes / "run" / "w1")
    verdict = make_verdict("s", cost_usd=0.25)
    store = VerdictStore(box.verdicts, box.judged, run=box.name)
    await store.add([verdict], paid=True)
    store._parts[0].segment.close()  # killed
    answers = Answers(lake.answers, box.checks, run=box.name, to=box.answers)
    answers.add(Check("s", "judge", verdict.fingerprint, verdict.inputs, bill=[0.25]), "k", "yes")
    answers._checks._lines.close(sync=False)
    with lake.writing(print):
        assert not list(lake.outboxes.glob("*"))
    assert not list(lake.waste.glob("*.jsonl"))
    assert pq.read_table(lake.root / "verdicts" / f"{box.name}-000000.parquet")["cost_usd"].to_pylist() == [0.25]


async def test_notes_are_there_before_a_sample_that_carries_them_lands(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed anywhere in taking over, what a sample carries is taken back once; what a store has of older notes replaces none."""
    box = Outbox(lake.outboxes / "run" / "w1")
    carried: Note = {"sample_id": "a", "teacher": "t", "cost_usd": 0.5, "tokens_in": 1, "tokens_out": 1, "responses": 1}
    with Waste(box.waste, run=box.name) as waste:
        waste.note(**carried)
    journal = Journal(box.journal, box.samples, run=box.name)
    await journal.__aenter__()
    await journal.append([make_sample("a")], carries=[carried])
    assert journal._file is not None
    assert journal._writer is not None
    journal._file.close()
    journal._writer.cancel()
    older = (box.waste / f"{box.name}.jsonl").read_bytes()
    moved = outbox._move

    def killed(paths: list[Path], target: Path) -> list[Path]:
        if target == lake.root / "journal":
            moved(paths, target)
            raise KeyboardInterrupt
        return moved(paths, target)

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            box.take_over(lake.root, lake.waste, lake.answers)
    with lake.writing(print):
        pass
    box.waste.mkdir(parents=True)
    (box.waste / f"{box.name}.jsonl").write_bytes(older)
    box.take_over(lake.root, lake.waste, lake.answers)
    lines = [json.loads(line) for path in lake.waste.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [line["responses"] for line in lines].count(1) == [line["responses"] for line in lines].count(-1) == 1


async def test_taking_over_is_safe_to_repeat(lake: Lake) -> None:
    """Broken off after a part was moved and before its segment went, it ends with each sample once."""
    run = lake.outboxes / "run"
    (run / "w1").mkdir(parents=True)
    box = Outbox(run / "w1")
    await fill(box, "a", "b")
    segment = next(box.journal.glob("*.jsonl")).read_bytes()
    box.take_over(lake.root, lake.waste, lake.answers)
    box.journal.mkdir(parents=True)
    (box.journal / f"{box.name}-000000.jsonl").write_bytes(segment)
    box.take_over(lake.root, lake.waste, lake.answers)
    assert len(landed(lake)) == 2


async def test_the_next_run_takes_over(lake: Lake) -> None:
    """What workers of a run that was killed left is landed before the next one reads the lake."""
    (lake.outboxes / "gone" / "w1").mkdir(parents=True)
    (lake.outboxes / "gone" / "state.json").write_text("{}")
    await fill(Outbox(lake.outboxes / "gone" / "w1"), "a")
    with lake.writing(print):
        assert len(landed(lake)) == 1
        assert not list(lake.outboxes.glob("*"))


async def test_an_orphan_is_waited_for(lake: Lake) -> None:
    """A worker that hasn't seen yet that its run has ended gets the time to; a command that only looks leaves it alone."""
    folder = lake.outboxes / "gone" / "w1"
    folder.parent.mkdir(parents=True)
    worker = holder(folder, 1.5)
    await fill(Outbox(folder), "a")
    began = time.monotonic()
    lake._recover()
    assert landed(lake) == []
    lake._recover(patience_s=30.0)
    assert time.monotonic() - began > 1.0
    assert len(landed(lake)) == 1
    worker.communicate()


def test_an_orphan_that_stays(lake: Lake) -> None:
    """One that doesn't end is named, and nothing is taken from under it."""
    folder = lake.outboxes / "gone" / "w1"
    folder.parent.mkdir(parents=True)
    worker = holder(folder, 60)
    try:
        with pytest.raises(StorageError, match="still writes here"):
            lake._recover(patience_s=0.3)
        assert folder.exists()
    finally:
        end(worker)


def test_a_run_that_has_ended(tmp_path: Path) -> None:
    """Nobody can begin to work for it: the folder is gone."""
    with pytest.raises(StorageError), Outbox(tmp_path / "gone" / "w1").held():
        pass


async def test_a_damaged_segment(lake: Lake) -> None:
    """It is landed from the lake's journal, where a repair finds it: no outbox locks the lake."""
    with lake.writing(print):
        (lake.outboxes / "gone" / "w1").mkdir(parents=True)
    box = Outbox(lake.outboxes / "gone" / "w1")
    await fill(box, "a", "b", "c")
    (bought,) = box.journal.glob("*.jsonl")
    first, second, third = bought.read_bytes().splitlines(keepends=True)
    bought.write_bytes(first + second[:40] + b"\0" + second[41:] + third)
    for _ in range(2):
        with pytest.raises(LakeDamaged, match=rf"journal/{box.name}-000000\.jsonl:2"):
            lake.mend()
    assert [finding.lost for finding in repair(lake).findings if finding.damaged] == [1]
    lake.mend()
    assert landed(lake) == ["a", "c"]
    assert not box.folder.exists()


async def test_a_run_that_lives(lake: Lake) -> None:
    """What is taken over lands beside segments that the run itself still writes, and those stay as they are."""
    box = Outbox(lake.outboxes / "run" / "w1")
    box.folder.mkdir(parents=True)
    own = [segment(folder, line("own"), name="run-000000") for folder in (lake.journal, lake.judged)]
    before = [path.read_bytes() for path in own]
    await fill(box, "a")
    async with VerdictStore(box.verdicts, box.judged, run=box.name) as store:
        await store.add([make_verdict("a")], paid=True)
        (left,) = box.judged.glob("*.jsonl")
        kept = left.read_bytes()
    for part in box.verdicts.glob("*"):
        part.unlink()
    left.write_bytes(kept)  # killed before its part was there
    box.take_over(lake.root, lake.waste, lake.answers)
    assert landed(lake) == ["a"]
    (part,) = (lake.root / "verdicts").glob("*.parquet")
    assert part.name == f"{box.name}-000000.parquet"
    assert [path.read_bytes() for path in own] == before
    assert sorted(lake.judged.glob("*.jsonl")) == own[1:]
