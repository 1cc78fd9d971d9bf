"""Units that cancel: where those of a calculation come to its result's, no conversion explains a number that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from verifiers.calculations.lexer import Token, disturbs, terms

_PER = frozenset(["per", "a", "an"])
_IRREGULAR = {"feet": "foot", "people": "person", "children": "child", "halves": "half"}
_PLURALS = ("ches", "shes", "xes", "sses")
Dimension = Counter[str]
"""How often each unit counts; negative below the fraction bar."""


def cancels(left: Sequence[Token], right: Sequence[Token]) -> bool:
    """Whether the units that stand beside each number of two sides come to the same: $25/hour * 8 hours = $200."""
    if any(token.kind == "(" for token in left):
        return False
    found = [_product(term) for term in terms(left)]
    other = _quantity(right)
    return other is not None and all(each is not None and each[0] == other[0] and each[1] for each in found) and bool(+other[0])


def _product(term: Sequence[Token]) -> tuple[Dimension, bool] | None:
    """Return the dimension of numbers that are multiplied and divided, and whether one has a unit. None: it isn't clear."""
    total: Dimension = Counter()
    named, sign, begin = False, 1, 1 if term and term[0].kind in {"+", "-"} else 0
    while begin < len(term):
        end = begin + 1
        while end < len(term) and not (
            term[end].kind in {"*", "/"} and term[end + 1 : end + 2] and term[end + 1].kind == "number"
        ):
            end += 1
        one = _quantity(term[begin:end])
        if one is None:
            return None
        for unit, power in one[0].items():
            total[unit] += sign * power
        named = named or one[1]
        sign = -1 if end < len(term) and term[end].kind == "/" else 1
        begin = end + 1
    return _without_zeros(total), named


def _quantity(tokens: Sequence[Token]) -> tuple[Dimension, bool] | None:
    """Return the dimension of a number with its unit, and whether it has one; None where something else stands there."""
    if not tokens or tokens[0].kind != "number":
        return None
    found: Dimension = Counter({"$": 1} if tokens[0].money else {})
    sign, words = 1, list[str]()
    for token in (*tokens[1:], None):
        word = token.text.lower() if token is not None and token.kind == "word" else ""
        if token is not None and word and word not in _PER:
            if disturbs(token):
                return None
            words.append(word)
            continue
        if words:
            found[singular(" ".join(words))] += sign
        if token is not None and token.kind != "/" and word not in _PER:
            return None
        sign, words = -1, []
    return _without_zeros(found), bool(found)


def _without_zeros(found: Dimension) -> Dimension:
    return Counter({unit: power for unit, power in found.items() if power})


def singular(word: str) -> str:
    """Return a word, or the last one of several, in the singular."""
    if (irregular := next((many for many in _IRREGULAR if word.endswith(many)), None)) is not None:
        return word.removesuffix(irregular) + _IRREGULAR[irregular]
    if word.endswith(_PLURALS):
        return word[:-2]
    return word[:-1] if word.endswith("s") and len(word) > 2 else word  # noqa: PLR2004 - not "is"
