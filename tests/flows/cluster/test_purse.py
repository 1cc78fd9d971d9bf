"""One budget over all workers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.cluster.notes import Ledger
from flows.cluster.purse import Allowance, Purse
from tasks.draw import Budget


class TestPurse:
    """What the run grants."""

    def test_blocks(self):
        """Whoever wants gets a part of what is free, others nothing; what was given back is free again."""
        purse = Purse(8.0)
        purse.look({"a": Ledger(active=1, wants=True), "b": Ledger(active=1)})
        assert purse.granted == {"a": 2.0}
        purse.look({"a": Ledger(returned=2.0), "b": Ledger(active=1, wants=True)})
        assert purse.granted == {"a": 2.0, "b": 2.0}
        assert not purse.exhausted

    def test_exhausted(self):
        """It is, once all is granted and everybody who works waits for more; not while one has some left."""
        purse = Purse(1.0)
        waiting, at_work = Ledger(active=1, wants=True, starved=True), Ledger(active=1)
        for _ in range(100):
            purse.look({"a": waiting, "b": at_work})
            assert not purse.exhausted
        assert purse.granted["a"] == pytest.approx(1.0)
        purse.look({"a": waiting, "b": waiting})
        assert purse.exhausted

    def test_nobody_works(self):
        """Where nobody works there is nothing to stop."""
        purse = Purse(0.0)
        purse.look({"a": Ledger(starved=True)})
        assert not purse.exhausted

    @given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), max_size=60))
    @settings(deadline=None)
    def test_never_more_than_there_is(self, spendings: list[tuple[int, float]]):
        """However workers spend what they are granted and give it back, all grants together never exceed the budget."""
        purse, names = Purse(10.0), ("a", "b", "c")
        spent = dict.fromkeys(names, 0.0)
        returned = dict.fromkeys(names, 0.0)
        for who, part in spendings:
            name = names[who]
            purse.look({each: Ledger(active=1, wants=each == name, spent=spent[each], returned=returned[each]) for each in names})
            left = purse.granted.get(name, 0.0) - returned[name] - spent[name]
            spent[name] += left * part
            returned[name] += left * (1 - part) * (who == 1)
            assert sum(purse.granted.values()) - sum(returned.values()) <= 10.0 + 1e-9
            assert sum(spent.values()) <= 10.0 + 1e-9


class TestAllowance:
    """What a worker makes of it."""

    async def test_waits(self):
        """Nothing is sent before something is granted, and what is left when there is no work is given back."""
        budget = Budget(None)
        allowance = Allowance(budget)
        waiting = asyncio.create_task(allowance.wait())
        await asyncio.sleep(0)
        assert (budget.left, allowance.starved, allowance.wants) == (False, True, True)
        allowance.grant(1.0)
        await asyncio.wait_for(waiting, 1)
        assert (budget.left, allowance.starved, allowance.wants) == (True, False, False)
        budget.spent = 0.75
        assert allowance.wants
        allowance.give_back()
        assert (allowance.returned, budget.left) == (0.25, False)
        allowance.grant(2.0)
        assert budget.usd == pytest.approx(1.75)

    async def test_the_run_stops(self):
        """Whoever waits is let go."""
        allowance = Allowance(Budget(None))
        waiting = asyncio.create_task(allowance.wait())
        await asyncio.sleep(0)
        allowance.end()
        await asyncio.wait_for(waiting, 1)
