"""A build's own DuckDB."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import workspace as workspaces
from storage.dealing import PACKED_ROWS
from storage.errors import StorageError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SAMPLES
from storage.sql import literal
from storage.workspace import JOIN_BYTES, LARGE, TEXT_BYTES, Workspace
from tests.storage.lines import line, segment


@pytest.fixture
def stored(lake: Lake) -> Lake:
    """Return a lake with two samples."""
    segment(lake.journal, line("a"), line("b"))
    with lake.writing(print):
        return lake


def test_stores_are_there(stored: Lake, tmp_path: Path):
    """The lake's samples and verdicts can be queried."""
    with Workspace(stored, tmp_path / "work") as workspace:
        assert workspace.rows("SELECT sample_id FROM samples ORDER BY ALL") == [("a",), ("b",)]
        assert workspace.rows("SELECT count(*) FROM verdicts") == [(0,)]


def test_no_lake_yet(lake: Lake, tmp_path: Path):
    """Where there is no lake the stores are empty, and none is made."""
    with Workspace(lake, tmp_path / "work") as workspace:
        assert workspace.rows("SELECT count(*) FROM samples") == [(0,)]
    assert not lake.root.exists()


def test_gone_when_left(lake: Lake, tmp_path: Path):
    """Its folder goes with it, by an error too."""
    with pytest.raises(RuntimeError), Workspace(lake, tmp_path / "work") as workspace:  # noqa: PT012
        workspace.staged("traces").joinpath("part.parquet").write_text("")
        raise RuntimeError
    assert not (tmp_path / "work").exists()


def test_parameters(lake: Lake, tmp_path: Path):
    """Statements take parameters."""
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.execute("CREATE TABLE t AS SELECT ? AS x", ["it's"])
        assert workspace.table("FROM t").to_pylist() == [{"x": "it's"}]


def test_stream(stored: Lake, tmp_path: Path):
    """A stream yields its rows in batches while other statements run."""
    with Workspace(stored, tmp_path / "work") as workspace:
        reader = workspace.stream("SELECT range AS n FROM range(5000) ORDER BY n", rows=1_000)
        first = next(reader)
        assert workspace.rows("SELECT count(*) FROM samples") == [(2,)]
        rest = [row for batch in reader for row in batch["n"].to_pylist()]
        assert first["n"].to_pylist() + rest == list(range(5_000))


def test_several_threads(lake: Lake, tmp_path: Path):
    """Threads may share it: each call's rows are its own."""
    with Workspace(lake, tmp_path / "work") as workspace, ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: workspace.rows("SELECT ? + range FROM range(3)", [n]), range(200))
        assert list(found) == [[(n,), (n + 1,), (n + 2,)] for n in range(200)]


@pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1" + b"\0" * 100 + b"PAR1"], ids=["empty", "text", "damaged"])
def test_damaged_part(stored: Lake, tmp_path: Path, content: bytes):
    """A part that can't be read is a StorageError that names it."""
    (stored.root / "samples" / "bad.parquet").write_bytes(content)
    with pytest.raises(StorageError, match=r"can't be read: .*bad\.parquet"), Workspace(stored, tmp_path / "work") as workspace:
        workspace.rows("SELECT count(*) FROM samples")


def test_part_that_goes_away(stored: Lake, tmp_path: Path):
    """So is one that is gone in the middle of a build."""
    with Workspace(stored, tmp_path / "work") as workspace:
        for path in (stored.root / "samples").iterdir():
            path.unlink()
        with pytest.raises(StorageError, match="can't be read"):
            workspace.rows("SELECT * FROM samples")


def test_a_defect_stays_a_defect(lake: Lake, tmp_path: Path):
    """Wrong SQL is no StorageError: it would blame the user's disk for our mistake."""
    with Workspace(lake, tmp_path / "work") as workspace, pytest.raises(duckdb.CatalogException):
        workspace.rows("SELECT * FROM nowhere")


