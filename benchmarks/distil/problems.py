"""Word problems of several steps whose answers can be checked, with worked solutions in more than one form of words."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

NAMES = ("Ann", "Ben", "Eva", "Kim", "Leo", "Max", "Mia", "Tom")
THINGS = ("beads", "books", "cards", "coins", "pears", "pens", "shells", "stamps")
GAINS = ("finds", "buys", "wins", "gets")
LOSSES = ("loses", "sells", "eats", "gives away")
TIMES = {2: "doubles", 3: "triples"}
MOST = 50
"""No number is larger on the way."""
CHANGE = 9
"""Nor is one larger by which another grows or shrinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question and how it is worked out."""

    question: str
    """What is asked."""
    equations: tuple[str, ...]
    """Its steps, in order."""
    answer: int
    """The last one's result."""

    @property
    def id(self) -> str:
        """Return a hash of the question: the same problem has the same id in any split."""
        return hashlib.sha256(self.question.encode()).hexdigest()[:16]

    def solution(self, form: int) -> str:
        """Return a worked solution, in the first or the second form of words."""
        if form == 0:
            steps = [f"{equation}." for equation in self.equations]
        else:
            first, *rest = self.equations
            steps = [f"First, {first}.", *(f"Then {equation}." for equation in rest)]
        return " ".join([*steps, f"The answer is {self.answer}."])


def problem(chance: random.Random, steps: int) -> Problem:
    """Return a problem of so many steps, all its numbers from 1 to MOST."""
    name, thing = chance.choice(NAMES), chance.choice(THINGS)
    value = chance.randint(2, MOST)
    told = [f"{name} has {value} {thing}."]
    equations = []
    for _ in range(steps):
        kinds = ["+"] * (value < MOST) + ["-"] * (value > 1) + ["*"] * (2 * value <= MOST)
        match chance.choice(kinds):
            case "+":
                number = chance.randint(1, min(CHANGE, MOST - value))
                told.append(f"{name} {chance.choice(GAINS)} {number}.")
                after = value + number
                equations.append(f"{value} + {number} = {after}")
            case "-":
                number = chance.randint(1, min(CHANGE, value - 1))
                told.append(f"{name} {chance.choice(LOSSES)} {number}.")
                after = value - number
                equations.append(f"{value} - {number} = {after}")
            case _:
                number = chance.choice([each for each in TIMES if each * value <= MOST])
                told.append(f"{name} {TIMES[number]} that.")
                after = value * number
                equations.append(f"{value} * {number} = {after}")
        value = after
    told.append(f"How many {thing}?")
    return Problem(question=" ".join(told), equations=tuple(equations), answer=value)


def problems(seed: int, steps: tuple[int, ...], known: AbstractSet[str] = frozenset()) -> Iterator[Problem]:
    """Yield problems without end, each question once and none that is known already, numbers of steps in turn."""
    chance = random.Random(seed)
    seen = set(known)
    while True:
        for number in steps:
            found = problem(chance, number)
            if found.question not in seen:
                seen.add(found.question)
                yield found
