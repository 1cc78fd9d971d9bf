"""A build's kept and refuted samples, prompt by prompt, for exporters that compare them.

Traces come in the snapshot's order already. What a verifier failed is found by the outcomes; its texts lie anywhere in the lake,
so they are dealt into buckets of consecutive ranks as they stream by, and each bucket is put in order by itself, as in
`tasks.snapshot`.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from storage.dealing import BUCKETS
from storage.errors import StorageError
from storage.lake import Lake, Manifest
from storage.parquet import column_names, count_rows, read_batches
from storage.sql import explained, literal, parquet_files
from storage.workspace import JOIN_BYTES, Workspace
from tasks.decontaminate import Decontamination, response_texts
from tasks.heldout.matching import Matching
from tasks.ranked import RESPONSE, deal_samples, dealt_once
from tasks.rights.conjunction import conjunction

BUCKET_ROWS = 10_000
"""Refuted samples that are put in order in memory."""
BATCH_ROWS = 200
"""Rows that are Python objects at a time."""
_TEACHER = ("teacher_license", "license", "train_use", "terms")
"""The columns of a trace that its teacher and its prompt's licence decide."""


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


def pairs_source(
    lake: Lake, dataset: str, build_id: str, *, heldout: Decontamination | None = None, left_out: set[str] | None = None
) -> Iterator[PromptSamples]:
    """Yield each prompt of a build that has a trace, in the snapshot's order. Out of core: one prompt's texts at a time.

    A build decontaminates only what its verifiers let through. So refuted samples are looked at here: one with an item of
    `heldout` in it is left out, and its id is put into `left_out`. Raise StorageError where the build is of a version that didn't
    note what refuted a sample. The caller holds the lake's lock.
    """
    traces, outcomes = (_files(lake.snapshot(table, dataset, build_id)) for table in ("traces", "outcomes"))
    if "refuted_by" not in column_names(outcomes[0]):
        raise StorageError(
            f"build {build_id} of {dataset!r} is of an earlier version, and doesn't say which verifier failed a sample; "
            "build the spec again, which buys nothing"
        )
    with Workspace(lake, lake.staging / f"refuted-{secrets.token_hex(4)}") as workspace:
        build = lake.build(dataset, build_id)
        licensed = _licensed(workspace, traces, build)
        buckets = _deal(workspace, traces, outcomes)
        exempt = {each["source"] for each in build.get("spec", {}).get("prompts", ()) if not each.get("decontaminate", True)}
        bad = set() if left_out is None else left_out
        if heldout is not None:
            bad |= _contaminated(heldout, lambda: (row for row in _refuted(workspace, buckets) if row["source"] not in exempt))
        refuted = (row for row in _refuted(workspace, buckets) if row["sample_id"] not in bad or row["source"] in exempt)
        ahead = next(refuted, None)
        for place, (prompt_id, rows) in enumerate(itertools.groupby(_rows(traces), key=lambda trace: trace["prompt_id"])):
            kept = tuple(rows)
            against = []
            while ahead is not None and ahead["place"] == place:
                against.append(_like(kept[0], ahead, licensed))
                ahead = next(refuted, None)
            split = kept[0]["split"] or "train"
            yield PromptSamples(prompt_id=prompt_id, split=split, kept=kept, refuted=tuple(against))


