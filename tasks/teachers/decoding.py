"""Decoding with torch: a causal language model on this machine, asked for several answers at a time.

Each answer has random numbers of its own, drawn from its seed and its prompt, so that it doesn't depend on which others it is
decoded beside (but for the rounding of sums, which differs with the padding).
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from storage.errors import RequestRejected, SetupError
from storage.records import Logprobs, Message
from tasks.positions import by_id
from tasks.teachers.asks import Ask, Decoded, How
from tasks.vocabulary import Vocabulary, vocabulary

T = TypeVar("T")
TAIL = 16
"""Tokens that are looked through for a stop text, beside one for each of its bytes: the window may begin inside a character."""
_LOADING = threading.Lock()
"""One model at a time: while transformers loads one, whatever the process makes is made without weights."""


class Model:
    """Weights and tokenizer. Not for two threads at a time."""

    def __init__(self, folder: Path, *, device: str, dtype: str, template: Mapping[str, Any]) -> None:
        """Load it. `template` has variables for the chat template. Raise SetupError where it can't be loaded."""
        try:
            self._device = torch.device(_device(device))
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            with _LOADING:
                model: Any = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=dtype if dtype == "auto" else getattr(torch, dtype), use_safetensors=True
                )
            self._model = model.to(self._device).eval()
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            told = " ".join(str(error).split())[:300]
            raise SetupError(f"{folder}: can't be loaded as a causal language model: {told}") from error
        if not self._tokenizer.chat_template:
            raise SetupError(f"{folder}: has no chat template, so a conversation can't be sent; put a chat_template.jinja there")
        self._folder = folder
        self._template = dict(template)
        self._positions: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._ends = _ends(model, self._tokenizer)
        self._pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else next(iter(self._ends), 0)
        # What else the folder recommends (penalties, top_k) is no part of what a spec asks for.
        settings: Any = GenerationConfig
        model.generation_config = settings(do_sample=False, eos_token_id=self._ends or None, pad_token_id=self._pad)

    def answer(self, asks: Sequence[Ask], how: How, halt: Callable[[], bool]) -> list[Decoded | RequestRejected]:
        """Return each one's answer. Raise SetupError where the model itself is broken. `halt` ends it early, wherever it is."""
        found: dict[int, Decoded | RequestRejected] = {}
        prompts: dict[int, list[int]] = {}
        for place, ask in enumerate(asks):
            try:
                prompts[place] = self._prompt(ask.messages)
            except RequestRejected as error:
                found[place] = error

        def decode(now: Sequence[int]) -> Sequence[Decoded | RequestRejected]:
            return self._decode([asks[place] for place in now], [prompts[place] for place in now], how, halt)

        found |= self._as_memory_holds(list(prompts), decode, what="prompt and answer")
        return [found[place] for place in range(len(asks))]

    def _as_memory_holds(
        self, places: Sequence[int], work: Callable[[Sequence[int]], Sequence[T]], *, what: str
    ) -> dict[int, T | RequestRejected]:
        """Do the work on all places together or, where memory doesn't hold that, on half of them at a time, and so on."""
        found: dict[int, T | RequestRejected] = {}
        left, width = list(places), len(places)
        while left:
            now = left[:width]
            try:
                found |= zip(now, work(now), strict=True)
            except torch.OutOfMemoryError:
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                if len(now) > 1:
                    width = len(now) // 2
                    continue
                found[now[0]] = RequestRejected(f"{what} don't fit into the memory of {self._device}")
            left = left[width:]
        return found

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        tokens = self._encoded(self._rendered([{"role": each.role, "content": each.content} for each in messages], ask=True))
        if not tokens:
            raise RequestRejected("the model's chat template makes no tokens of the conversation")
        if self._positions is not None and len(tokens) >= self._positions:
            raise RequestRejected(f"the prompt has {len(tokens):,} tokens, and the model reads {self._positions:,} at once")
        return tokens

    def _rendered(self, turns: Sequence[Mapping[str, str]], *, ask: bool) -> str:
        """Return a conversation as the chat template writes it: up to where the model would answer, where it is asked to."""
        try:
            return str(
                self._tokenizer.apply_chat_template(list(turns), add_generation_prompt=ask, tokenize=False, **self._template)
            )
        except Exception as error:  # a template may raise anything, on purpose too
            raise RequestRejected(f"the model's chat template refuses the conversation: {error}") from error

    def _encoded(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def _decode(
        self, asks: Sequence[Ask], prompts: Sequence[list[int]], how: How, halt: Callable[[], bool]
    ) -> list[Decoded | RequestRejected]:
        longest = max(map(len, prompts))
        rows = [[self._pad] * (longest - len(prompt)) + prompt for prompt in prompts]
        masks = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        rooms = [self._room(ask, len(prompt)) for ask, prompt in zip(asks, prompts, strict=True)]
        numbers = [_numbers(ask.seed, prompt) for ask, prompt in zip(asks, prompts, strict=True)]
        sampler = _Sampler(numbers, how, self._folder)
        until = _Until(asks, rooms, longest, how.stop, self._text, halt)
        with torch.inference_mode():
            whole = self._model.generate(
                input_ids=torch.tensor(rows, device=self._device),
                attention_mask=torch.tensor(masks, device=self._device),
                max_new_tokens=max(rooms),
                logits_processor=[sampler],
                stopping_criteria=[until],
            )
        made: list[list[int]] = whole[:, longest:].tolist()
        found: list[Decoded | RequestRejected] = []
        for row, tokens in enumerate(made):
            decoded = self._decoded(tokens[: until.ended.get(row, len(tokens))], len(prompts[row]), how.stop)
            told = self._told(sampler, row, tokens[: decoded.tokens_out]) if how.top else None
            found.append(replace(decoded, logprobs=told))
        return found

    def _told(self, sampler: _Sampler, row: int, tokens: Sequence[int]) -> Logprobs:
        """Return the distributions that a row's tokens were drawn from."""
        positions = sampler.told[: len(tokens)]
        own = [position.own[row].item() for position in positions]
        tops = [[*zip(position.ids[row].tolist(), position.values[row].tolist(), strict=True)] for position in positions]
        known = self._vocabulary
        return by_id(tokens, own, tops, None if known is None else partial(_piece, known))

    @cached_property
    def _vocabulary(self) -> Vocabulary | None:
        """The tokens as bytes; None where they can't be told, and ids must do."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)  # which tokenizers in Python alone haven't got
        try:
            return None if backend is None else vocabulary(backend, name=str(self._folder))
        except SetupError:
            return None

    def _room(self, ask: Ask, prompt: int) -> int:
        left = self._positions - prompt if self._positions is not None else None
        rooms = [room for room in (ask.max_tokens, left) if room is not None]
        if not rooms:
            raise SetupError(f"{self._folder}: says of no longest text; set sampling.max_tokens")
        return min(rooms)

    def _decoded(self, tokens: list[int], prompt: int, stop: Sequence[str]) -> Decoded:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        out = len(tokens) if end is None else end + 1
        text = self._text(tokens if end is None else tokens[:end])
        cut = min((place for place in map(text.find, stop) if place >= 0), default=None)
        finish_reason = "length" if end is None and cut is None else "stop"
        return Decoded(text=text[:cut], finish_reason=finish_reason, tokens_in=prompt, tokens_out=out)

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    """What the next token of all rows was drawn from."""

    own: Tensor
    """The log-probability of the token that was drawn, by row."""
    ids: Tensor
    """The likeliest tokens, best first, by row."""
    values: Tensor
    """Their log-probabilities."""


class _Sampler:
    """A logits processor that leaves one token a row, chosen by the row's own random numbers: `generate` then takes the best.

    By the inverse of the distribution function, so one number a token is enough.
    """

    def __init__(self, numbers: Sequence[random.Random], how: How, folder: Path) -> None:
        self._numbers = numbers
        self._how = how
        self._folder = folder
        self.told: list[_Position] = []
        """By position, where alternatives are wanted: the model's own distribution, whatever is then made of it."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - transformers calls it so
        if bool(scores.isnan().any()):
            raise SetupError(f"{self._folder}: its logits are no numbers (NaN): the weights are broken, or dtype is too narrow")
        chosen = self._chosen(scores)
        if self._how.top:
            logprobs = scores.double().log_softmax(dim=-1)
            best = logprobs.topk(min(self._how.top, logprobs.shape[-1]), dim=-1)
            own = logprobs.gather(-1, chosen)[:, 0]
            self.told.append(_Position(own=own.cpu(), ids=best.indices.cpu(), values=best.values.cpu()))
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen, 0.0)

    def _chosen(self, scores: Tensor) -> Tensor:
        if self._how.temperature == 0:
            return scores.argmax(dim=-1, keepdim=True)
        best, tokens = (scores.float() / self._how.temperature).sort(dim=-1, descending=True, stable=True)
        mass = best.softmax(dim=-1)
        reached = mass.cumsum(dim=-1)
        kept = (reached - mass < self._how.top_p).sum(dim=-1, keepdim=True)  # at least the best
        drawn = torch.tensor([[each.random()] for each in self._numbers], device=scores.device)
        places = torch.searchsorted(reached, drawn * reached.gather(-1, kept - 1), right=True).minimum(kept - 1)
        return tokens.gather(-1, places)


