"""Exact dedup: of responses that say the same, one stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks.duplicates.options import DedupOptions
from tasks.teachers.protocol import Choice, Completion, Request
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Built, Spec, build
from verifiers.protocol import Finding


def saying(texts: Mapping[tuple[str, int], str | Choice]) -> FakeTeacher:
    """Return a teacher that says these, by prompt and index."""

    def answer(request: Request) -> Completion:
        return completion(texts[request.prompt_id, request.sample_index])

    return FakeTeacher(answer=answer)


async def run(lake: Lake, *texts: str | Choice, **given: Any) -> Built:
    """Build one prompt whose responses these are."""
    teacher = saying({("a", n): text for n, text in enumerate(texts)})
    return await build(lake, Spec(prompts=[make_prompt("a")], k=len(texts), teachers={"smol": teacher}, **given))


SAME = {
    "identical": ("The answer is 4.", "The answer is 4."),
    "case": ("The ANSWER is 4.", "the answer is 4."),
    "case beyond ASCII": ("ÄÖÜ Σ", "äöü σ"),
    "case with two letters": ("STRASSE", "straße"),
    "case at a word's end": ("ΠΟΙΟΣ", "ποιος"),
    "spaces": ("the  answer \t is\n\n4", "the answer is 4"),
    "around": ("  4\n", "4"),
    "controls that are spaces": ("a\x1cb\x1f", "a b"),
    "spaces beyond ASCII": ("\u00a04\u202f\u00a0500\u3000\u2028km\x0b\x85", "4 500 km"),
    "Unicode form": ("caf\u00e9", "cafe\u0301"),
    "all of it": ("  CAFE\u0301\n4 ", "caf\u00e9 4"),
}
DIFFERENT = {
    "words": ("4", "5"),
    "punctuation": ("4", "4."),
    "spaces within": ("ab", "a b"),
    "accents": ("cafe", "café"),
    "reasoning": (Choice(response="4", reasoning="two and two"), Choice(response="4", reasoning="I know")),
    "reasoning or none": (Choice(response="4", reasoning="two"), "4"),
    "response to the same reasoning": (
        Choice(response="vier", reasoning="für zwei"),
        Choice(response="acht", reasoning="für zwei"),
    ),
    "response behind what is another's": (Choice(response="4", reasoning="für"), "für"),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
async def test_same(lake: Lake, pair: tuple[str, str]):
    """Case, white space and Unicode form make no difference: one is kept, and the other names it."""
    built = await run(lake, *pair)
    by_outcome = {row["outcome"]: row for row in built.tables["outcomes"]}
    assert built.counts["rejected"] == {"dedup": 1}
    assert by_outcome["rejected"]["reason"] == f"duplicates {by_outcome['kept']['sample_id']}"


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_long_texts(lake: Lake, again: bool, monkeypatch: pytest.MonkeyPatch):
    """Texts that together are larger than what DuckDB may hold are no trouble, nor are they in a build that reads some anew."""
    monkeypatch.delenv("STILLHOUSE_DUCKDB_MEMORY", raising=False)
    texts = [f"{n} " * 1_000_000 for n in range(10, 20)]
    built = await run(lake, *texts, *texts[:1])
    built = await run(lake, *texts, *texts[:1], dedup=DedupOptions(near=True)) if again else built
    assert built.counts["rejected"] == ({"dedup": 1})


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
async def test_different(lake: Lake, pair: tuple[str | Choice, str | Choice]):
    """Everything else does, the reasoning included."""
    assert (await run(lake, *pair)).counts["kept"] == 2


async def test_off(lake: Lake):
    """It can be left out."""
    assert (await run(lake, "4", "4", dedup=DedupOptions(exact=False))).counts["kept"] == 2


async def test_best_survives(lake: Lake):
    """The best verdict stays, whatever else."""
    scores = named(judge=lambda prompt, sample: Finding(passed=True, score=(0.2, 0.9, 0.5)[sample.sample_index]))
    built = await run(lake, "x", "X   ", "x", verifiers=[scores])
    assert [row["sample_index"] for row in built.tables["outcomes"] if row["outcome"] == "kept"] == [1]


async def test_then_the_shortest(lake: Lake):
    """Of equal verdicts the shortest stays."""
    built = await run(lake, "x  y", "x y", "x   y")
    assert built.kept == ["x y"]


async def test_then_always_the_same_one(lake: Lake):
    """Of equal length the one with the least id stays, so that a rerun keeps the same."""
    built = await run(lake, *["x"] * 9)
    ids = [row["sample_id"] for row in built.tables["outcomes"]]
    (kept,) = built.tables["traces"]
    assert kept["sample_id"] == min(ids)
    assert (await run(lake, *["x"] * 9)).tables["traces"][0]["sample_id"] == min(ids)


async def test_rejected_ones_do_not_count(lake: Lake):
    """A response that a verifier rejected displaces no other."""

    def check(prompt: Prompt, sample: Sample) -> bool:
        return sample.sample_index == 1

    built = await run(lake, "x", "x", verifiers=[named(judge=check)])
    assert built.outcomes == {("a", 0): ("rejected", "verify"), ("a", 1): ("kept", None)}


@pytest.mark.parametrize(("by", "kept"), [("response", 1), ("both", 3)])
async def test_by(lake: Lake, by: Any, kept: int):
    """By response it is over the whole dataset; by both, only where the user's text is the same."""
    teacher = FakeTeacher(answer=lambda request: completion("x"))
    built = await build(lake, Spec(teachers={"smol": teacher}, dedup=DedupOptions(by=by)))
    assert built.counts["kept"] == kept


async def test_by_both_is_not_by_id(lake: Lake):
    """Two prompts with the same text are the same prompt here, whatever their ids."""
    prompts = [make_prompt("a"), make_prompt("a", prompt_id="b")]
    assert (await build(lake, Spec(prompts=prompts, dedup=DedupOptions(by="both")))).counts["kept"] == 1


@pytest.mark.parametrize(
    "dedup", [DedupOptions(), DedupOptions(near=True), DedupOptions(by="prompt")], ids=["exact", "near", "prompt"]
)
@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (("CC-BY-NC-4.0", "MIT"), "MIT"),
        (("LicenseRef-own", "CC-BY-NC-4.0"), "LicenseRef-own"),
        (("MIT", "Apache-2.0"), "Apache-2.0"),
    ],
)
async def test_the_same_prompt_under_two_licences(lake: Lake, dedup: DedupOptions, licenses: tuple[str, str], expected: str):
    """The freest counts, whichever source stands first."""
    for order in (licenses, licenses[::-1]):
        prompts = [make_prompt("same", prompt_id=each, license=each, source=each) for each in order]
        teacher = FakeTeacher(answer=lambda request: completion("yes"))
        built = await build(lake, Spec(prompts=prompts, teachers={"smol": teacher}, dedup=dedup), run=order[0])
        assert [(row["prompt_source"], row["prompt_license"]) for row in built.tables["traces"]] == [(expected, expected)]
