"""What every teacher in the registry must do. A new one needs a row in `OPENERS`, or the first test fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.identity import address
from tasks.teachers import embedded
from tasks.teachers.options import BATCH
from tasks.teachers.protocol import Choice, Completion, Teacher
from tasks.teachers.registry import TEACHERS
from tests.fakes import make_options, make_request
from tests.tasks.teachers.server import message, respond, serving

PROMPTS = ("What is 2 + 2?", "Name a colour.", "Say hello.")
Opener = Callable[[Path], AbstractAsyncContextManager[Teacher]]


def made(provider: str, **options: Any) -> Teacher:
    """Return a provider's teacher, made as a spec would have it made."""
    return TEACHERS.find(provider)(make_options(provider=provider, **options), api_key=None)


@asynccontextmanager
async def replay(folder: Path) -> AsyncIterator[Teacher]:
    """Open a replay teacher on a file of answers."""
    rows = [json.dumps({"prompt": prompt, "responses": [f"{prompt} #{n}" for n in range(4)]}) for prompt in PROMPTS]
    path = folder / "answers.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    yield made("replay", path=str(path))


@asynccontextmanager
async def openai(folder: Path) -> AsyncIterator[Teacher]:
    """Open a teacher of a server on this machine."""
    with serving() as server:
        yield made("openai", base_url=server.url)


@asynccontextmanager
async def responses(folder: Path) -> AsyncIterator[Teacher]:
    """Open a teacher of the same provider's other API."""
    with serving(respond) as server:
        yield made("openai", base_url=server.url, api="responses")


@asynccontextmanager
async def anthropic(folder: Path) -> AsyncIterator[Teacher]:
    """Open a teacher of a server on this machine that speaks Messages."""
    with serving(message) as server:
        yield made("anthropic", base_url=server.url)


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[Teacher]:
    """Open the embedded model, on one core: on more, beside other tests, each would wait for the others at every layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "cores", lambda: 1)
        yield made("local", model="smollm2-135m-instruct")


@asynccontextmanager
async def simulate(folder: Path) -> AsyncIterator[Teacher]:
    """Open a teacher that isn't there."""
    yield made("simulate", simulate={"latency_s": 0.01})


OPENERS: Mapping[str, Opener] = {
    "anthropic": anthropic,
    "local": local,
    "openai": openai,
    "openai responses": responses,
    "replay": replay,
    "simulate": simulate,
}
ELSEWHERE = {"transformers"}
"""Tried in tests/train, where torch is."""
EACH = [pytest.param(name, marks=[pytest.mark.model] if name == "local" else [], id=name) for name in OPENERS]


def test_every_provider_is_tried():
    """Each built-in provider that asks one by one has an opener; those with batches have tests of their own."""
    assert {name.split()[0] for name in OPENERS} | ELSEWHERE == {name for name in TEACHERS.built_in if not name.endswith(BATCH)}


@pytest.fixture(params=EACH)
async def teacher(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Teacher]:
    """Open each teacher in turn."""
    async with OPENERS[request.param](tmp_path) as opened:
        yield opened
        await opened.aclose()


def request_for(prompt: str, index: int = 0) -> Any:
    """Return a short request."""
    return make_request(prompt, sample_index=index, parameters={"max_tokens": 8, "temperature": 0.5, "seed": 1 + index})


class TestTeacher:
    """The protocol."""

    async def test_completion(self, teacher: Teacher):
        """A request gets at least one choice with a text, of the types that the tables have."""
        found = await teacher.complete(request_for(PROMPTS[0]))
        assert isinstance(found, Completion)
        assert all(type(count) is int and count >= 0 for count in (found.tokens_in, found.tokens_out, found.tokens_reasoning))
        (choice,) = found.choices
        assert isinstance(choice, Choice)
        assert choice.response.strip()
        assert isinstance(choice.finish_reason, str)
        assert choice.finish_reason

    async def test_side_by_side(self, teacher: Teacher):
        """Requests side by side disturb each other in nothing."""
        requests = [request_for(prompt, index) for prompt in PROMPTS for index in range(3)]
        found = await asyncio.gather(*(teacher.complete(request) for request in requests))
        assert all(len(each.choices) == 1 for each in found)

    async def test_identity(self, teacher: Teacher):
        """Its identity is a mapping that has an address, and is the same whenever it is asked for."""
        before = address(dict(teacher.identity))
        await teacher.complete(request_for(PROMPTS[0]))
        assert address(dict(teacher.identity)) == before

    async def test_repr(self, teacher: Teacher):
        """It can be shown."""
        assert type(teacher).__name__ in repr(teacher)


@pytest.mark.parametrize("name", EACH)
async def test_closed_unused(name: str, tmp_path: Path):
    """A teacher that was never asked can be closed: a build that lacks nothing starts no process."""
    async with OPENERS[name](tmp_path) as opened:
        await opened.aclose()
