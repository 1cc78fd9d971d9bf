"""Reading the distributions that servers give with a response, each in its own form, as one record.

A token is told by its bytes, its text or its id, as the server has it: llama.cpp gives ids and bytes, OpenAI bytes, others a text
alone, and vLLM `token_id:123` in the text's place where it is asked to (`return_tokens_as_token_ids`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.records import Logprobs

NO_PROBABILITY = -9999.0
"""What servers write where a probability is 0 or below what they can tell, or a smaller number still."""
MOST_MASS = 1.02
"""What a position's probabilities may sum to: they come from half precision."""
SAME = 0.01
"""Nats by which a server may differ from itself about one token."""
_ID = "token_id:"
_MOST_ALTERNATIVES = 2**15 - 1
_MOST_ID = 2**31 - 1

Given = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """Some tokens, in one of the forms or in two."""

    ids: list[int] | None
    texts: list[bytes] | None

    def take(self, order: Sequence[int]) -> _Tokens:
        return _Tokens(
            ids=None if self.ids is None else [self.ids[number] for number in order],
            texts=None if self.texts is None else [self.texts[number] for number in order],
        )


def read(positions: Given) -> Logprobs:
    """Return the distributions of `logprobs.content`, as OpenAI's chat completions and those who follow them have it.

    All positions count, also those of reasoning that the server tells apart from the answer. Raise ValueError where they aren't
    what that form promises.
    """
    try:
        return _read(positions)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"logprobs: not in the form of chat completions: {type(error).__name__}: {error}") from None


def _read(positions: Given) -> Logprobs:
    tops = [position.get("top_logprobs") or () for position in positions]
    counts = [*map(len, tops)]
    if max(counts) > _MOST_ALTERNATIVES:
        raise ValueError(f"logprobs: {max(counts):,} alternatives at one position; {_MOST_ALTERNATIVES:,} can be stored")
    alternatives = [*chain.from_iterable(tops)]
    logprobs, top_logprobs = _logs(positions), _logs(alternatives)
    tokens, top_tokens = _tokens(positions, alternatives)
    owners = np.repeat(np.arange(len(counts)), counts)
    if np.any((np.diff(top_logprobs) > 0) & (np.diff(owners) == 0)):  # vLLM has the sampled token first
        order = np.lexsort((-top_logprobs, owners))
        top_logprobs, top_tokens = top_logprobs[order], top_tokens.take(order.tolist())
    named = np.zeros(len(counts), bool)
    named[owners[_sampled(tokens, top_tokens, owners, logprobs, top_logprobs)]] = True
    mass = np.bincount(owners, np.exp(top_logprobs), len(counts)) + np.where(named, 0, np.exp(logprobs))
    if mass.max() > MOST_MASS:
        raise ValueError(f"logprobs: probabilities of a position sum to {mass.max():.3g}; they must be natural logarithms")
    return Logprobs(
        tokens=None if tokens.texts is None else tuple(tokens.texts),
        ids=None if tokens.ids is None else tuple(tokens.ids),
        logprobs=tuple(logprobs.tolist()),
        counts=tuple(counts),
        top_tokens=None if top_tokens.texts is None else tuple(top_tokens.texts),
        top_ids=None if top_tokens.ids is None else tuple(top_tokens.ids),
        top_logprobs=tuple(top_logprobs.tolist()),
        rest=tuple((1 - mass).clip(0).tolist()),
    )


def _logs(given: Given) -> Floats:
    found = np.array([each["logprob"] for each in given], np.float64)
    if np.isnan(found).any():
        raise ValueError("logprobs: one of them is no number")
    if (found > MOST_MASS - 1).any():
        raise ValueError(f"logprobs: {found.max():g} is no logarithm of a probability")
    found[found <= NO_PROBABILITY] = -np.inf
    return np.minimum(found, 0)


def _tokens(positions: Given, alternatives: Given) -> tuple[_Tokens, _Tokens]:
    """Return the sampled tokens and the alternatives in whichever forms all of them have."""
    both = [*positions, *alternatives]
    ids: list[int] | None = None
    texts: list[bytes] | None = None
    if all(each["token"].startswith(_ID) for each in both):
        ids = [int(each["token"].removeprefix(_ID)) for each in both]  # beside it, vLLM's `bytes` are those of this text
    else:
        texts = [*map(_bytes, both)]
        if all("id" in each for each in both):
            ids = [each["id"] for each in both]
    if ids is not None:
        kinds = np.array(ids)
        if kinds.dtype.kind != "i" or kinds.min() < 0 or kinds.max() > _MOST_ID:
            raise ValueError("logprobs: an id of a token isn't a whole number from 0 to 2147483647")
    many = len(positions)
    return (
        _Tokens(ids=ids and ids[:many], texts=texts and texts[:many]),
        _Tokens(ids=None if ids is None else ids[many:], texts=None if texts is None else texts[many:]),
    )


def _bytes(given: Mapping[str, Any]) -> bytes:
    known = given.get("bytes")
    return given["token"].encode(errors="replace") if known is None else bytes(known)


def _sampled(tokens: _Tokens, top: _Tokens, owners: Ints, logprobs: Floats, top_logprobs: Floats) -> Ints:
    """Return which alternatives are the token that was sampled at their position."""
    if tokens.ids is not None:
        return np.flatnonzero(np.array(top.ids, np.int64) == np.array(tokens.ids, np.int64)[owners])
    # Two tokens may have the same bytes: a special one and its text, or two parts of characters that a server replaced.
    near = np.flatnonzero(np.isclose(top_logprobs, logprobs[owners], rtol=0, atol=SAME))
    texts, others = tokens.texts or [], top.texts or []
    return np.array([number for number in near.tolist() if others[number] == texts[owners[number]]], np.int64)
