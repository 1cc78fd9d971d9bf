"""stillhouse beside Curator and datatrove: the same prompts, the same teacher, the whole command of each, one after another.

    .venv/bin/python benchmarks/peers.py [--samples 10000] [--prefect URL] [--rounds 3] [--only stillhouse curator] [--kill]

A teacher on loopback takes 50 ms for an answer; each program may have 256 requests in flight, with no limit of rate. Each peer
runs in a virtual environment of its own under benchmarks/.peers, which is made on first use, by a driver in benchmarks/peers
written as its documentation does, in a fresh folder, with telemetry and look-ups off. stillhouse also judges, curates and lands
what it bought; the peers store the responses. Seconds are of the whole command, from its start to its end; memory is the
most that its process and all that it started held at a time, what they share counted for each.

With --kill, each is killed with SIGKILL when the teacher has sold half, started again in the same folder and left to end. What
the teacher sold beyond the samples asked for was bought twice. What was in flight at the kill, 256 at most, can't be anything
else; a program that has less in flight than it may is slower, and loses less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teacher import Running, running

HERE = Path(__file__).resolve().parent
VENVS = HERE / ".peers"
UV = HERE.parent / ".uv" / "bin" / "uv"
BIN = Path(sys.executable).parent
IN_FLIGHT = 256
LATENCY_S = 0.05
LATEST = "2026-11-24"
"""Day up to which releases count, so that what the peers' pinned versions need is the same each time."""
PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TELEMETRY_ENABLED": "false",
}
"""What keeps the peers from calling home, or for a list of prices, while the clock runs."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that asks the teacher for one response a prompt."""

    name: str
    """As in the tables."""
    key: str
    """As on the command line."""
    driver: str = ""
    """The script in benchmarks/peers that runs it; empty: stillhouse itself."""
    options: tuple[str, ...] = ()
    """Further arguments of the script."""
    prefect: str = ""
    """Address of a running Prefect server; empty: a temporary one (stillhouse alone)."""

    def command(self, prompts: Path, folder: Path, url: str) -> list[str]:
        """Return what to start, which reads the prompts and keeps all in the folder."""
        if self.driver:
            return [str(python(self.driver)), str(HERE / "peers" / self.driver), str(prompts), str(folder), url, *self.options]
        teacher = {"name": "t", "provider": "openai", "model": "m", "base_url": url, "license": "MIT"}
        spec = {
            "dataset": "peers",
            "prompts": [{"source": str(prompts), "license": "CC0-1.0"}],
            "teachers": [teacher | {"limits": {"concurrency": IN_FLIGHT}}],
            "verify": [{"use": "exact_match", "kind": "number"}],
            "dedup": {"exact": False},  # the teacher answers all alike: dropping that would spare the landing
        }
        path = folder / "spec.json"
        path.write_text(json.dumps(spec))
        return [str(BIN / "stillhouse"), "build", str(path), "--json", "--lake", str(folder / "lake")]

    def environment(self, folder: Path) -> dict[str, str]:
        """Return its environment: caches in the folder, nothing of the user's own settings."""
        mine = ("PREFECT_", "STILLHOUSE_", "CURATOR_", "HF_", "LITELLM_", "TIKTOKEN_", "OPENAI_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        if not self.driver:
            return environment | ({"PREFECT_API_URL": self.prefect} if self.prefect else {})
        environment |= QUIET | {"HF_HOME": str(folder / "hf"), "XDG_CACHE_HOME": str(folder / "cache")}
        # Curator reads OpenAI's table of tokens at its start. LiteLLM brings it along, so nothing needs to be fetched.
        for found in python(self.driver).parents[1].glob("lib/*/site-packages/litellm/litellm_core_utils/tokenizers"):
            environment["TIKTOKEN_CACHE_DIR"] = str(found)
        return environment

    def samples(self, stdout: str) -> int:
        """Return how many responses it says that it has, all that it was asked for."""
        summary = json.loads(stdout.splitlines()[-1])
        if self.driver:
            return int(summary["samples"])
        assert summary["paid"] + summary["reused"] == summary["kept"], summary
        return int(summary["kept"])


def programs(prefect: str | None) -> list[Program]:
    """Return all that are compared; the first is what the others are held against."""
    found = [Program(name="stillhouse", key="stillhouse")]
    if prefect:
        found.append(Program(name="stillhouse, running Prefect", key="stillhouse", prefect=prefect))
    return [
        *found,
        Program(name="Curator", key="curator", driver="with_curator.py"),
        Program(name="datatrove, 1 task", key="datatrove", driver="with_datatrove.py"),
        Program(name="datatrove, 4 tasks", key="datatrove", driver="with_datatrove.py", options=("--tasks=4",)),
        Program(name="datatrove, no checkpoints", key="datatrove", driver="with_datatrove.py", options=("--no-checkpoints",)),
    ]


def python(driver: str) -> Path:
    """Return the interpreter of a driver's virtual environment."""
    return VENVS / Path(driver).stem.removeprefix("with_") / "bin" / "python"


def install(driver: str) -> None:
    """Make a driver's virtual environment, of the requirements at its head, where it isn't there or they have changed."""
    at, script = python(driver).parents[1], (HERE / "peers" / driver).read_text()
    wanted = re.search(r"^# dependencies = (\[.*?\])$", script, re.MULTILINE)
    assert wanted, driver
    stamp, state = at / ".installed", f"{wanted[1]} {LATEST}"
    if stamp.exists() and stamp.read_text() == state:
        return
    print(f"installing {wanted[1]} into {at}", file=sys.stderr)
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, at], check=True)
    install = [UV, "pip", "install", "--quiet", "--compile-bytecode", "--exclude-newer", LATEST, "--python", python(driver)]
    subprocess.run([*install, *json.loads(wanted[1])], check=True)
    stamp.write_text(state)


