"""What the forms have in common: which turns of a trace are shown, where its reasoning goes, and where a row comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from pydantic import ConfigDict

ORIGIN = ("prompt_id", "sample_id", "teacher", "model", "license")
"""Of a trace, in every row."""


def origin(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a row comes from."""
    return {name: trace[name] for name in ORIGIN}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The options of every form."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    reasoning: Literal["field", "think", "omit"] = "field"
    """A trace's chain of thought: `field`, the column `reasoning`; `think`, before the response as `<think>` text, as DeepSeek-R1
    and Qwen3 write it; or `omit`, left out."""
    system: Literal["keep", "omit"] = "keep"
    """The system text that the teacher was sent. A student that is to answer so without being told to does without it: context
    distillation (Askell et al. 2021, arXiv:2112.00861)."""

    def columns(self, own: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
        """Return a form's own columns, with the reasoning's and those of `ORIGIN`."""
        reasoning = [("reasoning", pa.string())] if self.reasoning == "field" else []
        return pa.schema([*own, *reasoning, *((name, pa.string()) for name in ORIGIN)])

    def beside(self, trace: Mapping[str, Any]) -> dict[str, Any]:
        """Return the column of the reasoning, where it has one."""
        return {"reasoning": trace["reasoning"]} if self.reasoning == "field" else {}

    def asked(self, trace: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the turns before the response."""
        return [turn for turn in trace["messages"] if self.system == "keep" or turn["role"] != "system"]

    def response(self, trace: Mapping[str, Any]) -> str:
        """Return the text of the response."""
        if self.reasoning == "think" and trace["reasoning"]:
            return f"<think>\n{trace['reasoning']}\n</think>\n\n{trace['response']}"
        return str(trace["response"])


@dataclass(frozen=True, kw_only=True)
class Conversational(Shown):
    """The options of a form that shows turns with a role and a content."""

    reasoning: Literal["field", "turn", "think", "omit"] = "field"  # type: ignore[assignment]
    """`turn` besides: a key of the assistant's turn, from which chat templates put it where their model has it."""
    reasoning_key: Literal["reasoning_content", "thinking"] = "reasoning_content"
    """That key: `reasoning_content` is read by the templates of Qwen3, DeepSeek and GLM, `thinking` by gpt-oss's."""

    @property
    def turns_type(self) -> pa.DataType:
        """Return the type of a column of turns."""
        more = [(self.reasoning_key, pa.string())] if self.reasoning == "turn" else []
        return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), *more]))

    def answered(self, trace: Mapping[str, Any]) -> dict[str, Any]:
        """Return the assistant's turn."""
        turn = {"role": "assistant", "content": self.response(trace)}
        return turn | ({self.reasoning_key: trace["reasoning"]} if self.reasoning == "turn" else {})
