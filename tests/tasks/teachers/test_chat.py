"""The OpenAI wire format, over a transport that answers from a function: what is sent, and what a response becomes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from storage.errors import BadResponse, SpecError
from storage.records import Logprobs, Message
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.openai import make
from tasks.teachers.options import PriceOptions
from tasks.teachers.protocol import BrokenOff, Choice, Completion, Malformed, NoChoices, Request, Usage
from tasks.teachers.sampling import SamplingOptions
from tasks.teachers.sdk import SdkTeacher
from tests.fakes import make_options, make_request

Handler = Callable[[httpx2.Request], httpx2.Response]


def body(*messages: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    """Return a response body with these messages as choices."""
    full = [{"role": "assistant", "content": message} if isinstance(message, str) else message for message in messages]
    choices = [{"index": n, "message": message, "finish_reason": "stop"} for n, message in enumerate(full)]
    return {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 7}} | more


def choice(**more: Any) -> dict[str, Any]:
    """Return a body with one choice of these parts."""
    return {"choices": [{"message": {"content": "4"}} | more]}


async def ask(
    handler: Handler | bytes | dict[str, Any],
    request: Request | None = None,
    *,
    kind: type[SdkTeacher] = OpenAITeacher,
    **given: Any,
) -> Completion:
    """Ask once over a transport that answers by a function, or always the same."""

    def constant(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=handler if isinstance(handler, bytes) else json.dumps(handler).encode())

    transport = httpx2.MockTransport(handler if callable(handler) else constant)
    teacher = kind(**({"model": "m-1", "base_url": "http://server/v1", "transport": transport} | given))
    try:
        return await teacher.complete(request or make_request())
    finally:
        await teacher.aclose()


async def sent(request: Request, answer: dict[str, Any] | None = None, **given: Any) -> tuple[httpx2.Request, dict[str, Any]]:
    """Return the HTTP request, and its body."""
    seen: list[httpx2.Request] = []

    def handler(http: httpx2.Request) -> httpx2.Response:
        seen.append(http)
        return httpx2.Response(200, json=answer or body("4"))

    await ask(handler, request, **given)
    (http,) = seen
    return http, json.loads(http.content)


class TestSent:
    """What goes out."""

    async def test_least(self):
        """What the spec leaves out isn't sent."""
        http, content = await sent(make_request("Hi"))
        assert (http.method, str(http.url)) == ("POST", "http://server/v1/chat/completions")
        assert content == {"model": "m-1", "messages": [{"role": "user", "content": "Hi"}]}

    async def test_conversation(self):
        """All turns go out as they are, whatever script they are in."""
        messages = (Message(role="system", content="Ä"), Message(role="user", content="👍\n\0"))
        _, content = await sent(make_request(messages=messages))
        assert content["messages"] == [{"role": "system", "content": "Ä"}, {"role": "user", "content": "👍\n\0"}]

    async def test_parameters(self):
        """Sampling parameters, the request's own seed among them, go out by their OpenAI names."""
        parameters = {"temperature": 0.8, "top_p": 0.9, "max_tokens": 256, "seed": 11, "stop": ["\n"]}
        _, content = await sent(make_request(parameters=parameters))
        assert {name: content[name] for name in parameters} == parameters

    @pytest.mark.parametrize(("n", "expected"), [(1, None), (4, 4)])
    async def test_n(self, n: int, expected: int | None):
        """`n` goes out where several samples are wanted: some servers refuse to hear of it at all."""
        _, content = await sent(make_request(n=n))
        assert content.get("n") == expected

    async def test_extra_body(self):
        """`extra_body` goes out too, and wins."""
        extra = {"chat_template_kwargs": {"enable_thinking": False}, "temperature": 0}
        _, content = await sent(make_request(parameters={"temperature": 1}), extra_body=extra)
        assert {name: content[name] for name in extra} == extra

    async def test_null(self):
        """A null in it takes a parameter out, for a model that refuses to hear of it."""
        _, content = await sent(make_request(parameters={"temperature": 0}), extra_body={"temperature": None})
        assert "temperature" not in content

    async def test_thinking(self):
        """An effort goes out by its name in the API."""
        _, content = await sent(make_request(parameters={"thinking": {"effort": "low"}}))
        assert content["reasoning_effort"] == "low"
        assert "thinking" not in content

    @pytest.mark.parametrize("thinking", [{}, {"thinking": {"effort": "low"}}], ids=repr)
    @pytest.mark.parametrize(
        ("base_url", "name"),
        [
            ("http://server/v1", "max_tokens"),
            ("https://api.openai.com.example/v1", "max_tokens"),
            ("https://api.openai.com/v1", "max_completion_tokens"),
            ("https://api.openai.com/v1/", "max_completion_tokens"),
            ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ],
    )
    async def test_max_tokens(self, base_url: str, name: str, thinking: dict[str, Any]):
        """OpenAI's own reasoning models know the token limit by another name only; the spec needn't say which models reason."""
        _, content = await sent(make_request(parameters={"max_tokens": 9, **thinking}), base_url=base_url)
        assert {each: content[each] for each in content if "max" in each} == {name: 9}

    async def test_max_tokens_of_extra_body(self):
        """`extra_body` says otherwise where it has to."""
        _, content = await sent(
            make_request(parameters={"max_tokens": 9}), base_url="https://api.openai.com/v1", extra_body={"max_tokens": 5}
        )
        assert {each: content[each] for each in content if "max" in each} == {"max_tokens": 5}

    async def test_no_budget(self):
        """A budget of reasoning tokens is refused before anything is spent: the API has none."""
        teacher = make(make_options(provider="openai"), api_key=None)
        teacher.check({"thinking": {"effort": "high"}, "stop": ["x"]})
        with pytest.raises(SpecError, match=r"^sampling\.thinking\.budget_tokens: "):
            teacher.check({"thinking": {"budget_tokens": 2048}})
        await teacher.aclose()

    @pytest.mark.parametrize(("url", "most"), [("https://api.openai.com/v1", 20), ("http://127.0.0.1:1/v1", 1_000)])
    async def test_most_logprobs(self, url: str, most: int):
        """OpenAI itself has a bound on alternatives that is known; other servers say theirs."""
        teacher = OpenAITeacher(model="m-1", base_url=url)
        teacher.check(SamplingOptions(logprobs=most).parameters())
        if most < 1_000:
            with pytest.raises(SpecError, match=r"^sampling\.logprobs: .* 20 at most"):
                teacher.check(SamplingOptions(logprobs=most + 1).parameters())
        await teacher.aclose()

    async def test_logprobs_asked_for(self):
        """Alternatives are asked for by the API's two names."""
        _, content = await sent(make_request(parameters=SamplingOptions(logprobs=5).parameters()))
        assert (content["logprobs"], content["top_logprobs"]) == (True, 5)

    async def test_key(self):
        """The key goes out as a bearer token."""
        http, _ = await sent(make_request(), api_key="sk-secret")
        assert http.headers["authorization"] == "Bearer sk-secret"

    async def test_no_key(self, monkeypatch: pytest.MonkeyPatch):
        """Where the spec names no key, none of the environment's goes to a server of the spec's."""
        monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
        http, _ = await sent(make_request())
        assert "sk-environment" not in str(http.headers.raw)

    @pytest.mark.parametrize(
        ("extra", "identity"), [({}, {}), ({"top_k": 5}, {"extra_body": {"top_k": 5}})], ids=["none", "some"]
    )
    async def test_identity(self, extra: dict[str, Any], identity: dict[str, Any]):
        """`extra_body` is a part of the samples' identity; a server's address, key and limits aren't."""
        teacher = OpenAITeacher(model="m", base_url="http://a/v1", api_key="k", concurrency=3, timeout_s=1, extra_body=extra)
        assert teacher.identity == identity
        await teacher.aclose()


