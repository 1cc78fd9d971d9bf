"""The layout's two traps: our four names must be ours, and no module inside a package may bear one of them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ("flows", "storage", "tasks", "verifiers")


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_ours(name: str, tmp_path: Path) -> None:
    """From a process in another folder, the name resolves to this tree, not to an unrelated package."""
    code = f"import {name}; print({name}.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == ROOT / name


def test_the_unrelated_package_is_not_installed() -> None:
    """PyPI's `verifiers` would shadow ours, or be shadowed by it."""
    assert "verifiers" not in {distribution.name.lower() for distribution in distributions()}


def test_no_module_bears_a_package_name() -> None:
    """Prefect's loader puts a script's own folder first on sys.path, where such a module would shadow the package."""
    inside = [path for name in NAMES for path in (ROOT / name).rglob("*") if path.suffix == ".py" or path.is_dir()]
    assert [path for path in inside if path.stem in NAMES and path.parent != ROOT] == []


def test_every_folder_of_tests_is_a_package() -> None:
    """With importlib mode, a test folder without `__init__.py` can hide another file of the same name."""
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
