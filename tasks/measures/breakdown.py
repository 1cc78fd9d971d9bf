"""Breakdown: the outcomes of a landed build by source, teacher, strategy, tag, verifier, licence, length and reason.

Everything is counted in SQL over the build's snapshot, joined by ids; of the responses only lengths are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from storage.identity import VOTE_INPUTS, inputs_of
from storage.lake import Lake, Manifest
from storage.parquet import PartWriter, write_rows
from storage.schemas import TABLES
from storage.sql import literal, parquet_files
from storage.workspace import JOIN_BYTES, Workspace
from tasks.diff import ACCEPTED, KIND_OF, RESPONDED

TAG_VALUES = 50
"""A tag that has more different values than this is more of an id, and isn't broken down."""
PLAIN = "(plain)"
"""What stands for the plain template among strategies; no strategy may be called so."""
PARTS = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the traces, by length."""
INPUTS = pa.schema([("prompt_id", pa.string()), ("inputs", pa.string())])
"""What each prompt brings to a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What became of some of a build's slots."""

    slots: int
    """That were asked for."""
    responses: int
    """That have a response."""
    accepted: int
    """Responses that the verifiers accepted."""
    kept: int
    """Traces."""
    pass_rate: float | None
    """Share of the responses that were accepted; None where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What one verifier said of a build's responses."""

    passed: int
    """Responses."""
    failed: int
    """Responses."""
    undecided: int
    """Responses."""
    pass_rate: float | None
    """Share of those that it decided; None where there are none."""


def views(workspace: Workspace, lake: Lake, build: Manifest) -> None:
    """Make `prompts`, `outcomes` and `traces` of a build."""
    workspace.make_room(build["requested"], each=JOIN_BYTES)
    for table in ("prompts", "outcomes", "traces"):
        # A file without rows has the columns that files of an earlier version lack.
        empty = workspace.folder / f"no-{table}.parquet"
        write_rows(empty, TABLES[table], ())
        files = sorted(lake.snapshot(table, build["dataset"], build["build_id"]).glob("*.parquet"))
        workspace.execute(f"CREATE VIEW {table} AS FROM {parquet_files([*files, empty])}")


def load(workspace: Workspace) -> None:
    """Make what all below counts, the table `slots`, beside the `views`."""
    workspace.execute(f"CREATE TABLE slots AS SELECT prompt_id, teacher, strategy, {_ENDED} FROM outcomes")


_ENDED = f"stage IS NULL AS kept, {RESPONDED} AS responded, {ACCEPTED} AS accepted"
_COUNTS = "count(*), count(*) FILTER (responded), count(*) FILTER (accepted), count(*) FILTER (kept)"
CURATED = f"(SELECT prompt_id, strategy, {_ENDED} FROM candidates JOIN arms USING (arm) JOIN prompt_ids USING (ord))"
"""In place of a landed build's `slots`: those of one that is curated, in its own workspace."""


