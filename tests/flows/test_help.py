"""What `--help` says of a command: all that is written of it."""

from __future__ import annotations

from typing import Any

import pytest
import typer.rich_utils
from typer.testing import CliRunner

from flows.cli import app

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def written(command: Any) -> list[str]:
    """Return what is written of a command: what it does, and each of its options with its default, where that is a text."""
    texts = [command.help.splitlines()[0]]
    for each in command.params:
        shown = getattr(each, "show_default", None)
        texts += [each.help or "", f"[default: ({shown})]" if isinstance(shown, str) else ""]
    return texts


@pytest.mark.parametrize("name", COMMANDS)
def test_all_of_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Nothing is left out, as rich does with what stands in brackets, which it takes for markup."""
    monkeypatch.setattr(typer.rich_utils, "MAX_WIDTH", 500)
    shown = " ".join(CliRunner().invoke(app, [name, "--help"]).stdout.split())
    assert not [text for text in written(COMMANDS[name]) if " ".join(text.split()) not in shown]
