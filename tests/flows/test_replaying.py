"""Builds of recorded answers: whose they are, where several prompts say the same."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flows.loading import load_spec
from flows.scoring import Asked, Which, score
from flows.verify import verify
from storage.lake import Lake
from tasks.draw import Spending
from tests.e2e.teacher import LoopbackTeacher
from tests.flows.test_landing import build
from tests.tasks.score import fake_vllm

TEXT = "What is 2 + 2?"


def write(path: Path, *rows: dict[str, Any]) -> None:
    """Write JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


async def answers(folder: Path, *prompts: str, k: int = 2) -> dict[str, list[str]]:
    """Build a dataset of prompts that say the same, and return which responses each id kept."""
    write(folder / "p.jsonl", *({"id": each, "prompt": TEXT} for each in prompts))
    teacher = {"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "MIT"}
    spec = {
        "dataset": "d",
        "prompts": [{"source": "p.jsonl", "license": "MIT"}],
        "teachers": [teacher],
        "sampling": {"k": k},
        "dedup": {"exact": False},
    }
    (folder / "spec.yaml").write_text(json.dumps(spec))
    lake = Lake(folder / "lake")
    landed = await build(folder / "spec.yaml", lake)
    rows = pq.read_table(lake.snapshot("traces", "d", landed["build_id"])).to_pylist()
    return {each: sorted(row["response"] for row in rows if row["prompt_id"] == each) for each in prompts}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_by_id(folder: Path):
    """Each prompt has the answers that the file has under its id, whichever was asked first, and in another build too."""
    recorded = {"p": ["a", "b"], "q": ["c", "d"]}
    write(folder / "a.jsonl", *({"prompt_id": each, "responses": texts} for each, texts in recorded.items()))
    assert await answers(folder, "q") == {"q": recorded["q"]}
    assert await answers(folder, "p", "q") == recorded


async def test_by_text(folder: Path):
    """By the text they share them, as everything that asks the same does: they are samples of one request."""
    write(folder / "a.jsonl", {"prompt": TEXT, "responses": ["a", "b"]})
    assert await answers(folder, "p", "q") == {"p": ["a", "b"], "q": ["a", "b"]}


async def test_by_both(folder: Path):
    """Whoever has answers under its id has these, and all others those of the text."""
    write(folder / "a.jsonl", {"prompt": TEXT, "responses": ["a"]}, {"prompt_id": "q", "responses": ["b"]})
    assert await answers(folder, "p", "q", "r", k=1) == {"p": ["a"], "q": ["b"], "r": ["a"]}


async def test_the_same_under_two_ids(folder: Path):
    """Prompts that say the same, and have the same answers, ask for one sample, as they would of any teacher."""
    write(folder / "a.jsonl", *({"prompt_id": each, "responses": ["a", "b"]} for each in "pq"))
    assert await answers(folder, "p", "q") == {"p": ["a", "b"], "q": ["a", "b"]}
    lake = Lake(folder / "lake")
    stored = [row for part in sorted((lake.root / "samples").glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    assert sorted(row["response"] for row in stored) == ["a", "b"]


def test_judged_again(folder: Path):
    """What is stored of answers under an id is found, and judged, with no build."""
    write(folder / "a.jsonl", {"prompt_id": "p", "responses": ["a", "b"]})
    asyncio.run(answers(folder, "p"))
    path = folder / "spec.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verify": [{"use": "truncation"}]}))
    found = verify(load_spec(path), path, Lake(folder / "lake"), Console(file=io.StringIO()), again=False)
    assert (found.samples, found.judged) == (2, 2)


@pytest.mark.parametrize("which", ["all", "kept"])
def test_scored(folder: Path, monkeypatch: pytest.MonkeyPatch, which: Which):
    """What is stored of them is found by a scorer, too, also where the lake's path looks like a pattern."""
    folder = folder / "run[1]"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    write(folder / "a.jsonl", {"prompt_id": "p", "responses": ["a", "b"]})
    asyncio.run(answers(folder, "p"))
    path, console, asked = folder / "spec.yaml", Console(file=io.StringIO()), Asked(teacher="s", top=1, which=which)
    with LoopbackTeacher(lambda body, _: fake_vllm.answer(body)) as scorer:
        given = json.loads(path.read_text())
        one = {"name": "s", "provider": "openai", "base_url": scorer.url, "model": "m", "license": "MIT", "draw": False}
        path.write_text(json.dumps(given | {"teachers": [*given["teachers"], one]}))
        found = score(load_spec(path), path, Lake(folder / "lake"), console, asked=asked, spending=Spending())
    assert (found.samples, found.scored) == (2, 2)
