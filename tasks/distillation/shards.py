"""Shards of tokens, read a block at a time: what `format: tokenized` writes, with a teacher's distributions where it has them.

A conversation is what is read: packed rows are taken apart by their `seq_lengths`, so that none sees another, whatever the
student's architecture. Columns `top_ids` and `top_logprobs` stand beside `input_ids`: at a token's place is the distribution that
this token was drawn from, which the student gives one place earlier. The first token of a conversation follows nothing and is
never learnt.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import SetupError, SourceError

KINDS = (".parquet", ".arrow", ".jsonl")
MASKED = -100
"""The label of what is not learnt."""
LINES = 1_000
"""Of a JSONL file that make a block."""
LOOKED = 10_000
"""Tokens of a block whose alternatives are looked at one by one: a writer's fault is in the first ones too."""
MASS = 1.01
"""What a position's probabilities may add up to, by rounding: float16 is off by a thousandth at most."""
_COLUMNS = ("input_ids", "labels", "seq_lengths", "top_ids", "top_logprobs")
Ints = NDArray[np.int64]
Wrong = Callable[[str], SourceError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a file that is read at once: a row group, a batch, some lines."""

    file: Path
    number: int
    """Which; of lines, the byte where they begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The conversations of a block, one behind the other."""

    tokens: NDArray[np.int32]
    labels: NDArray[np.int32]
    """`MASKED` at the first token of each."""
    bounds: Ints
    """Where each begins, and where the last ends."""
    marks: Ints | None = None
    """Where each token's alternatives begin, and where the last ones end; None where there are no distributions."""
    ids: NDArray[np.int32] | None = None
    """Those alternatives."""
    logprobs: NDArray[np.floating[Any]] | None = None
    """Theirs, at temperature 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What is known of a split before its tokens are read again."""

    blocks: tuple[Block, ...]
    starts: Ints
    """The number of each block's first conversation, and how many there are in all."""
    lengths: NDArray[np.int32]
    """Tokens of each conversation."""
    trained: NDArray[np.int32]
    """How many of them are learnt; conversations with none are never used."""
    largest: int
    """The largest token id there is."""
    soft: bool
    """Whether any has distributions."""
    content: str
    """The SHA-256 of all that is learnt from: tokens, labels and distributions."""

    @property
    def usable(self) -> int:
        """Return how many conversations have something to learn from."""
        return int(np.count_nonzero(self.trained))

    def digest(self) -> str:
        """Return what tells these shards from others, in order: names, and what is in them."""
        told = hashlib.sha256(json.dumps([[each.file.name, each.number] for each in self.blocks]).encode())
        told.update(self.content.encode())
        return told.hexdigest()


def files(source: Path, split: str) -> list[Path]:
    """Return a split's shards in order, `SPLIT-00000-of-00001.parquet` and so on. Any other file's rows are for training."""
    found = sorted([source] if source.is_file() else [path for path in source.glob("*") if path.suffix in KINDS])
    if not found:
        told = "has no shards" if source.is_dir() else "isn't there"
        raise SourceError(f"{source}: {told}; name a folder of {', '.join(KINDS)} files, as `format: tokenized` writes them")
    others = ("validation-", "test-")
    if split == "train":
        return [path for path in found if not path.name.startswith(others)]
    return [path for path in found if path.name.startswith(f"{split}-")]


def index(paths: Sequence[Path]) -> Index:
    """Read shards once, a block at a time, and return what is needed to plan. Raise SourceError where one can't be trained on."""
    blocks: list[Block] = []
    counts: list[int] = [0]
    lengths: list[NDArray[np.int32]] = []
    trained: list[NDArray[np.int32]] = []
    largest, soft = 0, False
    content = hashlib.sha256()
    for path in paths:
        for block, rows in _blocks(path):
            blocks.append(block)
            counts.append(len(rows.bounds) - 1)
            lengths.append(np.diff(rows.bounds).astype(np.int32))
            sums = np.concatenate([[0], np.cumsum(rows.labels != MASKED)])
            trained.append((sums[rows.bounds[1:]] - sums[rows.bounds[:-1]]).astype(np.int32))
            largest = max([largest, *(int(each.max()) for each in (rows.tokens, rows.ids) if each is not None and len(each))])
            soft = soft or rows.ids is not None
            for each in (rows.bounds, rows.tokens, rows.labels, rows.marks, rows.ids, rows.logprobs):
                content.update(b"" if each is None else np.ascontiguousarray(each).data)
    none = np.zeros(0, np.int32)
    return Index(
        blocks=tuple(blocks),
        starts=np.cumsum(counts, dtype=np.int64),
        lengths=np.concatenate([none, *lengths]),
        trained=np.concatenate([none, *trained]),
        largest=largest,
        soft=soft,
        content=content.hexdigest(),
    )


def read(block: Block, *, look: bool = False) -> Rows:
    """Return a block's conversations. With `look`, each value is looked at: once is enough."""
    return _rows(_columns(block), block, look=look)


def _blocks(path: Path) -> Iterator[tuple[Block, Rows]]:
    try:
        numbers = _beginnings(path) if path.suffix == ".jsonl" else range(_parts(path))
        for number in numbers:
            block = Block(file=path, number=number)
            yield block, read(block, look=True)
    except OSError as error:
        raise SourceError(f"{path}: {error}") from error


def _beginnings(path: Path) -> Iterator[int]:
    """Yield where a block of lines begins."""
    at = 0
    with path.open("rb") as file:
        while lines := list(itertools.islice(file, LINES)):
            yield at
            at += sum(map(len, lines))


def _columns(block: Block) -> dict[str, Any]:
    """Return a block's columns: flat values and, for lists, where each begins."""
    if block.file.suffix == ".jsonl":
        with block.file.open("rb") as file:
            file.seek(block.number)
            return _of_lines(list(itertools.islice(file, LINES)), block)
    if block.file.suffix == ".parquet":
        pq = _arrow("pyarrow.parquet")
        with pq.ParquetFile(block.file) as file:
            names = [name for name in _COLUMNS if name in file.schema_arrow.names]
            table = file.read_row_group(block.number, columns=names)
    else:
        pa = _arrow("pyarrow")
        with pa.memory_map(str(block.file)) as source:
            table = pa.Table.from_batches([_opened(source)[block.number]])
            return {name: _flat(table[name].combine_chunks()) for name in _COLUMNS if name in table.column_names}
    return {name: _flat(table[name].combine_chunks()) for name in names}


def _parts(path: Path) -> int:
    pa = _arrow("pyarrow")
    try:
        if path.suffix == ".parquet":
            with _arrow("pyarrow.parquet").ParquetFile(path) as file:
                return int(file.num_row_groups)
        with pa.memory_map(str(path)) as source:
            return len(_opened(source))
    except pa.ArrowException as error:
        raise SourceError(f"{path}: is no whole {path.suffix[1:]} file ({error}); export it again") from error


def _opened(source: Any) -> list[Any]:
    """Return an Arrow file's batches, of which nothing is copied: the stream format that exports have, or the file format."""
    pa = _arrow("pyarrow")
    try:
        return list(pa.ipc.open_stream(source))
    except pa.ArrowInvalid:
        source.seek(0)
        file = pa.ipc.open_file(source)
        return [file.get_batch(number) for number in range(file.num_record_batches)]


def _flat(array: Any) -> tuple[Any, ...]:
    """Return offsets and values of a list column; of a list of lists, offsets, offsets and values."""
    chunks = getattr(array, "chunks", None)
    if chunks is not None:  # older pyarrow gives one where a column has none
        array = chunks[0] if chunks else array
    if array.null_count:
        array = array.fill_null([])
    kind = str(array.type)
    if not kind.startswith(("list", "large_list")):
        raise SourceError(f"a column of {kind} where lists of tokens belong")
    offsets = array.offsets.to_numpy().astype(np.int64)
    values = array.values.slice(offsets[0], offsets[-1] - offsets[0])
    offsets -= offsets[0]
    if "list" not in str(values.type):
        return offsets, values.to_numpy(zero_copy_only=False)
    return (offsets, *_flat(values))


def _of_lines(lines: Sequence[bytes], block: Block) -> dict[str, Any]:
    try:
        rows = [json.loads(line) for line in lines if line.strip()]
    except ValueError as error:
        raise SourceError(f"{block.file}: a line after byte {block.number:,} is no JSON ({error})") from error
    found: dict[str, Any] = {}
    for name in _COLUMNS:
        if not any(name in row for row in rows):
            continue
        lists = [row.get(name) or [] for row in rows]
        offsets = _offsets([len(each) for each in lists])
        flat: list[Any] = [value for each in lists for value in each]
        if name in {"top_ids", "top_logprobs"}:
            inner = [each or [] for each in flat]
            values: list[Any] = [value for each in inner for value in each]
            kind: Any = np.int32 if name == "top_ids" else np.float32
            found[name] = (offsets, _offsets([len(each) for each in inner]), np.array(values, kind))
        else:
            found[name] = (offsets, np.array(flat, np.int32))
    return found


def _rows(columns: dict[str, Any], block: Block, *, look: bool) -> Rows:
    """Take rows apart into conversations, and look whether they are what they should be."""

    def wrong(why: str) -> SourceError:
        return SourceError(f"{block.file}, block {block.number:,}: {why}")

    for name in ("input_ids", "labels"):
        if name not in columns:
            raise wrong(f"no column {name}; export with `format: tokenized`")
    bounds, tokens = columns["input_ids"]
    offsets, labels = columns["labels"]
    if not np.array_equal(bounds, offsets):
        raise wrong("input_ids and labels differ in length")
    if "seq_lengths" in columns:
        _, lengths = columns["seq_lengths"]
        inner = _offsets(lengths)
        if inner[-1] != len(tokens) or not np.isin(bounds, inner).all():
            raise wrong("seq_lengths don't add up to the rows' tokens")
        bounds = inner
    labels = labels.astype(np.int32)  # a copy, which may be changed
    labels[bounds[:-1][np.diff(bounds) > 0]] = MASKED
    if len(tokens) and int(tokens.min()) < 0:
        raise wrong("a token id below 0")
    plain = Rows(tokens=tokens.astype(np.int32, copy=False), labels=labels, bounds=bounds)
    if "top_ids" not in columns and "top_logprobs" not in columns:
        return plain
    return _softened(plain, columns, wrong, look=look)


def _softened(rows: Rows, columns: dict[str, Any], wrong: Wrong, *, look: bool) -> Rows:
    """Return conversations with the distributions that stand beside their tokens."""
    if "top_ids" not in columns or "top_logprobs" not in columns:
        raise wrong("top_ids and top_logprobs belong together; one is missing")
    places, marks, ids = columns["top_ids"]
    other, others, logprobs = columns["top_logprobs"]
    if not np.array_equal(places, columns["input_ids"][0]) or not np.array_equal(other, places):
        raise wrong("top_ids and top_logprobs need one list for each of input_ids")
    if not np.array_equal(marks, others):
        raise wrong("top_ids and top_logprobs differ in length")
    if look:
        _check_mass(marks, ids, logprobs, wrong)
    return replace(rows, marks=marks, ids=ids, logprobs=logprobs)


def _check_mass(marks: Ints, ids: Any, logprobs: Any, wrong: Wrong) -> None:
    """Raise where a position's alternatives are no part of a distribution."""
    if np.isnan(logprobs).any():
        raise wrong("top_logprobs has a value that is no number")
    if len(ids) and int(ids.min()) < 0:
        raise wrong("top_ids has an id below 0")
    sums = np.concatenate([[0.0], np.cumsum(np.exp(logprobs.astype(np.float64)))])
    mass = sums[marks[1:]] - sums[marks[:-1]]
    if len(mass) and mass.max() > MASS:
        raise wrong(f"top_logprobs of a token add up to a probability of {mass.max():.3f}; they are natural logarithms")
    some = marks[: LOOKED + 1]
    place = np.repeat(np.arange(len(some) - 1, dtype=np.int64), np.diff(some))
    pairs = np.sort(place << 32 | ids[: some[-1]].astype(np.int64))
    if (pairs[1:] == pairs[:-1]).any():
        raise wrong("top_ids has an id twice at one token")


def _offsets(lengths: Any) -> Ints:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _arrow(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SetupError("Parquet and Arrow shards need pyarrow; install it, or export as jsonl") from error