def by_source(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return what became of each prompt source's slots, by name."""
    return _parts(
        workspace.rows(
            f"SELECT source, {_COUNTS} FROM slots JOIN (SELECT prompt_id, source FROM prompts) USING (prompt_id) "
            "GROUP BY source ORDER BY source"
        )
    )


def by_teacher(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return what became of each teacher's slots, by name."""
    return _parts(workspace.rows(f"SELECT teacher, {_COUNTS} FROM slots GROUP BY teacher ORDER BY teacher"))


def by_tag(workspace: Workspace) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what became of the slots by tag and value, for tags that have at most TAG_VALUES values."""
    _tagged(workspace)
    rows = workspace.rows(
        f"SELECT tag, value, {_COUNTS} FROM slots JOIN tagged USING (prompt_id) GROUP BY tag, value ORDER BY tag, value"
    )
    tags = sorted({row[0] for row in rows})
    return {tag: _parts([row[1:] for row in rows if row[0] == tag]) for tag in tags}


def by_strategy(workspace: Workspace, slots: str = "slots") -> dict[str, dict[str, Any]]:
    """Return what became of each strategy's slots, by name; nothing where there are none. PLAIN is the plain template's."""
    rows = workspace.rows(f"SELECT strategy, {_COUNTS} FROM {slots} GROUP BY strategy ORDER BY strategy NULLS LAST")
    return _parts([(row[0] or PLAIN, *row[1:]) for row in rows]) if any(row[0] for row in rows) else {}


def by_tag_and_strategy(workspace: Workspace, slots: str = "slots") -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Return the same by tag, value and strategy, for the tags that `by_tag` has: which strategy passes where."""
    _tagged(workspace)
    rows = workspace.rows(
        f"SELECT tag, value, strategy, {_COUNTS} FROM {slots} JOIN tagged USING (prompt_id) "
        "GROUP BY tag, value, strategy ORDER BY tag, value, strategy NULLS LAST"
    )
    if not any(row[2] for row in rows):
        return {}
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    for tag, value, strategy, *counts in rows:
        found.setdefault(tag, {}).setdefault(value, []).append((strategy or PLAIN, *counts))
    return {tag: {value: _parts(each) for value, each in values.items()} for tag, values in found.items()}


def _tagged(workspace: Workspace) -> None:
    """Make `tagged`: what values prompts have of the tags that sort them."""
    workspace.execute(
        "CREATE OR REPLACE TABLE tagged AS SELECT prompt_id, entry.key AS tag, entry.value AS value FROM "
        "(SELECT prompt_id, unnest(map_entries(tags)) AS entry FROM prompts WHERE tags IS NOT NULL)"
    )
    many = f"SELECT tag FROM tagged GROUP BY tag HAVING count(DISTINCT value) > {TAG_VALUES}"
    workspace.execute(f"DELETE FROM tagged WHERE tag IN ({many})")


def _parts(rows: Sequence[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    return {
        name: asdict(Part(slots=slots, responses=responses, accepted=accepted, kept=kept, pass_rate=_share(accepted, responses)))
        for name, slots, responses, accepted, kept in rows
    }


def by_verifier(workspace: Workspace, verifiers: Sequence[Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Return what each of the build's verifiers, as its manifest names them, said of its responses."""
    if not verifiers:
        return {}
    path = workspace.folder / "inputs.parquet"
    with PartWriter(path, INPUTS) as writer:
        for batch in workspace.stream("SELECT prompt_id, prompt, reference, tests, tags FROM prompts"):
            writer.extend([{"prompt_id": row.pop("prompt_id"), "inputs": inputs_of(**row)} for row in batch.to_pylist()])
    judges = ", ".join(f"({number}, {literal(each['fingerprint'])})" for number, each in enumerate(verifiers))
    workspace.execute(
        f"""
        CREATE TABLE known AS
        SELECT prompt_id, teacher, sample_id, inputs FROM outcomes JOIN read_parquet({literal(path)}) USING (prompt_id)
        WHERE sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw'
        """
    )
    rows = workspace.rows(
        f"""
        WITH voted AS (SELECT prompt_id, teacher, {VOTE_INPUTS} AS inputs FROM known GROUP BY prompt_id, teacher),
        addressed AS (
            SELECT prompt_id, teacher, sample_id, inputs FROM known
            UNION ALL
            SELECT prompt_id, teacher, sample_id, voted.inputs FROM known JOIN voted USING (prompt_id, teacher)
        ),
        said AS (
            SELECT number, prompt_id, teacher, sample_id, bool_and(passed) AS passed
            FROM verdicts JOIN (VALUES {judges}) AS judges(number, fingerprint) USING (fingerprint)
            JOIN addressed USING (sample_id, inputs) GROUP BY ALL
        )
        SELECT number, count(*) FILTER (passed), count(*) FILTER (NOT passed), count(*) FILTER (passed IS NULL)
        FROM said GROUP BY number ORDER BY number
        """
    )
    found = {}
    for number, passed, failed, undecided in rows:
        name = verifiers[number]["name"]
        while name in found:
            name += "'"
        found[name] = asdict(
            Verified(passed=passed, failed=failed, undecided=undecided, pass_rate=_share(passed, passed + failed))
        )
    return found


def licenses(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the traces by licence, use and generation, most first."""
    return _dicts(
        workspace,
        "SELECT license, train_use, generation, count(*) AS traces FROM traces GROUP BY ALL "
        "ORDER BY traces DESC, license, train_use, generation",
    )


def rejections(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the slots that weren't kept by outcome, stage and kind of reason, most first."""
    return _dicts(
        workspace,
        f"SELECT outcome, stage, {KIND_OF} AS kind, count(*) AS slots FROM outcomes WHERE outcome <> 'kept' GROUP BY ALL "
        "ORDER BY slots DESC, outcome, stage, kind",
    )


def contamination(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the rejected slots by the benchmark that their reason names."""
    return _dicts(
        workspace,
        "SELECT split_part(split_part(reason, ', item ', 1), ':', 1) AS benchmark, count(*) AS slots, "
        "count(DISTINCT prompt_id) AS prompts FROM outcomes WHERE stage = 'decontaminate' GROUP BY ALL "
        "ORDER BY slots DESC, benchmark",
    )


def lengths(workspace: Workspace) -> dict[str, Any]:
    """Return the traces' characters of response and tokens, by PARTS and in all."""
    found: dict[str, Any] = {}
    for name, sql in (("characters", "length(response)"), ("tokens_out", "tokens_out"), ("tokens_in", "tokens_in")):
        counted = workspace.rows(f"SELECT {sql} AS size, count(*) FROM traces WHERE size IS NOT NULL GROUP BY size ORDER BY size")
        total = sum(number for _, number in counted)
        sizes = {}
        for part in PARTS:
            seen = 0
            for size, number in counted:
                seen += number
                if seen >= max(1, part * total):
                    sizes[f"{part:.0%}"] = size
                    break
        found[name] = {"sum": sum(size * number for size, number in counted), "quantiles": sizes}
    return found


def _dicts(workspace: Workspace, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = workspace.table(sql).to_pylist()
    return rows


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
