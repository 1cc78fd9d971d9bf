r"""What a mathematical answer states: a value, an assignment, a tuple, a set, an interval, a matrix, a relation, or words.

5, x + 1, 5 cm          a value: an expression, perhaps with a unit
x = 3, f(x) = x + 1     an assignment of a value to a name
x = 1, y = 2            a system of assignments
(1, 2)                  a tuple, or an open interval: see `compare` in verifiers/mathematics/structure.py
[1, 2], (1, 2], ]1, 2[  an interval; so are x < 3, 1 < x \le 2 and \mathbb{R}
{1, 2}   1, 2   1 or 2   x = 1 or x = 2   \pm 1   a set of values
a matrix, another equation or inequality, words
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from verifiers.mathematics.expressions import MAX_DEPTH, MINUS_ONE, Node, rational
from verifiers.mathematics.mathtext import Token, Unreadable, bare, tokens
from verifiers.mathematics.naming import of_value
from verifiers.mathematics.quantities import quantities
from verifiers.reading.numerals import numerals

Kind = Literal["value", "system", "tuple", "list", "interval", "union", "set", "matrix", "relation", "words"]

MAX_ITEMS = 100
"""Of a set, a tuple or a matrix."""
_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}", "⦃": "⦄"}, {")", "]", "}", "⦄"}
_RELATIONS = {"=", "<", ">", "≤", "≥", "≠", "∈"}
_TURNED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}
_INFINITY = Node("constant", name="oo")
_BELOW = Node("product", (MINUS_ONE, _INFINITY))
_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one answer states."""

    kind: Kind
    """What it is."""
    node: Node | None = None
    """Of a value."""
    latex: str = ""
    """Of a value, for another reader."""
    unit: str = ""
    """Of a value; empty: none is given."""
    name: str = ""
    """To what it is assigned: "x". Of a relation, its sign. Of words, the words."""
    items: tuple[Statement, ...] = ()
    """Elements in order; of an interval its two ends, of a relation its two sides."""
    ends: str = ""
    """Of an interval "[]", "[)", "(]" or "()"; of a matrix its shape."""


def read(text: str) -> Statement:
    """Read an answer. Raise Unreadable where it can't be, or could be read in two ways."""
    text = bare(text)
    if not text:
        raise Unreadable("nothing stands there")
    if (spoken := _spoken(text)) is not None:
        return spoken
    line = tokens(text)
    depths = itertools.accumulate((token.text in _OPENING) - (token.text in _CLOSING) for token in line)
    if max(depths, default=0) > MAX_DEPTH:
        raise Unreadable("it is nested too deeply")
    return _statement(line)


def _spoken(text: str) -> Statement | None:
    """Read a number in words: "twelve", "5 million"."""
    if not (text[0].isalpha() or text[-1].isalpha()) or "\\" in text or len(text) > MAX_ITEMS:
        return None
    found = numerals(text)
    whole = len(found) == 1 and found[0].start == 0 and found[0].end == len(text) and found[0].value is not None
    if not whole or any(one.isdigit() and other.isalpha() for one, other in itertools.pairwise(text)):
        return None
    value = found[0].value
    assert value is not None  # noqa: S101 - for the type checker
    return Statement(
        kind="value", node=Node("number", value=value), latex=rf"\frac{{{value.numerator}}}{{{value.denominator}}}",
        unit="%" if "percent" in text.lower() else "",
    )  # fmt: skip


def _statement(line: Sequence[Token]) -> Statement:
    if not line:
        raise Unreadable("nothing stands there")
    if all(token.kind == "word" and token.text not in {"or", "and"} for token in line):
        return _of_words(line)
    if len(line) > _LEAST and line[0].kind == "symbol" and line[1].text == "∈":
        return _element_of(line[0].text, _statement(line[2:]))
    if interval := _turned_interval(line):
        return interval
    parts, joints = _split(line, {",", ";", "or", "and"})
    if len(parts) > 1:
        return _several(parts, joints)
    return _one(line)


def _of_words(line: Sequence[Token]) -> Statement:
    words = " ".join(token.text for token in line)
    letter = words.strip("().")
    if len(letter) == 1:  # \text{A}, \text{(A)}
        return Statement(kind="value", node=Node("symbol", name=letter), latex=letter)
    return Statement(kind="words", name=words)


