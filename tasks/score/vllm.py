"""Scoring by a vLLM server: the log-probabilities of a prompt that ends in the response.

The conversation is tokenized by the server, with its chat template, as for an answer, and the response by itself. Both together
are then a prompt of `/v1/completions`, given as token ids. So it is known exactly where the response begins, and no template gets
to change it: some take reasoning out of earlier turns, or trim what an assistant said. A whole response is one forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from storage.errors import BadResponse, SetupError, SpecError
from storage.records import Message
from tasks.positions import NEVER, Top, by_id
from tasks.score.conversations import Conversations
from tasks.score.protocol import Scored
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.openai import connection
from tasks.teachers.options import TeacherOptions
from tasks.teachers.sdk import MALFORMED
from tasks.teachers.usage import count, section

OF_TEMPLATE = ("chat_template", "chat_template_kwargs", "tools", "documents")
"""What of `extra_body` decides how a conversation becomes tokens."""
NEEDED = "scoring asks a vLLM server: its /tokenize, and its /v1/completions with prompt_logprobs"


@dataclass(frozen=True, kw_only=True)
class VllmScorer(OpenAITeacher):
    """Asks `POST /tokenize` and `POST {base_url}/completions`. Signs, times out and explains itself as the teacher does."""

    path: ClassVar[str] = "/completions"

    _conversations: Conversations = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_conversations", Conversations(self._prompt))

    async def score(self, messages: Sequence[Message], response: str, top: int) -> Scored:
        """Score a response in one forward pass."""
        prompt = await self._conversations.tokens(messages)
        tokens = await self._tokens({"prompt": response, "add_special_tokens": False})
        sent = {name: value for name, value in self.extra_body.items() if name not in OF_TEMPLATE}
        body = {
            "model": self.model,
            "prompt": [*prompt, *tokens],
            "max_tokens": 1,  # it can't be 0; the token that it generates is nobody's
            "temperature": 0,
            **sent,
            "prompt_logprobs": top,
        }
        document = await self._asked(self.base_url.rstrip("/") + self.path, body)
        try:
            found = _read(document, tokens, top)
        except MALFORMED as error:
            raise BadResponse(self.line(f"not what {self.path} answers: {type(error).__name__}: {error}; {NEEDED}")) from None
        object.__setattr__(self, "_has_answered", True)
        return found

    async def _prompt(self, messages: Sequence[Message]) -> list[int]:
        given = {name: self.extra_body[name] for name in OF_TEMPLATE if name in self.extra_body}
        turns = [{"role": each.role, "content": each.content} for each in messages]
        return await self._tokens({"messages": turns, "add_generation_prompt": True, **given})

    async def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        root = self.base_url.rstrip("/").removesuffix("/v1")
        document = await self._asked(f"{root}/tokenize", {"model": self.model, **body})
        try:
            return [int(token) for token in document["tokens"]]
        except MALFORMED as error:
            raise BadResponse(self.line(f"not what /tokenize answers: {type(error).__name__}: {error}; {NEEDED}")) from None

    async def _asked(self, url: str, body: Mapping[str, Any]) -> Any:
        try:
            return await self.posted(url, body)
        except SetupError as error:
            raise SetupError(f"{error}; {NEEDED}") from None


def _read(document: Any, tokens: Sequence[int], top: int) -> Scored:
    """Return what a completion says of the last tokens of its prompt."""
    (choice,) = document["choices"]
    given = choice["prompt_logprobs"]
    if given is None:
        raise ValueError("no prompt_logprobs")
    logprobs, tops = [], []
    for token, position in zip(tokens, given[len(given) - len(tokens) :], strict=True):
        ranked = sorted(
            ((each["rank"] or len(position), int(other), _logprob(each)) for other, each in position.items()),
            key=lambda each: each[0],
        )
        logprobs.append(_logprob(position[str(token)]))
        # The token that stands there comes with them, wherever it ranks.
        likeliest: Top = [(other, logprob) for _, other, logprob in ranked[:top]]
        tops.append(likeliest)
    usage = section(document, "usage")
    sent = section(usage, "prompt_tokens_details")
    return Scored(
        logprobs=by_id(tokens, logprobs, tops),
        tokens_in=count(usage, "prompt_tokens"),
        tokens_out=count(usage, "completion_tokens"),
        tokens_cached=count(sent, "cached_tokens"),
    )


def _logprob(given: Mapping[str, Any]) -> float:
    logprob = float(given["logprob"])
    return float("-inf") if logprob <= NEVER else logprob


def make(options: TeacherOptions, *, api_key: str | None) -> VllmScorer:
    """Return the scorer of a teacher's options. Raise SpecError where OpenAI itself would be asked."""
    where = f"teacher {options.name!r}"
    if options.api != "chat":
        raise SpecError(f"{where}: api: {options.api} gives no log-probabilities of a text; leave it out")
    scorer = VllmScorer(**connection(options, api_key=api_key))
    if scorer.at_home:
        raise SpecError(f"{where}: base_url: OpenAI's own API gives no log-probabilities of a text that is given; {NEEDED}")
    return scorer
