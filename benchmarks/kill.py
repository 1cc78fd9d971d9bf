"""What SIGKILL costs: one build, killed again and again at random moments of its whole life, and then left to end.

    .venv/bin/python benchmarks/kill.py 50

A teacher in a process of its own writes down every response that it sells. Prints what was bought twice beside what was in flight
at the kills, what was lost (0), and whether the last snapshot is that of a build which nobody disturbed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from storage import segments

BIN = Path(sys.executable).parent
K = 4
CONCURRENCY = 32
STAGES = {"starting Prefect", "reading prompts", "judging stored samples", "drawing and verifying", "curating", "landing"}
SNAPSHOT = {
    "outcomes": "*",
    "traces": "* EXCLUDE (build_id, created_at)",
    "prompts": "*",
}
"""By table, what doesn't depend on which build it was, or when."""


class Seller(asyncio.Protocol):
    """Answers OpenAI's chat completions over HTTP/1.1 after a moment, and logs it at once: asked, and sold or gone."""

    def __init__(self, log: int, delay_s: float) -> None:
        """Write to the descriptor `log`."""
        self._log = log
        self._delay_s = delay_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Remember the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take whole requests out of what has come."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, rest = self._buffer.split(b"\r\n\r\n", 1)
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            body = json.loads(rest[:length])
            name = f"{body['messages'][-1]['content']}#{body['seed']}".replace(" ", "_")
            os.write(self._log, f"asked {name}\n".encode())
            asyncio.get_running_loop().call_later(self._delay_s, self._answer, name, body["seed"])

    def _answer(self, name: str, seed: int) -> None:
        if self._transport is None or self._transport.is_closing():
            os.write(self._log, f"gone {name}\n".encode())
            return
        text = f"{hashlib.sha256(name.encode()).hexdigest()} The answer is {seed % 3}."
        document = {
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20},
        }
        raw = json.dumps(document).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        self._transport.write(head.encode() + raw)
        os.write(self._log, f"sold {name}\n".encode())


