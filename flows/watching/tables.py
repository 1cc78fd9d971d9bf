"""What tables in Prefect's UI say of a run: names and counts, never a text. Each is a list of rows with the same keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from flows.progress import Progress, Stage
from storage.wording import counted
from tasks.asking.meter import LineState
from tasks.tally import STRATEGY, TAG, TEACHER, VERIFIER, Passing

Rows = list[dict[str, Any]]
MINUTE_S = 60.0
LONGEST = 80
"""Characters of a name; a tag's value may be any text."""
_NOTHING = "\N{ZERO WIDTH SPACE}"
BATCHES = 8
"""Lines on batches in a progress artifact's text."""


def unmarked(text: str) -> str:
    """Return a text of foreign origin in which Markdown finds no HTML, no link and no image, and which looks as it did.

    Entities wouldn't do: Prefect's tables show them as they are written.
    """
    return text.replace("<", f"<{_NOTHING}").replace("](", f"]{_NOTHING}(")


def drawn(passing: Passing) -> Rows:
    """Return the pass rates of what a run has drawn so far, by teacher, strategy, verifier and tag."""
    groups = dict(passing.groups)
    order = [*(by for by in (TEACHER, STRATEGY, VERIFIER) if by in groups), *sorted(by for by in groups if by.startswith(TAG))]
    return [
        _row(by, name, passed.judged, passed.accepted, passed.undecided, passed.rate)
        for by in order
        for name, passed in sorted(groups[by].items())
    ]


def landed(parts: Mapping[str, Any]) -> Rows:
    """Return the pass rates of a landed build, as `flows.report.report` counts them: also what the lake had already."""
    groups = [(TEACHER, parts["by_teacher"]), (STRATEGY, parts["by_strategy"])]
    tags = [(f"{TAG}{tag}", values) for tag, values in parts["by_tag"].items()]
    rows = [
        _row(by, name, each["responses"], each["accepted"], 0, each["pass_rate"])
        for by, values in groups
        for name, each in values.items()
    ]
    rows += [
        _row(VERIFIER, name, sum(each[key] for key in ("passed", "failed", "undecided")), *_said(each))
        for name, each in parts["by_verifier"].items()
    ]
    return rows + [
        _row(by, name, each["responses"], each["accepted"], 0, each["pass_rate"])
        for by, values in tags
        for name, each in values.items()
    ]


def _said(each: Mapping[str, Any]) -> tuple[int, int, float | None]:
    return each["passed"], each["undecided"], each["pass_rate"]


def _row(by: str, name: str, samples: int, passed: int, undecided: int, rate: float | None) -> dict[str, Any]:
    counts = {"samples": samples, "passed": passed, "undecided": undecided}
    return {"by": unmarked(by[:LONGEST]), "name": unmarked(name[:LONGEST])} | counts | {"pass rate": _percent(rate)}


def spending(progress: Progress) -> Rows:
    """Return what a run has bought, by teacher and in all, and how that stands to the budget of all runs."""
    spent, budget = progress.spending, progress.budget
    rows = [
        {"teacher": name, "samples": each.paid, "tokens in": each.tokens_in, "tokens out": each.tokens_out, "USD": each.cost_usd}
        for name, each in list(spent.by_teacher.items())
    ]
    totals = {"samples": spent.paid, "tokens in": spent.tokens_in, "tokens out": spent.tokens_out, "USD": spent.cost_usd}
    rows.append({"teacher": "this run", **totals})
    nothing: dict[str, Any] = dict.fromkeys(("samples", "tokens in", "tokens out"), "")
    rows.append({"teacher": "all runs", **nothing, "USD": budget.spent})
    if budget.reserved:
        rows.append({"teacher": "in batches, at most", **nothing, "USD": budget.reserved})
    if budget.usd is not None:
        rows.append({"teacher": "budget", **nothing, "USD": budget.usd})
        rows.append({"teacher": "left", **nothing, "USD": max(0.0, budget.usd - budget.spent - budget.reserved)})
    return [row | {"USD": f"{row['USD']:,.4f}"} for row in rows]


class Pace:
    """What lines have done in the last minute, by looking at their counters now and then."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._seen: dict[tuple[str, int], deque[tuple[float, int, int]]] = {}

    def limiters(self, lines: list[LineState], now: float) -> Rows:
        """Return how teachers' lines stand; what a rate allows and what is used of it are of a minute."""
        return [self._row(line, *self._in_a_minute(line, now)) for line in lines]

    def _in_a_minute(self, line: LineState, now: float) -> tuple[float, float]:
        """Return requests and tokens of the last minute; of a younger line, as many as a minute would have at its pace."""
        seen = self._seen.setdefault((line.teacher, line.line), deque())
        while len(seen) > 1 and seen[1][0] <= now - MINUTE_S:
            seen.popleft()
        seen.append((now, line.meter.sent, line.meter.tokens))
        since, requests, tokens = seen[0]
        scale = MINUTE_S / (now - since) if now > since else 0.0
        return (line.meter.sent - requests) * scale, (line.meter.tokens - tokens) * scale

    @staticmethod
    def _row(line: LineState, requests: float, tokens: float) -> dict[str, Any]:
        return {
            "teacher": line.teacher,
            "replica": line.line,
            "state": line.standing,
            "in flight": f"{line.in_flight:,} of {line.window:,}",
            "waiting": line.waiting,
            "requests/min": _of(requests, line.requests_per_minute),
            "tokens/min": _of(tokens, line.tokens_per_minute),
            "sent": line.meter.sent,
            "sent again": line.meter.again,
            "refused": line.meter.refused,
            "timed out": line.meter.ended["timed_out"],
        }


def stage_text(progress: Progress, stage: Stage, now: float) -> str:
    """Return what is to be said of a stage beside its share."""
    return "; ".join([f"{stage.name}, {(stage.ended or now) - stage.began:,.0f} s", *_detail(progress, stage)])


def _detail(progress: Progress, stage: Stage) -> Iterator[str]:
    tally = progress.tally
    if stage.name.startswith("drawing"):
        yield f"{tally.asked:,} of {counted(progress.wanted, 'sample')}"
        if tally.judged:
            yield f"pass rate {tally.accepted / tally.judged:.0%}"
        if tally.failed:
            yield f"{tally.failed:,} failed"
        yield f"${progress.spending.cost_usd:,.4f} by this run"
    elif stage.wanted and stage.ended is None:
        yield f"{progress.spending.paid - stage.paid:,} of {counted(stage.wanted, 'answer')} bought"
    if stage.ended is None:
        yield from list(progress.batches.values())[:BATCHES]


def stage_share(progress: Progress, stage: Stage) -> float:
    """Return which part of a stage is done, as far as anybody counts: else nothing until it has ended."""
    if stage.ended is not None:
        return 1.0
    if stage.name.startswith("drawing"):
        return progress.share
    if stage.wanted:
        return min((progress.spending.paid - stage.paid) / stage.wanted, 1.0)
    return stage.share or 0.0


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"


def _of(used: float, allowed: float) -> str:
    return f"{used:,.0f} of {allowed:,.0f}" if allowed else f"{used:,.0f}"
