"""What every provider of batches must do, through its own SDK against a real server on the loopback interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from storage.errors import (
    RateLimited,
    RequestRejected,
    SetupError,
    SpecError,
    StillhouseError,
    TeacherError,
    Unavailable,
    Unreachable,
)
from tasks.teachers.batches import BatchTeacher
from tasks.teachers.options import BATCH
from tasks.teachers.protocol import Completion, Malformed, Request
from tasks.teachers.registry import TEACHERS
from tests.fakes import make_options, make_request
from tests.tasks.teachers.batch_server import BatchServer, Fate, fine

PROVIDERS = [name for name in TEACHERS.built_in if name.endswith(BATCH)]
REQUESTS = {f"k1-{number}": make_request(f"prompt {number}", parameters={"max_tokens": 9}) for number in range(5)}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    """Return each provider of batches in turn."""
    return request.param


@asynccontextmanager
async def opened(provider: str, url: str, *, api_key: str | None = "sk-canary", **options: Any) -> AsyncIterator[BatchTeacher]:
    """Open a provider's teacher, made as a spec would have it made."""
    made = TEACHERS.find(provider)(make_options(provider=provider, base_url=url, **options), api_key=api_key)
    assert isinstance(made, BatchTeacher)
    try:
        yield made
    finally:
        await made.aclose()


async def outcomes(teacher: BatchTeacher, batch_id: str) -> dict[str, Completion | StillhouseError]:
    """Look until the batch has ended, and return what came."""
    while not (await teacher.poll(batch_id)).ended:
        pass
    return {custom_id: result async for custom_id, result in teacher.results(batch_id)}


async def fate(provider: str, fate: Fate, requests: dict[str, Request] = REQUESTS) -> dict[str, Completion | StillhouseError]:
    """Return what comes of a batch with such a fate."""
    with BatchServer(fate=fate) as server:
        async with opened(provider, server.url) as teacher:
            return await outcomes(teacher, await teacher.submit(requests, key="k1"))


