"""What a value is given as a name: x, f(x), (x, y); AB, |AB|, ∠ABC, f(2) and "Area", where it is a number."""

from __future__ import annotations

from collections.abc import Sequence

from verifiers.mathematics.mathtext import ANGLE, Token

SPOKEN = "~"
"""How a name begins that is no variable's: two of them that differ may still name the same."""
_MOST_WORDS = 4
_CALLED = frozenset("fghFGP")
_MOST_POINTS = 3
_DENIES = frozenset(
    {
        "not",
        "no",
        "never",
        "wrong",
        "incorrect",
        "false",
        "naive",
        "except",
        "or",
        "and",
        "if",
        "maybe",
        "perhaps",
        "most",
        "least",
    }
)


def of_value(side: Sequence[Token], value: Sequence[Token]) -> str:
    """Return the name on one side of an equation for what stands on the other; empty where there is none."""
    return _variable(side) or ("" if any(token.kind in {"symbol", "word"} for token in value) else _spoken(side))


def _variable(side: Sequence[Token]) -> str:
    texts = [token.text for token in side]
    if len(side) == 1 and side[0].kind == "symbol":
        return texts[0]
    symbols = [token for token in side if token.kind == "symbol"]
    called = len(side) > 3 and side[0].kind == "symbol" and texts[1] == "(" and texts[-1] == ")"  # noqa: PLR2004 - f(x)
    pair = len(side) > 3 and texts[0] == "(" and texts[-1] == ")" and "," in texts  # noqa: PLR2004
    if (called or pair) and all(token.kind == "symbol" or token.text in {"(", ")", ","} for token in side):
        return "".join(texts) if len(symbols) > 1 else ""
    return ""


def _spoken(side: Sequence[Token]) -> str:
    """Return a name of a number that is no variable's: words, points of a figure, the value of a function."""
    texts = [token.text for token in side]
    if all(token.kind == "word" for token in side):
        plain = len(side) <= _MOST_WORDS and not any(text.lower() in _DENIES or not text.isalpha() for text in texts)
        return SPOKEN + " ".join(texts).lower() if plain else ""
    if len(side) == 4 and texts[0] in _CALLED and texts[1] == "(" and texts[3] == ")" and side[2].kind == "number":  # noqa: PLR2004 - f(2)
        return SPOKEN + "".join(texts)
    angle = ANGLE in texts[:2]
    if angle:
        texts = texts[texts.index(ANGLE) + 1 :] if texts[0] in {ANGLE, "m"} else []
    elif len(texts) > 2 and texts[0] == texts[-1] == "|":  # noqa: PLR2004 - |AB|
        texts = texts[1:-1]
    points = all(len(text) == 1 and text.isalpha() and text.isupper() for text in texts)
    if not points or not (angle or len(texts) > 1) or not 0 < len(texts) <= _MOST_POINTS:
        return ""
    return SPOKEN + (ANGLE if angle else "") + "".join(texts if angle else sorted(texts))
