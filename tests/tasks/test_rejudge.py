"""Judging what the lake has: a changed verifier or reference calls no teacher."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from storage.errors import Interrupted, SetupError
from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks.verify import Named
from tests.fakes import make_prompt, named
from tests.tasks.house import Spec, build, house


def matching(seen: list[str] | None = None, *, version: str = "1") -> Named:
    """Return a verifier that compares with the reference, and notes what it is asked."""

    def check(prompt: Prompt, sample: Sample) -> bool:
        if seen is not None:
            seen.append(prompt.prompt_id)
        return sample.response == prompt.reference

    return named(judge=check, version=version)


def prompts(*references: str) -> Sequence[Prompt]:
    """Return prompts with these references; the teacher answers `TEXT #0`."""
    return [make_prompt(text, reference=reference) for text, reference in zip("abc", references, strict=False)]


async def test_nothing_to_judge(lake: Lake):
    """What was judged already isn't judged again."""
    spec = Spec(prompts=prompts("a #0", "b #0"), verifiers=[matching()])
    await build(lake, spec)
    seen: list[str] = []
    built = await build(lake, replace(spec, verifiers=[matching(seen)]), run="again")
    assert (built.asked, seen, built.counts["kept"]) == ([], [], 2)


async def test_changed_version(lake: Lake):
    """Another version of a verifier judges all stored samples anew, and no teacher is asked."""
    spec = Spec(prompts=prompts("a #0", "b #0"), verifiers=[named(judge=lambda prompt, sample: False)])
    assert (await build(lake, spec)).counts["rejected"] == {"verify": 2}
    seen: list[str] = []
    built = await build(lake, replace(spec, verifiers=[matching(seen, version="2")]), run="again")
    assert (built.asked, sorted(seen), built.counts["kept"]) == ([], ["a", "b"], 2)


async def test_changed_reference(lake: Lake):
    """A corrected reference has its own samples judged anew, and only those."""
    spec = Spec(prompts=prompts("a #0", "wrong"), verifiers=[matching()])
    assert (await build(lake, spec)).outcomes["b", 0] == ("rejected", "verify")
    seen: list[str] = []
    built = await build(lake, replace(spec, prompts=prompts("a #0", "b #0"), verifiers=[matching(seen)]), run="again")
    assert (built.asked, seen, built.counts["kept"]) == ([], ["b"], 2)


async def test_back_again(lake: Lake):
    """A verifier that is changed back finds its old verdicts."""
    spec = Spec(prompts=prompts("a #0"), verifiers=[matching()])
    await build(lake, spec)
    await build(lake, replace(spec, verifiers=[named(judge=lambda p, s: False, version="2")]), run="changed")
    seen: list[str] = []
    built = await build(lake, replace(spec, verifiers=[matching(seen)]), run="back")
    assert (seen, built.counts["kept"]) == ([], 1)


async def test_added_verifier(lake: Lake):
    """One more verifier judges; the other one's verdicts are reused."""
    seen: list[str] = []
    await build(lake, Spec(prompts=prompts("a #0"), verifiers=[matching()]))
    both = [matching(seen), named("other", lambda prompt, sample: False)]
    built = await build(lake, Spec(prompts=prompts("a #0"), verifiers=both), run="again")
    assert (built.asked, seen, built.outcomes["a", 0]) == ([], [], ("rejected", "verify"))


async def test_shared_sample(lake: Lake):
    """Two prompts that ask alike and have different references are each judged by their own."""
    pair = [make_prompt("a", reference="a #0"), make_prompt("a", prompt_id="b", reference="other")]
    built = await build(lake, Spec(prompts=pair, verifiers=[matching()]))
    assert len(built.asked) == 1
    assert built.outcomes == {("a", 0): ("kept", None), ("b", 0): ("rejected", "verify")}


async def test_samples_of_others_are_left_alone(lake: Lake):
    """Samples that the build has no slot for aren't judged."""
    await build(lake, Spec(prompts=prompts("a #0", "b #0")))
    seen: list[str] = []
    await build(lake, Spec(prompts=prompts("a #0"), verifiers=[matching(seen)]), run="again")
    assert seen == ["a"]


async def test_count(lake: Lake):
    """It returns how many samples it judged."""
    await build(lake, Spec(k=3))
    async with house(lake, Spec(k=3, verifiers=[named()]), run="again") as one:
        await one.prepare()
        assert await one.judge() == 9
        assert await one.judge() == 0


@pytest.mark.slow
async def test_more_texts_than_memory(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """Stored texts, and their prompts', may be more than DuckDB may hold."""
    rng = random.Random(1)
    many = [make_prompt(f"{number} {rng.randbytes(24_000).hex()}", reference="x") for number in range(1_500)]
    spec = Spec(prompts=many, verifiers=[matching()])
    await build(lake, spec)
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", "100MB")
    seen: list[str] = []
    async with house(lake, replace(spec, verifiers=[matching(seen, version="2")]), run="again") as one:
        await one.prepare()
        assert await one.judge() == len(many)
    assert len(seen) == len(many)


@pytest.mark.parametrize("error", [SetupError("no sandbox"), None], ids=["the verifier can't work", "interrupted"])
async def test_stops(lake: Lake, error: SetupError | None):
    """Where the run must stop, judging ends in order: the reason is the run's, and not an exception group."""
    await build(lake, Spec(k=3))

    def check(prompt: Prompt, sample: Sample) -> bool:
        if error is not None:
            raise error
        return True

    async with house(lake, Spec(k=3, verifiers=[named(judge=check)]), run="again") as one:
        await one.prepare()
        if error is None:
            one.stop.set(Interrupted("SIGINT"))
        await one.judge()
        assert type(one.stop.reason) is (SetupError if error else Interrupted)
