"""What a vLLM server answers, in its published form: a token is a byte or a special one, and what is likely stands near it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

SPECIAL = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
"""Tokens of their own, behind those of the bytes."""
VOCABULARY = 256 + len(SPECIAL)
END = 256 + SPECIAL.index("<|im_end|>")
"""The token that ends a turn."""
_PARTS = re.compile("|".join(map(re.escape, SPECIAL)))


def distribution(before: list[int]) -> list[float]:
    """Return what the model makes of the next token: likelier the nearer it is to the sum of those before."""
    middle = sum(before) % VOCABULARY
    weights = [math.exp(-abs(token - middle) / 8) for token in range(VOCABULARY)]
    return [math.log(weight / sum(weights)) for weight in weights]


def tokens(text: str) -> list[int]:
    """Return a text's tokens."""
    found: list[int] = []
    at = 0
    for part in _PARTS.finditer(text):
        found += [*text[at : part.start()].encode(), 256 + SPECIAL.index(part.group())]
        at = part.end()
    return [*found, *text[at:].encode()]


def text_of(given: Sequence[int]) -> str:
    """Return the text of tokens."""
    return b"".join(bytes([token]) if token < 256 else SPECIAL[token - 256].encode() for token in given).decode()


def shown(messages: Sequence[Mapping[str, Any]], *, ask: bool = True, kind: str = "thinking") -> str:
    """Return a conversation as a chat template writes it.

    thinking: with a turn's reasoning, as Qwen3's. opened: a prompt ends with an open <think>, and reasoning is left out, as in
    DeepSeek-R1's. closed: a prompt ends with a closed one.
    """
    text = ""
    for turn in messages:
        thought = turn.get("reasoning_content") if kind == "thinking" else None
        text += f"<|im_start|>{turn['role']}\n"
        text += f"<think>\n{thought}\n</think>\n\n" if thought else ""
        text += f"{turn['content']}<|im_end|>\n"
    head = {"thinking": "", "opened": "<think>\n", "closed": "<think>\n\n</think>\n\n"}[kind]
    return text + (f"<|im_start|>assistant\n{head}" if ask else "")


def prompt_of(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return a conversation's tokens with the template's."""
    return tokens(shown([{"role": "user"} | dict(each) for each in messages]))


def answer(body: dict[str, Any], most: int = 20) -> tuple[int, dict[str, Any]]:
    """Return status and document for a body of /tokenize, /detokenize or /v1/completions."""
    if "messages" in body:
        kind = body.get("chat_template_kwargs", {}).get("kind", "thinking")
        found = tokens(shown(body["messages"], ask=body["add_generation_prompt"], kind=kind))
        return 200, {"count": len(found), "max_model_len": 4096, "tokens": found, "token_strs": None}
    if "tokens" in body:
        return 200, {"prompt": text_of(body["tokens"])}
    if isinstance(body["prompt"], str):
        assert body["add_special_tokens"] is False
        found = tokens(body["prompt"])
        return 200, {"count": len(found), "max_model_len": 4096, "tokens": found, "token_strs": None}
    if body["prompt_logprobs"] > most:
        message = f"Requested prompt logprobs of {body['prompt_logprobs']}, which is greater than max allowed: {most}"
        return 400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}
    prompt: list[int] = body["prompt"]
    positions = [None, *(_position(prompt[:place], prompt[place], body["prompt_logprobs"]) for place in range(1, len(prompt)))]
    choice = {
        "index": 0,
        "text": "x",
        "logprobs": None,
        "finish_reason": "length",
        "stop_reason": None,
        "token_ids": None,
        "prompt_logprobs": positions,
        "prompt_token_ids": None,
        "routed_experts": None,
    }
    usage = {
        "prompt_tokens": len(prompt),
        "total_tokens": len(prompt) + 1,
        "completion_tokens": 1,
        "prompt_tokens_details": None,  # but with --enable-prompt-tokens-details
    }
    return 200, {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "service_tier": None,
        "system_fingerprint": None,
        "usage": usage,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def _position(before: list[int], token: int, top: int) -> dict[str, dict[str, Any]]:
    logprobs = distribution(before)
    ranked = sorted(range(VOCABULARY), key=lambda other: -logprobs[other])
    named = [token, *(other for other in ranked[:top] if other != token)]  # vLLM's order: the prompt's own token first
    return {
        str(each): {"logprob": logprobs[each], "rank": ranked.index(each) + 1, "decoded_token": f"<{each}>"} for each in named
    }
