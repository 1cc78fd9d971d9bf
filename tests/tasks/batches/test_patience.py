"""Asking a provider of batches until it answers. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from storage.errors import RateLimited, RequestRejected, TeacherDown, TeacherError, Unavailable, Unreachable
from tasks.asking.sending import LONGEST_WAIT_S
from tasks.batches.patience import PATIENCE_S, Patience
from tasks.teachers.options import RetryOptions
from tests.fakes import in_virtual_time


def away(error: TeacherError, seconds: float) -> Callable[[], Coroutine[Any, Any, str]]:
    """Return a call that fails for so long, and is answered then."""

    async def call() -> str:
        if asyncio.get_running_loop().time() < seconds:
            raise error
        return "here"

    return call


def ask(error: TeacherError, seconds: float, *, has_ours: bool = False, answered: bool = True, **retry: Any) -> tuple[str, float]:
    """Return what comes of a call that fails for so long, and when."""

    async def main() -> tuple[str, float]:
        patience = Patience("t", RetryOptions(**retry), answered=answered)
        try:
            come = await patience.ask(away(error, seconds), has_ours=has_ours)
        except TeacherDown as down:
            come = str(down)
        return come, asyncio.get_running_loop().time()

    return in_virtual_time(main())


@pytest.mark.parametrize("error", [Unavailable("503"), RateLimited("429"), Unreachable("dns")], ids=repr)
def test_a_blip(error: TeacherError) -> None:
    """A provider that is away for less than `retry.patience_s` is waited for, however few attempts there may be."""
    for _ in range(20):
        assert ask(error, 50, attempts=2)[0] == "here"


def test_patience_ends() -> None:
    """One that is away for longer is down, and that is told in a line with the last answer."""
    come, after = ask(Unavailable("503 oops"), 1e9)
    assert "teacher 't' stayed unavailable" in come
    assert "503 oops" in come
    assert 60 <= after < 60 + 2 * 30


def test_a_server_that_says_not_to_ask_again() -> None:
    """It is asked again all the same: what it works on is paid for. A refusal of the request isn't waited for."""
    error = Unavailable("500")
    error.retryable = False
    assert ask(error, 50)[0] == "here"
    assert "stayed unavailable for 0 s (1 attempts" in ask(RequestRejected("400"), 50)[0]


def test_the_users_patience() -> None:
    """`retry.patience_s` is honoured, also where it is longer."""
    assert ask(Unavailable("503"), 3_000, patience_s=4_000)[0] == "here"
    assert ask(Unavailable("503"), 3_000, has_ours=True, patience_s=4_000)[0] == "here"
    assert ask(Unavailable("503"), 50, patience_s=1, attempts=2)[1] < 10


def test_who_has_a_batch_of_ours() -> None:
    """A provider that has a batch is waited for longer than one that is to get it."""
    assert ask(Unavailable("503"), PATIENCE_S - 50, has_ours=True)[0] == "here"
    assert ask(Unreachable("dns"), PATIENCE_S - 50, has_ours=True, answered=False)[0] == "here"
    assert ask(Unavailable("503"), 1e9, has_ours=True)[1] < PATIENCE_S + 2 * 30


def test_a_wrong_address() -> None:
    """Where nobody was ever there, that is told after `retry.attempts`."""
    come, after = ask(Unreachable("dns"), 1e9, answered=False)
    assert "stayed unavailable" in come
    assert after < 60


@pytest.mark.parametrize("kind", [RateLimited, Unavailable], ids=repr)
def test_a_pause_that_is_asked_for(kind: type[RateLimited | Unavailable]) -> None:
    """What the server asks for is waited, and a provider that asks for too long is down."""
    assert ask(kind("?", retry_after_s=100), 90) == ("here", 100)
    come, after = ask(kind("?", retry_after_s=LONGEST_WAIT_S + 1), 90)
    assert "stayed unavailable" in come
    assert after == 0


def test_no_pause_is_asked_for() -> None:
    """A server that says to come back at once isn't asked in a tight loop."""
    calls = 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        raise Unavailable("503", retry_after_s=0)

    async def main() -> None:
        with pytest.raises(TeacherDown):
            await Patience("t", RetryOptions()).ask(call, has_ours=False)

    in_virtual_time(main())
    assert calls < 20


def test_what_does_not_pass() -> None:
    """A request that is refused for good isn't repeated."""
    come, after = ask(RequestRejected("400"), 90)
    assert "400" in come
    assert after == 0


def test_patience_is_longer_than_a_pause() -> None:
    """A provider that asks for the longest pause that is honoured isn't down for that."""
    assert PATIENCE_S >= LONGEST_WAIT_S
