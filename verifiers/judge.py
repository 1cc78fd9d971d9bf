"""Asks teachers whether a response is good, by a rubric: alone, or beside the prompt's reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from storage.errors import VerifierError
from storage.records import Message, Prompt, Sample
from verifiers.judging.fences import RULES, fenced, line
from verifiers.judging.panel import NONE_EVER, Combine, Opinion, combined, opinions, together
from verifiers.judging.replies import Form, bound, choice, integer
from verifiers.protocol import LATER, Asker, Brought, Finding, Verifier, verifier

_SYSTEM = """\
You judge one response to a prompt by the rubric below. Your judgement decides whether a student model learns from the response.

Rubric:
{rubric}

{rules}

Answer with one JSON object and nothing else:
{{"reason": a short text, "score": an integer from {low} (worst) to {high} (best)}}"""
_SYSTEM_PAIR = """\
You compare two responses to a prompt, A and B, by the rubric below. Their order says nothing about them, and neither does their \
length.

Rubric:
{rubric}

{rules}

Answer with one JSON object and nothing else:
{{"reason": a short text, "better": "A", "B" or "tie"}}"""
_ASK = "Judge the response by the rubric. Answer with the JSON object alone."
_ASK_PAIR = "Say which response is better by the rubric. Answer with the JSON object alone."
_BETTER = choice("better", ("A", "B", "tie"))
_VALUES = {"win": 1.0, "tie": 0.5, "loss": 0.0}
_NAME = Annotated[str, Field(min_length=1)]


def _rubric(text: str) -> str:
    if not text.strip():
        raise ValueError("says nothing of what makes a response good")
    return text


@verifier(version="1", isolated=False)
class Judge:
    """Passes a response that a teacher, or a panel of them, finds good enough by a rubric.

    `pairwise` compares it with the prompt's reference, in both orders, as in Zheng et al. 2023 (Judging LLM-as-a-Judge): a
    judge that contradicts itself when A and B change places has no opinion, which counts as a tie. A panel is as in Verga et
    al. 2024 (Replacing Judges with Juries).
    """

    version: ClassVar[str]
    isolated: ClassVar[bool]
    limit_s: ClassVar[float]
    """Set by the decorator."""

    teacher: _NAME | None = None
    """The name of the judging teacher, one of the spec's."""
    rubric: Annotated[str, AfterValidator(_rubric)]
    """What makes a response good, in words for the judge."""
    scale: tuple[int, int] = (1, 10)
    """Pointwise: the worst and the best score."""
    pass_at: float | None = None
    """Pointwise: the score, on that scale, from which a response passes."""
    reference: bool = False
    """Pointwise: whether the judge is shown the prompt's reference; a prompt without one is then left undecided."""
    mode: Literal["pointwise", "pairwise"] = dataclasses.field(default="pointwise", metadata=LATER)
    """pointwise: a score for the response; pairwise: whether it is better than the prompt's reference, asked in both orders."""
    pass_on: Literal["win", "tie"] = dataclasses.field(default="win", metadata=LATER)
    """Pairwise: win: only a response that wins in both orders passes; tie: one that is no worse, too."""
    reasoning: bool = dataclasses.field(default=False, metadata=LATER)
    """Whether the judge is shown the chain of thought as well, where the sample has one."""
    teachers: tuple[_NAME, ...] = dataclasses.field(default=(), metadata=LATER)
    """In place of `teacher`: the names of a panel's members, two or more."""
    combine: Combine = dataclasses.field(default="majority", metadata=LATER)
    """A panel: majority: more than half of those that gave a verdict pass it; mean: their mean score does; unanimous: all do."""

    def __post_init__(self) -> None:
        """Refuse what decides nothing."""
        if (self.teacher is None) == (not self.teachers):
            raise ValueError("name either a `teacher` or, for a panel, `teachers`")
        if self.teachers and (len(self.teachers) < 2 or len(set(self.teachers)) < len(self.teachers)):  # noqa: PLR2004 - a panel
            raise ValueError("teachers: a panel has two members or more, each once")
        low, high = self.scale
        if low >= high:
            raise ValueError(f"scale: the worst score ({low}) must be below the best ({high})")
        if self.mode == "pairwise":
            if self.pass_at is not None:
                raise ValueError("pass_at: mode pairwise has no scores: say `pass_on: win` or `pass_on: tie`")
            if self.reference:
                raise ValueError("reference: mode pairwise shows it anyway, as the other response: leave this out")
            if self.combine == "mean":
                raise ValueError("combine: mode pairwise has no scores to take the mean of: say majority or unanimous")
        elif self.pass_at is None:
            raise ValueError("pass_at: say from which score a response passes")
        elif not low <= self.pass_at <= high:
            raise ValueError(f"pass_at: {self.pass_at:g} is off the scale of {low} to {high}")

    @property
    def needs_of_prompt(self) -> frozenset[Brought]:
        """A reference, where it is shown."""
        return frozenset({"reference"} if self.reference or self.mode == "pairwise" else ())

    @property
    def asks(self) -> tuple[str, ...]:
        """The judging teachers."""
        return self.teachers if self.teacher is None else (self.teacher,)

    def asking(self, askers: Mapping[str, Asker]) -> Verifier:
        """Return the same judge with teachers to ask."""
        return bound(self, _AskingJudge, _askers={name: askers[name] for name in self.asks})

    async def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Raise VerifierError: without a teacher nothing can be judged."""
        raise VerifierError(f"sample {sample.sample_id} of prompt {prompt.prompt_id}: the judge was given no teacher to ask")

    def messages(self, prompt: Prompt, sample: Sample) -> list[Message]:
        """Return what a pointwise judge is shown. The same material gives the same messages, so an answer is paid for once."""
        parts = {"prompt": prompt.prompt}
        if self.reference and prompt.reference is not None:
            parts["reference"] = prompt.reference
        low, high = self.scale
        return self._shown(parts | self._response(sample, "response"), _SYSTEM, _ASK, low=low, high=high)

    def pair(self, prompt: Prompt, sample: Sample, *, first: bool) -> list[Message]:
        """Return what a pairwise judge is shown: the response as A where it comes `first`, else as B."""
        mine, other = ("response A", "response B") if first else ("response B", "response A")
        shown = {"prompt": prompt.prompt} | self._response(sample, mine) | {other: prompt.reference or ""}
        if not first:
            shown = {"prompt": shown.pop("prompt"), other: shown.pop(other)} | shown
        return self._shown(shown, _SYSTEM_PAIR, _ASK_PAIR)

    def _response(self, sample: Sample, name: str) -> dict[str, str]:
        if not self.reasoning or not sample.reasoning:
            return {name: sample.response}
        return {f"chain of thought of {name}": sample.reasoning, name: sample.response}

    def _shown(self, parts: Mapping[str, str], system: str, ask: str, **given: int) -> list[Message]:
        nonce, shown = fenced(parts, self.rubric)
        rules = RULES.format(nonce=nonce, name=list(parts)[-1])
        return [
            Message(role="system", content=system.format(rubric=self.rubric, rules=rules, **given)),
            Message(role="user", content=f"{shown}\n\n{ask}"),
        ]


class _AskingJudge(Judge):
    """A judge that has its teachers. Not decorated: its dataclass fields, and so its options, are the judge's."""

    _askers: Mapping[str, Asker]

    async def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Ask each judge, and combine what they say."""
        if (self.reference or self.mode == "pairwise") and (prompt.reference is None or not prompt.reference.strip()):
            return Finding(passed=None, reason="the prompt has no reference to show to the judge")
        opine = self._compare if self.mode == "pairwise" else self._score
        if self.teacher is not None:
            try:
                one = await opine(self._askers[self.teacher], prompt, sample)
            except VerifierError as error:
                return Finding(passed=None, reason=str(error))
            return Finding(passed=one.passed, score=one.score, reason=f"{one.said}: {line(one.why)}")
        found = await opinions({name: opine(asker, prompt, sample) for name, asker in self._askers.items()})
        low, high = self.scale
        return combined(found, self.combine, pass_at=((self.pass_at or 0) - low) / (high - low))

    async def _score(self, asker: Asker, prompt: Prompt, sample: Sample) -> Opinion:
        low, high = self.scale
        form: Form[int] = integer("score", low, high)
        score, reason = await form.ask(asker, self.messages(prompt, sample))
        passed = self.pass_at is not None and score >= self.pass_at
        return Opinion(passed=passed, score=(score - low) / (high - low), said=f"{score} of {high}", why=reason)

    async def _compare(self, asker: Asker, prompt: Prompt, sample: Sample) -> Opinion:
        found = await together(*(self._order(asker, prompt, sample, first=first) for first in (True, False)))
        if errors := [each for each in found if isinstance(each, Exception)]:
            # An order without a verdict decides nothing, whatever the other says once it can be asked.
            raise next((each for each in errors if isinstance(each, NONE_EVER)), errors[0])
        first, second = (each for each in found if isinstance(each, Opinion))
        score = (first.score + second.score) / 2
        passed = score >= _VALUES[self.pass_on]
        if first.said == second.said:
            said = f"{first.said} in both orders"
        elif {first.said, second.said} == {"win", "loss"}:
            said = f"tie, by position bias ({first.said} as A, {second.said} as B)"
        else:
            said = f"{first.said} as A, {second.said} as B"
        return Opinion(passed=passed, score=score, said=said, why=min(first, second, key=lambda each: each.score).why)

    async def _order(self, asker: Asker, prompt: Prompt, sample: Sample, *, first: bool) -> Opinion:
        better, reason = await _BETTER.ask(asker, self.pair(prompt, sample, first=first))
        said = "tie" if better == "tie" else "win" if (better == "A") == first else "loss"
        return Opinion(passed=None, score=_VALUES[said], said=said, why=reason)
