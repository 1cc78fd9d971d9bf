"""Scoring by llama.cpp's real server with a real model."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from storage.errors import RequestRejected
from storage.records import Message
from tasks.score.llama_cpp import LlamaCppScorer
from tasks.teachers.embedded import MODEL
from tests.fakes import make_options, user

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]
TURNS = (Message(role="system", content="Be brief."), *user("What is the capital of France?"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scorer() -> AsyncIterator[LlamaCppScorer]:
    """Serve the embedded model."""
    made = LlamaCppScorer(options=make_options(provider="local", model=MODEL, limits={"concurrency": 2}), context=256)
    yield made
    await made.aclose()


async def generated(scorer: LlamaCppScorer, top: int) -> dict[str, Any]:
    """Have the same server answer greedily, and return the choice."""
    assert scorer._server is not None
    turns = [{"role": each.role, "content": each.content} for each in TURNS]
    body = {"messages": turns, "temperature": 0, "max_tokens": 12, "logprobs": True, "top_logprobs": top}
    async with httpx2.AsyncClient(timeout=100) as client:
        answer = await client.post(f"{scorer._server.base_url}/chat/completions", json=body)
    choice: dict[str, Any] = answer.json()["choices"][0]
    return choice


async def test_equal_to_what_was_generated(scorer: LlamaCppScorer):
    """A greedy answer that is scored has the log-probabilities that the server gave as it wrote it, to 1e-5."""
    await scorer.score(TURNS, "Hm.", 1)
    choice = await generated(scorer, 5)
    found = await scorer.score(TURNS, choice["message"]["content"], 5)
    written = choice["logprobs"]["content"]
    written = written[: len(found.logprobs)]  # without the token that ended it
    assert found.logprobs.ids == tuple(each["id"] for each in written)
    assert found.logprobs.tokens == tuple(bytes(each["bytes"]) for each in written)
    assert found.logprobs.logprobs == pytest.approx([each["logprob"] for each in written], abs=1e-5)
    tops = [top for each in written for top in each["top_logprobs"]]
    assert found.logprobs.top_ids == tuple(top["id"] for top in tops)
    assert found.logprobs.top_logprobs == pytest.approx([top["logprob"] for top in tops], abs=1e-5)


async def test_a_text_that_it_would_not_write(scorer: LlamaCppScorer):
    """Tokens that stand outside the likeliest have their own log-probability, and no position has a mass above 1."""
    found = await scorer.score(TURNS, "zebra Zebra xylophone", 2)
    logprobs = found.logprobs
    assert b"".join(logprobs.tokens or ()).decode() == "zebra Zebra xylophone"
    assert min(logprobs.logprobs) < -8
    for place, own in enumerate(logprobs.logprobs):
        tops = logprobs.top_logprobs[2 * place : 2 * place + 2]
        assert own <= max(tops)
        assert sum(map(math.exp, tops)) + logprobs.rest[place] <= 1 + 1e-6


async def test_parts_of_characters(scorer: LlamaCppScorer):
    """Tokens that end within a character, of which the server says nothing as it samples them, are scored as well."""
    found = await scorer.score(TURNS, "é 😀", 2)
    assert b"".join(found.logprobs.tokens or ()).decode() == "é 😀"
    assert any(not _whole(token) for token in found.logprobs.tokens or ())
    assert all(-60 < each < 0 for each in found.logprobs.logprobs)
    assert set(found.logprobs.counts) == {2}


async def test_too_long(scorer: LlamaCppScorer):
    """What the context doesn't hold is refused before anything is evaluated."""
    with pytest.raises(RequestRejected, match="and the context 256"):
        await scorer.score(TURNS, "word " * 300, 2)


def _whole(token: bytes) -> bool:
    try:
        token.decode()
    except UnicodeDecodeError:
        return False
    return True
