"""Builds that are killed at random moments, and two at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion, counting
from tests.e2e.test_build import spec

pytestmark = pytest.mark.slow
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.timeout(900)
def test_killed_at_random(workplace: Workplace) -> None:
    """Killed five times anywhere in its life, a build loses nothing, buys again what was in flight alone, and ends the same."""
    command = [sys.executable, str(BENCHMARK), "5", "--seed", str(os.getpid())]
    done = subprocess.run(command, env=workplace.environment, text=True, capture_output=True, timeout=850, check=False)
    assert done.returncode == 0, f"--seed {os.getpid()}: {done.stdout}{done.stderr}"
    assert "lost              0" in done.stdout
    assert "equals an undisturbed build's" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_requests_are_slow(workplace: Workplace, number: int) -> None:
    """Requests that take a minute hold nobody up: within seconds what was paid for is landed, and the exit code is 130."""
    late = threading.Event()

    def slow(body: dict, sold: int) -> tuple[int, dict]:
        if sold >= 10:
            late.wait(60)
        return counting(body, sold)

    with LoopbackTeacher(slow) as teacher:
        spec(workplace, teacher.url, limits={"concurrency": 8})
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
        until = time.monotonic() + 120
        while teacher.sold < 10 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.5)  # so that the others are on their way
        began = time.monotonic()
        running.send_signal(number)
        _, stderr = running.communicate(timeout=60)
        took = time.monotonic() - began
        late.set()
    assert running.returncode == 130, stderr
    assert took < 30  # five seconds of grace, and a loaded machine
    assert "Traceback" not in stderr
    assert workplace.count("samples") == 10


@contextlib.contextmanager
def judging(
    workplace: Workplace, *, answers: int, concurrency: int
) -> Iterator[tuple[LoopbackTeacher, subprocess.Popen[str], threading.Event]]:
    """Give a build whose priced judge has answered so many times of ten, and answers again only once the event is set."""
    late = threading.Event()

    def slow(body: dict, sold: int) -> tuple[int, dict]:
        if body["model"] != "judge":
            return counting(body, sold)
        if sold >= 10 + answers:
            late.wait(60)
        return 200, completion(['{"score": 9, "reason": "fine"}'])

    with LoopbackTeacher(slow) as teacher:
        spec(workplace, teacher.url, prompts=10, k=1)
        workplace.build()
        judge = workplace.teacher(teacher.url, name="j", model="judge", draw=False, limits={"concurrency": concurrency})
        workplace.spec["teachers"].append(judge)
        workplace.spec["verify"] = [{"use": "judge", "teacher": "j", "rubric": "?", "pass_at": 7}]
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        until = time.monotonic() + 120
        while teacher.sold < 10 + answers and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.5)  # so that the others are on their way
        try:
            yield teacher, running, late
        finally:
            late.set()


def test_interrupted_while_a_judge_is_slow(workplace: Workplace) -> None:
    """A judge that takes a minute over what is stored holds nobody up either, and the verdicts that it gave by then are kept."""
    with judging(workplace, answers=4, concurrency=8) as (_, running, _late):
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)
        took = time.monotonic() - began
    assert running.returncode == 130, stderr
    assert took < 30
    assert "Traceback" not in stderr
    ended = json.loads(stdout)
    assert (ended["paid"], ended["tokens_in"], ended["tokens_out"]) == (0, 40, 24)
    assert ended["cost_usd"] == pytest.approx(4 * (10 * 1 + 6 * 2) / 1e6)
    assert workplace.query("SELECT count(*) FROM verdicts WHERE verifier = 'judge'") == [(4,)]


def test_killed_while_a_judge_is_asked(workplace: Workplace) -> None:
    """What a judge was paid for is not asked again but for what was in flight, however sudden the end was."""
    with judging(workplace, answers=6, concurrency=1) as (teacher, running, late):
        running.kill()
        running.communicate(timeout=60)
        late.set()
        ended = workplace.build()
        judged = sum(asked["model"] == "judge" for asked in teacher.bodies)
    assert ended["paid"] == 0
    assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM verdicts WHERE verifier = 'judge'") == [(10, 10)]
    assert judged <= 11  # one was in flight


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_a_spec_is_read(lone_workplace: Workplace, number: int) -> None:
    """Whatever hangs before anything was asked, a second signal ends it, and nothing of Prefect's is left."""
    temporary = lone_workplace.folder / "tmp"
    temporary.mkdir()
    lone_workplace.environment["TMPDIR"] = str(temporary)
    hanging = lone_workplace.folder / "spec.yaml"
    os.mkfifo(hanging)
    running = lone_workplace.start("build", str(hanging), "--lake", str(lone_workplace.lake))
    until = time.monotonic() + 60
    while not any(temporary.glob("stillhouse-prefect-*")) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(1)
    running.send_signal(number)
    while running.poll() is None and time.monotonic() < until:  # one that comes in the middle of an import may be lost
        time.sleep(0.2)
        running.send_signal(number)
    _, stderr = running.communicate(timeout=30)
    assert (running.returncode, stderr.splitlines()[-1]) == (130, "interrupted")
    assert not any(temporary.glob("stillhouse-prefect-*"))


