"""Two tokenizations of one text: which tokens of the one are tokens of the other, byte for byte.

A teacher's distribution at a token says what could have followed the text before it. A student's token is taught by it where both
begin at the same byte, so that what stands before is the same, and end at the same, so that it is the same choice. Between
tokenizers of one family that is most tokens; all others are left to their labels. Nothing is split, joined or shared out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_WIDER = (0x7F, 0x7FF, 0xFFFF)
"""Code points beyond which UTF-8 takes a byte more."""
_REPLACED = "\ufffd".encode()
"""What a server writes in place of a part of a character, where it gives tokens as texts."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a token's bytes stand in a text."""

    begin: int
    """Its first byte in the text."""
    end: int
    """Behind its last."""
    ahead: int = 0
    """Bytes of the token before that, which the text hasn't: the space that SentencePiece puts before a text."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A stretch of text that two texts have in common."""

    ours: int
    """Where it begins in the student's, in bytes."""
    theirs: int
    """Where it begins in the teacher's."""
    size: int
    """Its bytes."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A token of the student's and one of the teacher's that are the same bytes of the stretch."""

    ours: int
    """The student's, by its number."""
    theirs: int
    """The teacher's."""
    our_lead: int = 0
    """Bytes of the student's token before the stretch: a space that the template, or SentencePiece, puts there."""
    their_lead: int = 0
    """Of the teacher's, likewise."""


def joined(tokens: Sequence[bytes]) -> list[Span]:
    """Return the spans of tokens in the text that they make one after the other."""
    spans: list[Span] = []
    at = 0
    for token in tokens:
        spans.append(Span(at, at + len(token)))
        at += len(token)
    return spans


def placed(tokens: Sequence[bytes | None], offsets: Sequence[tuple[int, int]], text: str) -> list[Span | None]:
    """Return the spans of a tokenizer's tokens in a text, in bytes; None where a token isn't what stands there.

    `offsets` are its own, in characters. Some tokenizers leave a space out of them, and the parts of a character have all of it.
    So bytes decide: a token goes on where the one before it ended, or ends or begins where its characters do.
    """
    raw = text.encode("utf-8", "surrogatepass")
    starts = _starts(text)
    spans: list[Span | None] = []
    behind, cursor = 0, None
    for token, (first, last) in zip(tokens, offsets, strict=True):
        begin, end = int(starts[first]), int(starts[last])
        found = None if token is None else _span(token, raw, behind, (cursor, begin, end - len(token)))
        spans.append(found)
        cursor = None if found is None else found.end
        behind = cursor or behind
    return spans


def _span(token: bytes, raw: bytes, behind: int, places: Sequence[int | None]) -> Span | None:
    """Return the first of these places at which a token stands: whole, or less a space that was put ahead of a text."""
    possible = [at for at in places if at is not None and at >= behind]
    for at in possible:
        if raw.startswith(token, at):
            return Span(at, at + len(token))
    if token.startswith(b" ") and possible and raw.startswith(token[1:], possible[0]):
        return Span(possible[0], possible[0] + len(token) - 1, 1)
    return None


def _starts(text: str) -> npt.NDArray[np.int64]:
    """Return where each character begins in UTF-8, and where the last ends."""
    if text.isascii():
        return np.arange(len(text) + 1)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = 1 + np.sum([points > bound for bound in _WIDER], axis=0, dtype=np.int64)
    return np.concatenate([[0], np.cumsum(sizes)])


def shared(ours: bytes, theirs: bytes, text: bytes, *, our_end: int | None = None, their_end: int | None = None) -> Shared | None:
    """Return the last place of a text in both that ends before these, with what else is the same on its two sides.

    White space around the text may be stripped in either. None where it isn't in both.
    """
    our_end, their_end = len(ours) if our_end is None else our_end, len(theirs) if their_end is None else their_end
    for part in (text, text.strip()):
        a, b = ours.rfind(part, 0, our_end), theirs.rfind(part, 0, their_end)
        if part and a >= 0 and b >= 0:
            size = len(part)
            while a > 0 and b > 0 and ours[a - 1] == theirs[b - 1]:
                a, b, size = a - 1, b - 1, size + 1
            while a + size < our_end and b + size < their_end and ours[a + size] == theirs[b + size]:
                size += 1
            return Shared(a, b, size)
    return None


def pairs(ours: Sequence[Span | None], theirs: Sequence[Span], stretch: Shared) -> Iterator[Pair]:
    """Yield the tokens that begin and end at the same bytes of a stretch, in order.

    The first may begin before it: then what is before it belongs to the token, and not to the text that both have.
    """
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for number, span in enumerate(theirs):
        inside = _inside(span, stretch.theirs, stretch.size)
        if inside is not None:
            found[inside[:2]] = number, inside[2]
    for number, each in enumerate(ours):
        inside = None if each is None else _inside(each, stretch.ours, stretch.size)
        if inside is not None and inside[:2] in found:
            other, lead = found[inside[:2]]
            yield Pair(number, other, inside[2], lead)


def _inside(span: Span, begin: int, size: int) -> tuple[int, int, int] | None:
    """Return where a token begins and ends in a stretch, and its bytes before that; None where it doesn't end in it."""
    first, last = span.begin - begin, span.end - begin
    if not 0 < last <= size or span.begin == span.end:
        return None
    return max(0, first), last, span.ahead + max(0, -first)


def spelled(token: bytes, other: bytes | None) -> bool:
    """Return whether a token as a server writes it may be that of a vocabulary.

    A server may write nothing for a special token, and U+FFFD for a part of a character.
    """
    return other is not None and (token in {b"", other} or _REPLACED in token)
