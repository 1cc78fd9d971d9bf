"""Asking one teacher: limits, retries and the time limit around `Teacher.complete`. The only place where anything is retried.

A teacher may have several lines (replicas of one model, or keys of several accounts). Each has its own limiter and circuit
breaker, and a request takes the line that has the least to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tenacity

from storage.errors import (
    BadResponse,
    QuotaSpent,
    RateLimited,
    RequestRejected,
    SetupError,
    TeacherDown,
    TeacherError,
    Unavailable,
    Unwanted,
    UserError,
    Withheld,
)
from tasks.asking.conditions import UNCONDITIONAL, Conditions
from tasks.asking.control import Controls, alike, control
from tasks.asking.limits import Lease, Place
from tasks.asking.line import Line
from tasks.asking.lines import Lines
from tasks.asking.meter import LineState
from tasks.asking.retries import Retries, RetriesSpent, retrying
from tasks.asking.sending import Sending
from tasks.asking.trying import Try
from tasks.asking.usable import Distributions, billable
from tasks.stop import Stop
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Completion, Recorded, Request, Teacher, Usage

CONTROLS = 3
"""Times that a control is asked which fails for a passing reason."""
REFUSALS = 100
"""Times that one request is refused (429) before that counts as its own fault; a refusal costs nothing."""


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
    told: tuple[Usage, ...] = ()
    """Of all that it was billed for, what was said to be in vain."""
    place: Place | None = None
    """Its place among the requests in flight, where that was kept."""

    def safe(self) -> None:
        """Make room for the next request: this one's answer is on disk, or never will be."""
        if self.place is not None:
            self.place.leave()


