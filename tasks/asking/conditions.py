"""On what conditions a request is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.teachers.protocol import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What whoever asks has to say while a request is under way, and wants to hear of it."""

    may_send: Callable[[], bool] = lambda: True
    """Asked last thing before each attempt, when the request has waited for its turn."""
    billed: Callable[[Usage], object] = lambda usage: None  # noqa: ARG005
    """Hears of the usage of every response, also of one that is asked for again."""
    in_vain: Callable[[Usage], object] = lambda usage: None  # noqa: ARG005
    """Hears of that one again before it is, since a kill may come before a sample that carries its cost. A response may be the
    answer all the same, where nothing better comes."""
    unanswered: Callable[[Usage, bool], object] = lambda usage, given_up: None  # noqa: ARG005
    """Hears of each attempt that was sent and saw no answer: an estimate of what may have been billed for it, and whether it was
    given up, as the run ended."""
    may_repeat: Callable[[], bool] = lambda: True
    """Whether it is of use to send it again where it failed in a way that may have been billed."""
    certain: bool = False
    """Find out of a response that is none, and of a refusal, whether it is `by_itself`."""
    keeps_place: bool = False
    """The request counts as in flight until the caller calls `Answer.safe`. So what a kill may cost is never more than the limit
    on requests in flight, however long a disk takes."""


UNCONDITIONAL = Conditions()
"""Of whoever has nothing to say."""
