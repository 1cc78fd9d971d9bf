"""Sending one request to a teacher's line, once: what became of it is heard by all who decide when the next one may go."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from storage.errors import (
    BadResponse,
    Overloaded,
    QuotaSpent,
    RateLimited,
    RequestRejected,
    StorageError,
    TeacherError,
    TimedOut,
    Unavailable,
    Unreachable,
)
from tasks.asking.counts import Counts
from tasks.asking.expected import Expected
from tasks.asking.limits import Lease
from tasks.asking.line import Line
from tasks.asking.lines import Lines
from tasks.asking.retries import asked_s
from tasks.asking.trying import Try
from tasks.asking.usable import billable, usable
from tasks.stop import Stop
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import FLIGHT, Completion, Flight, InVain, Recorded

LONGEST_WAIT_S = 900.0
"""A server that asks for a longer wait is down for this run."""


class Sending:
    """Sends requests to one teacher."""

    def __init__(self, options: TeacherOptions, ways: Lines, stop: Stop) -> None:
        """Send on these lines, with a time limit. `stop` knows what is under way."""
        self._options, self._ways, self._flying = options, ways, stop.flying
        self._counts = Counts(options.name)
        self.expected = Expected()
        """What requests take."""

    async def send(self, line: Line, lease: Lease, so_far: Try, *, probe: bool) -> Completion:
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
        self.expected.sent(sent_at)
        flight = Flight()
        self._flying.add(flight)
        token = FLIGHT.set(flight)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                completion = self._counts.checked(await line.teacher.complete(request), request)
        except TimeoutError:
            error = TimedOut(f"no answer within {self._options.timeout_s:g} s")
            self._unanswered(flight, so_far)
            self._failed(line, so_far, error, probe=probe)
            raise error from None
        except RequestRejected as error:  # it is there
            lease.used = 0
            self._bill(error, lease, so_far)
            line.limiter.heard()
            if not so_far.control:
                line.breaker.answered()
            raise
        except (RateLimited, Unavailable, BadResponse) as error:
            if isinstance(error, RateLimited | Overloaded | Unreachable):
                lease.used = 0
            if isinstance(error, RateLimited | Overloaded):
                line.limiter.refused(lease)
            self._bill(error, lease, so_far)
            if error.unanswered:
                self._unanswered(flight, so_far)
            # What is no response may well come from a proxy, or from a server whose model is gone.
            self._failed(line, so_far, error, probe=probe)
            raise
        except asyncio.CancelledError:
            with contextlib.suppress(StorageError):  # the run ends by that disk
                self._unanswered(flight, so_far, given_up=True)
            raise
        finally:
            self.expected.ended(sent_at)
            self._flying.discard(flight)
            FLIGHT.reset(token)
        so_far.latency_s = loop.time() - sent_at
        return self._used(line, lease, so_far, completion, probe=probe)

    def _unanswered(self, flight: Flight, so_far: Try, *, given_up: bool = False) -> None:
        """Say what may have been billed for a request that saw no answer, where it was sent."""
        if flight.sent:
            so_far.conditions.unanswered(self.expected.usage(so_far.request), given_up)

    def _bill(self, error: TeacherError, lease: Lease, so_far: Try) -> None:
        """Bill what is no response, where it says that it is billed."""
        if isinstance(error, InVain):
            error.usage = self._counts.checked(error.usage, so_far.request)
            lease.used = error.usage.tokens_in + error.usage.tokens_out
            so_far.bill(error.usage)

    def _used(self, line: Line, lease: Lease, so_far: Try, completion: Completion, *, probe: bool) -> Completion:
        """Bill a response, and return what can be used of it. Raise BadResponse where that is nothing."""
        usage = billable(completion)
        lease.used = completion.tokens_in + completion.tokens_out
        line.limiter.answered(lease, completion.allowance)
        so_far.conditions.billed(usage)
        try:
            completion = usable(completion, so_far.request.n)
        except BadResponse as error:
            so_far.waste(usage)
            self._failed(line, so_far, error, probe=probe)
            raise
        line.breaker.answered()
        return completion

    def _failed(self, line: Line, so_far: Try, error: TeacherError, *, probe: bool) -> None:
        asked = asked_s(error)
        so_far.billed_again = not isinstance(error, RateLimited | Overloaded | Unreachable)  # it was at work on this very request
        if isinstance(error, BadResponse) and isinstance(line.teacher, Recorded):
            line.breaker.answered()  # with what was recorded
        else:
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
            self._ways.close(line, QuotaSpent(f"teacher {self._options.name!r} {wait}"))
        elif asked:
            line.limiter.pause(asked)
        if self._ways.several and not line.well:
            line.limiter.dismiss()
