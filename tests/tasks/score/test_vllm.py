"""Scoring by a vLLM server, over real HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from storage.errors import RequestRejected, SetupError, SpecError
from storage.records import Message
from tasks.score.answers import Answer, Shown
from tasks.score.protocol import Scored
from tasks.score.vllm import VllmScorer, make
from tasks.teachers.protocol import Malformed
from tests.fakes import make_options, user
from tests.tasks.score import fake_vllm
from tests.tasks.teachers.server import Reply, Serving, serving

TURNS = (Message(role="system", content="Be brief."), *user("Say hi."))
RESPONSE = Answer(response="Hi, né!")
TEXT = "Hi, né!<|im_end|>"
"""What is scored of it: also the end of its turn."""


def reply(body: dict[str, Any]) -> Reply:
    """Answer as vLLM does."""
    status, document = fake_vllm.answer(body)
    return status, {"content-type": "application/json"}, json.dumps(document).encode()


def scorer(seen: Serving, **given: Any) -> VllmScorer:
    """Return a scorer of a served model."""
    return make(make_options(provider="openai", model="m", base_url=seen.url, **given), api_key="sk-1234567890")


def before() -> list[int]:
    """Return the tokens behind which the model answers."""
    return fake_vllm.prompt_of([{"role": each.role, "content": each.content} for each in TURNS])


async def test_equal_to_the_model():
    """Each of the response's tokens, and the one that ends it, has the model's own log-probability, and the likeliest alternatives."""
    with serving(reply) as seen:
        asked = scorer(seen)
        found = await asked.score(TURNS, RESPONSE, 3)
        await asked.aclose()
    prompt, given = before(), fake_vllm.tokens(TEXT)
    logprobs = found.logprobs
    assert logprobs.ids == tuple(given)
    assert logprobs.tokens is None
    assert (found.ended, given[-1]) == (True, fake_vllm.END)
    assert logprobs.counts == (3,) * len(given)
    for place, token in enumerate(given):
        whole = fake_vllm.distribution(prompt + given[:place])
        best = sorted(whole, reverse=True)[:3]
        assert logprobs.logprobs[place] == pytest.approx(whole[token])
        assert list(logprobs.top_logprobs[3 * place : 3 * place + 3]) == pytest.approx(best)
        assert logprobs.top_ids is not None
        named = {token, *logprobs.top_ids[3 * place : 3 * place + 3]}
        assert logprobs.rest[place] == pytest.approx(1 - sum(math.exp(whole[each]) for each in named))
    assert (found.tokens_in, found.tokens_out) == (len(prompt) + len(given), 1)
    assert set(seen.keys) == {"Bearer sk-1234567890"}


async def test_no_alternatives():
    """With none asked for, the tokens' own log-probabilities come all the same."""
    with serving(reply) as seen:
        asked = scorer(seen)
        found = await asked.score(TURNS, RESPONSE, 0)
        await asked.aclose()
    assert len(found.logprobs) == len(fake_vllm.tokens(TEXT))
    assert found.logprobs.top_logprobs == ()
    assert found.logprobs.rest[0] == pytest.approx(1 - math.exp(found.logprobs.logprobs[0]))


async def test_a_conversation_is_tokenized_once():
    """Samples of one prompt share its tokens; what `extra_body` says of the template goes there, and the rest to the model."""
    with serving(reply) as seen:
        asked = scorer(seen, extra_body={"chat_template_kwargs": {"thinking": False}, "priority": 3})
        for response in ("One.", "Two."):
            await asked.score(TURNS, Answer(response=response), 1)
        await asked.aclose()
    conversations = [body for body in seen.bodies if "messages" in body and len(body["messages"]) == len(TURNS)]
    conversations = [body for body in conversations if body["messages"][-1]["role"] == "user"]
    scored = [body for body in seen.bodies if "prompt_logprobs" in body]
    assert [body["chat_template_kwargs"] for body in conversations] == [{"thinking": False}]
    assert [("chat_template_kwargs" in body, body["priority"]) for body in scored] == [(False, 3)] * 2
    assert sorted(set(seen.paths)) == ["/detokenize", "/tokenize", "/v1/completions"]
    assert len(seen.bodies) <= 12  # what the template does is asked once, then two requests a response


async def test_what_chat_completions_hands_to_the_template():
    """Documents and the effort are variables of the template there; /tokenize has no fields for them, so they are sent as such."""
    documents = [{"title": "Greetings", "text": "Hi."}]
    with serving(reply) as seen:
        asked = scorer(
            seen,
            extra_body={
                "documents": documents,
                "reasoning_effort": "low",
                "chat_template_kwargs": {"kind": "thinking", "reasoning_effort": "high"},
                "add_special_tokens": True,
                "top_k": 5,
            },
        )
        await asked.score(TURNS, RESPONSE, 1)
        await asked.aclose()
    (scored,) = [body for body in seen.bodies if "prompt_logprobs" in body]
    assert scored.keys() == {"model", "prompt", "max_tokens", "temperature", "top_k", "prompt_logprobs"}
    for body in (body for body in seen.bodies if "messages" in body):
        assert body["chat_template_kwargs"] == {
            "kind": "thinking",
            "documents": documents,
            "reasoning_effort": "low",
            "enable_thinking": True,
        }
        assert body["add_special_tokens"] is True
        assert not {"documents", "reasoning_effort"} & body.keys()