def tree(root: int) -> list[int]:
    """Return a process and all that it started, and they, as far as they still run."""
    found = [root]
    for process in found:  # grows as it goes
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return found


class Watch(threading.Thread):
    """Looks at a tree of processes until it is told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.peak = 0
        self.ticks: dict[int, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Look five times a second: often enough to see a peak, rarely enough not to be seen."""
        while not self.over.wait(0.2):
            resident = 0
            for process in tree(self.root):
                with contextlib.suppress(OSError):
                    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                    self.ticks[process] = int(fields[11]) + int(fields[12])
                    resident += int(fields[21]) * PAGE
            self.peak = max(self.peak, resident)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run, or a run that was killed and started again, came to."""

    seconds: float
    """Of the whole command; of the second one after a kill."""
    cpu: float
    """Seconds that the processes computed, which a busy machine hardly changes."""
    memory: int
    """Most bytes that the processes held together."""
    asked: int
    """Requests that the teacher saw."""
    sold: int
    """Responses that the teacher sold."""
    sold_at_kill: int = 0
    """Of these, those before the kill."""


@contextlib.contextmanager
def started(program: Program, prompts: Path, folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program, its output in files; when this is left, nothing of it runs any more."""
    command, environment = program.command(prompts, folder, url), program.environment(folder)
    with (folder / "stdout").open("w") as stdout, (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=stdout, stderr=stderr, start_new_session=True
        )
        try:
            yield process
        finally:
            for each in tree(process.pid) if process.poll() is None else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            process.wait()


def whole(program: Program, prompts: Path, folder: Path, teacher: Running, samples: int) -> tuple[float, float, int]:
    """Run a program to its end, and return its seconds, those that it computed, and its peak memory."""
    began = time.perf_counter()
    with started(program, prompts, folder, teacher.url) as process:
        watch = Watch(process.pid)
        watch.start()
        code = process.wait()
        took = time.perf_counter() - began
        watch.over.set()
        watch.join()
    if code != 0:
        raise SystemExit(f"{program.name}: exit {code}\n{(folder / 'stderr').read_text()[-4_000:]}")
    got = program.samples((folder / "stdout").read_text())
    assert got == samples, f"{program.name}: {got} of {samples}"
    return took, sum(watch.ticks.values()) / TICK, watch.peak


