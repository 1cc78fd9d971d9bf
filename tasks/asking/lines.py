"""Which of a teacher's lines is asked: the one with the least to do that can be asked, and none that won't be asked again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from storage.errors import QuotaSpent, TeacherError, Unreachable, UserError
from tasks.asking.line import Line
from tasks.asking.trying import Try

logger = logging.getLogger(__name__)


class Lines:
    """The lines to one teacher."""

    def __init__(self, lines: Sequence[Line], attempts: int) -> None:
        """Choose among these. One request may be sent `attempts` times."""
        self._lines, self._attempts = lines, attempts

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self._lines) > 1

    @property
    def failing_s(self) -> float:
        """Seconds for which it has failed."""
        return max(line.breaker.failing_s for line in self._lines)

    def pick(self) -> Line:
        """Return the line with the least to do; one that fails for everybody only where it is time to try it."""
        if len(self._lines) == 1 and not self._lines[0].closed:
            return self._lines[0]
        left = [line for line in self._lines if not line.closed]
        if not left:
            raise self._ended()
        for line in left:
            if line.breaker.wants_probe:
                return line
        return min(left, key=lambda line: (line.breaker.open, line.limiter.paused, line.limiter.load))

    def _ended(self) -> UserError:
        """Return why no line is asked any more: a day that is used ends, whatever is wrong with the others."""
        reasons = [line.down for line in self._lines if line.down is not None]
        return next((reason for reason in reasons if isinstance(reason, QuotaSpent)), reasons[-1])

    def better(self, line: Line) -> bool:
        """Whether another line should be asked, since this one can't be just now."""
        return not line.well and any(each.well for each in self._lines)

    def lost(self, error: TeacherError, so_far: Try) -> bool:
        """Whether there is no hope left for this run on any of them, by what a request ended with."""
        if isinstance(error, Unreachable) and so_far.failures >= self._attempts:
            return not any(line.breaker.answers for line in self._lines)
        return all(line.lost(error, self._attempts) for line in self._lines)

    def close(self, line: Line, error: UserError) -> None:
        """Ask a line no more in this run. Raise the error where it was the last one."""
        if not line.closed:  # who was under way meanwhile may hear the same
            line.down = error
            if not all(each.closed for each in self._lines):
                logger.warning("%s; its other replicas go on", error)
        if all(each.closed for each in self._lines):
            raise self._ended()
        line.limiter.dismiss()
