"""Licensing: what a build's manifest says of licences and terms, what follows from it, and the gate at export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from storage.errors import LicenseRefused
from storage.sql import explained, parquet_in
from storage.workspace import Workspace
from tasks.bound import Bound, Inherited, covers, joined, split
from tasks.license import LicenseOptions, effective, parse, refusal, together
from tasks.teachers.options import BATCH, TeacherOptions
from tasks.terms import SEPARATOR, Agreement, Terms, load

NOTHING = "NONE"
"""The licence of no rows, in SPDX's word."""
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
    sources: Mapping[str, str | None],
    inherited: Sequence[Inherited] = (),
) -> Licensing:
    """Return the manifest's `licensing`, of what is kept; where nothing is, of all that could have been.

    `kept` must be there. `text` is the licence of the template's texts. `sources`: attributions, where the spec has any.
    """
    found = workspace.rows(
        "SELECT source, license, teacher, min(ord) AS first FROM (SELECT DISTINCT ord, teacher FROM kept) "
        "JOIN prompts USING (ord) GROUP BY ALL ORDER BY first, teacher, source, license"
    )
    rows = [(source, license_, teacher) for source, license_, teacher, _ in found]
    if not rows:
        listed = workspace.rows(
            "SELECT source, license, min(ord) AS first FROM prompts ANTI JOIN barred USING (ord) "
            "WHERE license IS NOT NULL GROUP BY ALL ORDER BY first, source, license"
        )
        rows = [(source, license_, teacher) for source, license_, _ in listed for teacher in range(len(teachers))]
    prompts = dict.fromkeys((source, together([parse(license_, what="license")])) for source, license_, _ in rows)
    used = sorted({teacher for _, _, teacher in rows})
    pairs = dict.fromkeys((license_, teacher) for _, license_, teacher in rows)
    whole = [effective(license_, str(teachers[number].options.license), text=text).license for license_, number in pairs]
    return {
        "sources": [
            {"source": source, "license": license_}
            | ({"attribution": sources[source]} if sources.get(source) else {})
            | next((_inherited(each) for each in inherited if each.source == source), {})
            for source, license_ in prompts
        ],
        "teachers": [_teacher(teachers[number]) for number in used],
        "text": [] if text is None else [{"what": "template", "license": text}],
        "license": together(parse(each, what="license") for each in whole) if whole else NOTHING,
    }


def _teacher(teacher: Licensee) -> dict[str, Any]:
    options, bound = teacher.options, teacher.bound
    license_ = str(options.license)
    agreements = bound.agreements
    given = next(iter(bound.acknowledged.values()), None)
    return {
        "name": options.name,
        "provider": options.vendor,
        "model": options.model,
        "license": license_,
        "terms": bound.terms,
        "terms_name": "; ".join(each.name for each in agreements) or None,
        "terms_url": " ".join(each.url for each in agreements if each.url) or None,
        "terms_as_of": ", ".join(str(each.as_of) for each in agreements if each.as_of) or None,
        "train_use": effective(None, license_, terms=bound).train_use,
        "duties": [duty for each in agreements for duty in each.duties],
        "notices": [each.notice for each in agreements if each.notice],
        "agreements": [each.model_dump(mode="json", exclude={"hosts", "models"}, exclude_none=True) for each in agreements],
        "generation": options.generation,
        "acknowledgement": None
        if given is None
        else {"who": given.who, "why": given.why, "agreement": given.agreement, "terms": list(bound.acknowledged)},
    }


def _inherited(each: Inherited) -> dict[str, Any]:
    return {"terms": each.terms, "train_use": each.training, "acknowledgement": each.acknowledgement}


def duties(licensing: Mapping[str, Any]) -> list[str]:
    """Return what whoever trains on the dataset, or passes it on, has to do, each once, with whose terms ask for it."""
    found = [(duty, each["terms_name"]) for each in licensing["teachers"] for duty in each["duties"]]
    return [f"{duty} ({name})" for duty, name in dict.fromkeys(found)]


def notice_lines(licensing: Mapping[str, Any]) -> list[str]:
    """Return what NOTICE has to say of sources, texts, teachers, their terms and what was acknowledged."""
    lines = [
        f"Prompts of {each.get('attribution') or each['source']}, licensed {each['license']}." for each in licensing["sources"]
    ]
    lines += [f"Text of the {each['what']}, licensed {each['license']}." for each in licensing["text"]]
    for each in licensing["sources"]:
        if each.get("terms"):
            said = each["acknowledgement"] or f"training other models is {each['train_use']}"
            lines.append(f"Prompts of {each['source']} are a model's text, under terms {each['terms']}: {said}.")
    for each in licensing["teachers"]:
        terms = f", under {each['terms_name']} ({each['terms_url'] or each['terms']})" if each["terms"] else ""
        lines.append(f"Responses of {each['model']} ({each['provider']}), licensed {each['license']}{terms}.")
        if (given := each["acknowledgement"]) is not None:
            lines.append(
                f"{each['terms_name']} restricts training other models on these responses. {given['who']} answers for it: "
                f"{given['why'].rstrip('.')}. It rests on: {given['agreement'].rstrip('.')}."
            )
    notices = dict.fromkeys(line for each in licensing["teachers"] for line in each["notices"])
    return [*lines, *notices, *duties(licensing)]


def regate(traces: Path, options: LicenseOptions, terms: Terms, teachers: Mapping[str, Iterable[str]]) -> None:
    """Raise LicenseRefused where a landed build's traces (a folder) may not be passed on, as the table and the lists are now.

    `teachers`: the ids of the terms that would bind each teacher today. A build may be older than the table, or than the column.
    """
    for row in _distinct(traces):
        said = f"{row['number']:,} traces of teacher {row['teacher']!r}"
        if (why := refusal(row["license"], options)) is not None:
            raise LicenseRefused(f"{said}: {why}")
        for name in dict.fromkeys([*split(row["terms"]), *teachers.get(row["teacher"], ())]):
            agreement = terms.known(name)
            forbidden = row["train_use"] == "restricted" if agreement is None else agreement.training == "restricted"
            if forbidden and not covers(row["acknowledgement"], name):
                what = name if agreement is None else f"{agreement.name} ({name})"
                raise LicenseRefused(
                    f"{said} are under {what}, which restricts training other models, and nobody has acknowledged that: add "
                    "`licenses: {acknowledge: …}` to the spec and build again, which buys nothing, then export"
                )


def inherit(source: str, traces: Path) -> Inherited:
    """Return what binds the traces of another lake's build (a folder), which `regate` let through."""
    rows = _distinct(traces)
    uses = {row["train_use"] for row in rows}
    return Inherited(
        source=source,
        terms=joined(SEPARATOR, *(row["terms"] for row in rows)),
        acknowledgement=joined("; ", *(row["acknowledgement"] for row in rows)),
        training="restricted" if "restricted" in uses else "unknown" if "unknown" in uses else "allowed",
    )


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
    there = set(pq.read_schema(first).names)
    listed = ", ".join(name if name in there else f"NULL::TEXT AS {name}" for name in columns)
    with explained(), duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {listed}, count(*) FROM {parquet_in(traces)} GROUP BY ALL ORDER BY ALL").fetchall()
    return [dict(zip([*columns, "number"], row, strict=True)) for row in rows]
