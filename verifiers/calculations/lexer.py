"""The tokens of a line in which somebody computes: numbers, signs, words, and words that stand for signs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import takewhile
from typing import Literal

MAX_DIGITS = 24
"""Of a number."""
Kind = Literal[
    "number", "odd", "word", "+", "-", "*", "/", "//", "^", "(", ")", "%", "=", "~", "root", "!", "choose", "mod", "stop", "other"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A number, a word or a sign."""

    kind: Kind
    """odd: digits that are no number that can be read, such as a time; "=" and "~": equal, about equal; "!": a factorial's; stop:
    punctuation."""
    text: str
    """As written."""
    start: int
    """Where it begins."""
    end: int
    """Where it ends."""
    value: Fraction = Fraction()
    """Of a number."""
    places: int = 0
    """Of a number: digits behind its decimal point; negative where it is shown in thousands."""
    money: bool = False
    """Of a number: a currency's sign stands before it."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


UNIT_LETTERS: Mapping[str, str] = {
    "m": "meter",
    "g": "gram",
    "s": "second",
    "h": "hour",
    "l": "liter",
    "L": "liter",
    "J": "joule",
    "N": "newton",
    "W": "watt",
    "V": "volt",
}
_GLUED = "g"
"""Letters that may stand right behind a number: with others that is a variable more often."""
_VARIABLE = re.compile(rf"(?<![\d.,/^] )(?<![\w.,/])[{''.join(UNIT_LETTERS)}](?![\w'\u2019])")
"""One of these letters that is no unit's, as no number stands before it."""

