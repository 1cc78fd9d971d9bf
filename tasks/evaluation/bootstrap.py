"""Intervals by the bootstrap over prompts: bias-corrected and accelerated (BCa, Efron 1987).

The prompts of an evaluation stand for those that could have been asked, so prompts are what is drawn anew, each with all samples
of all contestants. That makes each comparison a paired one: a prompt that is hard for everybody tells nothing of who is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from storage.identity import address
from tasks.evaluation.passing import Floats

BLOCK = 4_000_000
"""Weights of prompts that are held at a time."""
Statistic = Callable[[Floats], Floats]
"""From values of the columns, in the last axis, to one of their own."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and where what it estimates may lie."""

    value: float
    """The estimate."""
    low: float
    """The interval's lower end."""
    high: float
    """Its upper end."""

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, float]:
        """Return it for JSON."""
        return {name: round(getattr(self, name), 6) for name in ("value", "low", "high")}


class Bootstrap:
    """Resamples of columns, each a ratio of two sums over prompts: a mean has ones for its denominators."""

    def __init__(self, above: Floats, below: Floats, *, resamples: int, seed: int, key: str) -> None:
        """Draw so many resamples of the rows. `key` tells apart what is drawn by one seed."""
        self._rows = len(above)
        self.values = above.sum(axis=0) / _some(below.sum(axis=0))
        rng = np.random.default_rng(int(address([seed, key]), 16))
        self._drawn = np.concatenate([w @ above / _some(w @ below) for w in self._weights(rng, resamples)])
        # What each column is without each row, by which the interval is corrected for a spread that changes with the value.
        self._without = (above.sum(axis=0) - above) / _some(below.sum(axis=0) - below)

    def _weights(self, rng: np.random.Generator, resamples: int) -> Iterator[Floats]:
        """Yield how often each row stands in each resample, some resamples at a time."""
        rows = self._rows
        step = max(1, BLOCK // rows)
        for start in range(0, resamples, step):
            drawn = [np.bincount(rng.integers(0, rows, rows), minlength=rows) for _ in range(min(step, resamples - start))]
            yield np.stack(drawn).astype(np.float64)

    def interval(self, statistic: Statistic, *, confidence: float) -> Interval | None:
        """Return the interval of a statistic of the columns; None where it has no value, such as a share of nothing."""
        value = float(statistic(self.values))
        drawn = statistic(self._drawn)
        drawn = np.sort(drawn[np.isfinite(drawn)])
        if not math.isfinite(value) or not len(drawn):
            return None
        low, high = (float(np.quantile(drawn, each)) for each in self._levels(value, drawn, statistic(self._without), confidence))
        return Interval(value=value, low=min(low, value), high=max(high, value))

    def rate(self, column: int, *, confidence: float) -> Interval | None:
        """Return the interval of a mean of values from 0 to 1.

        Where all prompts went one way, no resample tells that another might not: then it is Clopper and Pearson's (1934), by
        which a prompt that went the other way is not too unlikely to have been missed.
        """
        found = self.interval(lambda columns: columns[..., column], confidence=confidence)
        if found is None or 0 < found.value < 1:
            return found
        missed = 1 - ((1 - confidence) / 2) ** (1 / self._rows)
        none = found.value <= 0
        return Interval(value=found.value, low=0.0 if none else 1 - missed, high=missed if none else 1.0)

    def _levels(self, value: float, drawn: Floats, without: Floats, confidence: float) -> tuple[float, float]:
        ends = (1 - confidence) / 2, (1 + confidence) / 2
        # Half of the ties count as below: values of few prompts have many.
        below = float((drawn < value).mean() + (drawn == value).mean() / 2)
        if not 0 < below < 1:
            return ends
        bias = _NORMAL.inv_cdf(below)
        off = np.nanmean(without) - without[np.isfinite(without)] if np.isfinite(without).any() else np.zeros(1)
        spread = float((off**2).sum()) ** 1.5
        bend = float((off**3).sum()) / (6 * spread) if spread > 0 else 0.0
        found = []
        for end in ends:
            z = bias + _NORMAL.inv_cdf(end)
            found.append(_NORMAL.cdf(bias + z / (1 - bend * z)) if bend * z < 1 else end)
        return found[0], found[1]


def _some(below: Floats) -> Floats:
    """Return denominators of which none is zero: what is divided by nothing has no value."""
    return np.where(below > 0, below, np.nan)
