"""Choosing what somebody reads: filters, and samples that are spread over a build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.looking import looking
from storage.errors import SpecError
from storage.lake import Lake
from tasks.browse.choose import Filters, choose, spread
from tasks.browse.entries import Entry, entries
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec
from verifiers.protocol import Finding


def spec(prompts: int = 6, **given: Any) -> Spec:
    """Return prompts with tags and two teachers; a verifier fails each second sample, and another one prompt p3."""
    listed = [make_prompt(f"Count {n}", prompt_id=f"p{n}", tags={"topic": "odd" if n % 2 else "even"}) for n in range(prompts)]
    half = named("half", lambda prompt, sample: Finding(passed=sample.sample_index % 2 == 0, reason=f"of {prompt.prompt_id}"))
    third = named("third", lambda prompt, sample: prompt.prompt_id != "p3")
    answer = lambda request: completion("" if request.prompt_id == "p5" else f"{request.prompt_id} says {request.sample_index}")  # noqa: E731
    teachers = {name: FakeTeacher(answer=answer) for name in ("b", "a")}
    return Spec(prompts=listed, teachers=teachers, k=2, verifiers=[half, third], **given)


async def landed(lake: Lake, folder: Path, given: Spec) -> None:
    """Land a build."""
    verifiers = [{"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in given.verifiers]
    said = {"verifiers": verifiers, "spec": {"teachers": [{"name": name} for name in given.teachers]}, "by_strategy": {}}
    await land(lake, given, "1", folder, COUNTS | said)


def found(lake: Lake, filters: Filters, number: int = 100) -> list[tuple[str, str, int]]:
    """Return prompt, teacher and index of what the filters let through."""
    return _listed(_read(lake, filters, number))


def _listed(read: Sequence[Entry]) -> list[tuple[str, str, int]]:
    return [(each.prompt.prompt_id, row["teacher"], row["sample_index"]) for each in read for row in each.samples]


def _read(lake: Lake, filters: Filters | None, number: int) -> list[Entry]:
    with looking(lake, "d", None) as (workspace, build):
        filters and filters.check(build)
        folder = lake.snapshot("prompts", "d", build["build_id"])
        if filters is None:
            spread(workspace, folder, number=number)
        else:
            choose(workspace, build, filters, folder, number=number)
        return list(entries(workspace, build))


async def test_filters(lake: Lake, tmp_path: Path):
    """Each filter lets through what it names, and several what all of them do; slots come in the spec's order of teachers."""
    await landed(lake, tmp_path, spec())
    assert found(lake, Filters(prompt="p1")) == [("p1", "b", 0), ("p1", "b", 1), ("p1", "a", 0), ("p1", "a", 1)]
    assert found(lake, Filters(prompt="p1", outcome="kept")) == [("p1", "b", 0)]  # the other teacher says the same
    assert {each[0] for each in found(lake, Filters(outcome="failed"))} == {"p5"}
    assert {each[2] for each in found(lake, Filters(stage="verify", teacher="a", prompt="p0"))} == {1}
    assert {each[0] for each in found(lake, Filters(tags={"topic": "even"}))} == {"p0", "p2", "p4"}
    assert found(lake, Filters(tags={"topic": "even", "other": "x"})) == []
    assert found(lake, Filters(verifier="third")) == [("p3", "b", 0), ("p3", "b", 1), ("p3", "a", 0), ("p3", "a", 1)]
    assert {each[2] for each in found(lake, Filters(verifier="half"))} == {1}
    assert found(lake, Filters(search="P2 SAYS 1", teacher="b")) == [("p2", "b", 1)]
    assert len(found(lake, Filters(search="count 2"))) == 4  # it stands in the prompt
    assert {each[0] for each in found(lake, Filters(search="the response is empty"))} == {"p5"}  # in the reason
    assert found(lake, Filters(search="50% '_; --")) == []


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (Filters(teacher="x"), "--teacher: .*b, a"),
        (Filters(verifier="x"), "--verifier: .*half, third"),
        (Filters(strategy="x"), "none"),
    ],
    ids=["teacher", "verifier", "strategy"],
)
async def test_unknown_names(lake: Lake, tmp_path: Path, filters: Filters, said: str):
    """A name that the build hasn't is an error that lists those it has."""
    await landed(lake, tmp_path, spec())
    with pytest.raises(SpecError, match=said):
        found(lake, filters)


async def test_one_of_each_prompt_first(lake: Lake, tmp_path: Path):
    """Few samples are of different prompts, evenly spread over the build; more are second ones."""
    await landed(lake, tmp_path, spec())
    assert [each[0] for each in found(lake, Filters(), 3)] == ["p0", "p2", "p4"]
    assert len({each[0] for each in found(lake, Filters(), 6)}) == 6
    assert len(found(lake, Filters(), 7)) == 7


async def test_verdicts_of_another_reference_do_not_count(lake: Lake, tmp_path: Path):
    """A verifier that failed a sample for an earlier reference doesn't fail it now, to filters as to readers."""
    strict = named("strict", lambda prompt, sample: prompt.reference == "new")
    old, new = ([make_prompt("a", prompt_id="a", reference=each)] for each in ("old", "new"))
    await land(lake, Spec(prompts=old, verifiers=[strict]), "0", tmp_path)
    await landed(lake, tmp_path, Spec(prompts=new, verifiers=[strict]))
    assert found(lake, Filters(verifier="strict")) == []
    (entry,) = _read(lake, Filters(), 9)
    assert [each["passed"] for each in entry.samples[0]["verdicts"]] == [True]


async def test_spread(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whole prompts within the bound, one at least, in the build's order; of each kind of reason there are some."""
    monkeypatch.setattr("tasks.browse.choose.EXAMPLES", 1)
    await landed(lake, tmp_path, spec(60))
    chosen = _read(lake, None, 40)
    assert [each.place for each in chosen] == sorted(each.place for each in chosen)
    assert all(len(each.samples) == 4 for each in chosen)
    assert 30 <= sum(len(each.samples) for each in chosen) <= 40
    ids = {each.prompt.prompt_id for each in chosen}
    assert "p5" in ids  # the only one without a response
    assert len(_read(lake, None, 1)) == 1
    everything = _read(lake, None, 1_000)
    assert [each.prompt.prompt_id for each in everything] == [f"p{n}" for n in range(60)]


async def test_buckets(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However texts are dealt into buckets, each sample has its own text, and its verdicts once."""
    await landed(lake, tmp_path, spec(30))
    whole = _read(lake, None, 1_000)
    monkeypatch.setattr("tasks.browse.entries.BUCKET_SLOTS", 7)
    monkeypatch.setattr("tasks.browse.entries.BATCH", 2)
    dealt = _read(lake, None, 1_000)
    assert dealt == whole
    for entry in dealt:
        for row in entry.samples:
            said = None if entry.prompt.prompt_id == "p5" else f"{entry.prompt.prompt_id} says {row['sample_index']}"
            assert row["response"] == said
            assert [each["verifier"] for each in row["verdicts"]] == ([] if said is None else ["half", "third"])
