"""What a model's distributions were while it was decoded, and the record of them that a sample keeps."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from storage.records import Logprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Log-probabilities at temperature 1: of a step's rows, or of a row's steps, one behind the other."""

    logprobs: Tensor
    """Of the tokens that were chosen; float32."""
    top_ids: Tensor
    """The likeliest tokens, the best first, as many in each line."""
    top_logprobs: Tensor
    """Theirs; float32."""

    @classmethod
    def at(cls, logits: Tensor, chosen: Tensor, alternatives: int) -> Seen:
        """Return what stands in a step's logits: a line for each row, and the one token that was chosen there."""
        whole = logits.float().log_softmax(dim=-1)
        best, ids = whole.topk(min(alternatives, whole.shape[-1]), dim=-1)
        return cls(logprobs=whole.gather(-1, chosen)[:, 0].cpu(), top_ids=ids.cpu(), top_logprobs=best.cpu())

    @classmethod
    def by_row(cls, steps: Sequence[Seen]) -> list[Seen]:
        """Return the same by row; the steps of all rows are as many, whenever each ended."""
        parts = (torch.stack([getattr(step, name) for step in steps], dim=1) for name in ("logprobs", "top_ids", "top_logprobs"))
        return [cls(logprobs=row, top_ids=ids, top_logprobs=best) for row, ids, best in zip(*parts, strict=True)]


def distributions(tokens: Sequence[int], told: Seen) -> Logprobs:
    """Return the record of a row's first tokens: by their ids, since a tokenizer's pieces aren't always bytes."""
    positions = len(tokens)
    logprobs = told.logprobs[:positions].double().numpy()
    ids, best = told.top_ids[:positions].numpy(), told.top_logprobs[:positions].double().numpy()
    named = (ids == np.array(tokens)[:, None]).any(axis=1)
    rest = 1 - np.exp(best).sum(axis=1) - np.where(named, 0, np.exp(logprobs))
    return Logprobs(
        tokens=None,
        ids=tuple(tokens),
        logprobs=tuple(logprobs.tolist()),
        counts=(ids.shape[1],) * positions,
        top_tokens=None,
        top_ids=tuple(ids.ravel().tolist()),
        top_logprobs=tuple(best.ravel().tolist()),
        rest=tuple(rest.clip(0).tolist()),
    )
