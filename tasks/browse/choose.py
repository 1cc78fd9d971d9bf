"""Choose: which of a build's slots somebody reads, by what became of them or spread over the build.

All of it is done on ids and numbers, in the table `chosen`; `tasks.browse.entries` reads the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from storage.errors import SpecError
from storage.identity import VOTE_INPUTS, inputs_of
from storage.lake import Manifest
from storage.parquet import PartWriter
from storage.sql import literal, parquet_in
from storage.workspace import Workspace
from tasks.diff import KIND_OF

Outcome = Literal["kept", "rejected", "failed"]
EXAMPLES = 25
"""Prompts that show each kind of rejection and failure, before others are drawn."""
KINDS = 200
"""Kinds that are shown by examples: the most frequent ones, since a verifier may give each sample a reason of its own."""
TEXTS = ("prompts.prompt", "responses.response", "responses.reasoning", "found.reason")
"""What a search looks through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a sample must be to be shown. What is None, or empty, asks for nothing."""

    outcome: Outcome | None = None
    """Kept, rejected or failed."""
    stage: str | None = None
    """The stage that rejected it."""
    prompt: str | None = None
    """Its prompt's id."""
    teacher: str | None = None
    """The teacher's name."""
    strategy: str | None = None
    """The strategy's name."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the prompt is tagged with."""
    verifier: str | None = None
    """The name of a verifier that failed it."""
    search: str | None = None
    """A text that stands in the prompt, the response, the reasoning or the reason, in whatever case."""

    def check(self, build: Manifest) -> None:
        """Raise SpecError where a name is none of the build's."""
        spec = build.get("spec", {})
        teachers = [each["name"] for each in spec.get("teachers", ())] or list(build.get("by_teacher", {}))
        _known("--teacher", self.teacher, teachers)
        _known("--strategy", self.strategy, list(build.get("by_strategy", {})))
        _known("--verifier", self.verifier, [each["name"] for each in build.get("verifiers", ())])


def _known(option: str, name: str | None, names: Sequence[str]) -> None:
    if name is not None and name not in names:
        raise SpecError(f"{option}: the build has no {name!r}; it has {', '.join(names) or 'none'}")


def choose(workspace: Workspace, build: Manifest, filters: Filters, folder: Path, *, number: int) -> None:
    """Make `chosen`: so many slots that the filters let through, one of each prompt, evenly spread, before a second of any.

    `folder` has the build's prompts. `tasks.measures.breakdown.views` must have been called.
    """
    _places(workspace, folder)
    where = [
        f"{column} = {literal(value)}"
        for column, value in (
            ("outcome", filters.outcome),
            ("stage", filters.stage),
            ("prompt_id", filters.prompt),
            ("teacher", filters.teacher),
        )
        if value is not None
    ]
    if filters.strategy is not None:
        where.append(f"coalesce(strategy, '(plain)') = {literal(filters.strategy)}")
    workspace.execute(f"CREATE TABLE found AS SELECT {_SLOT} FROM outcomes WHERE {' AND '.join(where) or 'TRUE'}")
    for tag, value in filters.tags.items():
        tagged = f"SELECT prompt_id FROM prompts WHERE list_contains(map_extract(tags, {literal(tag)}), {literal(value)})"
        workspace.execute(f"CREATE OR REPLACE TABLE found AS FROM found SEMI JOIN ({tagged}) USING (prompt_id)")
    if filters.verifier is not None:
        _failed_by(workspace, [each for each in build["verifiers"] if each["name"] == filters.verifier])
    if filters.search is not None:
        _search(workspace, filters.search)
    workspace.execute(
        f"""
        CREATE TABLE chosen AS
        WITH ordered AS (SELECT found.*, place FROM found JOIN places USING (prompt_id)),
        turns AS (SELECT *, row_number() OVER (PARTITION BY prompt_id ORDER BY {_order(build)}) AS turn FROM ordered),
        numbered AS (SELECT *, row_number() OVER (PARTITION BY turn ORDER BY place) - 1 AS number,
            count(*) OVER (PARTITION BY turn) AS many FROM turns)
        SELECT * EXCLUDE (turn, number, many) FROM numbered
        ORDER BY turn, (number * {number} // many) = ((number - 1) * {number} // many) AND number > 0, place LIMIT {number}
        """
    )


_SLOT = f"prompt_id, teacher, sample_index, sample_id, outcome, stage, reason, refuted_by, score, strategy, {KIND_OF} AS kind"


def _places(workspace: Workspace, folder: Path) -> None:
    """Make `places`: where each prompt stands in the build."""
    workspace.execute(
        "CREATE TABLE places AS SELECT prompt_id, row_number() OVER (ORDER BY filename, file_row_number) - 1 AS place "
        f"FROM {parquet_in(folder)}"
    )


def _order(build: Manifest) -> str:
    """Return the order of a prompt's slots, in SQL: by the teachers as the spec has them."""
    names = [each["name"] for each in build.get("spec", {}).get("teachers", ())]
    listed = f"list_position([{', '.join(map(literal, names))}], teacher), " if names else ""
    return f"{listed}teacher, strategy NULLS FIRST, sample_index"


