"""A worker's view of its run's lease: certain while nobody else can have it, and never longer."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Callable

import pytest
from obstore.store import MemoryStore

from storage.errors import LeaseLost, SetupError, StorageError
from storage.remote import lease as leases
from storage.remote import watch as watches
from storage.remote.lease import NAME, Held, Lease
from storage.remote.objects import Found, Objects
from storage.remote.watch import Watch

QUICK_S = 0.6


def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def named(lease: Lease) -> str:
    """Return the name of a lease that is held."""
    assert lease.name is not None
    return lease.name


def unrenewed(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """Return a lease that its holder never renews."""
    lease = Lease(objects, "a", seconds=QUICK_S)
    monkeypatch.setattr(lease, "_beat", lambda lost: None)
    return lease


def test_while_it_is_renewed(objects: Objects):
    """It is certain from the second look at the lease that finds it put again, for as long as it is held; then nothing counts."""
    lost: list[StorageError] = []
    lease = Lease(objects, "a", seconds=QUICK_S)
    with lease.held(pytest.fail):
        watch = Watch(objects, named(lease))
        assert not watch.sure
        looking = watch.kept(lost.append)
        looking.__enter__()
        until(lambda: watch.sure)
        time.sleep(2 * QUICK_S)
        assert watch.over is None
    until(lambda: bool(lost))
    looking.__exit__(None, None, None)
    assert "the build has ended" in str(watch.over)
    assert not watch.sure


def test_another_lease(objects: Objects):
    """A store that has none, or another's, isn't the lake of this run."""
    for _ in range(2):
        with pytest.raises(SetupError, match=r"memory://lake: its lease isn't the build's.*AWS_ENDPOINT_URL"):
            Watch(objects, "b-1")
        with Lease(objects, "a").held(pytest.fail):
            pass


def test_another_machine_has_it(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """Whoever works for the holder before hears of it, and counts nothing more."""
    lost: list[StorageError] = []
    dead = unrenewed(objects, monkeypatch)
    with dead.held(pytest.fail):
        watch = Watch(objects, named(dead))
        with watch.kept(lost.append), Lease(objects, "b", seconds=QUICK_S).held(lambda _: None):
            until(lambda: bool(lost))
        assert isinstance(watch.over, LeaseLost)


def test_is_never_certain_for_too_long(monkeypatch: pytest.MonkeyPatch):
    """Whenever holder, worker and waiter look and put, however long a look takes: none is certain once another may take it."""
    clock = [0.0]
    for module in (leases, watches):
        monkeypatch.setattr(module, "now", lambda: clock[0])
    assert sum(_certain_looks(random.Random(seed), clock) for seed in range(200)) > 300


class _Slow(Objects):
    """A store in memory that takes its time, there and back."""

    def __init__(self, chance: random.Random, clock: list[float]) -> None:
        super().__init__(MemoryStore(), "memory://lake")
        self._chance, self._clock = chance, clock

    def get(self, path: str) -> tuple[bytes, Found] | None:
        self._clock[0] += self._chance.uniform(0, 3)
        found = super().get(path)
        self._clock[0] += self._chance.uniform(0, 3)
        return found


def _certain_looks(chance: random.Random, clock: list[float]) -> int:
    """Have three act in whatever order until the lease is taken over; return the worker's looks after which it was certain."""
    objects = _Slow(chance, clock)
    held = Held(copy="a", who="", epoch=1, beat=0, seconds=10.0)
    put = objects.put(NAME, held.dumped())
    watch, waiter = Watch(objects, held.name), Lease(objects, "b")
    seen, since, dies, certain = None, 0.0, clock[0] + chance.uniform(5, 60), 0
    while watch.over is None:
        clock[0] += chance.expovariate(2.0)
        who = chance.choice(["holder", "worker", "waiter"])
        if who == "holder" and clock[0] < dies:
            held = dataclasses.replace(held, beat=held.beat + 1)
            put = objects.put(NAME, held.dumped())
        elif who == "worker":
            watch._look()
            certain += watch.sure
        elif who == "waiter":  # at its best: it sees at once
            if put.etag != seen:
                seen, since = put.etag, clock[0]
            if waiter._over(held, None, since):
                break
    assert not watch.sure
    return certain


def test_a_store_that_is_away(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """For a moment it only isn't certain; for longer than the lease lasts it is given up, by what the store said last."""
    lost: list[StorageError] = []
    away = threading.Event()
    get = objects.get

    def unreliable(path: str) -> object:
        if away.is_set():
            raise StorageError("the store answers 503")
        return get(path)

    lease = Lease(objects, "a", seconds=QUICK_S)
    with lease.held(pytest.fail):
        watch = Watch(objects, named(lease))
        monkeypatch.setattr(objects, "get", unreliable)
        with watch.kept(lost.append):
            until(lambda: watch.sure)
            away.set()
            until(lambda: not watch.sure)
            away.clear()
            until(lambda: watch.sure)
            assert lost == []
            away.set()
            until(lambda: bool(lost))
        assert str(watch.over) == "the store answers 503"


def test_a_run_that_hangs(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """A lease that nobody renews, and nobody takes over, is given up by its workers too."""
    lost: list[StorageError] = []
    hanging = unrenewed(objects, monkeypatch)
    with hanging.held(pytest.fail):
        watch = Watch(objects, named(hanging))
        with watch.kept(lost.append):
            until(lambda: bool(lost))
    assert "doesn't renew its lease any more" in str(watch.over)
