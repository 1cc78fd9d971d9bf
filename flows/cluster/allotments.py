"""One account's limits over all workers, by Prefect's global concurrency limits.

An account has three: `stillhouse-…-rate`, the thousandths of its requests and tokens a minute; `stillhouse-…-concurrency`, its
requests in flight; and `stillhouse-…-workers`, in which each worker that has something to ask holds a place. A worker leases its
share of the first two, an equal part by the third, and keeps to it by itself: a request costs no call. Shares are looked at
anew every few seconds, and what an idle worker held is free for the others. The leases are renewed while their worker lives and
end by themselves a minute after it; builds that ask the same account through the same server share it as workers do.

A limit with slot decay would be the obvious form of a rate, but one that is asked while it is full forgets what had decayed by
then (Prefect 3.9), so that several workers together would get a part of it only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows.cluster.apart import DRAW, VERIFY
from flows.process.waiting import beside
from flows.wiring import Connected
from tasks.asking.ask import Desk
from tasks.asking.limits import Limiter
from tasks.asking.line import KnowsCapacity

logger = logging.getLogger(__name__)
WHOLE = 1_000
"""A rate in parts: that of a worker is a number of them."""
MANY = 1_000_000
"""Workers that an account may have."""
LEASE_S = 60.0
"""How long a lease lasts that nobody renews: the shortest that Prefect gives."""
RENEW_S = 15.0
LOOK_S = 1.0
"""Between two looks at who is there, at first; more workers look less often, so that the server has as much to do."""
LOOKS_PER_S = 20.0
"""Of all workers together."""
LOCKED, GONE = 423, 410
TROUBLE = (httpx.HTTPError, OSError, PrefectHTTPStatusError)


@dataclass(slots=True)
class _Lease:
    slots: int
    id: UUID
    renewed_at: float


@dataclass(slots=True)
class Held:
    """What a worker holds of one global concurrency limit."""

    name: str
    leases: list[_Lease] = field(default_factory=list)
    troubled: bool = False
    """Whether the server couldn't be reached since the last renewal."""

    @property
    def slots(self) -> int:
        """How many."""
        return sum(lease.slots for lease in self.leases)

    async def settle(self, client: PrefectClient, wanted: int) -> None:
        """Hold so many, or as many as there are. Whoever gives some back must not use them any more by then."""
        while self.slots > wanted:
            lease = self.leases.pop()
            await client.release_concurrency_slots_with_lease(lease.id)
        while (lacking := wanted - self.slots) > 0:
            while lacking and not await self._take(client, lacking):
                lacking //= 2
            if not lacking:
                break

    async def _take(self, client: PrefectClient, slots: int) -> bool:
        try:
            response = await client.increment_concurrency_slots_with_lease([self.name], slots, "concurrency", LEASE_S)
        except PrefectHTTPStatusError as error:
            if error.response.status_code == LOCKED:
                return False
            raise
        self.leases.append(_Lease(slots, UUID(response.json()["lease_id"]), time.monotonic()))
        return True

    async def renew(self, client: PrefectClient) -> None:
        """Renew what is due."""
        for lease in [each for each in self.leases if time.monotonic() - each.renewed_at > RENEW_S]:
            try:
                await client.renew_concurrency_lease(lease.id, LEASE_S)
                lease.renewed_at = time.monotonic()
            except (ObjectNotFound, PrefectHTTPStatusError) as error:
                if not isinstance(error, ObjectNotFound) and error.response.status_code != GONE:
                    raise
                self.leases.remove(lease)
                if self.troubled or time.monotonic() - lease.renewed_at < LEASE_S:
                    # The server was started anew and has forgotten its leases, though not that these slots are taken.
                    await client.release_concurrency_slots([self.name], lease.slots, 1.0)
        self.troubled = False


