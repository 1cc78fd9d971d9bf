"""The conversational form that TRL and Hugging Face's tools read, with where each row comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from tasks.exporters.protocol import exporter
from tasks.exporters.turns import Conversational, origin


@exporter(one_to_one=True)
class Messages(Conversational):
    """The whole conversation, the response as the assistant's turn."""

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        return self.columns([("messages", self.turns_type)])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield a row for each trace."""
        for trace in traces:
            yield {"messages": [*self.asked(trace), self.answered(trace)]} | self.beside(trace) | origin(trace)
