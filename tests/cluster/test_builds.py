"""A build on a cluster gives what a build in one process gives, whatever is killed meanwhile."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import bought_twice, ended, kill, ledgers, nothing_is_left, spec
from tests.e2e.conftest import Workplace
from tests.e2e.station import eventually
from tests.e2e.teacher import LoopbackTeacher

TABLES = ("samples", "verdicts")
SNAPSHOT = "SELECT prompt_id, teacher, sample_index, sample_id, outcome, stage, reason FROM outcomes ORDER BY ALL"


def exported(folder: Path) -> dict[str, bytes]:
    """Return an export's files, less what names the build and its time."""
    return {path.name: path.read_bytes() for path in folder.glob("*.jsonl*")}


@pytest.mark.parametrize("use", ["dask", "ray"])
def test_the_same_as_in_one_process(lone_workplace: Workplace, use: str) -> None:
    """Outcomes, counts and the bytes of exports are those of a build without a cluster; a rerun buys nothing."""
    place, found = lone_workplace, list[Any]()
    with LoopbackTeacher(delay_s=0.01) as teacher:
        for runner in ("local", use):
            spec(place, teacher.url, use=use, limits={"concurrency": 32})
            with (place.folder / "prompts.jsonl").open("a") as file:  # one that shares its sample with the first shard's first
                file.write(json.dumps({"id": "twin", "prompt": "How many in case 0?", "reference": "0"}) + "\n")
            place.lake = place.folder / f"lake-{runner}"
            to = place.folder / f"out-{runner}"
            place.spec["exports"] = [{"format": "messages", "to": str(to)}]
            done = place.run("build", str(place.write()), "--lake", str(place.lake), "--runner", runner, "--json")
            assert done.returncode == 0, done.stderr
            assert " - INFO - " not in done.stderr  # whoever runs a cluster's parts has nothing to say to a user
            summary = json.loads(done.stdout)
            counts = {name: summary[name] for name in ("prompts", "requested", "paid", "kept", "rejected", "failed", "cost_usd")}
            counts["cost_usd"] = round(counts["cost_usd"], 9)
            found.append((counts, place.query(SNAPSHOT), exported(to)))
        assert found[0] == found[1]
        assert found[0][0]["paid"] == 1_100
        assert teacher.sold == 2_200
        assert nothing_is_left(place)
        again = place.run("build", str(place.write()), "--lake", str(place.lake), "--json")
        assert json.loads(again.stdout)["paid"] == 0, again.stderr
        assert teacher.sold == 2_200


@pytest.mark.parametrize("use", ["dask", "ray"])
def test_a_worker_is_killed(lone_workplace: Workplace, use: str) -> None:
    """Another worker goes on with the shard: what was lost is what was in flight, and the sums are right."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(place, teacher.url, use=use, limits={"concurrency": 16})
        running = place.start("build", str(place.write()), "--lake", str(place.lake), "--json")
        try:
            eventually(lambda: teacher.sold > 150)
            (victim, *_) = [ledger for ledger in ledgers(place) if ledger["active"]]
            kill(victim["pid"])
            code, out, err = ended(running)
        finally:
            running.kill()
        assert code == 0, err
        assert "was lost" in err
        assert bought_twice(teacher) <= 16
    summary = json.loads(out)
    assert (summary["requested"], summary["paid"], summary["failed"]) == (1_100, 1_100, 0)
    assert place.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(1_100, 1_100)]
    assert summary["cost_usd"] == pytest.approx(1_100 * 22e-6)
    assert nothing_is_left(place)


def test_the_run_is_killed(lone_workplace: Workplace) -> None:
    """Its workers see that nobody waits for them and end; the next build takes over what they bought, and buys the rest."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(place, teacher.url, limits={"concurrency": 16})
        running = place.start("build", str(place.write()), "--lake", str(place.lake), "--json")
        eventually(lambda: teacher.sold > 150)
        kill(running.pid)
        running.communicate(timeout=60)
        left = list(contents(place.folder))
        assert any(b"case 7?" in content for content in left)
        assert not any(b"sk-canary" in content for content in left)
        summary = place.build()
        assert bought_twice(teacher) <= 32
    assert summary["requested"] == 1_100
    assert summary["reused"] >= 150
    assert summary["reused"] + summary["paid"] == 1_100
    assert place.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(1_100, 1_100)]
    assert nothing_is_left(place)


