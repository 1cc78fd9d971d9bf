"""Diff: what changed from one build to another, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.diff import Diff, changed, diff, flat
from storage.errors import StorageError
from storage.lake import Lake
from tasks.diff import KIND_OF
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Spec, build


async def land(lake: Lake, given: Spec, build_id: str, folder: Path, manifest: Mapping[str, Any] | None = None) -> None:
    """Build, and land what came of it."""
    staged = folder / build_id
    staged.mkdir()
    built = await build(lake, given, run=build_id, copy_to=staged)
    facts = {"dataset": "d", "build_id": build_id, "created_at": f"2026-01-01T00:00:0{build_id}", "spec": {"dataset": "d"}}
    lake.land(facts | built.counts | dict(manifest or {}), staged)


def told(found: Diff) -> list[tuple[str, str, str, int]]:
    """Return the moves without their examples."""
    return [(move.change, move.before, move.after, move.slots) for move in found.moves]


async def two(lake: Lake, folder: Path, first: Spec, second: Spec) -> Diff:
    """Build both and compare them."""
    await land(lake, first, "1", folder)
    await land(lake, second, "2", folder)
    return diff(lake, "d", before=None, after=None)


async def test_nothing(lake: Lake, tmp_path: Path):
    """The same spec on the same store: nothing moved, and all of it stayed."""
    found = await two(lake, tmp_path, Spec(), Spec())
    assert (found.moves, found.spec, found.prompts["same"]) == ([], {}, 3)
    none = {"added": 0, "dropped": 0, "changed": 0, "changed_by": {}, "replaced_by": {}}
    assert found.traces == none | {"before": 3, "after": 3, "stayed": 3}
    assert found.licenses == {"CC0-1.0 AND MIT": (3, 3)}


async def test_prompts_and_slots_come_and_go(lake: Lake, tmp_path: Path):
    """A prompt that came brings traces, one that went takes them along, and a larger k adds to those that stayed."""
    found = await two(
        lake, tmp_path, Spec(prompts=[make_prompt(t) for t in "ab"]), Spec(prompts=[make_prompt(t) for t in "bc"], k=2)
    )
    assert told(found) == [
        ("added", "prompt not there", "kept", 2),
        ("added", "not asked for", "kept", 1),
        ("dropped", "kept", "prompt not there", 1),
    ]
    assert found.prompts == {
        "added": 1,
        "dropped": 1,
        "changed": 0,
        "same": 1,
        "changed_by": {},
        "examples": {"added": ["c"], "dropped": ["a"]},
    }


async def test_why(lake: Lake, tmp_path: Path):
    """A trace that was dropped says where and why; reasons that differ in numbers alone are of one kind, with whole examples."""
    strict = named("strict", lambda prompt, sample: prompt.prompt_id == "a", version="2")
    lax = named("strict", lambda prompt, sample: True)
    found = await two(lake, tmp_path, Spec(verifiers=[lax]), Spec(verifiers=[strict]))
    assert told(found) == [("dropped", "kept", "rejected at verify: strict", 2)]
    (move,) = found.moves
    assert [(each.prompt_id, each.before, each.after) for each in move.examples] == [
        ("b", None, "strict: failed"),
        ("c", None, "strict: failed"),
    ]
    (pair,) = found.by_source.values()
    assert [rate and rate.pass_rate for rate in pair] == [1.0, pytest.approx(1 / 3)]


async def test_duplicates_are_one_kind(lake: Lake, tmp_path: Path):
    """An id in a reason makes no kind of its own."""
    same = FakeTeacher(answer=lambda request: completion("x"))
    found = await two(lake, tmp_path, Spec(prompts=[make_prompt("a")]), Spec(teachers={"smol": same}, k=1))
    assert ("moved", "prompt not there", "rejected at dedup: duplicates …", 1) in told(found)


async def test_another_sample(lake: Lake, tmp_path: Path):
    """Other sampling parameters give other samples in the same slots: changed, neither added nor dropped."""
    found = await two(lake, tmp_path, Spec(), Spec(sampling={"temperature": 0.5}))
    assert told(found) == [("changed", "kept", "kept", 3)]
    assert (found.traces["changed"], found.traces["stayed"]) == (3, 0)
    assert found.traces["replaced_by"] == {"address alone": 3}


async def test_what_another_sample_shows(lake: Lake, tmp_path: Path):
    """Where what was asked, or what came back, is another, it is said of how many."""
    other = FakeTeacher(answer=lambda request: completion("other" if request.messages[-1].content == "a" else "new"))
    asked = Spec(prompts=[make_prompt("a"), make_prompt("b!", prompt_id="b")], teachers={"smol": other})
    found = await two(
        lake, tmp_path, Spec(prompts=[make_prompt("a"), make_prompt("b")]), replace(asked, sampling={"temperature": 0.5})
    )
    assert found.traces["replaced_by"] == {"messages": 1, "response": 2}
    assert ("", "of those that changed, with another (messages 1, response 2)") in found.lines()


async def test_changed_prompts_and_licences(lake: Lake, tmp_path: Path):
    """A prompt of the same id that says something else is changed, by part; traces that stayed show which columns differ."""
    first = Spec(prompts=[make_prompt("a"), make_prompt("b", reference="1")])
    second = Spec(prompts=[make_prompt("a", license="MIT"), make_prompt("b", reference="2")])
    found = await two(lake, tmp_path, first, second)
    assert (found.prompts["changed"], found.prompts["changed_by"]) == (2, {"reference": 1, "license": 1})
    assert found.traces["changed_by"] == {"license": 1}
    assert found.licenses == {"CC0-1.0 AND MIT": (2, 1), "MIT": (0, 1)}


async def test_acknowledgements(lake: Lake, tmp_path: Path):
    """Another person who answers for terms, another reason or another agreement is told with the traces that it is of."""
    said = "openai: a classifier ({}, 3.3(e))"
    found = await two(
        lake,
        tmp_path,
        Spec(prompts=[make_prompt("a"), make_prompt("b")], acknowledgement=said.format("Ada")),
        Spec(acknowledgement=said.format("Bob")),
    )
    assert found.acknowledgements == {said.format("Ada"): (2, 0), said.format("Bob"): (0, 3)}
    assert found.traces["changed_by"] == {"acknowledgement": 2}
    assert ("acknowledged", f"0 to 3 traces: {said.format('Bob')}") in found.lines()


async def test_which_builds(lake: Lake, tmp_path: Path):
    """By default the newest with the one before; any two by name; one alone can't be compared."""
    await land(lake, Spec(), "1", tmp_path)
    with pytest.raises(StorageError, match="no build before 1 to compare it with; it has no other"):
        diff(lake, "d", before=None, after=None)
    for build_id in "23":
        await land(lake, Spec(), build_id, tmp_path)
    pairs = {(None, None): ("2", "3"), (None, "2"): ("1", "2"), ("3", "1"): ("3", "1")}
    for (before, after), expected in pairs.items():
        found = diff(lake, "d", before=before, after=after)
        assert (found.before, found.after) == expected
    with pytest.raises(StorageError, match="both are build 3"):
        diff(lake, "d", before="3", after=None)
    with pytest.raises(StorageError, match="no build '9'"):
        diff(lake, "d", before="9", after=None)


