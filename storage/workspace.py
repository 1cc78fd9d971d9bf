"""A build's own DuckDB: where the set-based steps run, out of core, beside the files that they stage.

It lives in a folder of its own, a build's in the lake's `staging/`, and is gone when that is left. Sorting and joining is done
on ids and ordinals; texts only stream through.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import pyarrow as pa

from storage import dealing, waste
from storage.dealing import DEALT_ROWS, by_bucket
from storage.disk import writing
from storage.errors import StorageError
from storage.lake import Lake
from storage.memory import trim
from storage.parquet import write_rows
from storage.schemas import EMPTY, STORES, TABLES
from storage.sql import explained, literal, parquet, parquet_files, streamed

T = TypeVar("T")

MEMORY = 128
"""Megabytes that DuckDB may hold before it spills to disk; `STILLHOUSE_DUCKDB_MEMORY` sets another."""
LARGE = 64
"""Megabytes of a large build that don't grow with it."""
SPARED = 80
"""Megabytes that steps do without which join and sort little at a time."""
LEAST = 8
"""Megabytes that it is left while it lets go of the rest."""
MOST = 2_048
"""Megabytes up to which DuckDB may hold more where texts are long, or a step can't do with less."""
HELD = 16
"""Copies of a row group of texts that steps have in memory."""
VECTOR = 2_048
"""Rows that DuckDB puts together in each thread where joins and filters leave it few at a time."""
JOINED = 4
"""Copies of these that it has in memory."""
TEXT_BYTES = 8 * 2**20
"""Of texts that are held at a time, where rows are so few that it can be said how many."""
PORTION = 8
"""Parts that are read at a time where the whole lake is."""
SLOT_BYTES = 64
"""For each of its slots on top: what DuckDB notes of what it spilled stays in memory. The steps of every build do with 40."""
JOIN_BYTES = 128
"""In place of it, for steps that join texts or several tables at once."""


@contextlib.contextmanager
def _told_by(said: str | None) -> Iterator[None]:
    """Raise StorageError where what the user says of DuckDB's memory is no size."""
    try:
        yield
    except duckdb.ParserException as error:
        raise StorageError(f"STILLHOUSE_DUCKDB_MEMORY: must be a size, as in 2GB, and this is {said!r}") from error