async def sell(port: int, log: Path, delay_s: float) -> None:
    """Sell for ever."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    server = await asyncio.get_running_loop().create_server(lambda: Seller(handle, delay_s), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


@dataclass(slots=True)
class Result:
    """What the kills came to."""

    kills: int = 0
    """Builds that were killed."""
    stages: Counter[str] = field(default_factory=Counter)
    """What each was at."""
    sold: int = 0
    """Responses that the teacher sold in all, those that came to nobody included."""
    again: int = 0
    """Of these, those of a sample that it had sold before."""
    in_flight: list[int] = field(default_factory=list)
    """By kill, the responses that had been asked for and weren't on disk yet."""
    lost: int = 0
    """Samples that were on disk after a kill and weren't any more later."""
    wanted: int = 0
    """Samples of the spec."""
    same: bool = False
    """Whether the last snapshot is that of an undisturbed build."""
    twice: int = 0
    """Samples that are in the lake more than once."""

    def problems(self) -> list[str]:
        """Return what isn't as promised."""
        most = max(self.in_flight, default=0)
        return [
            text
            for wrong, text in (
                (self.lost, f"{self.lost} samples were lost"),
                (self.twice, f"{self.twice} samples are in the lake twice"),
                (self.again > sum(self.in_flight), f"bought again: {self.again}, in flight: {sum(self.in_flight)}"),
                (most > CONCURRENCY, f"{most} in flight at one kill, where {CONCURRENCY} may be asked for at a time"),
                (self.sold - self.again != self.wanted, f"{self.sold - self.again} different samples of {self.wanted}"),
                (not self.same, "the snapshot differs from an undisturbed build's"),
            )
            if wrong
        ]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def child(command: list[str], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until this is left."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def prefect(folder: Path) -> Iterator[str]:
    """Run a Prefect server and give its API's address: a temporary one for each start would take most of the time."""
    port = free_port()
    environment = os.environ | {"PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with child(command, env=environment) as process:
        url = f"http://127.0.0.1:{port}/api"
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the Prefect server did not start")
            time.sleep(0.2)
        yield url


class Bench:
    """A folder with a spec, a teacher that keeps a log, and two lakes: one disturbed, one not."""

    def __init__(self, folder: Path, *, prompts: int, delay_s: float, url: str) -> None:
        """Write prompts and spec, whose exports and verdicts are part of what is killed."""
        self.folder = folder
        self.log = folder / "sold.log"
        self.log.touch()
        self.port = free_port()
        self.prompts = prompts
        self.delay_s = delay_s
        self.environment = os.environ | {"PREFECT_API_URL": url, "PREFECT_HOME": str(folder / "prefect-home")}
        rows = [{"id": f"p{i}", "prompt": f"Case {i}?", "reference": str(i % 3)} for i in range(prompts)]
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write(self, name: str, limit: int) -> Path:
        """Write a spec of so many prompts, whose export goes to a folder of that name."""
        teacher = {
            "name": "t",
            "provider": "openai",
            "model": "m",
            "base_url": f"http://127.0.0.1:{self.port}/v1",
            "license": "MIT",
            "limits": {"concurrency": CONCURRENCY},
        }
        spec = {
            "dataset": "kill",
            "prompts": [{"source": str(self.folder / "prompts.jsonl"), "license": "MIT", "limit": limit}],
            "teachers": [teacher],
            "sampling": {"k": K, "seed": 0},
            "verify": [{"use": "exact_match", "kind": "number"}],
            "exports": [{"to": str(self.folder / f"out-{name}")}],
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(spec))
        return path

    def start(self, name: str, limit: int) -> subprocess.Popen[str]:
        """Start a build in a process group of its own."""
        command = [str(BIN / "stillhouse"), "build", str(self.write(name, limit)), "--lake", str(self.folder / name), "--json"]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "stderr.log").open("w"),
            start_new_session=True,
        )

    def whole(self, name: str, limit: int) -> float:
        """Build to the end and return the seconds that it took."""
        began = time.monotonic()
        running = self.start(name, limit)
        stdout, _ = running.communicate(timeout=600)
        if running.returncode != 0:
            raise RuntimeError(f"exit {running.returncode}: {(self.folder / 'stderr.log').read_text()}{stdout}")
        return time.monotonic() - began

    def events(self) -> list[tuple[str, str]]:
        """Return what the teacher wrote down: (asked, sold or gone, sample)."""
        return [(kind, name) for kind, _, name in (line.partition(" ") for line in self.log.read_text().splitlines())]

    def asked(self) -> int:
        """Return how many samples the teacher was asked for."""
        return sum(kind == "asked" for kind, _ in self.events())

    def stored(self, name: str) -> list[str]:
        """Return the ids of all samples that are on disk: in parts and in the journal."""
        lake = self.folder / name
        found = [i for part in (lake / "samples").glob("*.parquet") for i in pq.read_table(part)["sample_id"].to_pylist()]
        for segment in (lake / "journal").glob("*.jsonl"):
            if not (lake / "samples" / f"{segment.stem}.parquet").exists():
                found += [row["sample_id"] for row in segments.read(segment)]
        return found

    def snapshot(self, name: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return the newest build's tables, in no order."""
        manifests = [json.loads(path.read_text()) for path in (self.folder / name / "manifests" / "builds").glob("*.json")]
        build = max(manifests, key=lambda each: each["created_at"])["build_id"]
        with duckdb.connect() as connection:
            return {
                table: connection.execute(
                    f"SELECT {columns} FROM read_parquet('{self.folder / name}/{table}/*/build={build}/*.parquet', "
                    "hive_partitioning=false) ORDER BY ALL"
                ).fetchall()
                for table, columns in SNAPSHOT.items()
            }

    def stage(self) -> str:
        """Return what the build that was started last said that it did."""
        lines = [line for line in (self.folder / "stderr.log").read_text().splitlines() if line in STAGES]
        return lines[-1] if lines else "starting"

    def disturb(self, kills: int, rng: random.Random) -> Result:
        """Kill a build at random moments, then let it end, and build the same on another lake undisturbed.

        Each start wants a few prompts more than the last, so that each has something to buy and to lose.
        """
        result = Result()
        step = self.prompts // (kills + 1)
        took = self.whole("first", step)
        self.log.write_text("")
        for number in range(1, kills + 1):
            before, asked = set(self.stored("killed")), self.asked()
            running = self.start("killed", number * step)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout=rng.uniform(0.0, took))  # over its whole life, from the first import to the landing
            result.kills += running.poll() is None
            result.stages[self.stage() if running.poll() is None else "had ended"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            time.sleep(2 * self.delay_s)  # what had been asked for is sold, and comes to nobody
            stored = set(self.stored("killed"))
            result.lost += len(before - stored)
            result.in_flight.append(self.asked() - asked - len(stored - before))
        before = set(self.stored("killed"))
        self.whole("killed", self.prompts)
        after = self.stored("killed")
        result.lost += len(before - set(after))
        result.twice = len(after) - len(set(after))
        sold = Counter(name for kind, name in self.events() if kind in {"sold", "gone"})
        result.sold, result.again = sold.total(), sold.total() - len(sold)
        result.wanted = self.prompts * K
        self.whole("quiet", self.prompts)
        result.same = self.snapshot("quiet") == self.snapshot("killed")
        return result


def main() -> int:
    """Kill, print, and return 1 where anything isn't as promised."""
    parser = argparse.ArgumentParser(description="Kill a build at random moments.")
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--prompts", type=int, default=40, help="for each start")
    parser.add_argument("--delay", type=float, default=0.3, help="seconds that the teacher takes for a response")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sell", nargs=2, metavar=("PORT", "LOG"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sell:
        asyncio.run(sell(int(given.sell[0]), Path(given.sell[1]), given.delay))
        return 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        url = os.environ.get("PREFECT_API_URL") or stack.enter_context(prefect(folder / "prefect"))
        bench = Bench(folder, prompts=given.prompts * (given.kills + 1), delay_s=given.delay, url=url)
        command = [sys.executable, __file__, "--sell", str(bench.port), str(bench.log), "--delay", str(given.delay)]
        stack.enter_context(child(command))
        result = bench.disturb(given.kills, random.Random(given.seed))
    at = ", ".join(f"{stage} {number}" for stage, number in result.stages.most_common())
    print(f"builds killed     {result.kills} of {given.kills} ({at})")
    print(f"samples           {result.wanted:,} wanted, {result.sold:,} sold")
    most = max(result.in_flight, default=0)
    print(f"bought again      {result.again:,}, in flight {sum(result.in_flight):,} (at most {most} at a kill)")
    print(f"lost              {result.lost}")
    print(f"in the lake twice {result.twice}")
    print(f"last snapshot     {'equals' if result.same else 'differs from'} an undisturbed build's")
    for problem in result.problems():
        print(f"not as promised: {problem}", file=sys.stderr)
    return 1 if result.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
