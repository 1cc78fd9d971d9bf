"""What judges answered in checks that a killed run had under way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import checks
from storage.answers import Answers
from storage.checks import Check, Checks
from storage.errors import StorageError
from storage.lake import Lake
from storage.verdicts import VerdictStore
from storage.waste import Waste
from tests.fakes import make_verdict


@contextlib.contextmanager
def answering(lake: Lake, run: str) -> Iterator[Answers]:
    """Answer checks of a run; it is killed where its checks are under way at the end."""
    with Answers(lake.answers, lake.checks, run=run) as answers:
        yield answers


def answered(answers: Answers, sample_id: str, said: dict[str, str], usd: float = 0.25) -> Check:
    """Answer a check, which is under way yet."""
    check = Check(sample_id, "judge")
    for key, answer in said.items():
        check.bill.append(usd)
        answers.add(check, key, answer)
    return check


def wasted(lake: Lake) -> list[tuple[str, float]]:
    """Return what was billed in vain."""
    lines = [json.loads(line) for path in lake.waste.glob("*.jsonl") for line in path.read_text().splitlines()]
    return sorted((line["sample_id"], line["cost_usd"]) for line in lines)


def test_a_kill(lake: Lake):
    """The next run finds what checks under way were answered, and what they cost; of those that were over, nothing."""
    with answering(lake, "r") as answers:
        answered(answers, "s1", {"k": "yes", "l": "no \ud800"})
        answers.end(answered(answers, "s2", {"m": "yes"}), decided=True)
        answers.end(answered(answers, "s3", {"n": "yes"}), decided=False)
        answered(answers, "s4", {"o": "free"}, usd=0)
    with (lake.checks / "r.jsonl").open("ab") as file:
        file.write(b'{"check":9,"sample_id":"s9","k')  # torn
    left = (lake.checks / "r.jsonl").read_bytes()
    for _ in range(2):  # the second time as if the first had been broken off
        (lake.checks / "r.jsonl").write_bytes(left)
        with lake.writing(print):
            assert not list(lake.checks.iterdir())
        assert wasted(lake) == [("s1", 0.5)]
    with answering(lake, "s") as answers:
        assert [answers.get(key) for key in "klmno"] == ["yes", "no ?", None, "yes", "free"]


def test_a_kill_before_an_answer(lake: Lake):
    """What a check has cost is known though nothing that it was answered is of use; of one that was over, nothing is."""
    with answering(lake, "r") as answers:
        for number in range(3):
            check = Check(f"s{number}", "judge", bill=[0.25, 0.5])
            answers.spent(check)
            if number == 1:
                answers.end(check, decided=True)
                answers.spent(check)  # a control
            if number == 2:
                check.bill.append(0.25)
                answers.add(check, "k", "yes")
        answers.spent(Check("free", "judge", bill=[0.0]))
    with lake.writing(print):
        assert wasted(lake) == [("s0", 0.75), ("s2", 1.0)]
    with answering(lake, "s") as answers:
        assert answers.get("k") == "yes"


@pytest.mark.parametrize("landed", [False, True], ids=["in a segment", "in a part"])
def test_a_kill_behind_a_verdict(lake: Lake, landed: bool):
    """A verdict on disk carries what its check has cost: that isn't waste, though the kill came before the check was over."""

    async def judged(*names: str) -> None:
        store = VerdictStore(lake.root / "verdicts", lake.judged, run="r")
        await store.add([make_verdict(name, cost_usd=0.25) for name in names], paid=True)
        if landed:
            await store.flush()
        else:
            store._parts[0].segment.close()  # killed

    verdict = make_verdict()
    asyncio.run(judged("s1", "s2"))
    with answering(lake, "r") as answers:
        for name, inputs in (("s1", verdict.inputs), ("s2", "others"), ("s3", verdict.inputs)):
            check = Check(name, "judge", verdict.fingerprint, inputs, bill=[0.25])
            answers.add(check, name, "yes")
            if name == "s1":
                check.ended = True
                answers.bill(check, 0.5)  # when it had its verdict
    with lake.writing(print):
        assert not list(lake.checks.iterdir())
    assert wasted(lake) == [("s1", 0.5), ("s2", 0.25), ("s3", 0.25)]
    with answering(lake, "s") as answers:
        assert [answers.get(key) for key in ("s1", "s2", "s3")] == [None, "yes", "yes"]