class TestMake:
    """From a spec's options."""

    async def test_options(self):
        """Every option of the spec's reaches the teacher."""
        given = {
            "model": "m",
            "base_url": "http://a/v1",
            "timeout_s": 5,
            "limits": {"concurrency": 3},
            "extra_body": {"top_k": 5},
        }
        teacher = make(make_options(provider="openai", **given), api_key="sk-1")
        found = (teacher.model, teacher.base_url, teacher.timeout_s, teacher.concurrency, teacher.extra_body, teacher.api_key)
        assert found == ("m", "http://a/v1", 5, 3, {"top_k": 5}, "sk-1")
        await teacher.aclose()

    @pytest.mark.parametrize("api", ["chat", "responses"])
    async def test_api(self, api: str):
        """The spec says which of the two APIs is asked."""
        teacher = make(make_options(provider="openai", api=api), api_key="sk-1")
        assert teacher.path == {"chat": "/chat/completions", "responses": "/responses"}[api]
        await teacher.aclose()

    async def test_default(self):
        """Without an address, it is OpenAI's own."""
        teacher = make(make_options(provider="openai"), api_key="sk-1")
        assert teacher.base_url == "https://api.openai.com/v1"
        await teacher.aclose()


ANSWER = {"type": "text", "text": "4"}
REASONING = {
    "none": ({"content": "4"}, None, "4"),
    "reasoning_content (DeepSeek, vLLM, SGLang)": ({"content": "4", "reasoning_content": "two"}, "two", "4"),
    "reasoning (OpenRouter, Ollama)": ({"content": "4", "reasoning": "two"}, "two", "4"),
    "<think>": ({"content": "<think>two</think>4"}, "two", "4"),
    "</think> alone": ({"content": "two</think>4"}, "two", "4"),
    "null": ({"content": "4", "reasoning_content": None, "reasoning": None}, None, "4"),
    "empty": ({"content": "4", "reasoning_content": ""}, None, "4"),
    "its own field before tags": ({"content": "<think>x</think>4", "reasoning_content": "two"}, "two", "<think>x</think>4"),
    "nothing but reasoning": ({"content": None, "reasoning_content": "two"}, "two", ""),
    "typed parts": (
        {"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "4"}, {"type": "text", "text": "2"}]},
        None,
        "42",
    ),
    "typed parts that think (Mistral)": (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "tw"}, {"type": "text", "text": "o"}]}, ANSWER]},
        "two",
        "4",
    ),
    "typed parts with a summary (Databricks)": (
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "two"}]}, ANSWER]},
        "two",
        "4",
    ),
    "reasoning_details (OpenRouter, MiniMax)": (
        {
            "content": "4",
            "reasoning_details": [{"type": "reasoning.text", "text": "one"}, {"type": "reasoning.summary", "summary": "two"}],
        },
        "one\n\ntwo",
        "4",
    ),
    "reasoning_details that are encrypted": (
        {"content": "4", "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA"}]},
        None,
        "4",
    ),
    "a refusal": ({"content": None, "refusal": "I can't."}, None, "I can't."),
}


