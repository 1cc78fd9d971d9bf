"""Near-duplicates over a whole dataset: MinHash finds pairs that may be near, and each of them is checked exactly.

Signatures are kept in the lake, so that a text is signed once. What is joined and sorted here is numbers: `rank` is a row's place
in the order in which samples are preferred, those that other datasets hold before all others; `number` is that of a unit, which
stands for all rows that say exactly the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa

from storage.index import Index
from storage.lake import Lake
from storage.parquet import ROW_GROUP, PartWriter
from storage.sql import parquet_in
from storage.workspace import BUCKETS, JOIN_BYTES, Workspace
from tasks.candidates import Candidates, similar
from tasks.dedup import ORDER, TEXT, NearOptions, normalised
from tasks.greedy import Numbers, Pairs, most_similar
from tasks.jaccard import Grams
from tasks.minhash import VERSION, Hashes, band_hashes, mixed, shingles, signatures

By = Literal["response", "prompt", "both"]
T = TypeVar("T")
BATCH = 500
"""Texts that are hashed at a time."""
_WORKERS = 2
"""Threads that hash: numpy lets go of the interpreter's lock, and DuckDB reads meanwhile."""
_TABLE = 22
"""Bits that number the places of a Bloom filter, of which `_prune` has one for each band."""
_NEAR_TABLES = ("rows", "missing", "shared", "contents", "members", "units", "signed", "wanted", "dropped", "named")


def drop_near(
    workspace: Workspace, options: NearOptions, lake: Lake, *, by: By, within: Literal["dataset", "prompt"], build_id: str
) -> None:
    """Reject what is near to a kept one among the `candidates` still in; `held` must be there."""
    _Near(workspace, options, lake, by=by, alone=within == "prompt", build_id=build_id).run()


def index(lake: Lake, options: NearOptions, by: By) -> Index:
    """Return the index of a lake for these options."""
    cut = options.shape
    name = f"minhash-v{VERSION}-{by}-ngram{options.ngram}-bands{cut.bands}x{cut.rows}"
    columns = ["key_high", "key_low", "content_high", "content_low", *_bands(cut.bands)]
    return Index(lake, name, pa.schema([(column, pa.uint64()) for column in columns]))


def _bands(count: int) -> list[str]:
    return [f"b{number:03}" for number in range(count)]


