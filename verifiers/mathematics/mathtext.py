r"""Mathematics as models write it, in LaTeX or in plain signs, cut into tokens.

What a reader doesn't see is dropped: fences, \left and \right, spaces, the size of a fraction. What isn't known is refused, never
skipped: a sign that is passed over could be the one that tells two answers apart.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from verifiers.reading.markup import INDICES, SUPERSCRIPTS, UNKNOWN, fold
from verifiers.reading.units import UNITS

MAX_CHARS = 8000
"""Of an expression. No final answer is longer, and a hostile one costs no more than this."""
MAX_DIGITS = 1000
"""Of a number."""

Kind = Literal["number", "symbol", "constant", "function", "command", "sign", "word", "unit"]


class Unreadable(ValueError):
    """What stands there can't be read as mathematics, or two people would read it differently."""


@dataclass(frozen=True, slots=True)
class Token:
    """A sign, a number, a name."""

    kind: Kind
    """What it is."""
    text: str
    """In one form, whichever way it was written."""
    latex: str
    """As another reader of LaTeX is shown it."""
    tight: bool = False
    """Of a comma: it stands between two digits without a space, so it may be part of a number."""


FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp".split()  # noqa: SIM905 - a table
)
_GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi varphi chi psi"  # noqa: SIM905
    " omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell".split()
)
_SIGNS = {
    **dict.fromkeys(("cdot", "times", "ast"), "*"),
    "div": "/",
    **dict.fromkeys(("le", "leq", "leqslant"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant"), "≥"),
    **dict.fromkeys(("ne", "neq"), "≠"),
    "lt": "<",
    "gt": ">",
    "pm": "±",
    "in": "∈",
    "cup": "cup",
    **dict.fromkeys(("vert", "lvert", "rvert", "mid"), "|"),
    **dict.fromkeys(("lbrace",), "⦃"),
    **dict.fromkeys(("rbrace",), "⦄"),
    "langle": "(",
    "rangle": ")",
    **dict.fromkeys(("lor", "vee"), "or"),
}
_PLAIN = {
    **dict.fromkeys(("·", "\u00d7", "\u22c5", "\u2217"), "*"),
    "÷": "/",
    "\u222a": "cup",
    "⟨": "(",
    "⟩": ")",
    "\u2223": "|",
}
_WORDED_POWERS = {"square": "^2", "sq": "^2", "cubic": "^3"}
"""Words before a unit."""
_CONSTANTS = {
    "pi": "pi",
    "infty": "oo",
    "infinity": "oo",
    "inf": "oo",
    "oo": "oo",
    "emptyset": "∅",
    "varnothing": "∅",
    "e": "e",
    "i": "i",
}
_REALS = "\u211d"
ANGLE = "∠"
"""Of a name: "∠ABC"."""
_LETTERS = {"π": "pi", "∞": "infty", "∅": "emptyset", "√": "sqrt", _REALS: "R"}
_INDEX = re.compile("(?<=[A-Za-z])[\u2080-\u2089]+")
"""x₁, which is x_1."""
_UNION = re.compile(r"(?<=[\])}])\s*U\s*(?=[\[(\\])")
_UNIT_POWER = re.compile(r"(?<=[a-z])([²³])(?=\s?[}/])")
_PER = re.compile(r"(?<=[a-z])\sper\s([a-z])")
_DROPPED = re.compile(
    r"\\(?:left|right)(?![a-zA-Z])\.?"
    r"|\\(?:[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits|q?quad)(?![a-zA-Z])|(?<!\\)\\[,;:! ()]|~|\$"
)
_DISPLAY = re.compile(r"\\\[(.*)\\\]", re.DOTALL)
_GROUPED = re.compile(r"(?<=\d)(?:\\[,;: ]|\{,\}|,\\!|\\!,)(?=\d{3}(?!\d))")
_ENDLESS = re.compile(r"\.{2,}\s*$|(?<=[0-9])\.{2,}")
_RECURRING = re.compile(r"(?<![\d.,])(\d{0,20})\.(\d{0,20})\\overline\s*\{\s*(\d{1,20})\s*\}(?!\d)")
_MINUS = re.compile(r"^(?:minus|negative)\s+(?=[\d.\\])", re.IGNORECASE)
_TIMES_TEN = re.compile(r"(\d)\s?[xX]\s?10(?=\s?\^)")
_ANSWERS = {"yes", "no", "true", "false", "none"}
"""Words that are no products of letters."""
_POWERS = re.compile("[" + "".join(map(chr, SUPERSCRIPTS)) + "]+")
_DEGREE = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\^\s*\{?°\}?|\\degree(?![a-zA-Z])")
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])(?:\.\d+)?(?![.,]?\d)")
_FIXED_FRACTION = re.compile(r"(\\frac)\s*(\d)\s*(?:(\d)(?!\d)|(?=\{))")
WRAPPED = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf)|mbox|hbox|operatorname)\*?\s*\{([^{}]*)\}")
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+(?![\w.]))?)
    |\\(?P<command>[a-zA-Z]+)
    |(?P<set>\\[{}])|(?P<row>\\\\)|(?P<percent>\\?%)|(?P<money>\\\$|[€£])
    |(?P<letters>[A-Za-z]+)
    |(?P<greek>[\u0391-\u03c9∞∅√\u211d])
    |(?P<degree>°)
    |(?P<sign><=|>=|!=|\*\*|[-+*/^!|,;:=<>≤≥≠±(){}\[\]&_·\u00d7\u22c5\u2217÷∈\u222a⟨⟩\u2223])
    |(?P<prime>')""",
    re.VERBOSE,
)
_ENVIRONMENT = re.compile(r"\s*\{([a-z]*matrix)\}")
_NAME = re.compile(r"\s*_\s*(?:\{([A-Za-z0-9]{1,20})\}|([A-Za-z0-9]))(?![\w])")
_WORDS_OF_LISTS = {"or": "or", "and": "and"}


