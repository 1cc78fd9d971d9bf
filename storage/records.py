"""The records that flow through stillhouse: frozen, slotted, standard library only.

The tables of the lake (`storage/schemas.py`) have a column for each field of `Sample`, `Verdict`, `Outcome` and `Prompt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
class Logprobs:
    """A teacher's distribution at each generated position of one sample, flat: positions one after the other.

    Position i has `counts[i]` alternatives, and they stand behind those of the positions before it. Where a server left positions
    out, one position stands for all of them: a *gap*, with their bytes, the id -1, the logprob NaN, no alternatives, and rest 1.
    """

    tokens: tuple[bytes, ...] | None
    """The sampled tokens' bytes, perhaps a part of a character each; None where the server gave ids alone. Joined they are what
    the server generated, reasoning included; a special token's bytes or a stop text may stand at the end."""
    ids: tuple[int, ...] | None
    """The sampled tokens' ids in the teacher's vocabulary; None where the server gave none."""
    logprobs: tuple[float, ...]
    """Natural logarithms of the sampled tokens' probabilities."""
    counts: tuple[int, ...]
    """Alternatives at each position."""
    top_tokens: tuple[bytes, ...] | None
    """The alternatives' bytes, best first at each position; None where `tokens` is."""
    top_ids: tuple[int, ...] | None
    """The alternatives' ids, likewise; None where `ids` is."""
    top_logprobs: tuple[float, ...]
    """Natural logarithms of their probabilities."""
    rest: tuple[float, ...]
    """Probability, 0 … 1, of all that is neither an alternative nor the sampled token, at each position."""

    def __post_init__(self) -> None:
        """Raise ValueError where the lists don't belong together."""
        positions, alternatives = len(self.logprobs), sum(self.counts)
        if self.tokens is None and self.ids is None:
            raise ValueError("logprobs need tokens or ids")
        if (self.tokens is None) != (self.top_tokens is None) or (self.ids is None) != (self.top_ids is None):
            raise ValueError("logprobs need tokens with top_tokens, and ids with top_ids")
        for name in ("tokens", "ids", "counts", "rest"):
            given = getattr(self, name)
            if given is not None and len(given) != positions:
                raise ValueError(f"logprobs have {positions:,} positions, and {len(given):,} {name}")
        for name in ("top_tokens", "top_ids", "top_logprobs"):
            given = getattr(self, name)
            if given is not None and len(given) != alternatives:
                raise ValueError(f"logprobs have {alternatives:,} alternatives, and {len(given):,} {name}")

    def __len__(self) -> int:
        return len(self.logprobs)


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
    revision: str | None = None
    """Which revision of the model answered: what the spec says; a commit of the Hub's, or `sha256:…` of what ran on this machine;
    or the name that a server answered by, where it is another than was asked for. None where nobody said."""
    logprobs: Logprobs | None = None
    """The distributions that its tokens were drawn from, where they were asked for. Who judges a sample doesn't get them."""
    created_at: datetime
    """When the response had arrived, UTC."""

    def light(self) -> Sample:
        """Return it without its distributions, which are longer than all the rest, for those who have no use for them."""
        return self if self.logprobs is None else replace(self, logprobs=None)


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
class Score:
    """What a model makes of one sample's response, token by token, with the text given (teacher-forced)."""

    sample_id: str
    """The sample."""
    scorer: str
    """The scoring teacher's name in the spec."""
    provider: str
    """The provider that was asked: openai, local, …"""
    model: str
    """The model as it was asked for."""
    revision: str | None = None
    """Which revision of it, as `Sample.revision` has it."""
    fingerprint: str
    """Content address of what decides the answer: provider, model, what else identifies it, `top`, and how reasoning is shown,
    where there is any."""
    top: int
    """Alternatives that were asked for at each position."""
    reasoning: str
    """How reasoning is shown that the sample has apart from its response: think, turn or omit; none where it has none, and the
    score counts for each. Null where an earlier version scored, which left samples with reasoning out."""
    logprobs: Logprobs | None
    """The distributions at the tokens of the reasoning, where it is shown, and of the response. None: it couldn't be scored."""
    ended: bool = False
    """Whether the last of them is that of the token which ends the turn."""
    reason: str | None = None
    """Why not, as whoever was asked says."""
    tokens_in: int
    """Billed prompt tokens, the response among them."""
    cost_usd: float | None = None
    """USD, by the spec's prices; None where they are unknown."""
    created_at: datetime
    """When the answer had arrived, UTC."""


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
    strategy: str | None = None
    """The strategy by which the prompt was asked, where the spec has strategies and one is for it."""
    asked_id: str | None = None
    """The `sample_id` that was asked for, where no response came."""


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
