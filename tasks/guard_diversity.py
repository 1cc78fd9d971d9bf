"""The guard's part against collapse: traces that are too much alike, or much more so than the build's before, are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from storage.errors import GuardRefused
from tasks.measures.diversity import LESS_IS_MORE, SIZES, comparable, falls
from tasks.options import Options, PathText

WARN = 0.2
"""A fall beyond this is a warning, where the spec says nothing else."""


class MinDiversity(Options):
    """The spec's `guard.min_diversity`. A measure that is named is a bound; a build beyond it is refused."""

    distinct_1: float | None = Field(default=None, gt=0, le=1)
    """At least: distinct words by words."""
    distinct_2: float | None = Field(default=None, gt=0, le=1)
    """At least: distinct pairs of words by pairs."""
    distinct_3: float | None = Field(default=None, gt=0, le=1)
    """At least: distinct triples of words by triples."""
    length_entropy: float | None = Field(default=None, gt=0)
    """At least, in bits."""
    opening_entropy: float | None = Field(default=None, gt=0)
    """At least, in bits."""
    vendi: float | None = Field(default=None, gt=1)
    """At least, in texts."""
    compression_ratio: float | None = Field(default=None, gt=1)
    """At most: bytes by compressed bytes."""
    self_similarity: float | None = Field(default=None, gt=0, lt=1)
    """At most: the mean cosine of two traces."""
    fall: float | None = Field(default=None, gt=0, lt=1)
    """The largest share of any measure that may be lost against the build before."""
    warn: float = Field(default=WARN, gt=0, lt=1)
    """A loss beyond this share is a warning."""
    model: PathText | None = None
    """A model2vec model, a folder or an id on the Hub, by which similarity is taken; left out, by words."""


def guard_diversity(options: MinDiversity | None, measured: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[str]:
    """Return the warnings. Raise GuardRefused where a bound isn't kept.

    `measured` and `before`, the build before's (None where there is none), are as `measures.diversity` returns them.
    """
    options = options or MinDiversity()
    refused = []
    for name in MinDiversity.model_fields:
        bound, value = getattr(options, name), measured.get(name)
        if name in {"fall", "warn", "model"} or bound is None or value is None:
            continue
        if value > bound if name in LESS_IS_MORE else value < bound:
            than = "at most" if name in LESS_IS_MORE else "at least"
            refused.append(f"{name} is {value:.4g}, and guard.min_diversity wants {than} {bound:g}")
    warnings = []
    for name, each in (falls(before, measured) if before else {}).items():
        said = (
            f"{name} went from {each['before']:.4g} to {each['after']:.4g}, which is {each['fall']:.0%} less diversity than in "
            f"the build before (on {each['sample']:,} traces of each)"
        )
        if options.fall is not None and each["fall"] > options.fall:
            refused.append(f"{said}; guard.min_diversity.fall allows {options.fall:.0%}")
        elif each["fall"] > options.warn:
            warnings.append(f"diversity: {said}")
    if options.fall is not None and before and not comparable(before, measured):
        warnings.append(
            f"diversity: not compared with the build before, which takes {SIZES[0]} traces of each; there were "
            f"{before['sample']:,}, and are {measured['sample']:,}"
        )
    if refused:
        raise GuardRefused(
            f"guard: {'; '.join(refused)}; nothing is landed, and what was paid for stays: mend the prompts, the sampling or the "
            "bound, and build again"
        )
    return warnings
