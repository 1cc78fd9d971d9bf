"""Licensing: what a build's manifest says of licences and terms, what follows from it, and the gate at export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from storage.errors import LicenseRefused
from storage.parquet import UNREADABLE, unreadable
from storage.sql import explained, parquet_in
from storage.wording import counted
from storage.workspace import Workspace
from tasks.license import LicenseOptions, effective, parse, refusal, together
from tasks.rights.bound import Acknowledgement, Bound, Inherited, covers, joined, split, strictest
from tasks.rights.terms import SEPARATOR, Agreement, Terms, load
from tasks.sources.shown import shown
from tasks.teachers.options import BATCH, TeacherOptions

NOTHING = "NONE"
"""The licence of no rows, in SPDX's word."""
FINDING = {"hosts", "models", "resells"}
"""What of an agreement only says whom it binds."""
Licensing = dict[str, Any]
"""The manifest's key `licensing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensee:
    """A drawing teacher with what binds it."""

    options: TeacherOptions
    """As the spec gives it; the gate let it through."""
    bound: Bound
    """Its terms."""


def describe(
    workspace: Workspace,
    teachers: Sequence[Licensee],
    *,
    text: str | None,
    sources: Mapping[str, str],
    inherited: Sequence[Inherited] = (),
) -> Licensing:
    """Return the manifest's `licensing`, of what is kept; where nothing is, of all that could have been.

    `untraced` has the sources of the other prompts: no trace is made of them here, and another dataset may take them. `kept` must
    be there. `text` is the licence of the template's texts. `sources`: attributions, by source, where there are any.
    """
    found = workspace.rows(
        "SELECT source, license, arm, min(ord) AS first FROM (SELECT DISTINCT ord, arm FROM kept) "
        "JOIN prompts USING (ord) GROUP BY ALL ORDER BY first, arm, source, license"
    )
    rows = [(source, license_, arm) for source, license_, arm, _ in found]
    if not rows:
        listed = workspace.rows(
            "SELECT source, license, min(ord) AS first FROM prompts ANTI JOIN barred USING (ord) "
            "WHERE license IS NOT NULL GROUP BY ALL ORDER BY first, source, license"
        )
        rows = [(source, license_, arm) for source, license_, _ in listed for arm in range(len(teachers))]
    prompts = dict.fromkeys((source, together([parse(license_, what="license")])) for source, license_, _ in rows)
    known = workspace.rows(
        "SELECT source, license, min(ord) AS first FROM prompts WHERE license IS NOT NULL "
        "GROUP BY ALL ORDER BY first, source, license"
    )
    licensed = [(source, license_) for source, license_, _ in known if refusal(license_, LicenseOptions()) is None]
    others = dict.fromkeys((source, together([parse(license_, what="license")])) for source, license_ in licensed)

    def described(source: str, license_: str) -> dict[str, Any]:
        credit = {"attribution": sources[source]} if sources.get(source) else {}
        bound = next((_inherited(each) for each in inherited if each.source == source), {})
        return {"source": source, "license": license_} | credit | bound

    # A teacher stands among `teachers` once for each of its strategies.
    used = {teachers[number].options.name: teachers[number] for number in sorted({arm for _, _, arm in rows})}
    pairs = dict.fromkeys((license_, arm) for _, license_, arm in rows)
    whole = [effective(license_, str(teachers[number].options.license), text=text).license for license_, number in pairs]
    return {
        "sources": [described(*each) for each in prompts],
        "untraced": [described(*each) for each in others if each not in prompts],
        "teachers": [describe_teacher(each) for each in used.values()],
        "text": [] if text is None else [{"what": "template", "license": text}],
        "license": together(parse(each, what="license") for each in whole) if whole else NOTHING,
    }


def describe_teacher(teacher: Licensee) -> dict[str, Any]:
    """Return an entry of the manifest's `licensing.teachers`."""
    options, bound = teacher.options, teacher.bound
    license_ = str(options.license)
    agreements = bound.agreements
    # Of several terms, each may have been acknowledged by another person.
    answered: dict[Acknowledgement, list[str]] = {}
    for name, one in bound.acknowledged.items():
        answered.setdefault(one, []).append(name)
    given = [{"who": one.who, "why": one.why, "agreement": one.agreement, "terms": names} for one, names in answered.items()]
    return {
        "name": options.name,
        "provider": options.vendor,
        "model": options.model,
        **({"revision": options.revision} if options.revision else {}),
        "license": license_,
        "terms": bound.terms,
        "terms_name": "; ".join(each.name for each in agreements) or None,
        "terms_url": " ".join(each.url for each in agreements if each.url) or None,
        "terms_as_of": ", ".join(str(each.as_of) for each in agreements if each.as_of) or None,
        "train_use": effective(None, license_, terms=bound).train_use,
        "duties": [duty for each in agreements for duty in each.duties],
        "notices": [each.notice for each in agreements if each.notice],
        "agreements": [each.model_dump(mode="json", exclude=FINDING, exclude_none=True) for each in agreements],
        "generation": options.generation,
        "acknowledgement": given[0] if given else None,
        "acknowledgements": given,
    }


