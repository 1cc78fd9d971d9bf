"""Judging apart from drawing: workers of one kind draw shards, those of another judge what came, each as many as it takes.

Not where verdicts decide what is asked for next (adaptive k, cascades): there, whoever draws judges.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.spec import Spec
from storage.identity import check_inputs
from storage.parquet import write_rows
from storage.records import Prompt, Sample, Verdict
from storage.rows import sample_of
from storage.schemas import SAMPLES
from tasks.orders import Ordered
from tasks.tally import Passing
from tasks.verify import Case, Rule, Verification

DRAW, VERIFY = "draw", "verify"
"""What is done with a shard, and resources of a cluster whose workers do one of them: a task run takes one of its kind."""
_DRAWN = pa.schema([field for field in SAMPLES if field.name != "logprobs"])


def possible(spec: Spec) -> bool:
    """Whether a spec's verdicts can come later than its samples."""
    return bool(spec.verify) and spec.sampling.adaptive is None and not spec.cascades


class Apart:
    """In a worker that draws it stands in for the verification, and keeps what is to be judged; in one that judges it does so."""

    def __init__(self, orders: Path, verification: Verification) -> None:
        """Hand over through the folder of the orders."""
        self._orders = Ordered(orders)
        self._verification = verification
        self._drawn: dict[str, list[Sample]] = {}
        """By prompt, for the shards that are being drawn."""
        self.tally = {"judged": 0, "accepted": 0}
        """Samples, of this worker."""
        self.passing = Passing()
        """Likewise, by teacher, strategy, verifier and tag."""

    @property
    def fingerprints(self) -> frozenset[str]:
        """See `tasks.shard.Judges`."""
        return self._verification.fingerprints

    def expect(self, shard: int) -> None:
        """Keep what is drawn for a shard's prompts."""
        self._drawn |= {prompt.prompt_id: [] for _, prompt in self._orders.load(shard)[0]}

    async def judge(self, prompt: Prompt, cases: Sequence[Case]) -> list[list[Verdict]]:
        """See `tasks.shard.Judges`: keep the samples, and say nothing of them."""
        self._drawn[prompt.prompt_id] += [case.sample for case in cases]
        return [[] for _ in cases]

    def hand_over(self, shard: int) -> None:
        """Write what was drawn of a shard where whoever judges it finds it: a copy, the journal has the samples."""
        prompts, _ = self._orders.load(shard)
        # By the prompt that it is judged for, which needn't be the one that asked first.
        rows = [
            asdict(sample) | {"prompt_id": prompt.prompt_id} for _, prompt in prompts for sample in self._drawn[prompt.prompt_id]
        ]
        write_rows(self._path(shard), _DRAWN, rows)
        for _, prompt in prompts:  # only now: where it can't be written, a retry has them still
            del self._drawn[prompt.prompt_id]

    async def judge_shard(self, shard: int, verdicts: Mapping[str, Sequence[Verdict]], rule: Rule) -> dict[str, int]:
        """Judge what was handed over of a shard, less what `verdicts` has already by `sample_id`; return counts."""
        prompts, _ = await asyncio.to_thread(self._orders.load, shard)
        rows = (await asyncio.to_thread(pq.read_table, self._path(shard))).to_pylist()
        drawn: defaultdict[str, list[Sample]] = defaultdict(list)
        for row in rows:
            drawn[row["prompt_id"]].append(sample_of(row))
        counts = {"judged": 0, "accepted": 0}

        async def one(prompt: Prompt) -> None:
            inputs, samples = check_inputs(prompt), drawn[prompt.prompt_id]
            known = [[v for v in verdicts.get(sample.sample_id, ()) if v.inputs == inputs] for sample in samples]
            cases = [
                Case(sample=sample, fingerprints=self.fingerprints - {verdict.fingerprint for verdict in found})
                for sample, found in zip(samples, known, strict=True)
            ]
            judged = await self._verification.judge(prompt, cases)
            for sample, before, more in zip(samples, known, judged, strict=True):
                found = [*before, *more]
                accepted = rule.accepts(found)
                for total in (counts, self.tally):
                    total["judged"] += 1
                    total["accepted"] += accepted
                self.passing.judge(
                    teacher=sample.teacher, strategy=sample.strategy, tags=prompt.tags, verdicts=found, accepted=accepted
                )

        async with asyncio.TaskGroup() as group:
            for _, prompt in prompts:
                if prompt.prompt_id in drawn:
                    group.create_task(one(prompt))
        return counts

    def _path(self, shard: int) -> Path:
        return self._orders.folder / f"{shard:06d}.drawn.parquet"
