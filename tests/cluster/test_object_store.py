"""A build on a cluster whose lake is on an object store, over a real S3 API: what workers bought outlives all that may die."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from tests.cluster.conftest import bought_twice, ended, kill, spec
from tests.cluster.test_builds import contents
from tests.e2e.conftest import Workplace
from tests.e2e.station import eventually
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_object_store import build, rows
from tests.s3 import KEY, SECRET, Bucket, fine

URL = "s3://lakes/one"
CONCURRENCY = 16
Machine = Callable[[str], None]


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    """Give a bucket of its own."""
    with Bucket(tmp_path) as served:
        yield served


@pytest.fixture
def machine(lone_workplace: Workplace, bucket: Bucket) -> Machine:
    """Return what makes the workplace one of several machines: each has a working copy of its own."""

    def become(name: str) -> None:
        lone_workplace.environment |= bucket.environment | {
            "STILLHOUSE_CACHE": str(lone_workplace.folder / name),
            "STILLHOUSE_LEASE_SECONDS": "8",
            "STILLHOUSE_STORE_PATIENCE_SECONDS": "10",
        }

    become("a")
    return become


@contextlib.contextmanager
def started(place: Workplace) -> Iterator[subprocess.Popen[str]]:
    """Give a build that has begun; it is ended on leaving, stopped or not."""
    running = place.start("build", str(place.write()), "--lake", URL, "--json")
    try:
        yield running
    finally:
        running.kill()
        running.communicate(timeout=60)


def at_work(place: Workplace, name: str) -> list[dict[str, Any]]:
    """Return what the workers tell in a machine's working copy."""
    return [json.loads(path.read_text()) for path in place.folder.glob(f"{name}/lakes/*/journal/outbox/*/*/ledger.json")]


def check_landed(bucket: Bucket, place: Workplace, samples: int) -> None:
    """Check that the store has each sample once, nothing of any outbox, and no key."""
    bought = rows(bucket, place.folder / "seen", "samples", "sample_id")
    assert len(bought) == len(set(bought)) == samples
    assert bucket.keys("one/journal/") == ["one/journal/lease"]
    assert bucket.unsummed == []


@pytest.mark.parametrize("use", ["dask", "ray"])
def test_a_worker_is_killed(lone_workplace: Workplace, bucket: Bucket, machine: Machine, use: str) -> None:
    """Another goes on with what it had in the store: what was in flight is bought again, and another machine sees all of it."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(place, teacher.url, use=use, limits={"concurrency": CONCURRENCY})
        with started(place) as running:
            eventually(lambda: teacher.sold > 150)
            assert [key for key in bucket.keys("one/journal/outbox/") if "/commit-" in key]
            assert not any(secret.encode() in content for secret in (KEY, SECRET) for content in contents(place.folder / "a"))
            (victim, *_) = [ledger for ledger in at_work(place, "a") if ledger["active"]]
            kill(victim["pid"])
            code, out, err = ended(running)
        assert code == 0, err
        assert "was lost" in err
        assert SECRET not in out + err
        assert bought_twice(teacher) <= 2 * CONCURRENCY  # what was on its way to the teacher, and to the store
        summary = json.loads(out)
        assert (summary["requested"], summary["paid"], summary["failed"]) == (1_100, 1_100, 0)
        assert summary["cost_usd"] == pytest.approx(1_100 * 22e-6)
        check_landed(bucket, place, 1_100)
        sold = teacher.sold
        machine("b")
        assert (build(place)["paid"], teacher.sold) == (0, sold)


def test_the_machines_are_gone(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """The run and its workers killed, and their disk lost: another machine buys what was in flight again, and ends the same."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(place, teacher.url, limits={"concurrency": CONCURRENCY})
        with started(place) as running:
            eventually(lambda: teacher.sold > 300)
            kill(running.pid)
            for worker in at_work(place, "a"):
                kill(worker["pid"])
        time.sleep(0.5)
        sold = teacher.sold
        shutil.rmtree(place.folder / "a")
        machine("b")
        summary = build(place)
        assert sold - summary["reused"] <= 2 * CONCURRENCY  # what was on its way to the teacher, and to the store
        assert bought_twice(teacher) <= 2 * CONCURRENCY
    assert summary["reused"] + summary["paid"] == summary["requested"] == 1_100
    check_landed(bucket, place, 1_100)


