"""Equations that a text states, and which of them are false.

A false one is told only where nothing excuses it: a false alarm throws away good data. What is negated, asked, supposed, taken
back, quoted from the prompt, rounded, or stated in other units is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verifiers.calculations.amounts import SECONDS
from verifiers.calculations.arithmetic import Expression, Unreadable, evaluate, expressions, unclear_roots
from verifiers.calculations.clock import spans
from verifiers.calculations.counts import readings
from verifiers.calculations.excuses import excused, excused_conversion, excused_result, goes_on, sum_of_digits
from verifiers.calculations.hedges import AFTERWARDS, hedged
from verifiers.calculations.lexer import Token, terms, tokens, unit_letters
from verifiers.calculations.line import Line, article
from verifiers.calculations.sameness import is_markup, same, same_in_percent
from verifiers.calculations.systems import Systems
from verifiers.reading.markup import fold, latex

MAX_LINE = 2_000
"""Characters; longer lines are cut at the ends of sentences, and what is longer still is left alone."""
_PASSED_OVER = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
_ROW = re.compile(r"\s*\|([^|]+\|[^|]+(?:\|[^|]+)*)\|\s*")
"""Of a table."""
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:align|aligned|gather|gathered|equation|multline|split)\*?\}")
_CHOSEN = re.compile(
    r"\\[dt]?binom\s*\{(\d{1,3})\}\s*\{(\d{1,3})\}|\{(\d{1,3})\s*\\choose\s*(\d{1,3})\}"
    r"|\bC\((\d{1,3}), ?(\d{1,3})\)(?=[^\n]{0,200}\b(?:ways?|choos\w+|combin\w+|select\w*|subsets?)\b)"  # no point of a plane
)
_BULLET = re.compile(r"^\s*(?:#+\s+|>\s*)*(?:(?P<dash>[-+\u2013])|[*•]|\(?\d{1,2}[.)]|\(?[a-zA-Z][.)])\s+")
_HEADING = re.compile(r"^\s*(?:#+\s+|>\s*)+(?P<dash>(?!))?")
_POWER = re.compile(r"(?<=[\d)])\*\*(?=[\d(])")
_TIMES = re.compile(r"(?<=[a-zA-Z])(?<!\*)\*(?=[\d($.])|(?<=[\d)%])[ ]?\*[ ]?(?=[\d($.€£])|[ ]\*[ ]")
_ONE_STAR = re.compile(r"(?<=[\w)%])[ ]?\*[ ]?(?=[\d($.€£])")
"""Of a line that has no other star, and so no emphasis."""
_OWNER = re.compile(r"(?<=[-+\u00d7*/=\u2013] )[A-Z][a-z]{1,20}['\u2019]s? (?=[$\d])")
"""Before an operand: whose it is, as in "8 + Riley's 5"."""
_REMARK = re.compile(
    r"(?<=[\d%])[ ]\((?!(?:dozen|pair|couple|hundred|thousand|million|billion|percent|mod|base|times|squared|cubed|half))"
    r"[a-zA-Z][a-zA-Z ,'\u2019-]{0,40}\)(?=[ ]?[-+\u00d7*/=\u2013])"
)
"""Behind one, in brackets: of what it is."""
_NAMED = re.compile(
    r"(?<=[-+x\u00d7*/\u2013] )the (?:(?!half|third|quarter|square|cube|sum|product|difference|quotient|double|rest|ratio|root)"
    r"[a-z]{3,20} of )?(?=[$\d])"
)
"""Before one: "3 x the height of 12 inches"."""
_OF_SEVERAL = re.compile(r"(?<=[a-z]s)['\u2019] (?=[a-z])")
"""Kris' brother"""
_LABEL = re.compile(r"^(\W{0,4}(?:day|step|week|month|year|round|trip|part|case) \d{1,2}):(?=\d)", re.IGNORECASE)
_TWICE = re.compile(r"=[ ]+=(?=[ ]?[$\d])")
_SHORT = re.compile(
    r"(?:(?<=\d)|(?<=\d )|(?<=per )|(?<=/ )|(?<=/))(?P<square>(?:sq|cu)\.?[ ])?"
    r"(?P<unit>ft|in|lbs?|oz|yds?|hrs?|mins?|secs?|gal|tbsp|tsp)\.(?=[ ]?[-+\u00d7*/=]|[ ][a-z])"
)
"""A unit with a full stop that ends no sentence: "400 sq. ft. per can"."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SAYS_EQUAL = re.compile(r"\d[^.!?]{0,60}\b(?:is|are|equals?|gives|makes|comes)\b[^.!?]{0,30}\d")
_DENIES = re.compile(r"\b(?:not(?!\s\w+ing\b)|never|cannot|neither)\b|n['\u2019]t\b|≠", re.IGNORECASE)
_THAT_ARE_NOT = re.compile(
    r"\b(?:that|who|which)\s(?:(?:are|is|were|was|do|does|did|have|has)(?:\snot\b|n['\u2019]t\b)|cannot\b|never\b)", re.IGNORECASE
)
"""Of things, and not of what is computed."""
_AGAIN = re.compile(
    r"\b(?:wait|again|actually|mistake\w*|correct\w*|check\w*|no|not|sorry|let\sme|let's|oops|hmm+|error|wrong|instead|re-?\w*(?:do|comput|calculat)\w*)\b",
    re.IGNORECASE,
)
"""Words of somebody who computes something a second time."""
_SIGNS = ("=", "≈", "≅", "≃", r"\approx", r"\simeq")


@dataclass(frozen=True, slots=True)
class Claim:
    """An equation that a text states."""

    text: str
    """As written, without markup."""
    left: str
    """Its left side."""
    true: bool | None
    """None: whether it is meant as it stands can't be told."""
    truth: str = ""
    """Of a false one: what it really is."""


