"""Each how-to has a complete spec with its prompts, which loads, plans and builds as it stands there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.loading import load_spec
from flows.plan import plan
from storage.lake import Lake
from tests.docs.pages import DOCS, blocks

PAGES = sorted((DOCS / "howto").glob("*.md"))
NAMES = [page.stem for page in PAGES]
KEYS = {"OPENAI_API_KEY": "sk-none", "ANTHROPIC_API_KEY": "sk-none", "COLUMNS": "200"}


def written(page: Path, folder: Path) -> dict[str, Any]:
    """Write a page's titled blocks as files into a folder, and return its spec."""
    for block in blocks(page):
        if block.title is not None:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    spec: dict[str, Any] = yaml.safe_load((folder / "spec.yaml").read_text(encoding="utf-8"))
    return spec


def stillhouse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STILLHOUSE_"))}
    command = [str(Path(sys.executable).parent / "stillhouse"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment | KEYS, capture_output=True, text=True, timeout=240, check=False)


def simulated(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec with simulated teachers in the place of those that it names."""
    kept = ("name", "model", "license", "price", "draw", "generation", "parameters", "terms")
    teachers = [
        {key: teacher[key] for key in kept if key in teacher}
        | {"provider": "simulate", "simulate": {"latency_s": 0.01, "tokens": 60}}
        for teacher in spec["teachers"]
    ]
    return spec | {"teachers": teachers}


def test_every_how_to_is_there() -> None:
    """There is a page for each of the ways that the site promises."""
    promised = {
        "vllm",
        "openai",
        "anthropic",
        "batches",
        "code",
        "maths",
        "open-ended",
        "soft-labels",
        "on-policy",
        "resume",
        "existing",
        "scale",
    }
    assert promised <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_its_spec_loads(page: Path, tmp_path: Path) -> None:
    """The spec is one that a build would take, and its prompts lie where it says."""
    written(page, tmp_path)
    spec = load_spec(tmp_path / "spec.yaml")
    assert all(list(tmp_path.glob(source.source)) for source in spec.prompts)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
async def test_it_plans(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`plan` finds nothing wrong, and something to ask for."""
    spec = written(page, tmp_path)
    if any(teacher["provider"] == "transformers" for teacher in spec["teachers"]):
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump(simulated(spec)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    path = Path("spec.yaml")
    made = await plan(load_spec(path), path, Lake.at("lake"), lambda _: None)
    assert made.as_dict()["missing"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_it_builds(page: Path, tmp_path: Path) -> None:
    """With simulated teachers it builds to the end, and every sample that was asked for has an outcome."""
    spec = written(page, tmp_path)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(simulated(spec)), encoding="utf-8")
    done = stillhouse(tmp_path, "build", "spec.yaml", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["requested"] == summary["kept"] + sum(summary["rejected"].values()) + summary["failed"] > 0
    assert summary["failed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openai", "anthropic", "batches"])
def test_without_an_acknowledgement_the_gate_refuses(name: str, tmp_path: Path) -> None:
    """The page says that a service whose terms restrict training is refused unless somebody answers for it: exit 3."""
    spec = written(DOCS / "howto" / f"{name}.md", tmp_path)
    del spec["licenses"]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    done = stillhouse(tmp_path, "build", "spec.yaml")
    assert done.returncode == 3, done.stderr
    assert "acknowledge" in done.stderr
