"""A build's kept and refuted samples, prompt by prompt, for exporters that compare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from storage.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSamples:
    """One prompt's samples."""

    prompt_id: str
    """The prompt."""
    split: str
    """Its traces' split."""
    kept: tuple[Mapping[str, Any], ...]
    """Its traces, in the snapshot's order, with all columns of the table `traces`."""
    refuted: tuple[Mapping[str, Any], ...]
    """Samples that a verifier failed, in the order of teachers and indices, with the same columns."""


def pairs_source(lake: Lake, dataset: str, build_id: str) -> Iterator[PromptSamples]:
    """Yield each prompt of a build that has a trace, in the snapshot's order. Out of core: one prompt's texts at a time."""
    raise NotImplementedError