def bare(text: str) -> str:
    """Return an expression in one notation: its minus signs, digits, fractions, fences and spaces. Raise Unreadable."""
    if len(text) > MAX_CHARS:
        raise Unreadable("it is too long")
    if not text.isascii():
        text = _INDEX.sub(lambda match: f"_{{{match[0].translate(INDICES)}}}", text)
        text = _UNIT_POWER.sub(lambda match: f"^{match[1].translate(SUPERSCRIPTS)}", text)
        text = fold(_POWERS.sub(lambda match: "^{" + match[0].translate(SUPERSCRIPTS) + "}", text))
        if UNKNOWN in text:
            raise Unreadable("it has signs that nobody sees")
    text = _DISPLAY.sub(r"\1", text.strip("*`_ \t\r\n"))
    text = _GROUPED.sub("", text)
    text = _DEGREE.sub("°", text)
    text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    text = text.replace(r"\$", "¤")  # a dollar that shows, while a fence doesn't
    text = _DROPPED.sub(" ", text).replace("¤", r"\$")
    text = _FIXED_FRACTION.sub(lambda m: f"{m[1]}{{{m[2]}}}" + (f"{{{m[3]}}}" if m[3] else ""), text)
    if _ENDLESS.search(text):
        raise Unreadable("it goes on")
    text = _UNION.sub(r" \\cup ", _RECURRING.sub(_recurring, text))
    text = _TIMES_TEN.sub(r"\1\\times 10", _MINUS.sub("-", text.strip()))
    return text.rstrip(".\u3002").strip()


def _recurring(match: re.Match[str]) -> str:
    r"""Return 0.1\overline{6} as a fraction."""
    whole, fixed, repeated = match[1] or "0", match[2], match[3]
    above = int(whole + fixed + repeated) - int(whole + fixed)
    return f"\\frac{{{above}}}{{{'9' * len(repeated)}{'0' * len(fixed)}}}"