def claims(text: str, *, strict: bool = False, prompt: str = "") -> list[Claim]:
    """Return the equations of a text, in order. `strict`: an equals sign is taken at its word.

    Without it, a running total (2 + 3 = 5 * 2 = 10) is read as it is meant, and a result that is rounded to a whole number
    without a word is left alone. What stands in the `prompt` may be quoted from it. Linear in the text's length.
    """
    rounded: dict[Fraction, Fraction] = {}
    everything = f"{text}\n{prompt}"
    letters, systems = unit_letters(everything), Systems.of(everything)
    lines = _lines(text, rounded, letters, systems)
    found = [claim for line in lines for claim in (*_in_every_reading(line, strict=strict), *_of_the_clock(line))]
    mended = {claim.left: i for i, claim in enumerate(found) if claim.true} if _AGAIN.search(text) else {}
    asked = _squeezed(prompt)
    return [
        Claim(claim.text, claim.left, None)
        if claim.true is False and (mended.get(claim.left, -1) > i or (asked and _squeezed(claim.text) in asked))
        else claim
        for i, claim in enumerate(found)
    ]


def _squeezed(text: str) -> str:
    return "".join(fold(text).split())


def _lines(text: str, rounded: dict[Fraction, Fraction], letters: frozenset[str], systems: Systems) -> Iterator[Line]:
    text = _CALCULATOR.sub("", _CODE.sub(" § ", _PASSED_OVER.sub("\n", fold(text))))
    lines = text.split("\n")
    for number, whole in enumerate(lines):
        for piece in [whole] if len(whole) <= MAX_LINE else _SENTENCE.split(whole):
            if len(piece) > MAX_LINE or (not any(sign in piece for sign in _SIGNS) and not _SAYS_EQUAL.search(piece)):
                continue
            row = _ROW.fullmatch(piece)
            cells = _CHOSEN.sub(_chosen, row[1].replace("|", "\n") if row else piece)
            marked = "\\" in cells or "{,}" in cells
            plain = latex(_ENVIRONMENT.sub("\n", cells.replace(r"\bmod", " mod "))) if marked else cells
            for line in plain.split("\n"):
                bullet = _BULLET.match(line) or _HEADING.match(line)
                shown = line[bullet.end() :] if bullet else line
                if shown.count("*") == 1:
                    shown = _ONE_STAR.sub(_times, shown)
                if "*" in shown:
                    shown = _TIMES.sub(_times, _POWER.sub("^", shown)).replace("*", "")
                shown = _plainly(shown)
                behind = lines[number + 1] if number + 1 < len(lines) else ""
                dash = bool(bullet and bullet["dash"])
                yield Line(shown, tokens(shown, letters), behind[:AFTERWARDS], dash, systems, rounded)


def _plainly(line: str) -> str:
    """Return a line in which operands stand without what only says whose or of what they are."""
    if "(" in line:
        line = _REMARK.sub("", line)
    if "s' " in line or "s\u2019 " in line:
        line = _OF_SEVERAL.sub(" ", line)
    if "'s " in line or "\u2019s " in line:
        line = _OWNER.sub("", line)
    if " the " in line:
        line = _NAMED.sub("", line)
    if ":" in line:
        line = _LABEL.sub(r"\1: ", line)
    if "= " in line:
        line = _TWICE.sub("=", line)
    return _SHORT.sub(_spelled, line) if "." in line else line


def _spelled(match: re.Match[str]) -> str:
    return ("square" if match["square"] else "") + match["unit"]


def _chosen(match: re.Match[str]) -> str:
    above, below = filter(None, match.groups())
    return f"({above} choose {below})"


def _times(match: re.Match[str]) -> str:
    return match[0].replace("*", "\u00d7")


