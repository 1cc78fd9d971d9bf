"""Means over seeds and prompts with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
Right = NDArray[np.float64]
"""Whether a student had a prompt right, 0 or 1: a row for each seed, a column for each prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean, and where it is with a probability of 95%."""

    mean: float
    """Of all seeds and prompts."""
    low: float
    """The 2.5th percentile of the resampled means."""
    high: float
    """The 97.5th."""

    def __str__(self) -> str:
        """Return it in per cent."""
        return f"{self.mean:.1%} [{self.low:.1%}, {self.high:.1%}]"


class Bootstrap:
    """Resamples seeds and prompts, both with replacement (Owen 2007), the same ones for whatever is compared.

    Chance in a single answer counts for both, so that intervals are rather too wide than too narrow.
    The variance that few seeds show is too small by (n - 1)/n, so their part of a mean is stretched by the root of n/(n - 1).
    """

    def __init__(self, seeds: int, prompts: int) -> None:
        """Draw which are taken, the same each time."""
        random = np.random.default_rng(0)
        self._seeds = random.multinomial(seeds, [1 / seeds] * seeds, size=RESAMPLES) / seeds
        self._prompts = random.multinomial(prompts, [1 / prompts] * prompts, size=RESAMPLES) / prompts
        self._stretched = (seeds / (seeds - 1)) ** 0.5 if seeds > 1 else 1.0

    def interval(self, right: Right) -> Interval:
        """Return the mean; a difference of two students' rights is as good as rights, and goes down to -1."""
        seeds = right - right.mean(axis=0)  # what a seed is better or worse, prompt by prompt
        means = self._prompts @ right.mean(axis=0)
        means = means + self._stretched * ((self._seeds @ seeds) * self._prompts).sum(axis=1)
        low, high = np.percentile(means, [2.5, 97.5]).clip(-1 if right.min() < 0 else 0, 1)
        return Interval(mean=float(right.mean()), low=float(low), high=float(high))


def rights(found: dict[Any, dict[str, bool]], seeds: list[Any], prompts: list[str]) -> Right:
    """Return a table of what each seed's student had right."""
    return np.array([[found[seed][prompt] for prompt in prompts] for seed in seeds], float)
