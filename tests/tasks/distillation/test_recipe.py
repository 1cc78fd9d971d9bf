"""The choices of a training: their bounds, and the learning rate's way."""

from __future__ import annotations

from typing import Any

import pytest

from storage.errors import SpecError
from tasks.distillation.recipe import Recipe


def test_the_rate_rises_and_falls():
    """Linearly to its height in the first tenth, then along half a cosine to almost 0."""
    recipe = Recipe(lr=1.0, warmup=0.1)
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert sorted(rates[10:], reverse=True) == rates[10:]


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 1.0])
def test_short_trainings_have_a_rate(steps: int, warmup: float):
    """Every step of the shortest training moves something."""
    assert all(0 < Recipe(lr=1.0, warmup=warmup).rate(step, steps) <= 1 for step in range(steps))


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"lr": 0}, {"lr": float("nan")}, {"alpha": 1.1}, {"temperature": 0}, {"tokens_per_batch": 0}, {"clip": -1}],
    ids=str,
)
def test_bounds(wrong: dict[str, Any]):
    """What can't be is one line that names the option as it is typed."""
    with pytest.raises(SpecError, match="--" + next(iter(wrong)).replace("_", "-")):
        Recipe(**wrong).check()
