"""Anthropic's Messages, over a transport that answers from a function: what is sent, and what a response becomes."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from storage.errors import BadResponse, SpecError
from storage.records import Message
from tasks.teachers.anthropic import JUDGE_TOKENS, AnthropicTeacher, make
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Choice, Completion, Malformed, Request, Usage
from tests.fakes import make_options, make_request
from tests.tasks.teachers import test_chat

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


def text(said: str = "4") -> dict[str, Any]:
    """Return a block of the answer."""
    return {"type": "text", "text": said}


def thought(said: str, signature: str = "") -> dict[str, Any]:
    """Return a block of the reasoning."""
    return {"type": "thinking", "thinking": said, "signature": signature}


def body(*content: dict[str, Any], stop_reason: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    """Return a response body with these blocks."""
    usage = {"input_tokens": 5, "output_tokens": 7}
    return {"type": "message", "role": "assistant", "content": content, "stop_reason": stop_reason, "usage": usage} | more


async def ask(answer: test_chat.Handler | bytes | dict[str, Any], request: Request | None = None, **given: Any) -> Completion:
    """Ask once over a transport that answers by a function, or always the same."""
    return await test_chat.ask(answer, request, kind=AnthropicTeacher, **given)


async def sent(request: Request, **given: Any) -> tuple[httpx2.Request, dict[str, Any]]:
    """Return the HTTP request, and its body."""
    return await test_chat.sent(request, body(text()), kind=AnthropicTeacher, **given)


class TestSent:
    """What goes out."""

    async def test_least(self):
        """The API wants a bound on the answer, so one is sent where a request of our own names none."""
        http, content = await sent(make_request("Hi"))
        assert (http.method, str(http.url)) == ("POST", "http://server/v1/messages")
        assert http.headers["anthropic-version"]
        assert content == {"model": "m-1", "max_tokens": JUDGE_TOKENS, "messages": [{"role": "user", "content": "Hi"}]}

    async def test_system(self):
        """The system text goes out apart, marked as worth caching: all prompts share it."""
        turns = [("system", "Ä"), ("user", "a"), ("assistant", "b"), ("user", "c")]
        messages = tuple(Message(role=role, content=said) for role, said in turns)  # type: ignore[arg-type]
        _, content = await sent(make_request(messages=messages))
        assert content["system"] == [{"type": "text", "text": "Ä", "cache_control": {"type": "ephemeral"}}]
        assert [(turn["role"], turn["content"]) for turn in content["messages"]] == turns[1:]

    async def test_blank_system(self):
        """A blank system text, which the API refuses, is left out."""
        _, content = await sent(make_request(messages=(Message(role="system", content=" "), Message(role="user", content="a"))))
        assert "system" not in content

    async def test_parameters(self):
        """Sampling parameters go out by the API's names; a seed doesn't, since it knows none."""
        parameters = {"temperature": 0.8, "top_p": 0.9, "max_tokens": 256, "seed": 11, "stop": ["\n"]}
        _, content = await sent(make_request(parameters=parameters))
        assert {name: content[name] for name in content if name not in {"model", "messages"}} == {
            "temperature": 0.8,
            "top_p": 0.9,
            "max_tokens": 256,
            "stop_sequences": ["\n"],
        }

    async def test_budget(self):
        """A budget turns thinking on."""
        _, content = await sent(make_request(parameters={"max_tokens": 4096, "thinking": {"budget_tokens": 2048}}))
        assert content["thinking"] == {"type": "enabled", "budget_tokens": 2048}
        assert "output_config" not in content

    async def test_effort(self):
        """An effort leaves the budget to the model, which is asked to show what it thought."""
        _, content = await sent(make_request(parameters={"max_tokens": 4096, "thinking": {"effort": "low"}}))
        assert content["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert content["output_config"] == {"effort": "low"}

    async def test_schema(self):
        """The form that a judge asks for is where the API has it."""
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": {"type": "object"}, "strict": True}}
        _, content = await sent(make_request(parameters={"temperature": 0, "response_format": form}))
        assert content["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
        assert "response_format" not in content

    async def test_extra_body(self):
        """`extra_body` goes out too, and wins; a null takes a parameter out."""
        extra = {"top_k": 5, "max_tokens": 9, "temperature": None}
        _, content = await sent(make_request(parameters={"temperature": 0, "max_tokens": 256}), extra_body=extra)
        assert (content["top_k"], content["max_tokens"], "temperature" in content) == (5, 9, False)

    async def test_key(self):
        """The key goes out as the SDK has it."""
        http, _ = await sent(make_request(), api_key="sk-secret")
        assert http.headers["authorization"] == "Bearer sk-secret"

    async def test_no_key(self, monkeypatch: pytest.MonkeyPatch):
        """Where the spec names no key, none of the environment's goes to a server of the spec's."""
        for name in KEYS:
            monkeypatch.setenv(name, "sk-environment")
        http, _ = await sent(make_request())
        assert "sk-environment" not in str(http.headers.raw)

    async def test_identity(self):
        """`extra_body` is a part of the samples' identity; a server's address, key and limits aren't."""
        given: dict[str, Any] = {"model": "m", "base_url": "http://a/v1", "api_key": "k", "concurrency": 3}
        for extra, identity in (({}, {}), ({"top_k": 5}, {"extra_body": {"top_k": 5}})):
            teacher = AnthropicTeacher(**given, extra_body=extra)
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
        teacher = make(make_options(provider="anthropic", **given), api_key="sk-1")
        found = (teacher.model, teacher.base_url, teacher.timeout_s, teacher.concurrency, teacher.extra_body, teacher.api_key)
        assert found == ("m", "http://a/v1", 5, 3, {"top_k": 5}, "sk-1")
        await teacher.aclose()

    async def test_default(self):
        """Without an address, it is Anthropic's own."""
        teacher = make(make_options(provider="anthropic"), api_key="sk-1")
        assert teacher.base_url == "https://api.anthropic.com/v1"
        await teacher.aclose()

    @pytest.mark.parametrize("given", [{"samples_per_request": 2}, {"api": "responses"}], ids=repr)
    def test_refused(self, given: dict[str, Any]):
        """What the API hasn't got is one line that names the teacher and the option."""
        with pytest.raises(SpecError, match=rf"teacher 'smol': {next(iter(given))}: "):
            make(make_options(provider="anthropic", **given), api_key=None)