@pytest.mark.parametrize(
    ("given", "thinks"),
    [
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
    ids=str,
)
async def test_no_effort(given: dict[str, Any], thinks: bool):
    """An effort of none is no thinking, and what is said of thinking itself counts."""
    with serving(reply) as seen:
        asked = scorer(seen, extra_body=given)
        await asked.score(TURNS, RESPONSE, 1)
        await asked.aclose()
    assert {body["chat_template_kwargs"]["enable_thinking"] for body in seen.bodies if "messages" in body} == {thinks}


async def test_minus_infinity():
    """VLLM's -9999 stands for a probability of nothing."""

    def never(body: dict[str, Any]) -> Reply:
        status, document = fake_vllm.answer(body)
        if "choices" in document:
            last = document["choices"][0]["prompt_logprobs"][-1]
            last[str(body["prompt"][-1])] |= {"logprob": -9999.0, "rank": 260}
        return status, {"content-type": "application/json"}, json.dumps(document).encode()

    with serving(never) as seen:
        asked = scorer(seen)
        found = await asked.score(TURNS, RESPONSE, 2)
        await asked.aclose()
    assert found.logprobs.logprobs[-1] == -math.inf


async def thought(shown: Shown, kind: str) -> tuple[Scored, list[int], list[int]]:
    """Score a response with reasoning, and return what came of it, the tokens before it, and those that were scored."""
    with serving(reply) as seen:
        asked = scorer(seen, extra_body={"chat_template_kwargs": {"kind": kind}})
        try:
            found = await asked.score(TURNS, Answer.of("4", "2 and 2.", shown), 1)
        finally:
            await asked.aclose()
    (body,) = [body for body in seen.bodies if "prompt_logprobs" in body]
    number = len(found.logprobs)
    return found, body["prompt"][:-number], body["prompt"][-number:]


@pytest.mark.parametrize(
    ("shown", "kind", "said"),
    [
        ("think", "thinking", "<think>\n2 and 2.\n</think>\n\n4<|im_end|>"),
        ("turn", "thinking", "<think>\n2 and 2.\n</think>\n\n4<|im_end|>"),
        ("omit", "thinking", "4<|im_end|>"),
        ("think", "opened", "<think>\n2 and 2.\n</think>\n\n4<|im_end|>"),
        ("omit", "opened", "4<|im_end|>"),
    ],
)
async def test_reasoning(shown: Shown, kind: str, said: str):
    """Reasoning is scored in the form that the export has, behind the prompt of an answer; an open <think> is the answer's own."""
    found, prompt, given = await thought(shown, kind)
    assert prompt == before()
    assert fake_vllm.text_of(given) == said
    assert found.logprobs.ids == tuple(given)
    assert found.logprobs.logprobs[-1] == pytest.approx(fake_vllm.distribution(prompt + given[:-1])[fake_vllm.END])


@pytest.mark.parametrize(
    ("shown", "kind", "told"),
    [
        ("turn", "opened", "leaves out or changes the reasoning; use `--reasoning think`"),
        ("think", "closed", "ends the reasoning before an answer begins"),
        ("turn", "closed", "writes a prompt otherwise where an answer follows"),
    ],
)
async def test_reasoning_that_cannot_be_shown(shown: Shown, kind: str, told: str):
    """Where the template has no place for the reasoning, one line says so; nothing is scored in its stead."""
    with pytest.raises(RequestRejected, match=told):
        await thought(shown, kind)


async def test_a_template_without_an_end():
    """Where no special token ends a turn, the response's own tokens are all that is scored."""

    def endless(body: dict[str, Any]) -> Reply:
        status, document = fake_vllm.answer(body)
        if "tokens" in body:
            document = {"prompt": document["prompt"].replace("<|im_end|>", " END")}
        return status, {"content-type": "application/json"}, json.dumps(document).encode()

    with serving(endless) as seen:
        asked = scorer(seen)
        found = await asked.score(TURNS, RESPONSE, 1)
        await asked.aclose()
    assert (found.ended, found.logprobs.ids) == (False, tuple(fake_vllm.tokens(RESPONSE.response)))


def without(body: dict[str, Any]) -> Reply:
    """Answer as a server does that doesn't know `prompt_logprobs`."""
    status, document = fake_vllm.answer(body)
    if "choices" in document:
        del document["choices"][0]["prompt_logprobs"]
    return status, {"content-type": "application/json"}, json.dumps(document).encode()


def nowhere(body: dict[str, Any]) -> Reply:
    """Answer as a server does that has no such path."""
    return 404, {"content-type": "application/json"}, json.dumps({"detail": "Not Found"}).encode()


@pytest.mark.parametrize(("served", "error"), [(without, Malformed), (nowhere, SetupError)])
async def test_no_vllm(served: Callable[[dict[str, Any]], Reply], error: type[Exception]):
    """Another server is told from a vLLM server in a line that says what is needed; what it bills is told."""
    with serving(served) as seen:
        asked = scorer(seen)
        with pytest.raises(error, match="vLLM server"):
            await asked.score(TURNS, RESPONSE, 2)
        await asked.aclose()


async def test_too_many_alternatives():
    """What the server refuses is the request's fault, in the server's words."""
    with serving(reply) as seen:
        asked = scorer(seen)
        with pytest.raises(RequestRejected, match="greater than max allowed: 20"):
            await asked.score(TURNS, RESPONSE, 21)
        await asked.aclose()


def test_openai_itself():
    """OpenAI's own API is refused before anything is asked."""
    with pytest.raises(SpecError, match="vLLM"):
        make(make_options(provider="openai", model="gpt-x"), api_key="sk-1234567890")
