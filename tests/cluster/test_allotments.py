"""One account's limits over several workers, by global concurrency limits of a real Prefect server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cluster import allotments
from flows.cluster.allotments import WHOLE, Account, Allotments
from flows.cluster.apart import DRAW, VERIFY
from tasks.asking.limits import Limiter
from tasks.teachers.options import LimitOptions


@pytest.fixture(autouse=True)
def server(prefect_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask the session's server, and look at who is there often."""
    monkeypatch.setattr(allotments, "LOOK_S", 0.1)
    monkeypatch.setattr(allotments, "LOOKS_PER_S", 1e9)
    with temporary_settings({PREFECT_API_URL: prefect_url}):
        yield


class Worker:
    """One worker's limiter for an account, and its shares."""

    def __init__(self, account: str, parts: set[str], concurrency: int = 10) -> None:
        self.limiter = Limiter(LimitOptions(requests_per_minute=600, concurrency=concurrency))
        self.account = Account(account)
        self.account.add(self.limiter, concurrency)
        self.account.parts = parts
        self.shares = Allotments([self.account])

    @property
    def held(self) -> tuple[float, int]:
        """Its part of the rate, and its requests in flight."""
        return self.limiter._requests.part, self.limiter.window


async def made(*workers: Worker) -> None:
    """Make the account's limits."""
    async with get_client() as client:
        await workers[0].account.make(client)


async def until(what: Any) -> None:
    """Wait for it."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 - shares change in a task that tells nobody
            await asyncio.sleep(0.05)


async def test_shares() -> None:
    """One has all; two have a half each; what an idle one had is the other's, and all of it is free at the end."""
    name = secrets.token_hex(16)
    one, two = Worker(name, {DRAW}), Worker(name, {DRAW})
    await made(one)
    assert one.held == (0.0, 0)
    async with one.shares.kept():
        one.shares.set({DRAW})
        await until(lambda: one.held == (1.0, 10))
        async with two.shares.kept():
            two.shares.set({DRAW})
            await until(lambda: one.held == two.held == (0.5, 5))
            two.shares.set(set())
            await until(lambda: one.held == (1.0, 10) and two.held == (0.0, 0))
    async with get_client() as client:
        for held in one.account.held:
            assert (await client.read_global_concurrency_limit_by_name(held.name)).active_slots == 0


async def test_who_asks_another_account() -> None:
    """A worker that draws takes nothing of what judges are allowed."""
    name = secrets.token_hex(16)
    drawing, judging = Worker(name, {VERIFY}), Worker(name, {VERIFY})
    await made(drawing)
    async with drawing.shares.kept(), judging.shares.kept():
        drawing.shares.set({DRAW})
        judging.shares.set({VERIFY})
        await until(lambda: judging.held == (1.0, 10))
        await asyncio.sleep(0.5)
        assert drawing.held == (0.0, 0)


async def test_a_killed_worker() -> None:
    """What it held is given back for it, by the leases that it had told of."""
    name = secrets.token_hex(16)
    lost, other = Worker(name, {DRAW}), Worker(name, {DRAW})
    await made(lost)
    async with get_client() as client:
        await lost.account.look(client, active=True)
    assert lost.held == (1.0, 10)
    async with other.shares.kept():
        other.shares.set({DRAW})
        await until(lambda: other.account.held[0].slots == 1)
        assert other.held[0] == 0.0
        await allotments.give_back(lost.shares.leases)
        await until(lambda: other.held == (1.0, 10))


async def test_a_server_that_forgot() -> None:
    """Leases that a server lost as it was started anew are taken again, and the slots that it still counts are given back."""
    name = secrets.token_hex(16)
    worker = Worker(name, {DRAW})
    await made(worker)
    async with get_client() as client:
        await worker.account.look(client, active=True)
        for held in worker.account.held:
            for lease in held.leases:  # the server's memory alone, as far as this worker knows
                await client.release_concurrency_slots_with_lease(lease.id)
                await client.increment_concurrency_slots([held.name], lease.slots, "concurrency")
                lease.renewed_at -= allotments.RENEW_S + 1
        await worker.account.look(client, active=True)
        assert worker.held == (1.0, 10)
        for held, slots in zip(worker.account.held, (1, WHOLE, 10), strict=True):
            assert (await client.read_global_concurrency_limit_by_name(held.name)).active_slots == slots
        await allotments.give_back(worker.shares.leases)