@dataclass(frozen=True, slots=True)
class _Equation:
    """Two expressions with a sign of equality between them."""

    left: Expression
    sign: Token
    right: Expression
    begin: int
    """Index of the first token behind the sign before."""
    beside: Expression | None
    """What is computed between that sign and the left side."""

    @property
    def about(self) -> bool:
        """Whether the sign says that they are about equal."""
        return self.sign.kind == "~"

    @property
    def goes_on(self) -> bool:
        """Whether the left side is all that stands behind a sign before."""
        return self.begin > 0 and self.left.first == self.begin


def _in_every_reading(line: Line, *, strict: bool) -> Iterator[Claim]:
    """Yield a line's claims; false are those that are so however its pairs and dozens are counted."""
    first, *others = [list(_of_line(each, strict=strict)) for each in readings(line)]
    for claim in first:
        verdicts = [claim.true, *(other.true for each in others for other in each if other.text == claim.text)]
        if True in verdicts:
            yield replace(claim, true=True, truth="")
        else:
            yield claim if set(verdicts) == {False} and len(verdicts) > len(others) else replace(claim, true=None, truth="")


def _of_the_clock(line: Line) -> Iterator[Claim]:
    """Yield what a line says of the time between two times of a clock."""
    for span in spans(line.text):
        left, right = span.left, span.right
        written = _squeezed(line.text[left.tokens[0].start : right.tokens[0].start])
        if span.truth is None:
            yield Claim(span.text, written, true=True)
            continue
        apart, whole = span.truth - right.value(), right.value().denominator == 1
        if (whole and abs(apart) < 1) or hedged(line.text, line.behind, left, right, apart):
            yield Claim(span.text, written, true=None)
        else:
            yield Claim(span.text, written, true=False, truth=_shown(span.truth))


def _of_line(line: Line, *, strict: bool) -> Iterator[Claim]:
    computed = False  # whether the number before the sign is itself a result
    for equation in _equations(line):
        if equation is None:
            computed = False
            continue
        left, right = equation.left, equation.right
        computed = computed and equation.goes_on
        if left.operators or (computed and right.operators and not sum_of_digits(left, right)):
            claim = _unless_unreadable(_judged, line, equation, strict=strict)
            beside = equation.beside
            if claim is not None and claim.true is False and beside is not None and goes_on(line, beside, left, right.value()):
                claim = replace(claim, true=None)
            computed = True
        elif computed and _bare(line, left, right):
            claim = _judged(line, equation, strict=strict)
            if claim is not None and claim.true is not False:  # "48 / 2 = 24 = 72" is false; 24 = 24 computes nothing
                claim = None
        elif right.operators and equation.sign.text == "=" and not sum_of_digits(left, right):
            claim = _unless_unreadable(_turned, line, equation)
        else:
            claim = _converted(line, equation)
        if claim is not None:
            yield claim


def _unless_unreadable(read: Callable[..., Claim | None], line: Line, equation: _Equation, **options: bool) -> Claim | None:
    """Return the claim of an equation, and none where it can't be read in one of the ways in which it may be."""
    try:
        return read(line, equation, **options)
    except Unreadable:
        return None


def _equations(line: Line) -> Iterator[_Equation | None]:
    """Yield what stands at each sign of equality; None where the expressions beside it can't be read."""
    signs = [i for i, token in enumerate(line.tokens) if token.kind in {"=", "~"}]
    begins, ends = [0, *(i + 1 for i in signs)], [*signs, len(line.tokens)]
    parts = [expressions(line.tokens, begin, end, line.pairs) for begin, end in zip(begins, ends, strict=True)]
    for here, there, begin, sign in zip(parts, parts[1:], begins, signs, strict=False):
        if here and here[-1].units_end == sign and there and there[0].first == sign + 1:
            yield _Equation(here[-1], line.tokens[sign], there[0], begin, here[-2] if len(here) > 1 else None)
        else:
            yield None


def _turned(line: Line, equation: _Equation) -> Claim | None:
    """Return the claim of an equation whose result stands first, as all that a sentence says: 8 = 3 + 5. Raise Unreadable."""
    left, right, behind = equation.left, equation.right, line.tokens[equation.right.end :]
    result = left.kinds == ["number"] and left.units_end == left.end
    begins = left.first == equation.begin or line.tokens[left.first - 1].kind == "stop"
    ends = not behind or (behind[0].kind in {"stop", "="} and behind[0].text != "!")
    if not (result and begins and ends) or unclear_roots(right.tokens):
        return None
    value, other = right.value(), left.value()
    start, end = left.tokens[0].start - left.tokens[0].money, right.tokens[-1].end
    text, written = " ".join(line.text[start:end].split()), _squeezed(line.text[right.tokens[0].start : end])
    if same(value, other, left, about=equation.about) or same_in_percent(right, left, about=equation.about):
        return Claim(text, written, true=True)
    if excused_result(line, right, left, value, other, about=equation.about):
        return Claim(text, written, true=None)
    return Claim(text, written, true=False, truth=_shown(value))