def test_the_run_is_killed(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """Its workers see that and land; the next build on that machine takes over what they bought, of which the store has all."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(place, teacher.url, limits={"concurrency": CONCURRENCY})
        with started(place):
            eventually(lambda: teacher.sold > 150)
        summary = build(place)
        assert bought_twice(teacher) <= 2 * CONCURRENCY
    assert summary["reused"] > 150 - 2 * CONCURRENCY  # what was sold and on its way then isn't there
    assert summary["reused"] + summary["paid"] == 1_100
    check_landed(bucket, place, 1_100)


def test_a_run_that_slept(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """Another machine takes over from it while its workers live: they find out, and nothing that they counted is bought again."""
    place = lone_workplace
    with LoopbackTeacher(delay_s=0.2) as teacher:
        spec(place, teacher.url, limits={"concurrency": CONCURRENCY})
        with started(place) as first:
            eventually(lambda: teacher.sold > 100)
            first.send_signal(signal.SIGSTOP)
            machine("b")
            place.environment["PREFECT_HOME"] = str(place.folder / "prefect-b")
            summary = build(place)
            assert summary["reused"] > 100
            assert bought_twice(teacher) <= 2 * CONCURRENCY
            found_out = [worker["stopped"][1] for worker in at_work(place, "a")]
            assert found_out
            for line in found_out:
                assert "another machine has taken the lake over" in line or "doesn't renew its lease any more" in line
            first.send_signal(signal.SIGCONT)
            code, _, err = ended(first)
        assert code == 2, err
        assert "Traceback" not in err
        assert "another machine has taken the lake over" in err.strip().splitlines()[-1]
        machine("a")
        sold = teacher.sold
        assert (build(place)["paid"], teacher.sold) == (0, sold)
    check_landed(bucket, place, 1_100)


def test_a_store_that_fails_often(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """A tenth of all requests fail, and for two seconds nobody is there: the build is what it would be, and buys all once."""
    place, chance, lock, away = lone_workplace, random.Random(7), threading.Lock(), list[float]()

    def unreliable(method: str, path: str) -> str | None:
        with lock:
            if away and time.monotonic() < away[0] + 2:
                return "reset"
            return chance.choice(["500", "503", "reset", "lost"]) if chance.random() < 0.1 else None

    bucket.fault = unreliable
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(place, teacher.url, limits={"concurrency": CONCURRENCY})
        with started(place) as running:
            eventually(lambda: teacher.sold > 150)
            away.append(time.monotonic())
            code, out, err = ended(running)
        assert code == 0, err
        assert json.loads(out)["paid"] == 1_100
        assert (teacher.sold, bought_twice(teacher)) == (1_100, 0)
    bucket.fault = fine
    check_landed(bucket, place, 1_100)


def test_a_store_that_stays_away(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """The build ends by a line, and the next one has all that was bought: it is on the disk that they shared."""
    place, away = lone_workplace, threading.Event()
    place.environment["STILLHOUSE_STORE_PATIENCE_SECONDS"] = "3"  # the teacher would have sold all within ten
    bucket.fault = lambda method, path: "503" if away.is_set() else None
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(place, teacher.url, limits={"concurrency": CONCURRENCY})
        with started(place) as running:
            eventually(lambda: teacher.sold > 150)
            away.set()
            code, _, err = ended(running)
        assert code == 2, err
        assert "Traceback" not in err
        assert "s3://lakes/one" in err.strip().splitlines()[-1]
        sold = teacher.sold
        assert sold < 1_100
        bucket.fault = fine
        again = build(place)
        assert again["reused"] == sold
        assert (teacher.sold, bought_twice(teacher)) == (1_100, 0)
    check_landed(bucket, place, 1_100)


def test_two_machines_take_turns(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """Two builds that start at once, each with a cluster: one waits for the other, and all is bought once."""
    place, running = lone_workplace, []
    with LoopbackTeacher(delay_s=0.01) as teacher, contextlib.ExitStack() as stack:
        spec(place, teacher.url, prompts=600, limits={"concurrency": 32})
        for name in ("a", "b"):
            machine(name)
            place.environment["PREFECT_HOME"] = str(place.folder / f"prefect-{name}")
            running.append(stack.enter_context(started(place)))
        done = [ended(process) for process in running]
        assert [code for code, _, _ in done] == [0, 0], done
        assert (teacher.sold, bought_twice(teacher)) == (600, 0)
    assert sorted(json.loads(out)["paid"] for _, out, _ in done) == [0, 600]
    check_landed(bucket, place, 600)


def test_a_worker_without_credentials(lone_workplace: Workplace, bucket: Bucket, machine: Machine) -> None:
    """Workers have them in their own environment: one that doesn't is refused by a line, before anything is bought."""
    place = lone_workplace
    with (
        LoopbackTeacher() as teacher,
        distributed.SpecCluster(  # type: ignore[no-untyped-call]
            scheduler={"cls": distributed.Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}},
            workers={0: {"cls": distributed.Nanny, "options": {"host": "127.0.0.1", "env": {"TEST_KEY": "sk-other"}}}},
        ) as cluster,
    ):
        spec(place, teacher.url, prompts=600)
        place.spec["runner"]["address"] = cluster.scheduler_address
        error = build(place, want=2)["error"]
        assert "a worker on " in error
        assert "with its own environment: s3://lakes/one/journal/lease: can't be read: " in error
        assert teacher.sold == 0
    assert bucket.keys("one/journal/") == ["one/journal/lease"]