LONG = {"max_tokens": 4096}
BUDGET = LONG | {"thinking": {"budget_tokens": 2048}}
EFFORT = LONG | {"thinking": {"effort": "low"}}
ALLOWED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a bound": ({"max_tokens": 1, "temperature": 0.2, "top_p": 0.1, "stop": ["x"]}, {}),
    "a bound of the teacher's own": ({}, {"max_tokens": 9}),
    "a budget": (BUDGET, {}),
    "a budget and what goes with it": (BUDGET | {"temperature": 1, "top_p": 0.95}, {}),
    "a budget that another bound has room for": ({"max_tokens": 9, "thinking": {"budget_tokens": 2048}}, LONG),
    "an effort": (EFFORT, {}),
    "a temperature that is taken out": (EFFORT | {"temperature": 0.5}, {"temperature": None}),
}
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no bound": ({"temperature": 1}, {}, r"^sampling\.max_tokens: "),
    "a bound that is taken out": (LONG, {"max_tokens": None}, r"^sampling\.max_tokens: "),
    "too small a budget": (LONG | {"thinking": {"budget_tokens": 1023}}, {}, r"^sampling\.thinking\.budget_tokens: .*1024"),
    "no room for the answer": (BUDGET | {"max_tokens": 2048}, {}, r"^sampling\.thinking\.budget_tokens: .*2048"),
    "no room in another bound": (BUDGET, {"max_tokens": 2000}, r"^sampling\.thinking\.budget_tokens: .*2000"),
    "a temperature beside a budget": (BUDGET | {"temperature": 0.7}, {}, r"^sampling\.temperature: "),
    "a temperature beside an effort": (EFFORT | {"temperature": 0}, {}, r"^sampling\.temperature: "),
    "alternatives": ({"max_tokens": 9, "logprobs": True, "top_logprobs": 5}, {}, r"^sampling\.logprobs: "),
    "a small top_p": (BUDGET | {"top_p": 0.9}, {}, r"^sampling\.top_p: "),
}


class TestCheck:
    """What the API would refuse is refused before anything is spent."""

    @pytest.mark.parametrize(("parameters", "extra"), ALLOWED.values(), ids=ALLOWED)
    async def test_allowed(self, parameters: dict[str, Any], extra: dict[str, Any]):
        """What it takes passes."""
        teacher = AnthropicTeacher(model="m", extra_body=extra)
        teacher.check(parameters)
        await teacher.aclose()

    @pytest.mark.parametrize(("parameters", "extra", "said"), REFUSED.values(), ids=REFUSED)
    async def test_refused(self, parameters: dict[str, Any], extra: dict[str, Any], said: str):
        """One line begins with the part of `sampling` that is wrong."""
        teacher = AnthropicTeacher(model="m", extra_body=extra)
        with pytest.raises(SpecError, match=said) as caught:
            teacher.check(parameters)
        assert "\n" not in str(caught.value)
        await teacher.aclose()


FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "refusal": "refusal",
    "model_context_window_exceeded": "model_context_window_exceeded",
    "pause_turn": "pause_turn",
    "something new": "something new",
    None: "unknown",
}
REDACTED = {"type": "redacted_thinking", "data": "c2VhbA=="}


