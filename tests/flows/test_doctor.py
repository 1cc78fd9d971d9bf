"""Doctor: what a machine lacks is a line of the list, whatever became of what looked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.doctor import examine
from storage.lake import Lake

WRONG = {
    "an instruction that this processor hasn't got": ("kill -ILL $$", "its process ended (by SIGILL)"),
    "an error": ("echo 'ImportError: libgomp.so.1: not there' >&2; exit 1", "ImportError: libgomp.so.1: not there"),
    "nothing but an exit code": ("exit 3", "its process ended (exit 3)"),
}


@pytest.mark.parametrize(("script", "said"), WRONG.values(), ids=WRONG)
def test_a_model_that_can_not_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str):
    """Where the embedded model's library can't be loaded, doctor says why, also where the process says nothing of its own."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    found = {check.name: check for check in examine(Lake(tmp_path / "lake"))}
    model = found["embedded model (local)"]
    assert model.state == "missing"
    assert model.detail == f"xllamacpp can't be loaded: {said}"
