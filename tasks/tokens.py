"""How many tokens a text has, roughly: for a plan, before any tokenizer has counted one.

Tokenizers differ; what they share is that common words are one token, long ones several, and that scripts without spaces between
words cost about a token a character. A plan corrects the figure by what stored samples were billed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from storage.records import Message

MESSAGE_TOKENS = 4
"""What a chat format puts around a message."""
_WORD = re.compile(r"[A-Za-z]+")
_LONG = re.compile(r"[A-Za-z]{9,}")
_DIGIT = re.compile(r"[0-9]")
_MARK = re.compile(r"[!-/:-@\[-`{-~]|\n+|(?<=\s) {3,}")
_DENSE = re.compile(r"[\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
LONG_WORD, DIGIT, MARK, DENSE, FOREIGN = 0.7, 0.7, 0.8, 0.9, 0.45
"""Tokens: more for a long word; a digit; a mark, a line break or an indent; a Han, Kana or Hangul character; any other letter."""


def estimate(text: str) -> float:
    """Return about how many tokens a text has."""
    tokens = (
        len(_WORD.findall(text))
        + LONG_WORD * len(_LONG.findall(text))
        + DIGIT * len(_DIGIT.findall(text))
        + MARK * len(_MARK.findall(text))
    )
    if text.isascii():
        return tokens
    dense = len(_DENSE.findall(text))
    return tokens + DENSE * dense + FOREIGN * (len(_FOREIGN.findall(text)) - dense)


def estimate_messages(messages: Iterable[Message]) -> int:
    """Return about how many prompt tokens a conversation is billed with."""
    return round(sum(estimate(message.content) + MESSAGE_TOKENS for message in messages))
