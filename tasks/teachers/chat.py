"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, llama.cpp, Ollama, TGI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import httpx2
import openai as official

from storage.errors import SpecError
from storage.records import REFUSED, Logprobs
from tasks.teachers import distribution, reasoning
from tasks.teachers.bodies import MALFORMED, texts
from tasks.teachers.headers import Allowance, openai_allowance
from tasks.teachers.protocol import Choice, Request, Usage
from tasks.teachers.sdk import Client, Sdk, SdkTeacher
from tasks.teachers.usage import billed, count, section

DEFAULT_URL = "https://api.openai.com/v1"
MOST_LOGPROBS = 20
"""Alternatives that OpenAI's own API gives; other servers have bounds of their own, and say so."""
_THOUGHTS = ("thinking", "reasoning")
"""How the types of parts begin that are no answer."""


@dataclass(frozen=True, kw_only=True)
class OpenAITeacher(SdkTeacher):
    """Asks `POST {base_url}/chat/completions`."""

    sdk: ClassVar[Sdk] = Sdk(
        error=official.OpenAIError,
        status=official.APIStatusError,
        timeout=official.APITimeoutError,
        connection=official.APIConnectionError,
        host="api.openai.com",
        custom_headers="OPENAI_CUSTOM_HEADERS",
        headers={"OPENAI_ORG_ID": "openai-organization", "OPENAI_PROJECT_ID": "openai-project"},
    )
    path: ClassVar[str] = "/chat/completions"

    base_url: str = DEFAULT_URL
    """Up to /v1."""

    def _connected(self, http: httpx2.AsyncClient) -> Client:
        return official.AsyncOpenAI(
            api_key=self.api_key, base_url=self.base_url, max_retries=0, timeout=self.timeout_s, http_client=http
        )

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where the API has no way to say them."""
        refuse_budget(parameters)
        if self.at_home and parameters.get("top_logprobs", 0) > MOST_LOGPROBS:
            raise SpecError(f"sampling.logprobs: OpenAI's API gives {MOST_LOGPROBS} at most")

    def fields(self, request: Request) -> dict[str, Any]:
        """Return the conversation and the parameters, which have OpenAI's own names already."""
        parameters = dict(request.parameters)
        thinking = parameters.pop("thinking", None)
        if thinking:
            parameters["reasoning_effort"] = thinking["effort"]
        # OpenAI's own reasoning models refuse the old name; of the other servers, not all know the new one.
        if self.at_home and "max_tokens" in parameters and "max_tokens" not in self.extra_body:
            parameters["max_completion_tokens"] = parameters.pop("max_tokens")
        if request.n > 1:
            parameters["n"] = request.n
        return {"messages": [{"role": m.role, "content": m.content} for m in request.messages], **parameters}

    def choices(self, document: Any) -> tuple[Choice, ...]:
        """Return the samples. One that is malformed takes along none of the others, which are paid for as well."""
        found: list[Choice] = []
        wrong: Exception | None = None
        for choice in document["choices"]:
            try:
                found.append(_choice(choice))
            except MALFORMED as error:
                wrong = error
        if wrong is not None and not found:
            raise wrong
        return tuple(found)

    def usage(self, document: Mapping[str, Any]) -> Usage:
        """Return what is billed."""
        usage = section(document, "usage")
        sent = section(usage, "prompt_tokens_details")
        return billed(
            tokens_in=count(usage, "prompt_tokens"),
            tokens_out=count(usage, "completion_tokens"),
            tokens_total=count(usage, "total_tokens"),
            tokens_reasoning=count(section(usage, "completion_tokens_details"), "reasoning_tokens"),
            tokens_cached=count(sent, "cached_tokens"),
            tokens_cache_written=count(sent, "cache_write_tokens"),
        )

    def _allowance(self, headers: Mapping[str, str]) -> Allowance | None:
        return openai_allowance(headers)


def refuse_budget(parameters: Mapping[str, Any]) -> None:
    """Raise SpecError where parameters bound the reasoning by tokens."""
    if "budget_tokens" in parameters.get("thinking", {}):
        raise SpecError("sampling.thinking.budget_tokens: this API takes no budget of tokens; give thinking.effort in its place")


def _choice(choice: dict[str, Any]) -> Choice:
    message = choice["message"]
    text = message.get("content") or ""
    thought = message.get("reasoning_content") or message.get("reasoning") or _shown(message.get("reasoning_details"))
    if isinstance(text, list):  # Mistral's and others' typed parts
        parts = cast("list[dict[str, Any]]", text)
        text = "".join(part.get("text", "") for part in parts if part.get("type") == "text")
        thought = thought or _shown(parts)
    if not thought:
        thought, text = reasoning.split(text)
    finish_reason = choice.get("finish_reason") or "unknown"
    if message.get("refusal") and not text:
        text = message["refusal"]
        if finish_reason not in REFUSED:  # the model stopped, as it does behind an answer
            finish_reason = "refusal"
    texts(content=text, reasoning=thought or "", finish_reason=finish_reason)
    return Choice(
        response=text,
        reasoning=thought or None,
        finish_reason=finish_reason,
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _shown(parts: Any) -> str | None:
    """Return the reasoning in typed parts: Mistral's `thinking`, Databricks' `summary`, OpenRouter's and MiniMax's details."""
    if not isinstance(parts, list):
        return None
    found: list[str] = []
    for part in cast("list[dict[str, Any]]", parts):
        if str(part.get("type")).startswith(_THOUGHTS):
            said = part.get("thinking") or part.get("summary") or part.get("text") or ""
            found.append(said if isinstance(said, str) else "".join(each.get("text") or "" for each in said))
    return "\n\n".join(filter(None, found)) or None


def _logprobs(given: dict[str, Any] | None) -> Logprobs | None:
    if not given:
        return None
    positions = given.get("content") or given.get("refusal")
    return distribution.read(positions) if positions else None
