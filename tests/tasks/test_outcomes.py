"""Outcomes: every slot that was asked for ends as exactly one of kept, rejected and failed, and they add up."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import BadResponse, RequestRejected, VerifierError
from storage.lake import Lake
from storage.records import Prompt, Sample
from storage.workspace import Workspace
from tasks import orders, outcomes, stretches
from tasks.duplicates.options import DedupOptions
from tasks.select import SelectOptions
from tasks.teachers.protocol import Completion, Request
from tasks.verify import Rule
from tests.fakes import FakeTeacher, completion, echo, make_prompt, named
from tests.tasks.house import Built, Spec, build, house
from verifiers.protocol import Checked, Finding

FATES = ("good", "good", "bad", "unsure", "broken", "rejected", "empty")
"""What becomes of a slot before the dataset is looked at as a whole."""


def teacher(fates: dict[tuple[str, int], str], *, same: bool) -> FakeTeacher:
    """Return a teacher that answers with a slot's fate, or not at all."""

    def answer(request: Request) -> Completion:
        if request.prompt_id == "control":
            return completion("7")
        fate = fates[request.messages[-1].content, request.sample_index]
        if fate == "rejected":
            raise RequestRejected("400")
        if fate == "empty":
            raise BadResponse("the response is empty")
        return completion(fate if same else f"{fate} {request.messages[-1].content} {request.sample_index}")

    return FakeTeacher(answer=answer)


def check(prompt: Prompt, sample: Sample) -> Checked:
    """Judge by what the response says."""
    fate = sample.response.split()[0]
    if fate == "broken":
        raise VerifierError("broken")
    return {"good": True, "bad": False, "unsure": None}[fate]


def add_up(built: Built) -> None:
    """Check the sum, the table, and what each row may say."""
    counts, rows = built.counts, built.tables["outcomes"]
    assert counts["kept"] + sum(counts["rejected"].values()) + counts["failed"] == counts["requested"] == len(rows)
    assert len({(row["prompt_id"], row["teacher"], row["sample_index"]) for row in rows}) == len(rows)
    assert counts["kept"] == len(built.tables["traces"])
    for row in rows:
        assert (row["outcome"] == "kept") == (row["stage"] is None) == (row["reason"] is None)
        assert (row["outcome"] == "failed") == (row["stage"] == "draw") == (row["sample_id"] is None)


@st.composite
def specs(draw: Any) -> dict[str, Any]:
    """Return a small random build."""
    texts = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    k = draw(st.integers(1, 3))
    return {
        "prompts": [make_prompt(text, prompt_id=f"{n}-{text}") for n, text in enumerate(texts)],
        "k": k,
        "fates": {(text, n): draw(st.sampled_from(FATES)) for text in "abc" for n in range(k)},
        "same": draw(st.booleans()),
        "verify": draw(st.booleans()),
        "sampling": {"adaptive": {"accept": draw(st.integers(1, k))}} if draw(st.booleans()) else {},
        "select": SelectOptions(
            per_prompt=draw(st.sampled_from([None, 1, 2])), prefer=draw(st.sampled_from(["best", "shortest", "random"]))
        ),
        "dedup": DedupOptions(exact=draw(st.booleans()), by=draw(st.sampled_from(["response", "both"]))),
    }


@pytest.mark.slow
@settings(max_examples=12)
@given(specs())
def test_add_up(drawn: dict[str, Any]):
    """In every combination of fates, prompts, rounds, dedup and select the three add up, and again in a rerun that asks less."""
    fates, same, verify = (drawn.pop(name) for name in ("fates", "same", "verify"))

    async def main(lake: Lake) -> None:
        spec = Spec(teachers={"smol": teacher(fates, same=same)}, verifiers=[named(judge=check)] if verify else [], **drawn)
        first = await build(lake, spec)
        add_up(first)
        second = await build(lake, spec, run="again")
        add_up(second)
        assert second.paid == 0
        assert set(second.asked) <= set(first.asked) | {slot for slot, row in first.outcomes.items() if row[0] == "failed"}

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Lake(Path(folder))))


async def test_every_fate(lake: Lake):
    """Each way to end has its stage and its reason."""
    fates = {("a", n): fate for n, fate in enumerate(["good", "good", "bad", "unsure", "broken", "rejected", "empty"])}
    spec = Spec(prompts=[make_prompt("a")], k=7, teachers={"smol": teacher(fates, same=True)}, verifiers=[named(judge=check)])
    built = await build(lake, spec)
    rows = {row["sample_index"]: (row["outcome"], row["stage"], row["reason"]) for row in built.tables["outcomes"]}
    assert {rows[0][:2], rows[1][:2]} == {("kept", None), ("rejected", "dedup")}
    assert [rows[n] for n in range(2, 7)] == [
        ("rejected", "verify", "fake: failed"),
        ("rejected", "verify", "undecided: fake: failed"),
        ("rejected", "verify", "undecided: fake: broken"),
        ("failed", "draw", "400"),
        ("failed", "draw", "the response is empty"),
    ]
    assert built.counts == {"requested": 7, "reused": 0, "kept": 1, "rejected": {"dedup": 1, "verify": 3}, "failed": 2}


