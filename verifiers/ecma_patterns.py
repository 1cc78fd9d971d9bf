"""JavaScript's patterns, in which JSON schemas are written, as Python's."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]

ERRORS = (re.error, regex.error, OverflowError, RecursionError, ValueError)
"""What `compiled` raises for what is no pattern."""
_ESCAPE = r"\\u\{[0-9a-fA-F]{1,6}\}|\\c[A-Za-z]|\\k<\w+>|\\[pP]\{\w+(?:=\w+)?\}|\\."
_TOKEN = re.compile(rf"{_ESCAPE}|\(\?<(?=[A-Za-z_])|\[\^?\]?(?:\\.|[^\]\\])*\]|[$.]", re.DOTALL)
_IN_CLASS = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
_SPACE = r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_KINDS = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACE}
_OUTSIDE = {
    "$": r"\Z",
    ".": r"[^\n\r\u2028\u2029]",
    "(?<": "(?P<",
    r"\b": r"(?a:\b)",
    r"\B": r"(?a:(?!\b))",
    **{f"\\{name}": f"[{kind}]" for name, kind in _KINDS.items()},
    **{f"\\{name.upper()}": f"[^{kind}]" for name, kind in _KINDS.items()},
}


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    r"""Return a pattern as JavaScript means it. Raise one of ERRORS.

    `$` is the very end, no line break before it; `\d` and `\w` are ASCII's, and `.` is no line's end. What Python alone knows,
    such as `\A`, stays what it is there.
    """
    meant = _TOKEN.sub(lambda match: _meant(match[0]), pattern)
    try:
        return re.compile(meant)
    except re.error:  # \p{L}, of which `re` knows nothing
        return regex.compile(meant)


def _meant(token: str) -> str:
    if token[0] == "[":
        return _class(token)
    if token.startswith(r"\k<"):
        return f"(?P={token[3:-1]})"
    return _OUTSIDE.get(token) or _character(token)


def _character(token: str) -> str:
    """Return an escape as both of Python's libraries read it."""
    if token.startswith(r"\u{"):
        code = int(token[3:-1], 16)
        return re.escape(chr(code)) if code <= 0x10FFFF else token  # noqa: PLR2004 - Unicode's end
    return re.escape(chr(ord(token[2]) & 31)) if len(token) == 3 and token[1] == "c" else token  # noqa: PLR2004 - \cJ


def _class(token: str) -> str:
    r"""Return a class of characters. One with `\D` in it is all that one of several classes has."""
    negated, body = token[1] == "^", token[2:-1] if token[1] == "^" else token[1:-1]
    inside, classes = "", list[str]()
    for each in _IN_CLASS.findall(body):
        name = each[1:] if each[0] == "\\" else ""
        if name in _KINDS:
            inside += _KINDS[name]
        elif name.lower() in _KINDS:
            classes.append(f"[^{_KINDS[name.lower()]}]")
        else:
            inside += f"\\{each}" if each in "[]&|~" else _character(each)
    if not classes:
        return f"[{'^' * negated}{inside}]"
    one = "|".join([*classes, f"[{inside}]"] if inside else classes)
    return f"(?:(?!{one})(?s:.))" if negated else f"(?:{one})"