class TestReceived:
    """What comes back."""

    async def test_completion(self):
        """Choices and billed tokens are the server's."""
        usage = {"prompt_tokens": 5, "completion_tokens": 70, "completion_tokens_details": {"reasoning_tokens": 40}}
        found = await ask(body("4", "5", usage=usage))
        choices = (Choice(response="4"), Choice(response="5"))
        assert found == Completion(choices=choices, tokens_in=5, tokens_out=70, tokens_reasoning=40)

    @pytest.mark.parametrize(
        ("model", "revision"),
        [("fake-1-2026-01-31", "fake-1-2026-01-31"), ("m-1", None), (None, None), (7, None), ("a\nb", None), ("x" * 201, None)],
    )
    async def test_revision(self, model: Any, revision: str | None):
        """A server that answers by another name than was asked for says which revision that is; its software's version doesn't."""
        assert (await ask(body("4") | {"model": model, "system_fingerprint": "b1-abc"})).revision == revision

    @pytest.mark.parametrize(("message", "thought", "text"), REASONING.values(), ids=REASONING)
    async def test_reasoning(self, message: dict[str, Any], thought: str | None, text: str):
        """Reasoning is told from the answer wherever a server puts it."""
        (found,) = (await ask(body(message))).choices
        assert (found.reasoning, found.response) == (thought, text)

    @pytest.mark.parametrize("content", ["", None], ids=repr)
    async def test_empty(self, content: str | None):
        """An empty message is an empty choice: whether it is asked for again is decided elsewhere."""
        assert (await ask(body({"content": content}))).choices == (Choice(response=""),)

    @pytest.mark.parametrize(("given", "expected"), [("length", "length"), (None, "unknown")], ids=repr)
    async def test_finish_reason(self, given: str | None, expected: str):
        """The finish reason is the server's, or unknown."""
        (found,) = (await ask(choice(finish_reason=given))).choices
        assert found.finish_reason == expected

    @pytest.mark.parametrize(
        ("given", "expected"), [("stop", "refusal"), (None, "refusal"), ("content_filter", "content_filter")]
    )
    async def test_refusal(self, given: str | None, expected: str):
        """A refusal is told from an answer by its finish reason, though OpenAI says that the model stopped."""
        refusal = {"role": "assistant", "content": None, "refusal": "I can't."}
        (found,) = (await ask(choice(message=refusal, finish_reason=given))).choices
        assert (found.response, found.finish_reason) == ("I can't.", expected)

    @pytest.mark.parametrize("reason", ["error", "abort"])
    async def test_broken_off(self, reason: str):
        """What a server gave up in the middle is no answer: it is asked for again, and what is billed for it is told."""
        with pytest.raises(BrokenOff, match=f"finish_reason {reason}") as caught:
            await ask(choice(finish_reason=reason) | {"usage": {"prompt_tokens": 5, "completion_tokens": 7}})
        assert caught.value.retryable
        assert caught.value.usage == Usage(tokens_in=5, tokens_out=7)

    async def test_one_of_several_broken_off(self):
        """Where others are whole, they are kept, with the bill for all."""
        choices = [{"message": {"content": said}, "finish_reason": ended} for said, ended in (("4", "stop"), ("fo", "error"))]
        found = await ask({"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 7}})
        assert found == Completion(choices=(Choice(response="4"),), tokens_in=5, tokens_out=7)

    @pytest.mark.parametrize(
        "usage",
        [{}, {"usage": None}, {"usage": {}}, {"usage": {"prompt_tokens": None, "completion_tokens_details": None}}],
        ids=repr,
    )
    async def test_no_usage(self, usage: dict[str, Any]):
        """Where the server counts nothing, four characters are a token: at nothing, a budget would never be spent."""
        found = await ask(choice() | usage)
        assert (found.tokens_in, found.tokens_out, found.tokens_reasoning) == (4, 1, 0)

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            ("none", (4, 1, 0)),
            ([1], (4, 1, 0)),
            ({"prompt_tokens": "many", "completion_tokens": [1]}, (4, 1, 0)),
            ({"prompt_tokens": 1e400, "completion_tokens": -1}, (4, 1, 0)),
            ({"completion_tokens": 7}, (4, 7, 0)),
            ({"prompt_tokens": "5", "completion_tokens": 7.0, "completion_tokens_details": "x"}, (5, 7, 0)),
            ({"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": "3"}}, (5, 7, 3)),
        ],
        ids=repr,
    )
    async def test_odd_usage(self, usage: Any, expected: tuple[int, ...]):
        """An answer that was paid for is kept however its server counts it: what is no number is counted as where there is none."""
        found = await ask(choice() | {"usage": usage})
        assert found.choices == (Choice(response="4", finish_reason="unknown"),)
        assert (found.tokens_in, found.tokens_out, found.tokens_reasoning) == expected

    @pytest.mark.parametrize(
        ("completion", "reasoning", "total", "out"),
        [(9, 94, 135, 103), (103, 94, 135, 103), (9, 94, None, 103), (9, 5, 46, 14), (9, None, 99, 67)],
        ids=["xAI", "OpenAI", "beside, without a total", "beside, and less", "Gemini"],
    )
    async def test_reasoning_beside_the_completion(self, completion: int, reasoning: int | None, total: int | None, out: int):
        """Reasoning is billed whether a server counts it in its completion or beside it."""
        details = {"reasoning_tokens": reasoning}
        usage = {
            "prompt_tokens": 32,
            "completion_tokens": completion,
            "total_tokens": total,
            "completion_tokens_details": details,
        }
        found = await ask(body("8", usage=usage))
        assert (found.tokens_in, found.tokens_out, found.tokens_reasoning) == (32, out, reasoning or 0)
        assert PriceOptions(input=2, output=10, reasoning=5).cost(found) > 0

    async def test_more_cached_than_sent(self):
        """What is cached is never more than what was sent: no cost is negative."""
        usage = {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 5_000},
        }
        found = await ask(body("8", usage=usage))
        assert (found.tokens_in, found.tokens_cached, found.tokens_cache_written) == (10, 8, 2)
        assert PriceOptions(input=2, output=10, cached_input=0.5, cache_write=0).cost(found) == pytest.approx(54e-6)

    async def test_logprobs(self):
        """Log-probabilities keep the tokens' bytes, which may be parts of characters, and the alternatives."""
        top = [{"token": "4", "bytes": [52], "logprob": -0.25}, {"token": "5", "bytes": None, "logprob": -2}]
        content = [{"token": "?", "bytes": [0xF0, 0x9F], "logprob": -3.0, "top_logprobs": top}, {"token": "ä", "logprob": 0}]
        (found,) = (await ask(choice(logprobs={"content": content}))).choices
        assert found.logprobs == Logprobs(
            tokens=(b"\xf0\x9f", "ä".encode()),
            ids=None,
            logprobs=(-3.0, 0.0),
            counts=(2, 0),
            top_tokens=(b"4", b"5"),
            top_ids=None,
            top_logprobs=(-0.25, -2.0),
            rest=(pytest.approx(1 - math.exp(-0.25) - math.exp(-2) - math.exp(-3)), 0.0),
        )

    async def test_logprobs_of_a_refusal(self):
        """A refusal has its own."""
        given = {"content": None, "refusal": [{"token": "No", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
        (found,) = (await ask(choice(message={"content": None, "refusal": "No"}, logprobs=given))).choices
        assert (found.response, found.logprobs and found.logprobs.tokens) == ("No", (b"No",))

    async def test_logprobs_of_reasoning(self):
        """They cover what the server generated, reasoning and all."""
        said = ["<think>", "hm", "</think>", " 4"]
        content = [{"token": each, "logprob": -0.5, "top_logprobs": []} for each in said]
        (found,) = (await ask(choice(message={"content": "".join(said)}, logprobs={"content": content}))).choices
        assert (found.response, found.reasoning) == ("4", "hm")
        assert found.logprobs is not None
        assert found.logprobs.tokens == tuple(each.encode() for each in said)

    @pytest.mark.parametrize("given", [None, {}, {"content": None}, {"content": []}], ids=repr)
    async def test_no_logprobs(self, given: dict[str, Any] | None):
        """None are none."""
        (found,) = (await ask(choice(logprobs=given))).choices
        assert found.logprobs is None

    async def test_cached(self):
        """What was read from the server's prompt cache, and written to it, is told from the rest."""
        usage = {
            "prompt_tokens": 50,
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 9},
        }
        found = await ask(body("4", usage=usage))
        assert (found.tokens_in, found.tokens_cached, found.tokens_cache_written) == (50, 30, 9)

    async def test_half_a_surrogate_pair(self):
        """A text that JSON can carry and UTF-8 can't was paid for: it arrives."""
        (found,) = (await ask(b'{"choices": [{"message": {"content": "4\\ud83d"}}]}')).choices
        assert found.response == "4\ud83d"

    async def test_not_a_number(self):
        """So does a response with NaN among its probabilities."""
        raw = b'{"choices": [{"message": {"content": "4"}, "logprobs": {"content": [{"token": "4", "logprob": -Infinity}]}}]}'
        (found,) = (await ask(raw)).choices
        assert found.logprobs is not None
        assert found.logprobs.logprobs == (-math.inf,)


MALFORMED = {
    "nothing": b"",
    "HTML": b"<html>502 from a proxy</html>",
    "half": b'{"choices": [{"mess',
    "not UTF-8": b'{"choices": "\xff"}',
    "a list": [],
    "null": None,
    "a text": "4",
    "no choices at all": {"id": "x"},
    "an error with status 200": {"error": {"message": "overloaded"}},
    "choices that are null": {"choices": None},
    "no choices": {"choices": []},
    "a choice that is null": {"choices": [None]},
    "a choice without a message": {"choices": [{"text": "4"}]},
    "a message that is a text": choice(message="4"),
    "content that is a number": choice(message={"content": 4}),
    "content that is an object": choice(message={"content": {"text": "4"}, "reasoning": "two"}),
    "a part that is a text": choice(message={"content": ["4"]}),
    "a part without a text": choice(message={"content": [{"type": "text", "text": None}]}),
    "reasoning that is a list": choice(message={"content": "4", "reasoning": ["two"]}),
    "a finish reason that is an object": choice(finish_reason={"type": "stop"}),
    "a refusal that is an object": choice(message={"content": "", "refusal": {"why": "no"}}),
    "logprobs that are a text": choice(logprobs={"content": ["4"]}),
    "a logprob that is null": choice(logprobs={"content": [{"token": "4", "logprob": None}]}),
    "a byte that isn't one": choice(logprobs={"content": [{"token": "4", "logprob": 0, "bytes": [256]}]}),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_malformed(content: Any):
    """Whatever isn't a chat completion is a bad response, never a crash, and never a record that no table can hold."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(BadResponse):
        await ask(raw)


@pytest.mark.parametrize(
    "name", ["no choices at all", "choices that are null", "a choice that is null", "content that is a number"]
)
async def test_malformed_and_billed(name: str):
    """Where it says what it used, that is told: it was paid for."""
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    with pytest.raises(Malformed, match="it begins") as caught:
        await ask(MALFORMED[name] | {"usage": usage})
    assert caught.value.usage == Usage(tokens_in=5, tokens_out=7)


async def test_one_of_several_malformed():
    """Where others are whole, they are kept: they were paid for."""
    found = await ask(body("4", "5") | {"choices": [*body("4", "5")["choices"], {"message": None}]})
    assert [each.response for each in found.choices] == ["4", "5"]


async def test_no_choice_that_is_billed():
    """A response without a choice, as some servers give for a prompt that they refuse, says what it cost all the same."""
    with pytest.raises(NoChoices, match="has no choices") as caught:
        await ask({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}})
    assert caught.value.usage == Usage(tokens_in=5)