def _inherited(each: Inherited) -> dict[str, Any]:
    said = {"terms": each.terms, "train_use": each.training, "acknowledgement": each.acknowledgement}
    bound = each.terms is not None or each.training != "allowed"
    return (said if bound else {}) | ({"origin": dict(each.origin)} if each.origin else {})


def regate(traces: Path, options: LicenseOptions, terms: Terms, teachers: Mapping[str, Iterable[str]]) -> None:
    """Raise LicenseRefused where a landed build's traces (a folder) may not be passed on, as the table and the lists are now.

    `teachers`: the ids of the terms that would bind each teacher today. A build may be older than the table, or than the column.
    """
    for row in _distinct(traces):
        said = f"{counted(row['number'], 'trace')} of teacher {row['teacher']!r}"
        if (why := refusal(row["license"], options)) is not None:
            raise LicenseRefused(f"{said}: {why}")
        gate_row(row, terms, also=teachers.get(row["teacher"], ()), said=said)


def gate_row(row: Mapping[str, Any], terms: Terms, *, also: Iterable[str] = (), said: str) -> None:
    """Raise LicenseRefused where terms restrict training, and nobody has acknowledged that.

    `row` has `terms`, `train_use` and `acknowledgement`; `also`: other ids that bind it; `said` names it in the message.
    """
    for name in dict.fromkeys([*split(row["terms"]), *also]):
        agreement = terms.known(name)
        forbidden = row["train_use"] == "restricted" if agreement is None else agreement.training == "restricted"
        if forbidden and not covers(row["acknowledgement"], name):
            what = name if agreement is None else f"{agreement.name} ({name})"
            raise LicenseRefused(
                f"{said} are under {what}, which restricts training other models, and nobody has acknowledged that: add "
                "`licenses: {acknowledge: …}` to the spec and build again, which buys nothing, then export"
            )


def gate_origins(build: Mapping[str, Any], terms: Terms) -> None:
    """Raise LicenseRefused where terms of today restrict what models wrote of a landed build's prompts, and didn't bind it then.

    What did bind it stands in the traces. Their addresses aren't known any more, so they are found by the models' names.
    """
    for each in build.get("licensing", {}).get("sources", ()):
        found = dict.fromkeys(one.id for teacher in _authors(each) for one in _unbound(teacher, terms))
        row = {"terms": None, "train_use": each.get("train_use", "allowed"), "acknowledgement": each.get("acknowledgement")}
        gate_row(row, terms, also=found, said=f"prompts of {shown(each['source'])}")


