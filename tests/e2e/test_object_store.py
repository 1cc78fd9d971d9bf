"""A lake on S3: builds over a real S3 API that are killed, stopped, refused and cut short, on one machine and on two."""

from __future__ import annotations

import io
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

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import S3FileSystem

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, counting
from tests.e2e.test_build import spec
from tests.s3 import KEY, SECRET, Bucket, fine

pytestmark = pytest.mark.slow
URL = "s3://lakes/one"
LEASE_S = "4"
CONCURRENCY = 8


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    """Give a bucket of its own."""
    with Bucket(tmp_path) as served:
        yield served


@pytest.fixture
def machine(workplace: Workplace, bucket: Bucket) -> Callable[[str], dict[str, str]]:
    """Return what makes the workplace one of several machines: each has a working copy of its own, and its environment."""

    def become(name: str) -> dict[str, str]:
        workplace.environment |= bucket.environment | {
            "STILLHOUSE_CACHE": str(workplace.folder / name),
            "STILLHOUSE_LEASE_SECONDS": LEASE_S,
            "STILLHOUSE_STORE_PATIENCE_SECONDS": "10",
        }
        return workplace.environment

    become("a")
    return become


def build(workplace: Workplace, url: str = URL, want: int = 0) -> dict[str, Any]:
    """Build, check how it ended, and return the summary, or the last line of stderr as `error`."""
    done = workplace.run("build", str(workplace.write()), "--lake", url, "--json")
    assert done.returncode == want, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout
    return json.loads(done.stdout) if want == 0 else {"error": done.stderr.strip().splitlines()[-1]}


