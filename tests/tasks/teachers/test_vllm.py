"""What vLLM's chat completions are sent and answer, field by field as its server has them: soft labels of a draw."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tasks.teachers.sampling import SamplingOptions
from tests.fakes import make_request
from tests.tasks.teachers.test_chat import ask, sent


def entry(token: str, logprob: float) -> dict[str, Any]:
    """Return a token as it stands among alternatives: its bytes are those of the text that names it."""
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def position(own: dict[str, Any], *top: dict[str, Any], decoded: str | None = None) -> dict[str, Any]:
    """Return a position. Beside the sampled token's name are the bytes of its text, `decoded`, whatever it is called."""
    return {**own, "bytes": own["bytes"] if decoded is None else list(decoded.encode()), "top_logprobs": list(top)}


def answer(content: list[dict[str, Any]], said: str, reasoning: str | None = None) -> dict[str, Any]:
    """Return a whole answer."""
    message = {
        "role": "assistant",
        "content": said,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "reasoning": reasoning,
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": content},
        "finish_reason": "stop",
        "stop_reason": None,
        "token_ids": None,
        "routed_experts": None,
    }
    usage = {
        "prompt_tokens": 9,
        "total_tokens": 9 + len(content),
        "completion_tokens": len(content),
        "prompt_tokens_details": None,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
        "service_tier": None,
        "system_fingerprint": None,
        "usage": usage,
        "prompt_logprobs": None,
        "prompt_token_ids": None,
        "prompt_text": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


async def test_what_is_sent():
    """The parameters have the names that its ChatCompletionRequest has."""
    parameters = SamplingOptions(logprobs=5, max_tokens=8, seed=3).parameters()
    _, body = await sent(make_request(parameters=parameters), extra_body={"return_tokens_as_token_ids": True, "top_k": 40})
    assert {name: body[name] for name in body.keys() - {"model", "messages"}} == {
        "logprobs": True,
        "top_logprobs": 5,
        "max_tokens": 8,
        "seed": 3,
        "return_tokens_as_token_ids": True,
        "top_k": 40,
    }


async def test_ids():
    """With `return_tokens_as_token_ids` ids are all that counts, the end of the turn has a position, and bytes mean nothing."""
    content = [
        # The sampled token comes first, of however many were asked for.
        position(entry("token_id:19", -1.2), entry("token_id:19", -1.2), entry("token_id:20", -0.5), decoded="4"),
        position(entry("token_id:2", -0.1), entry("token_id:2", -0.1), entry("token_id:13", -3.0), decoded="<|im_end|>"),
    ]
    found = await ask(answer(content, "4", "two and two"))
    (choice,) = found.choices
    assert (choice.response, choice.reasoning, choice.finish_reason) == ("4", "two and two", "stop")
    logprobs = choice.logprobs
    assert logprobs is not None
    assert (logprobs.tokens, logprobs.top_tokens) == (None, None)
    assert (logprobs.ids, logprobs.logprobs) == ((19, 2), (-1.2, -0.1))
    assert (logprobs.counts, logprobs.top_ids, logprobs.top_logprobs) == ((2, 2), (20, 19, 2, 13), (-0.5, -1.2, -0.1, -3.0))
    assert logprobs.rest[0] == pytest.approx(1 - math.exp(-0.5) - math.exp(-1.2))
    assert (found.tokens_in, found.tokens_out, found.tokens_cached) == (9, 2, 0)


async def test_texts():
    """Without it there are texts alone: a part of a character is none, and its last part is all of it."""
    content = [
        position(entry("", -0.3), entry("", -0.3), entry("a", -1.6)),
        position(entry("中", -0.2), entry("中", -0.2), entry("丰", -2.0)),
        position(entry("<|im_end|>", -0.1), entry("<|im_end|>", -0.1), entry(".", -3.0)),
    ]
    (choice,) = (await ask(answer(content, "中"))).choices
    assert choice.logprobs is not None
    assert (choice.logprobs.ids, choice.logprobs.tokens) == (None, (b"", "中".encode(), b"<|im_end|>"))
    assert choice.logprobs.top_tokens == (b"", b"a", "中".encode(), "丰".encode(), b"<|im_end|>", b".")


async def test_a_step_of_which_it_has_no_record():
    """It has the default then: -9999 and no alternatives. That is no probability, and leaves all of it to the others."""
    content = [position(entry("token_id:19", -9999.0)), position(entry("token_id:2", -0.1), entry("token_id:2", -0.1))]
    (choice,) = (await ask(answer(content, "4"))).choices
    assert choice.logprobs is not None
    assert (choice.logprobs.logprobs, choice.logprobs.counts, choice.logprobs.rest[0]) == ((-math.inf, -0.1), (0, 1), 1.0)