class Account:
    """One account's limits, and what this worker has of them."""

    def __init__(self, account: str) -> None:
        """Hold nothing yet of the account of that hash."""
        stem = f"stillhouse-{account[:16]}"
        self._lines: list[tuple[Limiter, int]] = []
        self.parts: set[str] = set()
        """What it is asked for: DRAW, VERIFY, or both."""
        self.concurrency = 0
        """Requests in flight of all its lines and workers; 0: no such limit."""
        self._rate, self._flight, self._place = (Held(f"{stem}-{kind}") for kind in ("rate", "concurrency", "workers"))

    def add(self, limiter: Limiter, concurrency: int) -> None:
        """Take one of its lines along, with what all workers may have in flight on that."""
        self._lines.append((limiter, concurrency))
        self.concurrency += concurrency
        limiter.allot(part=0.0, concurrency=0)

    @property
    def held(self) -> list[Held]:
        """Return what it holds."""
        return [self._place, self._rate, *([self._flight] if self.concurrency else [])]

    async def make(self, client: PrefectClient) -> None:
        """Make the limits, or set them anew: the spec may have changed."""
        for held, limit in ((self._place, MANY), (self._rate, WHOLE), (self._flight, self.concurrency)):
            if limit:
                await client.upsert_global_concurrency_limit_by_name(held.name, limit)

    async def look(self, client: PrefectClient, *, active: bool) -> int:
        """Hold this worker's share, or nothing where it has nothing to ask; return how many workers there are."""
        for held in self.held:
            await held.renew(client)
        await self._place.settle(client, int(active))
        found = await client.read_global_concurrency_limit_by_name(self._place.name)
        workers = max(1, found.active_slots)
        rate = WHOLE // workers if active else 0
        flight = max(1, self.concurrency // workers) if active and self.concurrency else 0
        self._allot(rate=min(rate, self._rate.slots), flight=min(flight, self._flight.slots))
        await self._rate.settle(client, rate)
        if self.concurrency:
            # What is in flight beyond a smaller share comes to its end first.
            busy = sum(limiter.inside for limiter, _ in self._lines)
            await self._flight.settle(client, max(flight, min(busy, self._flight.slots)))
        self._allot(rate=self._rate.slots, flight=min(self._flight.slots, flight))
        return workers

    def _allot(self, *, rate: int = 0, flight: int = 0) -> None:
        for limiter, own in self._lines:
            share = flight * own // self.concurrency if own else 0
            limiter.allot(part=rate / WHOLE, concurrency=max(share, min(1, flight)))

    def trouble(self) -> None:
        """Note that the server couldn't be reached."""
        for held in self.held:
            held.troubled = True


def accounts(made: Sequence[Sequence[Connected]], desks: Sequence[Desk], judges: AbstractSet[str]) -> list[Account]:
    """Return the accounts that the desks' lines ask, as far as others share them. `judges` are asked to judge."""
    found: dict[str, Account] = {}
    for connected, desk in zip(made, desks, strict=True):
        for each, line in zip(connected, desk.lines, strict=True):
            if (account := _shared(each)) is not None:
                one = found.setdefault(account, Account(account))
                one.add(line.limiter, each.options.limits.concurrency)
                one.parts |= {DRAW} if desk.options.draw else set()
                one.parts |= {VERIFY} if desk.options.name in judges else set()
    return list(found.values())


def _shared(connected: Connected) -> str | None:
    """Return the account that a line's limits belong to; None for a model that each process serves to itself."""
    return None if isinstance(connected.teacher, KnowsCapacity) else connected.account


class Allotments:
    """A worker's shares of all accounts that it asks, kept up to date while `keep` runs."""

    def __init__(self, accounts: list[Account]) -> None:
        """Hold nothing yet."""
        self._accounts = accounts
        self._kinds: set[str] = set()
        self._changed = asyncio.Event()

    def set(self, kinds: set[str]) -> None:
        """Say what is at work: DRAW, VERIFY, both or nothing."""
        if kinds != self._kinds:
            self._kinds = kinds
            self._changed.set()

    @property
    def leases(self) -> tuple[str, ...]:
        """The ids of all leases."""
        return tuple(str(lease.id) for account in self._accounts for held in account.held for lease in held.leases)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the shares up to date, and give them back on leaving."""
        if not self._accounts:
            yield
            return
        async with beside(self._keep()):
            yield

    async def _keep(self) -> None:
        async with get_client() as client:
            try:
                while True:
                    workers = 1
                    for account in self._accounts:
                        try:
                            workers = max(workers, await account.look(client, active=bool(account.parts & self._kinds)))
                        except TROUBLE as error:  # a server that restarts must not end a build: what is held goes on being used
                            account.trouble()
                            logger.debug("Prefect can't be reached: %s", error)
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), max(LOOK_S, workers / LOOKS_PER_S))
            finally:
                for lease in self.leases:
                    with contextlib.suppress(*TROUBLE):
                        await client.release_concurrency_slots_with_lease(UUID(lease))


async def make(made: Sequence[Sequence[Connected]]) -> None:
    """Make the global concurrency limits of the accounts of a run's teachers."""
    found: dict[str, Account] = {}
    for each in (connected for lines in made for connected in lines):
        if (account := _shared(each)) is not None:
            found.setdefault(account, Account(account)).concurrency += each.options.limits.concurrency
    async with get_client() as client:
        for one in found.values():
            await one.make(client)


async def give_back(leases: Iterable[str]) -> None:
    """Give back what a worker held that was killed."""
    if not (held := list(leases)):
        return
    with contextlib.suppress(*TROUBLE):  # else they end by themselves
        async with get_client() as client:
            for lease in held:
                await client.release_concurrency_slots_with_lease(UUID(lease))