async def test_spec_and_versions(lake: Lake, tmp_path: Path):
    """What the spec says otherwise is told by path, and so are versions."""
    teacher = {"name": "t", "model": "m"}
    await land(lake, Spec(), "1", tmp_path, {"spec": {"seed": 1, "teachers": [teacher]}, "version": "1"})
    spec = {"seed": 1, "teachers": [{"name": "s", "model": "n"}, teacher | {"model": "m2"}]}
    await land(lake, replace(Spec(), k=2), "2", tmp_path, {"spec": spec, "version": "2"})
    found = diff(lake, "d", before=None, after=None)
    assert found.spec == {
        "teachers[t].model": ("m", "m2"),
        "teachers[s].name": (None, "s"),
        "teachers[s].model": (None, "n"),
    }
    assert found.versions == {"stillhouse": ("1", "2")}
    assert json.loads(json.dumps(found.as_dict()))["by_teacher"]["smol"][1]["slots"] == 6
    assert ("spec teachers[t].model", '"m" to "m2"') in found.lines()


def test_flat():
    """Entries of a list go by their names, those without or with the same by number."""
    spec = {"verify": [{"use": "x"}, {"use": "x", "n": 1}], "allow": ["MIT"], "mix": [{"share": 1}]}
    assert dict(flat(spec)) == {
        "verify[x].use": "x",
        "verify[x (2)].use": "x",
        "verify[x (2)].n": 1,
        "allow": ["MIT"],
        "mix[0].share": 1,
    }
    assert changed({"a": 1, "b": 2}, {"b": 2, "c": None}) == {"a": (1, None)}


async def test_queries_are_left_out(lake: Lake, tmp_path: Path):
    """A terminal is shown no query of a source's URL, where a token may stand."""
    url = "https://x.example/p?token=sesame"
    given = Spec(prompts=[make_prompt("a", source=url)])
    await land(lake, given, "1", tmp_path, {"spec": {"prompts": [{"source": url, "limit": 1}]}})
    await land(lake, given, "2", tmp_path, {"spec": {"prompts": [{"source": url, "limit": 2}]}})
    found = diff(lake, "d", before=None, after=None)
    lines = dict(found.lines())
    assert lines["spec prompts[https://x.example/p?…].limit"] == "1 to 2"
    assert "source https://x.example/p?…" in lines
    assert "sesame" not in str(lines)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (f"near-duplicates {'8c1f' * 8} (similarity 0.944)", "near-duplicates … (similarity …)"),
        ("licensed CC-BY-NC-4.0, and licenses.allow has MIT", "licensed CC-BY-NC-4.0, and licenses.allow has MIT"),
        ("timed out after 1,200 s: x", "timed out after … s"),
        ("400 context_length_exceeded: 2,048 tokens", "400 context_length_exceeded"),
        ("400 Error code: 400 - You sent 2,048 tokens: no", "400 You sent … tokens"),
        ("undecided: 12 of 13", "undecided: … of …"),
    ],
    ids=["ids", "licences", "numbers", "a status", "a status of before", "undecided"],
)
def test_a_kind_of_reason(reason: str, kind: str):
    """Reasons that differ by ids and numbers are of one kind; the number in a licence's name is a part of the name."""
    assert duckdb.execute(f"SELECT {KIND_OF} FROM (SELECT ? AS reason)", [reason]).fetchone() == (kind,)
