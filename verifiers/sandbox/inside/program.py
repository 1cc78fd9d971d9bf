"""A whole program in the jail: as `python main.py` would run it, in a process that is warm already; or by another interpreter."""

from __future__ import annotations

import _sitebuiltins
import atexit
import builtins
import contextlib
import io
import os
import signal
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

from verifiers.sandbox.inside import written

NAME = "main.py"
_DEVICES = {f"/dev/{name}": number for number, name in enumerate(("stdin", "stdout", "stderr"))}
_OPEN = open


def main(source: str) -> int:
    """Run the program and return its exit code."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins)
    source = source.removeprefix("\ufeff")
    written.show(module, NAME, source)
    sys.modules["__main__"] = module
    sys.argv = [NAME]
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    kept = _open_streams()
    builtins.open = io.open = _open
    code = 0
    try:
        exec(compile(source, NAME, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what all this is for
    except SystemExit as error:
        code = _code(error.code)
    except BaseException:  # noqa: BLE001 - a program may raise anything
        traceback.print_exc()
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads, as the interpreter's end does
        atexit._run_exitfuncs()  # noqa: SLF001 - the process ends by os._exit, which runs none
        _let_go(module.__dict__)
        if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
            sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - see above
        code = code or 1
    with contextlib.suppress(ValueError, OSError, AttributeError):  # closed, detached, or taken away
        kept.flush()
    return code


def _open_streams() -> io.TextIOWrapper:
    """Set the standard streams as the interpreter has them, and return the output: programs wrap them, and look at their `mode`.

    The second names keep what the first ones no longer do: "sys.stdout = TextIOWrapper(sys.stdout.buffer)" would close it.
    """
    raw = [io.FileIO(0, closefd=False), io.FileIO(1, "w", closefd=False), io.FileIO(2, "w", closefd=False)]
    for each, name in zip(raw, ("<stdin>", "<stdout>", "<stderr>"), strict=True):
        each.name = name
    standard = io.TextIOWrapper(io.BufferedReader(raw[0]), encoding="utf-8")
    output = io.TextIOWrapper(io.BufferedWriter(raw[1]), encoding="utf-8")
    errors = io.TextIOWrapper(raw[2], encoding="utf-8", errors="backslashreplace", write_through=True)
    for stream, mode in ((standard, "r"), (output, "w"), (errors, "w")):
        setattr(stream, "mode", mode)  # noqa: B010 - its type has none
    sys.stdin = sys.__stdin__ = standard  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = output  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = errors  # type: ignore[misc]
    return output


def _open(file: Any, *arguments: Any, **options: Any) -> Any:
    """Open a file. The jail has no /proc, to which /dev/stdin and its like would lead."""
    number = _DEVICES.get(str(file)) if isinstance(file, str | os.PathLike) else None
    return _OPEN(file if number is None else os.dup(number), *arguments, **options)


def _let_go(names: dict[str, Any]) -> None:
    """Let go of what does something at its end, as a file that writes what it holds; all the rest goes with the process."""
    for name in list(names):  # not its values, too: what they hold would live on, and end in the wrong order
        if hasattr(type(names.get(name)), "__del__"):
            names[name] = None


def execute(job: dict[str, Any], source: str) -> NoReturn:
    """Become the interpreter of another language, which runs the program from a file in the scratch folder."""
    with open(job["file"], "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - pathlib isn't warm
        file.write(source)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, 1 << 20)  # what it could open once more through /proc, and leave something in
    os.execve(job["command"][0], job["command"], job["environment"])  # noqa: S606 - no shell is meant


def _code(value: object) -> int:
    if value is None or isinstance(value, int):
        return int(value or 0) & 0xFF
    os.write(2, str(value).encode(errors="replace"))
    return 1
