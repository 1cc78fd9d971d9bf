"""Export: a build's traces as training shards, with their card, NOTICE and manifest.

    traces → exporter's rows → spool (counted, shuffled) → equal shards → destination

Nothing is held but a few batches, so a large build needs disk, not memory.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

import pyarrow as pa
from pydantic import ByteSize, Field, StringConstraints, model_validator

from storage.disk import write_text
from storage.errors import SpecError, UserError
from storage.lake import Lake, Manifest
from storage.sql import parquet_in
from storage.workspace import Workspace
from tasks.cut_off import cut_off
from tasks.decontaminate import Decontamination
from tasks.destinations.choose import check_apart, destination_at
from tasks.destinations.place import MANIFEST, Place
from tasks.duplicates.digests import numbers
from tasks.exporters import making
from tasks.exporters.protocol import (
    Exporter,
    NeedsFiles,
    NoRows,
    caveats,
    documents,
    facts,
    files,
    losses,
    needs_distributions,
    needs_refuted,
)
from tasks.heldout.benchmarks import Benchmark
from tasks.options import Options, PathText
from tasks.publishing import erasing, remarks, revised, scored
from tasks.publishing.card import card, hub_license
from tasks.publishing.containers import CONTAINERS, File
from tasks.publishing.contents import Contents, gather
from tasks.publishing.croissant import croissant
from tasks.publishing.distributions import Distributions, Wanted
from tasks.publishing.filling import fill
from tasks.publishing.mix import MIXED, Mix, check_mix
from tasks.publishing.mix import plan as plan_mix
from tasks.publishing.mix_sources import MixSource
from tasks.publishing.notice import license_text, notice
from tasks.publishing.refuted import pairs_source
from tasks.publishing.shards import Split, describe, write
from tasks.publishing.spool import Spool
from tasks.publishing.traces import bytes_of, read_traces
from tasks.publishing.written import Written
from tasks.sources.addresses import named, put_in, sources_in

SPLITS = ("train", "validation", "test")
"""In this order; others follow by name."""


class ExportOptions(Options, extra="allow"):
    """One entry of the spec's `exports`: where to, in which files, and a form with its own options."""

    format: str = Field(default="messages", min_length=1)
    """messages: the whole conversation, the response as the assistant's turn; another form's or a plug-in's name."""
    to: PathText
    """A folder, a URL of fsspec's or hf://datasets/NAME/NAME. An earlier export there is replaced; else it must be empty."""
    file: File | None = None
    """What a shard is. Left out: what the form says, mostly Parquet."""
    shards: int = Field(default=1, ge=1, le=99_999)
    """Files of the largest split, whose numbers of rows differ by one at most; smaller splits have fewer, of like size."""
    shard_bytes: ByteSize | None = Field(default=None, ge=1_000)
    """In place of `shards`: about how large a file is, in bytes, or as 500MB."""
    shuffle: bool = False
    """Whether rows go into shards in a random order, which the spec's seed decides. Else prompt by prompt."""
    mix: tuple[MixSource, ...] = ()
    """What people wrote, at stated shares of the split `train`."""
    erase_system: Annotated[str, StringConstraints(min_length=1)] | bool = False
    """Whether rows show prompts without what told the teacher how to answer, its strategy's texts above all; a text stands in
    the place of a system text."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.shard_bytes is not None and "shards" in self.model_fields_set:
            raise ValueError("shards and shard_bytes: name one of them")
        return self

    @property
    def own(self) -> dict[str, Any]:
        """Return the form's own options."""
        return dict(self.model_extra or {})


def make(options: ExportOptions, *, where: str = "exports") -> Exporter:
    """Return the exporter of an entry, which `where` names. Raise SpecError where it can't be made, or writes no such files."""
    exporter = making.make(options.format, options.own, where=where, beside=list(ExportOptions.model_fields))
    allowed = files(exporter)
    if options.file is not None and options.file not in allowed:
        raise SpecError(f"{where}.file: {options.format} isn't written as {options.file}; it may be {', '.join(allowed)}")
    return exporter


