"""Fit: how much of a teacher stored distributions hold, and how sure of itself it was along its responses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.wording import counted

DECILES = 10
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What distributions over responses are like."""

    responses: int
    """Looked at."""
    tokens: int
    """Of these."""
    never: int
    """Of these, those to which the model gives no probability, or one that is too small for the server to tell."""
    nats: float | None
    """Mean cross-entropy of the other tokens: -log of the probability that the model gives them. None where there are none."""
    outside: float | None
    """Mean probability of all that is neither an alternative nor the token itself."""
    entropy: list[float | None]
    """Mean entropy in nats by position, in tenths of a response. All that is outside counts as one outcome, so it is a lower
    bound."""

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        if self.outside is None:
            return []
        tenths = " ".join("none" if each is None else f"{each:.2f}" for each in self.entropy)
        loss = "none" if self.nats is None else f"{self.nats:.4f} nats a token"
        told = f"{loss}, on {counted(self.tokens - self.never, 'token')} of {counted(self.responses, 'response')}"
        if self.never:
            told += f"; {self.never:,} more have no probability that is told"
        return [
            ("loss", told),
            ("mass outside", f"{self.outside:.2%} on average"),
            ("entropy", f"{tenths} nats, from the first tenth of a response to the last (at least)"),
        ]


def measure(batches: Iterable[pa.RecordBatch]) -> Fit:
    """Return what the column `logprobs` of these rows says. One batch at a time is held."""
    responses, never, nats, outside = 0, 0, 0.0, 0.0
    entropy, counts = np.zeros(DECILES), np.zeros(DECILES, np.int64)
    for batch in batches:
        for value in batch["logprobs"]:
            if not value.is_valid:
                continue
            logprobs, rest = _floats(value["logprobs"]), _floats(value["rest"])
            known = ~np.isnan(logprobs)  # of what a server left out there is a place, and no more
            if not known.any():
                continue
            responses += 1
            finite = np.isfinite(logprobs)  # a single one that isn't would make every mean infinite
            never += int((known & ~finite).sum())
            nats -= float(logprobs[finite].sum())
            outside += float(rest[known].sum())
            places = (np.arange(len(logprobs)) * DECILES // len(logprobs))[known]
            entropy += np.bincount(places, weights=_entropies(value, logprobs, rest)[known], minlength=DECILES)
            counts += np.bincount(places, minlength=DECILES)
    tokens = int(counts.sum())
    return Fit(
        responses=responses,
        tokens=tokens,
        never=never,
        nats=nats / (tokens - never) if tokens > never else None,
        outside=outside / tokens if tokens else None,
        entropy=[float(total / number) if number else None for total, number in zip(entropy, counts, strict=True)],
    )


def _entropies(value: pa.StructScalar, logprobs: Floats, rest: Floats) -> Floats:
    """Return the entropy of the outcomes that are known at each position, with all others as one."""
    counts = value["counts"].values.to_numpy(zero_copy_only=False).astype(np.int64)
    tops = _floats(value["top_logprobs"])
    owners = np.repeat(np.arange(len(counts)), counts)
    found: Floats = np.bincount(owners, weights=_term(tops), minlength=len(counts)).astype(np.float64)
    name = "ids" if value["ids"].is_valid else "tokens"
    own, others = value[name].as_py(), value[f"top_{name}"].as_py()
    listed = np.zeros(len(counts), np.bool_)
    listed[owners[[other == own[owner] for owner, other in zip(owners, others, strict=True)]]] = True
    found += np.where(listed, 0.0, _term(logprobs))
    with np.errstate(divide="ignore"):
        return found + _term(np.log(rest))


def _term(logprobs: Floats) -> Floats:
    """Return -p log p, which is 0 at p = 0."""
    mass = np.exp(logprobs)
    return -mass * np.where(mass > 0, logprobs, 0.0)


def _floats(values: pa.ListScalar) -> Floats:
    found: Floats = values.values.to_numpy(zero_copy_only=False).astype(np.float64)
    return found
