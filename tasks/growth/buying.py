"""Getting a round's missing answers: through the same desk, limits, retries, journal and budget as any other sample."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

from storage.identity import sample_id
from storage.parquet import PartWriter
from storage.records import Sample
from tasks.draw import Asks, Draw, Question
from tasks.growth.growing import Wanted

AHEAD = 256
"""Requests that are read from their file at a time."""


async def buy(wanted: Iterator[Wanted], draw: Draw, desk: Asks, failed: PartWriter) -> int:
    """Ask for all that is wanted, unless the run stops. `failed` gets what got no answer. Return how many answers came."""
    ready: list[Wanted] = []
    reading = asyncio.Lock()
    came = 0

    async def next_one() -> Wanted | None:
        async with reading:
            if not ready:
                ready.extend(reversed(await asyncio.to_thread(lambda: list(islice(wanted, AHEAD)))))
            return ready.pop() if ready else None

    async def worker() -> None:
        nonlocal came
        while not draw.stop and (one := await next_one()) is not None:
            question = Question(prompt_id=one.prompt_id, desk=desk, messages=one.messages, key=one.key)
            drawn = await draw.draw(question, one.indices)
            came += sum(isinstance(result, Sample) for result in drawn.values())
            failed.extend(
                [
                    {"sample_id": sample_id(one.key, index), "error": str(result)}
                    for index, result in sorted(drawn.items())
                    if not isinstance(result, Sample)
                ]
            )

    async with asyncio.TaskGroup() as group:
        for _ in range(desk.options.side_by_side):
            group.create_task(worker())
    return came
