"""The guard at the end of a build: a refusal lands nothing and loses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.building import Run
from flows.checks import check
from flows.loading import load_spec
from storage.errors import GuardRefused, SetupError
from storage.lake import Lake

VARIED = [f"the {n} of {n * 7} is {n * n} and so {n * 3} word{n} term{n} name{n}" for n in range(40)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with prompts, and stand in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"id": f"p{n}", "prompt": f"Case {n}?"}) + "\n" for n in range(40)))
    return tmp_path


def write(folder: Path, answers: list[str], **given: Any) -> Path:
    """Write a spec with its recorded answers."""
    rows = [{"prompt_id": f"p{n}", "responses": [answer]} for n, answer in enumerate(answers)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    teacher = {"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "MIT"}
    spec = {
        "dataset": "d",
        "prompts": [{"source": "p.jsonl", "license": "MIT"}],
        "teachers": [teacher],
        "dedup": {"exact": False},
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec | given))
    return path


async def build(path: Path, said: list[str] | None = None) -> dict[str, Any]:
    """Take a build's steps in their order, without Prefect, and return the summary."""
    spec = load_spec(path)
    async with Run(spec, path, Lake.at("lake"), say=(said if said is not None else []).append) as run:
        await run.prepare()
        await run.judge_stored()
        for number in await run.shards():
            await run.work(number)
        await run.judge_together()
        summary = await run.curate()
        await run.land(summary)
        return summary.as_dict()


async def test_measures_are_kept(folder: Path):
    """The manifest has the measures, and the summary has them too."""
    summary = await build(write(folder, VARIED))
    (landed,) = Lake.at("lake").builds()
    assert landed["measures"] == json.loads(json.dumps(summary["measures"]))
    assert landed["measures"]["diversity"]["traces"] == 40
    assert summary["warnings"] == []


async def test_a_refusal_loses_nothing(folder: Path):
    """Traces below a floor are refused with exit 3: no build, no export; the samples stay, and a looser spec buys none again."""
    path = write(folder, ["all the same words"] * 40, guard={"min_diversity": {"distinct_2": 0.5}}, exports=[{"to": "out"}])
    with pytest.raises(GuardRefused, match=r"distinct_2 is 0\.025"):
        await build(path)
    lake = Lake.at("lake")
    assert (lake.builds(), (folder / "out").exists(), list(lake.root.glob("traces/*"))) == ([], False, [])
    path = write(folder, ["all the same words"] * 40)
    assert (await build(path))["paid"] == 0


async def test_a_fall(folder: Path):
    """A fall against the build before is a warning, said and noted; a refusal where the spec says so, and then that build stays."""
    await build(write(folder, VARIED))
    said: list[str] = []
    dull = ["all the same words"] * 40
    with pytest.raises(GuardRefused, match=r"guard\.min_diversity\.fall allows 30%"):
        await build(write(folder, dull, guard={"min_diversity": {"fall": 0.3}}))
    summary = await build(write(folder, dull), said)
    assert any("less diversity than in the build before" in line for line in said)
    assert summary["warnings"] == [line for line in said if line.startswith("diversity")]
    assert (await build(write(folder, dull)))["warnings"] == []


def test_a_model_that_is_not_there(folder: Path):
    """A model that can't be had is told before anything is spent."""
    path = write(folder, VARIED, guard={"min_diversity": {"model": "no/model/here"}})
    with pytest.raises(SetupError, match=r"guard\.min_diversity\.model"):
        check(load_spec(path), path, Lake.at("lake"))
