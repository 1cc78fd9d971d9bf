"""The columns of a table, by their names."""

from __future__ import annotations

from collections.abc import Sequence

from storage.errors import SourceError
from tasks.sources.file import File
from tasks.sources.options import Fields


def once(fields: Fields, names: Sequence[str], file: File) -> set[str]:
    """Return the columns that are read. Raise SourceError where one of them is there twice: nobody can say which is meant."""
    read = {*fields.named, *fields.usual()}
    twice = next((name for place, name in enumerate(names) if name in read and name in names[:place]), None)
    if twice is not None:
        raise SourceError(f"{file.name}: has several columns {twice!r}; rename those that aren't meant")
    return read
