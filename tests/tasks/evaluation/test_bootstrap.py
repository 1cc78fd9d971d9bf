"""Bootstrap intervals: they hold the truth as often as they say, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.bootstrap import Bootstrap
from tasks.evaluation.passing import Floats

TRIALS = 300
SLACK = 0.04
"""About three standard errors of a coverage of 95 % by so many trials."""


def bootstrap(above: Floats, below: Floats | None = None, *, resamples: int = 400, seed: int = 1, key: str = "k") -> Bootstrap:
    """Return resamples of columns."""
    return Bootstrap(above, np.ones_like(above) if below is None else below, resamples=resamples, seed=seed, key=key)


def solved(rng: np.random.Generator, prompts: int, samples: int = 4) -> tuple[Floats, Floats]:
    """Return the shares of samples that pass for two contestants who find the same prompts hard; the second is as good."""
    ease = rng.beta(2, 1, prompts)
    return rng.binomial(samples, ease) / samples, rng.binomial(samples, ease) / samples


@pytest.mark.parametrize("prompts", [40, 200])
def test_coverage_of_a_rate(prompts: int):
    """95 % intervals of a mean hold the true one in 95 % of trials."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(TRIALS):
        one, _ = solved(rng, prompts)
        found = bootstrap(one[:, None], seed=trial).rate(0, confidence=0.95)
        held += found is not None and found.low <= 2 / 3 <= found.high
    assert held / TRIALS == pytest.approx(0.95, abs=SLACK)


def test_coverage_of_a_difference():
    """Where two are equally good, a 95 % interval of their difference excludes 0 in 5 % of trials; and pairs make it narrow."""
    rng = np.random.default_rng(1)
    excluded, widths = 0, []
    for trial in range(TRIALS):
        both = np.stack(solved(rng, 100), axis=-1)
        drawn = bootstrap(both, seed=trial)
        found = drawn.difference(0, 1, confidence=0.95)
        assert found is not None
        excluded += found.excludes_zero
        alone = [drawn.rate(column, confidence=0.95) for column in (0, 1)]
        widths.append((found.high - found.low) / np.hypot(*(each.high - each.low for each in alone if each)))
    assert excluded / TRIALS == pytest.approx(0.05, abs=SLACK)
    assert np.mean(widths) < 0.85


def test_coverage_of_a_ratio():
    """A ratio of sums, such as characters by responses, whose prompts differ in both, is held as often as it should be."""
    rng = np.random.default_rng(2)
    held = 0
    for trial in range(TRIALS):
        number = rng.integers(1, 5, 80).astype(np.float64)
        chars = number * rng.lognormal(5, 0.8, 80)
        found = bootstrap(chars[:, None], number[:, None], seed=trial).interval(lambda columns: columns[..., 0], confidence=0.95)
        assert found is not None
        held += found.low <= np.exp(5 + 0.32) <= found.high
    assert held / TRIALS == pytest.approx(0.94, abs=SLACK)


def test_the_same_every_time():
    """Seed and key decide, and the order of the other columns doesn't."""
    values = np.stack(solved(np.random.default_rng(3), 50), axis=-1)
    found = bootstrap(values).rate(0, confidence=0.9)
    assert found == bootstrap(values).rate(0, confidence=0.9) == bootstrap(values[:, ::-1]).rate(1, confidence=0.9)
    assert found != bootstrap(values, seed=2).rate(0, confidence=0.9)
    assert found != bootstrap(values, key="other").rate(0, confidence=0.9)


def test_blocks(monkeypatch: pytest.MonkeyPatch):
    """However many resamples are held at a time, they are the same."""
    values = np.stack(solved(np.random.default_rng(3), 50), axis=-1)
    whole = bootstrap(values).rate(0, confidence=0.9)
    monkeypatch.setattr("tasks.evaluation.bootstrap.BLOCK", 130)
    assert bootstrap(values).rate(0, confidence=0.9) == whole


def test_all_one_way():
    """Where all prompts passed, or none did, the interval still says that others might not: 3.6 % of 100, by Clopper and Pearson."""
    none = bootstrap(np.zeros((100, 1))).rate(0, confidence=0.95)
    every = bootstrap(np.ones((100, 1))).rate(0, confidence=0.95)
    assert none is not None
    assert every is not None
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(0.036217, abs=1e-6))
    assert (every.value, every.low, every.high) == (1, pytest.approx(1 - 0.036217, abs=1e-6), 1)


def test_nothing_to_divide_by():
    """A share of nothing has no interval, and resamples without a denominator count for nothing."""
    above, below = np.zeros((20, 2)), np.zeros((20, 2))
    above[3, 1] = below[3, 1] = 1
    drawn = bootstrap(above, below)
    assert drawn.interval(lambda columns: columns[..., 0], confidence=0.95) is None
    found = drawn.interval(lambda columns: columns[..., 1], confidence=0.95)
    assert found is not None
    assert (found.low, found.high) == (1, 1)


@pytest.mark.parametrize(("prompts", "excludes"), [(1, False), (5, False), (6, True), (100, True)])
def test_prompts_that_all_went_one_way(prompts: int, excludes: bool):
    """A difference that is the same in all prompts excludes 0 from as many prompts on as a sign test says, and is never certain."""
    both = np.stack([np.ones(prompts), np.zeros(prompts)], axis=-1)
    found = bootstrap(both).difference(0, 1, confidence=0.95)
    assert found is not None
    assert (found.value, found.high, found.excludes_zero) == (1.0, 1.0, excludes)
    missed = 1 - 0.025 ** (1 / prompts)
    assert found.low == pytest.approx(1 - 2 * missed)
    alike = bootstrap(np.full((prompts, 2), 0.5)).difference(0, 1, confidence=0.95)
    assert alike is not None
    assert (alike.low, alike.value, alike.high) == (pytest.approx(-missed), 0, pytest.approx(missed))
    half = bootstrap(np.full((prompts, 1), 0.5)).rate(0, confidence=0.95)
    assert half is not None
    assert (half.low, half.high) == (pytest.approx(0.5 - missed / 2), pytest.approx(0.5 + missed / 2))


def test_a_share_of_few():
    """Prompts without a response say nothing of those with one: an interval of a share knows how many it is of."""
    above, below = np.zeros((50, 2)), np.zeros((50, 2))
    below[:4] = 1
    found = bootstrap(above, below).difference(0, 1, confidence=0.95)
    assert found is not None
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 4))
