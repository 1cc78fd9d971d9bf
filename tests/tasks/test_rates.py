"""How many samples a prompt will take, by the pass rates known so far."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tasks.rates import ALWAYS, NEVER, Rate, asked, fit

EVEN = Rate(accepted=1e9, rejected=1e9)
"""Each sample passes with a chance of one half, whatever the prompt."""


def one(pattern: str, rate: Rate, accept: int | None) -> float:
    """Return what a single teacher is asked for."""
    (found,) = asked([pattern], [rate], accept=accept, cascades=())
    return found


@pytest.mark.parametrize(
    ("pattern", "rate", "accept", "expected"),
    [
        ("....", EVEN, None, 4),
        ("AR..", EVEN, None, 2),
        ("....", ALWAYS, 1, 1),
        ("....", NEVER, 1, 4),
        ("....", ALWAYS, 3, 3),
        ("....", EVEN, 1, 1 + 1 / 2 + 1 / 4 + 1 / 8),
        ("A...", EVEN, 1, 0),
        ("RA..", EVEN, 1, 0),
        ("A...", EVEN, 2, 1 + 1 / 2 + 1 / 4),
        ("RRR.", EVEN, 1, 1),
        ("UU..", EVEN, 1, 1 / 4 + 1 / 8),
        (".A..", EVEN, 1, 0),
        (".A..", EVEN, 2, 1 + 1 / 2 + 1 / 4),
        ("F.F.", EVEN, None, 2),
        ("F.F.", EVEN, 1, 1 + 1 / 2),
    ],
    ids=str,
)
def test_rounds(pattern: str, rate: Rate, accept: int | None, expected: float):
    """A slot is asked for where those before it aren't enough; what is stored, another slot buys, or failed before, isn't."""
    assert one(pattern, rate, accept) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("patterns", "rates", "accept", "expected"),
    [
        (["..", ".."], [EVEN, EVEN], None, [2, 2 / 4]),
        (["..", ".."], [ALWAYS, EVEN], None, [2, 0]),
        (["..", ".."], [NEVER, EVEN], 1, [2, 1 + 1 / 2]),
        (["RA", ".."], [EVEN, EVEN], 1, [0, 0]),
        (["R.", ".."], [EVEN, EVEN], 1, [1, (1 + 1 / 2) / 2]),
        (["...", "..."], [EVEN, ALWAYS], 2, [2 + 3 / 4, 2 * 1 / 8 + 1 * 3 / 8]),
        ([".R", "A."], [EVEN, EVEN], 1, [0, 0]),
        ([".R", "A."], [EVEN, EVEN], None, [0, 1]),
        ([".A", "A."], [EVEN, EVEN], None, [1, 0]),
        (["R..", "A.."], [ALWAYS, ALWAYS], 2, [1, 0]),
    ],
    ids=str,
)
def test_a_cascade(patterns: list[str], rates: list[Rate], accept: int | None, expected: list[float]):
    """The strong teacher is asked as often as those before it don't solve the prompt."""
    assert asked(patterns, rates, accept=accept, cascades=[(0, 1)]) == pytest.approx(expected)


def test_the_order_is_the_cascades():
    """Who is cheap is what the cascade says, not the spec's order."""
    assert asked(["..", ".."], [EVEN, ALWAYS], accept=None, cascades=[(1, 0)]) == pytest.approx([0, 2])


def test_nothing_judged():
    """Where nothing is judged there is no rate."""
    assert fit([]) is None
    assert fit([(0, 0, 12)]) is None


@pytest.mark.parametrize("accept", [None, 1, 2])
@pytest.mark.parametrize(("a", "b"), [(0.4, 0.4), (20, 20), (3, 1)], ids=["easy or hard", "all alike", "mostly easy"])
def test_what_it_foretells(a: float, b: float, accept: int | None):
    """Fitted to a probe that drew in rounds itself, it foretells what thousands of other prompts take, within 10%."""
    rng = random.Random(5)

    def draw(k: int, stop: int | None) -> tuple[int, int]:
        ease, accepted, drawn = rng.betavariate(a, b), 0, 0
        while drawn < k and (stop is None or accepted < stop):
            accepted += rng.random() < ease
            drawn += 1
        return accepted, drawn - accepted

    probe = Counter(draw(8, accept) for _ in range(400))
    rate = fit((accepted, rejected, prompts) for (accepted, rejected), prompts in probe.items())
    assert rate is not None
    truth = sum(sum(draw(8, 1)) for _ in range(4_000)) / 4_000
    assert one("........", rate, 1) == pytest.approx(truth, rel=0.1)


def test_one_sample_a_prompt():
    """One sample of each prompt tells the mean."""
    rate = fit([(1, 0, 30), (0, 1, 10)])
    assert rate is not None
    assert rate.after(0, 0) == pytest.approx(0.75, abs=0.02)
