"""How many tokens a text has, roughly."""

from __future__ import annotations

import pytest

from tasks.tokens import MESSAGE_TOKENS, estimate, estimate_messages
from tests.fakes import user

TEXTS = {
    # Ranges that tokenizers of open and closed models of the last years fall into.
    "English": ("The old house stood on a hill above the river, and nobody had lived in it for years.", 16, 22),
    "arithmetic": ("A farmer picks 20 pears in the morning and 15 in the afternoon: 20 + 15 = 35.", 20, 29),
    "Python": ("def largest(numbers):\n    return max(numbers) if numbers else None\n", 12, 20),
    "long words": ("incomprehensibilities internationalization", 3, 8),
    "Chinese": ("\u53e4\u8001\u7684\u623f\u5b50\u7ad9\u5728\u6cb3\u8fb9\u7684\u5c71\u4e0a", 9, 18),
    "Russian": (
        "\u0421\u0442\u0430\u0440\u044b\u0439 \u0434\u043e\u043c \u0441\u0442\u043e\u044f\u043b \u043d\u0430 \u0445\u043e\u043b\u043c\u0435",
        7,
        14,
    ),
    "nothing": ("", 0, 0),
}


@pytest.mark.parametrize(("text", "least", "most"), TEXTS.values(), ids=TEXTS)
def test_scripts(text: str, least: float, most: float):
    """Words, digits, marks and scripts each have their measure."""
    assert least <= estimate(text) <= most


def test_a_conversation():
    """A message costs a few tokens more than its text."""
    assert estimate_messages(user("one two three") * 2) == 2 * (3 + MESSAGE_TOKENS)
