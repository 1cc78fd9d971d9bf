"""How fast samples are drawn: the draw alone, the whole command, and a plain loop over the openai SDK, in one run.

    .venv/bin/python benchmarks/draw.py [--samples 10000] [--prefect URL]

A teacher on loopback, in a process of its own, takes 50 ms for an answer; 256 requests are in flight. "draw" is all that stands
between a slot and a sample on disk: limits, retries, the request, reading the answer, the journal with its syncs, on the event
loop that commands run on. "loop" is what anybody would write in ten lines, with the SDK's default client and with its aiohttp
client; it keeps nothing. Processor time stands beside each, since it changes little where other work has the machine too; a
temporary Prefect server's is in the whole command's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import openai
import uvloop
from memory import peak
from teacher import running

from storage.journal import Journal
from storage.memory import rarely_collected
from storage.protocol import Mirror
from storage.records import Message
from tasks.asking.ask import Desk
from tasks.asking.line import open_line
from tasks.draw import Budget, Draw, Question
from tasks.stop import Stop
from tasks.teachers.openai import make
from tasks.teachers.options import TeacherOptions
from tasks.teachers.sampling import SamplingOptions

IN_FLIGHT = 256
LATENCY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Took:
    """What something took."""

    seconds: float
    """By the clock."""
    cpu: float
    """Of the processor."""


def measured(work: Coroutine[Any, Any, float], run: Callable[[Coroutine[Any, Any, float]], float] = asyncio.run) -> Took:
    """Run what returns its seconds, on asyncio's own loop where nothing else is said."""
    before = time.process_time()
    seconds = run(work)
    return Took(seconds=seconds, cpu=time.process_time() - before)


async def loop(url: str, samples: int, *, aiohttp: bool) -> float:
    """Return the seconds of a plain loop over the SDK."""
    http = openai.DefaultAioHttpClient() if aiohttp else None
    places = asyncio.Semaphore(IN_FLIGHT)
    async with openai.AsyncOpenAI(api_key="unused", base_url=url, max_retries=0, http_client=http) as client:

        async def one(number: int) -> None:
            async with places:
                await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": f"How many in case {number}?"}]
                )

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(samples)))
        return time.perf_counter() - began


async def draw(url: str, samples: int) -> float:
    """Return the seconds of the draw with the journal."""
    with tempfile.TemporaryDirectory() as folder:
        took, _ = await drawn(url, samples, Path(folder), Path(folder, "samples"))
    return took


async def drawn(url: str, samples: int, folder: Path, parts: Path, mirror: Mirror | None = None) -> tuple[float, int]:
    """Return the seconds of a draw into a journal, up to the last response that counts, and the journal's commits."""
    options = TeacherOptions(name="t", provider="openai", model="m", base_url=url, limits={"concurrency": IN_FLIGHT})  # type: ignore[arg-type]
    teacher, stop = make(options, api_key=None), Stop()
    with rarely_collected():
        async with Journal(folder, parts, run="r", mirror=mirror) as journal:
            desk = Desk(options, [open_line(teacher, options)], stop)
            drawing = Draw(sampling=SamplingOptions(), journal=journal, budget=Budget(None), stop=stop)

            async def one(number: int) -> None:
                messages = (Message(role="user", content=f"How many in case {number}?"),)
                question = Question(prompt_id=str(number), desk=desk, messages=messages, key=f"{number:032x}")
                await drawing.draw(question, [0])

            began = time.perf_counter()
            await asyncio.gather(*(one(number) for number in range(samples)))
            took = time.perf_counter() - began
            assert drawing.spending.paid == samples, stop.reason
        await teacher.aclose()
    return took, journal.commits


def build(url: str, samples: int, prefect: str | None) -> tuple[Took, float, list[str]]:
    """Return what the whole command took, the peak memory of its process in MB, and what it was at, and since when."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder, "prompts.jsonl")
        rows = ({"prompt": f"How many in case {number}?", "reference": "7"} for number in range(samples))
        prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
        teacher = {"name": "t", "provider": "openai", "model": "m", "base_url": url, "license": "MIT"}
        spec = {
            "dataset": "speed",
            "prompts": [{"source": str(prompts), "license": "CC0-1.0"}],
            "teachers": [teacher | {"limits": {"concurrency": IN_FLIGHT}}],
            "verify": [{"use": "exact_match", "kind": "number"}],
        }
        path = Path(folder, "spec.json")
        path.write_text(json.dumps(spec))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STILLHOUSE_"))}
        if prefect:
            environment["PREFECT_API_URL"] = prefect
        command = [str(Path(sys.executable).with_name("stillhouse")), "build", str(path), "--json", "--lake", f"{folder}/lake"]
        began, before = time.perf_counter(), children()
        stages: list[str] = []

        def listen(lines: IO[bytes]) -> None:
            told = (line for line in lines if not line[:1].isdigit())  # the others are progress
            stages.extend(f"{time.perf_counter() - began:.1f} s {line.decode().strip()}" for line in told)

        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            listening = threading.Thread(target=listen, args=(process.stderr,))
            listening.start()
            memory = peak(process)
            took = time.perf_counter() - began
            listening.join()
            summary = json.loads(process.stdout.read())
        assert summary["paid"] == samples, summary
        return Took(seconds=took, cpu=children() - before), memory / 2**20, stages


def children() -> float:
    """Return the processor's seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--prefect", help="the address of a running Prefect server's API")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(running(latency=LATENCY_S)).url
        ways = {
            "loop, the SDK's default client": measured(loop(url, given.samples, aiohttp=False)),
            "loop, its aiohttp client": measured(loop(url, given.samples, aiohttp=True)),
            "draw, journal on": measured(draw(url, given.samples), uvloop.run),
        }
        drawn = ways["draw, journal on"]
        for name, way in ways.items():
            rate, times = given.samples / way.seconds, way.seconds / drawn.seconds
            print(f"{name:36} {rate:8,.0f} samples/s {times:6.2f} (draw / this) {way.cpu:6.1f} CPU s")
        took, memory, stages = build(url, given.samples, given.prefect)
        kind = "a running Prefect server" if given.prefect else "a temporary Prefect server"
        print(f"whole command, {kind}: {took.seconds:.1f} s, {took.cpu:.1f} CPU s, {memory:.0f} MB at most")
        print(f"beyond the draw: {took.seconds - drawn.seconds:.1f} s, {took.cpu - drawn.cpu:.1f} CPU s")
        print(f"of these: {', '.join(stages)}")


if __name__ == "__main__":
    main()
