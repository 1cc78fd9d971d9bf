"""A teacher's limits, in virtual time."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from storage.errors import QuotaSpent
from tasks.asking.limits import Limiter
from tasks.asking.quota import Quota
from tasks.teachers.headers import Allowance, Window
from tasks.teachers.options import LimitOptions
from tests.fakes import in_virtual_time


def starts(
    requests: int,
    *,
    tokens: int = 1,
    takes: float = 0.0,
    used: int | None = None,
    told: Allowance | None = None,
    **limits: float,
) -> list[float]:
    """Return when each of so many requests, all there at 0, starts. With `told`, each is answered, and told that."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        limiter = Limiter(LimitOptions(**limits))  # type: ignore[arg-type]
        started: list[float] = []

        async def one() -> None:
            async with limiter.place(), limiter.lease(lambda: tokens) as lease:
                lease.sent = True
                started.append(loop.time())
                await asyncio.sleep(takes)
                lease.used = used
                if told is not None:
                    limiter.answered(lease, told or None)

        await asyncio.gather(*(one() for _ in range(requests)))
        return sorted(started)

    return in_virtual_time(main())


class TestLimiter:
    """All limits of one teacher."""

    def test_none(self):
        """Without limits, a few start at once and others evenly until the first answer, then all that are there."""
        found = starts(50)
        assert found[:17] == [0.0] * 17
        assert found[17:] == pytest.approx([n / 32 for n in range(1, 34)])

        found = starts(300, takes=0.11, used=1, told=Allowance(), concurrency=300)
        assert found == pytest.approx([0.0] * 17 + [1 / 32, 2 / 32, 3 / 32] + [0.11] * 280)

    def test_a_token_limit_that_is_told_while_requests_are_in_flight(self):
        """What was sent before anybody counted is no debt: the next ones go out as the rate allows, and not minutes later."""
        told = Allowance(tokens=Window(limit=60_000, remaining=60_000, reset_s=60))
        started = starts(90, tokens=1_000, takes=4, used=1_000, told=told, concurrency=64)
        assert started[63] < 4
        assert max(later - sooner for sooner, later in itertools.pairwise(started)) < 4

    @pytest.mark.parametrize(("limit", "last"), [(99, 4), (100, 184)])
    def test_a_token_limit_that_can_not_be(self, limit: float, last: float):
        """A limit that is less than what one request was let through with is none: a build would wait for minutes a request."""
        told = Allowance(tokens=Window(limit=limit, remaining=0, reset_s=1))
        assert starts(5, tokens=100, used=100, takes=1, told=told, concurrency=1)[-1] == pytest.approx(last, abs=60)

    @pytest.mark.parametrize("concurrency", [1, 3, 7])
    def test_concurrency(self, concurrency: int):
        """No more are in flight than allowed, and no fewer."""
        assert starts(21, takes=10, concurrency=concurrency) == [float(10 * (n // concurrency)) for n in range(21)]

    def test_requests_per_minute(self):
        """Requests are spread evenly, and any minute has no more than its number and the burst."""
        found = starts(200, requests_per_minute=60, concurrency=300)
        assert found[:4] == pytest.approx([0, 0.5, 1.5, 2.5])
        assert found[-1] == pytest.approx(198.5)

    def test_tokens_per_minute(self):
        """Tokens in and out are spread evenly."""
        assert starts(5, tokens=100, used=100, tokens_per_minute=600) == pytest.approx([0, 9.5, 19.5, 29.5, 39.5])

    def test_real_usage_settles_the_estimate(self):
        """Where requests use half of the estimate, they go twice as fast."""
        found = starts(5, tokens=100, used=50, takes=1, tokens_per_minute=600, concurrency=1)
        assert found[-1] == pytest.approx(19.5)

    def test_unknown_usage_keeps_the_estimate(self):
        """A request whose usage is not known is counted as estimated: it may have been billed."""
        found = starts(5, tokens=100, used=None, takes=1, tokens_per_minute=600, concurrency=1)
        assert found[-1] == pytest.approx(39.5)

    def test_slower_of_two(self):
        """With two rates, the slower one holds."""
        assert starts(4, tokens=100, used=100, requests_per_minute=60_000, tokens_per_minute=600)[-1] == pytest.approx(29.5)

    def test_not_sent(self):
        """A request that was not sent after all has taken nothing."""

        async def main() -> float:
            limiter = Limiter(LimitOptions(requests_per_minute=60, tokens_per_minute=600))
            for _ in range(10):
                async with limiter.place(), limiter.lease(lambda: 100):
                    pass
            return asyncio.get_running_loop().time()

        assert in_virtual_time(main()) == pytest.approx(0)

    def test_asked_when_the_turn_comes(self):
        """Whoever waits for tokens reserves what is known by the time that it starts."""

        async def main() -> list[float]:
            loop = asyncio.get_running_loop()
            limiter = Limiter(LimitOptions(tokens_per_minute=600))
            started: list[float] = []
            expected = 100

            async def one() -> None:
                async with limiter.place(), limiter.lease(lambda: expected) as lease:
                    lease.sent = True
                    started.append(loop.time())

            tasks = [asyncio.create_task(one()) for _ in range(3)]
            await asyncio.sleep(1)
            expected = 10
            await asyncio.gather(*tasks)
            return started

        assert in_virtual_time(main()) == pytest.approx([0, 9.5, 10.5])


class TestPause:
    """What the server asks for."""

    @staticmethod
    def paused(*pauses: tuple[float, float]) -> float:
        """Return when a request starts that comes at 1, where the server asked for pauses (at, seconds)."""

        async def main() -> float:
            loop = asyncio.get_running_loop()
            limiter = Limiter(LimitOptions())
            for at, seconds in pauses:
                loop.call_at(at, limiter.pause, seconds)
            await asyncio.sleep(1)
            async with limiter.place(), limiter.lease(lambda: 1):
                return loop.time()

        return in_virtual_time(main())

    def test_nothing_is_sent(self):
        """Nothing is sent while the server wants a pause."""
        assert self.paused((0.5, 10)) == pytest.approx(10.5)

    def test_the_longest_counts(self):
        """A shorter wish doesn't end a longer one."""
        assert self.paused((0.5, 10), (0.6, 1)) == pytest.approx(10.5)

    def test_may_grow(self):
        """A wish that comes while one is waiting counts for it too."""
        assert self.paused((0.5, 10), (5, 60)) == pytest.approx(65)

    def test_no_rush_when_it_ends(self):
        """After a pause the rates hold as before: those who waited don't all come at once."""

        async def main() -> list[float]:
            loop = asyncio.get_running_loop()
            limiter = Limiter(LimitOptions(requests_per_minute=60))
            limiter.pause(10)
            started: list[float] = []

            async def one() -> None:
                async with limiter.place(), limiter.lease(lambda: 1) as lease:
                    lease.sent = True
                    started.append(loop.time())

            await asyncio.gather(*(one() for _ in range(4)))
            return started

        assert in_virtual_time(main()) == pytest.approx([10, 10.5, 11.5, 12.5])

    def test_past(self):
        """A pause that is over holds up nobody."""
        assert self.paused((0.1, 0.2)) == pytest.approx(1)


@pytest.mark.parametrize("sent", [True, False], ids=["used less", "never sent"])
def test_a_day_that_ends_meanwhile(sent: bool):
    """What was reserved before midnight is no part of the new day's count, so none of it is given back to that."""

    async def main() -> None:
        limits = LimitOptions(tokens_per_day=1_000, requests_per_day=2)
        today = [1]
        limiter = Limiter(limits, quota=Quota(None, limits, today=lambda: today[0]))
        async with limiter.lease(lambda: 600) as yesterdays:
            assert yesterdays is not None
            yesterdays.sent, yesterdays.used = sent, 100
            today[0] = 2
            async with limiter.lease(lambda: 600) as lease:
                assert lease is not None
                lease.sent, lease.used = True, 600
        with pytest.raises(QuotaSpent, match="tokens_per_day"):
            async with limiter.lease(lambda: 600):
                pass
        async with limiter.lease(lambda: 400) as lease:
            assert lease is not None
            lease.sent = True
        with pytest.raises(QuotaSpent, match="requests_per_day"):
            async with limiter.lease(lambda: 1):
                pass

    in_virtual_time(main())


def test_a_day_that_is_reserved_and_not_used():
    """Where what is in flight may use less than was reserved for it, the others wait for that, and the day goes on."""

    async def main() -> tuple[int, int]:
        limits = LimitOptions(tokens_per_day=1_000, concurrency=8)
        limiter = Limiter(limits, quota=Quota(None, limits))
        done = refused = 0

        async def one() -> None:
            nonlocal done, refused
            try:
                async with limiter.place(), limiter.lease(lambda: 400) as lease:
                    assert lease is not None
                    lease.sent = True
                    await asyncio.sleep(1)
                    lease.used = 20
                    done += 1
            except QuotaSpent:
                refused += 1

        await asyncio.gather(*(one() for _ in range(50)))
        return done, refused

    assert in_virtual_time(main()) == (31, 19)  # then 620 are used, and no request of 400 has room


def test_an_error_gives_the_slot_back():
    """A request that fails, or is cancelled while it waits, leaves its place to the next."""

    async def main() -> float:
        limiter = Limiter(LimitOptions(concurrency=1))

        async def failing() -> None:
            async with limiter.place(), limiter.lease(lambda: 1):
                raise RuntimeError

        async def hanging() -> None:
            async with limiter.place(), limiter.lease(lambda: 1):
                await asyncio.sleep(3_600)

        first = asyncio.create_task(hanging())
        second = asyncio.create_task(hanging())
        await asyncio.sleep(1)
        second.cancel()
        first.cancel()
        await asyncio.gather(failing(), first, second, return_exceptions=True)
        async with limiter.place(), limiter.lease(lambda: 1):
            return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == pytest.approx(1)


def test_a_place_that_is_kept():
    """A place may outlive its context: the next has it when it is left, once, however often that is said."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        limiter = Limiter(LimitOptions(concurrency=1))
        async with limiter.place() as place:
            assert place is not None
            place.keep()

        async def hold() -> float:
            async with limiter.place():
                await asyncio.sleep(10)
                return loop.time()

        tasks = [asyncio.create_task(hold()) for _ in range(2)]
        await asyncio.sleep(5)
        place.leave()
        place.leave()
        return await asyncio.gather(*tasks)

    assert in_virtual_time(main()) == pytest.approx([15, 25])


def test_many_are_cancelled_at_once():
    """Whoever waits for a place may be cancelled in any number, and the places are all there afterwards."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        limiter = Limiter(LimitOptions(concurrency=3))

        async def hold() -> float:
            async with limiter.place(), limiter.lease(lambda: 1):
                await asyncio.sleep(10)
                return loop.time()

        tasks = [asyncio.create_task(hold()) for _ in range(50)]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await asyncio.gather(*(hold() for _ in range(6)))

    assert in_virtual_time(main()) == pytest.approx([11, 11, 11, 21, 21, 21])


def test_injected_clock():
    """A clock may be handed in."""

    async def main() -> None:
        now = 1_000.0
        limiter = Limiter(LimitOptions(), clock=lambda: now)
        limiter.pause(10)
        now = 1_011.0
        async with limiter.place(), limiter.lease(lambda: 1):
            pass

    in_virtual_time(asyncio.wait_for(main(), timeout=1))
