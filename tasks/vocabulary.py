"""A tokenizer's vocabulary as bytes: what each of its tokens adds to a text, whatever the tokenizer calls it.

Byte-level BPE (GPT-2, Llama 3, Qwen) writes each byte as a letter of its own; SentencePiece (Llama 2, Gemma, Mistral) writes a
space as `▁`, and bytes that it has no piece for as `<0x0A>`. As bytes, tokens of the one can be looked up in the other.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from storage.errors import SetupError

_PRINTED = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_LETTERS = {chr(byte): byte for byte in _PRINTED} | {
    chr(0x100 + number): byte for number, byte in enumerate(sorted(set(range(0x100)) - set(_PRINTED)))
}
"""Byte-level BPE's alphabet: what can't be printed has letters of its own, from U+0100 on."""
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SENTENCEPIECE = {"Metaspace", "ByteFallback", "Replace"}


class Vocabulary:
    """Tokens by id as bytes, and ids by bytes."""

    def __init__(self, tokens: Mapping[int, bytes], *, fallbacks: frozenset[int] = frozenset()) -> None:
        """Take the tokens. `fallbacks` are single bytes that stand in where there is no piece, and come last among equals."""
        self.size = max(tokens, default=-1) + 1
        """One more than the largest id."""
        self.tokens: list[bytes | None] = [tokens.get(number) for number in range(self.size)]
        """By id; None where an id is no token's."""
        self.ids: dict[bytes, int] = {}
        """By bytes; where several tokens are the same bytes, the first."""
        for number in sorted(tokens, key=lambda number: (number in fallbacks, number)):
            self.ids.setdefault(tokens[number], number)
        self.ids.pop(b"", None)

    @functools.cached_property
    def sha256(self) -> str:
        """Return what tells vocabularies apart: all tokens in their order. Templates, rules and merges have no part in it."""
        told = hashlib.sha256()
        for token in self.tokens:
            told.update(b"-" if token is None else b"%d:%b" % (len(token), token))
        return told.hexdigest()


def vocabulary(backend: Any, *, name: str) -> Vocabulary:
    """Return the vocabulary of a tokenizer of the package `tokenizers`. Raise SetupError, with its name, where it has none."""
    described = json.loads(backend.to_str())
    kinds = set(_kinds(described.get("decoder"))) | set(_kinds(described.get("pre_tokenizer")))
    added = {number: token.content.encode() for number, token in backend.get_added_tokens_decoder().items()}
    pieces = {number: piece for piece, number in backend.get_vocab(with_added_tokens=True).items() if number not in added}
    if "ByteLevel" in kinds:
        return Vocabulary({number: _byte_level(piece) for number, piece in pieces.items()} | added)
    if kinds & _SENTENCEPIECE:
        fallbacks = frozenset(number for number, piece in pieces.items() if _BYTE.fullmatch(piece))
        return Vocabulary({number: _sentencepiece(piece) for number, piece in pieces.items()} | added, fallbacks=fallbacks)
    raise SetupError(
        f"exports: soft: {name}: its tokens can't be told as bytes: neither byte-level BPE nor SentencePiece "
        f"(decoder: {', '.join(sorted(kinds)) or 'none'})"
    )


def _kinds(part: Any) -> Iterator[str]:
    """Yield the types of a tokenizer's part and of the parts in it."""
    if isinstance(part, Mapping):
        if isinstance(kind := part.get("type"), str):
            yield kind
        for value in part.values():
            yield from _kinds(value)
    elif isinstance(part, list):
        for each in part:
            yield from _kinds(each)


def _byte_level(piece: str) -> bytes:
    # A piece with any other letter was put into the vocabulary as a text.
    found = [_LETTERS.get(letter) for letter in piece]
    return bytes(byte for byte in found if byte is not None) if None not in found else piece.encode()


def _sentencepiece(piece: str) -> bytes:
    byte = _BYTE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()