def scores_of(options: ExportOptions, *, where: str = "exports") -> str | None:
    """Return the scorer whose distributions an entry wants; None where it wants no distributions, or the samples' own."""
    exporter = make(options, where=where)
    return getattr(exporter, "scores", None) if needs_distributions(exporter) else None


def check_exports(exports: Sequence[ExportOptions], lake: Lake, *, where: Callable[[int], str] = "exports[{}]".format) -> None:
    """Raise what can be known of exports before anything is spent: forms, options, and where they go.

    A message names the entry by what `where` says of its number.
    """
    check_apart([each.to for each in exports], lake)
    for number, each in enumerate(exports):
        place = where(number)
        exporter = make(each, where=place)
        if each.mix and needs_refuted(exporter):
            raise SpecError(f"{place}.mix: {each.format} sets samples against each other; leave `mix` out of it")
        check_mix(each.mix, where=f"{place}.mix")
        if isinstance(exporter, NeedsFiles):
            exporter.ready()
        try:
            destination_at(each.to).check()
        except UserError as error:
            said = str(error).removeprefix("exports: ")
            error.args = (f"{place}.to: {said}",)
            raise


def export(
    lake: Lake,
    build: Manifest,
    options: ExportOptions,
    *,
    scorer: Mapping[str, Any] | None = None,
    refuted: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write a landed build's export and return its manifest. Same snapshot, same bytes. The caller holds the lock.

    `scorer`: whose distributions these are, where they aren't the samples' own (`tasks.rights.licensing.describe_teacher`).
    `refuted`: likewise, the teachers of whom it has refuted samples and the build no trace.
    """
    exporter = make(options)
    destination = destination_at(options.to)
    with ExitStack() as stack:
        workspace = stack.enter_context(Workspace(lake, lake.staging / f"export-{secrets.token_hex(4)}"))
        workspace.make_room(int(build.get("requested", 0)))
        place = stack.enter_context(destination.filling(workspace.folder / "made"))
        rows = _Rows(lake, build, options, scorer, exporter, workspace, stack)
        for name, traces in rows.counts.items():
            rows.add(name, traces)
        said, filled = rows.caveats(), rows.filled()
        shards = list(write(place, filled, rows.file, rows.schema, most=options.shards, shard_bytes=options.shard_bytes))
        mix = rows.mix if any(split.name == MIXED for split in filled) else rows.mix.undone()
        mix = mix.exported(rows.written)
        # An export is passed on, to the Hub as well: no address in it has a token.
        build, mixed = _public(build, [asdict(each) for each in mix.facts()])
        manifest = {
            "dataset": build["dataset"],
            "build_id": build["build_id"],
            "format": options.format,
            "options": options.own,
            "erase_system": options.erase_system,
            "file": rows.file,
            "shuffled_by": rows.shuffled_by,
            "rows": sum(shard["rows"] for shard in shards),
            "splits": {split.name: split.said() for split in filled},
            "left_out": {split.name: split.said() for split in rows.splits if split not in filled},
            "shards": shards,
            "mix": mixed,
            "scorer": None if scorer is None else dict(scorer),
            "refuted": list(refuted),
            "caveats": said,
            "warnings": [*rows.remarks(mix), *(f"exports: {each}" for each in said)],
            "spec": build.get("spec"),
            "spec_hash": build.get("spec_hash"),
            "version": version("stillhouse"),
        }
        contents = gather(lake, workspace, build, manifest, rows.schema)
        manifest["license"] = contents.licensing.license
        manifest["documents"] = list(_documents(place, contents, rows.texts))
        write_text(place.folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        place.done(place.folder / MANIFEST)
    return manifest


class _Rows:
    """An export's rows, put into a spool a split, and what is to be said of them."""

    def __init__(
        self,
        lake: Lake,
        build: Manifest,
        options: ExportOptions,
        scorer: Mapping[str, Any] | None,
        exporter: Exporter,
        workspace: Workspace,
        stack: ExitStack,
    ) -> None:
        """Look at the traces; of the rows none is made yet. `stack` closes the spools."""
        self._lake, self._build, self._options, self._scorer = lake, build, options, scorer
        self._workspace, self._stack = workspace, stack
        self._exporter = exporter
        self.file = options.file or files(exporter)[0]
        self._traces = lake.snapshot("traces", build["dataset"], build["build_id"])
        seed = int(build.get("spec", {}).get("seed", 0))
        self.shuffled_by = seed if options.shuffle else None
        self.counts = _splits(workspace, self._traces)
        self._heldout = _heldout(build, seed) if options.mix or needs_refuted(exporter) else None
        self._taught = _distributions(lake, workspace, self._traces, exporter, scorer) if needs_distributions(exporter) else None
        self.mix = _mix(options.mix, self.counts, self._traces, seed, self._heldout)
        self.written = Written()
        self.splits: list[Split] = []
        self.texts: dict[str, str] = {}
        """What the form writes beside the shards, by file."""
        self._left_out: set[str] = set()
        self._rowless: list[SpecError] = []
        """Why the form has no rows of a split."""
        self._caveats: dict[str, None] = {}

    def add(self, split: str, traces: int) -> None:
        """Make the rows of a split, of which there are so many traces. Raise SpecError where the form can't."""
        name, container = self._options.format, CONTAINERS[self.file]
        mixed = split == MIXED and bool(self.mix.chosen)
        spool = self._stack.enter_context(
            Spool(
                self._workspace.folder / f"{len(self.splits)}.spool",
                container.schema(self._exporter.schema),
                weigh=container.weigh,
                seed=self.shuffled_by,
                # A prompt stands in two columns of a trace, and in one of a row at most.
                bytes_expected=bytes_of(self._traces) // 2 + (self._taught.size if self._taught else 0),
            )
        )
        self._exporter = exporter = make(self._options)  # anew, since its facts are of one split
        source, see = self._source(split, mixed=mixed), self.written.see if mixed else None
        try:
            fill(spool, container, exporter, source, name=name, traces=traces + self.mix.rows * mixed, see=see)
        except SpecError as error:
            told = SpecError(f"{error} (in the split {split!r})" if len(self.counts) > 1 else str(error))
            if not isinstance(error, NoRows):
                raise told from error
            self._rowless.append(told)
        self.splits.append(Split(name=split, spool=spool, facts=dict(facts(exporter))))
        self._caveats |= dict.fromkeys(caveats(exporter))
        self.texts |= _beside(documents(exporter), self.texts, name)

    def _source(self, split: str, *, mixed: bool) -> Iterator[Any]:
        """Yield what an exporter makes the rows of a split of."""
        source = _source(
            self._lake, self._build, self._exporter, None if len(self.counts) == 1 else split, self._heldout, self._left_out
        )
        if self._taught is not None:
            source = _taught(source, self._taught, self._build, self._scorer)
        if mixed:
            source = self.mix.mixed(source)
        if self._options.erase_system is not False:
            source = erasing.erased(source, self._lake, self._build, neutral=self._options.erase_system)
        return source

    def filled(self) -> list[Split]:
        """Return the splits that are written. Raise SpecError where the form says that it has no rows of any.

        A split without rows, as `preference` may have, would keep `datasets` from loading any of them.
        """
        filled = [split for split in self.splits if split.spool.rows] or self.splits
        if self._rowless and not filled[0].spool.rows:
            raise self._rowless[0]
        return filled

    @property
    def schema(self) -> pa.Schema:
        """Return what a row has."""
        return self._exporter.schema

    def caveats(self) -> list[str]:
        """Return what the form says of its rows, each once."""
        return list(self._caveats | dict.fromkeys(losses(self._exporter, [split.facts for split in self.splits])))

    def remarks(self, mix: Mix) -> list[str]:
        """Return what whoever exports should know beside that. `mix`: as it was exported."""
        return [
            *filter(None, [cut_off(self._traces)]),
            *remarks.held_back(self.counts),
            *mix.lines(),
            *remarks.left_out(self._left_out),
            *remarks.empty({split.name: split.spool.rows for split in self.splits}),
            *map(str, self._rowless),
        ]


def _mix(wanted: Sequence[MixSource], counts: Mapping[str, int], traces: Path, seed: int, heldout: Decontamination | None) -> Mix:
    """Choose what is mixed in: nothing of which the prompt stands in another split."""
    others = counts.keys() - {MIXED} if wanted else ()
    elsewhere = set(numbers(trace["prompt"] for name in others for trace in read_traces(traces, name)))
    return plan_mix(wanted, traces=counts.get(MIXED, 0), seed=seed, heldout=heldout, elsewhere=elsewhere)


def _public(build: Manifest, mixed: list[dict[str, Any]]) -> tuple[Manifest, list[dict[str, Any]]]:
    """Return a build's manifest and what is mixed in with sources as others are told them."""
    names = named(sources_in([build.get("spec"), build.get("licensing"), mixed]))
    return (put_in(names, build), put_in(names, mixed)) if names else (build, mixed)


def _heldout(build: Manifest, seed: int) -> Decontamination | None:
    """Return the benchmarks of the build's spec, for what it didn't look at itself."""
    benchmarks = (build.get("spec") or {}).get("decontaminate") or ()
    return Decontamination([Benchmark.model_validate(each) for each in benchmarks], seed=seed) if benchmarks else None


def _distributions(
    lake: Lake, workspace: Workspace, folder: Path, exporter: Exporter, scorer: Mapping[str, Any] | None
) -> Distributions:
    name = getattr(exporter, "scores", None)
    of = None if scorer is None else (str(scorer["provider"]), str(scorer["model"]))
    if name is None:
        return Distributions(lake, workspace, folder, wanted=None)
    print_, how = getattr(exporter, "fingerprint", None), getattr(exporter, "reasoning", "omit")
    return Distributions(lake, workspace, folder, wanted=Wanted(scorer=name, fingerprint=print_, of=of, reasoning=how))


def _taught(
    source: Iterator[Any], distributions: Distributions, build: Manifest, scorer: Mapping[str, Any] | None
) -> Iterator[Any]:
    """Return traces with what was given to their tokens, by which revision of whom, and under whose licence."""
    source = revised.stated(distributions.beside(source), build, scorer)
    return source if scorer is None else scored.licensed(source, scorer)


def _beside(made: Mapping[str, str], texts: Mapping[str, str], name: str) -> Mapping[str, str]:
    """Return what a form writes beside the shards. Raise SpecError where splits differ in it."""
    for file, text in made.items():
        if texts.get(file, text) != text:
            raise SpecError(f"exports: {name}: {file} would differ from split to split; set the options that decide on it")
    return made


def _documents(place: Place, contents: Contents, own: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Write what explains the shards, and yield what the manifest says of it."""
    texts = {**own, "NOTICE": notice(contents), "README.md": card(contents), "croissant.json": croissant(contents)}
    if hub_license(contents.licensing.license) is None:
        texts["LICENSE"] = license_text(contents)
    for name, text in sorted(texts.items()):
        write_text(place.folder / name, text)
        yield describe(place.folder / name)
        place.done(place.folder / name)


def _splits(workspace: Workspace, traces: Path) -> dict[str, int]:
    """Return the splits' numbers of traces, in the order in which they are written."""
    counted: dict[str, int] = dict(
        workspace.rows(f"SELECT coalesce(split, 'train') AS split, count(*) FROM {parquet_in(traces)} GROUP BY ALL")
    )
    known = [name for name in SPLITS if name in counted]
    return {name: counted[name] for name in [*known, *sorted(counted.keys() - set(SPLITS))]} or {"train": 0}


def _source(
    lake: Lake, build: Manifest, exporter: Exporter, split: str | None, heldout: Decontamination | None, left_out: set[str]
) -> Iterator[Any]:
    """Yield what an exporter makes the rows of a split of, or of all splits."""
    if not needs_refuted(exporter):
        return read_traces(lake.snapshot("traces", build["dataset"], build["build_id"]), split)
    prompts = pairs_source(lake, build["dataset"], build["build_id"], heldout=heldout, left_out=left_out)
    return (prompt for prompt in prompts if split is None or prompt.split == split)
