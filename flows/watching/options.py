"""What a spec says of watching: when to raise an alarm, and what waits for a person."""

from __future__ import annotations

from pydantic import Field

from tasks.options import Options


class WatchOptions(Options):
    """The spec's `watch`."""

    min_pass_rate: float | None = Field(default=None, gt=0, le=1)
    """A run of which a smaller share passes raises the event `stillhouse.passrate.low`. It goes on all the same."""
    after: int = Field(default=100, ge=1)
    """Once so many samples were judged."""


class ApproveOptions(Options):
    """The spec's `approve`: what waits for a person's input in Prefect, before anything is spent."""

    over_usd: float | None = Field(default=None, ge=0)
    """A build that may cost more than so many USD, by what `stillhouse plan` says."""
    unacknowledged_license: bool = False
    """A build of which a teacher's terms restrict training other models, and nobody has acknowledged that. Else: exit 3."""
    timeout_s: float = Field(default=86_400, ge=1, le=30 * 86_400)
    """For how long it waits."""
