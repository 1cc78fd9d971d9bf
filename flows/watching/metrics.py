"""Metrics of a run's draw for Prometheus, served over HTTP while it lasts.

Nothing is counted for them: what the run counts anyway is read when somebody scrapes, so a sample costs the same with metrics and
without. Labels are names that stand in the spec. docs/watching.md lists the metrics, whose names are a promise.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.progress import Progress
from storage.errors import SetupError
from tasks.asking.meter import BUCKETS_S, OUTCOMES, LineState

VARIABLE = "STILLHOUSE_METRICS"
HOST = "127.0.0.1"
"""Where only a port is given: metrics are for this machine until somebody says otherwise."""
PORTS = 65_536
_LINE = ("dataset", "teacher", "replica")


def place(said: str) -> tuple[str, int]:
    """Return the host and port of `PORT` or `HOST:PORT`. Raise SetupError where it is neither."""
    host, _, port = said.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) >= PORTS:
        raise SetupError(f"--metrics ({VARIABLE}): {said!r} is no PORT or HOST:PORT, as in 9464 or 0.0.0.0:9464")
    return host.strip("[]") or HOST, int(port)


class Draw(Collector):
    """Reads a run's progress."""

    def __init__(self, progress: Progress, dataset: str) -> None:
        """Name the run."""
        self._progress = progress
        self._dataset = dataset

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the names don't depend on a look at the run."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        lines = self._progress.lines
        yield from self._requests(lines)
        yield from self._limits(lines)
        yield from self._spending()
        yield from self._samples()
        info = GaugeMetricFamily("stillhouse_run", "The run at work, by its stage.", labels=["dataset", "stage", "version"])
        info.add_metric([self._dataset, self._progress.stage, version("stillhouse")], 1)
        yield info

    def _requests(self, lines: list[LineState]) -> Iterator[Metric]:
        ended = CounterMetricFamily("stillhouse_requests", "Requests by how they ended.", labels=[*_LINE, "outcome"])
        again = CounterMetricFamily("stillhouse_request_retries", "Requests that were sent before.", labels=_LINE)
        took = HistogramMetricFamily("stillhouse_request_seconds", "Seconds that answered requests took.", labels=_LINE)
        for line in lines:
            labels, meter = self._of(line), line.meter
            for outcome in OUTCOMES:
                ended.add_metric([*labels, outcome], meter.ended[outcome])
            again.add_metric(labels, meter.again)
            below, buckets = 0, list(meter.buckets)
            summed = []
            for bound, number in zip([*map(str, BUCKETS_S), "+Inf"], buckets, strict=True):
                below += number
                summed.append((bound, float(below)))
            took.add_metric(labels, summed, meter.seconds)
        yield from (ended, again, took)

    def _limits(self, lines: list[LineState]) -> Iterator[Metric]:
        gauges: tuple[tuple[str, str, Callable[[LineState], float]], ...] = (
            ("in_flight", "Requests that were sent and have not ended.", lambda line: line.in_flight),
            ("waiting", "Requests that wait for a place, a rate or the circuit breaker.", lambda line: line.waiting),
            ("concurrency_limit", "Requests that may be in flight now.", lambda line: line.window),
            ("requests_per_minute_limit", "The rate that holds now; 0: none is known.", lambda line: line.requests_per_minute),
            ("tokens_per_minute_limit", "The rate that holds now; 0: none is known.", lambda line: line.tokens_per_minute),
            ("teacher_well", "1 where it can be asked now; 0: paused, failing or closed.", lambda line: line.standing == "well"),
        )
        for name, about, read in gauges:
            gauge = GaugeMetricFamily(f"stillhouse_{name}", about, labels=_LINE)
            for line in lines:
                gauge.add_metric(self._of(line), read(line))
            yield gauge

    def _spending(self) -> Iterator[Metric]:
        labels = ["dataset", "teacher"]
        bought = CounterMetricFamily("stillhouse_samples_bought", "Samples that this run bought.", labels=labels)
        cost = CounterMetricFamily("stillhouse_cost_usd", "USD that this run was billed.", labels=labels)
        tokens = CounterMetricFamily("stillhouse_tokens", "Tokens that this run was billed for.", labels=[*labels, "direction"])
        for teacher, each in list(self._progress.spending.by_teacher.items()):
            bought.add_metric([self._dataset, teacher], each.paid)
            cost.add_metric([self._dataset, teacher], each.cost_usd)
            tokens.add_metric([self._dataset, teacher, "in"], each.tokens_in)
            tokens.add_metric([self._dataset, teacher, "out"], each.tokens_out)
        yield from (bought, cost, tokens)
        budget = self._progress.budget
        spent = GaugeMetricFamily("stillhouse_budget_spent_usd", "USD that all runs of the spec spent.", labels=["dataset"])
        spent.add_metric([self._dataset], budget.spent)
        yield spent
        if budget.usd is not None:
            most = GaugeMetricFamily("stillhouse_budget_usd", "USD that all runs of the spec may spend.", labels=["dataset"])
            most.add_metric([self._dataset], budget.usd)
            yield most

    def _samples(self) -> Iterator[Metric]:
        tally = self._progress.tally
        drawn = CounterMetricFamily("stillhouse_samples", "Slots that came to an end.", labels=["dataset", "result"])
        for result, number in (
            ("accepted", tally.accepted),
            ("not_accepted", tally.judged - tally.accepted),
            ("failed", tally.failed),
            ("spared", tally.spared),
        ):
            drawn.add_metric([self._dataset, result], number)
        yield drawn
        wanted = GaugeMetricFamily("stillhouse_samples_wanted", "Slots that this run asks for at most.", labels=["dataset"])
        wanted.add_metric([self._dataset], self._progress.wanted)
        yield wanted
        outcomes = GaugeMetricFamily("stillhouse_outcomes", "Slots, once they are decided.", labels=["dataset", "outcome"])
        for outcome, number in list(self._progress.outcomes.items()):
            outcomes.add_metric([self._dataset, outcome], number)
        yield outcomes

    def _of(self, line: LineState) -> list[str]:
        return [self._dataset, line.teacher, str(line.line)]


@contextlib.contextmanager
def served(asked: str | None, progress: Progress, dataset: str, say: Callable[[str], None]) -> Iterator[None]:
    """Serve a run's metrics at `PORT` or `HOST:PORT`: as it was `asked`, else as STILLHOUSE_METRICS says.

    Raise SetupError where what was asked can't be. What the environment says is for every run of a machine, and one that finds
    the port taken goes on without.
    """
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(_serving(asked or os.environ.get(VARIABLE), Draw(progress, dataset)))
        except SetupError as error:
            if asked:
                raise
            say(f"{error}; going on without metrics")
        else:
            if address is not None:
                say(f"metrics at {address}")
        yield


@contextlib.contextmanager
def _serving(said: str | None, draw: Draw) -> Iterator[str | None]:
    """Serve metrics and give their address; None: nowhere."""
    if not said:
        yield None
        return
    host, port = place(said)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(draw)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise SetupError(f"--metrics ({VARIABLE}): can't serve at {host}:{port}: {error.strerror or error}") from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
