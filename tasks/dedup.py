"""Dedup: of samples that say the same, or nearly the same, one is kept, and every other one's outcome names it."""

from __future__ import annotations

from storage.errors import SpecError
from storage.lake import Lake
from storage.plugins import nearest
from storage.sql import literal, parquet_in
from storage.workspace import Workspace
from tasks.duplicates.digests import TEXT, normalised
from tasks.duplicates.near import drop_near
from tasks.duplicates.options import ORDER, DedupOptions
from tasks.duplicates.semantic import drop_semantic


def dedup(workspace: Workspace, options: DedupOptions, lake: Lake, *, build_id: str) -> None:
    """Reject duplicates among the `candidates` still in. The best verdict stays, then the shortest, then the least id.

    `against` takes what the datasets' newest builds hold now. Raise StorageError where one of them was never built.
    """
    if not options.on:
        return
    held(workspace, options.against, lake)
    if options.near is not None:
        drop_near(workspace, options.near, lake, by=options.by, within=options.within, build_id=build_id)
    elif options.exact:
        with workspace.sparing():
            _exact(workspace, options)
    if options.semantic is not None:
        drop_semantic(workspace, options.semantic, by=options.by, within=options.within)
    workspace.execute("DROP VIEW held")


def check_against(options: DedupOptions, lake: Lake, *, dataset: str, where: str) -> None:
    """Raise SpecError where what `against` names isn't another dataset that was built in the lake."""
    known = sorted({build["dataset"] for build in lake.builds()} - {dataset}) if options.against else []
    for number, name in enumerate(options.against):
        place = f"{where}: dedup.against[{number}]"
        if name == dataset:
            raise SpecError(f"{place}: {name!r} is this dataset itself; name others of the lake")
        if name not in known:
            raise SpecError(f"{place}: no build of {name!r} in {lake.root}; {nearest(name, known)}")


def held(workspace: Workspace, datasets: tuple[str, ...], lake: Lake) -> None:
    """Make the view `held`: the traces of the newest builds of other datasets."""
    none = "SELECT 0 AS source, '' AS dataset, sample_id, response AS prompt, reasoning, response FROM samples LIMIT 0"
    views = [f"({none})"]
    for number, name in enumerate(datasets):
        traces = lake.snapshot("traces", name, lake.build(name)["build_id"])
        views.append(
            f"(SELECT {number} AS source, {literal(name)} AS dataset, sample_id, prompt, reasoning, response "
            f"FROM {parquet_in(traces)})"
        )
    workspace.execute(f"CREATE VIEW held AS {' UNION ALL '.join(views)}")


def _exact(workspace: Workspace, options: DedupOptions) -> None:
    mine, theirs, joined = {
        ("response", "dataset"): ("digest", f"md5_number({normalised(TEXT)})", ""),
        ("prompt", "dataset"): ("asked", f"md5_number({normalised('prompt')})", "JOIN asked_digests USING (ord)"),
    }.get(
        (options.by, options.within),
        ("digest, prompt_digest", f"md5_number({normalised(TEXT)}), sha256(prompt)", "JOIN prompt_ids USING (ord)"),
    )
    prompts = options.by == "prompt"
    if prompts:
        asked = f"SELECT ord, md5_number({normalised('prompt')}) AS asked FROM prompts"
        workspace.execute(f"CREATE TABLE asked_digests AS {asked}")
    # What other datasets hold has no ordinal, and is there to stay.
    compared = f"""
        SELECT ord, arm, sample_index, sample_id, NULL::VARCHAR AS dataset, returned, score, length, {_named(mine)}
        FROM candidates {joined} WHERE stage IS NULL
        UNION ALL
        SELECT NULL, NULL, NULL, sample_id, dataset, FALSE, NULL, source, {theirs} FROM held
        """
    another = "ranked.ord IS DISTINCT FROM first_ord" if prompts else "rank > 1"
    said = "its prompt duplicates that of " if prompts else "duplicates "
    columns = ", ".join(f"same{number}" for number in range(mine.count(",") + 1))
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'dedup', reason = '{said}' || first,
            kept_ord = first_ord, kept_arm = first_arm, kept_index = first_index
        FROM (
            SELECT ord, arm, sample_index, first_value(ord) OVER same AS first_ord,
                first_value(arm) OVER same AS first_arm, first_value(sample_index) OVER same AS first_index,
                first_value(concat_ws(' of ', sample_id, dataset)) OVER same AS first,
                row_number() OVER same AS rank
            FROM ({compared})
            WINDOW same AS (
                PARTITION BY {columns} ORDER BY (dataset IS NULL), {ORDER}
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )
        ) AS ranked
        WHERE {another} AND candidates.ord = ranked.ord
            AND candidates.arm = ranked.arm AND candidates.sample_index = ranked.sample_index
        """
    )
    if prompts:
        workspace.execute("DROP TABLE asked_digests")


def _named(columns: str) -> str:
    return ", ".join(f"{column} AS same{number}" for number, column in enumerate(columns.split(", ")))
