"""The licence gate: no licence, no trace.

A trace's effective licence is its prompt's AND its teacher's, and holds to what either asks; so the gate judges each of them,
before anything is spent.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from license_expression import ExpressionError, LicenseSymbol, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing
from pydantic import Field

from storage.errors import LicenseRefused, SpecError
from tasks.options import Options

TrainUse = Literal["allowed", "restricted", "unknown"]
_REFERENCE = re.compile(r"\b(?:DocumentRef-[\w.-]+:)?LicenseRef-[\w.-]+")


class LicenseOptions(Options):
    """The spec's `licenses`."""

    allow: list[str] | None = Field(default=None, min_length=1)
    """SPDX ids that a licence may consist of. Left out: any."""
    deny: list[str] = []
    """SPDX ids that it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensed:
    """Something with a licence: a prompt source or a teacher."""

    what: str
    """For messages: the path in the spec and the name."""
    license: str | None
    """As the spec gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What holds for a trace of one prompt licence and one teacher."""

    license: str
    """SPDX expression."""
    train_use: TrainUse
    """Whether a model may be trained on it, as far as the licences say."""


def parse(expression: str, *, what: str) -> Any:
    """Return the parsed expression. Raise SpecError where it isn't SPDX, with the nearest that is."""
    licensing = _licensing()
    references = set(_REFERENCE.findall(expression)) - set(licensing.known_symbols)
    if references:
        licensing = Licensing([*licensing.known_symbols.values(), *(LicenseSymbol(name) for name in sorted(references))])
    try:
        return licensing.parse(expression, validate=True, strict=True)
    except (ExpressionError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"{what}: {expression!r} isn't an SPDX licence expression{_near(expression)}") from error


def gate(parts: Iterable[Licensed], options: LicenseOptions) -> None:
    """Raise SpecError where a part's licence isn't SPDX, LicenseRefused where it has none or one that isn't allowed."""
    allow = None if options.allow is None else _ids("allow", options.allow)
    deny = _ids("deny", options.deny)
    parsed = [(part, None if part.license is None else parse(part.license, what=part.what)) for part in parts]
    for part, expression in parsed:
        if expression is None:
            raise LicenseRefused(
                f"{part.what} has no license: add `license:` with an SPDX expression; without one nothing is built"
            )
        if not _satisfiable(expression, allow, deny):
            allowed = f"licenses.allow has {', '.join(options.allow)}" if options.allow else "licenses.deny excludes it"
            raise LicenseRefused(f"{part.what} is licensed {part.license}, and {allowed}")


def effective(prompt: str, teacher: str, *, terms: str | None) -> Effective:
    """Return what holds for a trace, given both licences."""
    sides = [str(parse(side, what="license")) for side in (prompt, teacher)]
    whole = _joined(sides)
    names = {str(symbol) for side in sides for symbol in _symbols(parse(side, what="license"))}
    use: TrainUse = "allowed"
    if terms is not None or any("LicenseRef-" in name for name in names):
        use = "unknown"
    if any(re.search(r"-(NC|ND)(-|$)", name) for name in names):
        use = "restricted"
    return Effective(license=whole, train_use=use)


def identifiers(expression: str) -> list[str]:
    """Return the licences of which an expression consists, in order; what isn't SPDX as it stands."""
    try:
        return sorted({str(symbol) for symbol in _symbols(parse(expression, what="license"))})
    except SpecError:
        return [expression]


def _joined(sides: Sequence[str]) -> str:
    if sides[0] == sides[1]:
        return sides[0]
    return " AND ".join(f"({side})" if " OR " in side else side for side in sides)


@functools.cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


def _near(expression: str) -> str:
    known = {name.casefold(): name for name in _licensing().known_symbols}
    close = difflib.get_close_matches(expression.casefold(), known, n=1, cutoff=0.5)
    return f"; did you mean {known[close[0]]}?" if close else "; see spdx.org/licenses"


def _symbols(expression: Any) -> list[Any]:
    if isinstance(expression, LicenseSymbol | LicenseWithExceptionSymbol):
        return [expression]
    return [symbol for part in expression.args for symbol in _symbols(part)]


def _ids(name: str, listed: Sequence[str]) -> set[str]:
    """Return a list of the spec's as the ids that SPDX has today: GPL-2.0 is GPL-2.0-only."""
    found = set()
    for number, license_id in enumerate(listed):
        what = f"licenses.{name}[{number}]"
        parsed = parse(license_id, what=what)
        if not isinstance(parsed, LicenseSymbol | LicenseWithExceptionSymbol):
            raise SpecError(f"{what}: {license_id!r} must be one licence; list each on its own")
        found.add(str(parsed))
    return found


def _satisfiable(expression: Any, allow: set[str] | None, deny: set[str]) -> bool:
    """Whether some choice among the alternatives (OR) uses allowed licences only."""
    if isinstance(expression, LicenseSymbol | LicenseWithExceptionSymbol):
        names = {str(expression)}
        if isinstance(expression, LicenseWithExceptionSymbol):
            names.add(str(expression.license_symbol))  # an exception only permits more
        return not names & deny and (allow is None or bool(names & allow))
    results = [_satisfiable(part, allow, deny) for part in expression.args]
    return any(results) if expression.operator.strip() == "OR" else all(results)
