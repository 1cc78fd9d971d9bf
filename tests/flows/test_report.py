"""Report: what a landed build is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.report import Report, report
from storage.errors import StorageError
from storage.lake import Lake
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.flows.test_diff import land
from tests.tasks.house import Spec

COUNTS: dict[str, Any] = {
    "prompts": 0,
    "paid": 0,
    "cost_usd": 0.0,
    "tokens_in": 0,
    "tokens_out": 0,
    "elapsed_s": 1.0,
    "lake": "l",
    "spec_hash": "h",
    "version": "1",
}


async def reported(lake: Lake, folder: Path, spec: Spec, **manifest: Any) -> Report:
    """Land a build and report it."""
    verifiers = [{"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in spec.verifiers]
    await land(lake, spec, "1", folder, COUNTS | {"verifiers": verifiers} | manifest)
    return report(lake, "d", build_id=None)


def spec() -> Spec:
    """Return two sources, tags, and a verifier that passes what isn't of prompt c."""
    prompts = [
        make_prompt("a", source="x.jsonl", tags={"topic": "sums", "id": "1"}),
        make_prompt("b", source="x.jsonl", tags={"topic": "odds"}, license="MIT"),
        make_prompt("c", source="y.jsonl", tags={"topic": "odds"}),
    ]
    check = named("check", judge=lambda prompt, sample: prompt.prompt_id != "c")
    return Spec(prompts=prompts, k=2, verifiers=[check])


async def test_parts(lake: Lake, tmp_path: Path):
    """Outcomes and pass rates by source, teacher, tag and verifier; licences; lengths; and why the others were rejected."""
    parts = (await reported(lake, tmp_path, spec())).parts
    good = {"slots": 4, "responses": 4, "accepted": 4, "kept": 4, "pass_rate": 1.0}
    assert parts["by_source"] == {
        "x.jsonl": good,
        "y.jsonl": {"slots": 2, "responses": 2, "accepted": 0, "kept": 0, "pass_rate": 0.0},
    }
    assert parts["by_teacher"]["smol"]["pass_rate"] == pytest.approx(2 / 3, abs=1e-6)
    assert parts["by_tag"]["topic"]["odds"] == {"slots": 4, "responses": 4, "accepted": 2, "kept": 2, "pass_rate": 0.5}
    assert parts["by_verifier"] == {
        "check": {"passed": 4, "failed": 2, "undecided": 0, "pass_rate": pytest.approx(2 / 3, abs=1e-6)}
    }
    assert [(each["license"], each["traces"]) for each in parts["licenses"]] == [("CC0-1.0 AND MIT", 2), ("MIT", 2)]
    assert parts["lengths"]["characters"] == {
        "sum": 16,
        "quantiles": dict.fromkeys(("0%", "25%", "50%", "75%", "95%", "100%"), 4),
    }
    assert parts["rejections"] == [{"outcome": "rejected", "stage": "verify", "kind": "check", "slots": 2}]
    assert parts["contamination"] == []


async def test_verdicts_of_others_do_not_count(lake: Lake, tmp_path: Path):
    """A verdict on an earlier reference, or of another version, is no part of this build's."""
    old = Spec(prompts=[make_prompt("a", reference="1")], verifiers=[named("check", lambda prompt, sample: False)])
    await land(lake, old, "0", tmp_path)
    new = Spec(prompts=[make_prompt("a", reference="2")], verifiers=[named("check", lambda prompt, sample: True)])
    found = await reported(lake, tmp_path, new)
    assert (found.parts["by_verifier"]["check"]["passed"], found.parts["by_verifier"]["check"]["failed"]) == (1, 0)


async def test_tags_that_are_ids(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A tag with too many values is more of an id, and left out."""
    monkeypatch.setattr("tasks.measures.breakdown.TAG_VALUES", 1)
    assert list((await reported(lake, tmp_path, spec())).parts["by_tag"]) == ["id"]


async def test_measures(lake: Lake, tmp_path: Path):
    """Measures are those of the manifest; where length tells all, one sentence says so."""
    style = {
        "sample": 200,
        "responses": 200,
        "habits": {"list": {"share": 0.5, "share_of_traces": 0.9, "pass_rate_with": 0.9, "pass_rate_without": None}},
        "by_length": [{"from": 1, "to": 9, "responses": 200, "pass_rate": 0.5}],
        "length_alone": {"auc": 0.9, "threshold": 5, "longer": True, "accuracy": 0.9, "base": 0.5},
    }
    diversity = {
        **dict.fromkeys(("distinct_1", "distinct_2", "distinct_3", "vendi", "self_similarity"), 0.5),
        **dict.fromkeys(("compression_ratio", "length_entropy", "opening_entropy")),
        "sample": 4,
        "traces": 4,
        "kernel": "words",
        "openings": [{"opening": "sure here is", "share": 0.75}],
    }
    found = await reported(lake, tmp_path, spec(), measures={"style": style, "diversity": diversity})
    said = json.loads(json.dumps(found.as_dict()))
    assert said["length_guesses"].startswith("length alone guesses acceptance")
    text = "\n".join(f"{name}: {value}" for name, value in found.lines())
    for part in (
        "75.0% begin “sure here is”",
        "pass rate 90.0% with, none without",
        "LOOK: length alone",
        "source y.jsonl: pass rate",
    ):
        assert part in text


async def test_nothing(lake: Lake, tmp_path: Path):
    """A build of failures alone, and of an earlier version without measures, has a report too."""
    silent = FakeTeacher(answer=lambda request: completion("7" if request.prompt_id == "control" else ""))
    found = await reported(lake, tmp_path, Spec(teachers={"smol": silent}))
    assert found.parts["by_teacher"]["smol"]["pass_rate"] is None
    assert found.parts["lengths"]["characters"] == {"sum": 0, "quantiles": {}}
    assert any("an earlier version" in value for _, value in found.lines())
    with pytest.raises(StorageError, match="no build '9'"):
        report(lake, "d", build_id="9")


async def test_queries_are_left_out(lake: Lake, tmp_path: Path):
    """A terminal is shown no query of a source's URL, where a token may stand; sources that differ in it alone stay two."""
    prompts = [make_prompt(name, source=f"https://x.example/p?token={name}") for name in "ab"]
    found = await reported(lake, tmp_path, Spec(prompts=prompts))
    assert [name for name, _ in found.lines() if name.startswith("source")] == [
        "source https://x.example/p?…",
        "source https://x.example/p?… (2)",
    ]
