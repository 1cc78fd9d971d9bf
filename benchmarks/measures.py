"""What the measures of diversity and style cost, by number of traces.

    .venv/bin/python benchmarks/measures.py 100000 1000000

Prints, for each number of traces of 150 words, beside a quarter as many responses that were refused: the seconds that measuring
took, by the clock and of the processor, its peak memory, and for comparison the seconds that one reading of all responses takes.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.lake import Lake
from storage.schemas import SAMPLES
from storage.workspace import Workspace
from tasks.measures.measure import measure

PART = 20_000
WORDS = [f"word{n}" for n in range(5_000)]


def write(lake: Lake, number: int) -> None:
    """Write responses as samples."""
    with lake.writing(print):  # makes the folders
        pass
    rng = random.Random(0)
    schema = pa.schema([SAMPLES.field("sample_id"), SAMPLES.field("response")])
    with pq.ParquetWriter(lake.root / "samples" / "part.parquet", schema, compression="zstd") as writer:
        for begin in range(0, number, PART):
            size = min(PART, number - begin)
            texts = [f"Sure, {' '.join(rng.choices(WORDS, k=rng.randrange(50, 250)))}." for _ in range(size)]
            writer.write_table(
                pa.table({"sample_id": [f"{n:032x}" for n in range(begin, begin + size)], "response": texts}, schema)
            )


def main() -> int:
    """Measure once for each number on the command line."""
    print(f"{'traces':>10} {'seconds':>8} {'processor s':>12} {'peak MB':>8} {'one reading, s':>15}")
    for number in map(int, sys.argv[1:] or ["100000"]):
        responses = number * 10 // 8
        with tempfile.TemporaryDirectory() as name:
            lake = Lake(Path(name) / "lake")
            write(lake, responses)
            with Workspace(lake, Path(name) / "work") as workspace:
                workspace.make_room(responses)
                workspace.execute(
                    "CREATE TABLE candidates AS SELECT i AS ord, 0::SMALLINT AS arm, 0 AS sample_index, "
                    "printf('%032x', i) AS sample_id, (i * 7919) % 2000 AS length, "
                    f"CASE WHEN i % 5 = 0 THEN 'verify' END AS stage FROM range({responses}) AS indices(i)"
                )
                workspace.execute("CREATE TABLE barred (ord BIGINT)")
                workspace.execute("CREATE TABLE kept AS SELECT sample_id, ord AS rank FROM candidates WHERE stage IS NULL")
                began = time.monotonic()
                workspace.rows("SELECT sum(length(response)) FROM samples")
                reading = time.monotonic() - began
                Path("/proc/self/clear_refs").write_text("5")  # the peak of what follows
                began, processor = time.monotonic(), time.process_time()
                measure(workspace)
                seconds, processor = time.monotonic() - began, time.process_time() - processor
                peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        megabytes = int(peak.split()[1]) * 1024 / 1e6
        print(f"{number:>10,} {seconds:>8.1f} {processor:>12.1f} {megabytes:>8,.0f} {reading:>15.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
