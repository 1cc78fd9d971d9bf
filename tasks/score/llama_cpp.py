"""Scoring by llama.cpp's server, a token at a time.

The server gives no log-probabilities of a prompt. But it gives those of the token that it samples and of the likeliest ones,
taken from the logits before any sampler has touched them; a bias of the logits is a sampler. So the response's tokens are forced
one after the other by a bias, and what is reported is what the model makes of each. Every step finds the one before in the slot's
cache and so evaluates a single token: a score costs what generating the response would, and equals what the server gave when it
generated it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from storage.errors import BadResponse, Overloaded, RequestRejected, Unavailable
from storage.records import Message
from tasks.positions import Top, by_id
from tasks.score.answers import PROBE, Answer, behind, ending, turns
from tasks.score.conversations import Conversations
from tasks.score.protocol import Scored
from tasks.teachers import local
from tasks.teachers.bodies import MALFORMED
from tasks.teachers.discreet import without
from tasks.teachers.embedded import EmbeddedServer
from tasks.teachers.options import TeacherOptions
from tasks.teachers.wire import Reply, Wire

FORCED = 1e6
"""What is added to a token's logit so that it is sampled: no model's logits come near."""
EVERY = 1_000_000
"""Alternatives that no vocabulary has."""
_OK, _BAD_REQUEST, _UNAVAILABLE = 200, 400, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    """What the server reports of one step."""

    token: int
    logprob: float
    top: Top
    pieces: Mapping[int, bytes]
    """Bytes of all tokens that it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prompt:
    """What the chat template makes of a conversation."""

    text: str
    """Up to where the model would answer."""
    tokens: dict[str, list[int]] = field(default_factory=dict)
    """By as much of that text as stands before an answer."""


