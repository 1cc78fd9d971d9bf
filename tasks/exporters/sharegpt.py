"""ShareGPT's turns, `from` and `value`, as LLaMA-Factory, Axolotl and FastChat read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from tasks.exporters.protocol import exporter
from tasks.exporters.turns import Plain, origin

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


@exporter(one_to_one=True)
class ShareGPT(Plain):
    """The whole conversation, the response as its last turn."""

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        return self.columns([("conversations", pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())])))])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield a row for each trace."""
        for trace in traces:
            turns = [{"from": SPEAKERS[turn["role"]], "value": turn["content"]} for turn in self.asked(trace)]
            conversation = [*turns, {"from": "gpt", "value": self.response(trace)}]
            yield {"conversations": conversation} | self.beside(trace) | origin(trace)
