"""The catalog: views over the lake for whoever opens it with DuckDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from storage import catalog
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SNAPSHOTS, TABLES
from tests.fakes import listing
from tests.storage.lines import line, segment

QUERYING = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for row in connection.execute(sys.argv[2]).fetchall():
        print(*row)
"""
SHELL = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE mine AS SELECT 42 AS n")
print("open", flush=True)
sys.stdin.readline()
print(*connection.execute("SELECT n, (SELECT count(*) FROM builds) FROM mine").fetchone(), flush=True)
os._exit(0)
"""


def land(
    lake: Lake, build_id: str, *, dataset: str = "sums", created_at: str = "2026-01-01T00:00:00+00:00", prompts: int = 1
) -> None:
    """Land a build with so many prompts and nothing else."""
    staged = lake.staging / build_id
    for table in SNAPSHOTS:
        rows = [{"prompt_id": f"{build_id}-{n}"} for n in range(prompts)] if table == "prompts" else []
        write_rows(staged / table / "part-00000.parquet", TABLES[table], rows)
    numbers = {"requested": 9, "kept": 2, "rejected": {"verify": 3, "dedup": 1}, "failed": 3, "cost_usd": 0.5}
    lake.land({"dataset": dataset, "build_id": build_id, "created_at": created_at, **numbers}, staged)


def query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    """Ask the catalog."""
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def written(lake: Lake) -> Lake:
    """Return a lake with two samples, two builds of one dataset, one of another, and its catalog."""
    segment(lake.journal, line("a"), line("b"))
    with lake.writing(print):
        land(lake, "z-first", created_at="2026-01-01T00:00:00+00:00", prompts=2)
        land(lake, "a-second", created_at="2026-01-02T00:00:00+00:00", prompts=3)
        land(lake, "other", dataset="maps", prompts=5)
        catalog.write(lake)
    return lake


class TestViews:
    """What can be asked."""

    def test_builds(self, written: Lake):
        """Each landed build is a row; what was rejected is the sum over the stages."""
        rows = query(
            written,
            "SELECT dataset, build_id, requested, kept, rejected, failed, prompts FROM builds ORDER BY created_at, build_id",
        )
        numbers = (9, 2, 4, 3, None)
        assert rows == [("maps", "other", *numbers), ("sums", "z-first", *numbers), ("sums", "a-second", *numbers)]

    @pytest.mark.parametrize("table", ["traces", "prompts"])
    def test_generations_of_an_earlier_version(self, written: Lake, table: str):
        """Parts that have generations in 32 bits are read beside those of 16, as which the views give all of them."""
        part = next(written.snapshot(table, "sums", "z-first").glob("*.parquet"))
        schema = TABLES[table]
        place = schema.get_field_index("generation")
        write_rows(part, schema.set(place, pa.field("generation", pa.int32())), [{"prompt_id": "old", "generation": 3}])
        catalog.write(written)
        for view in (table, f"current_{table}"):
            described = f"SELECT column_type FROM (DESCRIBE {view}) WHERE column_name = 'generation'"
            assert query(written, described) == [("SMALLINT",)]
        assert query(written, f"SELECT generation FROM {table} WHERE prompt_id = 'old'") == [(3,)]

    def test_exports(self, written: Lake):
        """Each export is a row."""
        noted = {
            "dataset": "sums",
            "build_id": "b",
            "export_id": "e",
            "created_at": "2026-01-01T00:00:00+00:00",
            "shards": 2,
            "rows": 7,
        }
        written.record_export(noted | {"format": "messages", "destination": "/out", "files": []})
        catalog.write(written)
        assert query(written, "SELECT export_id, format, destination, shards, rows FROM exports") == [
            ("e", "messages", "/out", 2, 7)
        ]

    def test_stores(self, written: Lake):
        """The samples are there, and those that a later part brings, too, without a new catalog."""
        assert query(written, "SELECT count(*) FROM samples") == [(2,)]
        segment(written.journal, line("c"), name="later-000000")
        with written.writing(print):
            assert query(written, "SELECT count(*) FROM samples") == [(3,)]

    def test_snapshots(self, written: Lake):
        """A snapshot's rows say of which dataset and build they are."""
        rows = query(written, "SELECT dataset, build, count(*) FROM prompts GROUP BY ALL ORDER BY ALL")
        assert rows == [("maps", "other", 5), ("sums", "a-second", 3), ("sums", "z-first", 2)]

    def test_current(self, written: Lake):
        """`current_` views hold the newest build of each dataset, newest by time and not by name."""
        rows = query(written, "SELECT dataset, build, count(*) FROM current_prompts GROUP BY ALL ORDER BY ALL")
        assert rows == [("maps", "other", 5), ("sums", "a-second", 3)]

    @pytest.mark.parametrize("table", SNAPSHOTS)
    def test_every_snapshot(self, written: Lake, table: str):
        """Each of the snapshot tables has both views, with all of its columns."""
        for view in (table, f"current_{table}"):
            names = {row[0] for row in query(written, f"DESCRIBE {view}")}
            assert names >= {*TABLES[table].names, "dataset", "build"}

    def test_no_builds(self, lake: Lake):
        """A lake without builds has its stores and empty lists."""
        with lake.writing(print):
            catalog.write(lake)
        assert query(
            lake, "SELECT (SELECT count(*) FROM builds), (SELECT count(*) FROM exports), (SELECT count(*) FROM samples)"
        ) == [(0, 0, 0)]

    @pytest.mark.parametrize("name", ["it's", "with space", "[brackets]", "ä", "2026"])
    def test_awkward_paths(self, tmp_path: Path, name: str):
        """A lake may lie in a folder of any name."""
        lake = Lake(tmp_path / name / "lake")
        segment(lake.journal, line("a"))
        with lake.writing(print):
            land(lake, "007")
            catalog.write(lake)
        assert query(lake, "SELECT (SELECT count(*) FROM samples), build FROM current_prompts") == [(1, "007")]


