"""What it costs to be watched: a sample's processor time in the draw, and of that what is counted for metrics and tables.

    .venv/bin/python benchmarks/watching.py [--samples 5000] [--rounds 3]

"draw" is as in benchmarks/draw.py; every second round is scraped by an HTTP client once a second, where Prometheus would come
every 15. "counting" is what a request and a verdict add to the counters that metrics and tables are read from, here with two
verifiers and three tags, which the draw's own time above has of the request alone. "scrape" is one answer to Prometheus.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import timeit
import urllib.request

import uvloop
from draw import LATENCY_S, draw
from teacher import running

from flows.progress import Progress
from flows.watching.metrics import served
from storage.records import Verdict
from tasks.asking.meter import Meter
from tasks.tally import Passing

TAGS = {"kind": "sum", "level": "3", "source": "a"}


def counting() -> float:
    """Return the seconds of counting one request and one judged sample."""
    meter, passing = Meter(), Passing()
    verdicts = [
        Verdict(
            sample_id="s",
            verifier=name,
            version="1",
            fingerprint=name,
            inputs="",
            passed=True,
            score=1.0,
            reason="",
            elapsed_s=0.0,
        )
        for name in ("one", "two")
    ]

    def count() -> None:
        meter.sent += 1
        meter.again += False
        meter.in_flight += 1
        meter.in_flight -= 1
        meter.tokens += 30
        meter.answered(0.7)
        passing.judge(teacher="t", strategy="terse", tags=TAGS, verdicts=verdicts, accepted=True)

    return min(timeit.repeat(count, number=20_000, repeat=7)) / 20_000


def ask(said: str) -> None:
    """Scrape what `metrics at …` names."""
    with urllib.request.urlopen(said.removeprefix("metrics at "), timeout=10) as response:
        response.read()


def drawn(url: str, samples: int, *, scraped: bool) -> float:
    """Return the processor time of a draw, in seconds a sample."""
    done = threading.Event()
    said: list[str] = []
    with served("0" if scraped else None, Progress(), "bench", said.append):

        def scrape() -> None:
            while said and not done.wait(1.0):
                ask(said[0])

        scraping = threading.Thread(target=scrape)
        scraping.start()
        before = time.process_time()
        uvloop.run(draw(url, samples))
        took = time.process_time() - before
        done.set()
        scraping.join()
    return took / samples


def scrape() -> float:
    """Return the seconds of one answer to Prometheus, from the first byte asked to the last one read."""
    said: list[str] = []
    with served("0", Progress(), "bench", said.append):
        return min(timeit.repeat(lambda: ask(said[0]), number=20, repeat=5)) / 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    took: dict[bool, list[float]] = {False: [], True: []}
    with running(latency=LATENCY_S) as teacher:
        url = teacher.url
        drawn(url, min(given.samples, 1_000), scraped=False)  # what is loaded once
        for _ in range(given.rounds):
            for scraped, each in took.items():
                each.append(drawn(url, given.samples, scraped=scraped))
    plain, with_metrics = (statistics.median(took[scraped]) for scraped in (False, True))
    counted = counting()
    print(f"draw: {plain * 1e6:,.0f} µs of processor time a sample; scraped each second: {with_metrics * 1e6:,.0f} µs")
    print(f"counting: {counted * 1e6:.1f} µs a sample, {counted / plain:.2%} of the draw")
    print(f"scrape: {scrape() * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
