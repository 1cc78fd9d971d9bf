"""The tally: what has come of a run's slots so far."""

from __future__ import annotations

from tasks.measures.breakdown import PLAIN, TAG_VALUES
from tasks.tally import Passed, Tally
from tests.fakes import make_verdict


def judged(tally: Tally, *, accepted: bool = True, **given: object) -> None:
    """Count a sample of which one verifier says so."""
    told = {"teacher": "t", "strategy": None, "tags": {}, "verdicts": [make_verdict(passed=accepted)]} | given
    tally.judge(accepted=accepted, **told)  # type: ignore[arg-type]


def test_counts_by_everything() -> None:
    """A sample counts in all, by its teacher, its strategy and each of its tags; a verdict by its verifier."""
    tally = Tally()
    judged(tally, teacher="a", strategy="terse", tags={"kind": "sum", "level": "1"})
    judged(tally, teacher="a", tags={"kind": "sum"}, accepted=False)
    judged(tally, teacher="b", verdicts=[make_verdict(passed=None), make_verdict(verifier="other")])
    assert (tally.judged, tally.accepted) == (3, 2)
    assert tally.by_teacher == {"a": Passed(judged=2, accepted=1), "b": Passed(judged=1, accepted=1)}
    assert tally.by_strategy == {"terse": Passed(judged=1, accepted=1), PLAIN: Passed(judged=2, accepted=1)}
    assert tally.by_tag == {"kind": {"sum": Passed(judged=2, accepted=1)}, "level": {"1": Passed(judged=1, accepted=1)}}
    assert tally.by_verifier["fake"] == Passed(judged=3, accepted=1, undecided=1)
    assert (tally.by_verifier["fake"].rate, tally.by_verifier["other"].rate, Passed().rate) == (0.5, 1.0, None)


def test_no_strategies() -> None:
    """Where there are none, the plain template has no line of its own."""
    tally = Tally()
    judged(tally)
    assert tally.by_strategy == {}


def test_a_tag_that_is_an_id() -> None:
    """A tag with a value of its own for each prompt takes no memory, and doesn't come back."""
    tally = Tally()
    for number in range(3 * TAG_VALUES):
        judged(tally, tags={"id": str(number), "kind": "sum"})
    assert tally.by_tag == {"kind": {"sum": Passed(judged=3 * TAG_VALUES, accepted=3 * TAG_VALUES)}}
