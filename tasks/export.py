"""Export: a build's traces as training shards, with their card, NOTICE and manifest.

    traces → exporter's rows → spool (counted, shuffled) → equal shards → destination

Nothing is held but a few batches, so a large build needs disk, not memory.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

import pyarrow as pa
from pydantic import ByteSize, Field, StringConstraints, model_validator

from storage.errors import SpecError
from storage.lake import Lake, Manifest
from storage.parquet import write_text
from storage.sql import parquet_in
from storage.workspace import Workspace
from tasks.cut_off import cut_off
from tasks.decontaminate import Decontamination
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
from tasks.exports import destinations, erasing, remarks, revised, scored
from tasks.exports.card import card, hub_license
from tasks.exports.containers import CONTAINERS, File, Look
from tasks.exports.contents import Contents, gather
from tasks.exports.croissant import croissant
from tasks.exports.distributions import Distributions, Wanted
from tasks.exports.filling import fill
from tasks.exports.mix import MIXED, Mix, MixSource, check_mix, prompt_key
from tasks.exports.mix import plan as plan_mix
from tasks.exports.notice import license_text, notice
from tasks.exports.place import MANIFEST, Place
from tasks.exports.refuted import pairs_source
from tasks.exports.spool import Spool
from tasks.exports.traces import BATCH_ROWS, bytes_of, read_traces
from tasks.exports.written import Written
from tasks.heldout.benchmarks import Benchmark
from tasks.options import Options, PathText
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    name: str
    spool: Spool
    facts: dict[str, Any]

    def said(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {"rows": self.spool.rows} | ({"facts": self.facts} if self.facts else {})


def make(options: ExportOptions, *, where: str = "exports") -> Exporter:
    """Return the exporter of an entry, which `where` names. Raise SpecError where it can't be made, or writes no such files."""
    exporter = making.make(options.format, options.own, where=where)
    allowed = files(exporter)
    if options.file is not None and options.file not in allowed:
        raise SpecError(f"{where}.file: {options.format} isn't written as {options.file}; it may be {', '.join(allowed)}")
    return exporter


def scores_of(options: ExportOptions, *, where: str = "exports") -> str | None:
    """Return the scorer whose distributions an entry wants; None where it wants no distributions, or the samples' own."""
    exporter = make(options, where=where)
    return getattr(exporter, "scores", None) if needs_distributions(exporter) else None


