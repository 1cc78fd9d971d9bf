"""The licence gate: no licence, no trace.

A trace's effective licence is its prompt's AND its teacher's AND, where the template's texts have one, theirs. It holds to what
each of them asks; so the gate judges each, before anything is spent.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from license_expression import ExpressionError, LicenseSymbol, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing
from pydantic import Field

from storage.errors import LicenseRefused, SpecError
from storage.sql import literal
from storage.workspace import Workspace
from tasks.barred import bar
from tasks.options import Options, PathText
from tasks.rights.bound import Acknowledgement, Bound, freest, strictest
from tasks.rights.terms import Training

MOST = 1_000
"""Different licences among the rows of all sources; what has more is no column of licences."""
_REFERENCE = re.compile(r"\b(?:DocumentRef-[\w.-]+:)?LicenseRef-[\w.-]+")
_REFERENCES = re.compile(r"\b(license|document)ref-", re.IGNORECASE)
"""In whichever case these are written: it says nothing."""
_LATER = re.compile(r"(?<![\w.-])([\w.-]+)\+(?![\w.+-])")
"""An id and the sign by which later versions of that licence do as well."""
_NO_EXCEPTION = re.compile(r".*-with-.*|eCos-2\.0")
"""Old ids of licences with an exception, which the package takes for exceptions."""
_WITHIN = {"ecos-2.0": "gpl-2.0-or-later", "wxwindows": "lgpl-2.0-or-later"}
"""Those of them that don't name the licence to which the exception is, in lower case."""
_RESTRICTED = re.compile(r"-(NC|ND)(-|$)|non-?commercial|^NCGL-", re.IGNORECASE)


class LicenseOptions(Options):
    """The spec's `licenses`."""

    allow: list[str] | None = Field(default=None, min_length=1)
    """SPDX ids that a licence may consist of. Left out: any."""
    deny: list[str] = []
    """SPDX ids that it may not."""
    terms: PathText | None = None
    """A file of provider terms of one's own, in the form of `rights/terms.yaml`. Left out: the one in STILLHOUSE_TERMS."""
    acknowledge: tuple[Acknowledgement, ...] = ()
    """Terms that restrict training other models, and who answers for training on it all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensed:
    """Something with a licence: a prompt source, a teacher, the template's texts."""

    what: str
    """For messages: the path in the spec and the name."""
    license: str | None
    """As the spec gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What holds for a trace of one prompt licence and one teacher."""

    license: str
    """SPDX expression."""
    train_use: Training
    """Whether other models may be trained on it, as far as licences and terms say. An acknowledgement changes nothing of that."""


def parse(expression: str, *, what: str, suggest: bool = True) -> Any:
    """Return the parsed expression. Raise SpecError where it isn't SPDX, with the nearest that is."""
    licensing, given = _licensing(), expression
    expression = _REFERENCES.sub(lambda found: f"{found[1].title()}Ref-", expression)
    # Case says nothing in an id, so two that differ in nothing else are one: the first.
    added = {name.casefold(): name for name in [*_later(expression), *reversed(_REFERENCE.findall(expression))]}
    if added:
        symbols = licensing.known_symbols.values()
        # The package takes some references for what others call a licence, such as LicenseRef-Apache-2.0.
        known = {name.casefold() for symbol in symbols for name in (symbol.key, *getattr(symbol, "aliases", ()))}
        own = [LicenseSymbol(name) for key, name in sorted(added.items()) if key not in known]
        licensing = Licensing([*symbols, *own])
    try:
        return licensing.parse(expression, validate=True, strict=True)
    except (ExpressionError, AssertionError, LookupError, TypeError, ValueError, RecursionError) as error:
        near = _near(given) if suggest else ""
        raise SpecError(f"{what}: {given!r} isn't an SPDX licence expression{near}") from error


def gate(parts: Iterable[Licensed], options: LicenseOptions) -> None:
    """Raise SpecError where a part's licence isn't SPDX, LicenseRefused where it has none or one that isn't allowed."""
    _ids("allow", options.allow or ())
    _ids("deny", options.deny)
    parsed = [(part, None if part.license is None else parse(part.license, what=part.what)) for part in parts]
    for part, expression in parsed:
        if expression is None:
            raise LicenseRefused(
                f"{part.what} has no license: add `license:` with an SPDX expression; without one nothing is built"
            )
        if not _allowed(expression, options):
            raise LicenseRefused(f"{part.what} is licensed {part.license}, {_says(expression, options)}")


