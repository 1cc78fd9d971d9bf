"""The command line. Results go to stdout, progress and logs to stderr; `--json` makes stdout one JSON object."""

from __future__ import annotations

if __name__ == "__main__":  # before anything else is loaded, some of which looks at the streams
    from flows import main as script

    script.run()

import contextlib
import errno
import gc
import io
import logging
import os
import signal
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from rich.text import Text

from flows.commands import lakes, specs
from flows.commands.distill import distill
from flows.commands.evaluate import evaluate
from flows.commands.printing import err, out, plain, print_json, results_alone
from flows.commands.show import show
from flows.process.leaving import leave, whole_process
from flows.process.streams import reader_gone
from storage.errors import Interrupted, SpecError, StorageError, UserError
from storage.memory import YOUNG

app = typer.Typer(
    name="stillhouse",
    help="Turns prompts into verified, licence-tagged teacher traces, and traces into training shards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a disk says that takes no more."""
_WORDS = (
    ("Value error, ", ""),
    ("Input should be ", "must be "),
    ("a valid integer, unable to parse string as an integer", "a whole number"),
    ("a valid number, unable to parse string as a number", "a number"),
)
"""What a person is told in place of pydantic's words."""


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"stillhouse {metadata.version('stillhouse')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Hear what stands before a command."""


for command in (
    specs.init,
    specs.plan,
    specs.build,
    lakes.status,
    show,
    specs.verify,
    specs.score,
    lakes.report,
    lakes.diff,
    lakes.export,
    lakes.contaminated,
    distill,
    evaluate,
    specs.serve,
    specs.doctor,
):
    app.command()(command)


def run() -> None:
    """Be a process of the command line's own."""
    with whole_process():
        main()


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    signal.signal(signal.SIGINT, _interrupted)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a character that the terminal hasn't got is no reason to fail
    gc.set_threshold(YOUNG)  # of what imports make, nothing is garbage
    logging.basicConfig(level="WARNING", format="%(message)s", handlers=[RichHandler(console=err, show_path=False)])
    try:
        with results_alone() if "--json" in sys.argv else contextlib.nullcontext():
            code = app(standalone_mode=False)
        if code == Interrupted.exit_code:  # what typer makes of a KeyboardInterrupt
            err.print("interrupted")
        code = code if isinstance(code, int) else 0
    except UserError as error:
        code = _told(error)
    except typer.TyperException as error:
        code = _mistyped(error)
    except typer.Exit as error:
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        err.print("interrupted")
        code = Interrupted.exit_code
    except (OSError, SystemExit) as error:
        code = _unwritten(error)
    finally:
        gc.freeze()  # all of it goes with the process: to look through it for cycles first would take half a second
    leave(code)


def _told(error: UserError) -> int:
    """Tell an error, and return its exit code."""
    err.print(Text(f"error: {plain(str(error))}", style="red" if err.is_terminal else ""), soft_wrap=True)
    return error.exit_code


def _mistyped(error: typer.TyperException) -> int:
    """Tell what is wrong with a command itself, and return its exit code."""
    said = error.format_message().strip()
    for theirs, ours in _WORDS:
        said = said.replace(theirs, ours)
    if said:  # a command alone has shown its help
        said = f"{said if said.endswith(('.', '?')) else f'{said}.'} See `{_command(error)} --help`."
        if "--json" in sys.argv:
            print_json({"error": said, "exit": SpecError.exit_code})
        err.print(Text(f"error: {plain(said)}"), soft_wrap=True)
    return SpecError.exit_code


def _refused_by_stdout(error: OSError) -> bool:
    """Return whether it is stdout that couldn't be written, as a file on a disk that is full: what can't take a byte more."""
    if error.errno not in _FULL or error.filename is not None:
        return False
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def _unwritten(error: OSError | SystemExit) -> int:
    """Return the exit code of a command that couldn't write to stdout, and tell why. Raise what is another's error."""
    if isinstance(error, SystemExit):  # what typer makes of a pipe that nobody reads any more, whichever it is
        if not isinstance(error.__context__, BrokenPipeError):
            raise error
        error = error.__context__
    gone = isinstance(error, BrokenPipeError) and reader_gone()  # which is no error
    if not gone and not _refused_by_stdout(error):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the last flush must not fail as well
    code = 0 if gone else _told(StorageError(f"stdout: can't be written: {error.strerror}"))
    return _told(error.__context__) if isinstance(error.__context__, UserError) else code  # what was to be written


def _interrupted(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module calls it so
    # Python's own handler would be replaced by asyncio's, which waits for whatever blocks the loop.
    raise KeyboardInterrupt


def _command(error: Any) -> str:
    return str(error.ctx.command_path) if error.ctx is not None else "stillhouse"
