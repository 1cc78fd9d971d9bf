"""Dedup: of samples that say the same, or nearly the same, one is kept, and every other one's outcome names it."""

from __future__ import annotations

from storage.errors import SpecError
from storage.lake import Lake
from storage.plugins import nearest
from storage.sql import literal, parquet_in
from storage.workspace import Workspace
from tasks.duplicates.digests import TEXT, normalised
from tasks.duplicates.near import drop_near
from tasks.duplicates.options import ORDER, DedupOptions, SemanticOptions
from tasks.duplicates.semantic import Semantic

_STANDS_FOR = """
    theirs.ord = mine.kept_ord AND theirs.arm = mine.kept_arm AND theirs.sample_index = mine.kept_index
        AND mine.stage = 'dedup' AND theirs.stage = 'dedup'
"""
"""That one was dropped for the sake of another, which is dropped itself."""
_BEREFT = f"SELECT mine.ord, mine.arm, mine.sample_index FROM candidates AS mine JOIN candidates AS theirs ON {_STANDS_FOR}"
_TAKEN_ALONG = f"""
    UPDATE candidates AS mine SET reason = theirs.reason,
        kept_ord = theirs.kept_ord, kept_arm = theirs.kept_arm, kept_index = theirs.kept_index
    FROM candidates AS theirs WHERE {_STANDS_FOR} AND theirs.digest = mine.digest
"""
"""Gives what says the same as one that is dropped that one's reason."""


def dedup(workspace: Workspace, options: DedupOptions, lake: Lake, *, build_id: str) -> None:
    """Reject duplicates among the `candidates` still in. The best verdict stays, then the shortest, then the least id.

    `against` takes what the datasets' newest builds hold now. Raise StorageError where one of them was never built.
    """
    if not options.on:
        return
    held(workspace, options.against, lake)
    _by_words(workspace, options, lake, build_id)
    if options.semantic is not None:
        _by_meaning(workspace, options, options.semantic, lake, build_id)
    workspace.execute("DROP VIEW held")


def _by_words(workspace: Workspace, options: DedupOptions, lake: Lake, build_id: str) -> None:
    """Reject what is the same, or nearly the same, as a kept one."""
    if options.near is not None:
        drop_near(workspace, options.near, lake, by=options.by, within=options.within, build_id=build_id)
    elif options.exact:
        with workspace.sparing():
            _exact(workspace, options)


def _by_meaning(workspace: Workspace, options: DedupOptions, semantic: SemanticOptions, lake: Lake, build_id: str) -> None:
    """Reject what says the same as a kept one.

    What is dropped here may stand for others that were dropped by their words. Those that say the same go with it. The others
    come back, and are compared with what is kept: first by meaning, since most of them mean what it does, then by words, and
    again where that leaves some without theirs. In each round the first that came back is settled.
    """
    meaning = Semantic(workspace, semantic, by=options.by, within=options.within)
    meaning.drop()
    workspace.execute(_TAKEN_ALONG)
    while bring_back(workspace, _BEREFT):
        meaning.drop()
        _by_words(workspace, options, lake, build_id)
        workspace.execute(_TAKEN_ALONG)
    meaning.close()


def bring_back(workspace: Workspace, slots: str) -> bool:
    """Put the slots of a query back in, behind all that has stayed. Return whether there are any."""
    workspace.execute(f"CREATE OR REPLACE TABLE back AS {slots}")
    some = bool(workspace.rows("SELECT 1 FROM back LIMIT 1"))
    if some:
        workspace.execute("UPDATE candidates SET returned = FALSE WHERE returned AND stage IS NULL")
        workspace.execute(
            """
            UPDATE candidates SET stage = NULL, reason = NULL, returned = TRUE,
                kept_ord = NULL, kept_arm = NULL, kept_index = NULL
            FROM back
            WHERE candidates.ord = back.ord AND candidates.arm = back.arm AND candidates.sample_index = back.sample_index
            """
        )
    workspace.execute("DROP TABLE back")
    return some


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
        SELECT ord, arm, sample_index, sample_id, NULL::VARCHAR AS dataset, returned, score, length, rights, {_named(mine)}
        FROM candidates {joined} WHERE stage IS NULL
        UNION ALL
        SELECT NULL, NULL, NULL, sample_id, dataset, FALSE, NULL, source, NULL, {theirs} FROM held
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
