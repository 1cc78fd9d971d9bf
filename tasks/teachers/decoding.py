"""Decoding with torch: a causal language model on this machine, asked for several answers at a time.

Each answer has random numbers of its own, drawn from its seed and its prompt, so that it doesn't depend on which others it is
decoded beside (but for the rounding of sums, which differs with the padding).
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from storage.errors import RequestRejected, SetupError
from storage.records import Message
from tasks.teachers.asks import Ask, Decoded, How
from tasks.teachers.seen import Seen, distributions

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
        places = list(prompts)
        width = len(places)
        while places:
            now = places[:width]
            try:
                found |= zip(
                    now, self._decode([asks[place] for place in now], [prompts[place] for place in now], how, halt), strict=True
                )
            except torch.OutOfMemoryError:
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                if len(now) > 1:
                    width = len(now) // 2
                    continue
                found[now[0]] = RequestRejected(f"prompt and answer don't fit into the memory of {self._device}")
            places = places[width:]
        return [found[place] for place in range(len(asks))]

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        try:
            text = self._tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                add_generation_prompt=True,
                tokenize=False,
                **self._template,
            )
        except Exception as error:  # a template may raise anything, on purpose too
            raise RequestRejected(f"the model's chat template refuses the conversation: {error}") from error
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if not tokens:
            raise RequestRejected("the model's chat template makes no tokens of the conversation")
        if self._positions is not None and len(tokens) >= self._positions:
            raise RequestRejected(f"the prompt has {len(tokens):,} tokens, and the model reads {self._positions:,} at once")
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
        told = sampler.told() or [None] * len(made)
        return [
            self._decoded(tokens[: until.ended.get(row, len(tokens))], len(prompts[row]), how.stop, told[row])
            for row, tokens in enumerate(made)
        ]

    def _room(self, ask: Ask, prompt: int) -> int:
        left = self._positions - prompt if self._positions is not None else None
        rooms = [room for room in (ask.max_tokens, left) if room is not None]
        if not rooms:
            raise SetupError(f"{self._folder}: says of no longest text; set sampling.max_tokens")
        return min(rooms)

    def _decoded(self, tokens: list[int], prompt: int, stop: Sequence[str], told: Seen | None) -> Decoded:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        out = len(tokens) if end is None else end + 1
        text = self._text(tokens if end is None else tokens[:end])
        cut = min((place for place in map(text.find, stop) if place >= 0), default=None)
        finish_reason = "length" if end is None and cut is None else "stop"
        logprobs = None if told is None else distributions(tokens[:out], told)
        return Decoded(text=text[:cut], finish_reason=finish_reason, tokens_in=prompt, tokens_out=out, logprobs=logprobs)

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class _Sampler:
    """A logits processor that leaves one token a row, chosen by the row's own random numbers: `generate` then takes the best.

    By the inverse of the distribution function, so one number a token is enough.
    """

    def __init__(self, numbers: Sequence[random.Random], how: How, folder: Path) -> None:
        self._numbers = numbers
        self._how = how
        self._folder = folder
        self._seen: list[Seen] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - transformers calls it so
        if bool(scores.isnan().any()):
            raise SetupError(f"{self._folder}: its logits are no numbers (NaN): the weights are broken, or dtype is too narrow")
        chosen = scores.argmax(dim=-1, keepdim=True) if self._how.temperature == 0 else self._drawn(scores)
        if self._how.alternatives:
            self._seen.append(Seen.at(scores, chosen, self._how.alternatives))
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen, 0.0)

    def told(self) -> list[Seen] | None:
        """Return for each row what stood at its positions; None where that wasn't asked for."""
        return Seen.by_row(self._seen) if self._how.alternatives else None

    def _drawn(self, scores: Tensor) -> Tensor:
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
