"""OpenAI's Responses, over a transport that answers from a function: what is sent, and what a response becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response

from storage.errors import BadResponse, SpecError
from storage.records import Message
from tasks.teachers.openai import make
from tasks.teachers.protocol import Choice, Completion, Malformed, Request
from tasks.teachers.responses import ResponsesTeacher
from tests.fakes import make_options, make_request
from tests.tasks.teachers import test_chat


def text(said: str = "4") -> dict[str, Any]:
    """Return an output message."""
    part = {"type": "output_text", "text": said, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def thought(*summaries: str, **more: Any) -> dict[str, Any]:
    """Return a reasoning item."""
    summary = [{"type": "summary_text", "text": each} for each in summaries]
    return {"type": "reasoning", "id": "rs_1", "summary": summary} | more


def body(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a response body with these items."""
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 9},
        "output_tokens": 70,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 120,
    }
    whole = {"id": "resp_1", "object": "response", "model": "m-1", "status": "completed", "output": output, "usage": usage}
    return whole | more


async def ask(answer: bytes | dict[str, Any], request: Request | None = None) -> Completion:
    """Ask once, and get this answer."""
    return await test_chat.ask(answer, request, kind=ResponsesTeacher)


async def sent(request: Request, **given: Any) -> tuple[str, dict[str, Any]]:
    """Return the address and the body of what goes out."""
    http, content = await test_chat.sent(request, body(text()), kind=ResponsesTeacher, **given)
    return f"{http.method} {http.url}", content


