"""Names that stand for things, ours and those of installed packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from storage import plugins
from storage.plugins import Registry
from tests.fakes import FakeTeacher

FAKES: Registry[object] = Registry("stillhouse.fakes", {"own": "tests.fakes:FakeVerifier"})


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch):
    points = [EntryPoint(name, "tests.fakes:FakeTeacher", FAKES.group) for name in ("theirs", "own")]
    monkeypatch.setattr(plugins, "entry_points", lambda *, group: points if group == FAKES.group else [])


def test_names():
    """Ours and theirs, in order, each once."""
    assert FAKES.names() == ["own", "theirs"]


def test_plug_in():
    """An installed package brings its own by an entry point."""
    assert FAKES.find("theirs") is FakeTeacher


def test_our_names_are_ours():
    """A plug-in can't take the place of what is built in."""
    assert FAKES.find("own") is not FakeTeacher


def test_unknown():
    """What isn't there is a KeyError; the wiring names the nearest."""
    with pytest.raises(KeyError, match="thiers"):
        FAKES.find("thiers")