class _Until:
    """A stopping criterion for what the model's own end-of-text token doesn't stop."""

    def __init__(
        self,
        asks: Sequence[Ask],
        rooms: Sequence[int],
        prompt: int,
        stop: Sequence[str],
        text: Callable[[list[int]], str],
        halt: Callable[[], bool],
    ) -> None:
        self.ended: dict[int, int] = {}
        """Tokens by row, where this ended one."""
        self._asks = asks
        self._rooms = rooms
        self._prompt = prompt
        self._stop = stop
        self._window = TAIL + max((len(each.encode()) for each in stop), default=0)
        self._text = text
        self._halt = halt

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:  # noqa: ARG002 - transformers calls it so
        made = input_ids.shape[1] - self._prompt
        halt = self._halt()
        tails = input_ids[:, self._prompt :][:, -self._window :].tolist() if self._stop else []
        for row, ask in enumerate(self._asks):
            if row not in self.ended and (halt or made >= self._rooms[row] or ask.dropped() or self._stops(tails, row)):
                self.ended[row] = made
        return torch.tensor([row in self.ended for row in range(len(self._asks))], device=input_ids.device)

    def _stops(self, tails: Sequence[list[int]], row: int) -> bool:
        if not tails:
            return False
        text = self._text(tails[row])
        return any(each in text for each in self._stop)


def _piece(known: Vocabulary, token: int) -> bytes:
    """Return a token's bytes: none of an id that only pads the weights."""
    return (known.tokens[token] if token < known.size else None) or b""


def _numbers(seed: int | None, prompt: Sequence[int]) -> random.Random:
    """Return an answer's random numbers: of its seed and its prompt, since all prompts' first answers have one seed.

    With the same numbers for all, whatever is unlikely at a place would come for every prompt, or for none.
    """
    return random.Random(None if seed is None else f"{seed} {[*prompt]}")  # noqa: S311 - no secret


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer: those of the model's generation settings, and the tokenizer's."""
    given = getattr(model.generation_config, "eos_token_id", None)
    found = [given] if isinstance(given, int) else list(given or ())
    return sorted({*found, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])})
