"""Write: one page of a landed build, whole or not at all.

Texts stream: a chunk of them is in memory at a time. Of the embedded samples what lists and filters need is held, a few hundred
bytes each, since it must stand before the texts, so that the page answers while a browser still reads them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import IO, Any

import orjson

from flows.looking import looking
from flows.page import assets
from flows.page.embed import as_json, packed, policy
from flows.page.samples import Chunks, Index
from flows.report import Report, measured
from storage.disk import replacing
from storage.errors import SpecError
from storage.lake import Lake, Manifest
from storage.wording import counted
from storage.workspace import Workspace
from tasks.browse import choose
from tasks.browse.entries import entries
from tasks.sources.addresses import named, put_in, sources_in

SAMPLES = 10_000
"""Samples that are embedded by default: a page of some megabytes."""
REASONS = 300
"""Kinds of reasons that a page lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page that was written."""

    path: Path
    """Where."""
    build_id: str
    """Of the build that it shows."""
    bytes: int
    """Its size."""
    samples: int
    """Slots that can be read in it, with their texts."""
    slots: int
    """Slots of the build."""
    prompts: int
    """Prompts whose slots can be read in it."""

    def line(self) -> str:
        """Return it for a terminal."""
        part = "all" if self.samples == self.slots else f"{self.samples:,} of {self.slots:,}"
        return f"{self.path}: {self.bytes / 1e6:,.1f} MB, with {part} samples to read, of {counted(self.prompts, 'prompt')}"


def write_page(lake: Lake, dataset: str, build_id: str | None, to: Path, *, samples: int = SAMPLES) -> Page:
    """Write a build's page, the newest's by default, with so many samples to read at most, and return what it is.

    Raise StorageError where there is no such build, or the file can't be written: then none is there, or the one of before.
    """
    with looking(lake, dataset, build_id) as (workspace, build):
        return page_of(workspace, lake, build, measured(workspace, lake, build), to, samples=samples)


def page_of(workspace: Workspace, lake: Lake, build: Manifest, report: Report, to: Path, *, samples: int = SAMPLES) -> Page:
    """Write the page of a build that `looking` gave and that is measured."""
    choose.spread(workspace, lake.snapshot("prompts", build["dataset"], build["build_id"]), number=samples)
    names = named(_sources(build, report))
    index = Index(verifiers=[each["name"] for each in build.get("verifiers", ())], addresses=names)
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as texts:
        chunks = Chunks(texts)
        for number, entry in enumerate(entries(workspace, build)):
            chunks.add(number, index.add(entry))
        chunks.flush()
        embedded = {"samples": index.samples, "prompts": index.prompts, "bound": samples}
        facts = put_in(names, facts_of(build, report)) | {"embedded": embedded}
        with _written(to) as file:
            _compose(file, facts, index, texts)
    return Page(
        path=to,
        build_id=build["build_id"],
        bytes=to.stat().st_size,
        samples=index.samples,
        slots=build["requested"],
        prompts=index.prompts,
    )


ASKED = ("prompts", "template", "sampling", "verify", "select", "dedup", "decontaminate", "licenses", "guard", "budget")
"""Parts of the spec that say what was asked for and what of it was wanted."""
TEACHER = ("name", "provider", "model", "license", "terms", "path")


def facts_of(build: Manifest, report: Report) -> dict[str, Any]:
    """Return what the page says of the whole build."""
    spec = build.get("spec", {})
    teachers = [{name: each[name] for name in TEACHER if name in each} for each in spec.get("teachers", ())]
    return (
        report.as_dict()
        | {"rejections": _most(report.parts["rejections"])}
        | {"asked": {"teachers": teachers} | {name: spec[name] for name in ASKED if name in spec}}
    )


def _sources(build: Manifest, report: Report) -> Iterator[str]:
    """Yield what prompts and benchmarks were read from, and who is credited for it, which may be the same."""
    yield from report.parts["by_source"]
    yield from sources_in([build.get("spec"), build.get("licensing")])


def _most(rejections: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the reasons that most slots have and, as one, all others: a verifier may give each sample a reason of its own."""
    some, rest = list(rejections[:REASONS]), rejections[REASONS:]
    if rest:
        others = {"outcome": "rejected or failed", "stage": "several stages", "kind": f"{len(rest):,} other reasons"}
        some.append(others | {"slots": sum(each["slots"] for each in rest)})
    return some


def _compose(file: IO[str], facts: dict[str, Any], index: Index, texts: IO[str]) -> None:
    before, after = assets.template()
    style, charts, script = assets.style(), assets.charts(), assets.script()
    filled = {
        "policy": escape(policy(scripts=[charts, script], styles=[style])),
        "title": escape(f"{facts['dataset']} · {facts['build_id']}"),
        "style": style,
    }
    file.write(re.sub(r"\{(policy|title|style)\}", lambda found: filled[found[1]], before))  # at once: no text is looked at twice
    file.write(f'<script type="application/json" id="facts">{as_json(facts)}</script>\n')
    file.write(f'<script type="text/plain" id="index">{packed(orjson.dumps(index.columns()))}</script>\n')
    file.write(f"<script>{charts}</script>\n<script>{script}</script>\n")
    texts.seek(0)
    shutil.copyfileobj(texts, file)
    file.write(after)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[IO[str]]:
    """Give a text file that takes the path's place once it is whole."""
    if not path.name:
        raise SpecError(f"{str(path)!r} names no file to write the page to")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file