def wait_until(condition: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for something to happen while a build runs."""
    until = time.monotonic() + 120
    while not condition() and running.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert condition(), running.communicate(timeout=10) if running.poll() is not None else "it never happened"


def download(bucket: Bucket, folder: Path, prefix: str) -> str:
    """Fetch a table straight from the store, and return the pattern of its files."""
    for key in bucket.keys(f"one/{prefix}/"):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        bucket.client.download_file("lakes", key, str(folder / key))
    return str(folder / "one" / prefix / "**" / "*.parquet")


def rows(bucket: Bucket, folder: Path, prefix: str, columns: str) -> list[tuple[Any, ...]]:
    """Query a table of the lake in the store, in its order."""
    shutil.rmtree(folder, ignore_errors=True)
    with duckdb.connect() as connection:
        source = f"read_parquet('{download(bucket, folder, prefix)}', union_by_name=true, hive_partitioning=false)"
        return connection.execute(f"SELECT {columns} FROM {source} ORDER BY ALL").fetchall()


TRACE = "sample_id, prompt_id, response, answer, score, license, split"


def test_another_machine_goes_on(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """Killed in mid-draw, its disk gone: another machine has all that was counted, buys what was in flight, and ends the same."""
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(workplace, teacher.url, prompts=100, limits={"concurrency": CONCURRENCY})
        running = workplace.start("build", str(workplace.write()), "--lake", URL)
        wait_until(lambda: teacher.sold >= 100, running)
        running.kill()
        running.communicate()
        time.sleep(0.5)
        sold = teacher.sold
        shutil.rmtree(workplace.folder / "a")
        assert len(bucket.keys("one/samples/")) == 1  # nothing but the file without rows: what was bought is in commits
        machine("b")
        second = build(workplace)
        assert sold - second["reused"] <= 2 * CONCURRENCY  # what was on its way to the teacher, and to the store
        assert second["paid"] == 300 - second["reused"]
        assert teacher.sold == sold + second["paid"]
    assert len(rows(bucket, workplace.folder / "seen", "samples", "DISTINCT sample_id")) == 300
    assert [key for key in bucket.keys("one/journal/") if "commit" in key] == []
    found = rows(bucket, workplace.folder / "seen", f"traces/dataset=sums/build={second['build_id']}", TRACE)
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=100)
        undisturbed = workplace.build()
    with duckdb.connect() as connection:
        wanted = connection.execute(
            f"SELECT {TRACE} FROM '{workplace.lake}/traces/dataset=sums/build={undisturbed['build_id']}/*.parquet' ORDER BY ALL"
        ).fetchall()
    assert found == wanted
    assert len(found) == 100


def test_a_machine_that_slept_is_fenced_off(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """Stopped past its lease, a writer is taken over from, and writes nothing when it wakes; its next run adds what it had."""
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(workplace, teacher.url, prompts=100, limits={"concurrency": CONCURRENCY})
        first = workplace.start("build", str(workplace.write()), "--lake", URL)
        wait_until(lambda: teacher.sold >= 100, first)
        first.send_signal(signal.SIGSTOP)
        machine("b")
        second = workplace.run("build", str(workplace.write()), "--lake", URL, "--json")
        assert second.returncode == 0, second.stderr
        assert "another machine" in second.stderr
        assert "waiting for it to end" in second.stderr
        before = bucket.keys("one/")
        first.send_signal(signal.SIGCONT)
        _, stderr = first.communicate(timeout=120)
        assert first.returncode == 2, stderr
        assert "Traceback" not in stderr
        assert "another machine has taken the lake over" in stderr.strip().splitlines()[-1]
        after = bucket.keys("one/")
        assert [key for key in after if key not in before and "/commit-" not in key] == []  # a commit may have been on its way
        assert len(bucket.keys("one/manifests/builds/")) == 1
        machine("a")
        third = build(workplace)
        assert third["paid"] == 0
        assert third["requested"] == 300
    bought = rows(bucket, workplace.folder / "seen", "samples", "sample_id")
    assert len(bought) == len(set(bought)) == 300
    assert [key for key in bucket.keys("one/journal/") if "commit" in key] == []


def test_two_machines_take_turns(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """Two builds that start at once buy everything once."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(workplace, teacher.url, prompts=40)
        running = []
        for name in ("a", "b"):
            machine(name)
            running.append(workplace.start("build", str(workplace.write()), "--lake", URL, "--json"))
        done = [each.communicate(timeout=240) for each in running]
        assert [each.returncode for each in running] == [0, 0], done
        assert teacher.sold == 120
    assert sorted(json.loads(stdout)["paid"] for stdout, _ in done) == [0, 120]


def test_a_store_that_fails_often(workplace: Workplace, bucket: Bucket) -> None:
    """With a fifth of all requests answered by 500 and 503, reset, or done without an answer, a build is what it would be."""
    chance, lock = random.Random(7), threading.Lock()

    def unreliable(method: str, path: str) -> str | None:
        with lock:
            return chance.choice(["500", "503", "reset", "lost"]) if chance.random() < 0.2 else None

    workplace.environment["STILLHOUSE_LEASE_SECONDS"] = "30"
    bucket.fault = unreliable
    with LoopbackTeacher(delay_s=0.02) as teacher:
        spec(workplace, teacher.url, prompts=100)
        workplace.environment |= bucket.environment | {"STILLHOUSE_CACHE": str(workplace.folder / "a")}
        first = build(workplace)
        shutil.rmtree(workplace.folder / "a")
        again = build(workplace)
        assert (teacher.sold, first["paid"], again["paid"], again["reused"]) == (300, 300, 0, 300)
        assert first["kept"] == again["kept"] == 100


def test_an_outage_loses_nothing(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """Where the store stays away, the build ends by a line, and what it bought goes there with the next."""
    away = threading.Event()
    bucket.fault = lambda method, path: "503" if away.is_set() else None

    def selling(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        if sold >= 60:
            away.set()
        return counting(body, sold)

    with LoopbackTeacher(selling, delay_s=0.05) as teacher:
        spec(workplace, teacher.url, prompts=1_000, limits={"concurrency": CONCURRENCY})
        error = build(workplace, want=2)["error"]
        assert "s3://lakes/one" in error
        assert "503" in error
        sold = teacher.sold
        assert sold < 3_000
        bucket.fault = fine
        again = build(workplace)
        assert again["reused"] == sold  # also what was not counted: it is on this machine's disk
        assert teacher.sold == 3_000


def test_uploads_that_are_cut_short(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """A part of which half arrives is noticed, by its size where nobody compares checksums; it goes up again with the next build."""
    bucket.fault = lambda method, path: "cut" if method == "PUT" and "/samples/2" in path and "parquet" in path else None
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=20)
        error = build(workplace, want=2)["error"]
        assert "bytes arrived of the" in error
        assert bucket.keys("one/manifests/") == []
        bucket.fault = fine
        assert build(workplace)["paid"] == 0
        assert teacher.sold == 60
    assert len(rows(bucket, workplace.folder / "seen", "samples", "sample_id")) == 60


def test_what_is_refused(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """A bucket that isn't there, credentials that are refused, and a store that can't be reached are a line each, with no key in it."""
    cases = [
        ("s3://nowhere-at-all/lake", None, "there is no such bucket"),
        (URL, "403", "the store refuses these credentials (InvalidAccessKeyId)"),
        (URL, "reset", "can't be reached"),
    ]
    workplace.environment["STILLHOUSE_STORE_PATIENCE_SECONDS"] = "1"
    for url, fault, said in cases:
        bucket.fault = lambda method, path, fault=fault: fault
        done = workplace.run("status", "--lake", url)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert KEY not in done.stderr
        assert SECRET not in done.stderr


def test_looking_from_another_machine(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """Another machine sees, exports and examines what was built, and fetches of it what that takes; so does whoever has no stillhouse."""
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=20)
        landed = build(workplace)
    assert bucket.unsummed == []
    machine("b")
    copy = workplace.folder / "b"
    seen = json.loads(workplace.run("status", "--lake", URL, "--json").stdout)
    assert (seen["lake"], seen["samples"], seen["verdicts"]) == (URL, 60, 60)
    assert not list(copy.rglob("traces"))
    shown = json.loads(workplace.run("show", "sums", "--lake", URL, "--json", "-n", "100").stdout)
    assert len(shown["samples"]) == 20
    exported = workplace.run("export", "sums", "--to", "out/x", "--lake", URL, "--json")
    assert json.loads(exported.stdout)["rows"] == 20, exported.stderr
    assert len(bucket.keys("one/manifests/exports/")) == 1
    examined = workplace.run("doctor", "--lake", URL, "--json")
    found = json.loads(examined.stdout)
    assert found["lake"] == {"state": "ok", "detail": f"{URL}: 1 build, nothing is damaged"}
    assert str(copy) in found["working copy"]["detail"]
    store = S3FileSystem(endpoint_override=bucket.url, access_key=KEY, secret_key=SECRET, region="us-east-1")
    folder = f"lakes/one/traces/dataset=sums/build={landed['build_id']}"
    assert ds.dataset(folder, filesystem=store, format="parquet").count_rows() == 20


def test_prompts_from_there_and_exports_to_there(workplace: Workplace, bucket: Bucket, machine: Callable[[str], object]) -> None:
    """With a lake on this machine too: prompts are read from a bucket, shards go to one, and come out the same when built again."""
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=10)
        bucket.client.upload_file(workplace.spec["prompts"][0]["source"], "lakes", "in/p.jsonl")
        workplace.spec["prompts"][0]["source"] = "s3://lakes/in/*.jsonl"
        workplace.spec["exports"] = [{"format": "messages", "to": "s3://lakes/out/sums", "shards": 2}]
        written: list[dict[str, bytes]] = []
        for _ in range(2):
            built = build(workplace, "lake")
            keys = bucket.keys("out/sums/")
            written.append({key: bucket.client.get_object(Bucket="lakes", Key=key)["Body"].read() for key in keys})
        assert teacher.sold == 30
    shards = [key for key in written[0] if key.endswith(".parquet")]
    assert [key.rpartition("/")[2] for key in shards] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert [written[0][key] for key in shards] == [written[1][key] for key in shards]
    assert sum(pq.read_metadata(io.BytesIO(written[0][key])).num_rows for key in shards) == built["kept"] > 0
    assert {"README.md", "NOTICE", "manifest.json"} <= {key.rpartition("/")[2] for key in written[0]}
