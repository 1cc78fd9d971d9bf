"""What a run and its workers tell each other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from flows.cluster import notes
from flows.cluster.notes import Ledger, State
from storage.errors import BudgetSpent, LakeDamaged, QuotaSpent, SpecError, StorageError, TeacherDown, TimedOut, UserError
from tasks.asking.meter import LineState, Meter
from tasks.draw import Spending


def test_there_and_back(tmp_path: Path) -> None:
    """A note is read as it was written; one that isn't there is none, and one that is damaged is an error."""
    passing = {"teacher": {"t": [2, 1, 0]}}
    note = Ledger(
        host="h", pid=3, spent=1.5, spending={"paid": 2}, passing=passing, leases=("a",), stopped=("TeacherDown", "down")
    )
    notes.write(tmp_path / "ledger.json", note)
    found = notes.read(Ledger, tmp_path / "ledger.json")
    assert found is not None
    assert asdict(found) | {"leases": ("a",), "stopped": ("TeacherDown", "down")} == asdict(note)
    assert notes.read(State, tmp_path / "none.json") is None
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(StorageError, match=r"torn\.json"):
        notes.read(State, tmp_path / "torn.json")
    (tmp_path / "newer.json").write_text('{"closing": true, "unheard_of": 1}')
    with pytest.raises(StorageError, match=r"newer\.json: was written by another version of stillhouse"):
        notes.read(State, tmp_path / "newer.json")


def test_lines(tmp_path: Path) -> None:
    """How a worker's lines stand crosses as it is; of one that has ended, what it counted remains."""
    meter = Meter(sent=3, in_flight=1)
    meter.answered(0.2)
    meter.failed(TimedOut("slow"))
    counts = {"in_flight": 1, "window": 4, "waiting": 2, "requests_per_minute": 60.0, "tokens_per_minute": 0.0}
    state = LineState(teacher="t", line=0, standing="paused", meter=meter, **counts)
    notes.write(tmp_path / "ledger.json", Ledger(lines=[state.as_dict()]))
    found = notes.read(Ledger, tmp_path / "ledger.json")
    assert found is not None
    assert notes.lines(found) == [state]
    (over,) = notes.lines(found, over=True)
    assert (over.in_flight, over.meter.sent, over.meter.ended) == (0, 3, {"answered": 1, "timed_out": 1})


@pytest.mark.parametrize("error", [SpecError("a"), TeacherDown("b"), QuotaSpent("c"), BudgetSpent("d"), LakeDamaged("e", "f")])
def test_errors(error: UserError) -> None:
    """An error crosses with its line and its exit code."""
    found = notes.raised(notes.told(error))
    assert (str(found), found.exit_code) == (str(error), error.exit_code)


def test_sums() -> None:
    """What became more is added, by teacher too."""
    total, before, after = Spending(), Spending(), Spending(paid=3, cost_usd=1.0)
    after.of("t").paid = 3
    notes.add(total, after, before)
    later = notes.spending_of(asdict(Spending(paid=4, cost_usd=1.5, by_teacher={"t": Spending(paid=4)})))
    notes.add(total, later, after)
    assert (total.paid, total.cost_usd, total.of("t").paid) == (4, 1.5, 4)


def test_sums_of_the_unanswered() -> None:
    """So is what saw no answer."""
    total, before = Spending(), Spending(unanswered=1, unanswered_usd=0.5)
    notes.add(total, Spending(unanswered=3, given_up=1, unanswered_usd=1.5), before)
    assert (total.unanswered, total.given_up, total.unanswered_usd) == (2, 1, 1.0)
