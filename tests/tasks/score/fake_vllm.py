"""What a vLLM server answers, in its published form: a token is a byte, and what is likely is what stands near it."""

from __future__ import annotations

import math
from typing import Any

VOCABULARY = 64
"""Ids: a byte modulo this."""
HEAD = [1, 2, 3]
"""Tokens of the template's head, before a conversation's own."""


def distribution(before: list[int]) -> list[float]:
    """Return what the model makes of the next token: likelier the nearer it is to the sum of those before."""
    middle = sum(before) % VOCABULARY
    weights = [math.exp(-abs(token - middle) / 8) for token in range(VOCABULARY)]
    return [math.log(weight / sum(weights)) for weight in weights]


def tokens(text: str) -> list[int]:
    """Return a text's tokens."""
    return [byte % VOCABULARY for byte in text.encode()]


def prompt_of(messages: list[dict[str, str]]) -> list[int]:
    """Return a conversation's tokens with the template's."""
    return [*HEAD, *(token for message in messages for token in [9, *tokens(message["content"])]), 8]


def answer(body: dict[str, Any], most: int = 20) -> tuple[int, dict[str, Any]]:
    """Return status and document for a body of /tokenize or /v1/completions."""
    if "messages" in body:
        assert body["add_generation_prompt"] is True
        found = prompt_of(body["messages"])
        return 200, {"count": len(found), "max_model_len": 4096, "tokens": found}
    if isinstance(body["prompt"], str):
        assert body["add_special_tokens"] is False
        found = tokens(body["prompt"])
        return 200, {"count": len(found), "max_model_len": 4096, "tokens": found}
    if body["prompt_logprobs"] > most:
        message = f"Requested prompt logprobs of {body['prompt_logprobs']}, which is greater than max allowed: {most}"
        return 400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}
    prompt: list[int] = body["prompt"]
    positions = [None, *(_position(prompt[:place], prompt[place], body["prompt_logprobs"]) for place in range(1, len(prompt)))]
    choice = {"index": 0, "text": "x", "logprobs": None, "finish_reason": "length", "prompt_logprobs": positions}
    usage = {"prompt_tokens": len(prompt), "completion_tokens": 1, "total_tokens": len(prompt) + 1}
    return 200, {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _position(before: list[int], token: int, top: int) -> dict[str, dict[str, Any]]:
    logprobs = distribution(before)
    ranked = sorted(range(VOCABULARY), key=lambda other: -logprobs[other])
    named = [token, *(other for other in ranked[:top] if other != token)]  # vLLM's order: the prompt's own token first
    return {
        str(each): {"logprob": logprobs[each], "rank": ranked.index(each) + 1, "decoded_token": f"<{each}>"} for each in named
    }
