"""Asking one teacher: limits, retries and the time limit around `Teacher.complete`. The only place where anything is retried.

A teacher may have several lines (replicas of one model, or keys of several accounts). Each has its own limiter and circuit
breaker, and a request takes the line that has the least to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, runtime_checkable

import tenacity

from storage.errors import (
    BadResponse,
    Overloaded,
    QuotaSpent,
    RateLimited,
    TeacherDown,
    TeacherError,
    Unavailable,
    Unreachable,
    Withheld,
)
from tasks.breaker import Breaker
from tasks.limits import Lease, Limiter, shared_limiter
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions, TeacherOptions
from tasks.teachers.protocol import CHARS_PER_TOKEN, Choice, Completion, Request, Teacher, Usage

INT32_MAX = 2**31 - 1
"""What the samples table can hold: a server that miscounts must not make a response that can't be stored."""
_TOKENS = tuple(field.name for field in fields(Usage))
REFUSALS = 100
"""Times that one request is refused (429) before that counts as its own fault; a refusal costs nothing."""
LONGEST_WAIT_S = 900.0
"""A server that asks for a longer wait is down for this run."""
OUT_UNKNOWN = 512
"""Completion tokens to reserve where the spec sets no `max_tokens`, until responses have come."""
LEARNED = 20
"""Responses after which their mean is reserved."""
FREE_RETRIES = 100
"""Retries that a run may use whatever its budget of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a request."""

    completion: Completion
    """At least one choice; none is empty."""
    attempts: int
    """Requests sent for it."""
    latency_s: float
    """Of the last of them."""
    wasted: tuple[Usage, ...] = ()
    """What responses were billed for that were asked for again."""


@runtime_checkable
class KnowsCapacity(Protocol):
    """A teacher that knows how many requests it serves well."""

    @property
    def capacity(self) -> int:
        """Return how many."""
        ...


@dataclass(slots=True, kw_only=True)
class Line:
    """One way to a teacher."""

    teacher: Teacher
    """Who is asked."""
    limiter: Limiter
    """When."""
    breaker: Breaker
    """Whether."""
    down: TeacherDown | None = None
    """Why it won't be asked again in this run."""

    def lost(self, error: TeacherError, attempts: int) -> bool:
        """Whether there is no hope left for this run: nobody was ever there, or nobody has answered for too long."""
        if self.down is not None or self.breaker.out_of_patience:
            return True
        # A wrong address is told soon; a server that has answered before is waited for.
        return isinstance(error, Unreachable) and not self.breaker.ever_answered and self.breaker.probes >= attempts - 1


@dataclass(slots=True)
class _Try:
    """What has become of one request so far."""

    attempts: int = 0
    failures: int = 0
    refusals: int = 0
    latency_s: float = 0.0
    wasted: tuple[Usage, ...] = ()