_THOUSANDS: Mapping[str, int] = {"k": 3, "K": 3, "M": 6, "B": 9}
"""Behind an amount of money, the power of ten that it is shown in: $280k."""
_ALONE = re.compile(r"(?<![\w.,$])[kKMB](?![\w'\u2019])")
"""A letter that is a variable, and no thousand."""
_TOKEN = re.compile(
    r"""(?P<code>0[xX][0-9a-fA-F]+|0[bBoO][0-7]+)|(?P<number>\d+(?:[.,:'_]\d+)*|\.\d+)|(?P<word>[^\W\d_]+(?:['\u2019-][^\W\d_]+)*)
    |(?P<other>==+|!=|<=|>=|=>|->|<-|\.\.+|//|\+\+|--|\+-|\+/-)|(?P<sign>[-+*\u00d7✕✖\u2217·⋅∙÷/^(){}\[\]%=≈≅≃~¢√])
    |(?P<money>[$€£¥₹])|(?P<stop>[.,;:!?\u2705\u2713\u2714\u2611])|(?P<rest>[^\s&])""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3})?(?:\.\d+)?|\d+")
_ZEROS = re.compile(r"0\d")
"""0130: a time or a code."""
_SIGNS: Mapping[str, Kind] = {
    **dict.fromkeys("*\u00d7✕✖\u2217·⋅∙", "*"),
    **dict.fromkeys("÷/", "/"),
    **dict.fromkeys("([{", "("),
    **dict.fromkeys(")]}", ")"),
    **dict.fromkeys("≈≅≃", "~"),
    "+": "+",
    "-": "-",
    "^": "^",
    "%": "%",
    "=": "=",
    "¢": "word",
    "√": "root",
    "~": "other",
}
_WORDS: Mapping[tuple[str, ...], Kind] = {
    ("plus",): "+", ("minus",): "-", ("times",): "*", ("multiplied", "by"): "*", ("divided", "by"): "/", ("x",): "*",
    ("equals",): "=", ("equal",): "=", ("is", "equal", "to"): "=", ("equal", "to"): "=", ("is",): "=", ("are",): "=",
    ("gives",): "=", ("makes",): "=", ("gives", "us"): "=", ("comes", "to"): "=", ("choose",): "choose", ("mod",): "mod",
}  # fmt: skip
_DISTURBING = words(
    """dozen dozens hundred thousand million billion trillion tens hundreds thousands millions billions more less fewer half
    halved twice double doubled triple tripled squared cubed pair pairs couple am pm th st nd rd mod and or to than times
    percent percentage root factorial choose per"""
)
"""Words by which a number isn't what it seems."""
_JOINING = words("a an and or to")
"""Those of them that leave a number as it is between words that belong to a unit."""
_FRACTIONS = words("a an one half quarter third fourth fifth eighth tenth")
_ABOUT = words("about approximately approx roughly around nearly almost ~")
_OPERAND_ENDS = words("number ) % ! word")
_EACH = words("each apiece")
_NAMED = 4
"""Words behind a number that may be what it counts."""


def unit_letters(text: str) -> frozenset[str]:
    """Return the letters that are units in a text, as none of them stands where a variable may: 5 m, but not where m = 7."""
    return frozenset(UNIT_LETTERS) - {match[0] for match in _VARIABLE.finditer(text)}


def tokens(text: str, letters: Collection[str] = ()) -> list[Token]:
    """Return the tokens of a line, whose markup is off; those of the `letters` that stand for a unit are spelled out."""
    found: list[Token] = []
    money, scaled = -1, _ALONE.search(text) is None
    for match in _TOKEN.finditer(text):
        kind, written, (start, end) = match.lastgroup, match[0], match.span()
        if kind == "money":
            money = end
        elif kind == "code":
            found.append(Token("odd", written, start, end))
        elif kind == "number":
            if len(written) <= MAX_DIGITS and _NUMBER.fullmatch(written) and not _ZEROS.match(written):
                digits = written.replace(",", "")
                places = len(digits.partition(".")[2])
                found.append(Token("number", written, start, end, Fraction(digits), places, money == start))
            else:
                found.append(Token("odd", written, start, end))
        elif kind == "sign":
            found.append(Token(_SIGNS[written], written, start, end))
        elif scaled and written in _THOUSANDS and found and found[-1].money and found[-1].end == start:
            found[-1] = _scaled(found[-1], written)
        elif written in letters and _measures(found, written, start):
            found.append(Token("word", UNIT_LETTERS[written], start, end))
        elif written == "//":
            found.append(Token("//", written, start, end))
        else:
            found.append(Token({"word": "word", "stop": "stop"}.get(kind or "", "other"), written, start, end))  # type: ignore[arg-type]
    return _worded(found)


def _scaled(amount: Token, letter: str) -> Token:
    """Return an amount in thousands as what it is."""
    power = _THOUSANDS[letter]
    value, places = amount.value * 10**power, amount.places - power
    return replace(amount, text=amount.text + letter, end=amount.end + 1, value=value, places=places)


def _measures(found: Sequence[Token], letter: str, start: int) -> bool:
    """Whether a letter that begins at `start`, behind what was `found`, stands where a unit does: 3 m, 200g, km/h."""
    if not found or (found[-1].end == start and found[-1].kind == "number" and letter not in _GLUED):
        return False
    return found[-1].kind == "number" or (len(found) > 1 and found[-1].kind == "/" and found[-2].kind == "word")


def _worded(found: list[Token]) -> list[Token]:
    """Return the tokens with words for operators and equality as such."""
    made: list[Token] = []
    i = 0
    while i < len(found):
        token = found[i]
        kind, used = _sign(found, i, made) if token.kind == "word" and made else (_single(found, i), 1)
        if kind in {"=", "~"}:
            while i + used < len(found) and found[i + used].text.lower() in _ABOUT:
                kind, used = "~", used + 1
            if i + used < len(found) and found[i + used].text == "." and found[i + used - 1].text == "approx":
                used += 1
        last = found[i + used - 1]
        made.append(token if used == 1 and kind == token.kind else Token(kind, token.text, token.start, last.end))
        i += used
    return made


def _single(found: list[Token], i: int) -> Kind:
    """Return what a token is by itself and its neighbours: "5! = 120" has a factorial, "It's 5!" and "5! Great" have none."""
    token, before, behind = found[i], found[i - 1 : i] if i else [], found[i + 1 : i + 3]
    if token.text.lower() == "sqrt" and behind and behind[0].kind == "(":
        return "root"
    if token.text != "!" or not before or not behind or before[0].end != token.start or before[0].kind not in {"number", ")"}:
        return token.kind
    computes = behind[0].kind in {"*", "/", "=", "~", ")", "^"}
    adds = behind[0].kind in {"+", "-"} and len(behind) > 1 and behind[1].kind in {"number", "("}
    return "!" if computes or adds else token.kind


def _sign(found: list[Token], i: int, made: list[Token]) -> tuple[Kind, int]:
    """Return what a word stands for behind what is `made`, and of how many words it consists."""
    if made[-1].kind in _OPERAND_ENDS:
        for length in (3, 2, 1):
            said = tuple(each.text.lower() for each in found[i : i + length])
            if said in _WORDS and _operand_follows(found, i + length, signed=said != ("x",)):  # 3x - 5
                return _WORDS[said], length
    word = found[i].text.lower()
    if word == "sqrt":
        return _single(found, i), 1
    if word == "percent" and made[-1].kind == "number":
        return "%", 1
    if (word == "of" and _is_share(made) and _operand_follows(found, i + 1)) or (word == "at" and _is_priced(found, i, made)):
        return "*", 1
    return "word", 1


def _operand_follows(found: list[Token], i: int, *, signed: bool = True) -> bool:
    while signed and i < len(found) and (found[i].text.lower() in _ABOUT or found[i].kind == "-"):
        i += 1
    return i < len(found) and found[i].kind in {"number", "("}


def _is_share(made: list[Token]) -> bool:
    """Whether what stands last is a percentage or a fraction."""
    if not made:
        return False
    return made[-1].kind == "%" or (len(made) > 1 and made[-1].kind == "number" and made[-2].kind == "/")


def _is_priced(found: Sequence[Token], i: int, made: Sequence[Token]) -> bool:
    """Whether an "at" stands between the only number of its clause and the price of each, which a sign of equality follows."""
    clause = [token.kind for token in takewhile(lambda token: token.kind != "stop", reversed(made))]
    if set(clause) != {"number", "word"} or clause.count("number") > 1 or clause.index("number") > _NAMED:
        return False
    price, *behind = found[i + 1 : i + 4] or [made[-1]]
    each = bool(behind) and behind[0].text.lower() in _EACH
    sign = behind[1 if each else 0 :][:1]
    equal = bool(sign) and (sign[0].kind in {"=", "~"} or (each and sign[0].text.lower() in {"is", "equals"}))
    return price.money and equal


def terms(line: Sequence[Token]) -> list[list[Token]]:
    """Return what is added up or subtracted, each but the first with its sign. Brackets aren't looked at."""
    found: list[list[Token]] = [[]]
    for token in line:
        if token.kind in {"+", "-"}:
            found.append([])
        found[-1].append(token)
    return found


def disturbs(token: Token) -> bool:
    """Whether a word beside a number may change its value, or be a variable."""
    return token.kind == "word" and (len(token.text) == 1 or token.text.lower() in _DISTURBING)


def disturbed(line: Sequence[Token]) -> bool:
    """Whether one of the words does, where it stands: not in "7 cards per pack", "4 times/day", "2 bags of rice and beans"."""
    return any(disturbs(token) and not _within_a_unit(line, i) for i, token in enumerate(line))


def _within_a_unit(line: Sequence[Token], i: int) -> bool:
    token, before, behind = line[i], line[i - 1 : i] if i else [], line[i + 1 : i + 2]
    if behind and is_per(token, behind[0]):
        return True
    if i > 1 and line[i - 1].kind == "/" and line[i - 2].kind == "word":  # guests/couple
        return True
    if token.text == "times":
        return bool(behind) and (behind[0].kind == "/" or behind[0].text == "per")
    between_words = [each.kind for each in (*before, *behind)] == ["word", "word"]
    return token.text in _JOINING and between_words and behind[0].text.lower() not in _FRACTIONS


def is_per(token: Token, after: Token) -> bool:
    """Whether two tokens are "per" and the unit behind it."""
    return token.text.lower() == "per" and after.kind == "word" and after.text.lower() != "cent"
