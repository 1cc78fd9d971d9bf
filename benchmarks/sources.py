"""Seconds, prompts a second and peak memory of reading a prompt source, by form and size.

    .venv/bin/python benchmarks/sources.py 100 1000

Writes files of so many megabytes of text and reads each in a process of its own. Memory is level where a file ten times as large
needs no more.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.sources import PromptSource, read_prompts

FORMS = ("jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet", "arrow", "datasets")
ROW = 1_000
"""Characters of a prompt, about."""


def rows(megabytes: int) -> Iterator[dict[str, str]]:
    """Yield rows of a prompt and a reference."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5_000)]
    for number in range(megabytes * 1_000_000 // ROW):
        yield {"prompt": f"{number}: {' '.join(rng.choices(words, k=150))}", "reference": str(number)}


def batches(megabytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the same as batches of a thousand."""
    held: list[dict[str, str]] = []
    for row in rows(megabytes):
        held.append(row)
        if len(held) == 1_000:
            yield pa.RecordBatch.from_pylist(held)
            held = []
    if held:
        yield pa.RecordBatch.from_pylist(held)


def write(folder: Path, form: str, megabytes: int) -> Path:
    """Write a source and return its path."""
    path = folder / f"p.{form}"
    match form:
        case "jsonl" | "jsonl.gz":
            with path.open("wb") if form == "jsonl" else gzip.open(path, "wb", compresslevel=1) as file:
                file.writelines(json.dumps(row).encode() + b"\n" for row in rows(megabytes))
        case "jsonl.zst":
            with pa.CompressedOutputStream(str(path), "zstd") as file:
                for row in rows(megabytes):
                    file.write(json.dumps(row).encode() + b"\n")
        case "csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, ("prompt", "reference"))
                writer.writeheader()
                writer.writerows(rows(megabytes))
        case "parquet":
            # One row group of it all, the worst that is met.
            schema = pa.schema([("prompt", pa.string()), ("reference", pa.string())])
            with pq.ParquetWriter(path, schema, compression="zstd") as parquet:
                parquet.write_table(pa.Table.from_batches(batches(megabytes)), row_group_size=1 << 40)
        case "arrow" | "datasets":
            (path if form == "datasets" else folder).mkdir(exist_ok=True)
            target = path / "data-00000-of-00001.arrow" if form == "datasets" else path
            schema = pa.schema([("prompt", pa.string()), ("reference", pa.string())])
            with (pa.ipc.new_stream if form == "datasets" else pa.ipc.new_file)(target, schema) as arrow:
                for batch in batches(megabytes):
                    arrow.write_batch(batch)
            if form == "datasets":
                (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": target.name}]}))
    return path


def read(path: str) -> None:
    """Read a source to its end and print what that took, as JSON."""
    began = time.monotonic()
    number = sum(1 for _ in read_prompts(PromptSource(source=path), license="CC0-1.0", seed=0))
    seconds = time.monotonic() - began
    status = Path("/proc/self/status").read_text()
    peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024  # `ru_maxrss` has the parent's in it
    print(json.dumps({"prompts": number, "seconds": seconds, "peak": peak}))


def main() -> int:
    """Write and read each form in each of the sizes on the command line."""
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2])
        return 0
    sizes = [int(size) for size in sys.argv[1:]] or [100, 1_000]
    print(f"{'form':<10} {'MB':>6} {'on disk':>8} {'seconds':>8} {'prompts/s':>10} {'peak MB':>8}")
    for form in FORMS:
        for size in sizes:
            with tempfile.TemporaryDirectory() as name:
                path = write(Path(name), form, size)
                held = sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))
                command = [sys.executable, __file__, "--read", str(path)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rate = found["prompts"] / found["seconds"]
            print(
                f"{form:<10} {size:>6,} {held / 1e6:>8,.0f} {found['seconds']:>8.1f} {rate:>10,.0f} {found['peak'] / 1e6:>8,.0f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
