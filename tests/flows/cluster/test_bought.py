"""What a worker that was killed had bought and not told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flows.cluster.bought import bought, untold
from storage.answers import Answers
from storage.checks import Check
from storage.journal import Journal
from storage.lake import Lake
from storage.outbox import Outbox
from storage.verdicts import VerdictStore
from storage.waste import Waste
from tasks.draw import Spending
from tests.fakes import make_sample, make_verdict


async def left(lake: Lake) -> tuple[str, list[Path]]:
    """Leave what a killed worker leaves, and take it over; return the outbox's name and the parts of samples."""
    box = Outbox(lake.outboxes / "b" / "w1")
    box.folder.mkdir(parents=True)
    async with Journal(box.journal, box.samples, run=box.name) as journal:
        await journal.append([make_sample("a", cost_usd=1.0, tokens_in=10, tokens_out=5)])
    store = VerdictStore(box.verdicts, box.judged, run=box.name)
    verdict = make_verdict("a", cost_usd=0.5)
    await store.add([verdict], paid=True)
    assert store._parts[0].segment is not None
    store._parts[0].segment.close()
    with Waste(box.waste, run=box.name) as waste:
        waste.note(sample_id="b", teacher="smol", cost_usd=0.25, tokens_in=2, tokens_out=1)
    answers = Answers(lake.answers, box.checks, run=box.name, to=box.answers)
    answers.add(Check("a", "judge", verdict.fingerprint, verdict.inputs, bill=[0.5]), "k", "yes")
    answers.add(Check("b", "judge", verdict.fingerprint, verdict.inputs, bill=[0.125]), "l", "yes")
    answers._checks._lines.close(sync=False)
    return box.name, box.take_over(lake.root, lake.waste, lake.answers)


@pytest.mark.parametrize("told", [0.0, 1.5, 9.0])
def test_all_that_was_billed(lake: Lake, told: float):
    """Samples, waste, verdicts of judges, and checks that a judge had begun to answer: each once."""
    name, parts = asyncio.run(left(lake))
    found = bought(lake, name, parts, ["smol"])
    assert (found.paid, found.cost_usd, found.tokens_in, found.tokens_out) == (1, 1.875, 12, 6)
    assert found.by_teacher.keys() == {"smol"}
    more = untold(Spending(cost_usd=told, by_teacher={"smol": Spending(tokens_in=12, tokens_out=3)}), found)
    assert (more.paid, more.cost_usd, more.tokens_in, more.tokens_out) == (1, max(0.0, 1.875 - told), 0, 3)
    assert untold(Spending(cost_usd=told, unanswered_usd=0.25), found).cost_usd == max(0.0, 1.625 - told)