def _converted(line: Line, equation: _Equation) -> Claim | None:
    """Return the claim that an amount is another one of another unit: 1.5 hours = 90 minutes."""
    left, right, about = equation.left, equation.right, equation.about
    units = _units(line, left, right)
    known = SECONDS.keys() >= set(units) and left.single is not None and right.single is not None
    if not known or not (about or equation.sign.text in {"=", "equals", "equal"}):
        return None
    value, other = left.value() * Fraction(*[SECONDS[unit] for unit in units]), right.value()
    start = left.tokens[0].start
    text = " ".join(line.text[start : line.tokens[right.units_end - 1].end].split())
    written = _squeezed(line.text[start : line.tokens[left.units_end - 1].end])
    if same(value, other, right, about=about):
        return Claim(text, written, true=True)
    if about or excused_conversion(line, left, right, value, other, begin=equation.begin):
        return Claim(text, written, true=None)
    return Claim(text, written, true=False, truth=_shown(value))


def _units(line: Line, *sides: Expression) -> list[str]:
    """Return the unit of each side, where it is one word."""
    found = [line.tokens[side.end : side.units_end] for side in sides]
    words = [unit[0].text.lower() if len(unit) == 1 else "" for unit in found]
    return [word.removesuffix("s") if len(word) > 2 else word for word in words]  # noqa: PLR2004


def _bare(line: Line, left: Expression, right: Expression) -> bool:
    """Whether two numbers have nothing beside them that may be a unit."""
    after = line.tokens[right.end].kind if right.end < len(line.tokens) else "stop"
    return left.single is not None and right.single is not None and left.units_end == left.end and after in {"stop", "=", "~"}


def _judged(line: Line, equation: _Equation, *, strict: bool) -> Claim | None:
    """Return the claim that two sides make; None where a letter beside them may be a variable. Raise Unreadable."""
    left, right, about = equation.left, equation.right, equation.about
    beside = [
        *(token for token in line.tokens[left.end : left.units_end] if token.text != "a" or token is line.tokens[left.end]),
        *line.tokens[right.end : right.end + 1],
    ]
    if _DENIES.search(_THAT_ARE_NOT.sub("", line.text[left.tokens[-1].end : right.tokens[0].start])):
        return None
    value, other = left.value(), right.value()
    start, end = left.tokens[0].start - left.tokens[0].money, right.tokens[-1].end
    text, written = " ".join(line.text[start:end].split()), _squeezed(line.text[start : left.tokens[-1].end])
    if article(line.tokens, right.end):
        beside.pop()
    if any(token.kind == "word" and len(token.text) == 1 for token in beside) or _may_be_solved(line.tokens, left, right):
        return None
    if same(value, other, right, about=about) or same_in_percent(left, right, about=about):
        if value != other and right.single is not None:
            line.rounded[right.single.value] = value
        return Claim(text, written, true=True)
    if not strict and right.operators and right.lead:
        lead = evaluate(right.lead)
        shown = Expression(right.lead, right.first, right.end, right.units_end, 0)
        if same(value, lead, shown, about=about):
            return Claim(text, written, true=True)
        if not about and right.end < len(line.tokens) and line.tokens[right.end].kind in {"=", "~"}:  # 98 + 53 ≈ 100 + 50 = 150
            end, other, right = shown.tokens[-1].end, lead, shown
            text = " ".join(line.text[start:end].split())
    if excused(line, left, right, value, other, about=about, strict=strict, begin=equation.begin):
        return Claim(text, written, true=None)
    return Claim(text, written, true=False, truth=_shown(left.value("relative") if is_markup(left) else value))


def _may_be_solved(line: Sequence[Token], left: Expression, right: Expression) -> bool:
    """Whether a letter behind a number may be a variable rather than a unit, as not all that is added up has it: 2 m + 3 = 7."""
    lettered = [any(map(_is_letter, term)) for term in terms(line[left.first : left.units_end])]
    return len(lettered) > 1 and any(lettered) and not all([*lettered, *map(_is_letter, line[right.end : right.end + 1])])


def _is_letter(token: Token) -> bool:
    return token.kind == "word" and token.end - token.start == 1 < len(token.text)


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    power = value.denominator
    for prime in (2, 5):
        while power % prime == 0:
            power //= prime
    if power == 1 and len(text := f"{float(value):.10g}") <= 8 and Fraction(text) == value:  # noqa: PLR2004
        return text
    return f"{float(value):.4g}"