def _split(line: Sequence[Token], at: set[str]) -> tuple[list[Sequence[Token]], list[Token]]:
    """Cut a line at these signs where they stand in no bracket."""
    parts: list[Sequence[Token]] = []
    joints: list[Token] = []
    depth = begin = 0
    for i, token in enumerate(line):
        if token.kind == "command" and token.text in {"begin", "end"}:
            depth += 1 if token.text == "begin" else -1
        elif token.kind == "sign" and token.text in _OPENING:
            depth += 1
        elif token.kind == "sign" and token.text in _CLOSING:
            depth -= 1
        elif depth == 0 and token.kind in {"sign", "word"} and token.text in at:
            parts.append(line[begin:i])
            joints.append(token)
            begin = i + 1
        if depth < 0:
            raise Unreadable("a bracket is missing")
    if depth:
        raise Unreadable("a bracket is missing")
    return [*parts, line[begin:]], joints


def _several(parts: list[Sequence[Token]], joints: list[Token]) -> Statement:
    """Return what the parts of a list state together: a union of intervals, a system of assignments, or a set of values."""
    _check_commas(parts, joints)
    items = [_one(part) for part in parts if part]  # "1, 2, and 3" has an empty one
    if len(items) > MAX_ITEMS:
        raise Unreadable("it has too many elements")
    names = [item.name if item.kind != "relation" else "" for item in items]
    # In "1/2, or 0.5" the comma joins nothing.
    words = {joint.text for joint, part, behind in zip(joints, parts[1:], [*joints[1:], None], strict=True) if part or not behind}
    if all(item.kind in {"interval", "union"} for item in items):
        return _several_intervals(items, words)
    if all(names) and len(set(names)) == len(names):
        if "or" in words:
            raise Unreadable("it gives one name or another")
        return Statement(kind="system", items=tuple(items))
    return _values(items, names, alternatives=words == {"or"})


def _check_commas(parts: list[Sequence[Token]], joints: list[Token]) -> None:
    """Raise Unreadable where a comma may be a decimal one, or nothing stands beside one."""
    tight = [joint.tight for joint in joints if joint.text == ","]
    thousands = any(part and re.fullmatch(r"\d{3}(?:\.\d+)?", part[0].text) for part in parts[1:])
    # "1,2" and "1,2, 3,4", but "1,2,3" is a list to everybody.
    if any(tight) and (len(tight) == 1 or not all(tight) or thousands):
        raise Unreadable("a comma between two digits may be a decimal one")
    if not parts[-1] or not parts[0]:
        raise Unreadable("something is missing beside a comma")


def _values(items: Sequence[Statement], names: Sequence[str], *, alternatives: bool) -> Statement:
    """Return several values as a set, which "x = 1 or x = 2" and "x = 1, 2" name alike."""
    if any(item.kind in {"relation", "words", "interval", "union", "system"} for item in items) or len({*names} - {""}) > 1:
        raise Unreadable("what its parts have to do with each other isn't said")
    if not names[0] and any(names):
        raise Unreadable("it names only some of its values")
    one = _one_value(items) if alternatives else None
    return one or Statement(kind="set", items=tuple(_members(items)), name=names[0])


def _several_intervals(items: Sequence[Statement], words: set[str]) -> Statement:
    if words == {"and"} and (within := _between(items)):
        return within
    if words != {"or"} or len({item.name for item in items}) > 1:
        raise Unreadable("what several intervals have to do with each other isn't said")
    return Statement(kind="union", items=tuple(each for item in items for each in _intervals(item)), name=items[0].name)


def _between(items: Sequence[Statement]) -> Statement | None:
    """Return "x > 1 and x < 2" as one interval: a bound below and one above, of the same name."""
    bounds = sorted(items, key=lambda item: item.items[0].node == _BELOW)
    names = {item.name for item in items}
    if len(items) != _LEAST or len(names) > 1 or "" in names or any(item.kind != "interval" for item in items):
        return None
    low, high = bounds
    if _infinite(low.items[0]) or _infinite(high.items[1]) or not _infinite(low.items[1]) or not _infinite(high.items[0]):
        return None
    return replace(_interval(low.ends[0] + high.ends[1], low.items[0], high.items[1]), name=low.name)


def _one_value(items: Sequence[Statement]) -> Statement | None:
    """Return the first of several values that are one in other forms: 1/2 or 0.5."""
    values = {rational(item.node) if item.kind == "value" and item.node and not item.name else None for item in items}
    same = len(values) == 1 and None not in values and len({item.unit for item in items}) == 1
    return items[0] if same else None


