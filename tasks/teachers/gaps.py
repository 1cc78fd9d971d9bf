"""Positions that llama.cpp leaves out of a response's distributions, and what it says of the next one instead.

Its server sends no half characters: a token that ends within one has no position, and its bytes are said to be the next token's,
whose distribution is about its own bytes alone. What it holds back since it may begin a stop text is moved in the same way. The
alternatives have each token's own bytes, and tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Given = Sequence[Mapping[str, Any]]
UNKNOWN = -1
"""The id of a token that a server left out."""
_INSIDE = range(0x80, 0xC0)
"""Bytes that go on with a character."""


def moved(said: bytes, likeliest: bytes) -> bool:
    """Whether a token that is none of the alternatives has others' bytes as well: the model was within a character there."""
    return bool(said) and likeliest[:1] != b"" and likeliest[0] in _INSIDE and said[0] not in _INSIDE


def filled(positions: Given, said: Sequence[bytes], own: Mapping[int, bytes | None]) -> list[dict[str, Any]]:
    """Return positions with their tokens' own bytes, and one without a distribution wherever bytes are left between them.

    `said` is what the server says, `own` has what is known better; None for a token whose own bytes nobody knows.
    """
    return list(_filled(positions, said, own))


def _filled(positions: Given, said: Sequence[bytes], own: Mapping[int, bytes | None]) -> Iterator[dict[str, Any]]:
    text = b"".join(said)
    at = sent = 0
    for number, (position, bytes_) in enumerate(zip(positions, said, strict=True)):
        sent += len(bytes_)
        mine = own.get(number, text[at:sent] if bytes_ else b"")
        if mine is None:
            yield _gap(text[at:sent])
            at = sent
            continue
        start = sent - len(mine) if bytes_ else at
        if start > at and text[start:sent] == mine:
            yield _gap(text[at:start])
            at = start
        yield {**position, "bytes": list(mine)}
        at += len(mine)


def _gap(bytes_: bytes) -> dict[str, Any]:
    return {"id": UNKNOWN, "token": "", "bytes": list(bytes_), "logprob": math.nan, "top_logprobs": []}
