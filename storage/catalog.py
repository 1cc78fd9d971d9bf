"""`catalog.duckdb`: builds, exports, and views over the tables, for whoever opens the lake with DuckDB.

It is derived from the manifests and written to a temporary name first, so a shell that has the old one open neither blocks a
build nor sees half of a new one.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from storage.disk import writing
from storage.lake import Lake
from storage.schemas import SNAPSHOTS, STORES, TABLES
from storage.sql import explained, parquet

_BUILDS = """
CREATE TABLE builds (
    dataset TEXT, build_id TEXT, created_at TIMESTAMPTZ, spec_hash TEXT, version TEXT, prompts BIGINT, requested BIGINT,
    reused BIGINT, paid BIGINT, kept BIGINT, rejected BIGINT, failed BIGINT, cost_usd DOUBLE, tokens_in BIGINT, tokens_out BIGINT,
    elapsed_s DOUBLE, here BOOLEAN
)"""
"""`here`: whether the views over snapshots have this build's. Of a lake on an object store, not all are brought here."""
_EXPORTS = """
CREATE TABLE exports (
    dataset TEXT, build_id TEXT, export_id TEXT, created_at TIMESTAMPTZ, format TEXT, destination TEXT, shards INTEGER,
    rows BIGINT
)"""


def write(lake: Lake) -> None:
    """Make the catalog anew. The caller holds the lake's lock."""
    temporary = lake.catalog.with_name(".catalog.duckdb.tmp")
    _remove(temporary)
    builds, exports = lake.builds(), lake.exports()
    with explained(), duckdb.connect(str(temporary)) as connection:
        connection.execute(_BUILDS)
        connection.execute(_EXPORTS)
        for table, rows in (("builds", builds), ("exports", exports)):
            names = [row[0] for row in connection.execute(f"SELECT column_name FROM (DESCRIBE {table})").fetchall()]
            for row in rows:
                here = {"here": (lake.root / "outcomes" / f"dataset={row['dataset']}" / f"build={row.get('build_id')}").is_dir()}
                values = [_scalar((row | here).get(name)) for name in names]
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", values)
        for table in STORES:
            connection.execute(f"CREATE VIEW {table} AS FROM {parquet(lake.glob(table))}")
        for table in SNAPSHOTS if builds else ():
            if not any((lake.root / table).glob("*/*/*.parquet")):
                continue  # no build grew prompts
            folder = "regexp_extract(filename, '.*/dataset=([^/]*)/build=([^/]*)/[^/]*$', ['dataset', 'build'])"
            columns = "* EXCLUDE (filename)"
            if "generation" in TABLES[table].names:
                columns += " REPLACE (generation::SMALLINT AS generation)"  # parts of an earlier version have int32
            if "dataset" not in TABLES[table].names:
                columns += f", {folder}.dataset AS dataset"
            source = parquet(lake.glob(table), filename=True)
            connection.execute(f"CREATE VIEW {table} AS SELECT {columns}, {folder}.build AS build FROM {source}")
            connection.execute(
                f"CREATE VIEW current_{table} AS FROM {table} WHERE build IN "
                "(SELECT arg_max(build_id, (created_at, build_id)) FROM builds GROUP BY dataset)"
            )
    with writing(lake.catalog):
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
