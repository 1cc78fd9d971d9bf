"""Chosen and rejected responses to one prompt, as TRL's trainers of preferences (DPO and its kin) read them.

Chosen is what the verifiers let through, rejected what one of them failed.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa

from storage.errors import SpecError
from storage.records import CUT_OFF
from tasks.exporters.protocol import exporter
from tasks.exporters.turns import Either, origin
from tasks.publishing.refuted import PromptSamples
from tasks.rights.conjunction import conjunction

Row = Mapping[str, Any]


@exporter(needs_refuted=True)
class Preference(Either):
    """A row is a pair."""

    reasoning: Literal["turn", "think", "omit"] = "omit"
    """As elsewhere, but that each side has its own, so that there is no column for it."""
    pairs: Literal["one", "all"] = "one"
    """One pair of each prompt that has both, or every pair of different texts."""
    _counts: Counter[str] = dataclasses.field(default_factory=Counter, init=False, repr=False, compare=False)

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        sides = [(name, self.side_type) for name in ("prompt", "chosen", "rejected")]
        scores = [(name, pa.float32()) for name in ("score_chosen", "score_rejected", "score_gap")]
        others = [(f"rejected_{name}", pa.string()) for name in ("sample_id", "teacher", "model")]
        return self.columns([*sides, *scores, *others])

    def rows(self, prompts: Iterable[PromptSamples]) -> Iterator[dict[str, Any]]:
        """Yield each prompt's pair, or pairs. Raise SpecError where there is not a single pair to train on."""
        self._counts.clear()
        for prompt in prompts:
            self._counts["prompts"] += 1
            self._counts["to train on"] += prompt.split == "train"
            found = 0
            for chosen, rejected in self._pairs(prompt):
                found += 1
                yield self._row(chosen, rejected)
                if self.pairs == "one":
                    break
            self._counts["pairs"] += found
            self._counts["paired" if found else self._why_none(prompt)] += 1
        if self._counts["to train on"] and not self._counts["pairs"]:
            raise SpecError(
                "exports: preference: no prompt has a kept and a refuted sample that differ, so there is no pair; "
                "raise sampling.k, or let a weaker teacher answer too"
            )

    def facts(self) -> dict[str, Any]:
        """Return how many prompts gave a pair, and why others gave none."""
        none = {name: self._counts[name] for name in ("none_refuted", "none_comparable")}
        return {"prompts": self._counts["prompts"], "prompts_paired": self._counts["paired"], "prompts_unpaired": none}

    def _pairs(self, prompt: PromptSamples) -> Iterator[tuple[Row, Row]]:
        """Yield pairs, best first: the best score, with the same teacher's worst score, of the most similar length.

        Of similar length, since what DPO learns most readily is that longer is better (Park et al. 2024, arXiv:2403.19159).
        """
        seen: set[tuple[Any, ...]] = set()
        # One that was cut off is neither: what is learnt of it would be its length.
        refuted = [(row, _plain(self.response(row)), self._said(row)) for row in filter(_whole, prompt.refuted)]
        for chosen in sorted(filter(_whole, prompt.kept), key=lambda row: -_score(row)):
            text, said, asked = _plain(self.response(chosen)), self._said(chosen), self.asked(chosen)
            turns = tuple(turn["content"] for turn in asked)
            for rejected, against, its in sorted(refuted, key=lambda other: _distance(other[0], chosen)):
                # Nobody has deduplicated what was refuted: the same wrong answer may have come many times.
                if against != text and self.asked(rejected) == asked and (pair := (turns, said, its)) not in seen:
                    seen.add(pair)
                    yield chosen, rejected

    def _said(self, row: Row) -> tuple[str, ...]:
        """Return what a side of a pair says."""
        return tuple(_plain(str(value)) for value in self.answered(row).values())

    def _why_none(self, prompt: PromptSamples) -> str:
        return "none_comparable" if prompt.refuted else "none_refuted"

    def _row(self, chosen: Row, rejected: Row) -> dict[str, Any]:
        scores = [chosen["score"], rejected["score"]]
        return (
            {
                "prompt": self.prompt_side(chosen),
                "chosen": self.response_side(chosen),
                "rejected": self.response_side(rejected),
                "score_chosen": scores[0],
                "score_rejected": scores[1],
                "score_gap": None if None in scores else scores[0] - scores[1],
            }
            | {f"rejected_{name}": rejected[name] for name in ("sample_id", "teacher", "model")}
            | origin(chosen)
            | {"license": conjunction((chosen["license"], rejected["license"]))}
        )


def _whole(row: Row) -> bool:
    return row.get("finish_reason") not in CUT_OFF


def _distance(row: Row, chosen: Row) -> tuple[bool, float, int]:
    """Return what is least for the sample that is best set against another."""
    return row["teacher"] != chosen["teacher"], _score(row), abs(len(row["response"]) - len(chosen["response"]))


def _score(row: Row) -> float:
    """Return a score to sort by: what has none counts as half right."""
    return 0.5 if row["score"] is None else float(row["score"])


def _plain(text: str) -> str:
    """Return what a text says, but for white space and Unicode's forms."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