def _failed_by(workspace: Workspace, verifiers: Sequence[Mapping[str, str]]) -> None:
    """Leave in `found` those slots that one of these verifiers failed, in this build's terms."""
    listed = ", ".join(literal(each["fingerprint"]) for each in verifiers)
    workspace.execute(
        f"CREATE TABLE accused AS SELECT DISTINCT sample_id FROM verdicts WHERE fingerprint IN ({listed}) AND NOT passed"
    )
    workspace.execute("CREATE OR REPLACE TABLE found AS FROM found SEMI JOIN accused USING (sample_id)")
    # A verdict counts by what its prompt brought to the check, which only Python reckons: for these prompts alone.
    path = workspace.folder / "addressed.parquet"
    schema = pa.schema([("prompt_id", pa.string()), ("inputs", pa.string())])
    with PartWriter(path, schema) as writer:
        found = "prompts SEMI JOIN found USING (prompt_id)"
        for batch in workspace.stream(f"SELECT prompt_id, prompt, reference, tests, tags FROM {found}"):
            writer.extend([{"prompt_id": row.pop("prompt_id"), "inputs": inputs_of(**row)} for row in batch.to_pylist()])
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE found AS
        WITH alone AS (
            SELECT prompt_id, teacher, sample_id, inputs FROM outcomes JOIN read_parquet({literal(path)}) USING (prompt_id)
            WHERE sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw'
        ),
        voted AS (SELECT prompt_id, teacher, {VOTE_INPUTS} AS inputs FROM alone GROUP BY prompt_id, teacher),
        addressed AS (
            FROM alone UNION ALL
            SELECT prompt_id, teacher, sample_id, voted.inputs FROM alone JOIN voted USING (prompt_id, teacher)
        ),
        failed AS (
            SELECT prompt_id, teacher, sample_id FROM addressed
            JOIN (FROM verdicts WHERE fingerprint IN ({listed}) AND NOT passed) USING (sample_id, inputs)
        )
        FROM found SEMI JOIN failed USING (prompt_id, teacher, sample_id)
        """
    )


def _search(workspace: Workspace, text: str) -> None:
    """Leave in `found` those slots with whose texts this one stands."""
    workspace.execute("CREATE TABLE wanted AS SELECT DISTINCT sample_id FROM found WHERE sample_id IS NOT NULL")
    looked = " OR ".join(f"contains(lower({column}), lower({literal(text)}))" for column in TEXTS)
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE found AS
        SELECT found.* FROM found JOIN prompts USING (prompt_id)
        LEFT JOIN (
            SELECT sample_id, response, reasoning FROM {workspace.holding("wanted")} SEMI JOIN wanted USING (sample_id)
        ) AS responses ON responses.sample_id = found.sample_id
        WHERE coalesce({looked}, FALSE)
        """
    )


def spread(workspace: Workspace, folder: Path, *, number: int) -> None:
    """Make `chosen`: whole prompts with about so many slots at most, and one prompt at least.

    They are drawn by the hashes of their ids, so that a build that grows shows much of what it showed; but of each kind of
    rejection and failure some come first, in at most half of the room, since what is rare is what one looks for.
    """
    _places(workspace, folder)
    kinds = workspace.rows(
        f"SELECT arg_min(prompt_id, md5(prompt_id), {EXAMPLES}) FROM "
        f"(SELECT DISTINCT outcome, stage, {KIND_OF} AS kind, prompt_id FROM outcomes WHERE outcome <> 'kept') "
        f"GROUP BY outcome, stage, kind ORDER BY count(*) DESC, outcome, stage, kind LIMIT {KINDS}"
    )
    first = sorted({each for (ids,) in kinds for each in ids})
    workspace.load("examples", pa.table({"prompt_id": pa.array(first, pa.string())}))
    workspace.execute(f"CREATE TABLE lots AS SELECT prompt_id, md5(prompt_id) AS lot FROM places ORDER BY lot LIMIT {number}")
    workspace.execute(
        f"""
        CREATE TABLE turns AS
        WITH asked AS (
            SELECT prompt_id, md5(prompt_id) AS lot, TRUE AS example FROM examples
            UNION ALL SELECT prompt_id, lot, FALSE FROM lots ANTI JOIN examples USING (prompt_id)
        ),
        counted AS (SELECT any_value(lot) AS lot, any_value(example) AS example, prompt_id, count(*) AS slots
            FROM asked JOIN outcomes USING (prompt_id) GROUP BY prompt_id),
        halved AS (
            SELECT *, example AND sum(slots) OVER (PARTITION BY example ORDER BY lot) * 2 <= {number} AS early FROM counted
        ),
        summed AS (SELECT *, sum(slots) OVER (ORDER BY early DESC, lot, prompt_id) AS total FROM halved)
        SELECT prompt_id FROM summed WHERE total <= {number} OR total = slots
        """
    )
    workspace.execute(
        f"CREATE TABLE chosen AS SELECT {_SLOT}, place FROM outcomes JOIN places USING (prompt_id) "
        "SEMI JOIN turns USING (prompt_id)"
    )


def in_order(workspace: Workspace, build: Manifest) -> Iterator[dict[str, Any]]:
    """Yield the chosen slots as rows, in the order of prompts, teachers and indices."""
    for batch in workspace.stream(f"FROM chosen ORDER BY place, {_order(build)}"):
        yield from batch.to_pylist()