def teachers_refuted(lake: Lake, dataset: str, build_id: str) -> list[str]:
    """Return the teachers of whom `pairs_source` has refuted samples and the build no trace that would speak for them."""
    traces, outcomes = (_files(lake.snapshot(table, dataset, build_id)) for table in ("traces", "outcomes"))
    if "refuted_by" not in column_names(outcomes[0]):
        return []  # whoever reads the samples is told
    kept, refuted = parquet_files(traces), f"{parquet_files(outcomes)} WHERE stage = 'verify' AND refuted_by IS NOT NULL"
    with explained(), duckdb.connect() as connection:

        def names(of: str) -> list[str]:
            return [name for (name,) in connection.execute(f"SELECT DISTINCT teacher FROM {of} ORDER BY teacher").fetchall()]

        found = f"{refuted} AND teacher NOT IN (SELECT DISTINCT teacher FROM {kept})"
        # Prompts are looked at only where there is such a teacher at all.
        return names(f"{found} AND prompt_id IN (SELECT prompt_id FROM {kept})") if names(found) else []


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _rows(files: list[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        for batch in read_batches(path, rows=BATCH_ROWS):
            yield from batch.to_pylist()


def _ranked(files: list[Path]) -> str:
    """Return a snapshot's files as a table with a column `position` more, by which its rows can be put in order."""
    listed = f"[{', '.join(map(literal, files))}]"
    position = f"list_position({listed}, filename)::BIGINT * 1_000_000_000 + file_row_number AS position"
    return f"(SELECT *, {position} FROM read_parquet({listed}, hive_partitioning=false, filename=true, file_row_number=true))"


def _contaminated(heldout: Decontamination, rows: Callable[[], Iterator[dict[str, Any]]]) -> set[str]:
    """Return the ids of the samples that have held-out items in them."""
    matching: Matching = Matching(index=heldout.index)
    texts = (
        text for row in rows() for text in response_texts(row["sample_id"], str(row["place"]), row["response"], row["reasoning"])
    )
    return {str(hit.key) for hits in (matching.find(texts), matching.finish()) for hit in hits}


def _deal(workspace: Workspace, traces: list[Path], outcomes: list[Path]) -> tuple[int, int]:
    """Deal the texts of what was refuted of the prompts that have a trace; return how many buckets of how many samples."""
    workspace.make_room(sum(map(count_rows, outcomes)), each=JOIN_BYTES)
    workspace.execute(
        f"""
        CREATE TABLE places AS
        SELECT prompt_id, source, row_number() OVER (ORDER BY first) - 1 AS place
        FROM (SELECT prompt_id, min(prompt_source) AS source, min(position) AS first FROM {_ranked(traces)} GROUP BY prompt_id)
        """
    )
    strategy = "strategy" if "strategy" in column_names(outcomes[0]) else "NULL::VARCHAR AS strategy"
    workspace.execute(
        f"""
        CREATE TABLE refuted AS
        SELECT place, source, sample_id, teacher, {strategy}, score, row_number() OVER (ORDER BY place, position) - 1 AS rank
        FROM {_ranked(outcomes)} JOIN places USING (prompt_id)
        WHERE stage = 'verify' AND refuted_by IS NOT NULL
        """
    )
    ((total,),) = workspace.rows("SELECT count(*) FROM refuted")
    size = max(workspace.at_once(BUCKET_ROWS), -(-total // BUCKETS))
    workspace.make_room_for(at_once=size)
    deal_samples(workspace, "texts", RESPONSE, f"SELECT sample_id, rank, rank // {size} AS bucket FROM refuted")
    return -(-total // size), size


def _refuted(workspace: Workspace, buckets: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Yield what was dealt, with its prompt's place among those that have a trace, in their order."""
    number_of, size = buckets
    for number in range(number_of):
        for batch in workspace.stream(
            f"SELECT place, source, teacher, strategy, score, texts.* EXCLUDE (rank, bucket) "
            f"FROM (FROM refuted WHERE rank // {size} = {number}) AS refuted "
            f"JOIN {dealt_once(workspace, 'texts', number)} AS texts USING (rank, sample_id) ORDER BY rank",
            rows=BATCH_ROWS,
        ):
            yield from batch.to_pylist()


def _licensed(workspace: Workspace, traces: list[Path], build: Manifest) -> Mapping[tuple[str, str], dict[str, Any]]:
    """Return what a teacher and a prompt's licence decide: as traces say or, where there is none, as the spec does."""
    chosen = ", ".join(f"min({name})" for name in _TEACHER)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for teacher, prompt_license, *values in workspace.rows(
        f"SELECT teacher, prompt_license, {chosen} FROM {_ranked(traces)} GROUP BY ALL ORDER BY ALL"
    ):
        found[teacher, prompt_license] = dict(zip(_TEACHER, values, strict=True))
    for prompt_license in {prompt_license for _, prompt_license in found}:
        for teacher in build.get("spec", {}).get("teachers", ()):
            if not teacher.get("license"):
                continue  # it only judges
            own = {
                "teacher_license": teacher["license"],
                "license": conjunction((prompt_license, teacher["license"])),
                "train_use": "unknown",
                "terms": teacher.get("terms"),
            }
            found.setdefault((teacher["name"], prompt_license), own)
    return found


def _like(trace: Mapping[str, Any], sample: dict[str, Any], licensed: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return a refuted sample as a trace of the same prompt would be."""
    own = {name: value for name, value in sample.items() if name not in {"place", "source"}}
    return {**trace, "answer": None, **own, **licensed[sample["teacher"], trace["prompt_license"]]}
