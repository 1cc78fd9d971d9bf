"""What an exporter is: a frozen dataclass that makes training rows of traces. Shards, checksums and folders are outside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa


class Exporter(Protocol):
    """A form of training rows."""

    schema: pa.Schema
    """The columns of a row."""
    one_to_one: bool
    """Whether each trace is one row. Where it isn't, `rows` is called twice: once to count, so that shards are alike in size."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows of a build's traces, which come with all columns of the table `traces`, prompt by prompt.

        The same traces must give the same rows.
        """
        ...
