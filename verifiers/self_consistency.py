"""A vote of a prompt's samples on its answer, where no reference says what is right."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Annotated, ClassVar

from pydantic import Field

from storage.errors import VerifierError
from storage.records import Prompt, Sample
from verifiers.exact_match import ExactMatch
from verifiers.protocol import Brought, Finding, Trial, verifier
from verifiers.reading import units
from verifiers.reading.answers import Answer, NoAnswer, find_number
from verifiers.reading.asked import shown
from verifiers.reading.declining import KNOWS_NOT
from verifiers.refusal import declines


@verifier(version="16")
class SelfConsistency(ExactMatch):
    """Passes the samples whose answer most of a prompt's samples give: a vote, after Wang et al. 2022 (arXiv:2203.11171).

    All samples that one teacher gave to the prompt vote. Their answers are read and compared as `exact_match` does, with its
    options; the prompt's reference is not looked at. A sample without an answer fails, and counts as one that voted for nothing;
    so does one that declines to answer. Where two answers have the most votes alike, or the most have too few, all who voted are
    left undecided; so is a sample that is alone. The score is the part of the samples that gave the sample's answer.
    """

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """What part of the samples must give an answer, at least, for it to pass."""

    needs_of_prompt: ClassVar[frozenset[Brought]] = frozenset()

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Judge one sample as if there were no others."""
        return self.check_together(prompt, [sample])[0]

    def check_together(self, prompt: Prompt, samples: Sequence[Sample]) -> list[Finding]:
        """Let the samples vote. An answer is compared with one of each group of answers that were found to be equal."""
        if self.tolerance:
            return self._counted(*self._near(prompt, samples), len(samples))
        groups: list[tuple[str, list[int]]] = []
        without: dict[int, Finding] = {}
        # With a unit first: "5" is as good as "5 km" and as "5 m", which differ.
        for number in sorted(range(len(samples)), key=lambda each: not self._measured(samples[each])):
            sample = samples[number]
            for answer, members in groups:
                if self._against(answer, prompt, sample).passed:
                    members.append(number)
                    break
            else:
                answer, alone = self._alone(prompt, sample)
                if alone.passed:
                    groups.append((answer, [number]))
                else:
                    without[number] = alone
        return self._counted(groups, without, len(samples))

    def _near(self, prompt: Prompt, samples: Sequence[Sample]) -> tuple[list[tuple[str, list[int]]], dict[int, Finding]]:
        """Return groups where being near isn't passed on: the largest around one answer, then of the others."""
        alone = [self._alone(prompt, sample) for sample in samples]
        without = {number: finding for number, (_, finding) in enumerate(alone) if not finding.passed}
        left = {number for number in range(len(samples)) if number not in without}
        near = {
            answer: frozenset(number for number in left if self._against(answer, prompt, samples[number]).passed)
            for answer in sorted({alone[number][0] for number in left})
        }
        groups: list[tuple[str, list[int]]] = []
        while left:
            around = {near[answer] & left: answer for answer in sorted({alone[number][0] for number in left}, reverse=True)}
            most = max(map(len, around))
            # Of two that are as large, both: it is a tie.
            groups += [(answer, sorted(members)) for members, answer in around.items() if len(members) == most]
            left -= frozenset[int]().union(*(members for members in around if len(members) == most))
        return groups, without

    def trials(self, prompt: Prompt) -> Iterator[Trial]:  # noqa: ARG002 - of the protocol
        """Yield nothing: a vote looks at no reference."""
        yield from ()

    def _alone(self, prompt: Prompt, sample: Sample) -> tuple[str, Finding]:
        """Return a sample's answer in full, and whether it is one: then it equals itself."""
        if self.kind == "text" and declines(sample.response):
            return "", Finding(passed=False, reason="it declines to answer", score=0.0)
        try:
            answer = self._measured(sample) or self.answer(sample.response)
        except VerifierError as error:
            return "", Finding(passed=None, reason=str(error))
        if answer is not None and self.kind == "text" and KNOWS_NOT.match(answer):
            return "", Finding(passed=False, reason="it gives no answer", score=0.0)
        if answer is None:
            lacking = self._texts(sample.response) if self.kind == "text" else self._found(sample.response)
            return "", Finding(
                passed=False, reason=lacking.why if isinstance(lacking, NoAnswer) else "no answer found", score=0.0
            )
        found = self._against(answer, prompt, sample)
        return answer, found if found.passed is None else dataclasses.replace(found, score=0.0)

    def _measured(self, sample: Sample) -> str:
        """Return a sample's number with its unit, as it would stand in a reference; empty where it has none."""
        if self.kind != "number":
            return ""
        try:
            found = self._found(sample.response)
            return _with_unit(found, sample.response) if isinstance(found, Answer) else ""
        except VerifierError:  # told where it is alone
            return ""

    def _against(self, reference: str, prompt: Prompt, sample: Sample) -> Finding:
        try:
            return super().check(dataclasses.replace(prompt, reference=reference), sample)
        except VerifierError as error:  # this sample's trouble, and no other's
            return Finding(passed=None, reason=str(error))

    def _counted(self, groups: list[tuple[str, list[int]]], without: dict[int, Finding], voters: int) -> list[Finding]:
        found = dict(without)
        most = max((len(members) for _, members in groups), default=0)
        first = [shown(answer) for answer, members in groups if len(members) == most]
        for whole, members in groups:
            answer = shown(whole)
            votes = f"{answer} has {len(members)} of {voters} votes"
            if voters == 1:
                passed, reason = None, "one sample alone is no vote"
            elif len(first) > 1:
                passed, reason = None, f"a tie: {first[0]} and {first[1]} have {most} of {voters} votes each"
            elif most < Fraction(str(self.share)) * voters:  # 0.56 of 25 are 14
                passed, reason = None, f"no answer has enough votes: {first[0]} has {most} of {voters}"
            else:
                passed, reason = len(members) == most, votes if len(members) == most else f"{votes}, {first[0]} has {most}"
            score = len(members) / voters
            found |= dict.fromkeys(members, Finding(passed=passed, reason=reason, score=score, answer=answer))
        return [found[number] for number in range(voters)]


def _with_unit(found: Answer, response: str) -> str:
    """Return a number with the unit that stands beside it, as it is read again; empty where there is none."""
    unit = found.unit or units.currency(response, found.text)
    spelled = unit.replace("\u2191\u2191", "\u00b3").replace("\u2191", "\u00b2")
    for written in (found.text, f"{unit}{found.text}", f"{found.text} {spelled}") if unit else ():
        read = find_number(written)
        if isinstance(read, Answer) and read.value == found.value and unit in {read.unit, units.currency(written, read.text)}:
            return written
    return ""
