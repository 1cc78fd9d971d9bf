"""From ids and log-probabilities to the record of a distribution at each position."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from storage.records import Logprobs

Top = Sequence[tuple[int, float]]
"""Alternatives at one position, best first: id and log-probability."""
NEVER = -9999.0
"""The log-probability that vLLM sends for one of minus infinity, which JSON hasn't got."""


def by_id(
    ids: Sequence[int], logprobs: Sequence[float], tops: Sequence[Top], piece: Callable[[int], bytes] | None = None
) -> Logprobs:
    """Return the record of positions whose tokens are known by their ids. `piece` gives a token's bytes; None: nobody knows them.

    The mass outside is reckoned in double precision; where rounding makes the sum of what is there more than 1, it is 0.
    """
    rest = []
    for token, logprob, top in zip(ids, logprobs, tops, strict=True):
        known = math.fsum(math.exp(each) for _, each in top)
        if all(other != token for other, _ in top):
            known += math.exp(logprob)
        rest.append(max(0.0, 1.0 - known))
    top_ids = tuple(token for top in tops for token, _ in top)
    return Logprobs(
        tokens=None if piece is None else tuple(map(piece, ids)),
        ids=tuple(ids),
        logprobs=tuple(logprobs),
        counts=tuple(map(len, tops)),
        top_tokens=None if piece is None else tuple(map(piece, top_ids)),
        top_ids=top_ids,
        top_logprobs=tuple(logprob for top in tops for _, logprob in top),
        rest=tuple(rest),
    )
