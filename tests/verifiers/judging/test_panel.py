"""Several judges, and what comes of their opinions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from storage.errors import RateLimited, RequestRejected, StillhouseError, TeacherDown, Unavailable, VerifierError
from tests.fakes import make_prompt, make_sample
from tests.verifiers.judging.scripted import Scripted, better, score
from verifiers.judge import Judge
from verifiers.protocol import Finding

NONE = "no verdict"
"""An answer that is malformed, and stays so."""


async def panel(*said: int | str | StillhouseError, **options: Any) -> tuple[Finding, list[Scripted]]:
    """Ask a panel of a, b, c … of which each member says one thing."""
    scripts = [[score(each)] if isinstance(each, int) else [each, each] for each in said]
    askers = {name: Scripted(*script) for name, script in zip("abcdefg", scripts, strict=False)}
    given = {"teachers": list(askers), "rubric": "Is it right?", "pass_at": 7} | options
    found = await TypeAdapter(Judge).validate_python(given).asking(askers).check(make_prompt(reference="4"), make_sample())
    assert isinstance(found, Finding)
    return found, list(askers.values())


@pytest.mark.parametrize(
    ("said", "majority", "mean", "unanimous"),
    [
        ([8, 9, 10], True, True, True),
        ([10, 10, 1], True, True, False),
        ([7, 7, 1], True, False, False),
        ([10, 6, 6], False, True, False),
        ([1, 1, 10], False, False, False),
        ([10, 1], False, False, False),
        ([7, 7], True, True, True),
        ([9, 9, NONE], True, True, True),
        ([9, 1, NONE], False, False, False),
        ([1, 1, NONE], False, False, False),
        ([9, NONE, NONE], None, None, None),
        ([9, NONE], None, None, None),
        ([9, 9, NONE, NONE], None, None, None),
        ([9, 9, 1, NONE, NONE], True, False, False),
        ([NONE, NONE, NONE], None, None, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("combine", ["majority", "mean", "unanimous"])
async def test_what_a_panel_says(said: list[Any], majority: Any, mean: Any, unanimous: Any, combine: str) -> None:
    """Who gives no verdict leaves it to the others where they are more than half of the panel; a split panel passes nothing."""
    found, _ = await panel(*said, combine=combine)
    assert found.passed is {"majority": majority, "mean": mean, "unanimous": unanimous}[combine], found.reason
    if found.passed is not None:
        voting = [each for each in said if each != NONE]
        assert found.score == pytest.approx(sum((each - 1) / 9 for each in voting) / len(voting))


async def test_the_mean_passes_at_the_threshold_itself() -> None:
    """Tenths that aren't exact in binary don't fail it."""
    for scale, at in (((0, 10), 7), ((1, 10), 4), ((0, 3), 2)):
        found, _ = await panel(at, at, at, combine="mean", scale=scale, pass_at=at)
        assert found.passed is True


async def test_the_reason_tells_each_score() -> None:
    """And quotes one who is with the verdict."""
    found, _ = await panel(9, 2, NONE)
    assert found.reason == "1 of 2 pass it: a 9 of 10, b 2 of 10, c no verdict; so"
    found, _ = await panel(9, NONE, NONE)
    assert found.reason.startswith(
        "1 of 3 judges gave a verdict: a 9 of 10, b no verdict, c no verdict; the judge gave no verdict: "
    )


async def test_a_member_whose_request_is_rejected_has_no_opinion() -> None:
    """It never will: a content filter, say. Nor has one whose answer is empty."""
    found, _ = await panel(9, RequestRejected("filtered"), 9)
    assert found.passed is True
    found, _ = await panel(9, VerifierError("gave no answer"), RequestRejected("filtered"))
    assert found.passed is None


@pytest.mark.parametrize("error", [RateLimited("429"), Unavailable("gone"), TeacherDown("gone")])
async def test_a_member_that_could_not_be_asked_leaves_it_to_the_next_build(error: StillhouseError) -> None:
    """Its opinion may still come, so there is no verdict now; the others were asked by then."""
    with pytest.raises(type(error)):
        await panel(9, error, 9)


async def test_a_member_that_can_no_longer_matter_is_not_waited_for() -> None:
    """Where too few of the others have an opinion, nothing is bought for it by the next build."""
    for said in ((NONE, Unavailable("gone"), NONE), (Unavailable("gone"), RequestRejected("filtered"))):
        found, _ = await panel(*said)
        assert (found.passed, found.reason.startswith("0 of ")) == (None, True)
    with pytest.raises(Unavailable):
        await panel(9, NONE, Unavailable("gone"))


async def test_what_ends_a_run_comes_first() -> None:
    """Of several errors."""
    with pytest.raises(TeacherDown):
        await panel(Unavailable("gone"), TeacherDown("down"), 9)


async def test_a_pairwise_panel() -> None:
    """Each member is asked in both orders, and its opinion is one."""
    askers = {
        "a": Scripted(better("A"), better("B")),
        "b": Scripted(better("A"), better("A")),
        "c": Scripted(better("A"), better("B")),
    }
    judge = Judge(teachers=("a", "b", "c"), rubric="r", mode="pairwise").asking(askers)
    found = await judge.check(make_prompt(reference="4"), make_sample())
    assert isinstance(found, Finding)
    assert found.passed is True
    assert found.score == pytest.approx(2.5 / 3)
    assert "b tie, by position bias (win as A, loss as B)" in found.reason


def test_a_panel_asks_its_members_alone() -> None:
    """Whoever wires it hands it all teachers that there are."""
    assert Judge(teachers=("a", "b"), rubric="r", pass_at=5).asks == ("a", "b")
    with pytest.raises(KeyError):
        Judge(teachers=("a", "b"), rubric="r", pass_at=5).asking({"a": Scripted()})