def test_a_kill_behind_a_note(lake: Lake):
    """What a check that came to nothing has cost is noted before it is over: a kill between counts it once."""
    with Waste(lake.waste, run="r") as waste, answering(lake, "r") as answers:
        for name in ("s1", "s2"):
            answered(answers, name, {name: "yes"})
        waste.note(sample_id="s1", teacher="judge", cost_usd=0.25, tokens_in=0, tokens_out=0)
    with lake.writing(print):
        pass
    assert wasted(lake) == [("s1", 0.25), ("s2", 0.25)]
    with answering(lake, "s") as answers:
        assert [answers.get(key) for key in ("s1", "s2")] == ["yes", "yes"]


def test_a_part_that_is_damaged(lake: Lake):
    """It ends no run here: what the checks cost counts as waste too."""
    (lake.root / "verdicts").mkdir(parents=True)
    (lake.root / "verdicts" / "r-000000.parquet").write_bytes(b"PAR1")
    with answering(lake, "r") as answers:
        answered(answers, "s1", {"k": "yes"})
    checks.recover(lake.checks, lake.answers, lake.waste, lake.root / "verdicts")
    assert wasted(lake) == [("s1", 0.25)]


def test_nothing_under_way(lake: Lake):
    """A run that ends in order leaves nothing."""
    with answering(lake, "r") as answers:
        answers.end(answered(answers, "s", {"k": "yes"}), decided=True)
    assert not list(lake.checks.iterdir())
    with lake.writing(print):
        assert not lake.answers.exists()
        assert not lake.waste.exists()


def test_what_is_over_takes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file is written anew as it grows, with what is under way."""
    monkeypatch.setattr(checks, "LARGE", 1_000)
    path = tmp_path / "checks" / "r.jsonl"
    writer = Checks(path)
    old = Check("old", "judge", answered={"k": "yes"})
    writer.note(old, "k")
    for number in range(200):
        check = Check(f"s{number}", "judge", answered={"k": "yes"})
        writer.note(check, "k")
        writer.over(check)
        assert path.stat().st_size < 2_000
    writer.close()
    checks.land(path, tmp_path / "answers", tmp_path / "waste", tmp_path / "verdicts")
    assert (tmp_path / "answers" / "r-left.jsonl").read_text() == '["k","yes"]\n'


def test_what_is_written_anew_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What takes the place of the only record of paid answers was synced before, and its name after."""
    monkeypatch.setattr(checks, "LARGE", 0)
    path, synced, sync = tmp_path / "checks" / "r.jsonl", list[tuple[Path, int]](), os.fsync

    def watching(handle: int) -> None:
        sync(handle)
        synced.append((Path(f"/proc/self/fd/{handle}").readlink(), path.stat().st_ino))

    writer = Checks(path)
    for sample_id in ("old", "s"):
        writer.note(check := Check(sample_id, "judge", answered={"k": "yes"}), "k")
    before = path.stat().st_ino
    monkeypatch.setattr(os, "fsync", watching)
    writer.over(check)
    (file, then), (folder, now) = synced
    assert (file.parent, then) == (path.parent, before)
    assert (folder, now) == (path.parent, path.stat().st_ino)
    assert now != before


def test_a_folder_that_can_not_be_written(tmp_path: Path):
    """It is one line for the user."""
    (tmp_path / "checks").write_text("a file")
    with pytest.raises(StorageError, match="checks"):
        Checks(tmp_path / "checks" / "r.jsonl").note(Check("s", "judge", answered={"k": "v"}), "k")
