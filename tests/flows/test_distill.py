"""The flow that trains a student: what goes wrong at Prefect's server is no trouble of the student's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from flows import distill, distilling


async def test_a_server_that_is_away_at_first(monkeypatch: pytest.MonkeyPatch):
    """A server that takes no artifact when a training begins doesn't end it, and a cancellation is heard of afterwards."""
    tries: list[str] = []

    async def create(*_: object, key: str, **__: object) -> str:
        tries.append(key)
        if len(tries) == 1:
            raise httpx.ConnectError("nobody there")
        return key

    async def read(_: object) -> Any:
        return SimpleNamespace(state=SimpleNamespace(is_cancelling=lambda: True))

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[Any]:
        yield SimpleNamespace(read_flow_run=read)

    monkeypatch.setattr(distill, "acreate_progress_artifact", create)
    monkeypatch.setattr(distill, "acreate_markdown_artifact", create)
    monkeypatch.setattr(distill, "get_client", client)
    monkeypatch.setattr(distill, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(distill, "flow_run", SimpleNamespace(id="r"))
    monkeypatch.setattr(distill, "UPDATE_S", 0.01)
    seen = distill._Seen(lambda _: None)
    async with distill._watched(seen, distilling.Watch(show=True), "taught"):
        assert await asyncio.to_thread(seen.stop.wait, 10)
    assert tries[:2] == ["taught-progress", "taught-progress"]
