"""Any server that speaks Anthropic's Messages: Anthropic itself, llama.cpp, vLLM, gateways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, ClassVar

import anthropic as official
import httpx2

from storage.errors import SpecError
from tasks.teachers import reasoning
from tasks.teachers.bodies import blocks, texts
from tasks.teachers.headers import Allowance, anthropic_allowance
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Choice, Request, Usage
from tasks.teachers.sdk import NO_KEY, Client, Sdk, SdkTeacher
from tasks.teachers.usage import billed, count, section

DEFAULT_URL = "https://api.anthropic.com/v1"
JUDGE_TOKENS = 4096
"""The API wants a bound on each answer; requests of our own, a judge's, name none. A spec that draws must give one."""
LEAST_BUDGET = 1024
"""Tokens: the API takes no smaller thinking budget."""
LEAST_TOP_P = 0.95
"""The API takes no smaller `top_p` beside thinking."""
_NAMES = {"stop": "stop_sequences"}
_UNSENT = frozenset({"seed", "thinking", "response_format"})
"""Unknown to the API (a seed stays a part of the sample's identity), or sent in another form."""
_FINISHED = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


@dataclass(frozen=True, kw_only=True)
class AnthropicTeacher(SdkTeacher):
    """Asks `POST {base_url}/messages`."""

    sdk: ClassVar[Sdk] = Sdk(
        error=official.AnthropicError,
        status=official.APIStatusError,
        timeout=official.APITimeoutError,
        connection=official.APIConnectionError,
        host="api.anthropic.com",
        custom_headers="ANTHROPIC_CUSTOM_HEADERS",
    )
    path: ClassVar[str] = "/messages"

    base_url: str = DEFAULT_URL
    """Up to /v1."""

    def _connected(self, http: httpx2.AsyncClient) -> Client:
        return official.AsyncAnthropic(
            api_key=self.api_key,
            base_url=self.base_url,
            max_retries=0,
            timeout=self.timeout_s,
            http_client=http,
            open_telemetry=False,  # a span for each request costs more than reading its answer
        )

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where the API would refuse them."""
        if parameters.get("logprobs"):
            raise SpecError("sampling.logprobs: provider anthropic gives no probabilities; leave it out, or ask another teacher")
        sent = {name: value for name, value in {**parameters, **self.extra_body}.items() if value is not None}
        if "max_tokens" not in sent:
            raise SpecError("sampling.max_tokens: is missing, and provider anthropic needs it: say how long a response may be")
        if "thinking" not in parameters:
            return
        budget = parameters["thinking"].get("budget_tokens", LEAST_BUDGET)
        if budget < LEAST_BUDGET:
            raise SpecError(f"sampling.thinking.budget_tokens: is {budget}; provider anthropic takes {LEAST_BUDGET} or more")
        if "budget_tokens" in parameters["thinking"] and budget >= sent["max_tokens"]:
            raise SpecError(
                f"sampling.thinking.budget_tokens: is {budget}, and must be less than max_tokens, {sent['max_tokens']}, "
                "which counts the thinking too"
            )
        if sent.get("temperature", 1) != 1:
            raise SpecError("sampling.temperature: beside thinking, provider anthropic takes 1 alone; leave it out")
        if sent.get("top_p", 1) < LEAST_TOP_P:
            raise SpecError(f"sampling.top_p: beside thinking, provider anthropic takes {LEAST_TOP_P} or more; leave it out")

    def fields(self, request: Request) -> dict[str, Any]:
        """Return the conversation and the parameters by the API's names. The system text is marked as worth caching."""
        given = request.parameters
        system = list(takewhile(lambda message: message.role == "system", request.messages))
        turns = request.messages[len(system) :]
        fields: dict[str, Any] = {"max_tokens": JUDGE_TOKENS}
        fields |= {_NAMES.get(name, name): value for name, value in given.items() if name not in _UNSENT}
        shared: list[dict[str, Any]] = [{"type": "text", "text": each.content} for each in system if each.content.strip()]
        if shared:  # a blank text is refused
            shared[-1]["cache_control"] = {"type": "ephemeral"}
            fields["system"] = shared
        fields["messages"] = [{"role": message.role, "content": message.content} for message in turns]
        output: dict[str, Any] = {}
        if thinking := given.get("thinking"):
            if "budget_tokens" in thinking:
                fields["thinking"] = {"type": "enabled", "budget_tokens": thinking["budget_tokens"]}
            else:
                # Models that are told an effort keep what they thought to themselves unless they are asked for it.
                fields["thinking"] = {"type": "adaptive", "display": "summarized"}
                output["effort"] = thinking["effort"]
        if form := given.get("response_format"):
            output["format"] = {"type": "json_schema", "schema": form["json_schema"]["schema"]}
        if output:
            fields["output_config"] = output
        return fields

    def choices(self, document: Any) -> tuple[Choice, ...]:
        """Return the one sample."""
        return (_choice(document),)

    def usage(self, document: Mapping[str, Any]) -> Usage:
        """Return what is billed."""
        usage = section(document, "usage")
        read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
        return billed(
            tokens_in=count(usage, "input_tokens") + read + written,
            tokens_out=count(usage, "output_tokens"),
            tokens_reasoning=count(section(usage, "output_tokens_details"), "thinking_tokens"),
            tokens_cached=read,
            tokens_cache_written=written,
        )

    def _allowance(self, headers: Mapping[str, str]) -> Allowance | None:
        return anthropic_allowance(headers)


def make(options: TeacherOptions, *, api_key: str | None) -> AnthropicTeacher:
    """Return the teacher of a spec's options."""
    where = f"teacher {options.name!r}"
    if options.samples_per_request > 1:
        raise SpecError(f"{where}: samples_per_request: provider anthropic gives one sample a request")
    if options.api != "chat":
        raise SpecError(f"{where}: api: only provider openai has `{options.api}`; leave it out")
    return AnthropicTeacher(
        model=options.model,
        base_url=options.base_url or DEFAULT_URL,
        api_key=api_key or NO_KEY,
        timeout_s=options.timeout_s,
        concurrency=options.limits.most,
        extra_body=options.extra_body,
    )


def _choice(document: dict[str, Any]) -> Choice:
    content = document["content"]
    text = "".join(block["text"] for block in content if block["type"] == "text")
    thoughts = [block for block in content if block["type"] in _THOUGHTS]
    shown = [block["thinking"] for block in thoughts if block.get("thinking")]
    thought: str | None = "\n\n".join(shown)
    if not thought:
        thought, text = reasoning.split(text)
    said = document.get("stop_reason") or "unknown"
    texts(stop_reason=said)
    return Choice(
        response=text,
        reasoning=thought or None,
        finish_reason=_FINISHED.get(said, said),
        reasoning_blocks=blocks(thoughts) if any(each.get("signature") or each.get("data") for each in thoughts) else None,
    )
