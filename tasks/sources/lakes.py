"""Another lake's dataset as a source: its rows know their licences and their generations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from storage.errors import SourceError
from storage.identity import prompt_id
from storage.lake import Lake
from storage.parquet import read_batches
from storage.rot import verify_build
from tasks.sources import prompts
from tasks.sources.options import PromptSource
from tasks.sources.prompts import Found, Row
from tasks.sources.tables import short

ROWS = 1_000
"""Rows that become Python values at a time."""
LATEST = 32_000
"""The latest generation that a prompt may be of: the lake's tables have 16 bits for it, and growth adds some."""


def rows(source: PromptSource) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a landed build, in their order. Raise StorageError where there is none, or it can't be read."""
    path, dataset = source.lake
    lake = Lake.at(path)
    table = source.take or "traces"
    build = lake.build(dataset, source.build)
    verify_build(lake, build, [table])
    folder = lake.snapshot(table, dataset, build["build_id"])
    for part in sorted(folder.glob("*.parquet")):
        number = 0
        for batch in read_batches(part, rows=ROWS):
            for row in short(batch).to_pylist(maps_as_pydicts="lossy"):
                number += 1
                yield f"{part}: row {number}", row


def found(row: Row, place: str, source: PromptSource, _: str | None) -> Found:
    """Return what a row gives as a prompt, under the row's own licence.

    What is made of a trace is of one generation more; a prompt is as human, or not, as it was there.
    """
    if source.take == "prompts":
        return _prompt(row, place, source)
    made = prompts.found(row, place, source, row["license"])
    return _raised(made, row["generation"] + 1)


def _prompt(row: Row, place: str, source: PromptSource) -> Found:
    fields = source.fields
    if fields.prompt is None and fields.messages is None:
        # Only these have the turns that came before.
        source = source.model_copy(update={"fields": fields.model_copy(update={"messages": "messages"})})
    made = _raised(prompts.found(row, place, source, row["license"]), row["generation"])
    parents = tuple(row.get("parents") or ())
    made = dataclasses.replace(made, prompt=dataclasses.replace(made.prompt, parents=parents, grown_by=row.get("grown_by")))
    if fields.id is not None:
        return made
    one = made.prompt
    content = prompt_id(messages=one.messages, reference=one.reference, tests=one.tests, tags=one.tags, license=one.license)
    # An id that its first source gave stays; one that was made of the content is made of it again.
    identifier, given = (content, False) if row["prompt_id"] == content else (row["prompt_id"], True)
    return dataclasses.replace(made, prompt=dataclasses.replace(one, prompt_id=identifier), given=given)


def _raised(made: Found, generation: int) -> Found:
    higher = max(made.prompt.generation, generation)
    if higher > LATEST:
        raise SourceError(f"{made.place}: would be of generation {higher:,}, and the latest that can be is {LATEST:,}")
    return dataclasses.replace(made, prompt=dataclasses.replace(made.prompt, generation=higher))