async def test_reason_of_the_first_verifier(lake: Lake):
    """The first verifier in the spec's order that failed a sample says why; the verdicts hold what all said."""
    first = named("first", lambda prompt, sample: Finding(passed=False, reason="it's wrong"))
    second = named("second", lambda prompt, sample: Finding(passed=False, reason="too long"))
    built = await build(lake, Spec(prompts=[make_prompt("a")], verifiers=[second, named("third"), first]))
    assert built.tables["outcomes"][0]["reason"] == "second: too long"


@pytest.mark.parametrize(
    ("require", "outcome"), [("all", "rejected"), ("any", "kept"), (("yes",), "kept"), (("no",), "rejected")], ids=str
)
async def test_require(lake: Lake, require: Any, outcome: str):
    """The spec's rule decides, not each verifier."""
    both = [named("yes"), named("no", lambda prompt, sample: False)]
    built = await build(lake, Spec(prompts=[make_prompt("a")], verifiers=both, select=SelectOptions(require=require)))
    assert built.outcomes["a", 0][0] == outcome


async def test_verdicts_of_other_specs_do_not_count(lake: Lake):
    """What a verifier that the spec no longer has once said changes nothing."""
    await build(lake, Spec(verifiers=[named("strict", lambda prompt, sample: False)]))
    assert (await build(lake, Spec(), run="again")).counts["kept"] == 3


async def test_shared_sample_that_failed(lake: Lake):
    """Where two prompts ask alike and no response comes, both slots failed."""

    def answer(request: Request) -> Completion:
        raise RequestRejected("400")

    prompts = [make_prompt("a"), make_prompt("a", prompt_id="b")]
    built = await build(lake, Spec(prompts=prompts, teachers={"smol": FakeTeacher(answer=answer)}))
    add_up(built)
    assert [row["reason"] for row in built.tables["outcomes"]] == ["400", "400"]


async def test_reused(lake: Lake):
    """Reused are the samples that the lake had before."""
    await build(lake, Spec(k=1))
    built = await build(lake, Spec(k=3, teachers={"smol": FakeTeacher(answer=echo)}), run="again")
    assert (built.counts["requested"], built.counts["reused"], built.paid) == (9, 3, 6)


@pytest.mark.parametrize("early", [False, True], ids=["all", "adaptive"])
async def test_rows_that_got_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch, early: bool):
    """Where a shard's rows are not all there, nothing lands: slots that were asked for would be missing."""
    monkeypatch.setattr(orders, "PROMPTS", 1)
    spec = Spec(verifiers=[named()], sampling={"adaptive": {"accept": 1}} if early else {})
    async with house(lake, spec) as one:
        await one.prepare()
        for number in await one.open():
            await one.work(number)
        assert one.shards is not None
        del one.shards.asked._rows[0]
        with pytest.raises(AssertionError, match="2 slots were noted of the 3 that were asked for"):
            await one.curate()


async def test_a_shard_that_was_forgotten(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """Where a shard that lacks samples was never worked, nothing lands."""
    monkeypatch.setattr(orders, "PROMPTS", 1)
    async with house(lake, Spec()) as one:
        await one.prepare()
        for number in (await one.open())[1:]:
            await one.work(number)
        with pytest.raises(AssertionError, match="1 slots were never asked for"):
            await one.curate()


def test_little_memory(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Slots that ask for the same sample are found among many, in memory that wouldn't hold them all."""
    monkeypatch.setattr(stretches, "SLOTS", 20_000)
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.execute(
            """
            CREATE TABLE slots AS
            SELECT n AS ord, 0::SMALLINT AS arm, i::INTEGER AS sample_index, sha256(key || i) AS sample_id, key, 'x' AS inputs,
                1 AS tokens, n < 10 AS stored
            FROM (SELECT range AS n, sha256((range // (1 + (range < 30)::INTEGER))::TEXT) AS key FROM range(200000)),
                range(2) AS indices(i)
            ORDER BY ALL
            """
        )
        for table in ("unwanted", "lapsed"):
            workspace.execute(f"CREATE TABLE {table} (ord BIGINT, arm SMALLINT, sample_index INTEGER, why VARCHAR)")
        workspace.execute("SET threads = 2")
        workspace.execute("SET memory_limit = '40MB'")
        outcomes.open_slots(workspace, Rule(require="all", listed=()), [])
        counted = workspace.rows(
            "SELECT count(*), count(*) FILTER (here), count(*) FILTER (shared = 2), count(*) FILTER (NOT first) FROM open_slots"
        )
        assert counted == [(400_000, 20, 40, 30)]
