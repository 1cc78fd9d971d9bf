"""Markup off: what a person sees of an answer that is written in Unicode, Markdown, HTML or LaTeX.

`plain` is for a window of a response, not for megabytes. It keeps what changes a value: a power becomes `↑`, so that 10² is
never read as 102, but 10⁶ is `1e6`; a root becomes `√`; a command that it doesn't know becomes `�`. Whoever reads a number stops
at these.
"""

from __future__ import annotations

import re
import unicodedata

UNKNOWN = "\ufffd"
"""Stands for what can't be read as a person sees it."""

_VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_DASHES = "\u2010\u2011\u2012\u2013\u2212\ufe63\u2796"
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_INVISIBLE = (
    *range(0x200B, 0x2010),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE0080),
    *(0x00AD, 0x061C, 0x180E, 0x202A, 0x202B, 0x202C, 0x20E3, 0xFEFF),
)
_FOLD: dict[int, str | None] = {
    0x066B: ".",
    0x066C: ",",
    **dict.fromkeys(_INVISIBLE),
    **dict.fromkeys(map(ord, _DASHES), "-"),
    # An override of the writing direction shows a person other digits than we read.
    **dict.fromkeys((0x202D, 0x202E), UNKNOWN),
    **{ord(c): unicodedata.normalize("NFKC", c).replace("\u2044", "/") for c in _VULGAR},
    0x2044: "/",
}
_THIN_GROUP = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f](?=\d{3}(?!\d))")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
"""A decimal digit of another script."""
_BEFORE_VULGAR = re.compile(rf"(?<=[0-9])(?=[{_VULGAR}])")
_POWER = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
# Circled, subscript and such digits: NFKC would glue them to the number before. Full-width ones (U+FF10 …) are plain digits.
_INDEX = re.compile("(?<=[A-Za-z])[\u2080-\u2089]+")
"""Of a name: x₁."""
INDICES = {0x2080 + digit: str(digit) for digit in range(10)}
_LOOSE_DIGIT = re.compile("[\u2080-\u2089\u2460-\u249b\u24ea-\u24ff\u2776-\u2793]")
_SPELLED_OTHERWISE = frozenset(map(chr, _FOLD))
_OTHER_THAN_ASCII = re.compile(r"[^\x00-\x7f]")


def fold(text: str) -> str:
    """Return `text` in NFKC, without invisible characters, with one kind of minus and of digits, and with powers as `^n`."""
    if text.isascii() or _folded(text):
        return text
    text = _THIN_GROUP.sub(",", text)
    text = _BEFORE_VULGAR.sub(" ", text)
    text = _POWER.sub(lambda match: "^" + match[0].translate(SUPERSCRIPTS), text)
    text = _INDEX.sub(lambda match: match[0].translate(INDICES), text)
    text = _LOOSE_DIGIT.sub(lambda match: f" {match[0]} ", text)
    text = unicodedata.normalize("NFKC", text.translate(_FOLD))
    return _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)


def _folded(text: str) -> bool:
    """Whether nothing in a text is to be folded: mostly so, and seen in a fraction of the time that folding takes.

    What isn't in the table above is changed by NFKC, or it is a digit or a number.
    """
    others = _OTHER_THAN_ASCII.findall(text)
    return (
        unicodedata.is_normalized("NFKC", text) and _SPELLED_OTHERWISE.isdisjoint(others) and not any(map(str.isnumeric, others))
    )


