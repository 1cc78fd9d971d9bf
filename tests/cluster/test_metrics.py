"""Metrics of a run on a cluster are those of all its workers."""

from __future__ import annotations

import contextlib
import re
import threading
import urllib.request
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.conftest import spec
from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher


def scraped(address: str) -> dict[str, float]:
    """Return the teacher's samples by name, and requests by how they ended."""
    with urllib.request.urlopen(address, timeout=10) as response:
        text = response.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("teacher") == "t":
                found[f"{sample.name} {sample.labels.get('outcome', sample.labels.get('le', ''))}".strip()] = sample.value
    return found


def test_metrics_of_all_workers(lone_workplace: Workplace) -> None:
    """Requests, the latency histogram and refusals add up to what the teacher saw; in flight and the limit are the workers' own."""
    place = lone_workplace
    seen: defaultdict[str, list[float]] = defaultdict(list)
    with LoopbackTeacher(delay_s=0.06) as teacher:
        spec(place, teacher.url, workers=2, limits={"concurrency": 16})
        with place.start("build", str(place.write()), "--lake", str(place.lake), "--metrics", "0") as running:
            lines: list[str] = []
            reading = threading.Thread(target=lambda: lines.extend(running.stderr or ()), daemon=True)
            reading.start()
            try:
                while running.poll() is None:
                    if (address := re.search(r"metrics at (\S+)", "".join(lines))) is not None:
                        with contextlib.suppress(OSError):  # it ends just now
                            for name, value in scraped(address[1]).items():
                                seen[name].append(value)
                    reading.join(0.1)
            finally:
                running.kill()
            reading.join(10)
        assert running.returncode == 0, "".join(lines)
        answered = seen["stillhouse_requests_total answered"]
        assert answered == sorted(answered)  # they only grow, also where workers leave
        assert answered[-1] == teacher.sold == 1_100
    assert seen["stillhouse_request_seconds_bucket +Inf"][-1] == seen["stillhouse_request_seconds_count"][-1] == 1_100
    assert seen["stillhouse_request_seconds_bucket 0.05"][-1] == 0  # the teacher takes longer
    assert 2 <= max(seen["stillhouse_in_flight"]) <= 16
    assert seen["stillhouse_in_flight"][-1] == seen["stillhouse_waiting"][-1] == 0
    assert 2 <= min(filter(None, seen["stillhouse_concurrency_limit"])) <= max(seen["stillhouse_concurrency_limit"]) <= 16