class _Near:
    """One search."""

    def __init__(self, workspace: Workspace, options: NearOptions, lake: Lake, *, by: By, alone: bool, build_id: str) -> None:
        self._workspace = workspace
        self._options = options
        self._by = by
        self._alone = alone
        self._build_id = build_id
        self._index = index(lake, options, by)

    def run(self) -> None:
        """Go through all steps."""
        self._rows()
        self._sign()
        self._prune()
        self._units()
        self._reject(self._search())
        for table in _NEAR_TABLES:
            self._workspace.execute(f"DROP TABLE IF EXISTS near_{table}")

    def _rows(self) -> None:
        """Make `near_rows`: what is compared, in order. By prompt, a prompt's best sample stands for it."""
        if held := self._count("held"):
            self._workspace.make_room(self._count("candidates") + held, each=JOIN_BYTES)
        needs_prompt = self._by != "response" or self._alone
        mine = "md5_number(prompt_digest)" if needs_prompt else "NULL::UHUGEINT"
        theirs = "md5_number(sha256(prompt))" if needs_prompt else "NULL"
        joined = "JOIN prompt_ids USING (ord)" if needs_prompt else ""
        one = other = ""
        if self._by == "prompt":
            one = f"QUALIFY row_number() OVER (PARTITION BY ord ORDER BY {ORDER}) = 1"
            other = "QUALIFY row_number() OVER (PARTITION BY asked ORDER BY source, sample_id) = 1"
        key = {
            "response": "md5_number(sample_id)",
            "prompt": "asked",
            "both": "md5_number(sample_id || '/' || asked)",
        }[self._by]
        self._workspace.execute(
            f"""
            CREATE TABLE near_rows AS
            SELECT row_number() OVER (ORDER BY source NULLS LAST, {ORDER}) - 1 AS rank, source, ord, teacher, sample_index,
                sample_id, asked, {key} AS key
            FROM (
                (SELECT NULL::INTEGER AS source, score, length, ord, teacher, sample_index, sample_id, {mine} AS asked
                FROM candidates {joined} WHERE stage IS NULL {one})
                UNION ALL
                (SELECT source, NULL, NULL, NULL, NULL, NULL, sample_id, {theirs} AS asked FROM held {other})
            )
            """
        )

    def _sign(self) -> None:
        """Add to the index what it hasn't got."""
        run = self._workspace.execute
        # What is hashed is this build's rows, not the whole index, which all builds share.
        run(f"CREATE TABLE near_signed AS SELECT DISTINCT key FROM {self._signatures()} SEMI JOIN near_rows USING (key)")
        run("CREATE TABLE near_missing AS SELECT min(rank) AS rank FROM near_rows ANTI JOIN near_signed USING (key) GROUP BY key")
        run(
            "CREATE TABLE near_wanted AS SELECT rank AS number, source, ord, sample_id, asked, key "
            "FROM near_rows JOIN near_missing USING (rank)"
        )
        if not self._count("near_wanted"):
            return
        cut = self._options.shape

        def signed(batch: pa.RecordBatch) -> list[Hashes]:
            hashes, offsets = self._shingles(batch)
            minima = signatures(hashes, offsets, cut.bands * cut.rows)
            return [*(batch[name].to_numpy() for name in self._index.schema.names[:4]), *band_hashes(minima, cut)]

        content = "CASE WHEN other IS NULL THEN said ELSE said || chr(1) || other END"
        columns = (
            "said, other, (key >> 64)::UBIGINT AS key_high, (key & 18446744073709551615)::UBIGINT AS key_low, "
            f"md5_number_upper({content}) AS content_high, md5_number_lower({content}) AS content_low"
        )
        with self._index.writer(self._build_id) as writer:
            held: list[list[Hashes]] = []
            for found in _ahead(signed, self._texts(columns)):
                held.append(found)
                if sum(len(each[0]) for each in held) >= ROW_GROUP:
                    self._write(writer, held)
                    held = []
            if held:
                self._write(writer, held)

    def _write(self, writer: PartWriter, held: list[list[Hashes]]) -> None:
        columns = [np.concatenate(parts) for parts in zip(*held, strict=True)]
        writer.write_batch(pa.record_batch(columns, schema=self._index.schema))

    def _prune(self) -> None:
        """Take out what other datasets hold and share no band with anything here: of a large dataset, that is nearly all."""
        if not self._count("near_rows WHERE source IS NOT NULL"):
            return
        names = _bands(self._options.shape.bands)
        mine = f"(SELECT key FROM near_rows WHERE source {{}}) JOIN {self._signatures()} USING (key)"
        seen = np.zeros((len(names), 1 << _TABLE), np.bool_)
        for batch in self._workspace.stream(f"SELECT {', '.join(names)} FROM {mine.format('IS NULL')}", rows=ROW_GROUP):
            for table, column in zip(seen, batch.columns, strict=True):
                for places in _places(column.to_numpy()):
                    table[places] = True
        shared: list[Hashes] = [np.zeros(0, np.uint64)] * 2
        columns = ", ".join(["key_high", "key_low", *names])
        for batch in self._workspace.stream(f"SELECT {columns} FROM {mine.format('IS NOT NULL')}", rows=ROW_GROUP):
            found = np.zeros(len(batch), np.bool_)
            for table, column in zip(seen, batch.columns[2:], strict=True):
                found |= np.logical_and.reduce([table[places] for places in _places(column.to_numpy())])
            shared = [np.concatenate([known, batch[n].to_numpy()[found]]) for n, known in enumerate(shared)]
        self._workspace.load("near_shared", pa.table({"key_high": shared[0], "key_low": shared[1]}))
        key = "(key_high::UHUGEINT << 64) | key_low"
        self._workspace.execute(f"DELETE FROM near_rows WHERE source IS NOT NULL AND key NOT IN (SELECT {key} FROM near_shared)")

    def _units(self) -> None:
        """Make `near_members`: the first row that says the same as each; and `near_units`: those firsts, with their bands."""
        run, signatures_ = self._workspace.execute, self._signatures()
        run(
            "CREATE TABLE near_contents AS SELECT rank, min((content_high::UHUGEINT << 64) | content_low) AS content "
            f"FROM {signatures_} JOIN near_rows USING (key) GROUP BY rank"
        )
        if self._count("near_contents") != self._count("near_rows"):
            raise AssertionError("a text that is to be compared was never signed")
        group = "asked" if self._alone else "NULL"
        run(
            f"CREATE TABLE near_members AS SELECT rank, min(rank) OVER (PARTITION BY content, {group}) AS first "
            "FROM near_contents JOIN near_rows USING (rank)"
        )
        run(
            "CREATE TABLE near_units AS SELECT row_number() OVER (ORDER BY rank) - 1 AS number, rank, source, ord, sample_id, "
            "asked, key, (coalesce(asked, 0) & 18446744073709551615)::UBIGINT AS group_hash "
            "FROM near_rows SEMI JOIN near_members ON near_rows.rank = near_members.first"
        )
        bands = ", ".join(_bands(self._options.shape.bands))
        run(f"CREATE OR REPLACE TABLE near_signed AS SELECT number, {bands} FROM {signatures_} JOIN near_units USING (key)")

    def _search(self) -> Pairs:
        """Return for each unit that is dropped the kept one that it is most similar to."""
        total = self._count("near_units")
        settled = self._count("near_units WHERE source IS NOT NULL")
        groups = self._column("group_hash", "near_units", total) if self._alone else None
        apart = None if groups is None else mixed(groups)

        def band(number: int) -> Hashes:
            found = self._column(_bands(number + 1)[-1], "near_signed", total)
            return found if apart is None else found ^ apart

        threshold = self._options.threshold
        candidates = Candidates(band, self._options.shape.bands, total, settled)
        pairs = candidates.find()
        with Grams(self._workspace.folder / "near.grams", total) as grams:
            needed = pa.table({"number": np.flatnonzero(candidates.needed)})
            self._workspace.load("near_named", needed)
            self._workspace.execute("CREATE OR REPLACE TABLE near_wanted AS FROM near_units SEMI JOIN near_named USING (number)")
            hashed = _ahead(
                lambda batch: (batch["number"].to_numpy(), *self._shingles(batch)), self._texts("number, said, other")
            )
            for numbers, hashes, offsets in hashed:
                grams.add(numbers, hashes, offsets)

            def compare(later: Numbers, earlier: Numbers) -> Any:
                found = grams.similarities(later, earlier)
                return found if groups is None else np.where(groups[later] == groups[earlier], found, 0.0)

            return most_similar(*candidates.resolve(similar(pairs, threshold, compare), threshold, compare))

    def _reject(self, dropped: Pairs) -> None:
        """Set stage and reason of what is dropped."""
        table = pa.table({"number": dropped.later, "kept": dropped.earlier, "similarity": dropped.similarity})
        self._workspace.load("near_dropped", table)
        self._workspace.execute(
            """
            CREATE OR REPLACE TABLE near_named AS
            SELECT near_members.rank, coalesce(kept, number) AS kept, similarity
            FROM near_members JOIN near_units ON near_units.rank = first LEFT JOIN near_dropped USING (number)
            WHERE near_units.rank <> near_members.rank OR similarity IS NOT NULL
            """
        )
        datasets = "(SELECT DISTINCT source, dataset FROM held)"
        name = "concat_ws(' of ', sample_id, dataset) AS name"
        kept = f"(SELECT number AS kept, {name} FROM near_units LEFT JOIN {datasets} USING (source))"
        what = "duplicates that of " if self._by == "prompt" else "duplicates "
        its = "its prompt " if self._by == "prompt" else ""
        slot = ("ord",) if self._by == "prompt" else ("ord", "teacher", "sample_index")
        self._workspace.execute(
            f"""
            UPDATE candidates SET stage = 'dedup', reason = said
            FROM (
                SELECT ord, teacher, sample_index, '{its}' || CASE WHEN similarity IS NULL THEN '{what}' || name
                    ELSE 'near-{what}' || name || printf(' (similarity %.3f)', similarity) END AS said
                FROM near_named JOIN {kept} USING (kept) JOIN near_rows USING (rank) WHERE source IS NULL
            ) AS rejected
            WHERE stage IS NULL AND {" AND ".join(f"candidates.{name} = rejected.{name}" for name in slot)}
            """
        )

    def _texts(self, columns: str) -> Iterator[pa.RecordBatch]:
        """Yield the texts of `near_wanted`: its columns, `said`, and where both count the prompt as `other`, both normalised."""
        response, prompt = normalised(TEXT), normalised("prompt")
        said = prompt if self._by == "prompt" else response
        texts = f"SELECT number, key, {said} AS said, {prompt if self._by == 'both' else 'NULL::VARCHAR'} AS other"
        theirs, mine = ("(FROM near_wanted WHERE source IS NOT NULL)", "(FROM near_wanted WHERE source IS NULL)")
        if self._count(theirs):
            # A sample may have been asked for by several prompts.
            its = "" if self._by == "response" else "WHERE md5_number(sha256(prompt)) = asked"
            yield from self._stream(columns, f"{texts} FROM held JOIN {theirs} USING (source, sample_id) {its}")
        if self._by == "response":
            yield from self._stream(columns, f"{texts} FROM samples JOIN {mine} USING (sample_id)")
        elif self._by == "prompt":
            yield from self._stream(columns, f"{texts} FROM prompts JOIN {mine} USING (ord)")
        else:
            # Joining texts with texts needs memory for all of one side, so it is done a stretch of the prompts at a time.
            ((last,),) = self._workspace.rows("SELECT coalesce(max(ord), -1) FROM near_wanted")
            size = last // BUCKETS + 1
            responses = f"SELECT number, {response} AS said, ord // {size} AS bucket FROM samples"
            self._workspace.deal_query("near", f"{responses} JOIN {mine} USING (sample_id)")
            for bucket in range(last // size + 1):
                stretch = f"WHERE ord BETWEEN {bucket * size} AND {bucket * size + size - 1}"
                asked = f"(FROM near_wanted {stretch}) JOIN (SELECT ord, prompt FROM prompts {stretch}) USING (ord)"
                pairs = f"{self._workspace.dealt('near', bucket)} JOIN (FROM {asked}) USING (number)"
                yield from self._stream(columns, f"SELECT number, key, said, {prompt} AS other FROM {pairs}")

    def _stream(self, columns: str, texts: str) -> Iterator[pa.RecordBatch]:
        return self._workspace.stream(f"SELECT {columns} FROM ({texts})", rows=BATCH)

    def _shingles(self, batch: pa.RecordBatch) -> tuple[Hashes, Any]:
        """Return the n-grams of a batch of texts, as `tasks.minhash.shingles`; where there are two, of both."""
        n = self._options.ngram
        hashes, offsets = shingles(batch["said"].to_pylist(), n)
        if self._by != "both":
            return hashes, offsets
        others, behind = shingles(batch["other"].to_pylist(), n, other=True)
        sizes, more = np.diff(offsets), np.diff(behind)
        both = np.concatenate([[0], np.cumsum(sizes + more)])
        found = np.empty(both[-1], np.uint64)
        first = np.repeat(both[:-1] - offsets[:-1], sizes) + np.arange(len(hashes))
        found[first] = hashes
        found[np.repeat(both[:-1] + sizes - behind[:-1], more) + np.arange(len(others))] = others
        return found, both

    def _signatures(self) -> str:
        """Return the index as a table in SQL."""
        if not self._index.parts:
            columns = ", ".join(f"0::UBIGINT AS {name}" for name in self._index.schema.names)
            return f"(SELECT *, 0::UHUGEINT AS key FROM (SELECT {columns}) LIMIT 0)"
        return f"(SELECT *, (key_high::UHUGEINT << 64) | key_low AS key FROM {parquet_in(self._index.folder)})"

    def _count(self, table: str) -> int:
        return int(self._workspace.rows(f"SELECT count(*) FROM {table}")[0][0])

    def _column(self, name: str, table: str, total: int) -> Hashes:
        """Return a column by the units' numbers."""
        rows = self._workspace.table(f"SELECT number, {name} FROM {table}")
        found = np.zeros(total, np.uint64)
        found[rows["number"].to_numpy()] = rows[name].to_numpy()
        return found


def _places(hashes: Hashes) -> list[Hashes]:
    """Return a hash's three places in a Bloom filter."""
    mask = np.uint64((1 << _TABLE) - 1)
    return [(hashes >> np.uint64(shift)) & mask for shift in (0, 21, 42)]


def _ahead(work: Callable[[pa.RecordBatch], T], batches: Iterable[pa.RecordBatch]) -> Iterator[T]:
    """Yield what `work` makes of batches, in order, working a few ahead."""
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="hashing") as threads:
        due: deque[Future[T]] = deque()
        for batch in batches:
            due.append(threads.submit(work, batch))
            if len(due) > 2 * _WORKERS:
                yield due.popleft().result()
        while due:
            yield due.popleft().result()
