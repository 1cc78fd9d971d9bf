"""The loss of a student: L = alpha · CE(hard) + (1 - alpha) · T² · KL(teacher_T ‖ student_T) (Hinton et al. 2015).

The teacher is known by its n likeliest tokens; what it gives to all others is one more outcome, the rest. The student is seen in
the same way: its n logits at those tokens, and the log-sum-exp of all others as the logit of the rest. So both are distributions
over the same n + 1 outcomes, and the temperature acts on these: first the outcomes are made, then logits are divided by T.

- With the whole vocabulary there is no rest, and this is the exact KL at any T. At T = 1 it is the exact KL of the n + 1
  outcomes, which never exceeds that of the vocabulary (the data processing inequality).
- A student that agrees with the teacher about n + 1 outcomes has a loss of 0 at any T, and no other has. The other order, to
  temper first, would need the shape of a tail that nobody stored; a guess at it would pull a perfect student off its teacher.
- The price: for T above 1 the rest is softened as if it were one token, so its share is less than that of the many tokens in it.
- The gradient at a token of the rest is the rest's, in proportion to the student's own probabilities: how the tail looks inside
  is left to the student, and to the hard labels.
- Renormalising the n alone, as is common, would teach that nothing else can follow, which biases a student towards
  overconfidence ([Anshumann et al. 2025](https://arxiv.org/abs/2503.16870)).

A position of which no distribution is known has its cross-entropy alone, at full weight. Everything is in float32, or in float64
where the logits are.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_OUT = -1e30
"""A logit that no probability is left of; finite, since the gradient of a log-sum-exp over nothing but -inf is no number."""
CHUNK_ELEMENTS = 1 << 26
"""Logits that are held in float32 at a time, 256 MiB: a chunk has as many positions as this divided by the vocabulary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soft:
    """What the teacher would have said, at each of N positions."""

    ids: Tensor
    """One row of n token ids a position, each once; where there are fewer, any of the vocabulary in place of the rest."""
    logprobs: Tensor
    """Of the same, at temperature 1; -inf where a position has fewer than n. One with none at all has hard labels alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Sums over positions; divide by their number, in the whole of what one step learns from."""

    total: Tensor
    """What is to be minimised; has a gradient."""
    hard: Tensor
    """Cross-entropy, in nats."""
    soft: Tensor
    """T² · KL at the positions that have a distribution."""
    softened: Tensor
    """How many these are."""


def pointwise(
    logits: Tensor, targets: Tensor, soft: Soft | None, *, alpha: float, temperature: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return for each position its loss, cross-entropy, T² · KL, and whether it has a distribution.

    `logits` has a row of the vocabulary for each of N positions, `targets` the N ids that follow.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    hard = z.logsumexp(-1) - z.gather(1, targets[:, None]).squeeze(1)
    if soft is None or not soft.ids.shape[1]:
        none = torch.zeros_like(hard)
        return hard, hard, none, none.bool()
    known = soft.logprobs > float("-inf")
    has = known.any(-1)
    # A known one again in place of each that isn't, so that nothing else is taken out of the rest.
    ids = torch.where(known, soft.ids, soft.ids.gather(1, known.byte().argmax(-1, keepdim=True)))
    log_p = _teacher(soft.logprobs.to(z.dtype), known, z.shape[1], temperature)
    inside = z.gather(1, ids).masked_fill(~known, _OUT)
    # Not 1 less the n: of a student that is sure, nothing would be left of that difference but rounding.
    outside = z.scatter(1, ids, _OUT).logsumexp(-1, keepdim=True)
    log_q = (torch.cat([inside, outside], dim=1) / temperature).log_softmax(-1)
    p = log_p.exp()
    kl = (p * (log_p.masked_fill(p == 0, 0.0) - log_q)).sum(-1)
    softened = torch.where(has, temperature**2 * kl, torch.zeros_like(kl))
    return torch.where(has, alpha * hard + (1 - alpha) * softened, hard), hard, softened, has


def _teacher(logprobs: Tensor, known: Tensor, vocabulary: int, temperature: float) -> Tensor:
    """Return log-probabilities of n + 1 outcomes, the rest last.

    Rounded log-probabilities may add up to a little more than 1: then nothing is left for the rest, and all are scaled to 1.
    """
    rest = (1 - logprobs.exp().sum(-1, keepdim=True)).clamp(min=0)
    rest = torch.where(known.sum(-1, keepdim=True) < vocabulary, rest, torch.zeros_like(rest))
    return (torch.cat([logprobs, rest.log()], dim=1) / temperature).log_softmax(-1)


def summed(
    hidden: Tensor,
    project: Callable[[Tensor], Tensor],
    targets: Tensor,
    soft: Soft | None,
    *,
    alpha: float,
    temperature: float,
    chunk: int | None = None,
) -> Losses:
    """Return the sums over N positions, whose logits are `project(hidden)`, some positions at a time.

    Each chunk's logits are made once for the loss and once more for its gradient, and never all held together. `chunk` is
    positions; 0 takes all at once and makes nothing twice; left out, it is found by the vocabulary.
    """
    if alpha == 1.0:
        soft = None

    def part(states: Tensor, following: Tensor, ids: Tensor | None, logprobs: Tensor | None) -> Tensor:
        known = None if ids is None or logprobs is None else Soft(ids=ids, logprobs=logprobs)
        logits = project(states)
        with torch.autocast(logits.device.type, enabled=False):
            values = pointwise(logits, following, known, alpha=alpha, temperature=temperature)
        return torch.stack([each.to(values[0].dtype).sum() for each in values])

    if chunk == 0 or not len(targets):
        sums = part(hidden, targets, soft.ids if soft else None, soft.logprobs if soft else None)
    else:
        size = chunk or _chunk(hidden, project)
        pieces: list[Any] = [hidden.split(size), targets.split(size)]
        pieces += [soft.ids.split(size), soft.logprobs.split(size)] if soft else [[None] * len(pieces[0])] * 2
        again = torch.is_grad_enabled()
        parts = [
            checkpoint(part, *each, use_reentrant=False, preserve_rng_state=False) if again else part(*each)
            for each in zip(*pieces, strict=True)
        ]
        sums = torch.stack(parts).sum(0)
    told = sums.detach()
    return Losses(total=sums[0], hard=told[1], soft=told[2], softened=told[3])


def _chunk(hidden: Tensor, project: Callable[[Tensor], Tensor]) -> int:
    with torch.no_grad():
        vocabulary = int(project(hidden[:1]).shape[-1])
    return max(16, CHUNK_ELEMENTS // vocabulary)
