"""NOTICE and LICENSE of an export: whose work its rows are made of, and what that asks of whoever passes them on."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.exports.contents import Contents
from tasks.license import identifiers

_WIDTH = 100
_CREDITED = ("CC-BY", "ODC-By", "ODbL")
"""How the ids of licences begin that ask for credit, as data sets mostly have them."""
_LLAMA = 'Display "Built with Llama" where this data, or a model that was trained on it, is distributed.'


def notice(contents: Contents) -> str:
    """Return the text of NOTICE."""
    licensing = contents.licensing
    lines = [
        contents.dataset,
        f"Made by stillhouse {contents.build.get('version', '')}, build {contents.build['build_id']}.",
        "",
        f"The rows as a whole are under: {licensing.license}",
        "Each row names its own licence in the column `license`.",
        *_section("Prompts", (_source(each) for each in licensing.sources)),
        *_section("Prompts with responses, written by people", (_source(each) for each in licensing.mixed)),
        *_section("Responses, made by these models", (_teacher(each) for each in licensing.teachers)),
        *_section("Distributions beside the tokens, made by these models", (_teacher(each) for each in licensing.scorers)),
        *_section("Prompts, made by these models", (_teacher(each) for each in licensing.origins)),
        *_section("Other text in the rows", (_text(each) for each in licensing.text)),
        *_section("Notices", ([line] for line in licensing.notices)),
        *_section("Changes", [[_changes(contents)]]),
        *_section("Licences", ([f"{name}: {link(name)}"] for name in licensing.ids)),
    ]
    return "\n".join(lines) + "\n"


_MIXED = " Of what people wrote, rows were selected, and none was edited."


def _changes(contents: Contents) -> str:
    """Return what was done to prompts and responses."""
    dedup = contents.spec.get("dedup") or {}
    alike = dedup.get("exact", True) or dedup.get("near") or dedup.get("semantic")
    before = ", ".join(["verified"] * bool(contents.judged) + ["deduplicated"] * bool(alike))
    return (
        "Prompts were selected, put into the template of the spec (manifest.json), and answered by the models above; responses "
        f"were {before}{' and ' if before else ''}selected. No response was edited.{_MIXED if contents.licensing.mixed else ''}"
    )


def license_text(contents: Contents) -> str:
    """Return the text of LICENSE: the expression, and where its parts can be read."""
    names = identifiers(contents.licensing.license)
    return "\n".join(
        [
            f"SPDX-License-Identifier: {contents.licensing.license}",
            "",
            "Each row names its own licence in the column `license`. NOTICE says whose works the rows are made of.",
            "",
            *(f"{name}: {link(name)}" for name in names),
            "",
        ]
    )


def link(license_id: str) -> str:
    """Return where a licence can be read."""
    if license_id.startswith(("LicenseRef-", "DocumentRef-")):
        return "no SPDX licence; its owner's terms hold"
    return f"https://spdx.org/licenses/{license_id.partition(' WITH ')[0].removesuffix('+')}.html"


def _section(title: str, items: Iterable[list[str]]) -> list[str]:
    found = list(items)
    lines = ["", title, "-" * len(title)] if found else []
    for first, *others in found:
        lines += _wrapped(first, "* ", "  ")
        for other in others:
            lines += _wrapped(other, "  ", "    ")
    return lines


def _wrapped(text: str, first: str, others: str) -> list[str]:
    """Return the lines of a text, in which addresses stay whole."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


def _source(each: Mapping[str, Any]) -> list[str]:
    lines = [str(each["source"]), f"Licence: {each['license']}"]
    lines += [f"Credit: {credit}" for credit in dict.fromkeys(credits_of(each))]
    if each.get("terms"):
        lines.append(f"Made by a model, under terms: {each['terms']}; training on it: {each['train_use']}")
    if each.get("acknowledgement"):
        lines.append(f"Acknowledged: {each['acknowledgement']}")
    return lines


def credits_of(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield whom a source's licence wants credited, each perhaps twice; of another dataset of ours, those whom it credits."""
    origin = source.get("origin", {}).get("sources", ())
    if source.get("attribution"):
        yield str(source["attribution"])
    elif not origin and any(name.startswith(_CREDITED) for name in identifiers(source["license"])):
        yield str(source["source"])
    for each in origin:
        yield from credits_of(each)


def _teacher(each: Mapping[str, Any]) -> list[str]:
    provider = f", asked through {each['provider']}" if each.get("provider") else ""
    lines = [f"{each['model']} (teacher {each['name']}{provider})", f"Licence: {each['license']}"]
    if each.get("terms"):
        dated = f", as of {each['terms_as_of']}" if each.get("terms_as_of") else ""
        lines.append(f"Terms: {each['terms']}{dated}{': ' + each['terms_url'] if each.get('terms_url') else ''}")
    if each.get("train_use"):
        lines.append(f"Training on its output: {each['train_use']}")
    lines += [f"Duty: {duty}" for duty in duties(each)]
    return [*lines, *map(_capital, acknowledgements(each))]


def acknowledgements(teacher: Mapping[str, Any]) -> list[str]:
    """Return who answers for training on a teacher's output, where its terms restrict that."""
    first = teacher.get("acknowledgement")
    given = teacher.get("acknowledgements") or ([first] if first else [])
    said = (f"acknowledged by {one['who']}: {one['why']} (agreement: {one['agreement']})" for one in given)
    return list(dict.fromkeys(said))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def duties(teacher: Mapping[str, Any]) -> list[str]:
    """Return what a teacher's terms ask for. Where a build is too old to know, what Llama's name asks for."""
    known = teacher.get("duties")
    if known is not None:
        return list(known)
    named = re.search(r"(?<![a-z])llama[-_ ]?\d", f"{teacher['model']} {teacher['license']}".casefold())
    return [_LLAMA] if named else []


def _text(each: Mapping[str, Any]) -> list[str]:
    return [str(each["what"]), f"Licence: {each['license']}"]
