"""Barred prompts: nothing of theirs is bought, and each of their slots still ends as one outcome."""

from __future__ import annotations

import pytest

from storage.lake import Lake
from tasks import barred, stretches
from tasks.duplicates.options import DedupOptions
from tasks.prepare import spread
from tests.fakes import FakeTeacher, make_prompt, named
from tests.tasks.house import Spec, build, house

THE_SECOND = "SELECT ord, 'stands in exam: item 7' AS reason FROM prompt_ids WHERE prompt_id = 'b'"


async def test_nothing_is_bought(lake: Lake):
    """A barred prompt's samples are asked of no teacher, and end rejected at the stage that barred it, with its reason."""
    both = {"smol": FakeTeacher(), "big": FakeTeacher()}
    spec = Spec(k=2, teachers=both, dedup=DedupOptions(exact=False), barred=[("decontaminate", THE_SECOND)])
    built = await build(lake, spec)
    assert {prompt for prompt, _ in built.asked} == {"a", "c"}
    assert [each.responses for each in built.by_teacher.values()] == [4, 4]
    assert built.counts == {"requested": 12, "reused": 0, "kept": 8, "rejected": {"decontaminate": 4}, "failed": 0}
    columns = ("teacher", "sample_index", "sample_id", "outcome", "stage", "reason")
    assert {tuple(row[name] for name in columns) for row in built.tables["outcomes"] if row["prompt_id"] == "b"} == {
        (teacher, index, None, "rejected", "decontaminate", "stands in exam: item 7")
        for teacher in ("smol", "big")
        for index in range(2)
    }
    assert [row["prompt_id"] for row in built.tables["prompts"]] == ["a", "b", "c"]
    assert (built.prepared.slots, built.prepared.stored) == (8, 0)


async def test_what_was_bought_before(lake: Lake):
    """Where an earlier build bought it, the outcome names the sample; nobody judges it."""
    first = await build(lake, Spec())
    built = await build(lake, Spec(verifiers=[named()], barred=[("license", THE_SECOND)]), run="again")
    (row,) = [row for row in built.tables["outcomes"] if row["prompt_id"] == "b"]
    (same,) = [row for row in first.tables["outcomes"] if row["prompt_id"] == "b"]
    assert (row["sample_id"], row["outcome"], row["stage"]) == (same["sample_id"], "rejected", "license")
    assert (built.paid, built.counts["kept"], built.by_teacher["smol"].pass_rate) == (0, 2, 1.0)


async def test_alike(lake: Lake):
    """A prompt that asks the same and isn't barred buys the sample for itself; a rerun gives the same outcomes."""
    spec = Spec(prompts=[make_prompt("a"), make_prompt("a", prompt_id="b")], barred=[("license", THE_SECOND)])
    built = await build(lake, spec)
    again = await build(lake, spec, run="again")
    assert built.tables["outcomes"] == again.tables["outcomes"]
    assert {prompt: row[:1] for (prompt, _), row in built.outcomes.items()} == {"a": ("kept",), "b": ("rejected",)}
    assert (built.paid, again.paid) == (1, 0)


async def test_all_barred(lake: Lake):
    """Where every prompt is barred, nothing is asked for and the build still adds up."""
    built = await build(lake, Spec(barred=[("license", "SELECT ord, 'no license' AS reason FROM prompt_ids")]))
    assert built.asked == []
    assert built.counts == {"requested": 3, "reused": 0, "kept": 0, "rejected": {"license": 3}, "failed": 0}


async def test_the_first_stage_counts(lake: Lake):
    """A prompt that two stages bar is rejected once, by the first; one that a query names twice has the least reason."""
    twice = "SELECT ord, unnest(['second', 'first']) AS reason FROM prompt_ids WHERE prompt_id = 'b'"
    async with house(lake, Spec()) as one:
        await one.prepare()
        assert barred.bar(one.workspace, "decontaminate", twice) == 1
        everyone = "SELECT ord, 'no license' AS reason FROM prompt_ids UNION ALL SELECT 99, 'nobody'"
        assert barred.bar(one.workspace, "license", everyone) == 2
        assert barred.counts(one.workspace) == {"decontaminate": 1, "license": 2}
        assert one.workspace.rows("SELECT ord, reason FROM barred WHERE stage = 'decontaminate'") == [(1, "first")]


async def test_a_probe_passes_them_by(lake: Lake):
    """A probe of n prompts asks n that aren't barred."""
    async with house(lake, Spec(prompts=[make_prompt(str(n)) for n in range(20)])) as one:
        await one.prepare()
        barred.bar(one.workspace, "license", "SELECT ord, 'no license' AS reason FROM prompt_ids WHERE ord < 15")
        assert spread(one.workspace, 5, seed=0) == 5
        assert one.workspace.rows("SELECT min(ord), count(*) FROM slots") == [(15, 5)]


async def test_stretches_stay_small(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """However unevenly prompts are barred, a stretch has no more slots than memory holds, and together they have all."""
    async with house(lake, Spec(prompts=[make_prompt(str(n)) for n in range(200)], k=2)) as one:
        await one.prepare()
        barred.bar(one.workspace, "license", "SELECT ord, 'no license' AS reason FROM prompt_ids WHERE ord < 150")
        monkeypatch.setattr(stretches, "SLOTS", 20)
        held = [
            one.workspace.rows(f"SELECT count(*) FROM slots WHERE {each}")[0][0] for each in stretches.stretches(one.workspace)
        ]
        assert sum(held) == 100
        assert max(held) <= 20


async def test_what_it_cost_counts(lake: Lake):
    """What an earlier build paid for a prompt that is barred now is still spent of the budget."""
    price = {"price": {"input": 1.0, "output": 1.0}}
    await build(lake, Spec(options=price))
    async with house(lake, Spec(options=price, barred=[("license", THE_SECOND)]), run="again") as one:
        await one.prepare()
        assert one.draw.budget.spent == pytest.approx(3 * 20 / 1e6)
