"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from typing import Any

import typer

from flows.cli import app
from generate.describing import default_told, prose, table
from storage import errors

INTRODUCTION = """\
# The command line

Results go to stdout, progress and logs to stderr; `--json` makes stdout one JSON object. What follows is made from the commands
themselves.
"""
EXITS = (
    ("0", "done"),
    ("1", "a defect of ours: a traceback"),
    (errors.SpecError.exit_code, "the spec, an option or an input file is wrong: one clear line, nothing spent"),
    (errors.LicenseRefused.exit_code, "the licence gate refused"),
    (errors.BudgetSpent.exit_code, "the budget is spent; what was paid for is landed, and a rerun with a larger one goes on"),
    (errors.TeacherDown.exit_code, "a teacher stayed unavailable; what was paid for is landed, and a rerun goes on"),
    (errors.Interrupted.exit_code, "interrupted: the same promise"),
)


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION, "## Exit codes", table(("exit", "means"), [(str(code), text) for code, text in EXITS])]
    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        arguments = [each for each in command.params if not each.opts[0].startswith("-")]
        options = [each for each in command.params if each.opts[0].startswith("-")]
        usage = " ".join([f"stillhouse {name}", *(_shown(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
        parts += [f"## {name}", prose(command.help), f"```text\n{usage}\n```"]
        if command.params:
            parts.append(table(("argument or option", "default", "meaning"), [_row(each) for each in command.params]))
    return "\n\n".join(parts) + "\n"


def _shown(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _row(each: Any) -> tuple[str, str, str]:
    if not each.opts[0].startswith("-"):
        name = f"`{each.metavar or each.name.upper()}`"
    else:
        value = "" if getattr(each, "is_flag", False) else f" {each.metavar or 'VALUE'}"
        name = ", ".join(f"`{option}{value}`" for option in [*each.opts, *each.secondary_opts])
    shown = getattr(each, "show_default", None)
    if each.required:
        default = "required"
    elif isinstance(shown, str):
        default = shown
    else:
        default = "" if callable(each.default) or each.default is False else default_told(each.default)
    variable = f" Variable: `{each.envvar}`." if each.envvar else ""
    return name, default, f"{each.help or ''}{variable}"
