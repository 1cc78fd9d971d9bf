"""What `--help` says of a command: all that is written of it."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
import typer.rich_utils
from typer.testing import CliRunner

from flows.cli import app

PROBE = "error: Invalid value for '--probe':"
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


def test_values_have_names() -> None:
    """What an option takes is called by a word for a person, not by a type of Python's."""
    named = {each.opts[-1]: each.metavar for command in COMMANDS.values() for each in command.params if not command.hidden}
    choices = {"--outcome", "--stage", "--dataset", "--reasoning"}
    flags = {each.opts[-1] for command in COMMANDS.values() for each in command.params if getattr(each, "is_flag", False)}
    assert [name for name, value in named.items() if value is None and name not in choices | flags] == []


@pytest.mark.parametrize(
    ("arguments", "code", "told", "error"),
    [
        (["--version"], 0, f"stillhouse {metadata.version('stillhouse')}\n", ""),
        ([], 2, "Commands", ""),
        (["build", "--quiet"], 2, "", "error: No such option: --quiet. See `stillhouse build --help`.\n"),
        (
            ["plan", "s.yaml", "--probe", "0"],
            2,
            "",
            f"{PROBE} must be greater than or equal to 1. See `stillhouse plan --help`.\n",
        ),
        (["plan", "s.yaml", "--probe", "x"], 2, "", f"{PROBE} must be a whole number. See `stillhouse plan --help`.\n"),
        (
            ["evaluate", "s.yaml", "--confidence", "95"],
            2,
            "",
            "error: Invalid value for '--confidence': must be less than or equal to 1. See `stillhouse evaluate --help`.\n",
        ),
        (["biuld"], 2, "", "error: No such command 'biuld'. Did you mean 'build'? See `stillhouse --help`.\n"),
    ],
)
def test_around_the_commands(arguments: list[str], code: int, told: str, error: str) -> None:
    """The version, the help where nothing is asked for, and one line for what is mistyped."""
    done = subprocess.run([sys.executable, "-m", "flows.cli", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.replace("python -m flows.cli", "stillhouse")) == (code, error)
    assert told in done.stdout