def contents(folder: Path) -> Iterator[bytes]:
    """Yield all files, less those that go meanwhile."""
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            yield path.read_bytes()


def test_interrupted(lone_workplace: Workplace) -> None:
    """SIGINT reaches the whole terminal: the run ends with 130, and all that was bought is landed; a rerun goes on."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(place, teacher.url, limits={"concurrency": 16})
        running = place.start("build", str(place.write()), "--lake", str(place.lake), "--json")
        eventually(lambda: teacher.sold > 100)
        for ledger in ledgers(place):
            signal.pidfd_send_signal(_pidfd(ledger["pid"]), signal.SIGINT)
        running.send_signal(signal.SIGINT)
        code, _, err = ended(running)
        assert code == 130, err
        assert "Traceback" not in err
        assert place.count("samples") == teacher.sold < 1_100
        assert nothing_is_left(place)


def _pidfd(pid: int) -> int:
    import os

    return os.pidfd_open(pid)


def test_the_budget(lone_workplace: Workplace) -> None:
    """All workers together spend it to its end, exceed it by what was in flight and no more, and a rerun goes on."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.02) as teacher:
        spec(place, teacher.url, limits={"concurrency": 16})
        place.spec["budget"] = {"usd": 500 * 22e-6}
        place.build(4)
        assert 500 <= teacher.sold <= 516
        assert place.count("samples") == teacher.sold
        place.spec["budget"] = {"usd": 1.0}
        before = teacher.sold
        assert place.build()["paid"] == 1_100 - before


def test_a_teacher_that_is_down(lone_workplace: Workplace) -> None:
    """What one worker finds out of its teacher ends the run for all of them, with the same exit code."""
    place = lone_workplace
    with LoopbackTeacher(lambda body, sold: (503, {})) as teacher:
        spec(place, teacher.url, prompts=600)
        assert "stayed unavailable" in place.build(5)["error"]
    assert nothing_is_left(place)


def test_two_builds_at_once(workplace: Workplace) -> None:
    """Two runs with a cluster each on one lake: one after the other, nothing bought twice, and both whole."""
    place, running = workplace, []
    with LoopbackTeacher(delay_s=0.01) as teacher:
        for name, prompts in (("one", 600), ("two", 700)):
            spec(place, teacher.url, prompts=prompts, limits={"concurrency": 32})
            place.spec["dataset"] = name
            source = place.folder / "prompts.jsonl"
            place.spec["prompts"][0]["source"] = str(source.rename(source.with_name(f"{name}.jsonl")))
            path = place.write().rename(place.folder / f"{name}.yaml")
            running.append(place.start("build", str(path), "--lake", str(place.lake), "--json"))
        done = [ended(process) for process in running]
        assert [code for code, _, _ in done] == [0, 0], done
        assert (teacher.sold, bought_twice(teacher)) == (700, 0)
    assert sorted(place.query("SELECT dataset, requested FROM builds")) == [("one", 600), ("two", 700)]
    assert nothing_is_left(place)


@pytest.mark.parametrize("use", ["dask", "ray"])
def test_judged_apart(lone_workplace: Workplace, use: str) -> None:
    """Some workers draw and one judges what they drew: the verdicts are those of a build in one process."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.02) as teacher:
        spec(place, teacher.url, use=use, limits={"concurrency": 32})
        place.spec["runner"]["verdict_workers"] = 1
        summary = place.build()
        assert (teacher.sold, summary["paid"], summary["requested"]) == (1_100, 1_100, 1_100)
        found = place.query(SNAPSHOT)
        samples, verdicts = (
            {part.name.rsplit("-", 1)[0] for part in (place.lake / table).glob("2*.parquet")} for table in TABLES
        )
        assert verdicts
        if use == "dask":  # whose workers are of one kind each; a process of Ray's takes up whatever its node has room for
            assert not samples & verdicts
        del place.spec["runner"]
        place.lake = place.folder / "other"
        place.build()
    assert found == place.query(SNAPSHOT)
