"""Scoring with torch: a causal language model's distributions over given responses, in one forward pass for several."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from storage.errors import RequestRejected, SetupError
from storage.records import Message
from tasks.distillation.student import split
from tasks.positions import by_id
from tasks.score.answers import PROBE, Answer, behind, ending, turns
from tasks.score.protocol import Scored
from tasks.teachers.decoding import Model

LOGITS_BYTES = 2**28
"""Of logits in double precision that are made at a time: they are a vocabulary for each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """A conversation and its answer."""

    prompt: list[int]
    """Behind which it answers."""
    answer: list[int]
    """The answer's, which are its own: none spans both."""
    end: list[int]
    """What ends its turn; empty where nothing does."""

    @property
    def scored(self) -> list[int]:
        """Those of which distributions are wanted."""
        return self.answer + self.end

    @property
    def whole(self) -> list[int]:
        """All of them."""
        return self.prompt + self.answer + self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One response to score."""

    messages: tuple[Message, ...]
    """What it answers."""
    answer: Answer
    """The response, and what of its reasoning is shown."""
    top: int
    """Alternatives at each position."""


class Forward(Model):
    """The model that answers, made to read. Not for two threads at a time."""

    def score(self, given: Sequence[Given]) -> list[Scored | RequestRejected]:
        """Return each one's score. Raise SetupError where the model itself is broken."""
        found: dict[int, Scored | RequestRejected] = {}
        tokens: dict[int, _Tokens] = {}
        for place, each in enumerate(given):
            try:
                tokens[place] = self._tokens(each)
            except RequestRejected as error:
                found[place] = error

        def read(now: Sequence[int]) -> Sequence[Scored]:
            return self._pass([tokens[place] for place in now], [given[place].top for place in now])

        found |= self._as_memory_holds(list(tokens), read, what="prompt and response")
        return [found[place] for place in range(len(given))]

    def _tokens(self, given: Given) -> _Tokens:
        answer, asked = given.answer, turns(given.messages)
        end, ids = self._ending
        whole = self._rendered([*asked, answer.turn], ask=False) if answer.by_template else None
        head, said = behind(self._rendered(asked, ask=True), answer, whole)
        if whole is not None:  # which ends the turn itself
            said = said.rstrip().removesuffix(end)
        found = _Tokens(prompt=self._encoded(head), answer=self._encoded(said), end=ids)
        if not found.prompt or not found.answer:
            raise RequestRejected("prompt or response have no tokens")
        if self._positions is not None and len(found.whole) > self._positions:
            told = f"prompt and response have {len(found.whole):,} tokens, and the model reads {self._positions:,} at once"
            raise RequestRejected(told)
        return found

    @cached_property
    def _ending(self) -> tuple[str, list[int]]:
        """What the template writes behind an answer, and its tokens; else the tokenizer's own end, as in training on exports."""
        found = ending(self._rendered([{"role": "user", "content": "?"}, Answer(response=PROBE).turn], ask=False))
        if found is not None and len(self._encoded(found.mark)) == 1:
            return found.text, self._encoded(found.text)
        eos: int | None = self._tokenizer.eos_token_id
        return "", [] if eos is None else [eos]

    def _pass(self, tokens: Sequence[_Tokens], tops: Sequence[int]) -> list[Scored]:
        whole = [each.whole for each in tokens]
        longest = max(map(len, whole))
        # Padding stands behind, where no token of a causal model looks.
        rows = [[*each, *[self._pad] * (longest - len(each))] for each in whole]
        masks = [[1] * len(each) + [0] * (longest - len(each)) for each in whole]
        with torch.inference_mode():
            read = {
                "input_ids": torch.tensor(rows, device=self._device),
                "attention_mask": torch.tensor(masks, device=self._device),
                "use_cache": False,
            }
            head = self._head
            states: Tensor = self._model(**read).logits if head is None else self._model.get_decoder()(**read).last_hidden_state
            found = []
            for row, each, top in zip(states, tokens, tops, strict=True):
                # What stands before a token decides it.
                before = row[len(each.prompt) - 1 : len(each.whole) - 1]
                found.append(self._scored(before, head, each, top))
        return found

    @property
    def _head(self) -> Any:
        if not hasattr(self, "_split"):
            self._split = split(self._model)
        return self._split

    def _scored(self, before: Tensor, head: Any, given: _Tokens, top: int) -> Scored:
        ids = torch.tensor(given.scored, device=self._device)
        vocabulary = int(self._model.get_input_embeddings().num_embeddings)
        size = max(1, LOGITS_BYTES // (8 * vocabulary))
        own: list[float] = []
        tops: list[list[tuple[int, float]]] = []
        for states, tokens in zip(before.split(size), ids.split(size), strict=True):
            logprobs = (states if head is None else head(states)).double().log_softmax(dim=-1)
            if bool(logprobs.isnan().any()):
                raise SetupError(
                    f"{self._folder}: its logits are no numbers (NaN): the weights are broken, or dtype is too narrow"
                )
            own += logprobs.gather(-1, tokens[:, None])[:, 0].tolist()
            best = logprobs.topk(min(top, logprobs.shape[-1]), dim=-1)
            tops += [
                list(zip(each, values, strict=True))
                for each, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
        return Scored(logprobs=by_id(given.scored, own, tops), ended=bool(given.end), tokens_in=len(given.whole))
