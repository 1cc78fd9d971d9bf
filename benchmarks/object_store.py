"""What a lake on S3 costs a draw: the same draw on a local lake and on one at a real S3 API on loopback, in turn, in one run.

    .venv/bin/python benchmarks/object_store.py [--samples 5000] [--rounds 5] [--put-ms 50]

The teacher and moto's server are processes of their own on this machine, and share its cores with the draw. moto is slow: a put
that is alone takes it some 5 ms of the processor. `--put-ms` is for how long each put of a commit is held up besides, as by a
store that is far away. The draw is that of benchmarks/draw.py: 256 requests in flight, 50 ms an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import uvloop
from draw import LATENCY_S, drawn
from teacher import running

from storage.lake import Lake
from storage.protocol import Mirror
from storage.remote.replica import Replica

BUCKET = "benchmark"
FAR = "S3, far away"


class Far:
    """A mirror that is held up."""

    def __init__(self, mirror: Mirror, seconds: float) -> None:
        """Hold up each commit for so long."""
        self._mirror, self._seconds = mirror, seconds
        self.puts: list[float] = []
        """Seconds that each took."""

    async def put(self, segment: Path, number: int, data: bytes) -> None:
        """Put it later."""
        began = time.perf_counter()
        await asyncio.sleep(self._seconds)
        await self._mirror.put(segment, number, data)
        self.puts.append(time.perf_counter() - began)

    async def landed(self, segment: Path, part: Path) -> None:
        """Hand it on."""
        await self._mirror.landed(segment, part)


@contextmanager
def s3(folder: Path) -> Iterator[None]:
    """Run moto's server with a bucket, and have the environment name it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "STILLHOUSE_CACHE": str(folder / "cache"),
        }
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            yield
        finally:
            server.terminate()


def main() -> None:
    """Measure in turn, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--put-ms", type=float, default=50.0)
    given = parser.parse_args()
    rates: dict[str, list[float]] = {"local": [], "S3": [], FAR: []}
    spent = dict.fromkeys(rates, 0.0)
    seen: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name, s3(Path(name)), running(latency=LATENCY_S) as teacher:
        for number in range(given.rounds):
            for way, taken in rates.items():
                at = f"{name}/local-{number}" if way == "local" else f"s3://{BUCKET}/{way[-4:].strip()}-{number}"
                lake = Lake.at(at)
                mirror: Far | Replica | None = lake.replica
                if way == FAR:
                    assert lake.replica is not None
                    mirror = Far(lake.replica, given.put_ms / 1000)
                with lake.writing(print):
                    before = time.process_time()
                    took, commits = uvloop.run(drawn(teacher.url, given.samples, lake.journal, lake.root / "samples", mirror))
                    spent[way] += time.process_time() - before
                taken.append(given.samples / took)
                seen[way] = f"{commits:,} commits in {took:.1f} s"
                if isinstance(mirror, Far):
                    seen[way] += f", {statistics.median(mirror.puts) * 1000:.0f} ms a put in the middle"
    for way, taken in rates.items():
        each = ", ".join(f"{rate:,.0f}" for rate in taken)
        ratio = statistics.median(rate / local for rate, local in zip(taken, rates["local"], strict=True))
        print(
            f"{way:14} {statistics.median(taken):7,.0f} samples/s ({each}); {ratio:.2f} of local, by rounds, in the middle; "
            f"{spent[way] / given.rounds:.1f} CPU s; the last: {seen[way]}"
        )


if __name__ == "__main__":
    main()
