"""The conversational form that TRL and Hugging Face's tools read, with where each row comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Messages:
    """The whole conversation, the response as the assistant's turn."""

    schema: ClassVar[pa.Schema] = pa.schema(
        [
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("reasoning", pa.string()),
            ("prompt_id", pa.string()),
            ("sample_id", pa.string()),
            ("teacher", pa.string()),
            ("model", pa.string()),
            ("license", pa.string()),
        ]
    )
    one_to_one: ClassVar[bool] = True

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield a row for each trace."""
        for trace in traces:
            turns = [*trace["messages"], {"role": "assistant", "content": trace["response"]}]
            yield {"messages": turns} | {name: trace[name] for name in self.schema.names[1:]}
