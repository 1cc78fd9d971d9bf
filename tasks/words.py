"""Words: the normal form in which texts are compared, and hashes of its n-grams, many texts at a time.

Case, punctuation, line breaks, Unicode forms, the script of digits, what HTML and LaTeX mark words up with, and how 1,000 and
don't are written, make no difference. A sign between what is reckoned with is a word: 17 - 3 isn't 17 + 3. Hashes depend on the
texts alone: on no seed, machine or version.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from tasks.splitmix import mixed

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

CHARS = 8
"""Characters of a character n-gram."""
_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))  # noqa: PLR2004 - A to Z
"""ASCII's letters in lower case and its digits; all else is a space."""
_MARKS = re.compile("[\u2010-\u2027\u2190-\u23ff\u2500-\u27bf\u3001-\u3003\U0001f300-\U0001faff]+")
"""Marks and pictures that are no part of any word, so that most texts with quotes, dashes and arrows are ASCII without them."""
_ENTITY = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);")
_TAG = re.compile(
    r"</?(?:(?P<inline>a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|tt|u|var)|"
    r"address|article|blockquote|body|br|caption|center|dd|details|div|dl|dt|figure|footer|h[1-6]|head|header|hr|html|img|li|main|"
    r"nav|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul)"
    r"(?:\s+[a-zA-Z-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+))*\s*/?>",
    re.IGNORECASE,
)
"""Of HTML. What stands in a line parts no words."""
_COMMAND = re.compile(
    r"\\(?:(?P<times>cdot|times)|(?P<over>div)|"
    r"(?:text|math)(?:bf|it|md|normal|rm|sc|sf|sl|tt|up)|text|emph|underline|displaystyle|left|right)(?![a-zA-Z])"
)
"""Of LaTeX: signs, and what says how words look."""
_GROUPED = re.compile(",(?<=[0-9],)(?=[0-9]{3}(?![0-9]))")
"""The comma in 1,000. It begins with the comma, since that is quickly looked for."""
_APOSTROPHES = re.compile("['\u2018\u2019]")
"""They part no words: don't is as often written dont."""
_SIGNS = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "/": "over",
    "<": "less",
    ">": "greater",
    "\u00d7": "times",
    "\u00f7": "over",
    "\u2010": "minus",
    "\u2013": "minus",
    "\u2044": "over",
    "\u2212": "minus",
    "\u2215": "over",
    "\u2217": "times",
    "\u2264": "less",
    "\u2265": "greater",
}
"""The words that signs stand for. The same text has them in several forms."""
_SIGN = re.compile(f"[{re.escape(''.join(_SIGNS))}]")
_AROUND = 4
"""Characters beside a sign that say whether it is one."""
_LETTERS_OF = {"minus": "b-hj-zB-HJ-Z\u0391-\u03c9"}
"""Letters that are variables where they stand alone. What a dash parts may be the words a or I."""
_BEFORE, _BEHIND = (
    {
        word: re.compile(shape.format(letters=_LETTERS_OF.get(word, "a-zA-Z\u0391-\u03c9")))
        for word in dict.fromkeys(_SIGNS.values())
    }
    for shape in (
        r"(?:[0-9)\]}}%$]|(?<![^\W\d_])[{letters}])[ \t]?\Z",
        r"=?\s?(?:\.?[0-9]|[(\[{{\\$]|[{letters}](?![^\W\d_]))",
    )
)
"""What stands before a sign, and behind it: a number, a variable or a bracket. So it is no hyphen, and none of Markdown's."""
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""Scripts that write no spaces between words, as Unicode begins their letters' names: each letter stands for a word."""
_VARIANTS = {0x034F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
"""Marks that nobody sees: they say which of its forms a letter or a picture has."""
_PIECE = 1 << 16
"""Bytes that are hashed at a time."""
_WORD_BASE, _CHAR_BASE, _GRAM_BASE = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xBF58476D1CE4E5B9
"""Odd, so that powers of them have inverses modulo 2⁶⁴."""


def normal(text: str) -> str:
    """Return a text's words in lower case, with one space between two; a letter of a script without spaces is a word."""
    text = _SIGN.sub(_word_of, _GROUPED.sub("", _bare(text)))
    if not text.isascii():
        text = _MARKS.sub(" ", _APOSTROPHES.sub("", text.replace("\ufe0f", "")))  # which makes pictures coloured
    if text.isascii():
        return b" ".join(text.encode().translate(_LOWER, b"'").split()).decode()
    folded = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))
    return " ".join(_SIGN.sub(_word_of, _GROUPED.sub("", folded)).translate(_LETTERS).split())