class Workspace:
    """One DuckDB database and one staging folder. Calls are serialised: it may be used from several threads."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        """Make the folder and open the database in it. The lake is only read; it need not exist yet."""
        self.folder = folder
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._readers: weakref.WeakSet[pa.RecordBatchReader] = weakref.WeakSet()
        with contextlib.ExitStack() as undone:
            undone.callback(shutil.rmtree, folder, ignore_errors=True)
            self._connect()
            undone.callback(self._connection.close)
            self._open(lake)
            undone.pop_all()

    def _connect(self) -> None:
        self._said = os.environ.get("STILLHOUSE_DUCKDB_MEMORY")
        self._megabytes, self._spared, self._more = MEMORY, 0, 0
        self._threads = min(4, os.cpu_count() or 1)
        with explained(), _told_by(self._said):
            self._connection = duckdb.connect(
                str(self.folder / "work.duckdb"),
                config={
                    "memory_limit": self._limit,
                    "temp_directory": str(self.folder / "spill"),
                    "preserve_insertion_order": False,
                    "threads": self._threads,
                    # Rows that a thread holds back in a partitioned COPY: the default would hold gigabytes of texts.
                    "partitioned_write_flush_threshold": 4_096,
                },
            )

    def _open(self, lake: Lake) -> None:
        self._stores: dict[str, tuple[str, str]] = {}
        self._samples = lake.root / "samples"
        self._sized: tuple[set[Path], tuple[int, int, int]] | None = None
        for table in STORES:
            pattern, empty = lake.glob(table), str(lake.root / table / EMPTY)
            if not (lake.exists and lake.has(table)):
                pattern = empty = str(self.folder / f"no-{table}.parquet")
                write_rows(Path(pattern), TABLES[table], ())
            self._stores[table] = (pattern, empty)
            self.execute(f"CREATE VIEW {table} AS FROM {parquet(pattern)}")
        self.execute("CREATE VIEW responses AS SELECT * EXCLUDE (logprobs) FROM samples")
        self.execute(f"CREATE VIEW waste AS {waste.view(lake.waste)}")
        self.make_room_for()  # whatever is streamed of what is there already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with explained():
                self._connection.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def make_room(self, slots: int, *, each: int = SLOT_BYTES) -> None:
        """Let DuckDB hold what so many slots need, unless it may hold more or the user has said what it may."""
        self._raise(LARGE + slots * each // 1_000_000)

    def make_room_for(self, files: str | None = None, *, at_once: int = 0) -> None:
        """Let DuckDB hold what steps have at a time of the texts in some Parquet files, unless that is more than MOST.

        That is a row group as often as a step has it and, as often as a join has them, a vector in each thread, or as many rows
        as are put in order `at_once`. `files` is a pattern or a list, in SQL; None: all samples. What a query streams can't be
        asked for again with more room.
        """
        size, rows, largest = self._text_bytes(files)
        joined = size * min(1.0, max(at_once, VECTOR * self._threads) / rows)
        self._raise(min(LARGE + int(max(HELD * largest, JOINED * joined)) // 1_000_000, MOST))

    def _raise(self, megabytes: int) -> None:
        self._megabytes = max(self._megabytes, megabytes)
        self._give_back()

    def at_once(self, most: int) -> int:
        """Return how many samples a step may hold at a time with their texts: `most`, or fewer where texts are long."""
        size, rows, _ = self._text_bytes()
        return max(1, min(most, TEXT_BYTES * rows // max(1, size)))

    def _text_bytes(self, files: str | None = None) -> tuple[int, int, int]:
        """Return the bytes of some Parquet files, less log-probabilities, their rows, and the bytes of the largest row group."""
        # What all samples have is read once for as long as no part comes or goes.
        parts = None if files else set(self._samples.rglob("*.parquet"))
        if parts is not None and self._sized is not None and self._sized[0] == parts:
            return self._sized[1]
        groups = (
            "SELECT sum(total_uncompressed_size) AS size, any_value(row_group_num_rows) AS rows "
            f"FROM parquet_metadata({files or literal(self._stores['samples'][0])}) "
            "WHERE NOT starts_with(path_in_schema, 'logprobs') GROUP BY file_name, row_group_id"
        )
        ((size, rows, largest),) = self.rows(f"SELECT sum(size), sum(rows), max(size) FROM ({groups})")
        found = int(size or 0), max(1, int(rows or 0)), int(largest or 0)
        if parts is not None:
            self._sized = parts, found
        return found

    @contextlib.contextmanager
    def sparing(self) -> Iterator[None]:
        """Let DuckDB hold less for a while, unless the user has said what it may. What steps lacked before is theirs alone.

        It holds all that it may, if only to keep what it has read.
        """
        before, self._spared, self._more = self._spared, SPARED, 0
        self._give_back()
        try:
            yield
        finally:
            self._spared, self._more = before, 0
            self._give_back()

    @property
    def _room(self) -> int:
        return self._megabytes - self._spared + self._more

    @property
    def _limit(self) -> str:
        return self._said or f"{self._room}MB"

    def _widened(self, error: StorageError) -> bool:
        """Whether DuckDB had too little room, and now may hold half as much again."""
        if self._said or self._room >= MOST or not isinstance(error.__cause__, duckdb.OutOfMemoryException):
            return False
        self._more += self._room // 2
        self._give_back()
        return True

    def staged(self, table: str) -> Path:
        """Return the folder in which the build's rows of a table are staged."""
        folder = self.folder / table
        with writing(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def deal(
        self, name: str, pieces: Iterable[tuple[int, pa.RecordBatch]], schema: pa.Schema, *, for_queries: bool = True
    ) -> None:
        """Write rows into files by bucket (`dealing.py`), of which there are at most BUCKETS."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        folder = self.staged(name)
        with writing(folder):
            dealing.deal(folder, pieces, schema, for_queries=for_queries)

    def dealt(self, name: str, bucket: int) -> str:
        """Return the table function that reads one bucket."""
        return dealing.dealt(self.folder / name, bucket)

    def dealt_rows(self, name: str, bucket: int) -> list[dict[str, Any]]:
        """Return the rows of one bucket that was not dealt for queries."""
        return dealing.dealt_rows(self.folder / name, bucket)

    def execute(self, sql: str, parameters: list[Any] | None = None) -> None:
        """Run a statement, and give back the memory that it took."""
        self.rows(sql, parameters)
        self._give_back()

    def _give_back(self) -> None:
        # DuckDB's allocator keeps what a step held, and the next step's comes on top; a limit that is set makes it let go.
        with self._lock:
            self._set_limit(self._limit)

    def _set_limit(self, limit: str) -> None:
        with contextlib.suppress(duckdb.OutOfMemoryException):  # a stream that isn't at its end holds more
            self._connection.execute(f"SET memory_limit = '{limit}'")

    def let_go(self) -> None:
        """Have DuckDB hold nothing of tables that it has read, and the heaps nothing that is free: what comes next is large.

        While a stream isn't at its end, DuckDB holds what it holds.
        """
        with self._lock:
            if not self._readers:  # one that isn't at its end reads ahead, and would find no room
                self._set_limit(f"{LEAST}MB")
            self._set_limit(self._limit)
        trim()

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query and return all of its rows: for counts and for what belongs to one shard."""
        return self._with_room(lambda: self._connection.execute(sql, parameters or []).fetchall())

    def table(self, sql: str) -> pa.Table:
        """Run a query and return its rows as an Arrow table, in memory as a whole."""
        return self._with_room(lambda: self._connection.sql(sql).to_arrow_table())

    def _with_room(self, run: Callable[[], T], *, alone: bool = True) -> T:
        """Return what a statement gives, which is run again with more room for as long as it has too little.

        `alone`: on the connection that all share.
        """
        while True:
            try:
                with self._lock if alone else contextlib.nullcontext(), explained():
                    return run()
            except StorageError as error:
                if not self._widened(error):
                    raise

    def located(self, store: str = "samples") -> str:
        """Return the table function that reads a table with each row's part, as `filename`."""
        return parquet(self._stores[store][0], filename=True)

    def holding(self, ids: str, *, store: str = "samples", places: str | None = None) -> str:
        """Return the table function that reads those parts of the samples alone that hold one of the `sample_id` in a table.

        Ids are read of all parts, and texts, of which there is a hundred times as much, of these. `store`: of another table that
        has a `sample_id` and is shared by all datasets. `places`: a table that has their `filename` already.
        """
        found = self.rows(
            f"SELECT DISTINCT filename FROM {places or self.located(store)} "
            f"WHERE sample_id IN (SELECT sample_id FROM {ids}) ORDER BY filename"
        )
        # The file without rows has the columns that parts of an earlier version lack.
        return parquet_files(sorted({self._stores[store][1], *(name for (name,) in found)}))

    def portions(self) -> Iterator[str]:
        """Yield table functions that read all samples, some parts at a time: DuckDB holds what footers say while it reads."""
        pattern, empty = self._stores["samples"]
        names = [name for (name,) in self.rows(f"SELECT file FROM glob({literal(pattern)}) ORDER BY file")]
        for first in range(0, len(names), PORTION):
            yield parquet_files(sorted({empty, *names[first : first + PORTION]}))

    def load(self, name: str, rows: pa.Table) -> None:
        """Make a table of rows that are in memory."""

        def copy() -> None:
            self._connection.register("loaded", rows)
            try:
                self._connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM loaded")
            finally:
                self._connection.unregister("loaded")

        self._with_room(copy)

    def stream(self, sql: str, *, rows: int = 1_000) -> Iterator[pa.RecordBatch]:
        """Run a query on a connection of its own and return an iterator that pulls `rows` at a time."""
        return streamed(self._reader(sql, rows))

    def deal_query(self, name: str, sql: str) -> None:
        """Deal the rows of a query by its column `bucket`."""
        reader = self._reader(sql, self.at_once(DEALT_ROWS))
        pieces = (
            (bucket, batch.take(pa.array(rows)))
            for batch in streamed(reader)
            for bucket, rows in by_bucket(batch["bucket"].to_numpy())
        )
        self.deal(name, pieces, reader.schema)

    def _reader(self, sql: str, rows: int) -> pa.RecordBatchReader:
        # What joins and sorts need is needed here, before the first row; so it may be asked for again.
        reader = self._with_room(lambda: self._connection.cursor().sql(sql).to_arrow_reader(rows), alone=False)
        self._readers.add(reader)
        return reader
