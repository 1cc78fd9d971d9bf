"""Samples' distributions by a teacher that is made up: what stands in the lake where a real one was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from storage.schemas import LOGPROBS


def logprobs(
    tokens: Sequence[bytes] | None = None,
    ids: Sequence[int] | None = None,
    *,
    others: Sequence[Sequence[tuple[Any, float]]],
    sampled: Sequence[float],
) -> pa.StructScalar:
    """Return a value of the column `logprobs`.

    `others` has the alternatives of each position, best first, as pairs of a token and a log-probability; a token is an id where
    there are ids alone, bytes where there are tokens alone, and a pair of both where there are both.
    """
    flat = [each for position in others for each, _ in position]
    both = tokens is not None and ids is not None
    row = {
        "tokens": tokens,
        "ids": ids,
        "logprobs": sampled,
        "counts": [len(position) for position in others],
        "top_tokens": None if tokens is None else [each[0] if both else each for each in flat],
        "top_ids": None if ids is None else [each[1] if both else each for each in flat],
        "top_logprobs": [value for position in others for _, value in position],
        "rest": [0.0] * len(sampled),
    }
    return pa.array([row], LOGPROBS)[0]


def drawn(
    vocabulary: Sequence[bytes | None],
    tokens: Sequence[int],
    *,
    top: int,
    seed: int = 0,
    mass: float = 0.9,
    ids: bool = True,
    spell: bool = True,
) -> pa.StructScalar:
    """Return what a teacher of a vocabulary, whose distributions are made at random, says of tokens that it drew.

    `mass` is the probability of all alternatives of a position.
    """
    random = np.random.default_rng(seed)
    known = np.array([number for number, token in enumerate(vocabulary) if token])
    others, sampled = [], []
    for token in tokens:
        chosen = random.choice(known, top, replace=False)
        if random.random() < 0.8 and token not in chosen:
            chosen[random.integers(top)] = token
        shares = -np.sort(-random.dirichlet(np.ones(top))) * mass
        sampled.append(float(np.log(dict(zip(chosen.tolist(), shares, strict=True)).get(token, 0.01))))
        names = [(vocabulary[each], each) if ids and spell else each if ids else vocabulary[each] for each in chosen.tolist()]
        others.append(list(zip(names, np.log(shares).tolist(), strict=True)))
    return logprobs(
        [vocabulary[each] or b"" for each in tokens] if spell else None, tokens if ids else None, others=others, sampled=sampled
    )
