"""Retries: how long to wait before one, and a run's budget of them, since an outage must not multiply what the run costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import tenacity

from storage.errors import TeacherDown, TeacherError, Unwanted
from storage.wording import counted
from tasks.asking.trying import Try
from tasks.teachers.options import RetryOptions, TeacherOptions

FREE = 100
"""Retries that a run may use whatever its budget of them."""
HELPED = 0.05
"""Where no more than this share of its retries got an answer, it is requests that fail, and not a teacher that often does."""
LEAST_WAIT_S = 1.0
"""A server that asks for less, or for a time that is past, doesn't say how long to wait."""


def retrying(options: RetryOptions, *, elsewhere: bool, sleep: Callable[[float], Awaitable[None]]) -> tenacity.AsyncRetrying:
    """Return the policy: what is tried again, and after which wait, to `sleep`. `elsewhere`: there is another line."""
    jitter = tenacity.wait_random_exponential(multiplier=options.first_wait_s, max=options.max_wait_s)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Unwanted):
            return 0.0  # the server is well
        asked = asked_s(error)
        # Another line may be asked at once; the one that wants a pause has one.
        return (0.0 if elsewhere else asked) if asked else jitter(state)

    return tenacity.AsyncRetrying(retry=tenacity.retry_if_exception(options.again), wait=wait, sleep=sleep, reraise=True)


def asked_s(error: BaseException | None) -> float:
    """Return for how long a server asked to wait; 0 where that is too short to be meant: such an error waits like any other."""
    asked = (error.retry_after_s or 0.0) if isinstance(error, TeacherError) else 0.0
    return asked if asked >= LEAST_WAIT_S else 0.0


class RetriesSpent(TeacherDown):
    """A request would have to be sent again, and the budget for that is spent."""


class Retries:
    """Counts what a run sends, and what it sends again of what may have been billed."""

    def __init__(self, options: TeacherOptions) -> None:
        """Nothing was sent yet."""
        self._options = options
        self._first = self._again = self._helped = 0

    @property
    def in_vain(self) -> bool:
        """Whether hardly any of them got an answer."""
        return self._helped <= HELPED * self._again

    def count(self, so_far: Try) -> None:
        """Count an attempt that is to be made. Raise RetriesSpent where it is one too many."""
        if so_far.billed_again and self._again >= FREE + self._options.retry.budget * self._first:
            raise RetriesSpent(
                f"teacher {self._options.name!r}: {counted(self._again, 'request')} for {counted(self._first, 'answer')} had "
                "to be sent again, as many as retry.budget allows; what was paid for is landed, and a rerun goes on"
            )
        self._first += not so_far.attempts
        self._again += so_far.billed_again
        so_far.billed_again = False
        so_far.attempts += 1

    def answered(self, so_far: Try) -> None:
        """Count a response."""
        self._helped += so_far.error is not None
