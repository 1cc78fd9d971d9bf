"""How many samples a prompt will take: the pass rates known so far, and what adaptive k and a cascade make of them.

Prompts differ: of two datasets in which half of the samples pass, one has prompts that always pass and prompts that never do, and
takes far more samples where k is adaptive. So a teacher's pass rate is a beta distribution over prompts, fitted to the counts of
accepted and rejected samples by prompt. The fit's likelihood doesn't depend on when a prompt stopped drawing, so counts of an
earlier adaptive build may go in as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ACCEPTED, REJECTED, UNKNOWN, MISSING, FAILED = "A", "R", "U", ".", "F"
"""What is known of a slot, a letter each. UNKNOWN costs nothing: it is stored and not judged, or another slot buys it. FAILED is
missing, and got no response in the last build: it is taken not to get one."""
_NO_CHANCE = 1e-12
_MEANS = 99
_SPREADS = [10 ** (exponent / 4) for exponent in range(-8, 9)]
_DOUBT = 8.0
"""The logarithm of the spread is taken to be about 0, by this much less likely the farther off: one sample a prompt says nothing
of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How pass rates are spread over prompts: the two parameters of a beta distribution."""

    accepted: float
    """As if so many more samples of each prompt had been accepted."""
    rejected: float
    """And so many rejected."""

    def after(self, accepted: float, rejected: float) -> float:
        """Return the chance that the next sample of a prompt with these counts is accepted."""
        return (self.accepted + accepted) / (self.accepted + self.rejected + accepted + rejected)


ALWAYS = Rate(accepted=1e12, rejected=0.0)
NEVER = Rate(accepted=0.0, rejected=1e12)


def fit(counts: Iterable[tuple[int, int, int]]) -> Rate | None:
    """Return the likeliest rate for (accepted, rejected, prompts that have these counts); None where nothing was judged."""
    listed = [(accepted, rejected, prompts) for accepted, rejected, prompts in counts if accepted + rejected]
    if not listed:
        return None
    passes = _at_least((accepted, prompts) for accepted, _, prompts in listed)
    fails = _at_least((rejected, prompts) for _, rejected, prompts in listed)
    both = _at_least((accepted + rejected, prompts) for accepted, rejected, prompts in listed)

    def likelihood(rate: Rate) -> float:
        spread = rate.accepted + rate.rejected
        return (
            sum(prompts * math.log(rate.accepted + drawn) for drawn, prompts in enumerate(passes))
            + sum(prompts * math.log(rate.rejected + drawn) for drawn, prompts in enumerate(fails))
            - sum(prompts * math.log(spread + drawn) for drawn, prompts in enumerate(both))
            - math.log(spread) ** 2 / _DOUBT
        )

    grid = (
        Rate(accepted=spread * mean / (_MEANS + 1), rejected=spread * (1 - mean / (_MEANS + 1)))
        for spread in _SPREADS
        for mean in range(1, _MEANS + 1)
    )
    return max(grid, key=likelihood)


def _at_least(counts: Iterable[tuple[int, int]]) -> list[int]:
    """Return, for 0, 1, 2, … how many prompts have a count above that."""
    listed = list(counts)
    above = [0] * max(count for count, _ in listed)
    for count, prompts in listed:
        for drawn in range(count):
            above[drawn] += prompts
    return above


def asked(
    patterns: Sequence[str], rates: Sequence[Rate], *, accept: int | None, cascades: Sequence[Sequence[int]]
) -> list[float]:
    """Return how many missing samples of one prompt will be asked for, by teacher.

    A pattern has a letter for each slot of a teacher. `accept` is adaptive k's; a cascade has teachers from cheap to strong.
    """
    found = [0.0] * len(patterns)
    goal = accept or 1
    if not cascades:
        for number, pattern in enumerate(patterns):
            found[number], _ = _drawn(pattern, rates[number], goal, adaptive=accept is not None)
    for cascade in cascades:
        _down(cascade, patterns, rates, found, goal, adaptive=accept is not None)
    return found


def _down(
    cascade: Sequence[int], patterns: Sequence[str], rates: Sequence[Rate], found: list[float], goal: int, *, adaptive: bool
) -> None:
    """Put into `found` how many samples each teacher of a cascade is asked for."""
    solved = [1.0] + [0.0] * goal  # the chances of so many accepted ones among all teachers so far
    later = sum(patterns[number].count(ACCEPTED) for number in cascade)
    for number in cascade:
        later -= patterns[number].count(ACCEPTED)
        after = [0.0] * goal + [solved[goal]]
        for before, chance in enumerate(solved[:goal]):
            if chance < _NO_CHANCE:
                continue
            wanted, own = _drawn(patterns[number], rates[number], goal - before, adaptive=adaptive, later=later)
            found[number] += chance * wanted
            for more, likely in enumerate(own):
                after[before + more] += chance * likely
        solved = after


def _drawn(pattern: str, rate: Rate, goal: int, *, adaptive: bool, later: int = 0) -> tuple[float, list[float]]:
    """Return how many missing samples a teacher is asked for, and the chances that 0, 1, … `goal` of its own are accepted.

    What is stored counts first, `later` accepted ones of a cascade's other teachers included. Rounds ask for as many as are
    lacking, which is as many as asking one by one would.
    """
    known, refused = pattern.count(ACCEPTED), pattern.count(REJECTED)
    begun = min(known, goal)
    chances = [0.0] * (goal + 1)
    chances[begun] = 1.0
    enough = max(0, goal - later) if adaptive else 0 if known < goal <= known + later else goal
    wanted, open_slots = 0.0, 0
    for state in pattern:
        if state in ACCEPTED + REJECTED + FAILED:
            continue
        top = enough if state == MISSING else goal
        if state == MISSING and top:
            wanted += sum(chances[:top]) if adaptive else 1.0
        moved = [0.0] * top + chances[top:]
        for before, chance in enumerate(chances[:top]):
            drawn = before - begun
            likely = rate.after(known + drawn, refused + open_slots - drawn)
            moved[before + 1] += chance * likely
            moved[before] += chance * (1 - likely)
        chances = moved
        open_slots += 1
    return wanted, chances
