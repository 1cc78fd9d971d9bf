"""Asking one teacher: limits, retries and the time limit around `Teacher.complete`. The only place where anything is retried."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import tenacity

from storage.errors import BadResponse, RateLimited, TeacherDown, TeacherError, Unavailable, Unreachable, Withheld
from tasks.limits import Limiter
from tasks.stop import Stop
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import CHARS_PER_TOKEN, Choice, Completion, Request, Teacher, Usage

INT32_MAX = 2**31 - 1
"""What the samples table can hold: a server that miscounts must not make a response that can't be stored."""
_TOKENS = tuple(field.name for field in fields(Usage))
LOST = 3
"""Requests in a row that exhausted their attempts: one may be at fault itself, so many are not."""
LONGEST_WAIT_S = 900.0
"""A server that asks for a longer wait is down for this run."""
OUT_UNKNOWN = 512
"""Completion tokens to reserve where the spec sets no `max_tokens`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a request."""

    completion: Completion
    """At least one choice; none is empty."""
    attempts: int
    """Requests sent for it."""
    latency_s: float
    """Of the last of them."""


class Desk:
    """Where requests to one teacher queue."""

    def __init__(self, options: TeacherOptions, teacher: Teacher, stop: Stop, *, limiter: Limiter | None = None) -> None:
        """Put limits and retries of `options` before `teacher`."""
        self.options = options
        self.teacher = teacher
        self._stop = stop
        self._limiter = limiter or Limiter(options.limits)
        self._answered_at = float("-inf")
        self._lost = 0
        retry = options.retry
        jitter = tenacity.wait_random_exponential(multiplier=retry.first_wait_s, max=retry.max_wait_s)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after_s if isinstance(error, RateLimited) else None
            return jitter(state) if asked is None else asked

        self._retrying = tenacity.AsyncRetrying(
            stop=lambda state: state.attempt_number >= retry.attempts or bool(stop),
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TeacherError) and error.retryable),
            wait=wait,
            reraise=True,
        )

    async def ask(
        self,
        request: Request,
        *,
        may_send: Callable[[], bool] = lambda: True,
        billed: Callable[[Usage], object] = lambda usage: None,  # noqa: ARG005
    ) -> Answer:
        """Return the answer to one request. Raise TeacherError where it gets none, TeacherDown where nobody gets one.

        `may_send` is asked last thing before each attempt, when the request has waited for its turn. `billed` hears of the usage
        of every response, also of an empty one that is asked for again.
        """
        attempts = 0
        sent: list[float] = []
        try:
            async for attempt in self._retrying.copy():
                with attempt:
                    attempts += 1
                    completion, latency_s = await self._once(request, may_send, billed, sent)
                    return Answer(completion=completion, attempts=attempts, latency_s=latency_s)
        except TeacherError as error:
            error.attempts = attempts
            if isinstance(error, RateLimited | Unavailable) and not self._stop and self._is_down(error, sent[0]):
                raise TeacherDown(
                    f"teacher {self.options.name!r} stayed unavailable for {time.monotonic() - sent[0]:.0f} s "
                    f"({attempts} attempts, the last: {error}); what was paid for is landed, and a rerun goes on"
                ) from error
            raise
        raise AssertionError("tenacity returns or raises")

    def _is_down(self, error: TeacherError, since: float) -> bool:
        """Whether it isn't this request's fault that all of its attempts failed: nobody is there, or nobody was answered."""
        self._lost += 1
        return self._answered_at < since and (isinstance(error, Unreachable) or self._lost >= LOST)

    async def _once(
        self, request: Request, may_send: Callable[[], bool], billed: Callable[[Usage], object], sent: list[float]
    ) -> tuple[Completion, float]:
        chars = sum(len(message.content) for message in request.messages)
        estimate = chars // CHARS_PER_TOKEN + request.n * int(request.parameters.get("max_tokens") or OUT_UNKNOWN)
        async with self._limiter.lease(estimate) as lease:
            if self._stop or not may_send():
                raise Withheld("the run stops")
            sent.append(time.monotonic())
            try:
                async with asyncio.timeout(self.options.timeout_s):
                    completion = await self.teacher.complete(request)
            except TimeoutError:
                raise Unavailable(f"no answer within {self.options.timeout_s:g} s") from None
            except RateLimited as error:
                lease.used = 0
                if error.retry_after_s is not None:
                    self._refuse_to_wait(error.retry_after_s)
                    self._limiter.pause(error.retry_after_s)
                raise
            lease.used = completion.tokens_in + completion.tokens_out
        self._answered_at = time.monotonic()
        self._lost = 0
        tokens = {name: min(max(getattr(completion, name), 0), INT32_MAX) for name in _TOKENS}
        billed(Usage(**tokens))
        choices = tuple(_clean(choice) for choice in completion.choices if _says_something(choice))
        if not choices:
            raise BadResponse("the response is empty")
        return replace(completion, choices=choices[: request.n], **tokens), self._answered_at - sent[-1]

    def _refuse_to_wait(self, seconds: float) -> None:
        if seconds > LONGEST_WAIT_S:
            raise TeacherDown(
                f"teacher {self.options.name!r} asks to wait for {seconds / 60:,.0f} minutes; "
                "what was paid for is landed, and a rerun goes on"
            )


def _says_something(choice: Choice) -> bool:
    """Whether asking again would only buy the same again: a refusal is an answer, and reasoning that isn't shown was paid for."""
    return bool(choice.response.strip() or choice.reasoning or choice.reasoning_blocks or choice.finish_reason == "refusal")


def _clean(choice: Choice) -> Choice:
    """Replace lone surrogates, which JSON can carry and UTF-8 (the journal, Parquet) can't."""
    texts = [choice.response, choice.reasoning or "", choice.finish_reason]
    if all(text.isascii() or _encodes(text) for text in texts):
        return choice
    response, reasoning, finish = (text.encode("utf-8", "replace").decode("utf-8") for text in texts)
    return replace(choice, response=response, reasoning=reasoning or None, finish_reason=finish)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def billable(completion: Completion) -> Usage:
    """Return what a response is billed for, in numbers that the tables can hold."""
    return Usage(**{name: min(max(getattr(completion, name), 0), INT32_MAX) for name in _TOKENS})


def usable(completion: Completion, n: int) -> Completion:
    """Return a response without what no table can hold, and with `n` samples at most. Raise BadResponse where nothing is left."""
    choices = tuple(_clean(choice) for choice in completion.choices if _says_something(choice))
    if not choices:
        raise BadResponse("the response is empty")
    usage = billable(completion)
    return replace(completion, choices=choices[:n], **{name: getattr(usage, name) for name in _TOKENS})