class Desk:
    """Where requests to one teacher queue."""

    def __init__(self, options: TeacherOptions, lines: Sequence[Line], stop: Stop) -> None:
        """Put limits and retries of `options` before the lines of a teacher."""
        self.options = options
        self._lines = lines
        self._stop = stop
        self._first = self._repeated = 0
        self._seen, self._mean_out = 0, 0.0
        retry = options.retry
        jitter = tenacity.wait_random_exponential(multiplier=retry.first_wait_s, max=retry.max_wait_s)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after_s if isinstance(error, RateLimited) else None
            # Another line may be asked at once; the one that wants a pause has one.
            return jitter(state) if asked is None else min(asked, 0.0 if len(lines) > 1 else asked)

        self._retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TeacherError) and error.retryable),
            wait=wait,
            reraise=True,
        )

    @property
    def teacher(self) -> Teacher:
        """One of the teachers: all of them answer alike."""
        return self._lines[0].teacher

    async def ask(
        self,
        request: Request,
        *,
        may_send: Callable[[], bool] = lambda: True,
        billed: Callable[[Usage], object] = lambda usage: None,  # noqa: ARG005
    ) -> Answer:
        """Return the answer to one request. Raise TeacherError where it gets none, TeacherDown where nobody gets one.

        `may_send` is asked last thing before each attempt, when the request has waited for its turn. `billed` hears of the usage
        of every response, also of one that is asked for again.
        """
        so_far = _Try()
        try:
            try:
                completion = await self._once(request, so_far, may_send, billed)
            except TeacherError as error:
                completion = await self._again(error, request, so_far, may_send, billed)
        except TeacherError as error:
            error.attempts = so_far.attempts
            if not self._stop and isinstance(error, RateLimited | Unavailable) and self._is_down(error, so_far):
                failing_s = max(line.breaker.failing_s for line in self._lines)
                raise TeacherDown(
                    f"teacher {self.options.name!r} stayed unavailable for {failing_s:.0f} s "
                    f"({so_far.attempts} attempts, the last: {error}); what was paid for is landed, and a rerun goes on"
                ) from error
            raise
        return Answer(completion=completion, attempts=so_far.attempts, latency_s=so_far.latency_s, wasted=so_far.wasted)

    async def _again(
        self,
        first: TeacherError,
        request: Request,
        so_far: _Try,
        may_send: Callable[[], bool],
        billed: Callable[[Usage], object],
    ) -> Completion:
        """Go on after a first attempt that failed, as the policy says.

        The first attempt stays outside of tenacity, which costs more than all else that is done for a request that succeeds.
        """
        failed: TeacherError | None = first
        async for attempt in self._retrying.copy(stop=lambda state: self._gives_up(state, so_far)):
            with attempt:
                if failed is not None:
                    error, failed = failed, None
                    raise error
                return await self._once(request, so_far, may_send, billed)
        raise AssertionError("tenacity returns or raises")

    def _gives_up(self, state: tenacity.RetryCallState, so_far: _Try) -> bool:
        """Whether not to try again: the run stops, it is this request's fault, or there is no hope."""
        if self._stop or so_far.failures >= self.options.retry.attempts or so_far.refusals >= REFUSALS:
            return True
        error = state.outcome.exception() if state.outcome else None
        return isinstance(error, TeacherError) and self._is_down(error, so_far)

    def _is_down(self, error: TeacherError, so_far: _Try) -> bool:
        if isinstance(error, Unreachable) and so_far.failures >= self.options.retry.attempts:
            return not any(line.breaker.ever_answered for line in self._lines)
        return all(line.lost(error, self.options.retry.attempts) for line in self._lines)

    def _pick(self) -> Line:
        """Return the line with the least to do; one that fails for everybody only where it is time to try it."""
        usable = [line for line in self._lines if line.down is None]
        if not usable:
            raise self._lines[0].down or AssertionError("a desk has lines")
        for line in usable:
            if line.breaker.wants_probe:
                return line
        return min(usable, key=lambda line: (line.breaker.open, line.limiter.paused, line.limiter.load))

    def _better(self, line: Line) -> bool:
        """Whether another line should be asked, since this one fails for everybody."""
        return line.breaker.open and any(each.down is None and not each.breaker.open for each in self._lines)

    async def _once(
        self, request: Request, so_far: _Try, may_send: Callable[[], bool], billed: Callable[[Usage], object]
    ) -> Completion:
        completion = None
        while completion is None:
            line = self._pick()
            try:
                async with line.limiter.lease(self._estimate(request)) as lease:
                    completion = await self._through(line, lease, request, so_far, may_send)
            except QuotaSpent as error:
                line.down = QuotaSpent(f"teacher {self.options.name!r}: {error}")
        usage = Usage(**{name: min(max(getattr(completion, name), 0), INT32_MAX) for name in _TOKENS})
        billed(usage)
        choices = tuple(_clean(choice) for choice in completion.choices if _says_something(choice))
        if not choices:
            so_far.wasted += (usage,)
            so_far.failures += 1
            raise BadResponse("the response is empty")
        self._learn(usage, len(completion.choices))
        return replace(completion, choices=choices[: request.n], **{name: getattr(usage, name) for name in _TOKENS})

    async def _through(
        self, line: Line, lease: Lease, request: Request, so_far: _Try, may_send: Callable[[], bool]
    ) -> Completion | None:
        """Send a request on a line, or return None where another is better by now."""
        probe = await line.breaker.turn(lambda: bool(self._stop) or self._better(line))
        try:
            if self._stop or not may_send():
                raise Withheld("the run stops")
            if not probe and self._better(line):
                lease.used = 0
                return None
            self._count(so_far)
            return await self._send(line, lease, request, so_far, probe=probe)
        finally:
            if probe:
                line.breaker.released()

    async def _send(self, line: Line, lease: Lease, request: Request, so_far: _Try, *, probe: bool) -> Completion:
        loop = asyncio.get_running_loop()
        lease.sent_at = sent_at = loop.time()
        try:
            async with asyncio.timeout(self.options.timeout_s):
                completion = await line.teacher.complete(request)
        except TimeoutError:
            self._failed(line, so_far, probe=probe)
            raise Unavailable(f"no answer within {self.options.timeout_s:g} s") from None
        except RateLimited as error:
            lease.used = 0
            so_far.refusals += 1
            line.limiter.refused(lease)
            if error.retry_after_s is None:
                line.breaker.failed(probe=probe)
            else:
                self._wait_for(line, error.retry_after_s)
            raise
        except Unavailable as error:
            if isinstance(error, Overloaded | Unreachable):
                lease.used = 0
            if isinstance(error, Overloaded):
                line.limiter.refused(lease)
            self._failed(line, so_far, probe=probe)
            raise
        except BadResponse:
            line.breaker.answered()
            so_far.failures += 1
            raise
        line.breaker.answered()
        lease.used = max(0, completion.tokens_in) + max(0, completion.tokens_out)
        line.limiter.answered(lease, completion.allowance)
        so_far.latency_s = loop.time() - sent_at
        return completion

    @staticmethod
    def _failed(line: Line, so_far: _Try, *, probe: bool) -> None:
        line.breaker.failed(probe=probe)
        # Where it fails for everybody, it isn't this request's fault.
        so_far.failures += not line.breaker.open

    def _count(self, so_far: _Try) -> None:
        """Count an attempt. Raise TeacherDown where retries have become too many."""
        self._first += not so_far.attempts
        self._repeated += bool(so_far.failures)
        so_far.attempts += 1
        if self._repeated > FREE_RETRIES + self.options.retry.budget * self._first:
            raise TeacherDown(
                f"teacher {self.options.name!r}: {self._repeated - 1:,} requests for {self._first:,} answers had to be sent "
                "again, more than retry.budget allows; what was paid for is landed, and a rerun goes on"
            )

    def _wait_for(self, line: Line, seconds: float) -> None:
        if seconds <= LONGEST_WAIT_S:
            line.limiter.pause(seconds)
            return
        line.down = TeacherDown(
            f"teacher {self.options.name!r} asks to wait for {seconds / 60:,.0f} minutes; "
            "what was paid for is landed, and a rerun goes on"
        )
        if all(each.down is not None for each in self._lines):
            raise line.down

    def _estimate(self, request: Request) -> int:
        """Return the tokens that a request will use, in and out: as many as the others did on average, once that is known."""
        chars = sum(len(message.content) for message in request.messages)
        out = self._mean_out if self._seen >= LEARNED else int(request.parameters.get("max_tokens") or OUT_UNKNOWN)
        return chars // CHARS_PER_TOKEN + round(request.n * out)

    def _learn(self, usage: Usage, choices: int) -> None:
        self._seen += 1
        weight = max(1 / self._seen, 0.01)
        self._mean_out += weight * (usage.tokens_out / choices - self._mean_out)


def open_line(teacher: Teacher, options: TeacherOptions, *, account: str | None = None) -> Line:
    """Return a line to a teacher with the limits of its options, kept together with all who ask the same `account`.

    Needs a running event loop.
    """
    limits = options.limits
    if not limits.concurrency and isinstance(teacher, KnowsCapacity):
        limits = limits.model_copy(update={"concurrency": teacher.capacity})
    limiter = shared_limiter(limits, account=account) if account else Limiter(limits)
    return Line(teacher=teacher, limiter=limiter, breaker=_breaker(options.retry))


def _breaker(retry: RetryOptions) -> Breaker:
    return Breaker(first_wait_s=retry.first_wait_s, max_wait_s=retry.max_wait_s, patience_s=retry.patience_s)


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
