"""Which part of a response is its code."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from verifiers.reading.pieces import pieces

INDENT = "    "
_MARKDOWN = {"markdown", "md"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a response."""

    language: str
    """The first word of its info string, in lower case."""
    code: str
    """Its text, without the indentation of the fence."""


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks. One that is never closed, because the response was cut off, ends with the text.

    Where a block is a Markdown text of its own, the blocks in it stand for it.
    """
    found = _blocks(text)
    return [each for block in found for each in ((_blocks(block.code) if block.language in _MARKDOWN else ()) or (block,))]


def _blocks(text: str) -> list[Block]:
    return [_block(piece.text, piece.indent, piece.info) for piece in pieces(text) if piece.info is not None]


def _block(text: str, indent: str, info: str) -> Block:
    lines = text.split("\n") if text else []
    if all(line.startswith(indent) or not line.strip() for line in lines):
        lines = [line.removeprefix(indent) for line in lines]
    language = re.split(r"[\s{,:]", info.lstrip("{."), maxsplit=1)[0].lower()
    if language.startswith("python3."):
        language = "python3"
    return Block(language=language, code="".join(f"{line}\n" for line in lines))


def code_of(response: str, fences: frozenset[str], wanted: frozenset[str] = frozenset()) -> str | None:
    """Return the code that a response means: its last block of the language, else its last block of none, else all of it.

    Of Python blocks, it is the last that defines one of the `wanted` names, where any does: after it, many show how to call it.
    Before it, some write the helpers and the imports in blocks of their own. A definition in an `if` or a `try` counts where
    there is no other.
    """
    response = response.removeprefix("\ufeff")
    blocks = blocks_of(response)
    if not blocks:
        return response.replace("\r\n", "\n")
    kinds = [[block.code for block in blocks if block.language in languages] for languages in (fences, {""})]
    for defining in (_defining(wanted), _defining(wanted, within=True)) if wanted else ():
        for fitting in kinds:
            chosen = next((n for n, code in reversed([*enumerate(fitting)]) if defining.search(code)), None)
            if chosen is not None:
                return _with_parts(fitting[:chosen], fitting[chosen], wanted)
    last = next(filter(None, kinds), None)
    if last is None:
        return None
    return _with_parts(last[:-1], last[-1], wanted) if wanted else last[-1]


_EMPTY = (
    r"\w+[ \t]*(?::[^=\n]{0,80})?=[ \t]*(?:\{\}|\[\]|\(\)|None|True|False|-?\d[\d_.]*"
    r"|(?:dict|list|set|defaultdict|deque|Counter|OrderedDict)\(\w{0,20}\))[ \t]*(?:#.*)?$"
)
"""What gives a name its first value: a memo's, a counter's."""
_TOP = re.compile(
    rf"^(?=\S)(?!(?:async[ \t]+def|def|class|import|from)\b|[@#)\]}}]|[A-Z][A-Z0-9_]*[ \t]*=|{_EMPTY}).*$", re.MULTILINE
)
_NAMED = re.compile(
    rf"^(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^([A-Z][A-Z0-9_]*)[ \t]*=|^(?={_EMPTY})(\w+)|^((?:import|from)\b.*)",
    re.MULTILINE,
)
_WORD = re.compile(r"\w+")
_USED = re.compile(r"(?<![\w.])\w+")
_TEXT = re.compile(  # one that nothing closes goes to the end: looking for its end from each place would take forever
    r"""(?P<formatted>\b[rR]?[fF][rR]?)?(?:\"{3}[\s\S]*?(?:\"{3}|\Z)|'{3}[\s\S]*?(?:'{3}|\Z)"""
    r"""|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|\#.*"""
)
_BOUND = re.compile(
    r"\b(?:def|class|for|as|lambda)[ \t]+(\w+)|(?<![\w.])(\w+)[ \t]*[-+*/%&|^@]*=(?!=)|^[ \t]*((?:import|from)\b.*)", re.MULTILINE
)
_HEAD = re.compile(r"\bdef[ \t]+\w+[ \t]*(\(.*)")
_PARAMETER = re.compile(r"[(,][ \t]*\*{0,2}(\w+)[ \t]*(?=[:,=)])")
PARTS = 20
"""Blocks before the one that counts, of those looked at."""