class Desk:
    """Where requests to one teacher queue."""

    def __init__(self, options: TeacherOptions, lines: Sequence[Line], stop: Stop) -> None:
        """Put limits and retries of `options` before the lines of a teacher."""
        self.options = options
        self.lines = lines
        """The ways to the teacher."""
        self._stop = stop
        self._retries = Retries(options)
        self._controls = Controls()
        self._distributions = Distributions()
        self._ways = Lines(lines, options.retry.attempts)
        self._sending = Sending(options, self._ways, stop)
        self._retrying = retrying(options.retry, elsewhere=len(lines) > 1, sleep=stop.pause)

    def states(self) -> list[LineState]:
        """Return how its lines stand just now."""
        return [line.state(self.options.name, number) for number, line in enumerate(self.lines)]

    @property
    def teacher(self) -> Teacher:
        """One of the teachers: all of them answer alike."""
        return self.lines[0].teacher

    @property
    def _known(self) -> bool:
        """Whether the teacher has answered requests before, in this run or an earlier one."""
        return bool(self._controls.answers) or any(line.breaker.answered_before for line in self.lines)

    async def ask(self, request: Request, conditions: Conditions = UNCONDITIONAL) -> Answer:
        """Return the answer to one request. Raise TeacherError where it gets none, TeacherDown where nobody gets one."""
        so_far = Try(request, conditions, well_then=self._controls.well)
        try:
            try:
                completion = await self._once(so_far)
            except TeacherError as error:
                completion = await self._again(error, so_far)
        except (TeacherError, UserError) as error:
            if so_far.in_hand is not None and not self._ends_early(error, so_far):
                return _answer(so_far.in_hand, so_far, told=(*so_far.wasted, billable(so_far.in_hand)))
            if isinstance(error, UserError):
                raise
            error.attempts = so_far.attempts
            if not self._stop and not isinstance(error, Withheld):
                await self._blame(error, so_far)
            raise
        return _answer(completion, so_far, told=so_far.wasted)

    def _ends_early(self, error: TeacherError | UserError, so_far: Try) -> bool:
        """Whether the run ends before a request was asked again as often as it may be.

        What is in hand isn't stored then, though it was paid for: no later run could ask on.
        """
        if so_far.failures >= self.options.retry.attempts or isinstance(error, RetriesSpent):
            return False
        return bool(self._stop) or isinstance(error, UserError | Withheld) or self._is_down(error, so_far)

    def _is_down(self, error: TeacherError, so_far: Try) -> bool:
        return isinstance(error, RateLimited | Unavailable | BadResponse) and self._ways.lost(error, so_far)

    async def _blame(self, error: TeacherError, so_far: Try) -> None:
        """Raise TeacherDown or SetupError where it is no fault of a request's own that it got no answer."""
        controls, last = self._controls, f"({so_far.attempts} attempts, the last: {error})"
        so_far.error = error
        controls.unanswered = so_far
        if so_far.conditions.certain and isinstance(error, BadResponse | RequestRejected):
            refused = isinstance(error, RequestRejected)
            error.by_itself = (refused and controls.well > 0) or await self._fails_by_itself(so_far)
            if not error.by_itself and controls.garbled and not refused:
                raise self._is_lost(f"answers with no response {last}") from error
        if self._is_down(error, so_far):
            how = "gave no usable answer" if isinstance(error, BadResponse) else "stayed unavailable"
            raise self._is_lost(f"{how} for {self._ways.failing_s:.0f} s {last}") from error
        controls.refused += isinstance(error, RequestRejected) and not isinstance(self.teacher, Recorded)

    async def conclude(self) -> None:
        """Hear that all was asked for. Raise TeacherDown or SetupError where the last to fail failed as anything else does.

        Too few may have been asked for that to be noticed before.
        """
        controls, so_far = self._controls, self._controls.unanswered
        if so_far is None or so_far.error is None or self._stop or controls.well > so_far.well_then:
            return
        if isinstance(self.teacher, Recorded):
            return
        if isinstance(so_far.error, RequestRejected) and self._known and not controls.looks:
            return  # it refuses what it refused before
        found: TeacherError | None = so_far.error
        async with controls.asking:
            failures = 0
            while failures < self.options.retry.attempts and not self._ways.lost(so_far.error, so_far):
                found = await self._short(so_far)
                if found is None or isinstance(found, RequestRejected):
                    break
                failures += not isinstance(found, RateLimited)  # that says when to ask, and nothing else
                await self._stop.pause(self.options.retry.first_wait_s)
        if (refuses := self._refuses_all(found)) is not None:
            raise self._named(refuses)
        if found is not None and not (isinstance(found, RequestRejected) and self._known):
            raise self._is_lost(f"gives no usable answer, whatever it is asked (the last: {so_far.error})")

    async def _short(self, so_far: Try) -> TeacherError | None:
        """Ask a control in a request's place. Return what it failed with; None where it was answered, or couldn't be asked."""
        well, short, self._controls.refusal = self._controls.well, self._controls.short, None
        line = self._ways.pick()
        async with line.limiter.place() as entered:
            if entered:
                try:
                    await self._through(line, so_far, spent=True)
                except Withheld:
                    return None
                except TeacherError as error:
                    return error
        if short and not self._controls.short:
            return await self._short(so_far)
        return None if self._controls.well > well else self._controls.refusal

    def _refuses_all(self, found: TeacherError | None) -> SetupError | None:
        """Return what is to be said where a control `found` what requests were refused with.

        That a teacher which has answered others refuses it as well means nothing, but for the same reason; nor does it where it
        may have been too short.
        """
        failed = self._controls.unanswered and self._controls.unanswered.error
        if not isinstance(failed, RequestRejected) or not isinstance(found, RequestRejected):
            return None
        if (self._known or self._controls.of_use) and not alike(found, failed):
            return None
        return SetupError(f"refuses whatever it is asked; check model, sampling and extra_body. It says: {failed}")

    def _named(self, error: UserError) -> UserError:
        return type(error)(f"teacher {self.options.name!r}: {error}")

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
            if so_far.error is None or not self._known or not self._retries.in_vain or not await self._fails_by_itself(so_far):
                raise
            raise so_far.error from None
        raise AssertionError("tenacity returns or raises")

    async def _fails_by_itself(self, so_far: Try) -> bool:
        """Whether the teacher has answered others since a request first failed, or answers a control now."""
        async with self._controls.asking:
            if self._controls.well == so_far.well_then and self._controls.of_use:
                for _ in range(CONTROLS):  # one may fail by chance
                    if not isinstance(await self._short(so_far), Unavailable | RateLimited):
                        break
        return self._controls.well > so_far.well_then

    def _gives_up(self, state: tenacity.RetryCallState, so_far: Try) -> bool:
        """Whether not to try again: the run stops, it is this request's fault, or there is no hope, as of what is recorded."""
        if isinstance(self.teacher, Recorded):
            return True
        if so_far.billed_again and not so_far.conditions.may_repeat():
            return True
        if self._stop or so_far.failures >= self.options.retry.attempts or so_far.refusals >= REFUSALS:
            return True
        error = state.outcome.exception() if state.outcome else None
        return isinstance(error, TeacherError) and self._ways.lost(error, so_far)

    async def _once(self, so_far: Try) -> Completion:
        while True:
            line = self._ways.pick()
            async with line.limiter.place() as place:
                if place is None:
                    continue
                completion = await self._through(line, so_far)
                if completion is None:
                    continue
                completion = self._taken(completion, so_far)
                if so_far.conditions.keeps_place:
                    place.keep()
                    so_far.place = place
                return completion

    def _taken(self, completion: Completion, so_far: Try) -> Completion:
        """Return what is wanted of a response. Raise BadResponse or Unwanted where it is to be asked for again."""
        try:
            completion = self._distributions.check(completion, so_far.request)
        except BadResponse:
            so_far.waste(billable(completion))
            so_far.failures += 1
            so_far.billed_again = True
            raise
        if so_far.in_hand is not None:
            so_far.wasted += (billable(so_far.in_hand),)
            so_far.in_hand = None
        self._controls.answered(so_far.request)
        self._retries.answered(so_far)
        self._sending.expected.learn(so_far.request, completion, len(completion.choices), so_far.latency_s)
        wanted = tuple(choice for choice in completion.choices if self.options.retry.policy(choice.finish_reason) != "retry")
        if wanted:  # the others' slots are asked for again
            return completion if len(wanted) == len(completion.choices) else replace(completion, choices=wanted)
        so_far.conditions.in_vain(billable(completion))
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
            return bool(self._stop) or (not probe and self._ways.better(line))

        probe = await line.breaker.turn(leave)
        try:
            if line.closed or (leave() and not self._stop):
                return None
            async with line.limiter.lease(lambda: self._sending.expected.tokens(so_far.request), leave) as lease:
                if self._stop or not so_far.conditions.may_send():
                    raise Withheld("the run stops")
                if lease is None or not (line.well or probe):  # as it may be by now
                    return None
                looks = self._controls.looks
                if spent or looks or (probe and line.breaker.doubtful and self._controls.of_use):
                    self._controls.look_at *= 1 + looks
                    await self._control(line, lease, so_far, probe=probe)
                    if looks and (refuses := self._refuses_all(self._controls.refusal)) is not None:
                        raise refuses
                    return None
                self._retries.count(so_far)
                lease.sent = True
                return await self._sending.send(line, lease, so_far, probe=probe)
        except (QuotaSpent, SetupError) as error:
            self._ways.close(line, error if line.closed else self._named(error))
            return None
        finally:
            if probe:
                line.breaker.released()

    def _controlling(self, request: Request) -> Request:
        """Return a control. Prompts may have system texts of their own, so one is taken that is known to be answered."""
        last = self._controls.last
        messages = last.messages if last is not None else () if self._known else request.messages
        return control(request, messages, short=self._controls.short)

    async def _control(self, line: Line, lease: Lease, so_far: Try, *, probe: bool) -> None:
        """Ask a control in place of a request. A response says that the teacher is well; a refusal says nothing."""
        self._controls.refusal = None
        asked = Try(self._controlling(so_far.request), so_far.conditions, control=True)
        lease.sent = True
        try:
            completion = await self._sending.send(line, lease, asked, probe=probe)
        except (RequestRejected, BadResponse) as error:
            self._controls.refused_by(error)
            return
        finally:
            so_far.wasted += asked.wasted
        so_far.waste(billable(completion))
        self._controls.passed += 1


def _answer(completion: Completion, so_far: Try, *, told: tuple[Usage, ...]) -> Answer:
    return Answer(
        completion=completion,
        attempts=so_far.attempts,
        latency_s=so_far.latency_s,
        wasted=so_far.wasted,
        told=told,
        place=so_far.place,
    )
