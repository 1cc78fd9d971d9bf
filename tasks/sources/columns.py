"""The columns of a table, by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from storage.errors import SourceError
from tasks.sources.options import Fields


def read_of(fields: Fields) -> set[str]:
    """Return the columns that are read, where they are there."""
    return {*fields.named, *fields.usual()}


def once(fields: Fields, names: Sequence[str], place: str) -> set[str]:
    """Return the columns that are read. Raise SourceError where one of them is there twice: nobody can say which is meant."""
    read = read_of(fields)
    times = Counter(names)
    twice = next((name for name in names if name in read and times[name] > 1), None)
    if twice is not None:
        raise SourceError(f"{place}: has several columns {twice!r}; rename those that aren't meant")
    return read
