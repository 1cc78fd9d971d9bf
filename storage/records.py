"""The records that flow through stillhouse: frozen, slotted, standard library only.

The tables of the lake (`storage/schemas.py`) have a column for each field of `Sample`, `Verdict`, `Outcome` and `Prompt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["system", "user", "assistant"]
OutcomeKind = Literal["kept", "rejected", "failed"]
CUT_OFF = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded", "pause_turn"})
"""Finish reasons of a response that the server broke off."""
REFUSED = frozenset({"refusal", "content_filter"})
"""Finish reasons of a response in which the model, or a filter, declines to answer."""
Stage = Literal["draw", "verify", "dedup", "decontaminate", "license", "select"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    """Who speaks."""
    content: str
    """What is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One row of a prompt source, before any template."""

    prompt_id: str
    """The source's own id, or a hash of the content."""
    messages: tuple[Message, ...]
    """The conversation as the source gives it; it ends with the user's turn."""
    prompt: str
    """The user's text: the content of the last user turn."""
    reference: str | None = None
    """The right answer, where the source has one."""
    tests: str | None = None
    """Python source, or a JSON list of {"stdin", "stdout"} pairs."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Anything else that the source says of the prompt (`entry_point`, `topic`, …)."""
    source: str
    """Where the prompt comes from, as the spec names it."""
    license: str | None
    """SPDX expression; None where the source's row has none."""
    generation: int = 0
    """0: written by people; n: synthetic of n-th order."""
    parents: tuple[str, ...] = ()
    """The ids of the prompts that a teacher grew it from; none where nobody did."""
    grown_by: str | None = None
    """That teacher and how it was asked, as in `smol: evolve/deepen`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopToken:
    """One alternative at one generated position."""

    token: bytes
    """UTF-8, perhaps a part of a character."""
    logprob: float
    """Natural logarithm of the probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """One generated position."""

    token: bytes
    """The token that was sampled."""
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[TopToken, ...] = ()
    """The most probable alternatives, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One teacher response that was paid for. Stored once, for ever."""

    sample_id: str
    """Content address of what was asked: see `storage.identity.sample_id`."""
    prompt_id: str
    """The prompt that asked first."""
    teacher: str
    """The teacher's name in the spec that asked first."""
    provider: str
    """The provider that was asked: openai, local, …"""
    model: str
    """The model as it was asked for."""
    sample_index: int
    """0 … k - 1."""
    strategy: str | None = None
    """The strategy whose system text was used, where there are several."""
    system: str | None = None
    """The system text that was sent."""
    messages: tuple[Message, ...]
    """Everything that was sent, the system text included."""
    response: str
    """The answer, without the reasoning."""
    reasoning: str | None = None
    """The chain of thought, where the teacher shows one."""
    reasoning_blocks: str | None = None
    """JSON of the provider's own reasoning blocks with their signatures, where it gives any."""
    finish_reason: str
    """stop, length, content_filter, … as the server says."""
    tokens_in: int
    """Billed prompt tokens; a request for several samples divides its own among them, so that sums are right."""
    tokens_out: int
    """Billed completion tokens, reasoning included."""
    tokens_reasoning: int = 0
    """Of these, reasoning."""
    tokens_cached: int = 0
    """Of `tokens_in`, those that were read from the provider's prompt cache."""
    cost_usd: float | None = None
    """USD, by the spec's prices; None where they are unknown."""
    latency_s: float
    """Seconds from sending the last attempt to its whole response."""
    attempts: int = 1
    """Requests made for it, the successful one included."""
    temperature: float | None = None
    """As sent."""
    seed: int | None = None
    """As sent."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """One for each generated token, where they were asked for."""
    created_at: datetime
    """When the response had arrived, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one verifier says of one sample."""

    sample_id: str
    """The sample."""
    verifier: str
    """The verifier's name in the spec."""
    version: str
    """The verifier's own version: it changes when the same options would decide otherwise."""
    fingerprint: str
    """Content address of name, version and options."""
    inputs: str
    """Content address of the prompt's part in the check: reference, tests, tags, text."""
    passed: bool | None
    """None: could not decide."""
    score: float | None
    """0 … 1; None where undecided."""
    reason: str
    """Why, for a person."""
    answer: str | None = None
    """The final answer that the verifier found in the response."""
    elapsed_s: float
    """Seconds that the check took."""
    cost_usd: float = 0.0
    """USD that a judge's teacher was paid for it, as far as prices are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one sample slot of one build ended."""

    prompt_id: str
    """The prompt."""
    teacher: str
    """The teacher's name in the spec."""
    sample_index: int
    """0 … k - 1."""
    sample_id: str | None
    """None where no response came."""
    outcome: OutcomeKind
    """Exactly one of the three."""
    stage: Stage | None
    """Where it ended; None where it was kept."""
    reason: str | None
    """Why it ended there."""
    refuted_by: str | None = None
    """The first verifier that failed the sample, where it ended at `verify` and one did: not where none could decide."""
    score: float | None = None
    """The mean of its verdicts' scores, 0 … 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What became of one prompt that a teacher was asked to grow."""

    source: str
    """Where its seeds come from, as the spec names it."""
    method: str
    """self_instruct, evolve or rephrase."""
    operation: str | None
    """How `evolve` changes a prompt: deepen, constrain, …"""
    round: int
    """1: grown from seeds; n: from what was grown in the round before."""
    teacher: str
    """The teacher's name in the spec."""
    parents: tuple[str, ...]
    """The ids of the prompts that the request showed."""
    sample_id: str
    """Of the request's answer, in `samples` where one came."""
    place: int
    """In the answer, from 0 on."""
    prompt: str | None
    """Its text; None where none was found."""
    prompt_id: str | None
    """Its id among the build's prompts; None where it isn't one."""
    outcome: OutcomeKind
    """Exactly one of the three."""
    reason: str | None
    """Why it isn't kept: a kind (`echo`, `duplicate`, …), and behind a colon what there is to say of it."""