class TestSent:
    """What goes out."""

    async def test_least(self):
        """What the spec leaves out isn't sent, and the server is asked to keep nothing."""
        address, content = await sent(make_request("Hi"))
        assert address == "POST http://server/v1/responses"
        turn = {"type": "message", "role": "user", "content": "Hi"}
        assert content == {"model": "m-1", "input": [turn], "store": False}

    async def test_conversation(self):
        """All turns go out with their roles."""
        turns = [("system", "Ä"), ("user", "a"), ("assistant", "b"), ("user", "c")]
        messages = tuple(Message(role=role, content=said) for role, said in turns)  # type: ignore[arg-type]
        _, content = await sent(make_request(messages=messages))
        assert [(turn["role"], turn["content"]) for turn in content["input"]] == turns

    async def test_parameters(self):
        """Sampling parameters go out by the API's names; a seed doesn't, since it knows none."""
        _, content = await sent(make_request(parameters={"temperature": 0.8, "top_p": 0.9, "max_tokens": 256, "seed": 11}))
        assert {name: content[name] for name in content if name not in {"model", "input", "store"}} == {
            "temperature": 0.8,
            "top_p": 0.9,
            "max_output_tokens": 256,
        }

    async def test_thinking(self):
        """An effort asks for a summary of the reasoning too, and for the reasoning as the server signs it."""
        _, content = await sent(make_request(parameters={"thinking": {"effort": "high"}}))
        assert content["reasoning"] == {"effort": "high", "summary": "auto"}
        assert content["include"] == ["reasoning.encrypted_content"]
        assert "thinking" not in content

    async def test_logprobs(self):
        """Alternatives are asked for by the API's own names, beside what else is to be sent on top."""
        _, content = await sent(make_request(parameters={"logprobs": True, "top_logprobs": 5, "thinking": {"effort": "low"}}))
        assert content["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
        assert content["top_logprobs"] == 5
        assert "logprobs" not in content

    async def test_schema(self):
        """The form that a judge asks for is where the API has it."""
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": {"type": "object"}, "strict": True}}
        _, content = await sent(make_request(parameters={"response_format": form}))
        assert content["text"] == {
            "format": {"type": "json_schema", "name": "verdict", "schema": {"type": "object"}, "strict": True}
        }
        assert "response_format" not in content

    async def test_identity(self):
        """A sample of this API is none of the other's."""
        teacher = ResponsesTeacher(model="m", extra_body={"a": 1})
        assert teacher.identity == {"api": "responses", "extra_body": {"a": 1}}
        await teacher.aclose()


class TestRefused:
    """What the API has no way to say is refused before anything is spent."""

    @pytest.mark.parametrize(
        ("parameters", "said"),
        [({"stop": ["x"]}, r"^sampling\.stop: "), ({"thinking": {"budget_tokens": 9}}, r"^sampling\.thinking\.budget_tokens: ")],
        ids=["stop", "a budget"],
    )
    async def test_sampling(self, parameters: dict[str, Any], said: str):
        """One line says which part of `sampling`."""
        teacher = ResponsesTeacher(model="m")
        teacher.check({"temperature": 1, "thinking": {"effort": "low"}})
        with pytest.raises(SpecError, match=said):
            teacher.check(parameters)
        await teacher.aclose()

    @pytest.mark.parametrize("given", [{"samples_per_request": 2}, {"extra_body": {"background": True}}], ids=repr)
    def test_options(self, given: dict[str, Any]):
        """One line names the teacher and the option."""
        with pytest.raises(SpecError, match=rf"teacher 'smol': {next(iter(given))}"):
            make(make_options(provider="openai", api="responses", **given), api_key=None)


async def test_logprobs_beyond_the_api():
    """OpenAI's bound on alternatives holds here too."""
    teacher = ResponsesTeacher(model="m")
    with pytest.raises(SpecError, match=r"^sampling\.logprobs: "):
        teacher.check({"logprobs": True, "top_logprobs": 21})
    await teacher.aclose()


class TestReceived:
    """What comes back."""

    async def test_logprobs(self):
        """Distributions of all parts of the text follow one another."""
        given = [{"token": each, "bytes": list(each.encode()), "logprob": -0.5, "top_logprobs": []} for each in ("4", " ä")]
        parts = [{"type": "output_text", "text": each["token"], "annotations": [], "logprobs": [each]} for each in given]
        (found,) = (await ask(body({**text(), "content": parts}))).choices
        assert found.response == "4 ä"
        assert found.logprobs is not None
        assert found.logprobs.tokens == (b"4", " ä".encode())

    async def test_completion(self):
        """Answer, summaries of the reasoning and billed tokens are the server's."""
        sealed = thought("First.", "Then.", encrypted_content="c2VhbA==")
        found = await ask(body(sealed, text("4")))
        (choice,) = found.choices
        assert (choice.response, choice.reasoning, choice.finish_reason) == ("4", "First.\n\nThen.", "stop")
        assert json.loads(choice.reasoning_blocks or "") == [sealed]
        assert (found.tokens_in, found.tokens_out, found.tokens_reasoning) == (50, 70, 40)
        assert (found.tokens_cached, found.tokens_cache_written) == (30, 9)

    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            ([thought("a"), text("4")], Choice(response="4", reasoning="a")),
            ([thought(), text("4")], Choice(response="4")),
            (
                [thought("short", content=[{"type": "reasoning_text", "text": "whole"}]), text("4")],
                Choice(response="4", reasoning="whole"),
            ),
            ([text("<think>two</think>4")], Choice(response="4", reasoning="two")),
            ([text("4"), {"type": "web_search_call", "id": "ws_1"}, text("2")], Choice(response="42")),
            (
                [{"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]}],
                Choice(response="I can't.", finish_reason="refusal"),
            ),
        ],
        ids=["a summary", "none shown", "the reasoning itself", "<think>", "several items", "a refusal"],
    )
    async def test_choice(self, output: list[dict[str, Any]], expected: Choice):
        """Reasoning is told from the answer, and a refusal from both."""
        assert (await ask(body(*output))).choices == (expected,)

    @pytest.mark.parametrize(
        ("details", "expected"),
        [({"reason": "max_output_tokens"}, "length"), ({"reason": "content_filter"}, "content_filter"), (None, "unknown")],
        ids=repr,
    )
    async def test_incomplete(self, details: dict[str, Any] | None, expected: str):
        """What was cut off says so."""
        found = await ask(body(text("4"), status="incomplete", incomplete_details=details))
        assert found.choices[0].finish_reason == expected

    @pytest.mark.parametrize("usage", [None, "none", [1], {"input_tokens": "many", "output_tokens_details": [1]}], ids=repr)
    async def test_not_counted(self, usage: Any):
        """Where the server counts nothing, or nothing that makes sense, four characters are a token."""
        found = await ask(body(text("4"), usage=usage))
        assert (found.tokens_in, found.tokens_out) == (4, 1)

    async def test_reasoning_beside_the_output(self):
        """Reasoning that a server counts beside the output is billed too."""
        usage = {"input_tokens": 5, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 52}
        assert (await ask(body(text("4"), usage=usage))).tokens_out == 47

    async def test_as_the_sdk_reads_it(self):
        """The SDK's own model of a response finds the same text and the same usage."""
        raw = body(thought("a", encrypted_content="c2VhbA=="), text("4"))
        theirs, ours = (
            Response.model_validate(raw | {"created_at": 1, "parallel_tool_calls": False, "tools": [], "tool_choice": "auto"}),
            await ask(raw),
        )
        assert theirs.usage is not None
        assert ours.choices[0].response == theirs.output_text
        assert (ours.tokens_in, ours.tokens_out) == (theirs.usage.input_tokens, theirs.usage.output_tokens)


MALFORMED = {
    "nothing": b"",
    "a list": [],
    "no status": {"output": []},
    "one that failed": body(status="failed", error={"code": "server_error", "message": "overloaded"}),
    "one that isn't finished": body(text(), status="in_progress"),
    "no output": {"status": "completed"},
    "output that is null": body() | {"output": None},
    "an item that is null": body(None),  # type: ignore[arg-type]
    "an item without a type": body({"content": []}),
    "a message without content": body({"type": "message"}),
    "a text that is a number": body(text(4)),  # type: ignore[arg-type]
    "a text that is null": body(text(None)),  # type: ignore[arg-type]
    "a summary that is a number": body(thought(4), text()),  # type: ignore[arg-type]
    "a reason that is an object": body(text(), status="incomplete", incomplete_details={"reason": {"a": 1}}),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_malformed(content: Any):
    """Whatever isn't a whole response is a bad one, never a crash, and never a record that no table can hold."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(BadResponse):
        await ask(raw)


async def test_why_it_failed():
    """What the server says of its failure is told, and what it bills for it."""
    with pytest.raises(Malformed, match="the response is failed: overloaded") as caught:
        await ask(body(status="failed", error={"code": "server_error", "message": "overloaded"}))
    assert (caught.value.usage.tokens_in, caught.value.usage.tokens_out) == (50, 70)
