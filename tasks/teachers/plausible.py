"""Distributions for words that nobody drew, of the size and the shape of a model's: for rehearsing what storing them takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storage.records import Logprobs

VOCABULARY = 32_000
"""Tokens that are never drawn, and stand among the alternatives."""
SPREAD = 3.0
"""Standard deviation of a position's logits."""
LUCK = 0.7
"""Share of the tokens that are the likeliest of their position, of the others those that are the second, and so on."""


def distributions(words: Sequence[str], n: int, *, seed: int) -> Logprobs:
    """Return `n` alternatives at each of some words, which the words are among."""
    chooser = np.random.default_rng(seed)
    many = len(words)
    logits = SPREAD * chooser.standard_normal((many, n + 1))
    logits[:, :n] = -np.sort(-logits[:, :n], axis=1)  # the last one is all that is left over
    logits[:, n] -= SPREAD
    shares = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    top = np.minimum(shares[:, :n], 0)
    ranks = np.minimum(chooser.geometric(LUCK, many) - 1, n - 1)
    drawn = np.arange(many), ranks
    ids = (chooser.integers(0, VOCABULARY, (many, 1)) + np.arange(n)) % VOCABULARY
    kinds = {word: VOCABULARY + number for number, word in enumerate(sorted(set(words)))}
    ids[drawn] = [kinds[word] for word in words]
    own = [word.encode() if not number else f" {word}".encode() for number, word in enumerate(words)]
    tokens = [f" w{number}".encode() for number in ids.ravel().tolist()]
    for place, token in zip((np.arange(many) * n + ranks).tolist(), own, strict=True):
        tokens[place] = token
    return Logprobs(
        tokens=tuple(own),
        ids=tuple(ids[drawn].tolist()),
        logprobs=tuple(top[drawn].tolist()),
        counts=(n,) * many,
        top_tokens=tuple(tokens),
        top_ids=tuple(ids.ravel().tolist()),
        top_logprobs=tuple(top.ravel().tolist()),
        rest=tuple((1 - np.exp(top).sum(axis=1)).clip(0).tolist()),
    )
