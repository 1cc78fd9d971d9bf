"""What blocks is entered and left beside the event loop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from flows.process.waiting import entered


@pytest.mark.parametrize("raised", [None, ValueError("no")], ids=["fine", "raised"])
async def test_entered_and_left_in_threads(raised: ValueError | None) -> None:
    """Neither is done by the loop's thread, and what ended the block goes on to who wrote it."""
    threads: list[threading.Thread] = []

    @contextlib.contextmanager
    def slow() -> Iterator[str]:
        threads.append(threading.current_thread())
        yield "given"
        threads.append(threading.current_thread())

    with pytest.raises(ValueError, match="no") if raised else contextlib.nullcontext():
        async with entered(slow()) as given:
            assert given == "given"
            if raised:
                raise raised
    assert len(threads) == 2
    assert threading.main_thread() not in threads
