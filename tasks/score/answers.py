"""What is scored of a sample: its response and, as the student is to see it, its reasoning, up to the end of the turn.

A student is trained on a text in which reasoning has some form or is left out, and scores are of use at the tokens of that very
text. So reasoning has the forms that exports have: `think`, `<think>` text before the response; `turn`, whatever the model's own
chat template makes of a turn's `reasoning_content`; `omit`, none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from storage.errors import RequestRejected
from tasks.teachers.reasoning import CLOSE, OPEN, joined, lost

Shown = Literal["think", "turn", "omit"]
"""How an export shows reasoning, and how it is scored."""
PROBE = "\ue000"
"""An answer that no text has in it, by which one finds what a chat template writes behind answers."""
_MARK = re.compile(r"(?:<[^<>]+>|\[[^\[\]]+\])$")
"""A special token at a text's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response as it is to be scored."""

    response: str
    """The response."""
    reasoning: str | None = None
    """The chain of thought that stands before it; None where there is none, or it is left out."""
    by_template: bool = False
    """Whether the model's chat template writes the reasoning; else it is `<think>` text."""

    @classmethod
    def of(cls, response: str, reasoning: str | None, shown: Shown) -> Answer:
        """Return a sample's response with its reasoning in that form."""
        thought = reasoning if reasoning and shown != "omit" else None
        return cls(response=response, reasoning=thought, by_template=thought is not None and shown == "turn")

    @property
    def text(self) -> str:
        """The answer as a text, where no template writes it."""
        return joined(self.reasoning, self.response)

    @property
    def turn(self) -> dict[str, str]:
        """The answer as a turn, from which a template writes it."""
        return {"role": "assistant", "content": self.response} | ({"reasoning_content": self.reasoning} if self.reasoning else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a chat template writes behind an answer."""

    text: str
    """Up to the special token that ends the turn, that included."""
    mark: str
    """That token's own text."""


def ending(shown: str) -> Ending | None:
    """Return how a turn ends, of a conversation whose answer is `PROBE` as the template shows it; None where no token ends it."""
    tail = shown.rpartition(PROBE)[2].rstrip()
    mark = _MARK.search(tail)
    return None if mark is None else Ending(text=tail, mark=mark.group())


def opened(prompt: str) -> str:
    """Return what a prompt ends with, if that is an open `<think>`, and else nothing.

    Some templates open the reasoning for the model. No answer is shown behind that: one without reasoning has no part in it, and
    one with reasoning opens it itself, as in training.
    """
    bare = prompt.rstrip()
    return prompt[len(bare) - len(OPEN) :] if bare.endswith(OPEN) else ""


def behind(prompt: str, answer: Answer, whole: str | None = None) -> tuple[str, str]:
    """Return the prompt behind which an answer is shown, and its text; where a template wrote that, with the end of the turn.

    `prompt` ends where the model would answer; `whole` is what the template makes of prompt and answer, where it is to write the
    reasoning. Raise RequestRejected where it can't be shown so.
    """
    if whole is None:
        if answer.reasoning is not None and prompt.rstrip().endswith(CLOSE):
            raise RequestRejected(
                "the chat template ends the reasoning before an answer begins, so none can stand in the answer; score with "
                "`--reasoning omit`, or have the template leave it open (extra_body: chat_template_kwargs)"
            )
        return prompt.removesuffix(opened(prompt)), answer.text
    head = prompt if whole.startswith(prompt) else prompt.removesuffix(opened(prompt))
    if not whole.startswith(head):
        raise RequestRejected(
            "the chat template writes a prompt otherwise where an answer follows; score with `--reasoning think`"
        )
    said = whole[len(head) :]
    if what := lost(said, answer.reasoning, answer.response):
        raise RequestRejected(f"the chat template leaves out or changes the {what}; use `--reasoning think`")
    return head, said


def turns(messages: Any) -> list[dict[str, str]]:
    """Return messages as chat templates and servers take them."""
    return [{"role": each.role, "content": each.content} for each in messages]
