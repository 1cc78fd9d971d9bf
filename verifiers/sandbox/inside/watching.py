"""Sees which tests run while the text of the tests is run, where that can't be told from the text, and which of them fail there.

`for test in [test_a, test_b]: test()` runs them, and so does `run(test_a)`, which may print that one has failed and go on.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from verifiers.sandbox.inside.held import FILE


@contextmanager
def watching(names: Collection[str], started: set[str], lost: list[BaseException]) -> Iterator[None]:
    """Add to `started` the functions of these names that run to their end meanwhile, and to `lost` what others raise."""
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
        elif event == "line":  # it is handled here
            raised.pop(frame, None)
        elif event == "return":
            started.add(frame.f_code.co_qualname)
            if (error := raised.pop(frame, None)) is not None:
                lost.append(error)
        return within

    sys.settrace(enter)
    threading.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)
