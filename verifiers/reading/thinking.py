"""A response without its chain of thought, and without what no reader sees."""

from __future__ import annotations

import re

_THOUGHTS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))
_GLM = ("<|begin_of_box|>", "<|end_of_box|>")
r"""How GLM writes \boxed{}."""
_THOUGHT = re.compile(r"\s*<(think|thinking)>")


def after_thinking(text: str, *, boxed: bool = True) -> str | None:
    """Return what follows the chain of thought, where one stands in `<think>` or `<thinking>` tags; None where it never ends.

    `boxed`: with GLM's boxes as LaTeX's; else they are left out.
    """
    text = _uncommented(text)
    if _GLM[0] in text and not boxed:
        text = text.replace(_GLM[0], " ").replace(_GLM[1], " ")
    elif _GLM[0] in text:
        text = text.replace(_GLM[0], r"\boxed{").replace(_GLM[1], "}")
    for _, closing in _THOUGHTS:
        closed = text.rfind(closing)
        if closed >= 0:
            text = text[closed + len(closing) :]
    return None if any(opening in text for opening, _ in _THOUGHTS) else text


def spoken(text: str) -> str | None:
    """Return a response without the chain of thought that it begins with; None where that never ends.

    For responses of which all else counts, be it code or data: what looks like a tag within them is their own.
    """
    at = 0
    while opening := _THOUGHT.match(text, at):
        closing = f"</{opening[1]}>"
        closed = text.find(closing, opening.end())
        if closed < 0:
            return None
        at = closed + len(closing)
    return text[at:]


_BEGINS_BLOCK = re.compile(r"[\s>*+\-\d.)]*")
"""Before what begins a line, or an item of a list or a quotation."""


def _uncommented(text: str) -> str:
    """Return a text without its HTML comments, which no reader sees.

    One that never ends hides the rest where it begins a line or an item; within a line it is a text like any other, to Markdown.
    """
    kept, at = [], 0
    while (begin := text.find("<!--", at)) >= 0:
        end = text.find("-->", begin)
        if end < 0 and not _BEGINS_BLOCK.fullmatch(text, text.rfind("\n", 0, begin) + 1, begin):
            break
        kept.append(text[at:begin])
        at = len(text) if end < 0 else end + len("-->")
    return "".join([*kept, text[at:]]) if kept or at else text
