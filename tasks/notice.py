"""NOTICE and LICENSE of an export: whose work its rows are made of, and what that asks of whoever passes them on."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.contents import Contents
from tasks.license import identifiers

_WIDTH = 100
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
        *_section("Other text in the rows", (_text(each) for each in licensing.text)),
        *_section("Changes", [[_CHANGES + (_MIXED if licensing.mixed else "")]]),
        *_section("Licences", ([f"{name}: {link(name)}"] for name in licensing.ids)),
    ]
    return "\n".join(lines) + "\n"


_CHANGES = (
    "Prompts were selected, put into the template of the spec (manifest.json), and answered by the models above; responses were "
    "verified, deduplicated and selected. No response was edited."
)
_MIXED = " Of what people wrote, rows were selected, and none was edited."


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
    return f"https://spdx.org/licenses/{license_id}.html"


def _section(title: str, items: Iterable[list[str]]) -> list[str]:
    found = list(items)
    lines = ["", title, "-" * len(title)] if found else []
    for first, *others in found:
        lines += textwrap.wrap(first, _WIDTH, initial_indent="* ", subsequent_indent="  ", break_long_words=False)
        for other in others:
            lines += textwrap.wrap(other, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
    return lines


def _source(each: Mapping[str, Any]) -> list[str]:
    lines = [str(each["source"]), f"Licence: {each['license']}"]
    credit = each.get("attribution")
    if credit or any(name.startswith("CC-BY") for name in identifiers(each["license"])):
        lines.append(f"Credit: {credit or each['source']}")
    return lines


def _teacher(each: Mapping[str, Any]) -> list[str]:
    provider = f", asked through {each['provider']}" if each.get("provider") else ""
    lines = [f"{each['model']} (teacher {each['name']}{provider})", f"Licence: {each['license']}"]
    if each.get("terms"):
        dated = f", as of {each['terms_as_of']}" if each.get("terms_as_of") else ""
        lines.append(f"Terms: {each['terms']}{dated}{': ' + each['terms_url'] if each.get('terms_url') else ''}")
    if each.get("train_use"):
        lines.append(f"Training on its output: {each['train_use']}")
    lines += [f"Duty: {duty}" for duty in duties(each)]
    said = each.get("acknowledgement")
    if said:
        lines.append(f"Acknowledged by {said['who']}: {said['why']} (agreement: {said['agreement']})")
    return lines


def duties(teacher: Mapping[str, Any]) -> list[str]:
    """Return what a teacher's terms ask for. Where a build is too old to know, what Llama's name asks for."""
    known = teacher.get("duties")
    if known is not None:
        return list(known)
    named = re.search(r"(?<![a-z])llama[-_ ]?\d", f"{teacher['model']} {teacher['license']}".casefold())
    return [_LLAMA] if named else []


def _text(each: Mapping[str, Any]) -> list[str]:
    return [str(each["what"]), f"Licence: {each['license']}"]
