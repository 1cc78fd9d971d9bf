"""Contaminated: which held-out items stand in a landed build. It only reports; a build with `decontaminate` rejects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from flows.loading import problem
from storage.errors import SpecError
from storage.lake import Lake, Manifest
from storage.parquet import read_batches
from storage.rot import verify_build
from storage.wording import counted
from tasks.decontaminate import PLACES, Decontamination, prompt_texts, response_texts
from tasks.heldout.benchmarks import Benchmark, check_names
from tasks.heldout.blocks import Hit, Text
from tasks.heldout.matching import Matching
from tasks.templates import Template, TemplateOptions

ROWS = 1_000
"""Read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """An item in a prompt or in a response."""

    benchmark: str
    """The benchmark's name."""
    item: str
    """The item's id, or its place."""
    prompt_id: str
    """Whose it is."""
    sample_id: str | None
    """None: it stands in the prompt."""
    where: str
    """prompt, response or reasoning."""
    how: str
    """What is the same, in words."""
    overlap: str
    """It, in lower case and without punctuation, shortened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What one benchmark has in common with a build."""

    benchmark: str
    """Its name."""
    items: int
    """That it has."""
    hit: int
    """That stand anywhere in the build."""
    prompts: int
    """That have one of them."""
    responses: int
    """Of traces, reasoning included, that have one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contaminations:
    """What `stillhouse contaminated` says."""

    dataset: str
    """The dataset."""
    build_id: str
    """The build."""
    prompts: int
    """In the build."""
    traces: int
    """In the build."""
    contaminated: int
    """Traces whose prompt, response or reasoning has an item in it: what `decontaminate` would reject."""
    benchmarks: list[Against]
    """By benchmark."""
    hits: list[Contamination]
    """By benchmark and item."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield it as (name, value) for a terminal, less the hits."""
        yield "build", f"{self.dataset} {self.build_id}: {counted(self.prompts, 'prompt')}, {counted(self.traces, 'trace')}"
        for each in self.benchmarks:
            where = f" in {counted(each.prompts, 'prompt')} and {counted(each.responses, 'response')}" if each.hit else ""
            yield each.benchmark, f"{each.hit:,} of {counted(each.items, 'item')} found{where}"
        yield "contaminated", f"{self.contaminated:,} of {counted(self.traces, 'trace')}"


def benchmark_of(said: str) -> Benchmark:
    """Return the benchmark that a command line names: a path, or an entry of `decontaminate` in YAML. Raise SpecError."""
    entry: object = {"source": said}
    if said.lstrip().startswith("{"):
        try:
            entry = yaml.safe_load(said)
        except yaml.YAMLError as error:
            raise SpecError(f"--against: {said!r} isn't YAML: {' '.join(str(error).split())}") from error
    try:
        return Benchmark.model_validate(entry)
    except ValidationError as error:
        location, message = problem(error, Benchmark)
        raise SpecError(f"--against: {'.'.join(map(str, location)) or said}: {message}") from error


def contaminated(lake: Lake, dataset: str, benchmarks: Sequence[Benchmark], *, build_id: str | None) -> Contaminations:
    """Look for held-out items in a landed build's prompts and traces. Raise SpecError, SourceError or StorageError."""
    try:
        check_names(benchmarks, where="--against")
    except ValueError as error:
        raise SpecError(str(error)) from error
    build = lake.build(dataset, build_id)
    verify_build(lake, build, ["prompts", "traces"])
    heldout = Decontamination(benchmarks, seed=0)
    asked = Matching(index=heldout.index)
    hits = _all(asked, _prompts(lake, build))
    hits += _all(Matching(index=heldout.index, common=asked.common), _responses(lake, build))
    hits.sort(key=lambda hit: (hit.item, PLACES.index(hit.where), str(hit.prompt), str(hit.key), -hit.share, hit.overlap))
    prompts = {hit.prompt for hit in hits if hit.where == "prompt"}
    samples = {hit.key for hit in hits if hit.where != "prompt"}
    traces = bad = 0
    for row in _rows(lake, build, "traces", ["sample_id", "prompt_id"]):
        traces += 1
        bad += row["prompt_id"] in prompts or row["sample_id"] in samples
    return Contaminations(
        dataset=dataset,
        build_id=build["build_id"],
        prompts=sum(1 for _ in _rows(lake, build, "prompts", ["prompt_id"])),
        traces=traces,
        contaminated=bad,
        benchmarks=[_against(heldout, number, hits) for number in range(len(benchmarks))],
        hits=[_told(heldout, hit) for hit in hits],
    )


def _all(matching: Matching, texts: Iterator[Text]) -> list[Hit]:
    return [*matching.find(texts), *matching.finish()]


def _rows(lake: Lake, build: Manifest, table: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in sorted(lake.snapshot(table, build["dataset"], build["build_id"]).glob("*.parquet")):
        for batch in read_batches(path, rows=ROWS, columns=columns):
            yield from batch.to_pylist()


def _prompts(lake: Lake, build: Manifest) -> Iterator[Text]:
    for row in _rows(lake, build, "prompts", ["prompt_id", "messages"]):
        yield from prompt_texts(row["prompt_id"], row["prompt_id"], row["messages"])
    options = TemplateOptions.model_validate(build.get("spec", {}).get("template", {}))
    if Template(options, where=build["dataset"]).adds:
        # What a template adds to a prompt stands in the traces alone; those of a prompt and a strategy stand together.
        last = None
        for row in _rows(lake, build, "traces", ["prompt_id", "messages"]):
            if (row["prompt_id"], row["messages"]) != last:
                yield from prompt_texts(row["prompt_id"], row["prompt_id"], row["messages"])
            last = row["prompt_id"], row["messages"]


def _responses(lake: Lake, build: Manifest) -> Iterator[Text]:
    for row in _rows(lake, build, "traces", ["sample_id", "prompt_id", "response", "reasoning"]):
        yield from response_texts(row["sample_id"], row["prompt_id"], row["response"], row["reasoning"])


def _against(heldout: Decontamination, number: int, hits: Sequence[Hit]) -> Against:
    items = heldout.heldout.items
    mine = [hit for hit in hits if items[hit.item][0] == number]
    return Against(
        benchmark=heldout.heldout.benchmarks[number].title,
        items=sum(benchmark == number for benchmark, _ in items),
        hit=len({hit.item for hit in mine}),
        prompts=len({hit.key for hit in mine if hit.where == "prompt"}),
        responses=len({hit.key for hit in mine if hit.where != "prompt"}),
    )


def _told(heldout: Decontamination, hit: Hit) -> Contamination:
    number, item = heldout.heldout.items[hit.item]
    return Contamination(
        benchmark=heldout.heldout.benchmarks[number].title,
        item=item,
        prompt_id=str(hit.prompt),
        sample_id=None if hit.where == "prompt" else str(hit.key),
        where=hit.where,
        how=hit.how,
        overlap=hit.overlap,
    )
