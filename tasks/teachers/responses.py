"""OpenAI's Responses: the API in which its reasoning models show a summary of what they thought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from storage.errors import SpecError
from tasks.teachers import distribution, reasoning
from tasks.teachers.bodies import blocks, texts
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Choice, Request, Usage
from tasks.teachers.usage import billed, count, section

_NAMES = {"max_tokens": "max_output_tokens"}
_UNSENT = frozenset({"seed", "thinking", "response_format", "logprobs"})
"""Unknown to the API (a seed stays a part of the sample's identity), or sent in another form."""
_INCLUDE = {"thinking": "reasoning.encrypted_content", "logprobs": "message.output_text.logprobs"}
"""What a parameter has the API send on top."""
_INCOMPLETE = {"max_output_tokens": "length"}


@dataclass(frozen=True, kw_only=True)
class ResponsesTeacher(OpenAITeacher):
    """Asks `POST {base_url}/responses`."""

    path: ClassVar[str] = "/responses"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The API is a part of it: the same model answers otherwise here."""
        return {"api": "responses", **super().identity}

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where the API has no way to say them."""
        super().check(parameters)
        if "stop" in parameters:
            raise SpecError("sampling.stop: `api: responses` knows no stop texts; leave it out, or use `api: chat`")

    def fields(self, request: Request) -> dict[str, Any]:
        """Return the conversation and the parameters by the API's names. Nothing is kept at the server's."""
        given = request.parameters
        fields: dict[str, Any] = {
            # The type may be left out, but not everywhere: llama.cpp wants it.
            "input": [{"type": "message", "role": m.role, "content": m.content} for m in request.messages],
            "store": False,
        }
        fields |= {_NAMES.get(name, name): value for name, value in given.items() if name not in _UNSENT}
        if thinking := given.get("thinking"):
            fields["reasoning"] = {"effort": thinking["effort"], "summary": "auto"}
        if include := [value for name, value in _INCLUDE.items() if given.get(name)]:
            fields["include"] = include
        if form := given.get("response_format"):
            fields["text"] = {"format": {"type": form["type"], **form.get("json_schema", {})}}
        return fields

    def choices(self, document: Any) -> tuple[Choice, ...]:
        """Return the one sample."""
        status = document["status"]
        if status not in {"completed", "incomplete"}:
            raise ValueError(f"the response is {status}: {(document.get('error') or {}).get('message')}")
        return (_choice(document),)

    def usage(self, document: Mapping[str, Any]) -> Usage:
        """Return what is billed."""
        usage = section(document, "usage")
        sent = section(usage, "input_tokens_details")
        return billed(
            tokens_in=count(usage, "input_tokens"),
            tokens_out=count(usage, "output_tokens"),
            tokens_total=count(usage, "total_tokens"),
            tokens_reasoning=count(section(usage, "output_tokens_details"), "reasoning_tokens"),
            tokens_cached=count(sent, "cached_tokens"),
            tokens_cache_written=count(sent, "cache_write_tokens"),
        )


def refuse(options: TeacherOptions) -> None:
    """Raise SpecError where a spec's options make no sense for this API."""
    where = f"teacher {options.name!r}"
    if options.samples_per_request > 1:
        raise SpecError(f"{where}: samples_per_request: `api: responses` gives one sample a request")
    if options.extra_body.get("background"):
        raise SpecError(f"{where}: extra_body.background: an answer that comes later would be paid for and never read")


def _choice(document: dict[str, Any]) -> Choice:
    items = document["output"]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    text = "".join(part["text"] for part in parts if part["type"] == "output_text")
    refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    finish_reason = "refusal" if refusal and not text else "stop"
    if document["status"] == "incomplete":
        why = (document.get("incomplete_details") or {}).get("reason") or "unknown"
        finish_reason = _INCOMPLETE.get(why, why)
    thoughts = [item for item in items if item["type"] == "reasoning"]
    # Servers of open models show the reasoning itself; OpenAI shows a summary.
    shown = [part["text"] for item in thoughts for part in item.get("content") or item.get("summary") or ()]
    thought: str | None = "\n\n".join(shown)
    if not thought:
        thought, text = reasoning.split(text)
    positions = [each for part in parts for each in part.get("logprobs") or ()]
    texts(finish_reason=finish_reason)
    return Choice(
        response=text or refusal,
        reasoning=thought or None,
        finish_reason=finish_reason,
        logprobs=distribution.read(positions) if positions else None,
        reasoning_blocks=blocks(thoughts) if any(item.get("encrypted_content") for item in thoughts) else None,
    )
