"""Curves of pass@k: unbiased where k is fixed, and where drawing stops at a success."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flows.report import report
from storage.lake import Lake
from tasks.measures.curves import Attempts, points
from tests.fakes import make_prompt, named
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec

RATES = [0.1, 0.3, 0.7]
PROMPTS = 20_000


def drawn(k: int, *, stop: bool) -> list[Attempts]:
    """Draw up to k samples of many prompts, whose rates are RATES; `stop` at the first success."""
    rng = random.Random(0)
    found = []
    for number in range(PROMPTS):
        went: list[bool] = []
        while len(went) < k and not (stop and any(went)):
            went.append(rng.random() < RATES[number % len(RATES)])
        first = went.index(True) if True in went else None
        found.append(Attempts(responses=len(went), accepted=sum(went), first=first, prompts=1))
    return found


@pytest.mark.parametrize("stop", [False, True], ids=["fixed", "adaptive"])
def test_unbiased(stop: bool):
    """The mean is the true chance for every k, and its interval holds it, whether drawing stops at a success or not."""
    for point in points(drawn(6, stop=stop), adaptive=stop):
        truth = sum(1 - (1 - rate) ** point.k for rate in RATES) / len(RATES)
        assert point.value == pytest.approx(truth, abs=0.012)
        assert point.low < truth < point.high
        assert point.prompts == PROMPTS


def test_the_usual_estimate_would_be_wrong_where_drawing_stops():
    """What an adaptive draw leaves would be far too low, were it taken for a fixed one: only what failed has many samples."""
    last = points(drawn(6, stop=True), adaptive=False)[-1]
    assert last.value < 0.5 < points(drawn(6, stop=True), adaptive=True)[-1].value


def test_unknown():
    """A prompt that has fewer responses than k, none accepted, says nothing of that k."""
    attempts = [
        Attempts(responses=1, accepted=0, first=None, prompts=3),
        Attempts(responses=2, accepted=1, first=1, prompts=1),
    ]
    assert [(each.k, each.value, each.prompts) for each in points(attempts, adaptive=False)] == [(1, 0.125, 4), (2, 1.0, 1)]
    assert [(each.k, each.value, each.prompts) for each in points(attempts, adaptive=True)] == [(1, 0.0, 4), (2, 1.0, 1)]


async def test_of_a_build(lake: Lake, tmp_path: Path):
    """A build's curve has a point for each k, and says how many prompts it is of."""
    passing = named("check", lambda prompt, sample: sample.sample_index == 1)
    await land(lake, Spec(prompts=[make_prompt(text) for text in "abcd"], k=2, verifiers=[passing]), "1", tmp_path, COUNTS)
    found = report(lake, "d", build_id=None).parts["pass_at"]
    (curve,) = found["curves"]
    assert (found["adaptive"], curve["teacher"], curve["strategy"]) == (False, "smol", None)
    assert [(each["k"], each["value"], each["prompts"]) for each in curve["points"]] == [(1, 0.5, 4), (2, 1.0, 4)]
