"""Scoring with torch: a causal language model's distributions over given responses, in one forward pass for several."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from storage.errors import RequestRejected, SetupError
from storage.records import Message
from tasks.distillation.student import split
from tasks.positions import by_id
from tasks.score.protocol import Scored
from tasks.teachers.decoding import Model

LOGITS_BYTES = 2**28
"""Of logits in double precision that are made at a time: they are a vocabulary for each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One response to score."""

    messages: tuple[Message, ...]
    """What it answers."""
    response: str
    """The response."""
    top: int
    """Alternatives at each position."""


class Forward(Model):
    """The model that answers, made to read. Not for two threads at a time."""

    def score(self, given: Sequence[Given]) -> list[Scored | RequestRejected]:
        """Return each one's score. Raise SetupError where the model itself is broken."""
        found: dict[int, Scored | RequestRejected] = {}
        tokens: dict[int, tuple[list[int], list[int]]] = {}
        for place, each in enumerate(given):
            try:
                tokens[place] = self._tokens(each)
            except RequestRejected as error:
                found[place] = error

        def read(now: Sequence[int]) -> Sequence[Scored]:
            return self._pass([tokens[place] for place in now], [given[place].top for place in now])

        found |= self._as_memory_holds(list(tokens), read, what="prompt and response")
        return [found[place] for place in range(len(given))]

    def _tokens(self, given: Given) -> tuple[list[int], list[int]]:
        """Return the tokens of a conversation and of a response. The response's are its own: no token spans both."""
        prompt = self._prompt(given.messages)
        response: list[int] = self._tokenizer(given.response, add_special_tokens=False)["input_ids"]
        if not response:
            raise RequestRejected("the response has no tokens")
        length = len(prompt) + len(response)
        if self._positions is not None and length > self._positions:
            raise RequestRejected(f"prompt and response have {length:,} tokens, and the model reads {self._positions:,} at once")
        return prompt, response

    def _pass(self, tokens: Sequence[tuple[list[int], list[int]]], tops: Sequence[int]) -> list[Scored]:
        whole = [prompt + response for prompt, response in tokens]
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
            for row, (prompt, response), top in zip(states, tokens, tops, strict=True):
                # What stands before a token decides it.
                before = row[len(prompt) - 1 : len(prompt) + len(response) - 1]
                found.append(self._scored(before, head, prompt, response, top))
        return found

    @property
    def _head(self) -> Any:
        if not hasattr(self, "_split"):
            self._split = split(self._model)
        return self._split

    def _scored(self, before: Tensor, head: Any, prompt: list[int], response: list[int], top: int) -> Scored:
        ids = torch.tensor(response, device=self._device)
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
        return Scored(logprobs=by_id(response, own, tops), tokens_in=len(prompt) + len(response))
