"""Asking a provider of batches until it answers. What it was sent goes on meanwhile, so patience costs nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from storage.errors import TeacherDown, TeacherError, Unreachable
from tasks.asking.sending import LONGEST_WAIT_S
from tasks.teachers.options import RetryOptions

T = TypeVar("T")
PATIENCE_S = 900.0
"""A provider that has a batch of ours is waited for so long, however little `retry.patience_s` is."""


@dataclass(slots=True)
class Patience:
    """One provider's, over a run."""

    teacher: str
    """What to call it."""
    retry: RetryOptions
    """How long to wait between two attempts, and how often and how long to try at least."""
    answered: bool = False
    """Whether it ever has."""

    async def ask(self, call: Callable[[], Awaitable[T]], *, has_ours: bool) -> T:
        """Call until there is an answer. Raise TeacherDown where there is none for too long."""
        clock = asyncio.get_running_loop().time
        began, attempts, wait = clock(), 0, self.retry.first_wait_s
        while True:
            try:
                answer = await call()
            except TeacherError as error:
                attempts += 1
                asked = error.retry_after_s or 0.0
                self.answered |= not isinstance(error, Unreachable)
                failing_s = clock() - began
                if self._is_down(error, attempts, failing_s, has_ours=has_ours) or asked > LONGEST_WAIT_S:
                    raise TeacherDown(
                        f"teacher {self.teacher!r} stayed unavailable for {failing_s:.0f} s ({attempts} attempts, the last: "
                        f"{error}); what was sent goes on at the provider, and a rerun picks it up"
                    ) from error
                await asyncio.sleep(max(asked, wait * random.uniform(0.5, 1.0)))  # noqa: S311
                wait = min(wait * 2, self.retry.max_wait_s)
            else:
                self.answered = True
                return answer

    def _is_down(self, error: TeacherError, attempts: int, failing_s: float, *, has_ours: bool) -> bool:
        if not type(error).retryable:  # whatever a server says of a single answer: what it works on is paid for
            return True
        patience_s = max(self.retry.patience_s, PATIENCE_S) if has_ours else self.retry.patience_s
        if isinstance(error, Unreachable) and not self.answered and not has_ours:
            patience_s = 0.0  # a wrong address is told soon
        return attempts >= self.retry.attempts and failing_s >= patience_s