def tokens(text: str) -> list[Token]:
    """Cut a bare expression into tokens. Raise Unreadable for a sign or a word that isn't known."""
    found: list[Token] = []
    at, end = 0, len(text)
    several = False
    while at < end:
        several = several or bool(found and found[-1].text in {"(", "[", "{", "⦃", ","})
        if (words := WRAPPED.match(text, at)) is not None:
            found += _words(words[1])
            at = words.end()
            continue
        if text[at].isdigit() and (grouped := _THOUSANDS.match(text, at)):
            # "(1,234)" may be a point, "{1,234}" two numbers.
            if several:
                raise Unreadable(f"“{grouped[0]}” may be one number or several")
            found.append(_number(grouped[0].replace(",", "")))
            at = grouped.end()
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unreadable(f"“{text[at]}” isn't known")
        at = _append(found, match, text)
    return found


def _append(found: list[Token], match: re.Match[str], text: str) -> int:
    """Add a match's tokens and return where the next one begins."""
    kind, at = match.lastgroup, match.end()
    whole = match[0]
    if kind == "number":
        found.append(_number(whole))
    elif kind == "command":
        at = _command(found, match["command"], text, at)
    elif kind == "letters":
        at = _letters(found, whole, text, at)
    elif kind == "greek":
        at = _named(found, _LETTERS.get(whole, whole), text, at)
    elif kind == "set":
        found.append(_sign("⦃" if whole == r"\{" else "⦄"))
    elif kind == "row":
        found.append(_sign("\\\\"))
    elif kind in {"percent", "degree", "money"}:
        unit = {"percent": "%", "degree": "°"}.get(kind, whole.strip("\\"))
        found.append(Token("unit", unit, ""))
    elif kind == "sign":
        sign = {"<=": "≤", ">=": "≥", "!=": "≠", "**": "^"}.get(whole) or _PLAIN.get(whole, whole)
        tight = sign == "," and text[at - 2 : at - 1].isdigit() and text[at : at + 1].isdigit()
        found.append(Token("sign", sign, _LATEX_SIGNS.get(sign, sign), tight))
    elif kind == "prime":
        raise Unreadable("a prime may be a derivative or a name")
    return at


_LATEX_SIGNS = {"*": r"\cdot "}


def _sign(text: str) -> Token:
    return Token("sign", text, _LATEX_SIGNS.get(text, text))


def _number(written: str) -> Token:
    if len(written) > MAX_DIGITS:
        raise Unreadable("it has too long a number")
    digits, _, exponent = written.lower().partition("e")
    whole, _, decimals = digits.partition(".")
    if exponent:
        if abs(int(exponent)) > MAX_DIGITS:
            raise Unreadable("it has too large a number")
        latex = rf"({_fraction(whole, decimals)}\cdot 10^{{{int(exponent)}}})"
    else:
        latex = _fraction(whole, decimals)
    return Token("number", written, latex)


def _fraction(whole: str, decimals: str) -> str:
    # A reader that takes 0.5 for a float rounds it.
    return rf"(\frac{{{int(whole + decimals)}}}{{{10 ** len(decimals)}}})" if decimals else str(int(whole))


def _command(found: list[Token], name: str, text: str, at: int) -> int:
    if name in {"begin", "end"}:
        environment = _ENVIRONMENT.match(text, at)
        if environment is None:
            raise Unreadable(f"“\\{name}” of something that is no matrix")
        if environment[1] == "vmatrix":
            raise Unreadable("a determinant, not worked out")
        found.append(Token("command", name, ""))
        return environment.end()
    if name in _SIGNS:
        sign = _SIGNS[name]
        found.append(Token("word", sign, "") if sign == "or" else _sign(sign))
        return at
    if name == "mathbb" and (reals := re.compile(r"\s*\{?\s*R\s*\}?").match(text, at)):
        found.append(Token("constant", "R", ""))
        return reals.end()
    if name in {"angle", "measuredangle"}:
        found.append(Token("word", ANGLE, ""))
        return at
    if name in {"frac", "sqrt", "binom", "dbinom", "tbinom"}:
        name = name[-5:] if name.endswith("binom") else name
        found.append(Token("command", name, f"\\{name}"))
        return at
    if name in FUNCTIONS or name in _CONSTANTS or name in _GREEK:
        return _named(found, name, text, at)
    raise Unreadable(f"“\\{name}” isn't known")


