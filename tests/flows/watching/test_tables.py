"""The tables that Prefect's UI shows of a run."""

from __future__ import annotations

from typing import Any

from flows.progress import Progress
from flows.watching import tables
from tasks.asking.meter import LineState, Meter
from tasks.draw import Budget
from tasks.tally import Passed, Passing


def line(meter: Meter, **given: Any) -> LineState:
    """Return the state of a line."""
    defaults = {"teacher": "t", "line": 0, "standing": "well", "in_flight": 3, "window": 4, "waiting": 5}
    return LineState(**(defaults | {"requests_per_minute": 600.0, "tokens_per_minute": 0.0} | given), meter=meter)


def test_pass_rates_while_it_draws() -> None:
    """A row for each teacher, strategy, verifier and value of a tag; one that decided nothing has no rate, and a long name is cut."""
    passing = Passing(
        {
            "tag kind": {"sum" * 40: Passed(judged=4, accepted=4)},
            "verifier": {"v": Passed(judged=2, undecided=2)},
            "teacher": {"t": Passed(judged=4, accepted=1)},
        }
    )
    rows = [(row["by"], row["name"], row["samples"], row["pass rate"]) for row in tables.drawn(passing)]
    assert rows == [("teacher", "t", 4, "25.0%"), ("verifier", "v", 2, ""), ("tag kind", ("sum" * 40)[:80], 4, "100.0%")]


def test_markup_in_a_tag() -> None:
    """Prefect's UI renders cells as Markdown: what a tag has of that, or of HTML, is shown and does nothing."""
    passing = Passing({"tag <b>k</b>": {"![x](http://x.example/) <img src=x>": Passed(judged=1)}})
    (row,) = tables.drawn(passing)
    assert row["by"] == "tag <\u200bb>k<\u200b/b>"
    assert row["name"] == "![x]\u200b(http://x.example/) <\u200bimg src=x>"


def test_spend_against_the_budget() -> None:
    """By teacher and in all, with what is left of what all runs may spend, and what batches may still cost."""
    progress = Progress(budget=Budget(2.0, spent=1.25))
    progress.budget.reserved = 0.5
    progress.spending.of("t").cost_usd = progress.spending.cost_usd = 0.25
    found = {row["teacher"]: row["USD"] for row in tables.spending(progress)}
    assert found == {
        "t": "0.2500",
        "this run": "0.2500",
        "all runs": "1.2500",
        "in batches, at most": "0.5000",
        "budget": "2.0000",
        "left": "0.2500",
    }


def test_nothing_was_missing() -> None:
    """A build that asked for nothing is done all the same, once every slot has its outcome."""
    progress = Progress()
    assert progress.share == 0
    progress.outcomes = {"kept": 3, "rejected": 1, "failed": 0}
    assert progress.share == 1


def test_what_a_minute_had() -> None:
    """Requests and tokens are of the last minute, whatever came before; a young line is told at the pace that it has."""
    pace, meter = tables.Pace(), Meter()
    rows = {}
    for now, sent in ((0.0, 0), (30.0, 100), (60.0, 500), (90.0, 600), (120.0, 600)):
        meter.sent, meter.tokens = sent, sent * 10
        (rows[now],) = pace.limiters([line(meter)], now)
    assert [rows[now]["requests/min"] for now in rows] == ["0 of 600", "200 of 600", "500 of 600", "500 of 600", "100 of 600"]
    assert rows[90.0]["tokens/min"] == "5,000"
    assert (rows[0.0]["in flight"], rows[0.0]["waiting"]) == ("3 of 4", 5)


def test_stages() -> None:
    """A stage that has ended is whole; drawing goes by slots; of others nothing is known but what they count themselves."""
    progress = Progress(slots=100)
    progress.stage = "reading prompts"
    progress.stage = "judging stored samples"
    progress.part(1, 4)
    first, second = progress.stages
    assert [tables.stage_share(progress, stage) for stage in (first, second)] == [1.0, 0.25]
    progress.stage = "growing prompts"
    progress.wants(8)
    progress.spending.paid = 2
    growing = progress.stages[-1]
    assert tables.stage_share(progress, growing) == 0.25
    assert tables.stage_text(progress, growing, growing.began) == "growing prompts, 0 s; 2 of 8 answers bought"
    progress.stage = "drawing and verifying"
    progress.tally.asked, progress.tally.spared = 30, 10
    progress.tally.judged, progress.tally.accepted = 30, 15
    progress.batches["b"] = "batch b: 3 of 9 done"
    third = progress.stages[-1]
    assert tables.stage_share(progress, third) == 0.4
    text = tables.stage_text(progress, third, third.began + 5)
    assert text == "drawing and verifying, 5 s; 30 of 90 samples; pass rate 50%; $0.0000 by this run; batch b: 3 of 9 done"
