"""The tally: what has come of a run's slots so far."""

from __future__ import annotations

import json

from tasks.measures.breakdown import PLAIN, TAG_VALUES
from tasks.tally import Passed, Passing
from tests.fakes import make_verdict


def judged(passing: Passing, *, accepted: bool = True, **given: object) -> None:
    """Count a sample of which one verifier says so."""
    told = {"teacher": "t", "strategy": None, "tags": {}, "verdicts": [make_verdict(passed=accepted)]} | given
    passing.judge(accepted=accepted, **told)  # type: ignore[arg-type]


def test_counts_by_everything() -> None:
    """A sample counts by its teacher, its strategy and each of its tags; a verdict by its verifier."""
    passing = Passing()
    judged(passing, teacher="a", strategy="terse", tags={"kind": "sum", "level": "1"})
    judged(passing, teacher="a", tags={"kind": "sum"}, accepted=False)
    judged(passing, teacher="b", verdicts=[make_verdict(passed=None), make_verdict(verifier="other")])
    assert passing.groups == {
        "teacher": {"a": Passed(judged=2, accepted=1), "b": Passed(judged=1, accepted=1)},
        "strategy": {"terse": Passed(judged=1, accepted=1), PLAIN: Passed(judged=2, accepted=1)},
        "tag kind": {"sum": Passed(judged=2, accepted=1)},
        "tag level": {"1": Passed(judged=1, accepted=1)},
        "verifier": {"fake": Passed(judged=3, accepted=1, undecided=1), "other": Passed(judged=1, accepted=1)},
    }
    assert (passing.groups["verifier"]["fake"].rate, Passed().rate) == (0.5, None)


def test_no_strategies() -> None:
    """Where there are none, the plain template has no line of its own."""
    passing = Passing()
    judged(passing)
    assert "strategy" not in passing.groups


def test_a_tag_that_is_an_id() -> None:
    """A tag with a value of its own for each prompt takes no memory, and doesn't come back."""
    passing, number = Passing(), 3 * TAG_VALUES
    for each in range(number):
        judged(passing, tags={"id": str(each), "kind": "sum"})
    assert "tag id" not in passing.groups
    assert passing.groups["tag kind"] == {"sum": Passed(judged=number, accepted=number)}


def test_counts_of_another_process() -> None:
    """What another process has counted by now takes the place of what it had counted before, as it comes through JSON."""
    theirs, ours = Passing(), Passing()
    judged(ours, tags={"kind": "sum"})
    judged(theirs, tags={"kind": "sum"}, accepted=False)
    before = json.loads(json.dumps(theirs.totals()))
    ours.add(before)
    judged(theirs, teacher="u")
    ours.add(theirs.totals())
    ours.add(before, less=True)
    assert ours.groups["teacher"] == {"t": Passed(judged=2, accepted=1), "u": Passed(judged=1, accepted=1)}
    assert ours.groups["tag kind"] == {"sum": Passed(judged=2, accepted=1)}
