"""The lease: one holder at a time, taken over from whoever is gone, and fenced off."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import Interrupted, LeaseLost, SetupError, StorageError
from storage.remote import lease as leases
from storage.remote.lease import NAME, Held, Lease
from storage.remote.objects import Found, Objects

QUICK_S = 0.4


def there(objects: Objects) -> Held:
    """Return what the object says."""
    found = objects.get(NAME)
    assert found is not None
    return Held.of(found[0], objects.url)


def test_is_held_and_given_back(objects: Objects):
    """Whoever holds it is named in it while it lasts, and on leaving it is free; each holder's epoch is one more."""
    for epoch in (1, 2):
        lease = Lease(objects, f"copy-{epoch}")
        with lease.held(pytest.fail) as before:
            assert before is not None
            lease.check()
            assert (there(objects).copy, there(objects).epoch, there(objects).free) == (f"copy-{epoch}", epoch, False)
        assert there(objects).free
        with pytest.raises(StorageError, match="only while its lease is held"):
            lease.check()


def test_excludes_another_machine(objects: Objects):
    """While one machine holds it, another is told once by whom, and waits until it gives up; one that won't wait gets nothing."""
    said: list[str] = []

    def give_up() -> None:
        if said:
            raise Interrupted("enough")

    with Lease(objects, "a").held(pytest.fail):
        with Lease(objects, "b").held(pytest.fail, wait=False) as before:
            assert before is None
        with pytest.raises(Interrupted), Lease(objects, "b").held(said.append, check=give_up):
            pytest.fail("two held it")
    assert len(said) == 1
    assert "another machine" in said[0]
    assert "pid" in said[0]


def test_beats_while_it_is_held(objects: Objects):
    """Held for several times as long as it is given for, it stays its holder's."""
    with Lease(objects, "a", seconds=QUICK_S).held(pytest.fail):
        before = there(objects).beat
        time.sleep(3 * QUICK_S)
        assert there(objects).beat > before
        with Lease(objects, "b", seconds=QUICK_S).held(pytest.fail, wait=False) as taken:
            assert taken is None


def test_is_taken_over_from_the_dead(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """One that stays as it is for as long as it was given is taken over, and its holder before hears of it before its next put."""
    lost: list[StorageError] = []
    dead = Lease(objects, "a", seconds=QUICK_S)
    monkeypatch.setattr(dead, "_beat", lambda lost: None)
    with dead.held(pytest.fail, lost=lost.append):
        began = time.monotonic()
        with Lease(objects, "b", seconds=QUICK_S).held(lambda _: None) as before:
            assert before is not None
            assert before.copy == "a"
            assert time.monotonic() - began >= QUICK_S
            for _ in range(2):
                with pytest.raises(LeaseLost, match="another machine has taken the lake over"):
                    dead.check()
            with pytest.raises(LeaseLost):
                dead.announce("manifests/builds/x.json")
            assert there(objects).copy == "b"
    assert there(objects).copy == "b"  # the late leaver has not touched it


def test_whoever_slept_goes_on_where_nobody_came(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """Past its time, a holder asks the store before it goes on, and keeps the lease where nobody has taken it."""
    lease = Lease(objects, "a", seconds=QUICK_S)
    monkeypatch.setattr(lease, "_beat", lambda lost: None)
    with lease.held(pytest.fail):
        time.sleep(1.5 * QUICK_S)
        assert not lease.sure
        lease.check()
        assert lease.sure


def test_its_own_working_copy_waits_for_nobody(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """A process that was killed is known to be gone by whoever has its working copy's lock: no need to wait out its lease."""
    with Lease(objects, "a").held(pytest.fail), Lease(objects, "a").held(pytest.fail) as before:
        assert before is not None


def test_long_ago_is_long_ago_by_any_clock(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """What was last put hours ago is taken over without being watched first."""
    objects.put(NAME, Held(copy="a", who="x", epoch=3, beat=9, seconds=30.0).dumped())
    get = objects.get

    def aged(path: str) -> tuple[bytes, Found] | None:
        found = get(path)
        assert found is not None
        data, now = found
        hours = datetime.now(UTC) - timedelta(hours=2)
        return data, Found(path=now.path, size=now.size, etag=now.etag, version=now.version, modified=hours)

    monkeypatch.setattr(objects, "get", aged)
    with Lease(objects, "b").held(pytest.fail) as before:
        assert before is not None
        assert (before.epoch, there(objects).epoch) == (3, 4)


def test_what_was_announced_is_handed_on(objects: Objects):
    """A manifest that a holder announced is known to the next."""
    with Lease(objects, "a").held(pytest.fail):
        pass
    lease = Lease(objects, "a")
    with lease.held(pytest.fail):
        lease.announce("manifests/builds/x.json")
    with Lease(objects, "b").held(pytest.fail) as before:
        assert before is not None
        assert before.landing == "manifests/builds/x.json"


def test_a_store_that_is_away_ends_the_buying(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """Where it can't be put for as long as it is given, whoever buys hears once, and the lease is kept should the store return."""
    lost: list[StorageError] = []
    lease, put, away = Lease(objects, "a", seconds=QUICK_S), objects.put, threading.Event()

    def refuse(path: str, data: bytes, *, new: bool = False, over: Found | None = None) -> Found:
        if away.is_set():
            raise StorageError("memory://lake/journal/lease: can't be written: the store answers 503")
        return put(path, data, new=new, over=over)

    monkeypatch.setattr(objects, "put", refuse)
    with lease.held(pytest.fail, lost=lost.append):
        away.set()
        time.sleep(3 * QUICK_S)
        assert [str(error).rpartition(": ")[2] for error in lost] == ["the store answers 503"]
        with pytest.raises(StorageError, match="503"):
            lease.check()
        away.clear()
        lease.check()


@pytest.mark.parametrize("ignored", ["new", "over"])
def test_a_store_without_conditions(objects: Objects, monkeypatch: pytest.MonkeyPatch, ignored: str):
    """A store that puts whatever the condition is refused when a lake is begun on it: it could not keep two writers apart."""
    put = objects.put

    def lax(path: str, data: bytes, *, new: bool = False, over: Found | None = None) -> Found:
        return put(path, data, new=new and ignored != "new", over=None if ignored == "over" else over)

    monkeypatch.setattr(objects, "put", lax)
    with pytest.raises(SetupError, match="doesn't honour conditional puts"), Lease(objects, "a").held(pytest.fail):
        pass
    assert objects.get(NAME) is None


def test_something_else_of_its_name(objects: Objects):
    """An object that is no lease is said to be none."""
    objects.put(leases.NAME, b"{}")
    with pytest.raises(StorageError, match="is no lease of ours"), Lease(objects, "a").held(pytest.fail):
        pass