def test_memory_setting(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """STILLHOUSE_DUCKDB_MEMORY bounds what DuckDB holds."""
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", "64MiB")
    with Workspace(lake, tmp_path / "work") as workspace:
        assert workspace.rows("SELECT current_setting('memory_limit')") == [("64.0 MiB",)]


@pytest.mark.parametrize("said", ["lots", "1e400GB"])
def test_no_memory_setting(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str):
    """What is no size is told in one line."""
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", said)
    with pytest.raises(StorageError, match=f"STILLHOUSE_DUCKDB_MEMORY: must be a size, as in 2GB, and this is '{said}'"):
        Workspace(lake, tmp_path / "work")


def limit(workspace: Workspace) -> str:
    """Return what DuckDB may hold."""
    ((found,),) = workspace.rows("SELECT current_setting('memory_limit')")
    return str(found)


def test_room_for_many_slots(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Beyond a million slots DuckDB may hold more, more yet where texts are joined, unless the user has set what it may hold."""
    monkeypatch.delenv("STILLHOUSE_DUCKDB_MEMORY", raising=False)
    with Workspace(lake, tmp_path / "work") as workspace:
        usual = limit(workspace)
        workspace.make_room(1_000_000)
        assert limit(workspace) == usual == "122.0 MiB"
        workspace.make_room(1_000_000, each=JOIN_BYTES)
        assert limit(workspace) == "183.1 MiB"
        workspace.make_room(10_000_000)
        assert limit(workspace) == "671.3 MiB"
        workspace.make_room(10)
        assert limit(workspace) == "671.3 MiB"
        with workspace.sparing():
            assert limit(workspace) == "595.0 MiB"
        assert limit(workspace) == "671.3 MiB"
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", "64MiB")
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.make_room(10_000_000)
        assert limit(workspace) == "64.0 MiB"
        with workspace.sparing():
            assert limit(workspace) == "64.0 MiB"


def write_texts(lake: Lake, *lengths: int) -> None:
    """Store samples whose responses are so long, no two of them the same, in place of others."""
    rows = ({"sample_id": f"{n:032x}", "response": f"{n:x}".ljust(length)} for n, length in enumerate(lengths))
    others = list((lake.root / "samples").glob("*.parquet"))
    write_rows(lake.root / "samples" / f"r-{sum(lengths):06}.parquet", SAMPLES, rows)
    for other in others:
        other.unlink()


def test_how_many_texts_are_held_at_once(stored: Lake, tmp_path: Path):
    """As many as a step asks for, and fewer where texts are long; always one. Footers are read once while no part comes or goes."""
    with Workspace(stored, tmp_path / "work") as workspace:
        assert workspace.at_once(4_000) == 4_000
        write_texts(stored, 10_000, 50_000)
        assert workspace.at_once(4_000) == pytest.approx(TEXT_BYTES / 30_000, rel=0.05)
        next((stored.root / "samples").glob("*.parquet")).write_bytes(b"")
        assert workspace.at_once(10) == 10
        write_texts(stored, 2 * TEXT_BYTES)
        assert workspace.at_once(4_000) == 1


def test_room_for_long_texts(stored: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Short texts need no more than a build has anyway; of long ones, as many as DuckDB puts together, up to a bound."""
    monkeypatch.delenv("STILLHOUSE_DUCKDB_MEMORY", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("storage.workspace.VECTOR", 200)
    with Workspace(stored, tmp_path / "work") as workspace:
        write_texts(stored, *[1_000] * 1_000)
        workspace.make_room_for()
        assert limit(workspace) == "122.0 MiB"
        write_texts(stored, *[50_000] * 1_000)
        rooms = []
        for at_once in (0, 500, 10_000):
            workspace.make_room_for(at_once=at_once)
            rooms.append(float(limit(workspace).removesuffix(" MiB")) * 2**20 / 1e6 - LARGE)
        assert rooms == pytest.approx([4 * 400 * 0.05, 4 * 500 * 0.05, 4 * 1_000 * 0.05], rel=0.02)
        monkeypatch.setattr("storage.workspace.MOST", 300)
        write_texts(stored, *[100_000] * 1_000)
        workspace.make_room_for(at_once=10_000)
        assert limit(workspace) == "286.1 MiB"


def test_room_for_large_row_groups(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """DuckDB may hold the largest row group of some files several times, where it is a large one."""
    monkeypatch.delenv("STILLHOUSE_DUCKDB_MEMORY", raising=False)
    texts = pa.table({"response": [str(n) * 1_000_000 for n in range(10)]})
    pq.write_table(texts, tmp_path / "few.parquet", row_group_size=2)
    pq.write_table(texts, tmp_path / "many.parquet")
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.make_room_for(literal(tmp_path / "few.parquet"))
        assert limit(workspace) == "122.0 MiB"
        workspace.make_room_for(literal(tmp_path / "*.parquet"))
        assert limit(workspace) == "213.6 MiB"


LONG = "SELECT max(length(text)) FROM (SELECT DISTINCT repeat(n::VARCHAR, 10_000_000) AS text FROM range(10, 18) AS numbers(n))"


def test_more_room_where_there_is_too_little(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A step that can't do with what DuckDB may hold gets half as much again until it can, unless the user has said what it may.

    Those after it keep that, up to the end of their stage.
    """
    monkeypatch.delenv("STILLHOUSE_DUCKDB_MEMORY", raising=False)
    with Workspace(lake, tmp_path / "work") as workspace:
        usual = limit(workspace)
        with workspace.sparing():
            spared = limit(workspace)
            assert workspace.rows(LONG) == [(20_000_000,)]
            more = limit(workspace)
            steps = [float(room.removesuffix(" MiB")) for room in (spared, usual, more)]
            assert steps == sorted(steps)
            assert steps[0] < steps[2]
            assert workspace.table(LONG).num_rows == 1
            assert limit(workspace) == more
        assert limit(workspace) == usual
        with workspace.sparing():
            assert limit(workspace) == spared
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", "128MB")
    with Workspace(lake, tmp_path / "work") as workspace:
        with pytest.raises(StorageError, match=r"raise STILLHOUSE_DUCKDB_MEMORY"):
            workspace.rows(LONG)
        assert limit(workspace) == "122.0 MiB"


def test_more_room_for_what_is_streamed(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A query whose joins and sorts need more is asked for again before its first row, and gives each row once."""
    monkeypatch.delenv("STILLHOUSE_DUCKDB_MEMORY", raising=False)
    with Workspace(lake, tmp_path / "work") as workspace, workspace.sparing():
        spared = limit(workspace)
        batches = list(workspace.stream(f"FROM ({LONG}), range(3_000)", rows=1_000))
        assert [batch.num_rows for batch in batches] == [1_000] * 3
        assert limit(workspace) != spared
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", "64MB")
    with Workspace(lake, tmp_path / "work") as workspace, pytest.raises(StorageError, match=r"raise STILLHOUSE_DUCKDB_MEMORY"):
        list(workspace.stream(LONG))


def test_parts_of_an_older_version(stored: Lake, tmp_path: Path):
    """A part that lacks a newer column still counts: the column is null there."""
    duckdb.connect().execute(
        f"COPY (SELECT * EXCLUDE (logprobs), 'old' AS kind FROM '{stored.root}/samples/r-000000.parquet') "
        f"TO '{stored.root}/samples/old.parquet'"
    )
    with Workspace(stored, tmp_path / "work") as workspace:
        assert workspace.rows("SELECT count(*), count(kind), count(logprobs) FROM samples") == [(4, 2, 0)]


def test_holding(stored: Lake, tmp_path: Path):
    """Those parts of the samples are read that hold what is wanted; without any, the columns are there."""
    with Workspace(stored, tmp_path / "work") as workspace:
        workspace.execute("CREATE TABLE wanted AS SELECT 'a' AS sample_id")
        assert workspace.rows(f"SELECT sample_id FROM {workspace.holding('wanted')} ORDER BY ALL") == [("a",), ("b",)]
        workspace.execute(f"CREATE TABLE located AS SELECT sample_id, filename FROM {workspace.located()} WHERE sample_id = 'a'")
        assert workspace.holding("wanted", places="located") == workspace.holding("wanted")
        workspace.execute("UPDATE wanted SET sample_id = 'x'")
        assert workspace.rows(f"SELECT response FROM {workspace.holding('wanted')}") == []


def test_portions(stored: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Parts are read some at a time, each once, whatever they are called; without a lake there is nothing to read."""
    monkeypatch.setattr(workspaces, "PORTION", 2)
    for name in ("c[1]", "d", "e"):
        write_rows(stored.root / "samples" / f"{name}.parquet", SAMPLES, [{"sample_id": name}])
    with Workspace(stored, tmp_path / "work") as workspace:
        read = [[name for (name,) in workspace.rows(f"SELECT sample_id FROM {parts}")] for parts in workspace.portions()]
    assert len(read) > 1
    assert max(map(len, read)) <= 3
    assert sorted(name for names in read for name in names) == ["a", "b", "c[1]", "d", "e"]
    with Workspace(Lake.at(str(tmp_path / "none")), tmp_path / "work") as workspace:
        assert [workspace.rows(f"FROM {parts}") for parts in workspace.portions()] == [[]]


def test_let_go(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What DuckDB holds of tables goes, and it may hold as much as before."""
    monkeypatch.setattr(workspaces, "LEAST", 1)
    held = "SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag IN ('BASE_TABLE', 'IN_MEMORY_TABLE')"
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.execute("CREATE TABLE t AS SELECT md5(n::VARCHAR) AS x FROM range(200_000) AS numbers(n)")
        assert workspace.rows("SELECT max(x) < 'g' FROM t") == [(True,)]
        before, limited = workspace.rows(held)[0][0], limit(workspace)
        workspace.let_go()
        assert workspace.rows(held)[0][0] < before / 2
        assert limit(workspace) == limited
        stream = workspace.stream("FROM t", rows=1_000)
        next(stream)
        monkeypatch.setattr(
            workspaces, "LEAST", "no "
        )  # which no limit can be set to: a stream that reads ahead would find no room
        workspace.let_go()
        assert sum(map(len, stream)) == 199_000


def test_dealt_rows_come_back(lake: Lake, tmp_path: Path):
    """Rows that are dealt one at a time are in their bucket in the order in which they came, packed; an empty bucket is empty."""
    schema = pa.schema([("number", pa.int64()), ("text", pa.string())])

    def row(number: int) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([{"number": number, "text": f"text {number}"}], schema=schema)

    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.deal("dealt", ((number % 3, row(number)) for number in range(PACKED_ROWS + 300)), schema)
        for bucket in range(3):
            found = workspace.rows(f"SELECT number, text FROM {workspace.dealt('dealt', bucket)}")
            assert found == [(number, f"text {number}") for number in range(bucket, PACKED_ROWS + 300, 3)]
            assert pq.ParquetFile(workspace.folder / "dealt" / f"{bucket}.parquet").num_row_groups == 1
        assert workspace.rows(f"FROM {workspace.dealt('dealt', 3)}") == []
        assert not list((workspace.folder / "dealt").glob("*.arrows"))
        workspace.deal("dealt", iter([(0, row(7))]), schema)
        assert workspace.rows(f"SELECT number FROM {workspace.dealt('dealt', 0)}") == [(7,)]


def test_a_full_disk_while_dealing(lake: Lake, tmp_path: Path):
    """What can't be written while rows are dealt is the disk's error, and names the folder."""
    schema = pa.schema([("number", pa.int64())])

    def pieces() -> Iterator[tuple[int, pa.RecordBatch]]:
        yield 0, pa.RecordBatch.from_pylist([{"number": 1}], schema=schema)
        raise OSError(errno.ENOSPC, "No space left on device")

    with Workspace(lake, tmp_path / "work") as workspace, pytest.raises(StorageError, match=r"dealt.*No space left"):
        workspace.deal("dealt", pieces(), schema)
