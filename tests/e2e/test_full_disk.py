"""A disk that fills up in the middle of a build, at whatever step: one line, nothing lost, nothing bought twice."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND, Workplace
from tests.e2e.teacher import LoopbackTeacher, completion
from tests.e2e.test_build import spec
from tests.storage.disk import SmallDisk, small_disk

pytestmark = pytest.mark.slow


def wordy(body: dict, sold: int) -> tuple[int, dict]:
    """Answer with 20,000 characters that zstd makes little smaller."""
    seed = body["messages"][-1]["content"] + str(body.get("seed"))
    return 200, completion([f"{random.Random(seed).randbytes(10_000).hex()} The answer is 1."])


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command ended with one line and exit 2, and return the line."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    return line


def test_a_disk_that_fills_up(workplace: Workplace, tmp_path: Path) -> None:
    """With more and more room a build gets further, until it lands; in sum it buys every sample once, and each refusal is a line."""
    with LoopbackTeacher(wordy) as teacher, small_disk(tmp_path / "disk", 64 * 2**20) as disk:
        workplace.lake = disk.root / "lake"
        spec(workplace, teacher.url, prompts=60, limits={"concurrency": 16})
        workplace.spec["exports"] = [{"to": str(disk.root / "out")}]
        path, refused = str(workplace.write()), []
        for free in (0, 2, 5, 7, 9, 12, 30):
            disk.leave(free * 2**20)
            done = workplace.run("build", path, "--lake", str(workplace.lake), "--json")
            if done.returncode == 0:
                break
            line = one_line(done)
            assert "No space left on device" in line or "no room" in line
            refused.append(line)
        assert len(refused) >= 3, refused
        assert any("journal can't be written" in line or "parquet: can't be written" in line for line in refused), refused
        assert json.loads(done.stdout)["requested"] == 180
        assert teacher.sold == 180
        assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(180, 180)]
        assert not [path for path in workplace.lake.rglob("*") if path.name.endswith(".tmp") or path.name == "reserve"]
        disk.empty()
        assert workplace.run("doctor", "--lake", str(workplace.lake)).stdout.count("nothing is damaged") == 1


def test_a_disk_that_fills_up_meanwhile(workplace: Workplace, tmp_path: Path) -> None:
    """Somebody else takes the room while requests are in flight: what they bring is kept, and a rerun buys only the rest."""
    full = threading.Event()

    def answering(body: dict, sold: int) -> tuple[int, dict]:
        if sold == 60:
            full.wait(60)
        return wordy(body, sold)

    with LoopbackTeacher(answering, delay_s=0.1) as teacher, small_disk(tmp_path / "disk", 64 * 2**20) as disk:
        workplace.lake = disk.root / "lake"
        spec(workplace, teacher.url, prompts=60, limits={"concurrency": 16})
        filling = threading.Thread(target=fill_after, args=(disk, teacher, 40, full))
        filling.start()
        done = workplace.run("build", str(workplace.write()), "--lake", str(workplace.lake))
        filling.join()
        assert "No space left on device" in one_line(done)
        sold = teacher.sold
        assert 40 <= sold < 180
        disk.empty()
        assert workplace.build()["reused"] == sold
        assert teacher.sold == 180


def fill_after(disk: SmallDisk, teacher: LoopbackTeacher, sold: int, full: threading.Event) -> None:
    """Take all room once the teacher sold so many, and say so."""
    until = time.monotonic() + 120
    while teacher.sold < sold and time.monotonic() < until:
        time.sleep(0.01)
    disk.leave(0)
    full.set()


def test_a_file_that_may_not_grow(workplace: Workplace) -> None:
    """Where files may not grow as large as the journal's reserve, a build says so before it buys anything."""
    with LoopbackTeacher(wordy) as teacher:
        spec(workplace, teacher.url, prompts=60, limits={"concurrency": 4})
        command = [COMMAND, "build", str(workplace.write()), "--lake", str(workplace.lake)]
        done = subprocess.run(
            command,
            cwd=workplace.folder,
            env=workplace.environment,
            text=True,
            capture_output=True,
            timeout=240,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 2**20, resource.RLIM_INFINITY)),
        )
        assert "File too large" in one_line(done)
        assert teacher.sold == 0
        assert workplace.build()["paid"] == 180
