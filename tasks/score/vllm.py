"""Scoring by a vLLM server: the log-probabilities of a prompt that ends in the response.

The conversation is tokenized by the server, with its chat template, as for an answer, the answer by itself, and behind it what
the template ends a turn with. All together are then a prompt of `/v1/completions`, given as token ids. So it is known exactly
where the answer begins, and no template gets to change it: some take reasoning out of earlier turns, or trim what an assistant
said. A whole response is one forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from storage.errors import BadResponse, SetupError, SpecError
from storage.records import Logprobs, Message
from tasks.positions import NEVER, Top, by_id
from tasks.score.answers import PROBE, Answer, behind, ending, opened, turns
from tasks.score.conversations import Conversations
from tasks.score.protocol import Scored
from tasks.teachers.bodies import MALFORMED
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.openai import connection
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Malformed
from tasks.teachers.sdk import useless

_SAME = ("chat_template", "tools", "add_special_tokens")
_NAMED = ("documents", "reasoning_effort")
OF_TEMPLATE = (*_SAME, *_NAMED, "chat_template_kwargs")
"""What of `extra_body` decides how a conversation becomes tokens."""
NEEDED = "scoring asks a vLLM server: its /tokenize and /detokenize, and its /v1/completions with prompt_logprobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    """What a server's chat template does around every answer."""

    prompt: str
    """A prompt, up to where the model would answer."""
    opened: list[int]
    """The tokens with which that opens the reasoning, at its end; empty where it doesn't."""
    end: str
    """What it writes behind an answer; empty where no token ends a turn."""
    ends: list[int]
    """Its tokens."""


@dataclass(frozen=True, kw_only=True)
class VllmScorer(OpenAITeacher):
    """Asks `POST /tokenize` and `POST {base_url}/completions`. Signs, times out and explains itself as the teacher does."""

    path: ClassVar[str] = "/completions"

    _conversations: Conversations[list[int]] = field(init=False, repr=False)
    _known: list[_Template] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_conversations", Conversations(self._prompt))

    async def score(self, messages: Sequence[Message], answer: Answer, top: int) -> Scored:
        """Score an answer in one forward pass."""
        template = await self._template()
        prompt, tokens = await self._laid_out(messages, answer, template)
        given = tokens + template.ends
        sent = {name: value for name, value in self.extra_body.items() if name not in OF_TEMPLATE}
        body = {
            "model": self.model,
            "prompt": [*prompt, *given],
            "max_tokens": 1,  # it can't be 0; the token that it generates is nobody's
            "temperature": 0,
            **sent,
            "prompt_logprobs": top,
        }
        document = await self._asked(self.base_url.rstrip("/") + self.path, body)
        usage = self.billed(document)
        try:
            logprobs = _read(document, given, top)
        except MALFORMED as error:
            said = self.line(f"not what {self.path} answers: {type(error).__name__}: {error}; {NEEDED}")
            raise useless(Malformed, said, usage) from None
        object.__setattr__(self, "_has_answered", True)
        return Scored(
            logprobs=logprobs,
            ended=bool(template.ends),
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_cached=usage.tokens_cached,
            revision=self.served(document),
        )

    async def _laid_out(self, messages: Sequence[Message], answer: Answer, template: _Template) -> tuple[list[int], list[int]]:
        """Return the tokens of a conversation and of an answer to it."""
        prompt, opens = await self._conversations.of(messages), len(template.opened)
        bare = prompt[:-opens] if opens and prompt[-opens:] == template.opened else prompt
        if not answer.by_template:
            _, said = behind(template.prompt, answer)
            return bare, await self._text_tokens(said)
        turn = answer.turn | {"reasoning": answer.reasoning or ""}  # as later versions call it
        whole, shown = await self._text(await self._turns([*turns(messages), turn], ask=False)), await self._text(prompt)
        head, said = behind(shown, answer, whole)
        said = said.rstrip().removesuffix(template.end)  # the template ends the turn itself
        return prompt if head == shown else bare, await self._text_tokens(said)

    async def _template(self) -> _Template:
        if not self._known:
            asked = [{"role": "user", "content": "?"}]
            found = ending(await self._text(await self._turns([*asked, Answer(response=PROBE).turn], ask=False)))
            one = found is not None and len(await self._text_tokens(found.mark)) == 1
            end = found.text if found is not None and one else ""
            prompt = await self._text(await self._turns(asked, ask=True))
            head = opened(prompt)
            self._known.append(
                _Template(
                    prompt=prompt,
                    opened=await self._text_tokens(head) if head else [],
                    end=end,
                    ends=await self._text_tokens(end) if end else [],
                )
            )
        return self._known[0]

    async def _prompt(self, messages: Sequence[Message]) -> list[int]:
        return await self._turns(turns(messages), ask=True)

    async def _turns(self, shown: Sequence[Mapping[str, str]], *, ask: bool) -> list[int]:
        return await self._tokens({"messages": list(shown), "add_generation_prompt": ask, **_of_template(self.extra_body)})

    async def _text_tokens(self, text: str) -> list[int]:
        return await self._tokens({"prompt": text, "add_special_tokens": False})

    async def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        document = await self._asked(f"{self._root}/tokenize", {"model": self.model, **body})
        try:
            return [int(token) for token in document["tokens"]]
        except MALFORMED as error:
            raise BadResponse(self.line(f"not what /tokenize answers: {type(error).__name__}: {error}; {NEEDED}")) from None

    async def _text(self, tokens: Sequence[int]) -> str:
        document = await self._asked(f"{self._root}/detokenize", {"model": self.model, "tokens": list(tokens)})
        try:
            return str(document["prompt"])
        except MALFORMED as error:
            raise BadResponse(self.line(f"not what /detokenize answers: {type(error).__name__}: {error}; {NEEDED}")) from None

    @property
    def _root(self) -> str:
        return self.base_url.rstrip("/").removesuffix("/v1")

    async def _asked(self, url: str, body: Mapping[str, Any]) -> Any:
        try:
            return await self.posted(url, body)
        except SetupError as error:
            raise SetupError(f"{error}; {NEEDED}") from None


def _of_template(extra_body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields by which /tokenize writes a conversation as chat completions would with these.

    Chat completions hands some to the template by their names, which /tokenize has no fields for.
    """
    found = {name: extra_body[name] for name in _SAME if name in extra_body}
    named = {name: extra_body[name] for name in _NAMED if extra_body.get(name) is not None}
    variables = {**(extra_body.get("chat_template_kwargs") or {}), **named}
    if "reasoning_effort" in named:
        variables.setdefault("enable_thinking", named["reasoning_effort"] != "none")
    return found | ({"chat_template_kwargs": variables} if variables else {})


def _read(document: Any, tokens: Sequence[int], top: int) -> Logprobs:
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
    return by_id(tokens, logprobs, tops)


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
