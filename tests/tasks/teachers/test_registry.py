"""The teachers by provider."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tasks.teachers import registry


@pytest.mark.parametrize("provider", registry.BUILT_IN)
def test_built_in(provider: str):
    """Every built-in provider has a maker."""
    assert callable(registry.find(provider))
    assert provider in registry.names()


def test_unknown():
    """A provider that isn't there is a KeyError; the wiring names the nearest."""
    with pytest.raises(KeyError, match="opanai"):
        registry.find("opanai")


def test_plug_in(monkeypatch: pytest.MonkeyPatch):
    """A package may bring teachers by an entry point."""
    point = EntryPoint(name="fake", value="tests.fakes:FakeTeacher", group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [point] if group == registry.GROUP else [])
    assert "fake" in registry.names()
    assert registry.find("fake").__name__ == "FakeTeacher"  # type: ignore[attr-defined]


def test_nothing_is_imported_before_it_is_named():
    """Asking for one provider imports no other's libraries."""
    script = "import sys; from tasks.teachers import registry; registry.names(); registry.find('replay'); print('openai' in sys.modules)"
    root = Path(__file__).parents[3]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
