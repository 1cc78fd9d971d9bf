"""The chain of thought and the answer in one text: telling them apart, and writing them so."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def split(text: str) -> tuple[str | None, str]:
    """Return (reasoning, answer) of a text in which reasoning stands first, between <think> and </think>.

    Some chat templates put the opening tag into the prompt, so a closing tag alone ends the reasoning too. A text that was cut
    off inside its reasoning has an empty answer. Tags further on belong to the answer.
    """
    body = text.lstrip()
    if body.startswith(OPEN):
        thought, closed, answer = body[len(OPEN) :].partition(CLOSE)
    else:
        thought, closed, answer = body.partition(CLOSE)
        if not closed or OPEN in thought:
            return None, text
    return thought.strip() or None, answer.strip() if closed else ""


def joined(thought: str | None, answer: str) -> str:
    """Return the text of both, as DeepSeek-R1 and Qwen3 write it; the answer alone where there is no thought."""
    return f"{OPEN}\n{thought}\n{CLOSE}\n\n{answer}" if thought else answer


def lost(said: str, thought: str | None, answer: str) -> str | None:
    """Return which of the two a chat template left out or changed, in a turn as it wrote it: reasoning or response.

    An answer often repeats what was thought, so that counts as shown only before the answer.
    """
    at = said.rfind(answer.strip())
    if (thought or "").strip() not in (said if at < 0 else said[:at]):
        return "reasoning"
    return "response" if at < 0 else None
