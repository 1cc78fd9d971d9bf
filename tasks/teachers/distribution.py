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
from tasks.teachers import gaps

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Positions:
    """What a server says, column by column."""

    tokens: _Tokens
    logprobs: Floats
    counts: list[int]
    top: _Tokens
    top_logprobs: Floats
    owners: Ints
    """The position of each alternative."""
    sampled: Ints
    """The alternatives that are the token which was sampled at their position."""


def read(positions: Given) -> Logprobs:
    """Return the distributions of `logprobs.content`, as OpenAI's chat completions and those who follow them have it.

    All positions count, also those of reasoning that the server tells apart from the answer, and what a server left out is a gap
    (`tasks.teachers.gaps`). Raise ValueError where they aren't what that form promises.
    """
    try:
        found = _columns(positions)
        if found.tokens.texts is not None and (own := _moved(found, found.tokens.texts)):
            found = _columns(gaps.filled(positions, found.tokens.texts, own), gapped=True)
        return _record(found)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"logprobs: not in the form of chat completions: {type(error).__name__}: {error}") from None


def _columns(positions: Given, *, gapped: bool = False) -> _Positions:
    tops = [position.get("top_logprobs") or () for position in positions]
    counts = [*map(len, tops)]
    if max(counts) > _MOST_ALTERNATIVES:
        raise ValueError(f"logprobs: {max(counts):,} alternatives at one position; {_MOST_ALTERNATIVES:,} can be stored")
    alternatives = [*chain.from_iterable(tops)]
    logprobs, top_logprobs = _logs(positions, gapped=gapped), _logs(alternatives)
    tokens, top = _tokens(positions, alternatives, least=gaps.UNKNOWN if gapped else 0)
    owners = np.repeat(np.arange(len(counts)), counts)
    if np.any((np.diff(top_logprobs) > 0) & (np.diff(owners) == 0)):  # vLLM has the sampled token first
        order = np.lexsort((-top_logprobs, owners))
        top_logprobs, top = top_logprobs[order], top.take(order.tolist())
    return _Positions(
        tokens=tokens,
        logprobs=logprobs,
        counts=counts,
        top=top,
        top_logprobs=top_logprobs,
        owners=owners,
        sampled=_sampled(tokens, top, owners, logprobs, top_logprobs),
    )


def _record(found: _Positions) -> Logprobs:
    mass = _mass(found)
    if mass.size and mass.max() > MOST_MASS:
        raise ValueError(f"logprobs: probabilities of a position sum to {mass.max():.3g}; they must be natural logarithms")
    tokens, top = found.tokens, found.top
    return Logprobs(
        tokens=None if tokens.texts is None else tuple(tokens.texts),
        ids=None if tokens.ids is None else tuple(tokens.ids),
        logprobs=tuple(found.logprobs.tolist()),
        counts=tuple(found.counts),
        top_tokens=None if top.texts is None else tuple(top.texts),
        top_ids=None if top.ids is None else tuple(top.ids),
        top_logprobs=tuple(found.top_logprobs.tolist()),
        rest=tuple((1 - mass).clip(0).tolist()),
    )


def _mass(found: _Positions) -> Floats:
    """Return the probability of each position's alternatives and of its sampled token."""
    own = np.nan_to_num(np.exp(found.logprobs))
    own[found.owners[found.sampled]] = 0  # it is one of the alternatives
    mass: Floats = np.bincount(found.owners, np.exp(found.top_logprobs), len(own)) + own
    return mass


def _moved(found: _Positions, texts: list[bytes]) -> dict[int, bytes | None]:
    """Return the own bytes of sampled tokens of which the server says others; None where nobody knows them."""
    others, owners = found.top.texts or [], found.owners
    own: dict[int, bytes | None] = {int(owners[number]): others[number] for number in found.sampled.tolist()}
    starts = np.cumsum(found.counts) - found.counts
    over = _mass(found) > MOST_MASS if found.tokens.ids is None else np.zeros(len(texts), bool)
    for number, (said, start, count) in enumerate(zip(texts, starts.tolist(), found.counts, strict=True)):
        if number in own or not count:
            continue
        if over[number]:  # it is one of the alternatives for certain
            alike = np.flatnonzero(found.top_logprobs[start : start + count] == found.logprobs[number]) + start
            own.update((number, others[place]) for place in alike.tolist() if others[place] and said.endswith(others[place]))
        elif gaps.moved(said, others[start]):
            own[number] = None
    return {number: text for number, text in own.items() if text != texts[number]}


def _logs(given: Given, *, gapped: bool = False) -> Floats:
    found = np.array([each["logprob"] for each in given], np.float64)
    if np.isnan(found).any() and not gapped:
        raise ValueError("logprobs: one of them is no number")
    if (found > MOST_MASS - 1).any():
        raise ValueError(f"logprobs: {found.max():g} is no logarithm of a probability")
    found[found <= NO_PROBABILITY] = -np.inf
    return np.minimum(found, 0)


def _tokens(positions: Given, alternatives: Given, *, least: int) -> tuple[_Tokens, _Tokens]:
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
        if kinds.dtype.kind != "i" or kinds.min() < least or kinds.max() > _MOST_ID:
            raise ValueError(f"logprobs: an id of a token isn't a whole number from 0 to {_MOST_ID}")
    many = len(positions)
    return (
        _Tokens(ids=None if ids is None else ids[:many], texts=None if texts is None else texts[:many]),
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
