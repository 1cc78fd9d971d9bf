"""A whole program in the jail: as `python main.py` would run it, in a process that is warm already; or by another interpreter."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

NAME = "main.py"


def main(source: str) -> int:
    """Run the program and return its exit code."""
    module = types.ModuleType("__main__")
    module.__dict__["__file__"] = NAME
    sys.modules["__main__"] = module
    sys.argv = [NAME]
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
    )
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
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - see above
        code = code or 1
    return code


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
