r"""An expression with its unit: 5 cm^2, 3 m/s, 50%, $5, cos 15°, 3 \pm \sqrt{2}.

A unit is a word of a table: in "5 million" and "5 of them" the words say something else, and are refused.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from verifiers.mathematics.expressions import MINUS_ONE, Node, parse
from verifiers.mathematics.mathtext import Token, Unreadable

_PER_DEGREE = [
    Token("sign", "*", r"\cdot "),
    Token("command", "frac", r"\frac"),
    *(Token("sign", "{", "{"), Token("constant", "pi", r"\pi "), Token("sign", "}", "}")),
    *(Token("sign", "{", "{"), Token("number", "180", "180"), Token("sign", "}", "}")),
    Token("sign", ")", ")"),
]
_SQRT = Token("command", "sqrt", r"\sqrt")
_THINGS = re.compile(
    r"people|children|men|women"
    r"|(?!(?:tens|hundreds|thousands|[mbtr]+illions|lakhs|crores|dozens|scores|pairs|couples|halves|thirds|quarters|\w*ths|times|powers|roots"
    r"|squares|cubes|always|perhaps|others|points|was|has|does|yes)$)[a-z]{2,20}(?<![sui])s"
)
"""What is counted, in the plural; not "5 millions" or "5 twelfths"."""
_MONEY = {"$", "€", "£"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value."""

    node: Node
    """How it is read."""
    latex: str
    """The same signs, for another reader."""
    unit: str
    """Empty: none is given."""


def quantities(line: Sequence[Token]) -> list[Quantity]:
    """Read a value, or the two that ± stands for. Raise Unreadable."""
    kept, unit = _without_things(*_without_unit(_in_radians(line)))
    if not kept:
        raise Unreadable("it is only a unit")
    if word := next((token.text for token in kept if token.kind in {"word", "unit"}), None):
        raise Unreadable(f"what “{word}” does there isn't clear")
    kept = _braced(kept)
    node = parse(kept)
    latex = "".join(token.latex for token in kept)
    signs = _plus_minus(node)
    if signs > 1:
        raise Unreadable("several ± signs may belong together or not")
    if not signs:
        return [Quantity(node, latex, unit)]
    return [Quantity(_chosen(node, negative=sign == "-"), latex.replace("±", sign), unit) for sign in "+-"]


def _without_things(line: list[Token], unit: str) -> tuple[list[Token], str]:
    r"""Take what is counted off the end, as a unit: 7 \text{ apples}. It must be a plural, and no number as "dozens" is."""
    number = line[1:-1] if line and line[0].text == "-" else line[:-1]
    if unit or len(number) != 1 or number[0].kind != "number" or line[-1].kind != "word":
        return line, unit
    word = line[-1].text.lower().rstrip(".")
    return (line[:-1], word) if _THINGS.fullmatch(word) else (line, unit)


def _braced(line: list[Token]) -> list[Token]:
    r"""Return sqrt(2) as \sqrt{2}: to a reader of LaTeX the root would be of the bracket alone."""
    line = list(line)
    for i in range(1, len(line)):
        if line[i].text == "(" and line[i - 1] == _SQRT:
            depth = 0
            for j in range(i, len(line)):
                depth += (line[j].text == "(") - (line[j].text == ")")
                if depth == 0:
                    line[i], line[j] = Token("sign", "{", "{"), Token("sign", "}", "}")
                    break
    return line


def _in_radians(line: Sequence[Token]) -> list[Token]:
    """Return cos 15° as cos(15 * π / 180): only there do degrees change a value."""
    if not any(token.kind == "function" for token in line):
        return list(line)
    turned: list[Token] = []
    for token in line:
        if token != Token("unit", "°", ""):
            turned.append(token)
        elif turned and turned[-1].kind == "number":
            turned[-1:] = [Token("sign", "(", "("), turned[-1], *_PER_DEGREE]
        else:
            raise Unreadable("of what there are degrees isn't clear")
    return turned


def _without_unit(line: list[Token]) -> tuple[list[Token], str]:
    """Take a unit off the end: 5 cm^2, 3 m/s, 50%; or a currency's sign off the beginning."""
    line, money = _without_money(line)
    at = next((i for i, token in enumerate(line) if token.kind == "unit"), len(line))
    before, behind = line[:at], line[at:]
    if not before or not behind:
        return line, money
    unit = _unit(behind)
    if before[-1].text == "/" or (money and len(behind) > 1):
        raise Unreadable("its unit isn't clear")
    if money and unit != money:
        raise Unreadable("it has two units")
    return before, unit


def _without_money(line: list[Token]) -> tuple[list[Token], str]:
    """Take a currency's sign off the beginning: $5, -$5."""
    sign = 1 if line[0].text == "-" and len(line) > 1 else 0
    if line[sign].kind == "unit" and line[sign].text in _MONEY:
        return [*line[:sign], *line[sign + 1 :]], line[sign].text
    return line, ""


def _unit(behind: Sequence[Token]) -> str:
    """Return a unit as it is written behind a number. Raise Unreadable where something else stands there too."""
    if not all(token.kind in {"unit", "number"} or token.text in {"^", "/", "{", "}", "*"} for token in behind):
        raise Unreadable("a unit stands within it")
    if any(token.kind == "number" and before.kind == "unit" for before, token in itertools.pairwise(behind)):
        raise Unreadable("a number follows its unit")  # 5 in 6
    return "".join(token.text for token in behind if token.text not in {"{", "}"})


def _plus_minus(node: Node) -> int:
    return (node.op == "pm") + sum(map(_plus_minus, node.args))


def _chosen(node: Node, *, negative: bool) -> Node:
    if node.op == "pm":
        return Node("product", (MINUS_ONE, node.args[0])) if negative else node.args[0]
    return replace(node, args=tuple(_chosen(each, negative=negative) for each in node.args))
