"""SQL texts: literals, Parquet sources, and DuckDB's errors in the user's terms."""

from __future__ import annotations

import resource
from pathlib import Path

import duckdb
import pytest

from storage.errors import LakeDamaged, StorageError
from storage.sql import explained, literal, parquet, parquet_in, streamed


def test_literal():
    """A text becomes an SQL literal, whatever quotes it has."""
    text = "it's 'quoted'\n\\ and \0 ä"
    assert duckdb.connect().execute(f"SELECT {literal(text)}").fetchone() == (text,)


def test_the_files_of_a_folder(tmp_path: Path):
    """A folder's own Parquet files are read in their order."""
    for name, value in (("b", 2), ("a", 1)):
        duckdb.connect().execute(f"COPY (SELECT {value} AS x) TO {literal(tmp_path / f'{name}.parquet')}")
    (tmp_path / "c.txt").touch()
    assert duckdb.connect().execute(f"SELECT x FROM {parquet_in(tmp_path)}").fetchall() == [(1,), (2,)]


def test_a_folder_is_no_column(tmp_path: Path):
    """A folder that is called like a Hive partition changes no column."""
    folder = tmp_path / "model=foo"
    folder.mkdir()
    duckdb.connect().execute(f"COPY (SELECT 'm' AS model) TO {literal(folder / 'a.parquet')}")
    assert duckdb.connect().execute(f"SELECT * FROM {parquet(folder / '*.parquet')}").fetchall() == [("m",)]


def test_a_damaged_file_is_the_lakes_trouble(tmp_path: Path):
    """A file that isn't Parquet, or isn't there, is a StorageError that names it."""
    damaged = tmp_path / "a.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    for path in (damaged, tmp_path / "b.parquet"):
        with pytest.raises(StorageError, match=path.name), explained():
            duckdb.connect().execute(f"FROM {parquet(path)}")


def test_damage_names_the_command(tmp_path: Path):
    """What is damaged names the command that mends it."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(LakeDamaged, match="doctor --repair"), explained():
        duckdb.connect().execute(f"FROM {parquet(tmp_path / 'a.parquet')}")


def test_too_many_open_files(tmp_path: Path):
    """Where the process may open no more files, nothing is damaged."""
    duckdb.connect().execute(f"COPY (SELECT 1 AS x) TO {literal(tmp_path / 'a.parquet')}")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with duckdb.connect() as connection:
        # Three are open as it is. With none, poll() itself would fail, and end the servers that other tests left in this process.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(StorageError, match="ulimit -n") as raised, explained():
                connection.execute(f"FROM {parquet(tmp_path / 'a.parquet')}")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert not isinstance(raised.value, LakeDamaged)


def test_no_room_in_memory(tmp_path: Path):
    """Where neither memory nor disk has room it is said so, with what raises the former, and no damage."""
    config = {"memory_limit": "8MB", "max_temp_directory_size": "1MB", "temp_directory": str(tmp_path), "threads": 1}
    sql = "SELECT count(*) FROM (SELECT range AS n, sha256(range::TEXT) AS x FROM range(2000000) ORDER BY x)"
    with duckdb.connect(config=config) as connection, pytest.raises(StorageError, match="no room") as raised, explained():
        connection.execute(f"CREATE TABLE t AS {sql.removeprefix('SELECT count(*) FROM ')}").fetchall()
    assert not isinstance(raised.value, LakeDamaged)
    assert "STILLHOUSE_DUCKDB_MEMORY" in str(raised.value)


def test_a_stream_that_breaks():
    """What DuckDB says half-way through a stream is the lake's trouble too."""
    reader = (
        duckdb.connect()
        .sql("SELECT CASE WHEN i = 500000 THEN error('broken') ELSE i END FROM range(1000000) t(i)")
        .to_arrow_reader(100)
    )
    with pytest.raises(StorageError, match="broken"):
        list(streamed(reader))


def test_a_defect_stays_a_defect():
    """A mistake in our own SQL is not the lake's trouble."""
    with pytest.raises(duckdb.ParserException), explained():
        duckdb.connect().execute("SELEC 1")
