"""A teacher: a handful of rules that turn what somebody says into a question, after Weizenbaum's ELIZA of 1966."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.errors import SpecError
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Choice, Completion, Request

MIRRORED = {"i": "you", "me": "you", "my": "your", "am": "are", "you": "I", "your": "my", "mine": "yours"}
RULES = (
    (re.compile(r"\bi feel (.+)", re.IGNORECASE), "Why do you feel {}?"),
    (re.compile(r"\bi (?:need|want) (.+)", re.IGNORECASE), "What would it mean to you to get {}?"),
    (re.compile(r"\bi am (.+)", re.IGNORECASE), "How long have you been {}?"),
    (re.compile(r"(.+)"), "What makes you say that {}?"),
)


@dataclass(frozen=True, kw_only=True)
class Eliza:
    """Answers at once, and the same every time."""

    async def complete(self, request: Request) -> Completion:
        """Answer the last turn. Each of the request's samples is the same."""
        text = request.messages[-1].content
        response = next((answer.format(mirrored(found[1])) for rule, answer in RULES if (found := rule.search(text))), "Go on.")
        return Completion(
            choices=(Choice(response=response),) * request.n,
            tokens_in=len(text.split()),
            tokens_out=len(response.split()) * request.n,
        )

    async def aclose(self) -> None:
        """There is nothing to close."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the answer beside the prompt: with other rules, samples are others, and are drawn anew."""
        return {"rules": [[rule.pattern, answer] for rule, answer in RULES]}


def mirrored(text: str) -> str:
    """Return what somebody says of themselves as it is said to them."""
    return " ".join(MIRRORED.get(word.lower(), word) for word in text.rstrip(".!? ").split())


def make(options: TeacherOptions, *, api_key: str | None) -> Eliza:
    """Return the teacher of a spec's options. It has no server, and no key."""
    if options.base_url is not None:
        raise SpecError("eliza: needs no base_url, since it has no server")
    return Eliza()
