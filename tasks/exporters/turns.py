"""What the forms have in common: which turns of a trace are shown, where its reasoning goes, and where a row comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from pydantic import ConfigDict

from tasks.teachers.reasoning import joined

ORIGIN = ("prompt_id", "sample_id", "teacher", "model", "license")
"""Of a trace, in every row."""


def origin(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a row comes from."""
    return {name: trace[name] for name in ORIGIN}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The options of every form."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    reasoning: Literal["field", "turn", "think", "omit"] = "field"
    """A trace's chain of thought: `field`, the column `reasoning`; `turn`, a key of the assistant's turn, from which chat
    templates put it where their model has it; `think`, before the response as `<think>` text, as DeepSeek-R1 and Qwen3 write
    it; or `omit`, left out. A form has those of them that make sense in it."""
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
        return joined(trace["reasoning"] if self.reasoning == "think" else None, trace["response"])


@dataclass(frozen=True, kw_only=True)
class Plain(Shown):
    """The options of a form whose turns have no keys of their own."""

    reasoning: Literal["field", "think", "omit"] = "field"
    """As above."""


@dataclass(frozen=True, kw_only=True)
class Conversational(Shown):
    """The options of a form that shows turns with a role and a content."""

    reasoning_key: Literal["reasoning_content", "thinking"] = "reasoning_content"
    """The key of `reasoning: turn`: templates of Qwen3, DeepSeek and GLM read `reasoning_content`, gpt-oss's `thinking`."""

    @property
    def turns_type(self) -> pa.DataType:
        """Return the type of a column of turns."""
        more = [(self.reasoning_key, pa.string())] if self.reasoning == "turn" else []
        return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), *more]))

    def answered(self, trace: Mapping[str, Any]) -> dict[str, Any]:
        """Return the assistant's turn."""
        turn = {"role": "assistant", "content": self.response(trace)}
        return turn | ({self.reasoning_key: trace["reasoning"]} if self.reasoning == "turn" else {})


@dataclass(frozen=True, kw_only=True)
class Either(Conversational):
    """The options of a form whose sides are turns, or plain texts."""

    conversational: bool = True
    """Whether a side is a list of turns, to which a trainer applies the chat template; else it is a text, which gets none."""
    separator: str = "\n\n"
    """Between the turns of a text, and at the end of a prompt's: nothing else parts it from the response."""

    def __post_init__(self) -> None:
        if not self.conversational and self.reasoning == "turn":
            raise ValueError("reasoning: turn is a key of a turn, and texts have none; use field, think or omit")

    @property
    def side_type(self) -> pa.DataType:
        """Return the type of a side's column."""
        return self.turns_type if self.conversational else pa.string()

    def prompt_side(self, trace: Mapping[str, Any]) -> Any:
        """Return the turns before the response, or their text."""
        asked = self.asked(trace)
        return asked if self.conversational else "".join(turn["content"] + self.separator for turn in asked)

    def response_side(self, trace: Mapping[str, Any]) -> Any:
        """Return the response, as a list of one turn or a text."""
        return [self.answered(trace)] if self.conversational else self.response(trace)