_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]{1,80})\}|(\d))\s*(?:\{([^{}]{1,80})\}|(\d))")
_BINOMIAL = re.compile(r"\\[dt]?binom\s*\{\s?(\d{1,9})\s?\}\s*\{\s?(\d{1,9})\s?\}")
_WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|bb)|mbox|hbox|operatorname|emph|underline|bm|boxed|fbox)\*?\s*"
    r"\{([^{}]{0,400})\}"
)
_LATEX_GROUP = re.compile(r"(?<=\d)(?:\\[,;: ]|\\!,|,\\!|\{,\})(?=\d{3}(?!\d))")
_SPACE = re.compile(r"\\(?:[,:;>! ]|q?quad(?![a-zA-Z]))")
_SIGNS = {
    **dict.fromkeys(("times", "cdot", "ast"), "\u00d7"),
    **dict.fromkeys(("approx", "simeq"), "≈"),
    **dict.fromkeys(("le", "leq", "leqslant"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant"), "≥"),
    **dict.fromkeys(("degree", "circ"), "°"),
    **dict.fromkeys(("ne", "neq"), "≠"),
    **dict.fromkeys(("pounds", "euro", "checkmark", "blacksquare", "square", "qed", "dollar"), " "),
    **dict.fromkeys(("displaystyle", "textstyle", "limits", "left", "right", "big", "Big", "bigl", "bigr", "rm", "bf", "it"), ""),
    **dict.fromkeys(("to", "rightarrow", "Rightarrow", "implies", "therefore", "boxed", "fbox"), " "),
    "div": "÷",
    "pm": "±",
    "pi": "π",
    "sqrt": "√",
    "lt": "<",
    "gt": ">",
    "percent": "%",
    "newline": "\n",
}
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_LINED_UP = re.compile(r"\\(?:begin|end)\s?\{(?:align(?:ed|at)?|equation|gather(?:ed)?|split|multline|eqnarray)\*?\}")
"""What only says how lines stand below one another; a matrix and cases say more."""
_MODULO = re.compile(r"\\pmod\s?\{([^{}]{1,40})\}")
_ESCAPED = re.compile(r"\\([$%_#&{}\-])")


def _fraction(match: re.Match[str]) -> str:
    above, below = match[1] or match[2], match[3] or match[4]
    simple = above.strip().replace(",", "").isdecimal() and below.strip().replace(",", "").isdecimal()
    body = f"{above.strip()}/{below.strip()}" if simple else f"({above})/({below})"
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return (" " if before.isdecimal() else "") + body + (" " if after.isalnum() else "")


def latex(text: str) -> str:
    """Return `text` with LaTeX's commands as the signs that they show; powers stay as they are."""
    text = _LATEX_GROUP.sub(",", text)
    for _ in range(3):  # nested wrappers, as deep as people write them
        text = _WRAPPER.sub(r"\1", text)
    text = _BINOMIAL.sub(r"C(\1, \2)", _FRACTION.sub(_fraction, text))
    text = _SPACE.sub(" ", text.replace("\\\\", "\n"))  # before spaces: a line may end with two backslashes and one
    text = _LINED_UP.sub(" ", text)
    text = _ESCAPED.sub(r"\1", _MODULO.sub(r" (mod \1)", text))
    text = _COMMAND.sub(lambda match: _SIGNS.get(match[1], UNKNOWN), text)
    return re.sub(r"\\[()\[\]]", " ", text)


_SUP_TAG = re.compile(r"<sup>\s*([-+]?\d{1,4})\s*</sup>", re.IGNORECASE)
_HTML_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,80}>")
_COMMENT = re.compile(r"<!--.{0,400}?-->", re.DOTALL)
_CALCULATION = re.compile(r"<<[^<>]{0,200}>>")
_DELETED = re.compile(r"<(del|s|strike)>.{0,200}?</\1>", re.DOTALL | re.IGNORECASE)
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
_STAR_POWER = re.compile(r"(?<=\d)(?:\*\*|\s\*\*\s)(?=[-(\d])")
"""Not "**72** (6 dozen)"."""
_STAR_TIMES = re.compile(r"(?<=[\d)])\s?\*\s?(?=[\d($.])")
_BASE_TEN = re.compile(r"(?<=[0-9])_\{\s?(?:10|ten)\s?\}")
_BASE = re.compile(r"(?<=[0-9])_\{[^{}]{0,20}\}")
"""101_{2}: the digits say another number than they do without it."""
_UNDERSCORE = re.compile(r"(?<!\w)_{1,3}(?=\S)|(?<=[^\s_])_{1,3}(?!\w)")
_DOLLAR = re.compile(r"([-+]?)[ \t]?\$+[ \t]?")
_SCIENTIFIC = re.compile(r"(?<=[0-9])\s?[\u00d7x·]\s?10\s?\^\s?[({]?([-+]?\d{1,5})[)}]?")
_POWER_OF_TEN = re.compile(
    r"(?<![\w.,^)}])(?<![\u00d7*/x\u00b7^]\s)10\s?\^\s?(?:\{\s?([-+]?\d{1,3})\s?\}|\(([-+]?\d{1,3})\)|([-+]?\d{1,3}))(?![\w^])(?!\.\d)"
)
_ORDINAL = re.compile(r"(?<=\d)\s?\^\s?\{?\s?(st|nd|rd|th)\s?\}?(?!\w)")
_GLUED_UNIT = re.compile(r"(?<=\d)(?=(?:[cdkm]?m|ft|yd|in|mi)\s?\^\s?\{?[23])")
"""25cm^2, 5m²: of a number that is an answer it is a unit, and no variable."""
_CUBED_UNIT = re.compile(r"(?<=\d)(\s{0,3}[a-zA-Z]{1,12})\s?\^\s?(?:\{3\}|3(?!\w))")
"""5 cm^3, which is no area."""
_EXPONENT = re.compile(r"\s?\^\s?(?:\{[^{}]{0,40}\}|\([^()]{0,40}\)|[-+]?[\w.]{1,40}|°)")


def plain(text: str) -> str:
    """Return `text` without markup, on as many lines as before."""
    text = fold(text)
    if "\\" in text:
        text = latex(text)
    if "<" in text:
        text = _DELETED.sub(" ", _CALCULATION.sub("", _COMMENT.sub("", text)))
        text = _HTML_TAG.sub(" ", _SUP_TAG.sub(r"^\1", text))
    if "~~" in text:
        text = _STRUCK.sub(" ", text)
    if "*" in text:
        text = _STAR_TIMES.sub("\u00d7", _STAR_POWER.sub("^", text)).replace(" * ", " \u00d7 ").replace("*", "")
    if "_" in text:
        text = _BASE.sub("↑", _BASE_TEN.sub("", text))
        text = _UNDERSCORE.sub("", text)
    if "^" in text:
        text = _ORDINAL.sub(r"\1", text)
        text = text.replace("^{°}", "°").replace("^°", "°")
        text = _POWER_OF_TEN.sub(r"1e\1\2\3", _SCIENTIFIC.sub(r"e\1", text))
        text = _EXPONENT.sub("↑", _CUBED_UNIT.sub(r"\1↑↑", _GLUED_UNIT.sub(" ", text)))
    if "$" in text:
        text = _DOLLAR.sub(_dollar, text)
    return text.replace("{", "").replace("}", "").replace("`", "")


def _dollar(match: re.Match[str]) -> str:
    # "-$5" is minus five; "4$2$" is not 42; "10-$2" is a difference.
    return f" {match[1]}" if match[1] else " "


CURRENCY = str.maketrans(dict.fromkeys("€£¥₹₩₽¢", " "))
"""What stands beside a number and doesn't change it; dollars are gone already, being LaTeX's fences too."""