@dataclass(kw_only=True)
class LlamaCppScorer:
    """Asks a child process, which is started when the first response comes. Not frozen: it holds the process."""

    options: TeacherOptions
    """The spec's."""
    context: int = 2048
    """Tokens of a conversation and response together, at most."""
    key: str | None = field(default=None, repr=False)
    """What none of the server's words may show, where the spec names one."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)
    _server: EmbeddedServer | None = field(default=None, init=False, repr=False)
    _revision: str | None = field(default=None, init=False, repr=False)
    _wire: Wire | None = field(default=None, init=False, repr=False)
    _slots: asyncio.Queue[int] = field(default_factory=asyncio.Queue, init=False, repr=False)
    _conversations: Conversations[_Prompt] = field(init=False, repr=False)
    _end: tuple[str, list[int]] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._conversations = Conversations(self._prompt)

    @property
    def identity(self) -> Mapping[str, Any]:
        """A file and what is sent with each request decide the answer too."""
        chosen = {"path": self.options.path, "extra_body": self.options.extra_body}
        return {name: value for name, value in chosen.items() if value}

    @property
    def _file(self) -> Path | None:
        return Path(self.options.path).expanduser() if self.options.path else None

    @property
    def capacity(self) -> int:
        """Return how many responses are scored at a time: one in each of the server's slots."""
        return min(local.SLOTS, self.options.limits.most)

    async def score(self, messages: Sequence[Message], answer: Answer, top: int) -> Scored:
        """Force the answer's tokens in a slot of the server, whose cache nobody else touches meanwhile."""
        await self._start()
        prompt, tokens, end = await self._laid_out(messages, answer)
        given = tokens + end
        if (length := len(prompt) + len(given)) > self.context:  # else it would be told after as many steps
            raise RequestRejected(f"conversation and response have {length:,} tokens, and the context {self.context:,}")
        slot = await self._slots.get()
        try:
            found = await self._forced(prompt, given, top, slot)
        finally:
            self._slots.put_nowait(slot)
        pieces = {token: piece for each in found for token, piece in each.pieces.items()}
        logprobs = by_id(given, [each.logprob for each in found], [each.top[:top] for each in found], pieces.__getitem__)
        return Scored(logprobs=logprobs, ended=bool(end), tokens_in=len(prompt) + len(given), revision=self._revision)

    async def _laid_out(self, messages: Sequence[Message], answer: Answer) -> tuple[list[int], list[int], list[int]]:
        """Return the tokens of a conversation, of an answer to it and of the end of its turn."""
        asked = turns(messages)
        end, ids = await self._ending()
        whole = await self._shown([*asked, answer.turn], ask=False) if answer.by_template else None
        prompt = await self._conversations.of(messages)
        head, said = behind(prompt.text, answer, whole)
        if whole is not None:  # which ends the turn itself
            said = said.rstrip().removesuffix(end)
        if head not in prompt.tokens:
            prompt.tokens[head] = await self._tokens(head, special=True, begin=True)
        return prompt.tokens[head], await self._tokens(said, special=answer.by_template), ids

    async def _ending(self) -> tuple[str, list[int]]:
        """Return what the template writes behind an answer, and its tokens; else the model's own end, as exports append it."""
        if self._end is None:
            shown = await self._shown([{"role": "user", "content": "?"}, Answer(response=PROBE).turn], ask=False)
            found = ending(shown)
            if found is not None and len(await self._tokens(found.mark, special=True)) == 1:
                self._end = found.text, await self._tokens(found.text, special=True)
            else:
                own = await self._tokens(str((await self._get("/props")).get("eos_token") or ""), special=True)
                self._end = "", own if len(own) == 1 else []
        return self._end

    async def _forced(self, prompt: list[int], tokens: list[int], top: int, slot: int) -> list[_Position]:
        found = []
        for number, token in enumerate(tokens):
            before = prompt + tokens[:number]
            # With no alternatives there would not be the forced token's own either.
            position = await self._step(before, token, max(top, 1), slot)
            if position is None:
                # The server gives nothing of a token that ends within a character. A whole one is sampled in its place, and it
                # is looked up among all that could have been.
                whole = await self._step(before, (await self._tokens("a", special=False))[-1], EVERY, slot)
                position = None if whole is None else _within(whole, token, top)
            if position is None:
                raise BadResponse(f"/completion gave no log-probability of token {token}")
            found.append(position)
        return found

    async def _step(self, before: list[int], token: int, top: int, slot: int) -> _Position | None:
        """Return what the model makes of a token that is forced behind others; None where the server says nothing of it."""
        body = {
            "prompt": before,
            "n_predict": 1,
            "n_probs": top,
            "logit_bias": [[token, FORCED]],
            "temperature": 0,
            "cache_prompt": True,
            "id_slot": slot,
        }
        answer = await self._post("/completion", body)
        try:
            if not (given := answer.get("completion_probabilities")):
                return None
            (position,) = given
            found = _Position(
                token=int(position["id"]),
                logprob=_logprob(position),
                top=[(int(each["id"]), _logprob(each)) for each in position["top_logprobs"]],
                pieces={int(each["id"]): bytes(each["bytes"]) for each in (position, *position["top_logprobs"])},
            )
        except MALFORMED as error:
            raise BadResponse(f"not what /completion answers: {type(error).__name__}: {error}") from None
        if found.token != token:
            raise BadResponse(f"llama.cpp sampled token {found.token} where {token} was forced")
        return found

    async def _prompt(self, messages: Sequence[Message]) -> _Prompt:
        return _Prompt(text=await self._shown(turns(messages), ask=True))

    async def _shown(self, turns_: Sequence[Mapping[str, str]], *, ask: bool) -> str:
        """Return a conversation as the chat template writes it: up to where the model would answer, where it is asked to."""
        body = {"messages": list(turns_), "add_generation_prompt": ask}
        answer = await self._post("/apply-template", {**body, **self.options.extra_body})
        return str(answer["prompt"])

    async def _tokens(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        body = {"content": text, "add_special": begin, "parse_special": special}
        tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        return tokens

    async def _get(self, path: str) -> Any:
        wire, url = self._at(path)
        return self._read(path, await wire.get(url))

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        wire, url = self._at(path)
        return self._read(path, await wire.post(url, {"content-type": "application/json"}, orjson.dumps(body)))

    def _at(self, path: str) -> tuple[Wire, str]:
        if self._server is None or self._wire is None:
            raise Unavailable("llama.cpp's server has been stopped")
        return self._wire, self._server.base_url.removesuffix("/v1") + path

    def _read(self, path: str, reply: Reply) -> Any:
        if reply.status == _OK:
            return orjson.loads(reply.content)
        said = " ".join(without(self.key, reply.content.decode(errors="replace")).split())[:300]
        if reply.status == _BAD_REQUEST:
            raise RequestRejected(f"llama.cpp's server refuses {path}: {said}")
        raise (Overloaded if reply.status == _UNAVAILABLE else Unavailable)(f"llama.cpp's server: {reply.status} {said}")

    async def _start(self) -> None:
        async with self._lock:
            if self._server is None:
                server = EmbeddedServer(self._file, alias=self.options.model, slots=self.capacity, context=self.context)
                await server.start()
                self._server, self._revision = server, server.revision
                self._wire = Wire(connections=2 * self.capacity, timeout_s=self.options.timeout_s)
                for slot in range(self.capacity):
                    self._slots.put_nowait(slot)

    async def aclose(self) -> None:
        """Stop the server."""
        wire, server, self._wire, self._server = self._wire, self._server, None, None
        if wire is not None:
            await wire.close()
        if server is not None:
            await server.aclose()


def _logprob(given: Mapping[str, Any]) -> float:
    """Return a log-probability; the JSON of minus infinity is null."""
    return -math.inf if given["logprob"] is None else float(given["logprob"])


def _within(whole: _Position, token: int, top: int) -> _Position | None:
    """Return what a step reports of another token than the one that it sampled."""
    for other, logprob in whole.top:
        if other == token:
            named = {token, *(each for each, _ in whole.top[:top])}
            pieces = {each: piece for each, piece in whole.pieces.items() if each in named}
            return _Position(token=token, logprob=logprob, top=whole.top[:top], pieces=pieces)
    return None


def make(options: TeacherOptions, *, api_key: str | None) -> LlamaCppScorer:
    """Return the scorer of a teacher's options, where they make a teacher."""
    local.make(options, api_key=api_key)
    return LlamaCppScorer(options=options, key=api_key)