def _bare(text: str) -> str:
    """Return a text without what HTML and LaTeX mark it up with."""
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if "<" in text:
        text = _TAG.sub(lambda tag: "" if tag["inline"] else " ", text)
    if "\\" in text:
        text = _COMMAND.sub(lambda command: "*" if command["times"] else "/" if command["over"] else " ", text)
    return text


def _word_of(sign: re.Match[str]) -> str:
    """Return the word for a sign between what is reckoned with, and what is no such sign as it is."""
    text, at, word = sign.string, sign.start(), _SIGNS[sign[0]]
    behind = text[at + 1 : at + 1 + _AROUND]
    if word not in {"less", "greater"} and text[at - 1 : at].isspace() != behind[:1].isspace():
        return sign[0]  # a bullet, or a word in *bold*
    if _BEHIND[word].match(behind) and _BEFORE[word].search(text[max(at - _AROUND, 0) : at]):
        return f" {word} "
    return sign[0]


class _Letters(dict[int, str | None]):
    """What becomes of each character, looked up once."""

    def __missing__(self, point: int) -> str | None:
        char = chr(point)
        kind = unicodedata.category(char)
        made: str | None = " "
        if kind in {"Cf", "Me"} or point in _VARIANTS:  # soft hyphens, joiners, what is drawn around a letter, and the like
            made = None
        elif kind[0] == "M":
            made = char
        elif kind == "Nd":  # in whichever script
            made = str(unicodedata.digit(char))
        elif kind[0] in "LN":
            made = f" {char} " if unicodedata.name(char, "").startswith(_UNSPACED) else char
        self[point] = made
        return made


_LETTERS = _Letters()


def hash_words(block: str) -> Hashes:
    """Return a hash of each word of a text in normal form."""
    if not block:
        return np.zeros(0, np.uint64)
    data = block.encode()
    found = []
    first = 0
    while first < len(data):
        last = len(data) if first + _PIECE >= len(data) else data.find(b" ", first + _PIECE)
        last = len(data) if last < 0 else last
        found.append(_hash_piece(np.frombuffer(data, np.uint8, last - first, first)))
        first = last + 1
    return found[0] if len(found) == 1 else np.concatenate(found)


def _hash_piece(data: npt.NDArray[np.uint8]) -> Hashes:
    """Hash words as polynomials of their bytes: each byte times the power of its place, and a word's sum less its place."""
    powers, inverse = _powers() if len(data) <= 2 * _PIECE else _powers_to(len(data))
    values = _values()[data]
    values *= powers[: len(data)]
    starts = np.concatenate(([0], np.flatnonzero(data == ord(" ")) + 1))
    return mixed(np.add.reduceat(values, starts) * inverse[starts])


def hash_chars(block: str) -> Hashes:
    """Return a hash of each CHARS characters in a row of a text in normal form."""
    points = np.frombuffer(block.encode("utf-32-le"), np.uint32).astype(np.uint64)
    points += np.uint64(1)
    return mixed(grams(points, CHARS, base=_CHAR_BASE))


def grams(hashes: Hashes, size: int, *, base: int = _GRAM_BASE) -> Hashes:
    """Return a hash of each `size` in a row. Runs of a power of two are made of two of half the length."""
    if len(hashes) < size:
        return np.zeros(0, np.uint64)
    made: Hashes | None = None
    width, power, done = 1, hashes, 0
    while True:
        if size & width:
            piece = power[done:]
            made = piece if made is None else _joined(made, piece, width, base)
            done += width
        if done == size:
            return made[: len(hashes) - size + 1] if made is not None else hashes
        power = _joined(power, power[width:], width, base)
        width *= 2


def _joined(left: Hashes, right: Hashes, width: int, base: int) -> Hashes:
    """Return hashes of runs followed by runs of `width`."""
    joined = left[: len(right)] * np.uint64(pow(base, width, 1 << 64))
    joined += right[: len(joined)]
    return joined


def of_each(counts: Sequence[int] | Numbers) -> Numbers:
    """Return 0 as often as the first count says, then 1, and so on."""
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


@cache
def _values() -> Hashes:
    values = mixed(np.arange(1, 257, dtype=np.uint64) * np.uint64(_WORD_BASE))
    values[ord(" ")] = 0
    return values


@cache
def _powers() -> tuple[Hashes, Hashes]:
    return _powers_to(2 * _PIECE)


def _powers_to(number: int) -> tuple[Hashes, Hashes]:
    up, down = (np.full(number, base, np.uint64) for base in (_WORD_BASE, pow(_WORD_BASE, -1, 1 << 64)))
    up[0] = down[0] = 1
    return np.multiply.accumulate(up), np.multiply.accumulate(down)