def _members(items: Sequence[Statement]) -> list[Statement]:
    """Return the elements of a list in which ± stands for two."""
    return [
        replace(each, name="") for item in items for each in (item.items if item.kind == "set" and item.ends == "±" else [item])
    ]


def _one(line: Sequence[Token]) -> Statement:
    """Read one part of a list."""
    if not line:
        raise Unreadable("nothing stands there")
    sides, signs = _split(line, _RELATIONS)
    if signs:
        return _related(list(sides), [sign.text for sign in signs])
    parts, joints = _split(line, {"cup"})
    if joints:
        items = [each for part in parts for each in _intervals(_one(part))]
        return Statement(kind="union", items=tuple(items))
    if line[0].text == "begin" and line[-1].text == "end":
        return _matrix(line[1:-1])
    if line[0].kind == "constant" and len(line) == 1 and line[0].text in {"R", "∅"}:
        return Statement(kind="set") if line[0].text == "∅" else _interval("()", _end(_BELOW), _end(_INFINITY))
    if (bracketed := _bracketed(line)) is not None:
        return bracketed
    return _value(line)


def as_intervals(item: Statement) -> tuple[Statement, ...]:
    """Return a statement as a union of intervals, where the kind says that it is one. Raise Unreadable."""
    if item.kind == "relation" and item.name == "≠" and item.items[0].node and item.items[0].node.op == "symbol":
        return (_interval("()", _end(_BELOW), item.items[1]), _interval("()", item.items[1], _end(_INFINITY)))
    return _intervals(item)


def _intervals(item: Statement) -> tuple[Statement, ...]:
    if item.kind == "union":
        return item.items
    if item.kind == "set" and all(each.kind == "value" for each in item.items):
        return tuple(_interval("[]", each, each) for each in item.items)
    if item.kind == "tuple" and len(item.items) == _LEAST:
        item = replace(item, kind="interval", ends="()")
    if item.kind != "interval":
        raise Unreadable("a union of something else than intervals")
    return (item,)


def _bracketed(line: Sequence[Token]) -> Statement | None:
    """Read a tuple, an interval or a set; None where the brackets only hold an expression together."""
    if not _enclosed(line):
        return None
    ends, inside = line[0].text + line[-1].text, line[1:-1]
    parts, _ = _split(inside, {",", ";"})
    if ends in {"⦃⦄", "{}"}:
        return None if ends == "{}" and len(parts) == 1 else _listed(inside, parts)
    if ends not in {"()", "[]", "[)", "(]"}:
        raise Unreadable("its brackets don't match")
    if len(parts) == 1 and ends == "()":
        return _statement(inside)
    return _in_order(ends, tuple(_one(part) for part in parts))


def _enclosed(line: Sequence[Token]) -> bool:
    """Whether the first bracket is closed by the last."""
    if line[0].kind != "sign" or line[-1].kind != "sign" or line[0].text not in _OPENING or line[-1].text not in _CLOSING:
        return False
    depth = 0
    for token in line[:-1]:
        depth += (token.kind == "sign") * ((token.text in _OPENING) - (token.text in _CLOSING))
        if depth == 0:
            return False
    return True


def _listed(inside: Sequence[Token], parts: list[Sequence[Token]]) -> Statement:
    if any(token.text in {"|", ":"} for token in inside):
        raise Unreadable("a set that is described, not listed")
    return Statement(kind="set", items=tuple(_members([_one(part) for part in parts])) if inside else ())


def _in_order(ends: str, items: tuple[Statement, ...]) -> Statement:
    if len(items) > MAX_ITEMS:
        raise Unreadable("it has too many elements")
    if len(items) == _LEAST and (ends != "()" or any(map(_infinite, items))):
        return _interval(ends, *items)
    if ends not in {"()", "[]"}:
        raise Unreadable("its brackets don't match")
    return Statement(kind="tuple" if ends == "()" else "list", items=items)


def _turned_interval(line: Sequence[Token]) -> Statement | None:
    """Read ]1, 2[ and its kind."""
    first, last = line[0].text, line[-1].text
    if first != "]" and last != "[":
        return None
    parts, _ = _split(line[1:-1], {",", ";"})
    left, right = {"]": "(", "[": "["}.get(first), {"[": ")", "]": "]"}.get(last)
    if left is None or right is None or len(parts) != _LEAST:
        raise Unreadable("its brackets don't match")
    return _interval(left + right, *(_one(part) for part in parts))


def _infinite(item: Statement) -> bool:
    return item.node in {_INFINITY, _BELOW}


