"""Prompt and completion apart, as TRL's SFT trainer reads them: the loss is on the completion alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from tasks.exporters.protocol import exporter
from tasks.exporters.turns import Either, origin


@exporter(one_to_one=True)
class PromptCompletion(Either):
    """The turns before the response, and the response."""

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        return self.columns([("prompt", self.side_type), ("completion", self.side_type)])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield a row for each trace."""
        for trace in traces:
            sides = {"prompt": self.prompt_side(trace), "completion": self.response_side(trace)}
            yield sides | self.beside(trace) | origin(trace)