def _authors(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the models that wrote a source's prompts, or what these were made of."""
    origin = source.get("origin", {})
    yield from origin.get("teachers", ())
    for each in origin.get("sources", ()):
        yield from _authors(each)


def _unbound(teacher: Mapping[str, Any], terms: Terms) -> Sequence[Agreement]:
    """Return what binds a teacher today that nothing had bound."""
    return () if teacher["terms"] else terms.of(provider=teacher["provider"], urls=(), model=teacher["model"])


def with_untraced(licensing: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a build's manifest says of all of its prompts, those without a trace among them."""
    return {**licensing, "sources": [*licensing.get("sources", ()), *licensing.get("untraced", ())]}


def inherit(source: str, licensing: Mapping[str, Any], traces: Path | None) -> Inherited:
    """Return what binds prompts from another lake's build, of which `licensing` is what the manifest says.

    `traces`: the build's (a folder), which `regate` let through, where their responses are prompts here. Without them, only what
    that build's own prompts brought along. Of prompts without a trace, call `with_untraced` first.
    """
    sources = licensing.get("sources", ())
    own: list[dict[str, Any]] = [each for each in sources if "train_use" in each]
    parts = own if traces is None else _distinct(traces)
    named = ("sources",) if traces is None else ("sources", "teachers", "text")
    return Inherited(
        source=source,
        terms=joined(SEPARATOR, *(each["terms"] for each in parts)),
        acknowledgement=joined("; ", *(each["acknowledgement"] for each in parts)),
        training=strictest(each["train_use"] for each in parts),
        origin={name: list(found) for name in named if (found := licensing.get(name))},
    )


def merged(inherited: Iterable[Inherited]) -> list[Inherited]:
    """Return one of each source, since a source may stand several times among a spec's prompts: what the strictest says."""
    found: dict[str, Inherited] = {}
    for each in inherited:
        known = found.get(each.source, each)
        names = dict.fromkeys([*known.origin, *each.origin])
        origin = {name: [*known.origin.get(name, ()), *each.origin.get(name, ())] for name in names}
        found[each.source] = Inherited(
            source=each.source,
            terms=joined(SEPARATOR, known.terms, each.terms),
            acknowledgement=joined("; ", known.acknowledgement, each.acknowledgement),
            training=strictest((known.training, each.training)),
            origin={name: [one for place, one in enumerate(all_) if one not in all_[:place]] for name, all_ in origin.items()},
        )
    return list(found.values())


def terms_now(build: Mapping[str, Any], options: LicenseOptions) -> Terms:
    """Return the table by which a landed build (its manifest) is exported.

    Where the file of the user's own terms is gone, what the build has noted of them stands in.
    """
    if options.terms is None or Path(options.terms).expanduser().exists():
        return load(options.terms)
    teachers = build.get("licensing", {}).get("teachers", ())
    noted = {each["id"]: Agreement.model_validate(each) for teacher in teachers for each in teacher["agreements"]}
    return Terms(agreements=(*noted.values(), *(each for each in load().agreements if each.id not in noted)))


def bound_now(build: Mapping[str, Any], terms: Terms) -> dict[str, list[str]]:
    """Return the ids of what the table says binds a landed build's teachers, by their names, as its manifest has them."""
    found = {}
    for teacher in build.get("spec", {}).get("teachers", ()):
        if teacher.get("terms") is not None:
            found[teacher["name"]] = [teacher["terms"]]
            continue
        own = teacher.get("base_url")
        urls = [replica.get("base_url") or own for replica in teacher.get("replicas") or [{}]]
        agreements = terms.of(provider=teacher["provider"].removesuffix(BATCH), urls=urls, model=teacher["model"])
        found[teacher["name"]] = [each.id for each in agreements]
    return found


def _distinct(traces: Path) -> list[dict[str, Any]]:
    first = next(iter(sorted(traces.glob("*.parquet"))), None)
    if first is None:
        return []
    columns = ["teacher", "license", "terms", "train_use", "acknowledgement"]
    try:
        there = set(pq.read_schema(first).names)
    except UNREADABLE as error:
        raise unreadable(first, error) from error
    listed = ", ".join(name if name in there else f"NULL::TEXT AS {name}" for name in columns)
    with explained(), duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {listed}, count(*) FROM {parquet_in(traces)} GROUP BY ALL ORDER BY ALL").fetchall()
    return [dict(zip([*columns, "number"], row, strict=True)) for row in rows]