class TestBatches:
    """The protocol."""

    async def test_answers(self, provider: str):
        """Each request gets its own answer with its usage, whatever separators are in the text."""
        found = await fate(provider, fine)
        assert found.keys() == REQUESTS.keys()
        for custom_id, completion in found.items():
            assert isinstance(completion, Completion)
            assert completion.choices[0].response == f"prompt {custom_id[-1]}\u2028The answer is 0."
            assert (completion.tokens_in, completion.tokens_out) == (10, 6)

    async def test_states(self, provider: str):
        """A batch is looked at until it has ended, and tells how many of how many are done."""
        with BatchServer(looks=3) as server:
            async with opened(provider, server.url) as teacher:
                name = await teacher.submit(REQUESTS, key="k1")
                states = [await teacher.poll(name) for _ in range(3)]
        assert [(state.total, state.done, state.ended) for state in states] == [(5, 0, False), (5, 0, False), (5, 5, True)]
        assert states[0].phase == "in progress"
        assert {str(key).removeprefix("Bearer ") for key in server.keys} == {"sk-canary"}

    async def test_some_fail(self, provider: str):
        """What failed by itself becomes the error of its kind, and the others have their answers."""
        replies = {
            "prompt 0": (400, _error("invalid_request_error", "too long")),
            "prompt 1": (429, _error("rate_limit_error", "slow down")),
            "prompt 2": (500, _error("api_error", "oops")),
            "prompt 3": "expired",
        }
        found = await fate(provider, lambda body: replies.get(body["messages"][-1]["content"], "ok"))
        kinds = {custom_id: type(result) for custom_id, result in found.items()}
        assert kinds == {
            "k1-0": RequestRejected,
            "k1-1": RateLimited,
            "k1-2": Unavailable,
            "k1-3": Unavailable,
            "k1-4": Completion,
        }
        assert "too long" in str(found["k1-0"])

    async def test_a_refused_model(self, provider: str):
        """Where the server doesn't know the model, that is the user's to mend."""
        found = await fate(provider, lambda body: (404, _error("not_found_error", "no such model")))
        assert {type(result) for result in found.values()} == {SetupError}
        assert "no such model" in str(found["k1-0"])

    async def test_a_malformed_answer(self, provider: str):
        """An answer that is none is a bad response, which says what it is billed for, and no other suffers from it."""
        requests = REQUESTS | {"k1-5": make_request("prompt 5", parameters={"max_tokens": 9})}
        with BatchServer() as server:
            async with opened(provider, server.url) as teacher:
                name = await teacher.submit(requests, key="k1")
                await teacher.poll(name)
                _spoil(server, provider)
                found = await outcomes(teacher, name)
        kinds = [type(result) for result in found.values()]
        assert (kinds.count(Completion), kinds.count(Malformed)) == (5, 1)
        (usage,) = (result.usage for result in found.values() if isinstance(result, Malformed))
        assert usage.tokens_out > 0

    async def test_cancelled(self, provider: str):
        """A batch that is cancelled ends with what was answered by then."""
        with BatchServer() as server:
            server.holding = True
            async with opened(provider, server.url) as teacher:
                name = await teacher.submit(REQUESTS, key="k1")
                assert not (await teacher.poll(name)).ended
                await teacher.cancel(name)
                state = await teacher.poll(name)
                found = await outcomes(teacher, name)
        assert (state.ended, state.cancelled, state.done) == (True, True, 5)
        assert [type(found[custom_id]) for custom_id in REQUESTS] == [Completion] * 2 + [Unavailable] * 3

    async def test_find(self, provider: str):
        """A batch is found by its key among others, over several pages, also while it isn't done."""
        with BatchServer(looks=1) as server:
            async with opened(provider, server.url) as teacher:
                names = {}
                for number in range(6):
                    key = f"k{number}"
                    requests = {f"{key}-{n}": request for n, request in enumerate(REQUESTS.values())}
                    names[key] = await teacher.submit(requests, key=key)
                for name in names.values():
                    await teacher.poll(name)
                since = time.time()
                for off_s in (0, -14 * 3_600, 14 * 3_600):  # the clock, when the note was made
                    assert await teacher.find("k1", requests=5, since=since + off_s, others=()) == names["k1"]
                assert await teacher.find("k9", requests=5, since=since, others=()) is None
                assert await teacher.find("k1", requests=5, since=since + 10 * 86_400, others=()) is None

    async def test_a_torn_download(self, provider: str):
        """Results that are cut off on their way are an error, and never fewer results."""
        with BatchServer() as server:
            async with opened(provider, server.url) as teacher:
                name = await teacher.submit(REQUESTS, key="k1")
                await teacher.poll(name)
                server.torn = 1
                with pytest.raises(Unavailable):
                    await outcomes(teacher, name)
                assert len(await outcomes(teacher, name)) == 5

    async def test_a_line_that_quotes_the_key(self, provider: str):
        """What can't be read is quoted in part, and none of the key is in that part."""
        with BatchServer() as server:
            async with opened(provider, server.url) as teacher:
                line = b"unauthorized: ".ljust(80 - len("sk-can")) + b"sk-canary is no key\n"
                with pytest.raises(Unavailable, match="a line of the results can't be read") as raised:
                    teacher._result(line)  # type: ignore[attr-defined]
                assert "sk-can" not in str(raised.value)

    async def test_results_that_are_gone(self, provider: str):
        """Results that a server keeps no more are no error of the model's name."""
        with BatchServer() as server:
            async with opened(provider, server.url) as teacher:
                name = await teacher.submit(REQUESTS, key="k1")
                await teacher.poll(name)
                server.emptied = True
                with pytest.raises(SetupError, match=r"has (its results|output_file_id-batch_0) no more"):
                    await outcomes(teacher, name)

    async def test_nobody_there(self):
        """A server that isn't there is named."""
        with BatchServer() as server:
            url = server.url
        for provider in PROVIDERS:
            async with opened(provider, url) as teacher:
                with pytest.raises(Unreachable, match="can't reach"):
                    await teacher.submit(REQUESTS, key="k1")

    async def test_unknown(self, provider: str):
        """A batch that the server doesn't know is no error of the model's name."""
        with BatchServer() as server:
            async with opened(provider, server.url) as teacher:
                with pytest.raises(SetupError, match="doesn't know it"):
                    await teacher.poll("batch_99")

    @pytest.mark.parametrize("status", [408, 409, 500, 503, 504, 529])
    async def test_an_uncertain_answer(self, provider: str, status: int):
        """An error of the server's own after which there may be a batch isn't taken for a refusal, though it says how long to wait."""
        with BatchServer() as server:
            server.reply = (status, {"retry-after": "7"})
            async with opened(provider, server.url) as teacher:
                with pytest.raises(Unavailable) as caught:
                    await teacher.submit(REQUESTS, key="k1")
        assert caught.value.retry_after_s == 7
        assert len(server.batches) == 1

    async def test_a_lost_answer(self, provider: str):
        """A submission whose answer got lost is an error after which there may be a batch."""
        with BatchServer() as server:
            server.created = lambda: False
            async with opened(provider, server.url) as teacher:
                with pytest.raises(Unavailable):
                    await teacher.submit(REQUESTS, key="k1")
        assert len(server.batches) == 1

    @pytest.mark.parametrize("strange", [b"<html>hello</html>", b"{}", b"", b'{"id": null, "data": null}'], ids=repr)
    async def test_something_else(self, provider: str, strange: bytes):
        """A proxy's page, an empty object or nothing in place of an answer is an error that passes, whatever was asked."""
        with BatchServer() as server:
            async with opened(provider, server.url) as teacher:
                name = await teacher.submit(REQUESTS, key="k1")
                await teacher.poll(name)
                server.strange = strange
                for asking in (
                    teacher.submit(REQUESTS, key="k2"),
                    teacher.find("k1", requests=5, since=time.time(), others=()),
                    teacher.poll(name),
                ):
                    with pytest.raises(TeacherError) as caught:
                        await asking
                    assert caught.value.retryable
                    assert not isinstance(caught.value, RateLimited)  # a submission may have arrived
                server.strange = None
                assert len(await outcomes(teacher, name)) == 5
        assert len(server.batches) == 2

    async def test_identity(self, provider: str):
        """What is asked through batches is the same sample as what is asked one by one."""
        plain = TEACHERS.find(provider.removesuffix(BATCH))(make_options(extra_body={"x": 1}), api_key=None)
        async with opened(provider, "http://127.0.0.1:9/v1", extra_body={"x": 1}) as teacher:
            assert teacher.identity == plain.identity
        await plain.aclose()

    async def test_measure(self, provider: str):
        """A request's size is what it takes on the way."""
        async with opened(provider, "http://127.0.0.1:9/v1") as teacher:
            small, large = (teacher.measure(make_request("x" * n)) for n in (10, 1_010))
        assert large - small == 1_000
        assert small > 64


