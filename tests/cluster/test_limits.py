"""Workers in processes of their own keep to one limit together."""

from __future__ import annotations

import time
from typing import Any

from tests.cluster.conftest import nothing_is_left, spec
from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, counting

PER_MINUTE = 2_400
SKIPPED_S, LOOKED_AT_S = 4.0, 16.0


def test_one_rate(lone_workplace: Workplace) -> None:
    """Three use a limit on requests a minute to nine tenths at least, and exceed it by no more than a rounding."""
    place, arrived = lone_workplace, list[float]()

    def noting(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        arrived.append(time.monotonic())
        return counting(body, sold)

    with LoopbackTeacher(noting) as teacher:
        spec(place, teacher.url, workers=3, limits={"concurrency": 60, "requests_per_minute": PER_MINUTE})
        assert place.build()["paid"] == 1_100
    begin = min(arrived) + SKIPPED_S
    used = sum(begin <= at < begin + LOOKED_AT_S for at in arrived) / (PER_MINUTE / 60 * LOOKED_AT_S)
    assert 0.90 <= used <= 1.02
    assert nothing_is_left(place)
