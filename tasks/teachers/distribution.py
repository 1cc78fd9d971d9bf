"""Reading the distributions that servers give with a response, each in its own form, as one record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from storage.records import Logprobs


def read(positions: Sequence[Mapping[str, Any]]) -> Logprobs:
    """Return the distributions of `logprobs.content`, as OpenAI's chat completions and those who follow them have it."""
    tops = [position.get("top_logprobs") or () for position in positions]
    tokens, top_tokens = [*map(_token, positions)], [[*map(_token, each)] for each in tops]
    logprobs, top_logprobs = [*map(_logprob, positions)], [[*map(_logprob, each)] for each in tops]
    rest = (
        1 - math.fsum(map(math.exp, each)) - (0 if token in others else math.exp(logprob))
        for token, logprob, others, each in zip(tokens, logprobs, top_tokens, top_logprobs, strict=True)
    )
    return Logprobs(
        tokens=tuple(tokens),
        ids=None,
        logprobs=tuple(logprobs),
        counts=tuple(map(len, tops)),
        top_tokens=tuple(chain.from_iterable(top_tokens)),
        top_ids=None,
        top_logprobs=tuple(chain.from_iterable(top_logprobs)),
        rest=tuple(max(0.0, each) for each in rest),
    )


def _logprob(given: Mapping[str, Any]) -> float:
    return float(given["logprob"])


def _token(given: Mapping[str, Any]) -> bytes:
    return bytes(given["bytes"]) if given.get("bytes") is not None else given["token"].encode(errors="replace")
