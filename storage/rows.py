"""Records to rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.logprobs import logprobs_of
from storage.records import Message, Prompt, Sample

Row = Mapping[str, Any]


def prompt_row(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt as a row of `schemas.PROMPTS`."""
    return {
        "prompt_id": prompt.prompt_id,
        "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
        "prompt": prompt.prompt,
        "reference": prompt.reference,
        "tests": prompt.tests,
        "tags": list(prompt.tags.items()),
        "source": prompt.source,
        "license": prompt.license,
        "generation": prompt.generation,
        "parents": list(prompt.parents),
        "grown_by": prompt.grown_by,
    }


def prompt_of(row: Row) -> Prompt:
    """Return the prompt of a row of `schemas.PROMPTS`."""
    return Prompt(
        prompt_id=row["prompt_id"],
        messages=_messages(row["messages"]),
        prompt=row["prompt"],
        reference=row["reference"],
        tests=row["tests"],
        tags=dict(row["tags"]),
        source=row["source"],
        license=row["license"],
        generation=row["generation"],
        parents=tuple(row.get("parents") or ()),
        grown_by=row.get("grown_by"),
    )


def sample_of(row: Row) -> Sample:
    """Return the sample of a row of `schemas.SAMPLES`, or of one without distributions (`Workspace`'s view `responses`)."""
    logprobs = row.get("logprobs")
    return Sample(
        sample_id=row["sample_id"],
        prompt_id=row["prompt_id"],
        teacher=row["teacher"],
        provider=row["provider"],
        model=row["model"],
        sample_index=row["sample_index"],
        strategy=row["strategy"],
        system=row["system"],
        messages=_messages(row["messages"]),
        response=row["response"],
        reasoning=row["reasoning"],
        reasoning_blocks=row["reasoning_blocks"],
        finish_reason=row["finish_reason"],
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        tokens_reasoning=row["tokens_reasoning"],
        tokens_cached=row["tokens_cached"] or 0,
        cost_usd=row["cost_usd"],
        latency_s=row["latency_s"],
        attempts=row["attempts"],
        temperature=row["temperature"],
        seed=row["seed"],
        revision=row.get("revision"),
        logprobs=None if logprobs is None else logprobs_of(logprobs),
        created_at=row["created_at"],
    )


def _messages(turns: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns)
