"""Seen: which held-out prompts stand in what a student was trained on, so that it may have learnt their answers by heart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from storage.lake import Lake, Manifest
from storage.parquet import read_batches
from storage.rot import verify_build
from tasks.decontaminate import Decontamination, prompt_texts, response_texts
from tasks.heldout.benchmarks import Benchmark
from tasks.heldout.blocks import Text
from tasks.heldout.matching import Matching
from tasks.sources import Fields, PromptSource
from tasks.sources.file import File
from tasks.sources.places import files
from tasks.sources.readers import LINES, rows

ROWS = 1_000
"""Read at a time."""
ASKING = frozenset({"input", "instruction", "prompt", "question", "user"})
"""Columns and roles whose text is a whole prompt, in any case."""
_TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Something that was trained on."""

    name: str
    """What messages call it."""
    texts: Callable[[], Iterator[Text]]
    """Yields its texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A held-out prompt that stands in a text."""

    ord: int
    """The prompt's number."""
    training: str
    """The training data's name."""
    place: str
    """Which text of it, and what it is there."""
    how: str
    """What is the same, in words."""
    overlap: str
    """It, in lower case and without punctuation, shortened."""


def seen(sources: Sequence[PromptSource], training: Sequence[Training], *, seed: int, check: Callable[[], None]) -> list[Seen]:
    """Return the largest overlap of each held-out prompt with each training data, by prompt.

    Prompts are numbered over all sources, in their order, as `tasks.prepare` numbers them. Raise SourceError.
    """
    benchmarks = [Benchmark.model_validate(source.model_dump(exclude={"decontaminate"})) for source in sources]
    heldout = Decontamination(benchmarks, seed=seed, check=check)
    found = []
    for each in training:
        matching: Matching = Matching(index=heldout.index)
        hits = [*matching.find(_checked(each.texts(), check)), *matching.finish()]
        hits.sort(key=lambda hit: (hit.item, -hit.share, str(hit.key), hit.where, hit.overlap))
        last = None
        for hit in hits:
            if hit.item != last:
                place = f"{hit.key}" if hit.where == _TEXT else f"{hit.where} of {hit.key}"
                found.append(Seen(ord=hit.item, training=each.name, place=place, how=hit.how, overlap=hit.overlap))
            last = hit.item
    return sorted(found, key=lambda each: each.ord)


def landed(lake: Lake, build: Manifest, *, held: Collection[str] = ("test",)) -> Training:
    """Return what a build's exports were made of: its traces, but for those of the splits that are `held` back."""

    def texts() -> Iterator[Text]:
        columns = ["sample_id", "prompt_id", "messages", "response", "reasoning", "split"]
        last = None
        verify_build(lake, build, ["traces"])
        for path in sorted(lake.snapshot("traces", build["dataset"], build["build_id"]).glob("*.parquet")):
            for batch in read_batches(path, rows=ROWS, columns=columns):
                for row in batch.to_pylist():
                    if row["split"] in held:
                        continue
                    if row["prompt_id"] != last:  # those of a prompt stand together
                        yield from prompt_texts(f"prompt {row['prompt_id']}", row["prompt_id"], row["messages"])
                    last = row["prompt_id"]
                    yield from response_texts(f"sample {row['sample_id']}", row["prompt_id"], row["response"], row["reasoning"])

    return Training(name=f"{build['dataset']} {build['build_id']}", texts=texts)


def written(path: str) -> Training:
    """Return files of rows, such as an export's shards: all texts of all columns. Raise SourceError where there are none."""
    found = files(PromptSource(source=path))

    def texts() -> Iterator[Text]:
        some = False
        for file in found:
            fields = _texts(file)
            for place, row in rows(file, fields) if fields is not None else ():
                for name, text in _strings(row):
                    some = True
                    yield Text(key=place, prompt=place, where=_TEXT, text=text, whole=name.lower() in ASKING)
        if not some:
            raise SourceError(f"{path}: has no texts (shards of tokens have none); name the dataset that it was exported from")

    return Training(name=path, texts=texts)


def _texts(file: File) -> Fields | None:
    """Return the columns that have texts, None where there are none: a table's reader reads those alone that are named."""
    ending = file.endings[0]
    if ending in LINES:
        return Fields()
    if ending != ".parquet":
        raise SourceError(
            f"{file.name}: held-out prompts are looked for in Parquet, JSONL and CSV; name the dataset in its place"
        )
    try:
        with file.open() as stream:
            schema = pq.read_schema(stream)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{file.name}: not Parquet: {error}") from error
    named = [field.name for field in schema if _has_text(field.type)]
    return Fields(tags=named) if named else None


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    return any(_has_text(kind.field(number).type) for number in range(kind.num_fields))


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts in a row, each with the column that it stands in or, in a conversation, who speaks."""
    match value:
        case str():
            yield name, value
        case Mapping():
            speaker = next((value[key] for key in ("role", "from") if isinstance(value.get(key), str)), None)
            for key, each in value.items():
                if key not in {"role", "from"}:
                    yield from _strings(each, speaker or str(key))
        case list():
            for each in value:
                yield from _strings(each, name)
        case _:
            return


def _checked(texts: Iterator[Text], check: Callable[[], None]) -> Iterator[Text]:
    for number, text in enumerate(texts):
        if number % ROWS == 0:
            check()
        yield text