def _named(found: list[Token], name: str, text: str, at: int) -> int:
    """Add a function, a constant or a symbol, with its index."""
    if name == "sqrt":
        found.append(Token("command", "sqrt", r"\sqrt"))
    elif name in FUNCTIONS:
        found.append(Token("function", name, f"\\{name}"))
    elif name in _CONSTANTS and not (name in {"e", "i"} and _NAME.match(text, at)):
        latex = {"oo": r"\infty ", "pi": r"\pi ", "∅": ""}.get(_CONSTANTS[name], name)
        found.append(Token("constant", _CONSTANTS[name], latex))
    elif name == "R" and text[at - 1] == _REALS:
        found.append(Token("constant", "R", ""))
    else:
        index = _NAME.match(text, at)
        written = f"\\{name} " if name in _GREEK else name
        if index is None:
            found.append(Token("symbol", name, written))
        else:
            below = index[1] or index[2]
            found.append(Token("symbol", f"{name}_{below}", f"{written.strip()}_{{{below}}}"))
            return index.end()
    return at


def _letters(found: list[Token], run: str, text: str, at: int) -> int:
    """Read a run of letters: a known name, a unit, a word, or a product of symbols."""
    before = text[max(0, at - len(run) - 1) : at - len(run)]
    if run in _WORDS_OF_LISTS:
        found.append(Token("word", run, ""))
    elif run in {"sqrt", "pi", "infinity", "inf", "oo"} or run in FUNCTIONS or len(run) == 1:
        return _named(found, run, text, at)
    elif run in UNITS and (before.isdigit() or before in {" ", "}", "/"} or len(run) > 3):  # noqa: PLR2004
        found.append(Token("unit", UNITS[run], ""))
    elif run.lower() in _ANSWERS:
        found.append(Token("word", run, ""))
    elif len(run) == 2 or (len(run) <= 5 and all(a < b for a, b in itertools.pairwise(run))):  # noqa: PLR2004
        # "xyz" is a product, "cat" a word. Were "act" one too, the two would be equal.
        for letter in run[:-1]:
            _named(found, letter, "", 0)
        return _named(found, run[-1], text, at)
    else:
        found.append(Token("word", run, ""))
    return at


def _words(text: str) -> list[Token]:
    r"""Read what stands in \\text{…}: "or", a unit, words."""
    text = text.strip(" .")
    if not text:
        return []
    found: list[Token] = []
    words = _PER.sub(r"/\1", text).replace("°", " ° ").replace("%", " % ").split()
    for i, word in enumerate(words):
        power = _WORDED_POWERS.get(word.lower().rstrip("."))
        plain = re.sub(r"[.,]$", "", word)
        if plain in _WORDS_OF_LISTS:
            found.append(Token("word", plain, ""))
        elif plain in FUNCTIONS:
            found.append(Token("function", plain, f"\\{plain}"))
        elif plain in {"e", "i"}:
            found.append(Token("constant", plain, plain))
        elif re.fullmatch(r"\d+(?:\.\d+)?", plain):
            found.append(_number(plain))
        elif plain in {"°", "%"}:
            found.append(Token("unit", plain, ""))
        elif power and i + 1 < len(words) and words[i + 1].rstrip(".") in UNITS:
            continue
        elif plain in UNITS or plain.lower() in UNITS:
            before = _WORDED_POWERS.get(words[i - 1].lower().rstrip(".")) if i else None
            found.append(Token("unit", (UNITS.get(plain) or UNITS[plain.lower()]) + (before or ""), ""))
        else:
            found += _compound(plain) or [Token("word", word, "")]
    return found


def _compound(word: str) -> list[Token]:
    """Read a unit that consists of others: km/h, m/s^2, cm²; nothing where one of them is unknown."""
    found: list[Token] = []
    for each in word.replace("²", "^2").replace("³", "^3").split("/"):
        name, power, exponent = each.partition("^")
        if name not in UNITS or (power and exponent not in {"2", "3"}):
            return []
        found += [Token("sign", "/", "/")] if found else []
        found.append(Token("unit", UNITS[name], ""))
        found += [Token("sign", "^", "^"), _number(exponent)] if power else []
    return found