def measure(program: Program, prompts: Path, samples: int, *, kill: bool) -> Result:
    """Run a program in a fresh folder against a fresh teacher."""
    with tempfile.TemporaryDirectory() as name, running(latency=LATENCY_S) as teacher:
        folder, before = Path(name), {"sold": 0}
        if kill:
            with started(program, prompts, folder, teacher.url) as process:
                while (before := teacher.stats())["sold"] < samples / 2:
                    assert process.poll() is None, f"{program.name} ended before it was killed: {process.returncode}"
                    time.sleep(0.02)
            time.sleep(4 * LATENCY_S)  # what had been asked for is sold, and comes to nobody
        seconds, cpu, memory = whole(program, prompts, folder, teacher, samples)
        stats: dict[str, Any] = teacher.stats()
        assert stats["distinct"] == samples, f"{program.name}: {stats['distinct']} different requests of {samples}"
        return Result(
            seconds=seconds,
            cpu=cpu,
            memory=memory,
            asked=stats["asked"],
            sold=stats["sold"],
            sold_at_kill=before["sold"],
        )


def middle(results: list[Result]) -> Result:
    """Return the run of the median time."""
    at = statistics.median_low([result.seconds for result in results])
    return next(result for result in results if result.seconds == at)


def table(results: dict[str, list[Result]], samples: int, *, kill: bool) -> str:
    """Return a line for each program, of its run of the median time."""
    runs = {name: middle(found) for name, found in results.items()}
    first = next(iter(runs.values())).seconds
    rows: list[dict[str, str]] = []
    for name, run in runs.items():
        row = {"program": name, "samples": f"{samples:,}"}
        if kill:
            row |= {"sold at kill": f"{run.sold_at_kill:,}", "sold in all": f"{run.sold:,}"}
            row |= {"bought twice": f"{run.sold - samples:,}", "seconds of 2nd start": f"{run.seconds:.1f}"}
        else:
            row |= {"seconds": f"{run.seconds:.1f}", "samples/s": f"{samples / run.seconds:,.0f}"}
            row |= {"CPU s": f"{run.cpu:.1f}", "peak MB": f"{run.memory / 1e6:,.0f}", "requests": f"{run.asked:,}"}
            row |= {"1st's rate / this": f"{run.seconds / first:.2f}"}
        rows.append(row)
    widths = {title: max(len(title), *(len(row[title]) for row in rows)) for title in rows[0]}
    lines = [dict(zip(widths, widths, strict=True)), *rows]
    return "\n".join(
        "  ".join(cell.ljust(widths[title]) if title == "program" else cell.rjust(widths[title]) for title, cell in line.items())
        for line in lines
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compare whole commands of programs that ask a teacher.")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--prefect", help="also run with the Prefect server whose API is at this address")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each, in turn; the median is printed")
    parser.add_argument("--only", nargs="+", choices=("stillhouse", "curator", "datatrove"), help="leave the others out")
    parser.add_argument("--kill", action="store_true", help="kill each halfway, and count what is bought twice")
    given = parser.parse_args()
    wanted = [program for program in programs(given.prefect) if not given.only or program.key in given.only]
    for driver in {program.driver for program in wanted if program.driver}:
        install(driver)
    results: dict[str, list[Result]] = {program.name: [] for program in wanted}
    with tempfile.TemporaryDirectory() as name:
        prompts = Path(name, "prompts.jsonl")
        rows = ({"id": f"p{at}", "prompt": f"How many in case {at}?", "reference": "7"} for at in range(given.samples))
        prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for _ in range(given.rounds):
            for program in wanted:
                results[program.name].append(measure(program, prompts, given.samples, kill=given.kill))
    print(table(results, given.samples, kill=given.kill))


if __name__ == "__main__":
    main()
