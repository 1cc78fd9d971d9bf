"""Near-duplicates over a whole dataset: MinHash finds pairs that may be near, and each of them is checked exactly.

Signatures are kept in the lake, so that a text is signed once. What is joined and sorted here is numbers: `rank` is a row's place
in the order in which samples are preferred, those that other datasets hold before all others; `number` is that of a unit, which
stands for all rows that say exactly the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from storage.dealing import BUCKETS
from storage.index import Index
from storage.lake import Lake
from storage.workspace import JOIN_BYTES, Workspace
from tasks.duplicates.ahead import ahead
from tasks.duplicates.candidates import Candidates, similar
from tasks.duplicates.columns import halves, named
from tasks.duplicates.digests import TEXT, folded, spaced
from tasks.duplicates.greedy import Numbers, Pairs, most_similar
from tasks.duplicates.jaccard import Grams
from tasks.duplicates.minhash import VERSION, Hashes, band_hashes, ngrams, signatures, words_of
from tasks.duplicates.options import ORDER, NearOptions
from tasks.duplicates.row_groups import Columns, row_groups
from tasks.duplicates.signed import Signed, firsts
from tasks.duplicates.words import packed, unpacked
from tasks.splitmix import mixed

By = Literal["response", "prompt", "both"]
BATCH = 500
"""Texts that are hashed at a time."""
_IDS = 100_000
"""That are read at a time."""
_NEAR_TABLES = ("rows", "held", "hits", "shared", "wanted", "named")


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
    words = [(column, pa.large_binary()) for column in _words(by)]
    return Index(lake, name, pa.schema([*((column, pa.uint64()) for column in columns), *words]))


def _bands(count: int) -> list[str]:
    return [f"b{number:03}" for number in range(count)]


def _words(by: By) -> list[str]:
    """Return the columns of `_texts` whose words are compared."""
    return ["said", "other"] if by == "both" else ["said"]


class _Near:
    """One search."""

    def __init__(self, workspace: Workspace, options: NearOptions, lake: Lake, *, by: By, alone: bool, build_id: str) -> None:
        self._workspace = workspace
        self._options = options
        self._by: By = by
        self._alone = alone
        self._build_id = build_id
        self._index = index(lake, options, by)
        self._signed = Signed(self._index)

    def run(self) -> None:
        """Go through all steps."""
        self._rows()
        mine = self._sign_mine()
        theirs = self._prune(mine)
        self._held = len(theirs)
        self._settled = self._held + self._stayed()
        self._signatures = np.concatenate([theirs, mine])
        self._units()
        self._reject(self._search())
        for table in _NEAR_TABLES:
            self._workspace.execute(f"DROP TABLE IF EXISTS near_{table}")

    def _rows(self) -> None:
        """Make `near_rows`, what is compared, in order, and see what is held. By prompt, a prompt's best sample stands for it."""
        self._many_held = self._count("held")
        self._workspace.make_room(self._count("candidates") + self._many_held, each=JOIN_BYTES)
        needs_prompt = self._by != "response" or self._alone
        mine = "md5_number(prompt_digest)" if needs_prompt else "NULL::UHUGEINT"
        theirs = "md5_number(sha256(prompt))" if needs_prompt else "NULL::UHUGEINT"
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
            SELECT row_number() OVER (ORDER BY {ORDER}) - 1 AS rank, NULL::INTEGER AS source, ord, arm, sample_index,
                sample_id, returned, asked, {key} AS key,
                {"digest" if self._by == "response" else "NULL::UHUGEINT"} AS digest
            FROM (
                SELECT returned, score, length, rights, ord, arm, sample_index, sample_id, digest, {mine} AS asked
                FROM candidates {joined} WHERE stage IS NULL {one}
            )
            """
        )
        held = f"""
            SELECT source, NULL::BIGINT AS ord, NULL::SMALLINT AS arm, NULL::INTEGER AS sample_index, sample_id,
                FALSE AS returned, asked, {key} AS key, NULL::UHUGEINT AS digest
            FROM (SELECT source, sample_id, {theirs} AS asked FROM held {other})
            """
        # Reading ids twice takes half the time of storing them; prompts are read once.
        if needs_prompt:
            self._workspace.execute(f"CREATE TABLE near_held AS {held}")
        self._theirs = "near_held" if needs_prompt else f"({held})"

    def _stayed(self) -> int:
        """Return how many rows had stayed when others came back: they are first, and needn't be compared with each other."""
        total, came_back = self._count("(FROM near_rows WHERE source IS NULL)"), self._count("(FROM near_rows WHERE returned)")
        return total - came_back if came_back else 0

    def _sign_mine(self) -> Numbers:
        """Return the number of each row's signature in the index."""
        key = self._columns("near_rows", "rank", halves("key", "key"))

        def known(missing: Numbers) -> list[Hashes]:
            self._want(missing)
            # What a sample says has its digest already.
            told = self._columns("near_rows", "rank", halves("digest", "content")) if self._by == "response" else []
            return [*key, *told]

        return self._sign(key[0], key[1], known)

    def _sign_held(self, high: Hashes, low: Hashes) -> None:
        """See to it that these keys of what is held are in the index."""

        def known(missing: Numbers) -> list[Hashes]:
            self._name_keys(high[missing], low[missing], number=missing)
            # Several datasets may hold it.
            self._workspace.execute(
                "CREATE OR REPLACE TABLE near_wanted AS SELECT number, source, ord, sample_id, asked "
                f"FROM {self._theirs} JOIN near_named USING (key) "
                "QUALIFY row_number() OVER (PARTITION BY number ORDER BY source, sample_id) = 1"
            )
            return [high, low]

        self._sign(high, low, known)

    def _sign(self, high: Hashes, low: Hashes, known: Callable[[Numbers], list[Hashes]]) -> Numbers:
        """Return the number of each key's signature in the index, adding to it what it hasn't got.

        `known` makes `near_wanted` of the keys of these numbers, and returns columns of the index, by number.
        """
        found = self._signed.find(high, low)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            once = firsts([high[missing], low[missing]]) == np.arange(len(missing))
            self._write(known(missing[once]))
            found[missing] = self._signed.find(high[missing], low[missing], *self._signed.look())
        if (found < 0).any():
            raise AssertionError("a text that is to be compared was never signed")
        return found

    def _want(self, ranks: Numbers) -> None:
        """Make `near_wanted`: some of the rows, by their ranks."""
        self._workspace.load("near_named", pa.table({"rank": ranks, "number": ranks}))
        self._workspace.execute(
            "CREATE OR REPLACE TABLE near_wanted AS SELECT number, source, ord, sample_id, asked "
            "FROM near_rows JOIN near_named USING (rank)"
        )

    def _name_keys(self, high: Hashes, low: Hashes, **more: Numbers) -> None:
        """Make `near_named` of keys."""
        self._workspace.load("near_halves", pa.table({"high": high, "low": low, **more}))
        self._workspace.execute(
            "CREATE OR REPLACE TABLE near_named AS "
            "SELECT * EXCLUDE (high, low), high::UHUGEINT << 64 | low AS key FROM near_halves"
        )
        self._workspace.execute("DROP TABLE near_halves")

    def _write(self, known: list[Hashes]) -> None:
        """Add the signatures of `near_wanted` to the index, of whose columns those that are known are given by number."""
        cut = self._options.shape

        def signed(batch: pa.RecordBatch) -> Columns:
            words = [words_of(batch[name]) for name in _words(self._by)]
            minima = signatures(*self._grams(words), cut.bands * cut.rows)
            numbers = batch["number"].to_numpy()
            told = [batch[name].to_numpy() for name in halves("", "content") if name in batch.schema.names]
            return [*(column[numbers] for column in known), *told, *band_hashes(minima, cut), *(packed(*each) for each in words)]

        columns = ["number", "said", "other"]
        said, other = spaced("said"), spaced("other")
        content = f"md5_number(CASE WHEN other IS NULL THEN {said} ELSE {said} || chr(1) || {other} END)"
        more = f", {content} AS content"
        if len(known) == len(halves("key", "key")):
            columns += [f"{what} AS {name}" for name, what in halves("content", "content").items()]
        with self._index.writer(self._build_id) as writer:
            for found in row_groups(ahead(signed, self._texts(", ".join(columns), more))):
                writer.write_batch(pa.record_batch(found, schema=self._index.schema))

    def _prune(self, mine: Numbers) -> Numbers:
        """Put those that other datasets hold before all rows, with ranks below 0, and return their signatures.

        What shares no band with anything here is left out: of a large dataset, that is nearly all.
        """
        if not self._many_held:
            return np.zeros(0, np.int64)
        high, low = self._share(mine)
        missing = self._signed.lacking(high)
        if len(missing):
            self._sign_held(high[missing], low[missing])
            self._share(mine)
        (found,) = self._columns("near_shared", "place", {"row": "row"})
        self._workspace.execute(
            f"INSERT INTO near_rows BY NAME SELECT place - {len(found)} AS rank, * EXCLUDE (place, row) FROM near_shared"
        )
        return cast("Numbers", found)

    def _share(self, mine: Numbers) -> tuple[Hashes, Hashes]:
        """Make `near_shared` of what is held and shares a band with these signatures; return both halves of all keys held.

        Both in one pass, since most of the time goes into reading ids.
        """
        rows = self._signed.sharing(_bands(self._options.shape.bands), mine)
        keys = [self._signed.column(f"key_{half}", rows) for half in ("high", "low")]
        once = firsts(keys) == np.arange(len(rows))
        self._name_keys(keys[0][once], keys[1][once], row=rows[once])
        # Arrow has no numbers of 128 bits.
        its = ", ".join(f"CASE WHEN row IS NOT NULL THEN {name}::VARCHAR END AS {name}" for name in ("sample_id", "asked"))
        held = f"SELECT {its}, source, row, {named(halves('key', 'key'))} FROM {self._theirs} LEFT JOIN near_named USING (key)"
        keyed: list[list[Hashes]] = [[], []]
        shared = []
        for batch in self._workspace.stream(held, rows=_IDS):
            for found, half in zip(keyed, ("high", "low"), strict=True):
                found.append(batch[f"key_{half}"].to_numpy())
            shared.append(batch.filter(batch["row"].is_valid()))
        self._workspace.load("near_hits", pa.Table.from_batches(shared))
        self._workspace.execute(
            "CREATE OR REPLACE TABLE near_shared AS "
            "SELECT row_number() OVER (ORDER BY source, sample_id, asked) - 1 AS place, source, NULL::BIGINT AS ord, "
            "NULL::SMALLINT AS arm, NULL::INTEGER AS sample_index, sample_id, FALSE AS returned, asked, row "
            "FROM (SELECT * REPLACE (asked::UHUGEINT AS asked) FROM near_hits)"
        )
        high, low = map(np.concatenate, keyed)
        return high, low

    def _units(self) -> None:
        """Find the first row that says the same as each; the units are those firsts."""
        total = len(self._signatures)
        content = [self._signed.column(f"content_{half}", self._signatures) for half in ("high", "low")]
        self._groups = None
        if self._alone:
            group = {"asked": f"(coalesce(asked, 0) & {2**64 - 1})::UBIGINT"}
            (self._groups,) = self._columns("near_rows", f"rank + {self._held}", group)
            content.append(self._groups)
        self._first = firsts(content)
        self._units_ = np.flatnonzero(self._first == np.arange(total))

    def _search(self) -> Pairs:
        """Return for each unit that is dropped the kept one that it is most similar to."""
        units, total = self._units_, len(self._units_)
        rows = self._signatures[units]
        groups = None if self._groups is None else self._groups[units]
        apart = None if groups is None else mixed(groups)

        def band(number: int) -> Hashes:
            found = self._signed.column(_bands(number + 1)[-1], rows)
            return found if apart is None else found ^ apart

        threshold = self._options.threshold
        candidates = Candidates(band, self._options.shape.bands, total, int((units < self._settled).sum()))
        pairs = candidates.find()
        with Grams(self._workspace.folder / "near.grams", total) as grams:
            needed = np.flatnonzero(candidates.needed)
            names = _words(self._by)

            def hashed(found: tuple[Numbers, pa.Table]) -> tuple[Numbers, Hashes, Any]:
                places, columns = found
                return needed[places], *self._grams([unpacked(columns[name].combine_chunks()) for name in names])

            for numbers, hashes, offsets in ahead(hashed, self._signed.picked(names, rows[needed], many=BATCH)):
                grams.add(numbers, hashes, offsets)

            def compare(later: Numbers, earlier: Numbers) -> Any:
                found = grams.similarities(later, earlier)
                return found if groups is None else np.where(groups[later] == groups[earlier], found, 0.0)

            return most_similar(*candidates.resolve(similar(pairs, threshold, compare), threshold, compare))

    def _reject(self, dropped: Pairs) -> None:
        """Set stage and reason of what is dropped."""
        units, total = self._units_, len(self._first)
        kept, near = np.arange(total), np.full(total, np.nan)
        kept[units[dropped.later]], near[units[dropped.later]] = units[dropped.earlier], dropped.similarity
        gone = np.flatnonzero((self._first != np.arange(total)) | ~np.isnan(near))
        first = self._first[gone]
        rejected = {
            "rank": gone - self._held,
            "kept": kept[first] - self._held,
            "similarity": pa.array(near[first], from_pandas=True),
        }
        self._workspace.load("near_named", pa.table(rejected))
        datasets = "(SELECT DISTINCT source, dataset FROM held)"
        name = "concat_ws(' of ', sample_id, dataset) AS name"
        kept_slot = "ord AS kept_ord, arm AS kept_arm, sample_index AS kept_index"
        names = f"(SELECT rank AS kept, {name}, {kept_slot} FROM near_rows LEFT JOIN {datasets} USING (source))"
        what = "duplicates that of " if self._by == "prompt" else "duplicates "
        its = "its prompt " if self._by == "prompt" else ""
        slot = ("ord",) if self._by == "prompt" else ("ord", "arm", "sample_index")
        self._workspace.execute(
            f"""
            UPDATE candidates SET stage = 'dedup', reason = said, kept_ord = rejected.kept_ord,
                kept_arm = rejected.kept_arm, kept_index = rejected.kept_index
            FROM (
                SELECT ord, arm, sample_index, names.kept_ord, names.kept_arm, names.kept_index,
                    '{its}' || CASE WHEN similarity IS NULL THEN '{what}' || name
                    ELSE 'near-{what}' || name || printf(' (similarity %.3f)', similarity) END AS said
                FROM near_named JOIN {names} AS names USING (kept) JOIN near_rows USING (rank) WHERE source IS NULL
            ) AS rejected
            WHERE stage IS NULL AND {" AND ".join(f"candidates.{name} = rejected.{name}" for name in slot)}
            """
        )

    def _texts(self, columns: str, more: str = "") -> Iterator[pa.RecordBatch]:
        """Yield the texts of `near_wanted`: its columns, `said`, and where both count the prompt as `other`, both folded.

        `more` is columns that are made of these.
        """
        response, prompt = folded(TEXT), folded("prompt")
        said = prompt if self._by == "prompt" else response
        texts = f"SELECT number, {said} AS said, {prompt if self._by == 'both' else 'NULL::VARCHAR'} AS other"
        theirs, mine = ("(FROM near_wanted WHERE source IS NOT NULL)", "(FROM near_wanted WHERE source IS NULL)")
        if self._count(theirs):
            # A sample may have been asked for by several prompts.
            its = "" if self._by == "response" else "WHERE md5_number(sha256(prompt)) = asked"
            yield from self._stream(columns, more, f"{texts} FROM held JOIN {theirs} USING (source, sample_id) {its}")
        if self._by == "response":
            parts = self._workspace.holding(mine, places="located")
            yield from self._stream(columns, more, f"{texts} FROM {parts} JOIN {mine} USING (sample_id)")
        elif self._by == "prompt":
            yield from self._stream(columns, more, f"{texts} FROM prompts JOIN {mine} USING (ord)")
        else:
            # Joining texts with texts needs memory for all of one side, so it is done a stretch of the prompts at a time.
            ((last,),) = self._workspace.rows("SELECT coalesce(max(ord), -1) FROM near_wanted")
            size = max(last, 0) // BUCKETS + 1
            responses = f"SELECT number, {response} AS said, ord // {size} AS bucket FROM samples"
            self._workspace.deal_query("near", f"{responses} JOIN {mine} USING (sample_id)")
            for bucket in range(last // size + 1):
                stretch = f"WHERE ord BETWEEN {bucket * size} AND {bucket * size + size - 1}"
                asked = f"(FROM near_wanted {stretch}) JOIN (SELECT ord, prompt FROM prompts {stretch}) USING (ord)"
                pairs = f"{self._workspace.dealt('near', bucket)} JOIN (FROM {asked}) USING (number)"
                yield from self._stream(columns, more, f"SELECT number, said, {prompt} AS other FROM {pairs}")

    def _stream(self, columns: str, more: str, texts: str) -> Iterator[pa.RecordBatch]:
        rows = self._workspace.at_once(BATCH)
        return self._workspace.stream(f"SELECT {columns} FROM (SELECT *{more} FROM ({texts}))", rows=rows)

    def _grams(self, words: list[tuple[Hashes, Any]]) -> tuple[Hashes, Any]:
        """Return the n-grams of texts, as `tasks.duplicates.minhash.ngrams`; where they have two sorts of words, of both."""
        n = self._options.ngram
        hashes, offsets = ngrams(*words[0], n)
        if self._by != "both":
            return hashes, offsets
        others, behind = ngrams(*words[1], n, other=True)
        sizes, more = np.diff(offsets), np.diff(behind)
        both = np.concatenate([[0], np.cumsum(sizes + more)])
        found = np.empty(both[-1], np.uint64)
        first = np.repeat(both[:-1] - offsets[:-1], sizes) + np.arange(len(hashes))
        found[first] = hashes
        found[np.repeat(both[:-1] + sizes - behind[:-1], more) + np.arange(len(others))] = others
        return found, both

    def _count(self, table: str) -> int:
        return int(self._workspace.rows(f"SELECT count(*) FROM {table}")[0][0])

    def _columns(self, table: str, number: str, wanted: Mapping[str, str]) -> list[Any]:
        """Return columns by the rows' numbers, which are all from 0 on."""
        rows = self._workspace.table(f"SELECT {number} AS _at, {named(wanted)} FROM {table}")
        places = rows["_at"].to_numpy()
        found = []
        for name in wanted:
            column = rows[name].to_numpy()
            by_number = np.empty(len(rows), column.dtype)
            by_number[places] = column
            found.append(by_number)
        return found
