"""Responses that end before their end."""

from __future__ import annotations

import time

import pytest

from storage.records import CUT_OFF
from tests.fakes import make_prompt, make_sample
from verifiers.protocol import Finding
from verifiers.truncation import Truncation

MEGABYTE = 1_000_000


def found(response: str, ended: str = "stop", *, sentence: bool = False) -> Finding:
    """Return what the verifier says of a response."""
    return Truncation(sentence=sentence).check(make_prompt(), make_sample(response=response, finish_reason=ended))


@pytest.mark.parametrize("ended", [*sorted(CUT_OFF), "content_filter"])
def test_the_server_broke_it_off(ended: str) -> None:
    """Its finish reason says so, however whole the text looks, and empty as it may be."""
    assert found("Whole.", ended).passed is False
    assert found("", ended).passed is False
    assert found("Whole.", "refusal").passed is True


@pytest.mark.parametrize(
    ("response", "passed"),
    [
        ("```python\nx = 1\n```", True),
        ("```python\nx = 1\n", False),
        ("~~~\n```\n~~~", True),
        ("````\n```\n", False),
        ("````\n```\n````", True),
        ("```\na\n```\n```\nb\n", False),
        ("Use ```inline``` fences.", True),
        ("A block begins with a fence:\n\n    ```\n\nAnd so on.", True),
        ("1. Run this:\n\n    ```\n    make\n", False),
        ("```not a fence``` either", True),
        ("  ```\r\nx\r\n  ```\r\n", True),
        ("", None),
        (" \n", None),
        ("```\n" * MEGABYTE, True),
        ("`" * MEGABYTE, False),
        ("\ud800", True),
        ("<think>I was thinking about", False),
        ("<thinking>I was", False),
        ("<think>So</think> 5", True),
        ("The tag <think> begins it.", True),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_code_blocks(response: str, passed: bool | None) -> None:
    """One that is never closed was cut off, as a chain of thought is."""
    began = time.process_time()
    assert found(response).passed is passed
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "response",
    [
        "This is a whole sentence.",
        "I hope that this helps you a lot :)",
        "Thanks for asking such a question ;-)",
        "Is this a whole sentence?",
        'He said that it was "whole."',
        "This is a whole sentence (or so it seems).",
        "**This is a whole sentence.**",
        "所以答案是四。",
        "So the answer is 42",
        "So the area is $x^2$",
        "So the area here is \\[x^2\\]",
        "So the area here is \\(x^2\\)",
        "**So the final answer is \\boxed{x}.**",
        "Have a look at https://example.com/a",
        "The answer: Paris",
        "#### 72",
        "- one thing and another and a third",
        "1. one thing and another and a third",
        "| a | b | c | d | e |",
        "Here it is:\n```\nx = [\n```",
        "I hope that this helps you! 😊",
        "Kind regards,\nJohn",
        "यह एक पूरा वाक्य है और सही है।",
        "I hope that this helps you a lot ❤️",
        "I hope that this helps you a lot 👍🏽",
        "I hope that this helps you a lot~",
        "希望这些内容能够对你有所帮助哦~",
        "~~This is struck out, and it ends here.~~",
        "Roses are red\nViolets are blue\nSugar is sweet\nAnd so is a cup of tea",
        "Here is a poem.\n\nThe morning comes with light,\nAnd birds begin to sing\nThe shadows leave\nAnd we can hear the spring",
        "An old silent pond\nA frog jumps into the pond\nAnd the sound of water stays",
        "1. First\n2. Second step is to take the one that you want",
        "1. not\n2. and\n3. or",
        "- logical and\n- logical or",
        "It costs $5 (or x^2 of them).",
        "It costs $5, of which $\\frac{1}{2}$ is mine.",
        "Set $PATH and ${HOME} for that.",
        "The value is $$\\frac{1}{2}$$",
        "Write `\\frac{1` and so on.",
        "\\begin{align}\nx &= 1 \\\\[2pt]\ny &= 2\n\\end{align}",
        "So the final answer is \\boxed{\\frac{1}{2}}",
        "เมืองหลวงของประเทศไทยคือกรุงเทพมหานครซึ่งเป็นเมืองที่ใหญ่ที่สุด",
        "រាជធានីនៃប្រទេសកម្ពុជាគឺភ្នំពេញ។",
    ],
)
def test_a_finished_sentence(response: str) -> None:
    """Sentences end in a mark; what is no sentence needs none."""
    assert found(response, sentence=True).passed is True


@pytest.mark.parametrize(
    "response",
    [
        "This is not a whole",
        "First this. Then we see that the",
        "So we get the following list:",
        "- one, two,",
        "So the area here is \\(x^2\\),",
        "So we have \\boxed{x} and",
        "See https://example.com for the",
        "We then add, and",
        "**We then add the two",
        "1. First\n2. Second step is to take the",
        "1. First\n2. Take the",
        "- one thing and another and",
        "- **one thing and another and**",
        "1. Erstens\n2. Danach nehmen wir das Ergebnis und",
        "So the half of it is $\\frac{1}{2",
        "So the half of it is $\\frac{1}{2}",
        "So the half of it is\n$$\n\\frac{1}{2}",
        "So the power of it is $x^2",
        "So the half of it is \\(\\frac{1}{2}",
        "So the half of it is \\[\\frac{1}{2}",
        "So the answer is \\boxed{\\frac{1}{2}",
        "\\begin{align}\nx &= 1 \\\\\ny &= 2",
        "It costs $5, of which this is the half: $\\frac{5}{2",
        "This ~~is~~ not a whole",
        "~~This is not a whole~~",
        "Roses are red.\nViolets are blue.\nSugar is sweet.\nAnd so is a cup of",
        "Roses are red,\nViolets are blue,\nSugar is sweet,\nAnd so is a cup of the",
        "The sun is up.\nThe day is new.\nThe sky is blue.\n\nRoses are red\nViolets are blue\nSugar is sweet\nAnd so is a cup of",
        "First, this is it\nThis is not a whole",
    ],
)
def test_an_unfinished_sentence(response: str) -> None:
    """It fails where the spec asks for it alone."""
    finding = found(response, sentence=True)
    assert (finding.passed, "is not finished" in finding.reason) == (False, True)
    assert found(response).passed is True


@pytest.mark.parametrize(
    ("response", "passed"),
    [
        ("\u7b54\u6848\u662f\u4e03\u5341\u4e8c", True),
        ("\u7b54\u6848\u662f\u4e03\u5341\u4e8c\u56e0\u4e3a\u56db\u5341\u516b\u52a0\u4e8c\u5341\u56db\u7b49", False),
        ("\u7b54\u6848\u662f\u4e03\u5341\u4e8c\u56e0\u4e3a\u56db\u5341\u516b\u52a0\u4e8c\u5341\u56db\u7b49\u3002", True),
    ],
    ids=ascii,
)
def test_a_sentence_without_spaces_has_words_as_well(response: str, passed: bool) -> None:
    """In Chinese, a long line without a full stop is a sentence that isn't finished, and a short one an answer."""
    assert found(response, sentence=True).passed is passed


@pytest.mark.parametrize(("response", "passed"), [("O(n log n)", True), ("We take the one that (n log n)", False)])
def test_what_stands_in_brackets_makes_no_sentence(response: str, passed: bool) -> None:
    """An answer may have many words there."""
    assert found(response, sentence=True).passed is passed
