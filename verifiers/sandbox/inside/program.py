"""A whole program in the jail: as `python main.py` would run it, but in a process that is warm already."""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
import traceback
import types

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


def _code(value: object) -> int:
    if value is None or isinstance(value, int):
        return int(value or 0) & 0xFF
    os.write(2, str(value).encode(errors="replace"))
    return 1