def _interval(ends: str, low: Statement, high: Statement) -> Statement:
    if low.kind != "value" or high.kind != "value" or low.name or high.name:
        raise Unreadable("an interval's ends are no values")
    # At infinity a bracket can only be open.
    ends = ("(" if _infinite(low) else ends[0]) + (")" if _infinite(high) else ends[1])
    return Statement(kind="interval", items=(low, high), ends=ends)


def _end(node: Node) -> Statement:
    return Statement(kind="value", node=node, latex=r"\infty" if node == _INFINITY else r"-\infty")


def _matrix(inside: Sequence[Token]) -> Statement:
    rows = [_split(row, {"&"})[0] for row in _split(inside, {"\\\\"})[0] if row]
    if not rows or len({len(row) for row in rows}) != 1:
        raise Unreadable("a matrix whose rows differ in length")
    items = tuple(_value(cell) for row in rows for cell in row)
    if len(items) > MAX_ITEMS:
        raise Unreadable("it has too many elements")
    return Statement(kind="matrix", items=items, ends=f"{len(rows)}x{len(rows[0])}")


def _related(sides: list[Sequence[Token]], signs: list[str]) -> Statement:
    if not all(sides):
        raise Unreadable("a side of it is missing")
    if signs == ["∈"]:
        if len(sides[0]) == 1 and sides[0][0].kind == "symbol":
            return _element_of(sides[0][0].text, _one(sides[1]))
    elif set(signs) == {"="}:
        return _equated(sides)
    elif len(signs) <= _LEAST and not {"=", "∈"} & {*signs}:
        return _compared(sides, signs)
    raise Unreadable("it is no plain equation or inequality")


def _element_of(name: str, item: Statement) -> Statement:
    """Read x in (1, 2), where no pair can be meant."""
    if item.kind == "tuple" and len(item.items) == _LEAST:
        item = _interval("()", *item.items)
    if item.kind not in {"set", "interval", "union"}:
        raise Unreadable("what it is an element of is no set")
    return replace(item, name=name)


def _equated(sides: list[Sequence[Token]]) -> Statement:
    if len(sides) > _LEAST:
        raise Unreadable("it is a chain of equations")
    for name, value in (sides, sides[::-1]):
        label = of_value(name, value)
        if label and all(token.text != label for token in value):
            assigned = _one(value)
            return replace(assigned, name=label)
    return Statement(kind="relation", name="=", items=(_value(sides[0]), _value(sides[1])))


def _compared(sides: list[Sequence[Token]], signs: list[str]) -> Statement:
    """Read x < 3 or 1 < x ≤ 2 as an interval, and any other inequality as a relation."""
    directions = {sign in {"<", "≤"} for sign in signs}
    if len(signs) == _LEAST and len(directions) == 1 and "≠" not in signs:
        if directions == {False}:
            sides, signs = sides[::-1], [_TURNED[sign] for sign in reversed(signs)]
        if len(sides[1]) != 1 or sides[1][0].kind != "symbol":
            raise Unreadable("it is no plain inequality")
        ends = ("[" if signs[0] == "≤" else "(") + ("]" if signs[1] == "≤" else ")")
        return replace(_interval(ends, _value(sides[0]), _value(sides[2])), name=sides[1][0].text)
    if len(signs) != 1:
        raise Unreadable("it is no plain inequality")
    sign = signs[0]
    if sign in _TURNED and len(sides[1]) == 1 and sides[1][0].kind == "symbol" and sides[0] != sides[1]:
        sides, sign = sides[::-1], _TURNED[sign]
    left, right = _value(sides[0]), _value(sides[1])
    name = sides[0][0]
    if sign in _TURNED and len(sides[0]) == 1 and name.kind == "symbol" and all(token.kind != "symbol" for token in sides[1]):
        low, high = (_end(_BELOW), right) if sign in {"<", "≤"} else (right, _end(_INFINITY))
        ends = ("[" if sign == "≥" else "(") + ("]" if sign == "≤" else ")")
        return replace(_interval(ends, low, high), name=name.text)
    if sign in {">", "≥"}:
        left, right, sign = right, left, _TURNED[sign]
    return Statement(kind="relation", name=sign, items=(left, right))


def _value(line: Sequence[Token]) -> Statement:
    found = [Statement(kind="value", node=each.node, latex=each.latex, unit=each.unit) for each in quantities(line)]
    return found[0] if len(found) == 1 else Statement(kind="set", items=tuple(found), ends="±")
