"""Intervals by the bootstrap over prompts: bias-corrected and accelerated (BCa, Efron 1987).

The prompts of an evaluation stand for those that could have been asked, so prompts are what is drawn anew, each with all samples
of all contestants. That makes each comparison a paired one: a prompt that is hard for everybody tells nothing of who is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from storage.identity import address
from tasks.evaluation.passing import Floats

EPSILON = 1e-9
"""An interval that is no wider has no width: sums are rounded."""
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
        self._some = (below > 0).sum(axis=0)
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
        """Return the interval of a share: a mean of values from 0 to 1."""
        found = self.interval(lambda columns: columns[..., column], confidence=confidence)
        return self._unseen(found, (column,), lowest=0.0, confidence=confidence)

    def difference(self, one: int, other: int, *, confidence: float) -> Interval | None:
        """Return the interval of what one share is more than another, of the same prompts."""
        found = self.interval(lambda columns: columns[..., one] - columns[..., other], confidence=confidence)
        return self._unseen(found, (one, other), lowest=-1.0, confidence=confidence)

    def _unseen(self, found: Interval | None, columns: Sequence[int], *, lowest: float, confidence: float) -> Interval | None:
        """Return an interval of what lies between `lowest` and 1, as wide as it must be where all prompts went one way.

        No resample tells that another prompt might not. By Clopper and Pearson (1934) a share `missed` of others is not too
        unlikely to have been missed, and they may lie at either end. Of a difference that is what a sign test says: six prompts
        that all went one contestant's way exclude 0 with 95 %, and five don't.
        """
        if found is None or found.high - found.low > EPSILON:
            return found
        missed = 1 - ((1 - confidence) / 2) ** (1 / int(self._some[list(columns)].min()))
        shown = found.value * (1 - missed)
        return Interval(value=found.value, low=min(found.value, shown + lowest * missed), high=max(found.value, shown + missed))

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