def bar_unlicensed(workspace: Workspace, options: LicenseOptions) -> int:
    """Bar the prompts whose own licence is missing, isn't SPDX, or isn't allowed; return how many.

    A row without a licence taints no other. Raise SpecError where there are too many different ones to be licences.
    """
    listed = workspace.rows(f"SELECT DISTINCT license FROM prompts ORDER BY license LIMIT {MOST + 1}")
    if len(listed) > MOST:
        raise SpecError(f"prompts: fields.license gives more than {MOST:,} different licences; is it the right column?")
    why = {license_: refusal(license_, options) for (license_,) in listed}
    refused = ", ".join(f"({_sql(license_)}, {literal(reason)})" for license_, reason in why.items() if reason is not None)
    if not refused:
        return 0
    return bar(
        workspace,
        "license",
        f"SELECT ord, refused.reason FROM prompts JOIN (VALUES {refused}) AS refused(license, reason) "
        "ON prompts.license IS NOT DISTINCT FROM refused.license",
    )


def licenses(workspace: Workspace) -> list[str]:
    """Return the licences of the prompts that aren't barred, in their own order."""
    rows = workspace.rows(
        "SELECT DISTINCT license FROM prompts ANTI JOIN barred USING (ord) WHERE license IS NOT NULL ORDER BY license"
    )
    return [license_ for (license_,) in rows]


def freest_first(workspace: Workspace) -> None:
    """Give the `candidates` the places of their prompts' licences: the freest first, and then by their texts.

    What several sources have may be taken from any of them. So which one it is never depends on their order.
    """
    known = licenses(workspace)
    if len(known) < 2:  # noqa: PLR2004 - nothing to choose from
        return
    uses: Sequence[Training] = ("allowed", "unknown", "restricted")
    known.sort(key=lambda license_: uses.index(effective(license_, license_).train_use))
    workspace.execute("CREATE TABLE places (license VARCHAR, rights SMALLINT)")
    workspace.execute(f"INSERT INTO places VALUES {', '.join(f'({literal(each)}, {n})' for n, each in enumerate(known))}")
    workspace.execute(
        "UPDATE candidates SET rights = found.rights FROM (SELECT ord, rights FROM prompts JOIN places USING (license)) AS found "
        "WHERE candidates.ord = found.ord AND stage IS NULL AND found.rights > 0"
    )
    workspace.execute("DROP TABLE places")


def refusal(license_: str | None, options: LicenseOptions) -> str | None:
    """Return why a prompt's own licence isn't let through; None where it is."""
    if license_ is None or not license_.strip():
        return "no license"
    try:
        expression = parse(license_, what="license", suggest=False)
    except SpecError:
        return f"{license_!r} isn't an SPDX licence expression"
    return None if _allowed(expression, options) else f"licensed {license_}, {_says(expression, options)}"


def effective(prompt: str | None, teacher: str, *, terms: Bound | None = None, text: str | None = None) -> Effective:
    """Return what holds for a trace, given the licences of the prompt, the teacher and the template's texts, and its terms.

    Without a prompt's: what holds for the teacher's part alone.
    """
    given = {"prompt": prompt, "teacher": teacher, "text": text}
    sides = {name: parse(side, what="license") for name, side in given.items() if side is not None}
    # What a reference of one's own says, nobody here knows; a teacher's is known by its terms, where it has any.
    explained = {"teacher"} if terms is not None and terms.agreements else set()
    uses = [_use(side, explained=name in explained) for name, side in sides.items()]
    use = strictest([*uses, terms.training if terms is not None else "allowed"])
    return Effective(license=together(sides.values()), train_use=use)


def _use(expression: Any, *, explained: bool) -> Training:
    """Return what a licence says of training; of alternatives (OR), whoever trains chooses."""
    if _is_symbol(expression):
        name = str(expression)
        if _RESTRICTED.search(name):
            return "restricted"
        return "unknown" if "LicenseRef-" in name and not explained else "allowed"
    uses = {_use(part, explained=explained) for part in expression.args}
    return freest(uses) if expression.operator.strip() == "OR" else strictest(uses)


