"""From a source to its prompts: the rows that are chosen, in the order in which they stand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from storage.errors import SourceError
from tasks.sources import lakes, prompts
from tasks.sources.options import PromptSource
from tasks.sources.places import files
from tasks.sources.prompts import Found, Row
from tasks.sources.readers import rows
from tasks.sources.shown import shown


def read_prompts(
    source: PromptSource,
    *,
    license: str | None,  # noqa: A002 - SPDX's word
    seed: int,
    change: Callable[[Row, str], Row] | None = None,
) -> Iterator[Found]:
    """Yield the prompts of a source in the order in which they stand. Raise SourceError at the first that is wrong.

    `license` is what holds for rows without one of their own; None: nothing does. `change` makes of a row and its place what is
    read in its stead.
    """
    found = lakes.found if source.of_lake else prompts.found
    taken = number = 0
    for number, (place, row) in enumerate(_rows(source), start=1):
        if source.sample is not None and random.Random(f"{seed}/{source.source}/{number}").random() >= source.sample:  # noqa: S311
            continue
        yield found(row if change is None else change(row, place), place, source, license)
        taken += 1
        if source.limit is not None and taken >= source.limit:
            return
    if not taken:
        why = f"`sample: {source.sample:g}` takes none of its {number:,} rows" if number else "no prompts in it"
        raise SourceError(f"{shown(source.source)}: {why}")


def _rows(source: PromptSource) -> Iterator[tuple[str, Row]]:
    if source.of_lake:
        yield from lakes.rows(source)
        return
    for file in files(source):
        yield from rows(file, source.fields)
