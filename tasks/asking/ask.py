"""Asking one teacher: limits, retries and the time limit around `Teacher.complete`. The only place where anything is retried.

A teacher may have several lines (replicas of one model, or keys of several accounts). Each has its own limiter and circuit
breaker, and a request takes the line that has the least to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import tenacity

from storage.errors import (
    BadResponse,
    EmptyResponse,
    Overloaded,
    QuotaSpent,
    RateLimited,
    RequestRejected,
    SetupError,
    TeacherDown,
    TeacherError,
    TimedOut,
    Unavailable,
    Unreachable,
    Unwanted,
    UserError,
    Withheld,
)
from tasks.asking.control import Controls, control
from tasks.asking.counts import Counts
from tasks.asking.expected import Expected
from tasks.asking.limits import Lease
from tasks.asking.line import Line
from tasks.asking.meter import LineState
from tasks.asking.retries import Retries, RetriesSpent, asked_s, retrying
from tasks.asking.trying import Try
from tasks.asking.usable import Distributions, billable, usable
from tasks.stop import Stop
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import BrokenOff, Completion, NoChoices, Request, Teacher, Usage

logger = logging.getLogger(__name__)
REFUSALS = 100
"""Times that one request is refused (429) before that counts as its own fault; a refusal costs nothing."""
LONGEST_WAIT_S = 900.0
"""A server that asks for a longer wait is down for this run."""


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


class Desk:
    """Where requests to one teacher queue."""

    def __init__(self, options: TeacherOptions, lines: Sequence[Line], stop: Stop) -> None:
        """Put limits and retries of `options` before the lines of a teacher."""
        self.options = options
        self.lines = lines
        """The ways to the teacher."""
        self._stop = stop
        self._distributions = Distributions()
        self._retries = Retries(options)
        self._controls = Controls()
        self._expected = Expected()
        self._counts = Counts(options.name)
        self._retrying = retrying(options.retry, elsewhere=len(lines) > 1)

    def states(self) -> list[LineState]:
        """Return how its lines stand just now."""
        return [line.state(self.options.name, number) for number, line in enumerate(self.lines)]

    @property
    def teacher(self) -> Teacher:
        """One of the teachers: all of them answer alike."""
        return self.lines[0].teacher

    async def ask(
        self,
        request: Request,
        *,
        may_send: Callable[[], bool] = lambda: True,
        billed: Callable[[Usage], object] = lambda usage: None,  # noqa: ARG005
        certain: bool = False,
    ) -> Answer:
        """Return the answer to one request. Raise TeacherError where it gets none, TeacherDown where nobody gets one.

        `may_send` is asked last thing before each attempt, when the request has waited for its turn. `billed` hears of the usage
        of every response, also of one that is asked for again. `certain`: find out of a BadResponse whether it is `by_itself`.
        """
        so_far = Try(request, may_send, billed)
        try:
            try:
                completion = await self._once(so_far)
            except TeacherError as error:
                completion = await self._again(error, so_far)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if so_far.in_hand is None or task is None:
                raise
            task.uncancel()  # who waits gets what was paid for first,
            task.cancel()  # and is cancelled by its next wait
            return _answer(so_far.in_hand, so_far)
        except (TeacherError, UserError) as error:
            if so_far.in_hand is not None:  # whatever ended it, that one was paid for
                return _answer(so_far.in_hand, so_far)
            if isinstance(error, UserError):
                raise
            error.attempts = so_far.attempts
            if certain and isinstance(error, BadResponse) and not isinstance(error, EmptyResponse | NoChoices) and not self._stop:
                error.by_itself = await self._fails_by_itself(so_far)
                if not error.by_itself and self._controls.garbled:
                    raise self._is_lost(f"answers with no response ({so_far.attempts} attempts, the last: {error})") from error
            if not self._stop and isinstance(error, RateLimited | Unavailable) and self._is_down(error, so_far):
                failing_s = max(line.breaker.failing_s for line in self.lines)
                last = f"({so_far.attempts} attempts, the last: {error})"
                raise self._is_lost(f"stayed unavailable for {failing_s:.0f} s {last}") from error
            raise
        return _answer(completion, so_far)

    def _is_lost(self, why: str) -> TeacherDown:
        return TeacherDown(f"teacher {self.options.name!r} {why}; what was paid for is landed, and a rerun goes on")

    async def _again(self, first: TeacherError, so_far: Try) -> Completion:
        """Go on after a first attempt that failed, as the policy says.

        The first attempt stays outside of tenacity, which costs more than all else that is done for a request that succeeds.
        """
        failed: TeacherError | None = first
        so_far.well_then = self._controls.well
        try:
            async for attempt in self._retrying.copy(stop=lambda state: self._gives_up(state, so_far)):
                with attempt:
                    try:
                        if failed is not None:
                            error, failed = failed, None
                            raise error
                        return await self._once(so_far)
                    except TeacherError as error:
                        so_far.error = error
                        raise
        except RetriesSpent:
            known = self._controls.answers or any(line.breaker.answered_before for line in self.lines)
            if so_far.error is None or not known or not self._retries.in_vain or not await self._fails_by_itself(so_far):
                raise
            raise so_far.error from None
        raise AssertionError("tenacity returns or raises")

    async def _fails_by_itself(self, so_far: Try) -> bool:
        """Whether the teacher has answered others since a request first failed, or answers a control now."""
        async with self._controls.asking:
            if self._controls.well == so_far.well_then and self._controls.of_use:
                line = self._pick()
                async with line.limiter.place() as entered:
                    if entered:
                        with contextlib.suppress(TeacherError):
                            await self._through(line, so_far, spent=True)
        return self._controls.well > so_far.well_then

    def _gives_up(self, state: tenacity.RetryCallState, so_far: Try) -> bool:
        """Whether not to try again: the run stops, it is this request's fault, or there is no hope."""
        if self._stop or so_far.failures >= self.options.retry.attempts or so_far.refusals >= REFUSALS:
            return True
        error = state.outcome.exception() if state.outcome else None
        return isinstance(error, TeacherError) and self._is_down(error, so_far)

    def _is_down(self, error: TeacherError, so_far: Try) -> bool:
        if isinstance(error, Unreachable) and so_far.failures >= self.options.retry.attempts:
            return not any(line.breaker.answers for line in self.lines)
        return all(line.lost(error, self.options.retry.attempts) for line in self.lines)

    def _pick(self) -> Line:
        """Return the line with the least to do; one that fails for everybody only where it is time to try it."""
        if len(self.lines) == 1 and not self.lines[0].closed:
            return self.lines[0]
        left = [line for line in self.lines if not line.closed]
        if not left:
            raise self._ended()
        for line in left:
            if line.breaker.wants_probe:
                return line
        return min(left, key=lambda line: (line.breaker.open, line.limiter.paused, line.limiter.load))

    def _ended(self) -> UserError:
        """Return why no line is asked any more: a day that is used ends, whatever is wrong with the others."""
        reasons = [line.down for line in self.lines if line.down is not None]
        return next((reason for reason in reasons if isinstance(reason, QuotaSpent)), reasons[-1])

    def _better(self, line: Line) -> bool:
        """Whether another line should be asked, since this one can't be just now."""
        return not line.well and any(each.well for each in self.lines)

    async def _once(self, so_far: Try) -> Completion:
        request, completion = so_far.request, None
        while completion is None:
            line = self._pick()
            async with line.limiter.place() as entered:
                if not entered:
                    continue
                try:
                    completion = await self._through(line, so_far)
                except (BrokenOff, NoChoices) as error:
                    so_far.bill(error.usage)
                    raise
        usage = billable(completion)
        so_far.billed(usage)
        if so_far.in_hand is not None:
            so_far.wasted += (billable(so_far.in_hand),)
            so_far.in_hand = None
        try:
            completion = self._distributions.check(usable(completion, request.n), request)
        except BadResponse:
            so_far.wasted += (usage,)
            so_far.failures += 1
            so_far.billed_again = True
            raise
        self._controls.answers += 1
        self._retries.answered(so_far)
        self._expected.learn(usage, len(completion.choices), so_far.latency_s)
        wanted = tuple(choice for choice in completion.choices if self.options.retry.policy(choice.finish_reason) != "retry")
        if wanted:  # the others' slots are asked for again
            return completion if len(wanted) == len(completion.choices) else replace(completion, choices=wanted)
        so_far.in_hand = completion
        so_far.failures += 1
        so_far.billed_again = True
        raise Unwanted(f"the response ended with finish_reason {completion.choices[0].finish_reason}")

    async def _through(self, line: Line, so_far: Try, *, spent: bool = False) -> Completion | None:
        """Send a request on a line, or return None where it has to look for a line anew.

        A control goes in its place as a probe, where those that failed may be at fault themselves, or where retries are `spent`.
        """
        probe = False

        def leave() -> bool:
            return bool(self._stop) or (not probe and self._better(line))

        probe = await line.breaker.turn(leave)
        try:
            if line.closed or (leave() and not self._stop):
                return None
            async with line.limiter.lease(lambda: self._expected.tokens(so_far.request), leave) as lease:
                if self._stop or not so_far.may_send():
                    raise Withheld("the run stops")
                if lease is None or not (line.well or probe):  # as it may be by now
                    return None
                if spent or (probe and line.breaker.doubtful and self._controls.of_use):
                    await self._control(line, lease, so_far, probe=probe)
                    return None
                self._retries.count(so_far)
                lease.sent = True
                return await self._metered(line, lease, so_far, probe=probe)
        except (QuotaSpent, SetupError) as error:
            if not line.closed:
                error = type(error)(f"teacher {self.options.name!r}: {error}")
            self._close(line, error)
            return None
        finally:
            if probe:
                line.breaker.released()

    async def _control(self, line: Line, lease: Lease, so_far: Try, *, probe: bool) -> None:
        """Ask a control in place of a request. A response says that the teacher is well; a refusal says nothing."""
        asked = Try(control(so_far.request), so_far.may_send, so_far.billed, control=True)
        lease.sent = True
        try:
            completion = await self._metered(line, lease, asked, probe=probe)
        except (RequestRejected, BadResponse) as error:
            if isinstance(error, NoChoices):
                so_far.bill(error.usage)
            self._controls.of_use = False
            self._controls.garbled = isinstance(error, BadResponse)
            return
        so_far.bill(billable(completion))
        self._controls.passed += 1

    async def _metered(self, line: Line, lease: Lease, so_far: Try, *, probe: bool) -> Completion:
        """Send a request, and count it and what becomes of it."""
        meter = line.meter
        meter.sent += 1
        meter.again += so_far.attempts > 1
        meter.in_flight += 1
        try:
            completion = await self._send(line, lease, so_far, probe=probe)
        except Exception as error:
            meter.failed(error)
            raise
        finally:
            meter.in_flight -= 1
            meter.tokens += lease.used or 0
        meter.answered(so_far.latency_s)
        return completion

    async def _send(self, line: Line, lease: Lease, so_far: Try, *, probe: bool) -> Completion:
        loop, request = asyncio.get_running_loop(), so_far.request
        lease.sent_at = sent_at = loop.time()
        self._expected.sent(sent_at)
        try:
            async with asyncio.timeout(self.options.timeout_s):
                completion = self._counts.checked(await line.teacher.complete(request), request)
        except TimeoutError:
            error = TimedOut(f"no answer within {self.options.timeout_s:g} s")
            self._failed(line, so_far, error, probe=probe)
            raise error from None
        except (RateLimited, Overloaded, Unreachable) as error:
            lease.used = 0
            if not isinstance(error, Unreachable):
                line.limiter.refused(lease)
            self._failed(line, so_far, error, probe=probe)
            raise
        except BrokenOff as error:
            error.usage = self._counts.checked(error.usage, request)
            lease.used = error.usage.tokens_in + error.usage.tokens_out
            self._failed(line, so_far, error, probe=probe)
            raise
        except Unavailable as error:
            self._failed(line, so_far, error, probe=probe)
            raise
        except (RequestRejected, BadResponse) as error:
            self._unusable(line, lease, so_far, error)
            raise
        finally:
            self._expected.ended(sent_at)
        line.breaker.answered()
        lease.used = completion.tokens_in + completion.tokens_out
        line.limiter.answered(lease, completion.allowance)
        so_far.latency_s = loop.time() - sent_at
        return completion

    def _unusable(self, line: Line, lease: Lease, so_far: Try, error: RequestRejected | BadResponse) -> None:
        """Hear that the teacher answered with no response: it is there."""
        if isinstance(error, RequestRejected):
            lease.used = 0
            line.limiter.heard()
        else:
            if isinstance(error, NoChoices):
                error.usage = self._counts.checked(error.usage, so_far.request)
                lease.used = error.usage.tokens_in + error.usage.tokens_out
            so_far.failures += 1
            so_far.billed_again = True
        if not so_far.control:
            line.breaker.answered()

    def _failed(self, line: Line, so_far: Try, error: RateLimited | Unavailable, *, probe: bool) -> None:
        asked = asked_s(error)
        so_far.billed_again = not isinstance(error, RateLimited | Overloaded | Unreachable)  # it was at work on this very request
        line.breaker.failed(
            probe=probe,
            asked_s=asked,
            asked=so_far.request.messages if so_far.billed_again else None,
            at_fault=so_far.billed_again and so_far.fails_alone(line),
        )
        if not line.breaker.open:  # where it fails for everybody, it isn't this request's fault
            so_far.refusals += isinstance(error, RateLimited)
            so_far.failures += not isinstance(error, RateLimited)
        if asked > LONGEST_WAIT_S:
            until = f"{datetime.now(UTC) + timedelta(seconds=asked):%Y-%m-%d %H:%M} UTC"
            wait = f"asks to wait for {asked / 60:,.0f} minutes, until {until}; a rerun after that goes on"
            self._close(line, QuotaSpent(f"teacher {self.options.name!r} {wait}"))
        elif asked:
            line.limiter.pause(asked)
        if len(self.lines) > 1 and not line.well:
            line.limiter.dismiss()

    def _close(self, line: Line, error: UserError) -> None:
        """Ask a line no more in this run. Raise the error where it was the last one."""
        if not line.closed:  # who was under way meanwhile may hear the same
            line.down = error
            if not all(each.closed for each in self.lines):
                logger.warning("%s; its other replicas go on", error)
        if all(each.closed for each in self.lines):
            raise self._ended()
        line.limiter.dismiss()


def _answer(completion: Completion, so_far: Try) -> Answer:
    return Answer(completion=completion, attempts=so_far.attempts, latency_s=so_far.latency_s, wasted=so_far.wasted)
