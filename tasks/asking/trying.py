"""What has become of one request to a teacher so far."""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import TeacherError
from tasks.asking.conditions import Conditions
from tasks.asking.limits import Place
from tasks.asking.line import Line
from tasks.teachers.protocol import Completion, Request, Usage


@dataclass(slots=True)
class Try:
    """One request, from its first attempt to its last."""

    request: Request
    """What is asked."""
    conditions: Conditions
    """On what conditions."""
    control: bool = False
    """Whether it is a control: only a response to it says anything of the teacher."""
    attempts: int = 0
    """Times that it was sent."""
    failures: int = 0
    """Of these, such as may be its own fault."""
    refusals: int = 0
    """Times that the server had had enough requests."""
    billed_again: bool = False
    """Whether the last attempt failed in a way that may have been billed."""
    latency_s: float = 0.0
    """Of the last attempt."""
    wasted: tuple[Usage, ...] = ()
    """What was billed for responses that were asked for again."""
    in_hand: Completion | None = None
    """A response that is there, though another was asked for."""
    place: Place | None = None
    """Its place among the requests in flight, where it keeps that."""
    error: TeacherError | None = None
    """What the last attempt ended with."""
    well_then: int = 0
    """Times that the teacher had shown to be well when it first failed."""
    _failed_on: Line | None = None
    _answers_then: int = 0
    _alone: bool = False

    def bill(self, usage: Usage) -> None:
        """Take note of what was billed for something that is of no use."""
        self.conditions.billed(usage)
        self.waste(usage)

    def waste(self, usage: Usage) -> None:
        """Take note that what was billed is of no use."""
        self.conditions.in_vain(usage)
        self.wasted += (usage,)

    def fails_alone(self, line: Line) -> bool:
        """Hear that it has failed on a line. Return whether others were answered there since it first did."""
        if self._failed_on is None:
            self._failed_on, self._answers_then = line, line.breaker.answers
        elif self._failed_on is line and line.breaker.answers > self._answers_then:
            self._alone = True
        return self._alone
