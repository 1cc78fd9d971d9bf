"""Telling the chain of thought from the answer in one text."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


def split(text: str) -> tuple[str | None, str]:
    """Return (reasoning, answer) of a text in which reasoning stands first, between <think> and </think>.

    Some chat templates put the opening tag into the prompt, so a closing tag alone ends the reasoning too. A text that was cut
    off inside its reasoning has an empty answer. Tags further on belong to the answer.
    """
    body = text.lstrip()
    if body.startswith(_OPEN):
        thought, closed, answer = body[len(_OPEN) :].partition(_CLOSE)
    else:
        thought, closed, answer = body.partition(_CLOSE)
        if not closed or _OPEN in thought:
            return None, text
    return thought.strip() or None, answer.strip() if closed else ""