class TestOthers:
    """The catalog is for other processes."""

    def test_another_process_and_folder(self, written: Lake, tmp_path: Path):
        """The views work wherever the process that asks them stands."""
        command = [
            sys.executable,
            "-c",
            QUERYING,
            str(written.catalog),
            "SELECT count(*), 'samples' FROM samples UNION ALL SELECT count(*), build FROM current_prompts GROUP BY build ORDER BY ALL",
        ]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert found.stdout.splitlines() == ["2 samples", "3 a-second", "5 other"]

    def test_while_an_old_one_is_open(self, written: Lake):
        """A shell that has the old catalog open keeps it; the new one is there for everyone else."""
        with duckdb.connect(str(written.catalog), read_only=True) as shell:
            before = shell.execute("SELECT count(*) FROM builds").fetchall()
            with written.writing(print):
                land(written, "third")
                catalog.write(written)
            assert shell.execute("SELECT count(*) FROM builds").fetchall() == before == [(3,)]
            command = [sys.executable, "-c", QUERYING, str(written.catalog), "SELECT count(*) FROM builds"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "4\n"

    def test_while_a_shell_writes_into_the_old_one(self, written: Lake):
        """A shell that made a table of its own in the old catalog keeps it, and doesn't spoil the new one with its log."""
        command = [sys.executable, "-c", SHELL, str(written.catalog)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
            assert shell.stdout is not None
            assert shell.stdout.readline() == "open\n"
            with written.writing(print):
                land(written, "third")
                catalog.write(written)
            assert query(written, "SELECT count(*) FROM builds") == [(4,)]
            assert shell.communicate("\n")[0] == "42 3\n"
        assert query(written, "SELECT count(*) FROM builds") == [(4,)]

    def test_after_a_kill_in_the_middle(self, written: Lake):
        """What a killed writer left of a catalog, and of its log, is in nobody's way."""
        half = f"import duckdb, os; c = duckdb.connect({str(written.root / '.catalog.duckdb.tmp')!r}); c.execute('CREATE TABLE t (n INT)'); os._exit(0)"
        subprocess.run([sys.executable, "-c", half], check=True)
        assert (written.root / ".catalog.duckdb.tmp.wal").exists()
        catalog.write(written)
        assert query(written, "SELECT count(*) FROM builds") == [(3,)]
        assert [name for name in listing(written.root) if "catalog" in name] == ["catalog.duckdb"]
