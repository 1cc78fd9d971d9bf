"""Digests: what each sample says, but for case, white space and Unicode form, as a number.

The lake keeps them, so that a build reads the texts of those samples alone that no build before it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from glob import escape
from itertools import islice

import duckdb
import pyarrow as pa

from storage.index import Index
from storage.lake import Lake
from storage.parquet import ROW_GROUP
from storage.sql import literal
from storage.workspace import Workspace

VERSION = 4
"""Of what `normalised` and `digests` make of a text."""
TEXT = "concat_ws(chr(0), reasoning, response)"
"""What a sample says, in SQL."""
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("copies", pa.int32()),
        ("digest_high", pa.uint64()),
        ("digest_low", pa.uint64()),
        ("length", pa.int64()),
    ]
)
"""Of the index. `copies`: rows that the lake had of the sample, of which the least digest and length count."""
_SPACES = r"[\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
"""Unicode's white space beyond ASCII's, as RE2 writes it."""
_STAND_IN = 0xFDD0
"""Unicode has no character there, and never will."""


_SPELLED_OUT = {letter: letter.casefold() for letter in "ßŉևẚﬀﬁﬂﬃﬄﬅﬆﬓﬔﬕﬖﬗ"} | {"i\u0307": "i"}
"""Letters that capitals need two letters for, and İ in small letters, by what stands for them."""
_AT_ONCE = 1_000
"""Texts that `numbers` has in hand."""


def folded(text: str) -> str:
    """Return the SQL of a text whose case and Unicode form say nothing, and in which white space is ASCII's."""
    small = f"lower(upper({text}))"  # of several small letters with the same capital, one
    for letter, spelled in _SPELLED_OUT.items():
        small = f"replace({small}, {literal(letter)}, {literal(spelled)})"
    others = f"regexp_replace({_composed(small)}, '{_SPACES}', ' ', 'g')"
    return f"CASE WHEN strlen({text}) = length({text}) THEN lower({text}) ELSE {others} END"


def _composed(text: str) -> str:
    """Return the SQL of a text in Unicode's form NFC. What makes it ends at a chr(0), behind which responses stand."""
    return f"replace(nfc_normalize(replace({text}, chr(0), chr({_STAND_IN}))), chr({_STAND_IN}), chr(0))"


def normalised(text: str) -> str:
    """Return the SQL of a text whose case, white space and Unicode form say nothing."""
    return spaced(folded(text))


def spaced(text: str) -> str:
    """Return the SQL of a text whose white space says nothing."""
    return f"trim({_collapsed(text)})"


def _collapsed(text: str) -> str:
    # As [\t-\r\x1c-\x20]+ would, but a single space, of which most white space consists, is left alone: three times as fast.
    return rf"regexp_replace({text}, '[\t-\r\x1c-\x20]{{2,}}|[\t-\r\x1c-\x1f]', ' ', 'g')"


def numbers(texts: Iterable[str]) -> Iterator[int]:
    """Yield a number of 64 bits for each text: the same for those that are the same, normalised."""
    left = iter(texts)
    with duckdb.connect(config={"threads": 1}) as connection:
        while some := [text.encode(errors="replace").decode() for text in islice(left, _AT_ONCE)]:
            connection.register("given", pa.table({"text": some}))
            found = connection.execute(f"SELECT (md5_number({normalised('text')}) >> 64)::UBIGINT FROM given")
            yield from (number for (number,) in found.fetchall())


def index(lake: Lake) -> Index:
    """Return the index of a lake."""
    # Which characters are the same in another form, or in lower case, DuckDB's tables say, and another version has others.
    return Index(lake, f"digests-v{VERSION}-md5-duckdb{duckdb.__version__}", SCHEMA)


def digests(workspace: Workspace, lake: Lake, *, build_id: str) -> None:
    """Make the table `texts`: each sample's id, digest of its normalised text, and length in characters.

    And `located`: the ids with the parts of the lake that they are in.
    """
    run, kept = workspace.execute, index(lake)
    # Joining and grouping each spill by themselves; both at once would need room at once.
    run(
        f"CREATE OR REPLACE TABLE located AS SELECT sample_id, filename FROM {workspace.located()} "
        "WHERE sample_id IN (SELECT sample_id FROM slots)"
    )
    if parts := [literal(escape(name)) for (name,) in workspace.rows("SELECT DISTINCT filename FROM located")]:
        workspace.make_room_for(f"[{', '.join(parts)}]")
    # Lakes may be merged by hand, so that a sample is there twice.
    run("CREATE TABLE unread AS SELECT sample_id, count(*)::INTEGER AS copies FROM located GROUP BY sample_id")
    run("CREATE OR REPLACE TABLE texts (sample_id VARCHAR, digest UHUGEINT, length BIGINT)")
    if kept.parts:
        run(
            "CREATE TABLE known AS SELECT sample_id, (digest_high::UHUGEINT << 64) | digest_low AS digest, length "
            f"FROM {kept.table} SEMI JOIN unread USING (sample_id, copies)"
        )
        run("INSERT INTO texts SELECT sample_id, min(digest), min(length) FROM known GROUP BY sample_id")
        run("DROP TABLE known")
        run("CREATE TABLE left_over AS FROM unread ANTI JOIN texts USING (sample_id)")
        run("DROP TABLE unread")
        run("ALTER TABLE left_over RENAME TO unread")
    if workspace.rows("SELECT 1 FROM unread LIMIT 1"):
        _read(workspace, kept, build_id)
    run("DROP TABLE unread")


def _read(workspace: Workspace, kept: Index, build_id: str) -> None:
    """Add what is `unread` to `texts` and to the index."""
    run = workspace.execute
    # Trimming takes a third of it all, so only what has something to trim is.
    trims = "starts_with(said, ' ') OR ends_with(said, ' ')"
    trimmed = f"CASE WHEN {trims} THEN trim(said) ELSE said END"
    parts = workspace.holding("unread", places="located")
    said = f"SELECT sample_id, {_collapsed(folded(TEXT))} AS said, length({TEXT}) AS length FROM {parts}"
    # A join whose ids don't fit into memory would spill the texts too. So the few of those parts that aren't wanted go later.
    run(f"CREATE TABLE digested AS SELECT sample_id, md5_number({trimmed}) AS digest, length FROM ({said})")
    run("CREATE TABLE added AS SELECT sample_id, min(digest) AS digest, min(length) AS length FROM digested GROUP BY sample_id")
    run("DROP TABLE digested")
    run("INSERT INTO texts FROM added SEMI JOIN unread USING (sample_id)")
    halves = f"(digest >> 64)::UBIGINT AS digest_high, (digest & {2**64 - 1})::UBIGINT AS digest_low"
    columns = f"sample_id, copies, {halves}, length"
    with kept.writer(build_id) as writer:
        for batch in workspace.stream(f"SELECT {columns} FROM added JOIN unread USING (sample_id)", rows=ROW_GROUP):
            writer.write_batch(batch)
    run("DROP TABLE added")
