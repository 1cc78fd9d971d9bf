"""What an answer becomes: samples, each with what was asked, what came and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from storage.identity import sample_id
from storage.records import Sample
from tasks.asking.ask import Answer
from tasks.asking.shares import divided
from tasks.teachers.options import PriceOptions
from tasks.teachers.protocol import Request, Usage

if TYPE_CHECKING:
    from tasks.draw import Question


def samples_of(question: Question, request: Request, answer: Answer) -> list[Sample]:
    """Return the samples of an answer, each with its share of what that cost."""
    completion, options = answer.completion, question.desk.options
    usages = divided(completion, completion.choices)
    system = next((message.content for message in question.messages if message.role == "system"), None)
    now = datetime.now(UTC)
    return [
        Sample(
            sample_id=sample_id(question.key, request.sample_index + number),
            prompt_id=question.prompt_id,
            teacher=options.name,
            provider=options.provider,
            model=options.model,
            sample_index=request.sample_index + number,
            strategy=question.strategy,
            system=system,
            messages=question.messages,
            response=choice.response,
            reasoning=choice.reasoning,
            reasoning_blocks=choice.reasoning_blocks,
            finish_reason=choice.finish_reason,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_reasoning=usage.tokens_reasoning,
            tokens_cached=usage.tokens_cached,
            cost_usd=_cost(options.price, usage, answer.wasted if number == 0 else ()),
            latency_s=answer.latency_s,
            attempts=answer.attempts,
            temperature=request.parameters.get("temperature"),
            seed=request.parameters.get("seed"),
            revision=options.revision or completion.revision,
            logprobs=choice.logprobs,
            created_at=now,
        )
        for number, (choice, usage) in enumerate(zip(completion.choices, usages, strict=True))
    ]


def _cost(price: PriceOptions | None, usage: Usage, wasted: Sequence[Usage]) -> float | None:
    """Return what a sample cost in all: also the responses that had to be asked for again."""
    return sum(map(price.cost, (usage, *wasted))) if price else None
