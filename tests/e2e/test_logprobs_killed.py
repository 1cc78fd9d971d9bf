"""Distributions survive what ends a run: SIGKILL, a spent budget."""

from __future__ import annotations

import signal
import time

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_logprobs import likely, prepare

pytestmark = pytest.mark.slow


def complete(workplace: Workplace) -> list[tuple[object, ...]]:
    """Return samples, distinct samples, and those whose distributions are whole."""
    return workplace.query(
        "SELECT count(*), count(DISTINCT sample_id), count(*) FILTER (len(logprobs.top_logprobs) = 6 AND len(logprobs.rest) = 2) "
        "FROM samples"
    )


def test_killed(workplace: Workplace) -> None:
    """Killed while it draws, and run again, no sample is lost or bought twice but what was in flight; each has all of its own."""
    with LoopbackTeacher(likely, delay_s=0.02) as teacher:
        prepare(workplace, teacher.url, 3)
        workplace.spec["prompts"][0]["source"] = workplace.prompts(80)
        workplace.spec["teachers"][0]["limits"] = {"concurrency": 2}
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
        until = time.monotonic() + 100
        while teacher.sold < 20 and time.monotonic() < until:
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=100)
        before = teacher.sold
        assert 20 <= before < 80
        built = workplace.build()
        assert built["reused"] >= before - 2
        assert built["reused"] + built["paid"] == 80
        assert teacher.sold <= 82
    assert complete(workplace) == [(80, 80, 80)]


def test_budget(workplace: Workplace) -> None:
    """What a spent budget let through is stored whole, and counts when there is more to spend."""
    with LoopbackTeacher(likely) as teacher:
        prepare(workplace, teacher.url, 3)
        workplace.spec["prompts"][0]["source"] = workplace.prompts(40)
        workplace.spec["teachers"][0]["limits"] = {"concurrency": 1}
        workplace.spec["budget"] = {"usd": 22e-6 * 10}
        assert "are spent" in workplace.build(want=4)["error"]
        bought = teacher.sold
        assert 10 <= bought <= 12
        workplace.spec["budget"] = {"usd": 1.0}
        built = workplace.build()
        assert (built["reused"], built["paid"], teacher.sold) == (bought, 40 - bought, 40)
    assert complete(workplace) == [(40, 40, 40)]