def test_interrupted_twice(lone_workplace: Workplace) -> None:
    """A second signal ends a build at once, with a line, and leaves no folder of Prefect's behind."""
    temporary = lone_workplace.folder / "tmp"
    temporary.mkdir()
    lone_workplace.environment["TMPDIR"] = str(temporary)
    asked, late = threading.Event(), threading.Event()

    def slow(body: dict, sold: int) -> tuple[int, dict]:
        asked.set()
        late.wait(60)
        return counting(body, sold)

    with LoopbackTeacher(slow) as teacher:
        spec(lone_workplace, teacher.url)
        running = lone_workplace.start("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake))
        assert asked.wait(120)
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, stderr = running.communicate(timeout=60)
        late.set()
    assert running.returncode == 130, stderr
    assert sum(line.startswith("SIGINT: ") for line in stderr.splitlines()) == 2, stderr
    assert "ended at once" in stderr.splitlines()[-1]
    assert not list(temporary.glob("stillhouse-prefect-*"))


def test_killed_while_much_is_asked_again(workplace: Workplace) -> None:
    """What was paid for and is asked for again is known to later runs, however sudden the end was, and is billed once."""
    late = threading.Event()

    def cutting(body: dict, sold: int) -> tuple[int, dict]:
        if sold >= 30:
            late.wait(60)
        status, document = counting(body, sold)
        if sold < 30:
            document["choices"][0]["finish_reason"] = "length"
        return status, document

    each = (10 * 1 + 6 * 2) / 1e6
    with LoopbackTeacher(cutting) as teacher:
        retry = {"attempts": 40, "first_wait_s": 0.01, "max_wait_s": 0.05, "length": "retry"}
        spec(workplace, teacher.url, prompts=30, k=1, limits={"concurrency": 4}, retry=retry)
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
        until = time.monotonic() + 120
        while teacher.sold < 30 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.5)  # so that others are on their way
        running.kill()
        running.communicate(timeout=60)
        plan = ("plan", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        assert json.loads(workplace.run(*plan).stdout)["spent_usd"] == pytest.approx(30 * each)
        late.set()
        built = workplace.build()
        assert (built["paid"], built["cost_usd"]) == (30, pytest.approx(30 * each))
        assert json.loads(workplace.run(*plan).stdout)["spent_usd"] == pytest.approx(60 * each)
        assert teacher.sold <= 64  # four were in flight
    spend = json.loads(workplace.run("status", "--lake", str(workplace.lake), "--json").stdout)["spend"]
    assert [(row["kind"], row["number"], row["cost_usd"]) for row in spend] == [
        ("teacher", 30, pytest.approx(30 * each)),
        ("in vain", 30, pytest.approx(30 * each)),
    ]


def test_two_specs_that_share_prompts(workplace: Workplace) -> None:
    """Two builds at once of two specs that share prompts buy each sample once; both end well, and the lake is whole."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        running = []
        for name, prompts in (("one", 30), ("two", 40)):
            spec(workplace, teacher.url, prompts=prompts, limits={"concurrency": 4})
            workplace.spec["dataset"] = name
            source = workplace.folder / "prompts.jsonl"
            workplace.spec["prompts"][0]["source"] = str(source.rename(source.with_name(f"{name}.jsonl")))
            path = workplace.write().rename(workplace.folder / f"{name}.yaml")
            running.append(workplace.start("build", str(path), "--lake", str(workplace.lake), "--json"))
        done = [process.communicate(timeout=120) for process in running]
        assert [process.returncode for process in running] == [0, 0], done
        assert teacher.sold == 120
        asked = [(body["messages"][-1]["content"], body["seed"]) for body in teacher.bodies]
        assert len(set(asked)) == 120
    one, two = (json.loads(stdout) for stdout, _ in done)
    assert (one["requested"], two["requested"]) == (90, 120)
    assert one["paid"] + two["paid"] == 120
    assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(120, 120)]
    assert sorted(workplace.query("SELECT dataset, kept FROM builds")) == [("one", 30), ("two", 40)]
    said = workplace.run("doctor", "--lake", str(workplace.lake), "--json")
    assert json.loads(said.stdout)["lake"]["state"] == "ok"


def test_killed_while_a_panel_is_asked(workplace: Workplace) -> None:
    """What a panel's quick members said isn't asked again where a slow one had the build killed, and the budget knows of it."""
    late = threading.Event()

    def judging(body: dict, sold: int) -> tuple[int, dict]:
        return 200, completion(['{"score": 9, "reason": "fine"}'])

    def slow(body: dict, sold: int) -> tuple[int, dict]:
        late.wait(60)
        return judging(body, sold)

    with LoopbackTeacher() as teacher, LoopbackTeacher(judging) as first, LoopbackTeacher(slow) as second:
        spec(workplace, teacher.url, prompts=10, k=1)
        for name, url in (("first", first.url), ("second", second.url)):
            entry = workplace.teacher(url, name=name, model=name, draw=False, limits={"concurrency": 1})
            workplace.spec["teachers"].append(entry)
        workplace.spec["verify"] = [{"use": "judge", "teachers": ["first", "second"], "rubric": "?", "pass_at": 7}]
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        until = time.monotonic() + 120
        while first.sold < 10 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.5)  # so that the last answer is there
        running.kill()
        running.communicate(timeout=60)
        late.set()
        workplace.build()
        plan = json.loads(workplace.run("plan", str(workplace.write()), "--lake", str(workplace.lake), "--json").stdout)
        assert (first.sold, second.sold) == (10, 11)
    assert workplace.query("SELECT count(*) FROM verdicts WHERE passed") == [(10,)]
    assert plan["spent_usd"] == pytest.approx(30 * (10 * 1 + 6 * 2) / 1e6)
