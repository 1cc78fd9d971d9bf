"""Asking one teacher: limits, retries and the time limit around `Teacher.complete`. The only place where anything is retried.

A teacher may have several lines (replicas of one model, or keys of several accounts). Each has its own limiter and circuit
breaker, and a request takes the line that has the least to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import tenacity

from storage.errors import (
    BadResponse,
    EmptyResponse,
    Overloaded,
    QuotaSpent,
    RateLimited,
    TeacherDown,
    TeacherError,
    Unavailable,
    Unreachable,
    Unwanted,
    Withheld,
)
from tasks.breaker import Breaker
from tasks.limits import Lease, Limiter, shared_limiter
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions, TeacherOptions
from tasks.teachers.protocol import CHARS_PER_TOKEN, Completion, Request, Teacher, Usage
from tasks.usable import billable, usable

REFUSALS = 100
"""Times that one request is refused (429) before that counts as its own fault; a refusal costs nothing."""
LONGEST_WAIT_S = 900.0
"""A server that asks for a longer wait is down for this run."""
OUT_UNKNOWN = 512
"""Completion tokens to reserve where the spec sets no `max_tokens`, until responses have come."""
MEMORY = 1_000
"""Responses after which a mean moves on: later ones may be longer."""
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
    in_hand: Completion | None = None
    """A response that is there, though another was asked for."""


class Desk:
    """Where requests to one teacher queue."""

    def __init__(self, options: TeacherOptions, lines: Sequence[Line], stop: Stop) -> None:
        """Put limits and retries of `options` before the lines of a teacher."""
        self.options = options
        self._lines = lines
        self._stop = stop
        self._first = self._repeated = 0
        self._seen, self._mean_out, self._mean_s = 0, 0.0, 0.0
        self._flying, self._began = 0, 0.0
        retry = options.retry
        jitter = tenacity.wait_random_exponential(multiplier=retry.first_wait_s, max=retry.max_wait_s)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, Unwanted):
                return 0.0  # the server is well
            asked = error.retry_after_s if isinstance(error, RateLimited) else None
            # Another line may be asked at once; the one that wants a pause has one.
            return jitter(state) if asked is None else min(asked, 0.0 if len(lines) > 1 else asked)

        self._retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(retry.again),
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
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if so_far.in_hand is None or task is None:
                raise
            task.uncancel()  # who waits gets what was paid for first,
            task.cancel()  # and is cancelled by its next wait
            return _answer(so_far.in_hand, so_far)
        except (TeacherError, TeacherDown) as error:
            if so_far.in_hand is not None:  # whatever ended it, that one was paid for
                return _answer(so_far.in_hand, so_far)
            if isinstance(error, TeacherDown):
                raise
            error.attempts = so_far.attempts
            if not self._stop and isinstance(error, RateLimited | Unavailable) and self._is_down(error, so_far):
                failing_s = max(line.breaker.failing_s for line in self._lines)
                raise TeacherDown(
                    f"teacher {self.options.name!r} stayed unavailable for {failing_s:.0f} s "
                    f"({so_far.attempts} attempts, the last: {error}); what was paid for is landed, and a rerun goes on"
                ) from error
            raise
        return _answer(completion, so_far)

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
                async with line.limiter.place():
                    completion = await self._through(line, request, so_far, may_send)
            except QuotaSpent as error:
                line.down = QuotaSpent(f"teacher {self.options.name!r}: {error}")
        usage = billable(completion)
        billed(usage)
        if so_far.in_hand is not None:
            so_far.wasted += (billable(so_far.in_hand),)
            so_far.in_hand = None
        try:
            completion = usable(completion, request.n)
        except EmptyResponse:
            so_far.wasted += (usage,)
            so_far.failures += 1
            raise
        self._learn(usage, len(completion.choices), so_far.latency_s)
        wanted = tuple(choice for choice in completion.choices if self.options.retry.policy(choice.finish_reason) != "retry")
        if wanted:  # the others' slots are asked for again
            return replace(completion, choices=wanted)
        so_far.in_hand = completion
        so_far.failures += 1
        raise Unwanted(f"the response ended with finish_reason {completion.choices[0].finish_reason}")

    async def _through(self, line: Line, request: Request, so_far: _Try, may_send: Callable[[], bool]) -> Completion | None:
        """Send a request on a line, or return None where it has to look for a line anew."""
        probe = await line.breaker.turn(lambda: bool(self._stop) or self._better(line))
        try:
            if not probe and self._better(line) and not self._stop:
                return None
            async with line.limiter.lease(lambda: self._estimate(request)) as lease:
                if self._stop or not may_send():
                    raise Withheld("the run stops")
                if not probe and line.breaker.open:
                    return None
                self._count(so_far)
                lease.sent = True
                began = asyncio.get_running_loop().time()
                self._flying += 1
                self._began += began
                try:
                    return await self._send(line, lease, request, so_far, probe=probe)
                finally:
                    self._flying -= 1
                    self._began -= began
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
        """Return the tokens that a request will use, in and out, by what the others used.

        The first to be done are the shortest. So what those under way have got by now, at the others' speed, counts as well: the
        estimate of an exponential distribution's mean from censored observations. The most that a request may use counts as one
        more answer: it is all that is known at first, and soon weighs little.
        """
        chars = sum(len(message.content) for message in request.messages)
        most = int(request.parameters.get("max_tokens") or OUT_UNKNOWN)
        out = float(most)
        if self._seen:
            ages = self._flying * asyncio.get_running_loop().time() - self._began
            known, under_way = min(self._seen, MEMORY), ages * self._mean_out / self._mean_s
            out = min((known * self._mean_out + under_way + most) / (known + 1), max(most, 2 * self._mean_out))
        return chars // CHARS_PER_TOKEN + round(request.n * out)

    def _learn(self, usage: Usage, choices: int, latency_s: float) -> None:
        self._seen += 1
        weight = 1 / min(self._seen, MEMORY)
        self._mean_out += weight * (usage.tokens_out / choices - self._mean_out)
        self._mean_s += weight * (max(latency_s, 1e-3) - self._mean_s)


def open_line(teacher: Teacher, options: TeacherOptions, *, account: str | None = None) -> Line:
    """Return a line to a teacher with the limits of its options, kept together with all who ask the same `account`.

    Needs a running event loop.
    """
    limits = options.limits
    if not limits.concurrency and isinstance(teacher, KnowsCapacity):
        limits = limits.model_copy(update={"concurrency": teacher.capacity})
    limiter = shared_limiter(limits, account=account) if account else Limiter(limits)
    return Line(teacher=teacher, limiter=limiter, breaker=_breaker(options.retry))


def _answer(completion: Completion, so_far: _Try) -> Answer:
    return Answer(completion=completion, attempts=so_far.attempts, latency_s=so_far.latency_s, wasted=so_far.wasted)


def _breaker(retry: RetryOptions) -> Breaker:
    return Breaker(first_wait_s=retry.first_wait_s, max_wait_s=retry.max_wait_s, patience_s=retry.patience_s)
