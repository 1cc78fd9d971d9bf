"""The columns of the Alpaca data set (Taori et al. 2023), with LLaMA-Factory's `system` and `history` for what it hadn't."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tasks.exporters.protocol import exporter
from tasks.exporters.turns import Plain, origin


@exporter(one_to_one=True)
class Alpaca(Plain):
    """Instruction and output; `input` is empty, since a prompt is one text."""

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        texts = [(name, pa.string()) for name in ("instruction", "input", "output", "system")]
        return self.columns([*texts, ("history", pa.list_(pa.list_(pa.string())))])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield a row for each trace."""
        for trace in traces:
            asked = self.asked(trace)
            system = "\n\n".join(turn["content"] for turn in asked if turn["role"] == "system")
            *history, (instruction, _) = exchanges([turn for turn in asked if turn["role"] != "system"])
            yield (
                {
                    "instruction": instruction,
                    "input": "",
                    "output": self.response(trace),
                    "system": system,
                    "history": [list(exchange) for exchange in history],
                }
                | self.beside(trace)
                | origin(trace)
            )


def exchanges(turns: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return turns as pairs of a user's and an assistant's text. Neighbours of one role are one; what is missing is empty."""
    joined = [
        (role, "\n\n".join(turn["content"] for turn in same))
        for role, same in itertools.groupby(turns, key=lambda turn: turn["role"])
    ]
    pairs: list[tuple[str, str]] = []
    for role, text in joined:
        if role == "assistant" and pairs and not pairs[-1][1]:
            pairs[-1] = (pairs[-1][0], text)
        else:
            pairs.append((text, "") if role == "user" else ("", text))
    return pairs or [("", "")]
