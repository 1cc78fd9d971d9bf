"""Finding a teacher's capacity, in virtual time, against servers that queue, refuse, or batch."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest

from tasks.asking.limits import Limiter
from tasks.teachers.options import LimitOptions
from tests.fakes import in_virtual_time


class Server:
    """Serves `places` requests at a time, each in about `service_s`; what comes on top waits, or is refused."""

    def __init__(self, places: int, service_s: float, *, queues: bool) -> None:
        self.places, self.service_s, self.queues = places, service_s, queues
        self.served: list[float] = []
        self.refused = 0
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.random = random.Random(7)

    async def serve(self) -> bool:
        if self._busy >= self.places:
            if not self.queues:
                self.refused += 1
                return False
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self._busy += 1
        await asyncio.sleep(self.service_s * self.random.uniform(0.5, 1.5))
        self._busy -= 1
        while self._waiting and self._busy < self.places:
            self._waiting.popleft().set_result(None)
            break
        self.served.append(asyncio.get_running_loop().time())
        return True

    def rate(self, begin: float, end: float) -> float:
        """Return requests a second between two times, as a share of what it can serve."""
        return sum(begin <= at < end for at in self.served) / (end - begin) / (self.places / self.service_s)


def work(server: Server, *, seconds: float, halve_at: float | None = None, requests: int = 1_500) -> Limiter:
    """Keep so many requests waiting on a server for so long."""

    async def main() -> Limiter:
        loop = asyncio.get_running_loop()
        limiter = Limiter(LimitOptions())

        async def worker() -> None:
            while True:
                async with limiter.place(), limiter.lease(lambda: 1) as lease:
                    lease.used = 100
                    served = await server.serve()
                    if served:
                        limiter.answered(lease, None)
                    else:
                        limiter.refused(lease)
                if not served:
                    await asyncio.sleep(server.random.uniform(0, 0.5))

        if halve_at is not None:
            loop.call_at(halve_at, lambda: setattr(server, "places", server.places // 2))
        workers = [asyncio.create_task(worker()) for _ in range(requests)]
        await asyncio.sleep(seconds)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return limiter

    return in_virtual_time(main())


@pytest.mark.parametrize("queues", [True, False], ids=["queues", "refuses"])
@pytest.mark.parametrize(
    ("places", "service_s"), [(20, 0.05), pytest.param(100, 0.05, marks=pytest.mark.slow), (16, 1.0), (200, 1.0)]
)
def test_found_within_half_a_minute(places: int, service_s: float, queues: bool):
    """After 30 s a teacher of unknown capacity is used to nine tenths at least, be it more or less than at first."""
    server = Server(places, service_s, queues=queues)
    work(server, seconds=45)
    assert server.rate(30, 45) > 0.9
    assert server.refused < 0.15 * len(server.served)


@pytest.mark.parametrize("queues", [True, False], ids=["queues", "refuses"])
def test_halved(queues: bool):
    """A capacity that is halved in mid-run is found again."""
    server = Server(100, 0.2, queues=queues)
    work(server, seconds=75, halve_at=30)
    assert server.rate(60, 75) > 0.9


def test_it_comes_back():
    """After a server that refused everything for ten seconds, the window grows again."""
    server = Server(100, 0.1, queues=False)
    real = server.serve

    async def serve() -> bool:
        if 15 <= asyncio.get_running_loop().time() < 25:
            return False
        return await real()

    server.serve = serve  # type: ignore[method-assign]
    work(server, seconds=70)
    assert server.rate(60, 70) > 0.8


def test_too_little_to_do_says_nothing():
    """Where fewer requests wait than the window has room for, it stays as it is."""
    assert work(Server(1_000, 0.1, queues=True), seconds=20, requests=10).window == 64


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.03])
def test_refusals_now_and_then(share: float):
    """A gateway that refuses a few, whatever is in flight, doesn't make the window small."""

    async def main() -> int:
        limiter, dice = Limiter(LimitOptions()), random.Random(1)

        async def worker() -> None:
            while True:
                async with limiter.place(), limiter.lease(lambda: 1) as lease:
                    assert lease is not None
                    lease.used = 100
                    await asyncio.sleep(dice.uniform(0.5, 1.5))
                    if dice.random() < share:
                        limiter.refused(lease)
                    else:
                        limiter.answered(lease, None)

        workers = [asyncio.create_task(worker()) for _ in range(600)]
        await asyncio.wait(workers, timeout=240)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return limiter.window

    assert in_virtual_time(main()) > 300


def test_given():
    """A concurrency that is given is not touched."""

    async def main() -> int:
        limiter = Limiter(LimitOptions(concurrency=7))
        async with limiter.place(), limiter.lease(lambda: 1) as lease:
            limiter.refused(lease)
        return limiter.window

    assert in_virtual_time(main()) == 7
