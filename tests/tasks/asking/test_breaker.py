"""A circuit breaker, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasks.asking.breaker import FAILURES, Breaker
from tests.fakes import in_virtual_time


def with_breaker(steps: Callable[[Breaker], Awaitable[Any]], **given: float) -> Any:
    """Run steps with a breaker."""

    async def main() -> Any:
        return await steps(Breaker(**({"first_wait_s": 1, "max_wait_s": 8, "patience_s": 60} | given)))

    return in_virtual_time(main())


def broken(breaker: Breaker) -> Breaker:
    """Fail until it opens."""
    for _ in range(FAILURES):
        breaker.failed()
    return breaker


def test_closed():
    """It lets everybody through, also after failures between which there are answers."""

    async def steps(breaker: Breaker) -> bool:
        for _ in range(3 * FAILURES):
            breaker.failed()
            breaker.answered()
        assert not await breaker.turn(lambda: False)
        return breaker.open

    assert not with_breaker(steps)


def test_one_probe_at_a_time():
    """Once it is open, one request is let through after a wait, and the others see what comes of it."""

    async def steps(breaker: Breaker) -> list[tuple[float, bool]]:
        broken(breaker)
        loop = asyncio.get_running_loop()
        through: list[tuple[float, bool]] = []

        async def one() -> None:
            probe = await breaker.turn(lambda: False)
            through.append((loop.time(), probe))
            if probe:
                await asyncio.sleep(5)
                breaker.answered()

        await asyncio.gather(*(one() for _ in range(5)))
        return through

    (first, *rest) = with_breaker(steps)
    assert 0.5 <= first[0] <= 1
    assert first[1]
    assert [probe for _, probe in rest] == [False] * 4
    assert [at for at, _ in rest] == pytest.approx([first[0] + 5] * 4)


def test_probes_get_rarer():
    """Each probe that fails doubles the wait, up to a ceiling."""

    async def steps(breaker: Breaker) -> list[float]:
        broken(breaker)
        times = []
        while len(times) < 8:
            assert await breaker.turn(lambda: False)
            times.append(asyncio.get_running_loop().time())
            breaker.failed(probe=True)
        return [after - before for before, after in itertools.pairwise(times)]

    waits = with_breaker(steps)
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, [2, 4, 8, 8, 8, 8, 8], strict=True))


def test_late_failures_change_nothing():
    """Requests that were under way when it opened don't put off the probe."""

    async def steps(breaker: Breaker) -> float:
        broken(breaker)
        for _ in range(100):
            breaker.failed()
        await breaker.turn(lambda: False)
        return asyncio.get_running_loop().time()

    assert with_breaker(steps) <= 1


@pytest.mark.parametrize(("seconds", "lost"), [(59, False), (61, True)])
def test_patience(seconds: float, lost: bool):
    """It is out of patience so long after the first failure that no answer followed."""

    async def steps(breaker: Breaker) -> bool:
        broken(breaker)
        await asyncio.sleep(seconds)
        return breaker.out_of_patience

    assert with_breaker(steps) is lost


def test_a_probe_that_comes_to_nothing():
    """A probe that is cancelled leaves its turn to the next."""

    async def steps(breaker: Breaker) -> bool:
        broken(breaker)
        assert await breaker.turn(lambda: False)
        breaker.released()
        return await breaker.turn(lambda: False)

    assert with_breaker(steps)


def test_leaving():
    """Whoever has a reason to leave doesn't wait for an answer."""

    async def steps(breaker: Breaker) -> float:
        broken(breaker)
        loop = asyncio.get_running_loop()
        await breaker.turn(lambda: False)
        assert not await breaker.turn(lambda: loop.time() > 5)
        return loop.time()

    assert with_breaker(steps) <= 7
