"""Sees which tests run while the text of the tests is run, where that can't be told from the text, and which of them fail there.

`for test in [test_a, test_b]: test()` runs them, and so does `run(test_a)`, which may print that one has failed and go on.
"""

from __future__ import annotations

import opcode
import sys
import threading
import types
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from verifiers.sandbox.inside.held import FILE
from verifiers.sandbox.inside.started import EXPECTED, UNCLEAR, Catch

_LEAVES = {
    opcode.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST", "YIELD_VALUE", "RETURN_GENERATOR") if name in opcode.opmap
}
"""Where a function ends, or waits, without raising anything. What it has raised was handled there."""


@contextmanager
def watching(
    names: Collection[str], started: set[str], caught: Sequence[Catch], lost: list[BaseException], unclear: list[str]
) -> Iterator[None]:
    """Add to `started` the functions of these names that end meanwhile, and to `lost` what they raise.

    That isn't lost which the tests expect; where they may or may not, the function's name is added to `unclear`. `caught`: where
    they catch it (`started.py`).
    """
    if not names:
        yield
        return
    raised: dict[types.FrameType, BaseException] = {}

    def enter(frame: types.FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        return within if code.co_filename == FILE and code.co_qualname in names else None

    def within(frame: types.FrameType, event: str, argument: Any) -> Any:
        if event == "exception":
            raised[frame] = argument[1]
        elif event == "return":
            started.add(frame.f_code.co_qualname)
            error = raised.pop(frame, None)
            if error is not None and frame.f_code.co_code[frame.f_lasti] not in _LEAVES:
                end = _end_of(error, frame.f_back, caught)
                if end == UNCLEAR:
                    unclear.append(frame.f_code.co_qualname)
                elif end != EXPECTED:
                    lost.append(error)
        return within

    sys.settrace(enter)
    threading.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)


def _end_of(error: BaseException, frame: types.FrameType | None, caught: Sequence[Catch]) -> str:
    """Return what becomes of an exception that reaches a frame; empty where nobody catches it."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    while frame is not None:
        if frame.f_code.co_filename == FILE:
            found = (
                each.end for each in caught if each.first <= frame.f_lineno <= each.last and not kinds.isdisjoint(each.kinds)
            )
            if end := next(found, ""):
                return end
        frame = frame.f_back
    return ""
