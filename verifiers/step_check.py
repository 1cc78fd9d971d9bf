"""Asks a teacher for the first wrong step of a solution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from storage.errors import VerifierError
from storage.records import Message, Prompt, Sample
from verifiers.judging.fences import RULES, fenced, line
from verifiers.judging.replies import bound, integer
from verifiers.protocol import Asker, Brought, Finding, Verifier, verifier
from verifiers.reading.steps import Split, steps

MAX_STEPS = 400
"""Of a solution. No judge reads more of them with care."""
_SYSTEM = """\
You check the solution of a problem step by step. A student model learns from it, so a wrong step is as bad as a wrong answer, \
even where the answer is right. The steps are numbered from 1 to {count}. Find the first one that is wrong: a false statement, a \
calculation that doesn't hold, a conclusion that doesn't follow, or a step that doesn't belong. A step that is only clumsy, or \
that repeats what is right, is not wrong. Check each by yourself before you believe it.
{rubric}
{rules}

Answer with one JSON object and nothing else:
{{"reason": what is wrong with that step, in a short text, "first_bad_step": its number, or 0 where every step is right}}"""
_ASK = "Find the first wrong step. Answer with the JSON object alone."


@verifier(version="1", isolated=False)
class StepCheck:
    """Fails a solution in which a teacher finds a wrong step, whatever its answer is; the score is the part of steps before it.

    What is asked for is the first error, as Lightman et al. 2023 (Let's Verify Step by Step) label it: what follows a wrong
    step has no truth of its own. All steps go into one request, as in ProcessBench (Zheng et al. 2024): a step can only be
    judged with those before it, so one request for each would send the solution as often as it has steps.
    """

    version: ClassVar[str]
    isolated: ClassVar[bool]
    limit_s: ClassVar[float]
    """Set by the decorator."""

    teacher: Annotated[str, Field(min_length=1)]
    """The name of the judging teacher, one of the spec's."""
    of: Literal["response", "reasoning"] = "response"
    """What is checked. A sample without a chain of thought is left undecided by `reasoning`."""
    split: Split = "auto"
    """What a step is: a paragraph, a line or a sentence; auto: the first of these of which there are two."""
    rubric: str = ""
    """What else makes a step wrong, in words for the judge."""
    reference: bool = False
    """Whether the judge is shown the prompt's reference; a prompt without one is then left undecided."""

    @property
    def needs_of_prompt(self) -> frozenset[Brought]:
        """A reference, where it is shown."""
        return frozenset({"reference"} if self.reference else ())

    @property
    def asks(self) -> tuple[str, ...]:
        """The judging teacher."""
        return (self.teacher,)

    def asking(self, askers: Mapping[str, Asker]) -> Verifier:
        """Return the same verifier with a teacher to ask."""
        return bound(self, _AskingStepCheck, _asker=askers[self.teacher])

    async def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Raise VerifierError: without a teacher nothing can be judged."""
        raise VerifierError(f"sample {sample.sample_id} of prompt {prompt.prompt_id}: step_check was given no teacher to ask")

    def messages(self, prompt: Prompt, found: list[str]) -> list[Message]:
        """Return what the judge is shown of a solution's steps."""
        parts = {"prompt": prompt.prompt}
        if self.reference and prompt.reference is not None:
            parts["reference"] = prompt.reference
        nonce, shown = fenced(parts | {f"step {number}": text for number, text in enumerate(found, 1)}, self.rubric)
        rules = RULES.format(nonce=nonce, name="step 1")
        rubric = f"\n{self.rubric}\n" if self.rubric else ""
        return [
            Message(role="system", content=_SYSTEM.format(count=len(found), rubric=rubric, rules=rules)),
            Message(role="user", content=f"{shown}\n\n{_ASK}"),
        ]


class _AskingStepCheck(StepCheck):
    """A step check that has its teacher. Not decorated: its dataclass fields, and so its options, are the step check's."""

    _asker: Asker

    async def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Ask for the first wrong step."""
        if self.reference and (prompt.reference is None or not prompt.reference.strip()):
            return Finding(passed=None, reason="the prompt has no reference to show to the judge")
        text = sample.response if self.of == "response" else sample.reasoning or ""
        found = steps(text, self.split)
        if not found:
            return Finding(passed=None, reason=f"the sample has no {self.of} to check")
        if len(found) > MAX_STEPS:
            return Finding(passed=None, reason=f"the {self.of} has {len(found):,} steps, more than {MAX_STEPS}")
        bad, reason = await integer("first_bad_step", 0, len(found)).ask(self._asker, self.messages(prompt, found))
        if not bad:
            return Finding(passed=True, score=1.0, reason=f"{len(found)} steps, none of them wrong: {line(reason)}")
        where = f"step {bad} of {len(found)} is wrong ({line(found[bad - 1], 100)})"
        return Finding(passed=False, score=(bad - 1) / len(found), reason=f"{where}: {line(reason)}")
