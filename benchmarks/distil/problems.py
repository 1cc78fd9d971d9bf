"""Arithmetic of several steps whose answers can be checked, with solutions that are worked out a step at a time."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

LEAST, MOST = 10, 29
"""No number on the way is smaller, nor larger: all have two digits."""
CHANGE = 5
"""By how much a step adds or takes away at most."""
MISSES = 10_000
"""Known problems in a row with which all are: of three steps there are 13,540, of four 122,002."""
FORMS = ("The answer is", "So the answer is")
"""How a solution ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question and how it is worked out."""

    lines: tuple[str, ...]
    """The expression, and what is left of it after each step; the last one is the answer."""

    @property
    def question(self) -> str:
        """Return what is asked."""
        return f"What is {self.lines[0]}?"

    @property
    def steps(self) -> int:
        """Return how many it takes."""
        return len(self.lines) - 1

    @property
    def answer(self) -> str:
        """Return the result."""
        return self.lines[-1]

    @property
    def id(self) -> str:
        """Return a hash of the question: the same problem has the same id in any split."""
        return hashlib.sha256(self.question.encode()).hexdigest()[:16]

    def solution(self, form: int) -> str:
        """Return it worked out, in one of the forms of words."""
        return f"{' = '.join(self.lines)}. {FORMS[form]} {self.answer}."


def problem(chance: random.Random, steps: int) -> Problem:
    """Return a problem of so many steps, from the left to the right."""
    values, terms = [chance.randint(LEAST, MOST)], []
    for _ in range(steps):
        value = values[-1]
        sign = chance.choice(["+"] * (value < MOST) + ["-"] * (value > LEAST))
        number = chance.randint(1, min(CHANGE, MOST - value if sign == "+" else value - LEAST))
        terms.append(f"{sign} {number}")
        values.append(value + number if sign == "+" else value - number)
    return Problem(lines=tuple(" ".join([str(value), *terms[place:]]) for place, value in enumerate(values)))


def problems(seed: int, steps: tuple[int, ...], known: AbstractSet[str] = frozenset()) -> Iterator[Problem]:
    """Yield problems, each question once and none that is known already, numbers of steps in turn."""
    chance = random.Random(seed)
    seen = set(known)
    misses = 0
    while True:
        for number in steps:
            found = problem(chance, number)
            misses += 1
            if found.question not in seen:
                misses = 0
                seen.add(found.question)
                yield found
            elif misses > MISSES:
                raise ValueError(f"{len(seen):,} problems are known, and hardly another one is left")