class TestReceived:
    """What comes back."""

    async def test_completion(self):
        """Answer and billed tokens are the server's."""
        found = await ask(body(text("4")))
        assert found == Completion(choices=(Choice(response="4"),), tokens_in=5, tokens_out=7)

    async def test_usage(self):
        """The API counts cached prompt tokens apart from the others; here they are a part of `tokens_in`."""
        usage = {
            "input_tokens": 5,
            "cache_creation_input_tokens": 2000,
            "cache_read_input_tokens": 300,
            "output_tokens": 70,
            "output_tokens_details": {"thinking_tokens": 40},
        }
        found = await ask(body(text("4"), usage=usage))
        assert (found.tokens_in, found.tokens_cached, found.tokens_cache_written) == (2305, 300, 2000)
        assert (found.tokens_out, found.tokens_reasoning) == (70, 40)

    @pytest.mark.parametrize(
        "usage",
        [None, {}, {"input_tokens": None, "output_tokens_details": None}, "none", [1], {"input_tokens": "many"}],
        ids=repr,
    )
    async def test_no_usage(self, usage: Any):
        """Where the server counts nothing, or nothing that makes sense, four characters are a token."""
        found = await ask(body(text("4"), usage=usage))
        assert (found.tokens_in, found.tokens_out) == (4, 1)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ([text("4"), text("2")], Choice(response="42")),
            ([thought("two"), text("4")], Choice(response="4", reasoning="two")),
            ([text("<think>two</think>4")], Choice(response="4", reasoning="two")),
            ([thought("x"), text("<think>two</think>4")], Choice(response="<think>two</think>4", reasoning="x")),
            ([{"type": "server_tool_use", "id": "t"}, text("4")], Choice(response="4")),
        ],
        ids=["several texts", "not signed", "<think>", "its own field before tags", "another kind of block"],
    )
    async def test_choice(self, content: list[dict[str, Any]], expected: Choice):
        """Reasoning is told from the answer."""
        assert (await ask(body(*content))).choices == (expected,)

    async def test_blocks(self):
        """Signed and sealed reasoning is kept as it came, whatever characters it has, and its texts are read."""
        content = [thought("Ä\ud83d", "c2ln"), REDACTED, thought("Then.", "c2ln"), text("4")]
        (choice,) = (await ask(body(*content))).choices
        assert choice.reasoning == "Ä\ud83d\n\nThen."
        assert json.loads((choice.reasoning_blocks or "").encode()) == content[:3]

    @pytest.mark.parametrize("block", [REDACTED, thought("", "c2ln")], ids=["sealed", "omitted"])
    async def test_nothing_shown(self, block: dict[str, Any]):
        """Reasoning that nobody may read is kept too."""
        (choice,) = (await ask(body(block, text("4")))).choices
        assert (choice.reasoning, json.loads(choice.reasoning_blocks or "")) == (None, [block])

    @pytest.mark.parametrize(("said", "expected"), FINISHED.items(), ids=map(str, FINISHED))
    async def test_finish_reason(self, said: str | None, expected: str):
        """OpenAI's words where they fit, else as the server says."""
        (choice,) = (await ask(body(text(), stop_reason=said))).choices
        assert choice.finish_reason == expected

    async def test_paused(self):
        """A turn that the server pauses isn't whole: it counts as cut off."""
        (choice,) = (await ask(body(text("Let me"), stop_reason="pause_turn"))).choices
        assert RetryOptions(length="reject").policy(choice.finish_reason) == "reject"

    async def test_refusal(self):
        """A refusal may have no text at all, and is still a response that was paid for."""
        found = await ask(body(stop_reason="refusal", usage={"input_tokens": 5, "output_tokens": 1}))
        assert (found.choices, found.tokens_in) == ((Choice(response="", finish_reason="refusal"),), 5)

    async def test_allowance(self):
        """What the headers say of the account's limits goes with the response."""
        names = {"limit": "50", "remaining": "49", "reset": "2026-01-01T00:00:30Z"}
        headers = {f"anthropic-ratelimit-requests-{name}": value for name, value in names.items()}
        found = await ask(lambda http: httpx2.Response(200, headers=headers, json=body(text())))
        assert found.allowance is not None
        assert found.allowance.requests is not None
        assert (found.allowance.requests.limit, found.allowance.requests.remaining) == (50, 49)


MALFORMED = {
    "nothing": b"",
    "HTML": b"<html>502 from a proxy</html>",
    "a list": [],
    "null": None,
    "an error with status 200": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    "content that is null": body() | {"content": None},
    "content that is a text": body() | {"content": "4"},
    "a block that is null": body(None),  # type: ignore[arg-type]
    "a block without a type": body({"text": "4"}),
    "a text that is a number": body(text(4)),  # type: ignore[arg-type]
    "a thought that is a number": body(thought(4), text()),  # type: ignore[arg-type]
    "a stop reason that is a list": body(text(), stop_reason=["x"]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_malformed(content: Any):
    """Whatever isn't a message is a bad response, never a crash, and never a record that no table can hold."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(BadResponse):
        await ask(raw)


async def test_malformed_and_billed():
    """Where it says what it used, that is told: it was paid for."""
    with pytest.raises(Malformed) as caught:
        await ask(MALFORMED["content that is null"])
    assert caught.value.usage == Usage(tokens_in=5, tokens_out=7)