def check_exports(exports: Sequence[ExportOptions], lake: Path, *, where: str | None = None) -> None:
    """Raise what can be known of exports before anything is spent: forms, options, and where they go.

    A message names the entry, `exports[0]`, or `where`.
    """
    destinations.check_apart([each.to for each in exports], lake)
    for number, each in enumerate(exports):
        exporter = make(each, where=where or f"exports[{number}]")
        if each.mix and needs_refuted(exporter):
            raise SpecError(
                f"{where or f'exports[{number}]'}.mix: {each.format} sets samples against each other; leave `mix` out of it"
            )
        check_mix(each.mix, where=f"{where or f'exports[{number}]'}.mix")
        if isinstance(exporter, NeedsFiles):
            exporter.ready()
        destinations.at(each.to).check()


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
    file: str = options.file or files(exporter)[0]
    destination = destinations.at(options.to)
    folder = lake.snapshot("traces", build["dataset"], build["build_id"])
    seed = int(build.get("spec", {}).get("seed", 0))
    with ExitStack() as stack:
        workspace = stack.enter_context(Workspace(lake, lake.staging / f"export-{secrets.token_hex(4)}"))
        workspace.make_room(int(build.get("requested", 0)))
        place = stack.enter_context(destination.filling(workspace.folder / "made"))
        counts = _splits(workspace, folder)
        heldout = _heldout(build, seed) if options.mix or needs_refuted(exporter) else None
        taught = _distributions(lake, workspace, folder, exporter, scorer) if needs_distributions(exporter) else None
        mix, written = _mix(options.mix, counts, folder, seed, heldout), Written()
        left_out: set[str] = set()
        said: dict[str, None] = {}
        splits: list[_Split] = []
        rowless: list[SpecError] = []
        texts: dict[str, str] = {}
        for name, rows in counts.items():
            source = _source(lake, build, exporter, None if len(counts) == 1 else name, heldout, left_out)
            source = source if taught is None else _taught(source, taught, build, scorer)
            if name == MIXED and mix.chosen:
                source, rows = mix.mixed(source), rows + mix.rows  # noqa: PLW2901 - of the split as it is exported
            if options.erase_system is not False:
                source = erasing.erased(source, lake, build, neutral=options.erase_system)
            spool = stack.enter_context(
                Spool(
                    workspace.folder / f"{len(splits)}.spool",
                    CONTAINERS[file].schema(exporter.schema),
                    weigh=CONTAINERS[file].weigh,
                    seed=seed if options.shuffle else None,
                    # A prompt stands in two columns of a trace, and in one of a row at most.
                    bytes_expected=bytes_of(folder) // 2 + (taught.size if taught else 0),
                )
            )
            exporter = make(options)  # anew, since its facts are of one split
            try:
                fill(
                    spool,
                    CONTAINERS[file],
                    exporter,
                    source,
                    name=options.format,
                    traces=rows,
                    see=written.see if name == MIXED and mix.chosen else None,
                )
            except SpecError as error:
                told = SpecError(f"{error} (in the split {name!r})" if len(counts) > 1 else str(error))
                if not isinstance(error, NoRows):
                    raise told from error
                rowless.append(told)
            splits.append(_Split(name=name, spool=spool, facts=dict(facts(exporter))))
            said |= dict.fromkeys(caveats(exporter))
            texts |= _beside(documents(exporter), texts, options.format)
        said |= dict.fromkeys(losses(exporter, [split.facts for split in splits]))
        # A split without rows, as `preference` may have, would keep `datasets` from loading any of them.
        filled = [split for split in splits if split.spool.rows] or splits
        if rowless and not filled[0].spool.rows:
            raise rowless[0]
        shards = list(_shards(place, filled, file, options, exporter.schema))
        # An export is passed on, to the Hub as well: no address in it has a token.
        whole = mix if any(split.name == MIXED for split in filled) else mix.undone()
        build, mixed = _public(build, [asdict(each) for each in whole.exported(written).facts()])
        manifest = {
            "dataset": build["dataset"],
            "build_id": build["build_id"],
            "format": options.format,
            "options": options.own,
            "erase_system": options.erase_system,
            "file": file,
            "shuffled_by": seed if options.shuffle else None,
            "rows": sum(shard["rows"] for shard in shards),
            "splits": {split.name: split.said() for split in filled},
            "left_out": {split.name: split.said() for split in splits if split not in filled},
            "shards": shards,
            "mix": mixed,
            "scorer": None if scorer is None else dict(scorer),
            "refuted": list(refuted),
            "caveats": list(said),
            "warnings": [
                *filter(None, [cut_off(folder)]),
                *remarks.held_back(counts),
                *whole.lines(),
                *remarks.left_out(left_out),
                *remarks.empty({split.name: split.spool.rows for split in splits}),
                *map(str, rowless),
                *(f"exports: {each}" for each in said),
            ],
            "spec": build.get("spec"),
            "spec_hash": build.get("spec_hash"),
            "version": version("stillhouse"),
        }
        contents = gather(lake, workspace, build, manifest, exporter.schema)
        manifest["license"] = contents.licensing.license
        manifest["documents"] = list(_documents(place, contents, texts))
        write_text(place.folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        place.done(place.folder / MANIFEST)
    return manifest


def _mix(wanted: Sequence[MixSource], counts: Mapping[str, int], traces: Path, seed: int, heldout: Decontamination | None) -> Mix:
    """Choose what is mixed in: nothing of which the prompt stands in another split."""
    others = counts.keys() - {MIXED} if wanted else ()
    elsewhere = {prompt_key(trace["prompt"]) for name in others for trace in read_traces(traces, name)}
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


def _shards(
    place: Place, splits: Sequence[_Split], file: str, options: ExportOptions, schema: pa.Schema
) -> Iterator[dict[str, Any]]:
    """Write every split's shards, and yield what the manifest says of each."""
    container = CONTAINERS[file]
    largest = max(split.spool.rows for split in splits)
    for split in splits:
        spool = split.spool
        sample = spool.sample()
        look = Look(row_bytes=spool.weight / spool.rows, sample=sample.slice(0, BATCH_ROWS)) if sample is not None else None
        if options.shard_bytes is None:
            number = max(1, min(math.ceil(options.shards * spool.rows / max(1, largest)), spool.rows))
            sizes = [spool.rows // number + (index < spool.rows % number) for index in range(number)]
        else:
            total = spool.weight * container.ratio(look) if look else 0
            number = max(1, min(math.ceil(total / options.shard_bytes), spool.rows, 99_999))
            sizes = _alike(spool.pieces, number)
        feed = _Feed(spool.read())
        first = 0
        for index, size in enumerate(sizes):
            path = place.folder / f"{split.name}-{index:05d}-of-{number:05d}.{file}"
            container.write(path, container.schema(schema), feed.take(size), first=first, look=look)
            first += size
            yield describe(path) | {"rows": size, "split": split.name}
            place.done(path)


def _alike(pieces: Sequence[tuple[int, int]], number: int) -> list[int]:
    """Return the rows of so many shards that are alike in bytes; none is empty where there are rows enough."""
    rows, total = sum(rows for rows, _ in pieces), sum(size for _, size in pieces)
    cuts, row, byte = [0], 0, 0
    for count, size in pieces:
        while len(cuts) < number and (target := total * len(cuts) // number) < byte + size:
            cut = row + count * (target - byte) // max(1, size)
            cuts.append(min(max(cut, cuts[-1] + 1), rows - (number - len(cuts))))
        row, byte = row + count, byte + size
    return [end - start for start, end in itertools.pairwise([*cuts, rows])]


class _Feed:
    """A stream of batches, taken by rows."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left: pa.RecordBatch | None = None

    def take(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the next so many rows."""
        while rows:
            batch = self._left if self._left is not None else next(self._batches)
            piece = batch.slice(0, rows)
            rows -= piece.num_rows
            self._left = batch.slice(piece.num_rows) if piece.num_rows < batch.num_rows else None
            yield piece


def describe(path: Path) -> dict[str, Any]:
    """Return a file's name, size and checksum."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}
