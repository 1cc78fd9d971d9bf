"""Telling the chain of thought from the answer."""

from __future__ import annotations

import pytest

from tasks.teachers.reasoning import lost, split

CASES = {
    "no tags": ("The answer is 4.", None, "The answer is 4."),
    "empty": ("", None, ""),
    "both tags": ("<think>two and two</think>4", "two and two", "4"),
    "white space": ("\n<think>\ntwo and two\n</think>\n\n4\n", "two and two", "4"),
    "white space stays without tags": (" 4\n", None, " 4\n"),
    "opened in the prompt": ("two and two</think>4", "two and two", "4"),
    "no thought": ("<think></think>4", None, "4"),
    "blank thought": ("<think>\n\n</think>\n\n4", None, "4"),
    "cut off": ("<think>two and", "two and", ""),
    "cut off at once": ("<think>", None, ""),
    "nothing after": ("<think>two</think>", "two", ""),
    "tags in the answer": ("Use <think>x</think> tags.", None, "Use <think>x</think> tags."),
    "tags in the answer, after reasoning": ("<think>a</think>b <think>c</think>", "a", "b <think>c</think>"),
    "an opening tag alone, further on": ("Say <think>", None, "Say <think>"),
    "lines": ("<think>a\nb</think>c\nd", "a\nb", "c\nd"),
}


@pytest.mark.parametrize(("text", "thought", "answer"), CASES.values(), ids=CASES)
def test_split(text: str, thought: str | None, answer: str):
    """Reasoning stands first, between its tags; everything else is the answer."""
    assert split(text) == (thought, answer)


@pytest.mark.parametrize(
    ("said", "thought", "answer", "what"),
    [
        ("<think>\n2+2\n</think>\n\n2+2 is 4<|im_end|>", "2+2", "2+2 is 4", None),
        ("2+2 is 4<|im_end|>", "2+2", "2+2 is 4", "reasoning"),
        ("4<|im_end|>", "4", "4", "reasoning"),
        ("<think>2+2=4</think>4", " 2+2=4\n", "4 ", None),
        ("<think>2+2</think>", "2+2", "4", "response"),
        ("4", None, "4", None),
        ("<think>2+2</think>", "2+2", "", None),
    ],
)
def test_what_a_template_lost(said: str, thought: str | None, answer: str, what: str | None):
    """Reasoning that the answer repeats is shown only where it stands before it."""
    assert lost(said, thought, answer) == what
