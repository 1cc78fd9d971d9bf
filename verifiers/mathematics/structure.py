"""Mathematical answers compared by their structure: sets, points, intervals, systems, relations. Values are the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from verifiers.mathematics.expressions import rational
from verifiers.mathematics.naming import SPOKEN
from verifiers.mathematics.statements import Statement

Leaf = Callable[[Statement, Statement], bool | None]
"""Whether two values are equal; None: neither can be shown."""


def compare(expected: Statement, found: Statement, leaf: Leaf) -> bool | None:
    """Compare two statements by their structure, and their values by `leaf`."""
    one, other = expected, found
    if one.kind == "words" or other.kind == "words":
        both = one.kind == other.kind
        return one.name.casefold() == other.name.casefold() if both else None
    if one.kind == other.kind == "relation":
        return _relations(one, other, leaf)
    if "relation" in {one.kind, other.kind} or "system" in {one.kind, other.kind}:
        return _systems(one, other, leaf) if one.kind == other.kind else None
    if one.name and other.name and one.name != other.name:
        return _named_apart(one, other)
    return _unnamed(one, other, leaf)


def _unnamed(one: Statement, other: Statement, leaf: Leaf) -> bool | None:
    kinds = {one.kind, other.kind}
    if kinds == {"value"}:
        # A unit that only one of them gives isn't compared, as with kind number.
        return None if one.unit and other.unit and one.unit != other.unit else leaf(one, other)
    if kinds == {"tuple", "interval"}:
        return _pair_or_interval(one, other, leaf)
    if len(kinds) > 1:
        # {2} for 2, a row for a list: people mean the same now and then. Two solutions are never one.
        alike = kinds in ({"set", "value"}, {"tuple", "matrix"}, {"list", "tuple"}, {"list", "matrix"}, {"interval", "union"})
        several = any(each.kind == "set" and len(each.items) != 1 for each in (one, other))
        return None if alike and not several else False
    if one.kind in {"set", "union"}:
        return members(one.items, other.items, lambda a, b: compare(a, b, leaf))
    if one.ends != other.ends or len(one.items) != len(other.items):
        return False
    return every(compare(a, b, leaf) for a, b in zip(one.items, other.items, strict=True))


def _pair_or_interval(one: Statement, other: Statement, leaf: Leaf) -> bool | None:
    """(1, 2) may be a point or an open interval, so it may be ]1, 2[, and is never [1, 2]."""
    interval, pair = (one, other) if one.kind == "interval" else (other, one)
    if interval.ends != "()" or len(pair.items) != len(interval.items):
        return False
    same = every(compare(a, b, leaf) for a, b in zip(one.items, other.items, strict=True))
    return None if same else same


def _named_apart(one: Statement, other: Statement) -> bool | None:
    """X = 3 isn't y = 3, but x = y is y = x; and an area may be called A."""
    if SPOKEN in {one.name[0], other.name[0]}:
        return None
    if one.kind == other.kind == "value" and one.node and other.node:
        turned = (one.node.op, one.node.name, other.node.op, other.node.name) == ("symbol", other.name, "symbol", one.name)
        numeric = rational(one.node) is not None and rational(other.node) is not None
        return True if turned else (False if numeric else None)
    return None


def _systems(one: Statement, other: Statement, leaf: Leaf) -> bool | None:
    values = {each.name: each for each in other.items}
    if {each.name for each in one.items} != values.keys():
        return False
    return every(compare(each, values[each.name], leaf) for each in one.items)


def _relations(one: Statement, other: Statement, leaf: Leaf) -> bool | None:
    """Equal where the sides are, or are so when swapped; for anything else, two relations may still mean the same."""
    if one.name != other.name:
        return None
    straight = every(compare(a, b, leaf) for a, b in zip(one.items, other.items, strict=True))
    if straight or one.name not in {"=", "≠"}:
        return straight or None
    return every(compare(a, b, leaf) for a, b in zip(one.items, other.items[::-1], strict=True)) or None


def every(found: Iterable[bool | None]) -> bool | None:
    """Return False where one is, else None where one is, else True."""
    known = list(found)
    return False if False in known else (None if None in known else True)


def members(one: Sequence[Statement], other: Sequence[Statement], same: Leaf) -> bool | None:
    """Compare two sets: each element must be in the other. Order and repeats don't matter."""
    table = [[same(a, b) for b in other] for a in one]
    rows = [_any(row) for row in table]
    columns = [_any([row[i] for row in table]) for i in range(len(other))]
    return every([*rows, *columns])


def _any(found: Sequence[bool | None]) -> bool | None:
    return True if True in found else (None if None in found else False)
