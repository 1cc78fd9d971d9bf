"""A lake with two builds, and ways in which a disk may damage it."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from storage import catalog, footers
from storage.lake import Lake
from storage.parquet import PartWriter, write_rows
from storage.schemas import SAMPLES, SNAPSHOTS, TABLES, VERDICTS

ROWS = 600
"""In a part of `fill`, in two row groups."""


def sample_row(number: int) -> dict[str, object]:
    """Return a row of the samples, long enough that a row group has something to damage."""
    return {"sample_id": f"s{number:05}", "response": text(number), "model": "m"}


@functools.cache
def text(number: int) -> str:
    """Return 400 random characters."""
    return "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz ", k=400))


def fill(lake: Lake) -> Path:
    """Make a lake with a part of samples, one of verdicts, two builds of one dataset and the catalog; return the samples' part."""
    with lake.writing(print):
        part = lake.root / "samples" / "run-000000.parquet"
        with PartWriter(part, SAMPLES, row_group=ROWS // 2) as writer:
            for number in range(ROWS):
                writer.write(sample_row(number))
        verdicts = [{"sample_id": f"s{number:05}", "verifier": "v", "fingerprint": "f", "inputs": "i"} for number in range(9)]
        write_rows(lake.root / "verdicts" / "run-000000.parquet", VERDICTS, verdicts)
        for number in (1, 2):
            land(lake, f"b{number}", f"2026-01-0{number}T00:00:00+00:00")
        catalog.write(lake)
    return part


def land(lake: Lake, build_id: str, created_at: str) -> None:
    """Land a build of three prompts."""
    staged = lake.staging / build_id
    for table in SNAPSHOTS:
        write_rows(staged / table / "part-00000.parquet", TABLES[table], [{"prompt_id": f"p{number}"} for number in range(3)])
    numbers = {"prompts": 3, "requested": 3, "kept": 3, "grown_rows": 3, "rejected": {}, "failed": 0, "paid": 3, "cost_usd": 0.1}
    lake.land({"dataset": "sums", "build_id": build_id, "created_at": created_at} | numbers, staged)
    staged.rmdir()


def flip(path: Path, *, group: int = 1, column: str = "response") -> None:
    """Flip bits at the end of one column of one row group, which are its last rows': the footer stays intact."""
    row_group = pq.read_metadata(path).row_group(group).to_dict()
    place = next(each for each in row_group["columns"] if each["path_in_schema"] == column)
    content = bytearray(path.read_bytes())
    first = place["dictionary_page_offset"] or place["data_page_offset"]
    content[first + place["total_compressed_size"] - 2] ^= 0xFF
    path.write_bytes(content)


def keep_footer(part: Path) -> Path:
    """Keep a part's footer beside it, as the lake's own writers do."""
    footers.copy(part, footers.beside(part))
    return part


def cut_in_group(path: Path, group: int) -> None:
    """Lose everything from the last byte of a row group on."""
    columns = pq.read_metadata(path).row_group(group).to_dict()["columns"]
    ends = [(each["dictionary_page_offset"] or each["data_page_offset"]) + each["total_compressed_size"] for each in columns]
    path.write_bytes(path.read_bytes()[: max(ends) - 1])


def cut_footer(path: Path) -> None:
    """Lose the last byte, without which the footer isn't found."""
    path.write_bytes(path.read_bytes()[:-1])


def truncate(path: Path) -> None:
    """Lose the second half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def garbage(path: Path) -> None:
    """Lose all of it, but for the length."""
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def empty(path: Path) -> None:
    """Lose all of it."""
    path.write_bytes(b"")


UNREADABLE: dict[str, Callable[[Path], None]] = {"truncated": truncate, "garbage": garbage, "empty": empty}
"""After which nothing of a Parquet file can be read."""


def stored_ids(lake: Lake) -> list[str]:
    """Return the ids of all samples in the lake's parts, as often as they are there, in order."""
    return sorted(
        id_ for part in (lake.root / "samples").glob("*.parquet") for id_ in pq.read_table(part)["sample_id"].to_pylist()
    )


def content(lake: Lake) -> dict[str, bytes]:
    """Return every file of a lake but the lock."""
    files = (path for path in lake.root.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in files}
