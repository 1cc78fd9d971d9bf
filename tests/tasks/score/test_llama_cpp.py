"""Scoring by llama.cpp's real server with a real model."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from storage.errors import RequestRejected
from storage.records import Message
from tasks.score.answers import Answer
from tasks.score.llama_cpp import LlamaCppScorer
from tasks.teachers.embedded import MODEL, find_model
from tests.fakes import make_options, user
from tests.tasks.exporters import students

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
    body = {"messages": turns, "temperature": 0, "max_tokens": 64, "logprobs": True, "top_logprobs": top}
    async with httpx2.AsyncClient(timeout=100) as client:
        answer = await client.post(f"{scorer._server.base_url}/chat/completions", json=body)
    choice: dict[str, Any] = answer.json()["choices"][0]
    return choice


async def test_equal_to_what_was_generated(scorer: LlamaCppScorer):
    """A greedy answer that is scored has the log-probabilities that the server gave as it wrote it, its end included, to 1e-5."""
    await scorer.score(TURNS, Answer(response="Hm."), 1)
    choice = await generated(scorer, 5)
    found = await scorer.score(TURNS, Answer(response=choice["message"]["content"]), 5)
    written = choice["logprobs"]["content"]
    assert choice["finish_reason"] == "stop"
    assert found.logprobs.ids == tuple(each["id"] for each in written)
    assert found.logprobs.tokens == tuple(bytes(each["bytes"]) for each in written)
    assert found.logprobs.logprobs == pytest.approx([each["logprob"] for each in written], abs=1e-5)
    tops = [top for each in written for top in each["top_logprobs"]]
    assert found.logprobs.top_ids == tuple(top["id"] for top in tops)
    assert found.logprobs.top_logprobs == pytest.approx([top["logprob"] for top in tops], abs=1e-5)


async def test_a_text_that_it_would_not_write(scorer: LlamaCppScorer):
    """Tokens that stand outside the likeliest have their own log-probability, and no position has a mass above 1."""
    found = await scorer.score(TURNS, Answer(response="zebra Zebra xylophone"), 2)
    logprobs = found.logprobs
    assert b"".join(logprobs.tokens or ()).decode() == "zebra Zebra xylophone"
    assert found.ended
    assert min(logprobs.logprobs) < -8
    for place, own in enumerate(logprobs.logprobs):
        tops = logprobs.top_logprobs[2 * place : 2 * place + 2]
        assert own <= max(tops)
        assert sum(map(math.exp, tops)) + logprobs.rest[place] <= 1 + 1e-6


async def test_parts_of_characters(scorer: LlamaCppScorer):
    """Tokens that end within a character, of which the server says nothing as it samples them, are scored as well."""
    found = await scorer.score(TURNS, Answer(response="é 😀"), 2)
    assert b"".join(found.logprobs.tokens or ()).decode() == "é 😀"
    assert any(not _whole(token) for token in found.logprobs.tokens or ())
    assert all(-60 < each < 0 for each in found.logprobs.logprobs)
    assert set(found.logprobs.counts) == {2}


async def test_too_long(scorer: LlamaCppScorer):
    """What the context doesn't hold is refused before anything is evaluated."""
    with pytest.raises(RequestRejected, match="and the context 256"):
        await scorer.score(TURNS, Answer(response="word " * 300), 2)


async def test_reasoning_that_the_template_leaves_out(scorer: LlamaCppScorer):
    """Where the template leaves out the reasoning that it is to write, one line says so."""
    with pytest.raises(RequestRejected, match="leaves out or changes the reasoning; use `--reasoning think`"):
        await scorer.score(TURNS, Answer.of("Paris.", "France it is.", "turn"), 2)


@pytest.mark.slow
async def test_reasoning(tmp_path: Path):
    """A template that writes reasoning is given it, and what it writes is scored, up to the end of the turn."""
    path = with_template(tmp_path / "thinking.gguf", students.THINKING)
    scorer = LlamaCppScorer(
        options=make_options(provider="local", model="m", path=str(path), limits={"concurrency": 1}), context=256
    )
    written, plain = [await scorer.score(TURNS, Answer.of("Paris.", "France it is.", shown), 2) for shown in ("turn", "think")]
    await scorer.aclose()
    assert b"".join(written.logprobs.tokens or ()).decode() == "<think>\nFrance it is.\n</think>\n\nParis."
    assert (written.ended, (written.logprobs.tokens or ())[-1]) == (True, b"")  # the server writes nothing for a special token
    assert written.logprobs.ids == plain.logprobs.ids
    assert written.logprobs.logprobs == pytest.approx(plain.logprobs.logprobs, abs=1e-4)


@pytest.mark.slow
async def test_a_template_without_an_end(tmp_path: Path):
    """Where the template ends turns with no token, the model's own end is scored, as a folder's is and as exports append it."""
    path = with_template(
        tmp_path / "plain.gguf", "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + ' ' }}{% endfor %}"
    )
    scorer = LlamaCppScorer(
        options=make_options(provider="local", model="m", path=str(path), limits={"concurrency": 1}), context=256
    )
    found = await scorer.score(TURNS, Answer(response="Paris."), 2)
    end = await scorer._tokens("<|im_end|>", special=True)
    await scorer.aclose()
    assert found.ended
    assert b"".join(found.logprobs.tokens or ()) == b"Paris."
    assert (found.logprobs.ids or ())[-1:] == tuple(end)
    assert -60 < found.logprobs.logprobs[-1] < 0


def with_template(path: Path, template: str) -> Path:
    """Copy the embedded model with another chat template, as long as its own, and return where it is."""
    whole = find_model().read_bytes()
    own = students.metadata(find_model())["tokenizer.chat_template"].encode()
    assert whole.count(own) == 1
    padded = template.encode() + b"{#" + b" " * (len(own) - len(template.encode()) - 4) + b"#}"
    path.write_bytes(whole.replace(own, padded))
    return path


def _whole(token: bytes) -> bool:
    try:
        token.decode()
    except UnicodeDecodeError:
        return False
    return True
