"""Entries: the chosen slots with their texts and verdicts, prompt after prompt.

Texts are dealt into buckets of consecutive prompts as they stream by, and one bucket at a time is put in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from storage.dealing import BUCKETS, by_bucket
from storage.identity import check_inputs, vote_inputs
from storage.lake import Manifest
from storage.records import Prompt
from storage.rows import prompt_of
from storage.workspace import Workspace
from tasks.browse.choose import in_order

BUCKET_SLOTS = 400
"""In a bucket, at least."""
BATCH = 500
"""Rows with texts that are held while they are dealt."""
_TEXTS = (
    *("messages", "response", "reasoning", "finish_reason", "model", "tokens_in", "tokens_out", "tokens_reasoning"),
    *("cost_usd", "latency_s", "temperature"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One prompt with those of its slots that were chosen."""

    place: int
    """In the build, from 0 on."""
    prompt: Prompt
    """The prompt."""
    samples: Sequence[Mapping[str, Any]]
    """A mapping for each slot: the columns of `outcomes`, those of `samples` that people read (None without a response), and
    `verdicts`, those that counted in this build, each with verifier, passed, score and reason."""


def entries(workspace: Workspace, build: Manifest) -> Iterator[Entry]:
    """Yield the chosen slots by prompt, in the build's order. `tasks.browse.choose` must have made `chosen`."""
    ((slots, prompts),) = workspace.rows("SELECT count(*), count(DISTINCT prompt_id) FROM chosen")
    if not slots:
        return
    size = max(BUCKET_SLOTS, -(-slots // BUCKETS))
    # A prompt's slots stand in one bucket: that of its first.
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE stands AS
        SELECT prompt_id, place, ((sum(slots) OVER (ORDER BY place) - slots) // {size})::INTEGER AS bucket
        FROM (SELECT prompt_id, place, count(*) AS slots FROM chosen GROUP BY ALL)
        """
    )
    workspace.execute(
        "CREATE OR REPLACE TABLE chosen_ids AS "
        "SELECT DISTINCT sample_id, bucket FROM chosen JOIN stands USING (prompt_id) WHERE sample_id IS NOT NULL"
    )
    _deal(workspace, "browsed_prompts", "SELECT prompts.*, place, bucket FROM prompts JOIN stands USING (prompt_id)")
    _deal(
        workspace,
        "browsed_samples",
        f"SELECT sample_id, {', '.join(_TEXTS)}, bucket FROM {workspace.holding('chosen_ids')} AS samples "
        "JOIN chosen_ids USING (sample_id)",
    )
    _deal(
        workspace,
        "browsed_verdicts",
        "SELECT verdicts.sample_id, verifier, fingerprint, inputs, passed, verdicts.score, verdicts.reason, bucket "
        "FROM verdicts JOIN chosen_ids USING (sample_id)",
    )
    workspace.execute(
        "CREATE OR REPLACE TABLE heard_together AS SELECT prompt_id, teacher, list(sample_id) AS ids FROM outcomes "
        "SEMI JOIN stands USING (prompt_id) WHERE sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw' GROUP BY ALL"
    )
    yield from _read(workspace, build, prompts)


def _read(workspace: Workspace, build: Manifest, prompts: int) -> Iterator[Entry]:
    fingerprints = {each["fingerprint"] for each in build.get("verifiers", ())}
    bucket, held = -1, _Bucket()
    grouped = 0
    for place, rows in groupby(in_order(workspace, build), key=lambda row: row["place"]):
        slots = list(rows)
        while place not in held.prompts:
            bucket += 1
            held = _Bucket.read(workspace, bucket, fingerprints)
            if bucket > BUCKETS:
                raise AssertionError(f"prompt {place} was dealt into no bucket")
        yield Entry(place=place, prompt=held.prompts[place], samples=list(map(held.sample, slots)))
        grouped += 1
    if grouped != prompts:
        raise AssertionError(f"{grouped} of {prompts} prompts were read")


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """What one bucket holds."""

    prompts: Mapping[int, Prompt] = field(default_factory=dict)
    """By place."""
    alone: Mapping[int, str] = field(default_factory=dict)
    """What each of them brings to a check, by place."""
    samples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By id."""
    verdicts: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By the sample's id."""
    together: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)
    """The ids of the samples that may have been judged together, by prompt and teacher, where any were."""

    @classmethod
    def read(cls, workspace: Workspace, bucket: int, fingerprints: set[str]) -> _Bucket:
        """Read one."""
        prompts = {row["place"]: prompt_of(row) for row in workspace.dealt_rows("browsed_prompts", bucket)}
        samples = {row.pop("sample_id"): row for row in workspace.dealt_rows("browsed_samples", bucket)}
        alone = {place: check_inputs(prompt) for place, prompt in prompts.items()}
        counting = [row for row in workspace.dealt_rows("browsed_verdicts", bucket) if row["fingerprint"] in fingerprints]
        verdicts: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(counting, key=itemgetter("verifier", "fingerprint")):
            verdicts.setdefault(row["sample_id"], []).append(row)
        together: dict[tuple[str, str], list[str]] = {}
        if not {row["inputs"] for row in counting} <= set(alone.values()):
            told = workspace.rows(
                f"SELECT prompt_id, teacher, ids FROM heard_together JOIN stands USING (prompt_id) WHERE bucket = {bucket}"
            )
            together = {(prompt, teacher): ids for prompt, teacher, ids in told}
        return cls(prompts=prompts, alone=alone, samples=samples, verdicts=verdicts, together=together)

    def sample(self, slot: Mapping[str, Any]) -> dict[str, Any]:
        """Return a slot with its sample's columns and the verdicts that counted in this build."""
        inputs = {self.alone[slot["place"]]}
        if heard := self.together.get((slot["prompt_id"], slot["teacher"])):
            inputs.add(vote_inputs(self.alone[slot["place"]], heard))
        texts = self.samples.get(slot["sample_id"]) or dict.fromkeys(_TEXTS)
        counted: dict[tuple[str, str], dict[str, Any]] = {}
        for each in self.verdicts.get(slot["sample_id"], ()) if slot["stage"] != "draw" else ():
            if each["inputs"] in inputs:  # a verdict may stand twice, where a run was killed between reaching it and noting that
                told = {name: each[name] for name in ("verifier", "passed", "score", "reason")}
                counted.setdefault((each["fingerprint"], each["inputs"]), told)
        kept = {name: value for name, value in slot.items() if name != "place"}
        return {**kept, **texts, "verdicts": list(counted.values())}


def _deal(workspace: Workspace, name: str, sql: str) -> None:
    """Deal a query's rows by its column `bucket`, few at a time, since they have texts."""
    schema = workspace.table(f"SELECT * EXCLUDE (bucket) FROM ({sql}) LIMIT 0").schema
    pieces = (
        (bucket, batch.drop_columns(["bucket"]).take(pa.array(rows)).cast(schema))
        for batch in workspace.stream(sql, rows=BATCH)
        for bucket, rows in by_bucket(batch["bucket"].to_numpy())
    )
    workspace.deal(name, pieces, schema, for_queries=False)