def together(parts: Iterable[Any]) -> str:
    """Return what holds where all of these parsed expressions do: each part once, in the order in which they come first."""
    found: dict[frozenset[str], list[str]] = {}
    waiting = list(parts)[::-1]
    while waiting:
        part = waiting.pop()
        if _is_symbol(part):
            found.setdefault(frozenset([str(part)]), [str(part)])
        elif part.operator.strip() == "AND":
            waiting += part.args[::-1]
        else:
            choices = {str(each): each for each in _choices(part)}
            if len(choices) == 1:
                waiting += choices.values()
            else:
                found.setdefault(frozenset(choices), list(choices))
    groups = [" OR ".join(f"({each})" if " AND " in each else each for each in choices) for choices in found.values()]
    return groups[0] if len(groups) == 1 else " AND ".join(f"({each})" if " OR " in each else each for each in groups)


def _choices(expression: Any) -> list[Any]:
    if _is_symbol(expression) or expression.operator.strip() == "AND":
        return [expression]
    return [choice for part in expression.args for choice in _choices(part)]


def _allowed(expression: Any, options: LicenseOptions) -> bool:
    allow = None if options.allow is None else _ids("allow", options.allow)
    return _satisfiable(expression, allow, _ids("deny", options.deny))


def _says(expression: Any, options: LicenseOptions) -> str:
    if options.allow is None or _allowed(expression, options.model_copy(update={"deny": []})):
        return "and licenses.deny excludes it"
    return f"and licenses.allow has {', '.join(options.allow)}"


def _sql(text: str | None) -> str:
    return "NULL" if text is None else literal(text)


def identifiers(expression: str) -> list[str]:
    """Return the licences of which an expression consists, in order; what isn't SPDX as it stands."""
    try:
        return sorted({str(symbol) for symbol in _symbols(parse(expression, what="license"))})
    except SpecError:
        return [expression]


@functools.cache
def _licensing() -> Licensing:
    licensing = get_spdx_licensing()
    for name, symbol in licensing.known_symbols.items():
        symbol.is_exception = symbol.is_exception and not _NO_EXCEPTION.fullmatch(name)
    return licensing


def _later(expression: str) -> Iterator[str]:
    """Yield the ids with a plus, as SPDX spells them, but for GNU's, which the package knows under their new names."""
    if named := {name.casefold() for name in _LATER.findall(expression)}:
        yield from (f"{name}+" for name in _licensing().known_symbols if name.casefold() in named)


def _near(expression: str) -> str:
    known = {name.casefold(): name for name in _licensing().known_symbols}
    family = re.compile(re.escape(expression.casefold()) + r"-\d+(\.\d+)*(-only)?")
    if versions := sorted(name for name in known if family.fullmatch(name)):
        return f"; did you mean {known[versions[-1]]!r}?"
    close = difflib.get_close_matches(expression.casefold(), known, n=1, cutoff=0.75)
    if close and known[close[0]] != expression:
        return f"; did you mean {known[close[0]]!r}?"
    return "; see spdx.org/licenses, or call one of your own LicenseRef-NAME"


def _is_symbol(expression: Any) -> bool:
    return isinstance(expression, LicenseSymbol | LicenseWithExceptionSymbol)


def _symbols(expression: Any) -> list[Any]:
    if _is_symbol(expression):
        return [expression]
    return [symbol for part in expression.args for symbol in _symbols(part)]


def _ids(name: str, listed: Sequence[str]) -> set[str]:
    """Return a list of the spec's as the ids that SPDX has today, in lower case, which says nothing: GPL-2.0 is gpl-2.0-only."""
    found = set()
    for number, license_id in enumerate(listed):
        what = f"licenses.{name}[{number}]"
        parsed = parse(license_id, what=what)
        if not isinstance(parsed, LicenseSymbol | LicenseWithExceptionSymbol):
            raise SpecError(f"{what}: {license_id!r} must be one licence; list each on its own")
        found.add(str(parsed).casefold())
    return found


def _satisfiable(expression: Any, allow: set[str] | None, deny: set[str]) -> bool:
    """Whether some choice among the alternatives (OR) uses allowed licences only."""
    if _is_symbol(expression):
        names = _names(expression)
        return not names & deny and (allow is None or bool(names & allow))
    results = [_satisfiable(part, allow, deny) for part in expression.args]
    return any(results) if expression.operator.strip() == "OR" else all(results)


def _names(symbol: Any) -> set[str]:
    """Return the names by which lists may mean a licence, in lower case: that with an exception, which only permits more, too."""
    own = str(symbol).casefold()
    within, _, exception = own.partition("-with-")
    names = {own, _WITHIN.get(own, f"{within}-only" if exception else own)}
    if isinstance(symbol, LicenseWithExceptionSymbol):
        names.add(str(symbol.license_symbol).casefold())
    return names | {name.removesuffix("+") for name in names}  # as later versions do
