"""The example of a plug-in package, installed and used as its README says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"


@pytest.fixture
def plugin(workplace: Workplace) -> Path:
    """Install the package where only this workplace finds it, and return the example's folder in the workplace."""
    packages, folder = workplace.folder / "site", workplace.folder / "plugin"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("out", "lake", "*.egg-info", "__pycache__"))
    uv = ROOT / ".uv" / "bin" / "uv"
    subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", "--target", packages, folder], check=True)
    workplace.environment["PYTHONPATH"] = str(packages)
    shutil.rmtree(folder / "stillhouse_eliza")  # what runs is what was installed
    return folder


@pytest.mark.slow
def test_the_example(workplace: Workplace, plugin: Path) -> None:
    """Its teacher answers, its verifier judges, its exporter writes; the README's figures hold, and a rerun pays nothing."""
    text = (EXAMPLE / "README.md").read_text()
    spec, lake = str(plugin / "spec.yaml"), str(plugin / "lake")
    workplace.folder = plugin
    done = workplace.run("build", spec, "--lake", lake)
    assert done.returncode == 0, done.stderr
    (sums,) = re.findall(r"prints, among the rest, `(.*?)`", text)
    assert sums in done.stdout
    rows = [json.loads(line) for path in (plugin / "out" / "eliza").glob("*.jsonl") for line in path.read_text().splitlines()]
    (row,) = re.findall(r"```json\n(.*?)\n```", text)
    assert len(rows) == 4
    assert json.loads(row) in rows
    again = json.loads(workplace.run("build", spec, "--lake", lake, "--json").stdout)
    assert (again["paid"], again["reused"], again["kept"]) == (0, 4, 4)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("use: asks_bak", "unknown verifier 'asks_bak'; did you mean 'asks_back'?"),
        ("provider: elisa", "unknown provider 'elisa'; did you mean 'eliza'?"),
        ("format: trancript", "unknown format 'trancript'; did you mean 'transcript'?"),
        ("questions: 0", "questions"),
    ],
)
def test_a_mistyped_name(workplace: Workplace, plugin: Path, wrong: str, told: str) -> None:
    """It is one line with the nearest name, and nothing is done."""
    name, _, value = wrong.partition(": ")
    path = plugin / "spec.yaml"
    path.write_text(re.sub(rf"\b{name}: (?!\./)\w+", f"{name}: {value}", path.read_text()))
    done = workplace.run("build", str(path), "--lake", str(plugin / "lake"))
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (plugin / "lake" / "samples").exists()


def test_only_what_is_named_is_imported(workplace: Workplace, plugin: Path) -> None:
    """A package that is installed and broken disturbs nobody who doesn't use it; whoever names it gets one line."""
    for module in ("asks_back", "eliza", "transcript"):
        (workplace.folder / "site" / "stillhouse_eliza" / f"{module}.py").write_text("raise ImportError('broken')\n")
    done = workplace.run("build", str(plugin / "spec.yaml"), "--lake", str(workplace.lake))
    assert done.returncode == 2
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr
    (workplace.folder / "mine").mkdir()
    made = workplace.run("init", str(workplace.folder / "mine"))
    assert made.returncode == 0
    planned = workplace.run("plan", str(next((workplace.folder / "mine").glob("*.yaml"))))
    assert planned.returncode == 0, planned.stderr


WRONG = {
    "exits as it is imported": ("raise SystemExit(0)\n", 2, "can't be loaded: SystemExit"),
    "is no verifier": ("class AsksBack:\n    pass\n", 2, "needs the decorator `@verifier`"),
    "prints": (
        (
            "from verifiers.protocol import verifier\nprint('a banner')\n\n"
            "@verifier(version='1', isolated=False)\nclass AsksBack:\n    questions: int = 1\n\n"
            "    def check(self, prompt, sample):\n        print('a check')\n        raise SystemExit(0)\n"
        ),
        0,
        "",
    ),
}


@pytest.mark.parametrize(("text", "code", "told"), WRONG.values(), ids=WRONG)
def test_one_that_misbehaves(workplace: Workplace, plugin: Path, text: str, code: int, told: str) -> None:
    """It can't end a build as if it were done, nor write into its JSON."""
    (workplace.folder / "site" / "stillhouse_eliza" / "asks_back.py").write_text(text)
    workplace.folder = plugin
    done = workplace.run("build", str(plugin / "spec.yaml"), "--lake", str(workplace.lake), "--json")
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    if code == 0:
        found = json.loads(done.stdout)
        assert (found["kept"], found["rejected"]) == (0, {"verify": 4})
        assert "a banner" in done.stderr