def _with_parts(before: list[str], code: str, wanted: frozenset[str]) -> str:
    """Return a block of Python after those before it that define what it uses, or what is wanted, and do nothing else.

    By their text alone, as in `_as_body`. What a block defines itself comes last and so holds. A block too many may be one that
    can't be run: one that shows the beginning of a function, or needs a module that nobody has.
    """
    parts = [code]
    for part in reversed(before[-PARTS:]):
        text = _without_texts("\n".join(parts))
        lacking = _names_of(part) - _bound_in(text)
        used = wanted | frozenset(_USED.findall(text))
        if lacking & used and not _TOP.search(part) and not _without_texts(part).rstrip().endswith(":"):
            parts.insert(0, part)
    return "\n\n".join(parts)


def _without_texts(code: str) -> str:
    """Return code without its comments and texts, but for those that hold code."""
    return _TEXT.sub(lambda found: found[0] if found["formatted"] else " ", code)


def _names_of(code: str) -> frozenset[str]:
    """Return the names that a block defines or imports, as far as that is on a line of its own."""
    return frozenset(name for found in _NAMED.findall(code) for text in found for name in _WORD.findall(text))


def _bound_in(code: str) -> frozenset[str]:
    """Return the names that a block gives a meaning to anywhere: those of its functions' parameters and variables, too."""
    names = [name for found in _BOUND.findall(code) for text in found for name in _WORD.findall(text)]
    return frozenset([*names, *(name for line in _HEAD.findall(code) for name in _PARAMETER.findall(line))])


@lru_cache(maxsize=256)
def _defining(names: frozenset[str], *, within: bool = False) -> re.Pattern[str]:
    """Return what finds a definition of one of these names at the top of a module, or `within` a block of it."""
    known = "|".join(map(re.escape, sorted(names)))
    defined = rf"(?:(?:async[ \t]+)?def|class)[ \t]+(?:{known})\b"
    assigned = rf"(?:{known})[ \t]*(?::[^=\n]{{0,80}})?=(?!=)"
    indent = r"[ \t]+" if within else ""
    return re.compile(rf"^{indent}(?:{defined}|{assigned})", re.MULTILINE)


def continued(prompt: str, code: str, entry_point: str | None) -> tuple[str, str]:
    """Return the source of a response that continues the prompt's code, and the prompt's part that its tests may rely on.

    A response may give the function's body, or the whole function once more; the prompt's imports and helpers go before either.
    """
    prompt = prompt.replace("\r\n", "\n")
    head = trusted_part(prompt, entry_point)
    if entry_point and _defining(frozenset({entry_point})).search(code):
        return f"{head}\n\n{code}", head
    return f"{prompt.rstrip()}\n{_as_body(code)}", head


def _as_body(code: str) -> str:
    """Indent a function's body that came without its indentation, or without that of its first line.

    By its text alone: Python's parser can be made to use all memory, or to crash, and this is untrusted code outside of the jail.
    """
    lines = [line for line in code.split("\n") if line.strip()]
    if not lines or lines[0][0] in " \t":
        return code
    indents = [len(line) - len(line.lstrip()) for line in lines[1:]]
    opens_block = lines[0].rstrip().endswith(":") and bool(indents) and indents[0] <= len(INDENT)
    if indents and min(indents) >= len(INDENT) and not opens_block:
        return INDENT + code.lstrip()
    return textwrap.indent(code, INDENT)


def trusted_part(prompt: str, entry_point: str | None) -> str:
    """Return the prompt's code without the function that is asked for; empty where the prompt isn't code."""
    try:
        body = ast.parse(prompt).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    kept = [
        node
        for node in body
        if getattr(node, "name", None) != entry_point or not isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    return "\n\n".join(ast.unparse(node) for node in kept)
