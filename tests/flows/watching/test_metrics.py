"""Metrics, scraped over HTTP as Prometheus would."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.progress import Progress
from flows.watching.metrics import Draw, place, served
from storage.errors import RateLimited, SetupError
from tasks.draw import Budget
from tasks.stop import Stop
from tests.fakes import FakeTeacher, make_desk, make_options, make_request


def scraped(address: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return samples by name and the values of their labels, the line's first, less the dataset's."""
    with urllib.request.urlopen(address, timeout=10) as response:
        text = response.read().decode()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels.pop("dataset") == "d"
            line = [sample.labels.pop(name) for name in ("teacher", "replica") if name in sample.labels]
            found.setdefault(sample.name, {})[*line, *sample.labels.values()] = sample.value
    return found


async def test_what_is_scraped() -> None:
    """Requests by outcome, the histogram, limits, tokens, spend, samples and outcomes are those of the run."""
    desk = make_desk(make_options(limits={"concurrency": 3}), FakeTeacher(), Stop())
    await asyncio.gather(*(desk.ask(make_request(str(n))) for n in range(5)))
    desk.states()[0].meter.failed(RateLimited("429"))
    progress = Progress(slots=20, budget=Budget(2.0, spent=0.5), desks=[desk])
    progress.stage = "drawing and verifying"
    spent = progress.spending.of("smol")
    spent.paid, spent.tokens_in, spent.tokens_out, spent.cost_usd = 5, 50, 100, 0.25
    progress.tally.asked, progress.tally.judged, progress.tally.accepted, progress.tally.failed = 6, 5, 2, 1
    progress.outcomes = {"kept": 2}
    said: list[str] = []
    with served("0", progress, "d", said.append):
        found = await asyncio.to_thread(scraped, said[0].removeprefix("metrics at "))
    line = ("smol", "0")
    requests = found["stillhouse_requests_total"]
    assert (requests[*line, "answered"], requests[*line, "refused"], requests[*line, "timed_out"]) == (5, 1, 0)
    assert found["stillhouse_request_seconds_count"][line] == found["stillhouse_request_seconds_bucket"][*line, "+Inf"] == 5
    assert found["stillhouse_concurrency_limit"][line] == 3
    assert (found["stillhouse_waiting"][line], found["stillhouse_in_flight"][line], found["stillhouse_teacher_well"][line]) == (
        0,
        0,
        1,
    )
    assert found["stillhouse_tokens_total"] == {("smol", "in"): 50, ("smol", "out"): 100}
    assert (found["stillhouse_cost_usd_total"]["smol",], found["stillhouse_samples_bought_total"]["smol",]) == (0.25, 5)
    assert (found["stillhouse_budget_usd"][()], found["stillhouse_budget_spent_usd"][()]) == (2.0, 0.5)
    assert found["stillhouse_samples_total"] == {("accepted",): 2, ("not_accepted",): 3, ("failed",): 1, ("spared",): 0}
    assert found["stillhouse_outcomes"] == {("kept",): 2}
    (stage,) = found["stillhouse_run"]
    assert "drawing and verifying" in stage


@pytest.mark.parametrize(
    ("said", "found"),
    [("9464", ("127.0.0.1", 9464)), ("0.0.0.0:9464", ("0.0.0.0", 9464)), (":1", ("127.0.0.1", 1)), ("[::1]:80", ("::1", 80))],
)
def test_places(said: str, found: tuple[str, int]) -> None:
    """A port alone is this machine's own."""
    assert place(said) == found


@pytest.mark.parametrize("said", ["here", "host:", "70000", "-1", "²"])
def test_no_place(said: str) -> None:
    """What names no port is a line."""
    with pytest.raises(SetupError, match="is no PORT or HOST:PORT"):
        place(said)


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a port that somebody has, it is a line; said by the environment, it goes on without. It is free after a run."""
    said: list[str] = []
    with served("0", Progress(), "d", said.append):
        port = said.pop().rpartition(":")[2].partition("/")[0]
        with pytest.raises(SetupError, match="can't serve at"), served(port, Progress(), "e", said.append):
            pass
        monkeypatch.setenv("STILLHOUSE_METRICS", port)
        with served(None, Progress(), "e", said.append):
            assert said.pop().endswith("going on without metrics")
    with served(None, Progress(), "d", said.append):
        assert said.pop() == f"metrics at http://127.0.0.1:{port}/metrics"
    monkeypatch.delenv("STILLHOUSE_METRICS")
    with served(None, Progress(), "d", said.append):
        assert not said


@pytest.mark.parametrize("file", ["docs/watching.md", "deploy/grafana.json"])
def test_names_are_real(file: str) -> None:
    """What the page and the dashboard name is what is served, and the page names all of it."""
    root = Path(__file__).parents[3]
    progress = Progress(budget=Budget(1.0))
    served_now = {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in Draw(progress, "d").collect()}
    said = {name.removesuffix("_bucket") for name in re.findall(r"\bstillhouse_[a-z_]+", (root / file).read_text())}
    assert said <= served_now
    assert said == served_now or file.endswith(".json")
