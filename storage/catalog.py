"""`catalog.duckdb`: builds, exports, and views over the tables, for whoever opens the lake with DuckDB.

It is derived from the manifests and written to a temporary name first, so a shell that has the old one open neither blocks a
build nor sees half of a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from storage.lake import Lake
from storage.schemas import SNAPSHOTS, STORES

_BUILDS = """
CREATE TABLE builds (
    dataset TEXT, build_id TEXT, created_at TIMESTAMPTZ, spec_hash TEXT, version TEXT, prompts BIGINT, requested BIGINT,
    reused BIGINT, paid BIGINT, kept BIGINT, rejected BIGINT, failed BIGINT, cost_usd DOUBLE, tokens_in BIGINT, tokens_out BIGINT,
    elapsed_s DOUBLE
)"""
_EXPORTS = """
CREATE TABLE exports (
    dataset TEXT, build_id TEXT, export_id TEXT, created_at TIMESTAMPTZ, format TEXT, destination TEXT, shards INTEGER,
    rows BIGINT
)"""


def literal(text: str | Path) -> str:
    """Return a text as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def write(lake: Lake) -> None:
    """Make the catalog anew. The caller holds the lake's lock."""
    temporary = lake.catalog.with_name(".catalog.duckdb.tmp")
    _remove(temporary)
    builds, exports = lake.builds(), lake.exports()
    with duckdb.connect(str(temporary)) as connection:
        connection.execute(_BUILDS)
        connection.execute(_EXPORTS)
        for table, rows in (("builds", builds), ("exports", exports)):
            columns = [row[0] for row in connection.execute(f"SELECT column_name FROM (DESCRIBE {table})").fetchall()]
            for row in rows:
                values = [_scalar(row.get(column)) for column in columns]
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", values)
        for table in STORES:
            connection.execute(f"CREATE VIEW {table} AS FROM read_parquet({literal(lake.glob(table))}, union_by_name=true)")
        for table in SNAPSHOTS if builds else ():
            options = "hive_partitioning=true, hive_types_autocast=false, union_by_name=true"
            source = f"read_parquet({literal(lake.glob(table))}, {options})"
            connection.execute(f"CREATE VIEW {table} AS FROM {source}")
            connection.execute(
                f"CREATE VIEW current_{table} AS FROM {table} WHERE build IN "
                "(SELECT arg_max(build_id, (created_at, build_id)) FROM builds GROUP BY dataset)"
            )
    # The log of a shell that wrote into the old one would be played into the new one, and make it unreadable.
    _log(lake.catalog).unlink(missing_ok=True)
    temporary.replace(lake.catalog)


def _remove(database: Path) -> None:
    database.unlink(missing_ok=True)
    _log(database).unlink(missing_ok=True)


def _log(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")


def _scalar(value: object) -> object:
    # `rejected` is a mapping of stages in a manifest; the table holds the sum.
    return sum(value.values()) if isinstance(value, dict) else value


def files(folders: Iterable[Path]) -> str:
    """Return an SQL list of the Parquet files in folders, for `read_parquet`."""
    found = sorted(str(path) for folder in folders for path in folder.glob("*.parquet"))
    return "[" + ", ".join(literal(path) for path in found) + "]"
