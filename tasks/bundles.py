"""Gathers checks into bundles that workers make: see `verifiers/bundle.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from storage.errors import SetupError
from storage.records import Prompt, Sample
from tasks.threads import Threads
from verifiers.bundle import Check, Found, check_all
from verifiers.protocol import Verifier

MOST = 64
"""Checks in a bundle."""
MOST_CHARS = 1_000_000
"""Of their texts, but for the last one's."""
GATHER_S = 0.005
"""A bundle waits so long for more checks."""
FEW = 400
"""So many are made without a worker first: where no more come, none need be started. At half of them one is."""
ALONE: Found = (None, 0.0)
_Waiting = tuple[Check, "asyncio.Future[Found]"]


class Bundles:
    """Bundles the checks of one event loop."""

    def __init__(self, threads: Threads) -> None:
        """Wait for workers on these threads."""
        self._threads = threads
        self._few = FEW
        self._off = False
        """Whether no worker can be had."""
        self._gathered: list[_Waiting] = []
        self._chars = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sent: set[asyncio.Task[None]] = set()

    async def check(self, verifier: Verifier, prompt: Prompt, sample: Sample) -> Found:
        """Return what a pure verifier finds, and the seconds that it took. None: the check is to be made by itself."""
        if self._few:
            self._few -= 1
            if self._few == FEW // 2:
                self._send()  # an empty bundle: its worker starts while the rest of the few are made
            return ALONE
        if self._off:
            return ALONE
        done: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._gathered.append(((verifier, prompt, sample), done))
        self._chars += len(prompt.prompt) + len(sample.response) + len(sample.reasoning or "")
        if len(self._gathered) >= MOST or self._chars >= MOST_CHARS:
            self._send()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._send)
        return await done

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._chars = self._gathered, [], 0
        self._begin(gathered)

    def _begin(self, waiting: Sequence[_Waiting]) -> None:
        sent = asyncio.get_running_loop().create_task(self._make(waiting))
        self._sent.add(sent)
        sent.add_done_callback(self._sent.discard)

    async def _make(self, waiting: Sequence[_Waiting]) -> None:
        """Have a worker make checks: as many as there is time for. The rest takes long, so that more of them share it."""
        waiting = [(check, done) for check, done in waiting if not done.done()]
        try:
            found = await self._threads.submit(partial(check_all, [check for check, _ in waiting]))
        except Exception as error:  # noqa: BLE001 - one of them hangs, say: each tells by itself whether it is the one
            self._off = self._off or isinstance(error, SetupError)
            found = [ALONE] * len(waiting)
        for (_, done), each in zip(waiting, found, strict=False):
            if not done.done():
                done.set_result(each)
        rest = waiting[len(found) :]
        half = len(rest) // 2
        for part in (rest[:half], rest[half:]):
            if part:
                self._begin(part)