class TestOpenAI:
    """What OpenAI alone has."""

    async def test_invalid(self):
        """A batch that fails validation says which request and why, and where it may pass it may be sent again."""
        with BatchServer() as server:
            async with opened("openai-batch", server.url) as teacher:
                server.invalid = {"code": "invalid_json_line", "line": 3, "message": "no JSON", "param": None}
                refused = (await teacher.poll(await teacher.submit(REQUESTS, key="k1"))).refused
                server.invalid = {"code": "token_limit_exceeded", "line": None, "message": "Enqueued too much", "param": None}
                later = (await teacher.poll(await teacher.submit(REQUESTS, key="k2"))).refused
        assert isinstance(refused, SetupError)
        assert "request 3" in str(refused)
        assert "no JSON" in str(refused)
        assert isinstance(later, RateLimited)
        assert server.sold.total() == 0

    async def test_several_samples(self):
        """A request for several samples gets them."""
        with BatchServer() as server:
            async with opened("openai-batch", server.url) as teacher:
                name = await teacher.submit({"k1-0": make_request("p", n=3)}, key="k1")
                (found,) = (await outcomes(teacher, name)).values()
        assert isinstance(found, Completion)
        assert len(found.choices) == 3

    async def test_responses(self):
        """The other API has its own address in a batch."""
        with BatchServer() as server:
            async with opened("openai-batch", server.url, api="responses") as teacher:
                await teacher.submit({"k1-0": make_request("p")}, key="k1")
        assert b'"url":"/v1/responses"' in server.files["file-0"]


class TestAnthropic:
    """What Anthropic alone has."""

    async def test_one_sample_a_request(self):
        """The API gives no more."""
        with pytest.raises(SpecError, match="samples_per_request"):
            TEACHERS.find("anthropic-batch")(make_options(samples_per_request=2), api_key=None)

    async def test_find_waits(self, monkeypatch: pytest.MonkeyPatch):
        """A batch that may be the one is waited for, since only its results tell."""
        monkeypatch.setattr("tasks.teachers.anthropic_batch.FIRST_LOOK_S", 0.01)
        with BatchServer() as server:
            async with opened("anthropic-batch", server.url) as teacher:
                name = await teacher.submit(REQUESTS, key="k1")
                looks = 0

                def route(*given: Any) -> Any:
                    nonlocal looks
                    looks += given[1] == "/v1/messages/batches"
                    if looks == 3 and not server.batches[name].fates:
                        server._finish(server.batches[name])
                    return BatchServer.route(server, *given)

                server.route = route  # type: ignore[method-assign]
                assert await teacher.find("k1", requests=5, since=time.time(), others=()) == name
                assert looks >= 3
                assert await teacher.find("k1", requests=4, since=time.time(), others=()) is None
                assert await teacher.find("k1", requests=5, since=time.time(), others={name}) is None


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _spoil(server: BatchServer, provider: str) -> None:
    """Let one of the answers be none."""
    (batch,) = server.batches.values()
    if provider == "openai-batch":
        usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        server._chat = lambda body: usage if "prompt 5" in str(body) else BatchServer._chat(server, body)  # type: ignore[method-assign]
        return
    results = server._anthropic_results(batch.name).replace(b'"role": "assistant", "model": "fake-1", "content"', b'"x"', 1)
    server._anthropic_results = lambda name: results  # type: ignore[method-assign]
