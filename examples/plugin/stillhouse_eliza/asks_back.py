"""A verifier: whether the response asks something back."""

from typing import Annotated

from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier


@verifier(version="1")
class AsksBack:
    """Passes a response that asks so many questions."""

    questions: Annotated[int, Field(ge=1)] = 1
    """How many, at least."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Count the question marks."""
        found = sample.response.count("?")
        return Finding(
            passed=found >= self.questions,
            reason=f"{found} questions, {self.questions} wanted",
            score=min(found / self.questions, 1),
        )
