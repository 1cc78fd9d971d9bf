"""What a model on this machine is asked for, and what it gives: records alone, so that who asks need not load torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storage.records import Logprobs, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One answer that is wanted."""

    messages: tuple[Message, ...]
    """What is sent."""
    max_tokens: int | None
    """Tokens it may have. None: as many as the model can read."""
    seed: int | None
    """What its random numbers are drawn from. None: from the system's."""
    dropped: Callable[[], bool]
    """Whether nobody waits for it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How answers that are decoded together are sampled."""

    temperature: float
    """0: the most probable token, always."""
    top_p: float
    """Nucleus (Holtzman et al. 2020): the most probable tokens that have so much of the probability together."""
    stop: tuple[str, ...]
    """Texts that end an answer, and aren't a part of it."""
    alternatives: int = 0
    """How many of the likeliest tokens to tell at each position, with their probabilities; 0: none, and no probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One answer."""

    text: str
    """Without special tokens and without the text that stopped it."""
    finish_reason: str
    """stop or length."""
    tokens_in: int
    """Of the prompt, its template included."""
    tokens_out: int
    """Generated, the one that ended it included."""
    logprobs: Logprobs | None = None
    """The model's own distribution at each of them, whatever temperature they were sampled at; None where not asked for."""
