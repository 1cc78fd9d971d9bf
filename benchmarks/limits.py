"""How well a teacher's allowance is used: rates, a capacity that nobody states, processes that share an account, and faults.

    .venv/bin/python benchmarks/limits.py [requests] [tokens] [capacity] [processes] [faults]

The teacher on loopback is strict: it counts by a token bucket that holds one second of the allowance, and refuses what is over
it. Each part prints the share of the allowance that was used, and of requests that were refused.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from typing import Any

import uvloop
from teacher import Running, running

from storage.records import Message
from tasks.asking.ask import Desk
from tasks.asking.line import open_line
from tasks.stop import Stop
from tasks.teachers.openai import make
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Request

RUN_S = 40.0


async def ask_for(url: str, seconds: float, *, waiting: int = 600, account: str | None = None, **options: Any) -> int:
    """Ask for as many answers as come within so many seconds, and return how many did."""
    given = TeacherOptions(name="t", provider="openai", model="m", base_url=url, **options)
    teacher, stop = make(given, api_key=None), Stop()
    desk = Desk(given, [open_line(teacher, given, account=account)], stop)
    until, answers = time.monotonic() + seconds, 0

    async def worker(number: int) -> None:
        nonlocal answers
        turn = 0
        while time.monotonic() < until:
            turn += 1
            message = Message(role="user", content=f"{os.getpid()} {number} {turn}")
            await desk.ask(Request(prompt_id="p", messages=(message,), parameters={"max_tokens": 1_000}))
            answers += 1

    workers = [asyncio.create_task(worker(number)) for number in range(waiting)]
    await asyncio.wait(workers, timeout=seconds)
    for task in workers:
        task.cancel()
    found = await asyncio.gather(*workers, return_exceptions=True)
    await teacher.aclose()
    for each in found:
        if isinstance(each, Exception):
            raise each
    return answers


def say(name: str, used: float, stats: dict[str, Any]) -> None:
    """Print one result."""
    print(f"{name:58} {used:7.1%} of the allowance, {stats['refused'] / stats['asked']:6.2%} refused")


def requests() -> None:
    """Keep to 3,000 requests a minute."""
    with running(latency=0.5, requests_per_minute=3_000, burst=1.0) as teacher:
        answers = uvloop.run(ask_for(teacher.url, RUN_S, limits={"requests_per_minute": 3_000, "concurrency": 256}))
        say("3,000 requests a minute", answers / (3_000 / 60 * (RUN_S - 0.5)), teacher.stats())
    with running(latency=0.5, requests_per_minute=3_000, burst=1.0, headers=True) as teacher:
        answers = uvloop.run(ask_for(teacher.url, RUN_S, limits={"concurrency": 256}))
        say("the same, known from the server's headers alone", answers / (3_000 / 60 * (RUN_S - 0.5)), teacher.stats())


def tokens() -> None:
    """Keep to 300,000 tokens a minute, by answers whose length varies tenfold."""
    with running(latency=1.0, tokens=200, tenfold=True, tokens_per_minute=300_000, burst=1.0) as teacher:
        uvloop.run(ask_for(teacher.url, RUN_S, limits={"tokens_per_minute": 300_000, "concurrency": 256}))
        stats = teacher.stats()
        say("300,000 tokens a minute, lengths vary tenfold", stats["tokens"] / (300_000 / 60 * (RUN_S - 1.0)), stats)


def capacity() -> None:
    """Find how many requests a teacher serves at a time, and again after that is halved."""
    for queue in (True, False):
        with running(latency=0.2, spread=0.5, places=100, queue=queue) as teacher:
            best = 100 / 0.2
            before = time.monotonic()

            async def halved(teacher: Running = teacher) -> None:
                asking = asyncio.create_task(ask_for(teacher.url, 75))
                await asyncio.sleep(40)
                teacher.set(places=50)
                await asking

            uvloop.run(halved())
            stats = teacher.stats()
            late = int(time.monotonic() - before)
            kind = "queues" if queue else "refuses"
            per_second = stats["per_second"]
            found, again = sum(per_second[30:40]) / 10, sum(per_second[late - 8 : late - 2]) / 6
            print(
                f"unknown capacity, {kind:32} {found / best:7.1%} of the best after 30 s, "
                f"{again / (best / 2):.1%} 25 s after it was halved, {stats['refused'] / stats['asked']:.2%} refused"
            )


def _process(url: str, seconds: float) -> None:
    uvloop.run(ask_for(url, seconds, account="benchmark", limits={"requests_per_minute": 3_000, "concurrency": 256}))


def processes() -> None:
    """Let three processes share one account's 3,000 requests a minute."""
    with running(latency=0.5, requests_per_minute=3_000, burst=1.0) as teacher, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        context = multiprocessing.get_context("spawn")
        started = [context.Process(target=_process, args=(teacher.url, RUN_S)) for _ in range(3)]
        for process in started:
            process.start()
        for process in started:
            process.join()
        stats = teacher.stats()
        answered = sum(stats["per_second"][5:35]) / 30
        say("three processes, 3,000 requests a minute in all", answered / (3_000 / 60), stats)


def faults() -> None:
    """Ask a teacher that fails in seven ways for 5,000 answers."""
    wanted = 5_000
    with running(latency=0.05, faults=0.22) as teacher:

        async def main() -> int:
            given = TeacherOptions(
                name="t",
                provider="openai",
                model="m",
                base_url=teacher.url,
                timeout_s=1.0,
                limits={"concurrency": 256},  # type: ignore[arg-type]
                retry={"attempts": 12, "first_wait_s": 0.05, "max_wait_s": 0.5},  # type: ignore[arg-type]
            )
            made = make(given, api_key=None)
            desk = Desk(given, [open_line(made, given)], Stop())

            async def one(number: int) -> bool:
                request = Request(prompt_id="p", messages=(Message(role="user", content=str(number)),), parameters={})
                return bool((await desk.ask(request)).completion.choices)

            found = await asyncio.gather(*(one(number) for number in range(wanted)))
            await made.aclose()
            return sum(found)

        answers = uvloop.run(main())
        stats = teacher.stats()
        cut = stats["faults"].get("cut", 0)
        print(
            f"22% faults: {answers:,} of {wanted:,} slots have a response; bought twice after a success was seen: "
            f"{stats['sold'] - stats['distinct']}; answered whole {stats['sold']:,}, cut off and kept {cut:,}; "
            f"faults {stats['faults']}"
        )


PARTS = {"requests": requests, "tokens": tokens, "capacity": capacity, "processes": processes, "faults": faults}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
