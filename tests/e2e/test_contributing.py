"""CONTRIBUTING's five-minute verifier works as it stands there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the first fenced block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def install(folder: Path) -> None:
    """Put the text's package into a folder as pip would: the module, and its metadata with the entry point."""
    project = tomllib.loads(block("toml"))["project"]
    (folder / "stillhouse_mentions.py").write_text(block("python"))
    info = folder / f"stillhouse_mentions-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in names.items())
        for group, names in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))


@pytest.mark.slow
def test_the_five_minute_verifier(workplace: Workplace) -> None:
    """The verifier is found by its name, judges, and refuses a mistyped option with the nearest one."""
    packages = workplace.folder / "site"
    packages.mkdir()
    install(packages)
    workplace.environment["PYTHONPATH"] = str(packages)
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=4)
        workplace.spec["verify"] = [{"use": "mentions", "text": "the answer is 1"}]
        assert workplace.build()["kept"] == 4
    workplace.spec["verify"] = [{"use": "mentions", "txt": "x"}]
    error = workplace.build(2)["error"]
    assert "verify[0].txt" in error
    assert "did you mean 'text'?" in error
    assert json.loads(workplace.run("status", "--lake", str(workplace.lake), "--json").stdout)["verdicts"] == 12
