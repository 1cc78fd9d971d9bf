"""Rows a second and peak memory of an export, by number of traces, container and shuffle.

    .venv/bin/python benchmarks/export.py 100000 1000000
    PYTHONPATH=. .venv/bin/python benchmarks/export.py --long 1000000 7900000

Traces are synthetic, with prompts of 60 words and responses of 200. Prints, for each export: rows a second
by the clock and by the processor's time, the peak resident memory of its process, what of that its imports take, and the size of
the shards. With `--long`, the export is `tokenized`, by SmolLM2's tokenizer, of one response with so many characters, and what it
takes is told for each of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.lake import Lake
from storage.schemas import OUTCOMES, TRACES

PART = 100_000
WAYS = (
    {"file": "parquet"},
    {"file": "parquet", "shuffle": True},
    {"file": "jsonl", "shuffle": True},
    {"file": "arrow"},
    {"file": "tar"},
)


def write_lake(lake: Lake, number: int, *, chars: int = 1_100) -> None:
    """Write a landed build of so many traces, whose responses have so many characters."""
    rng = random.Random(number)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(20_000)]
    stock = " ".join(rng.choices(words, k=2_000_000))

    def text(length: int) -> str:
        start = rng.randrange(len(stock) - length)
        return stock[start : start + length]

    with lake.writing(print):
        folder = lake.snapshot("traces", "bench", "b")
        folder.mkdir(parents=True)
        for first in range(0, number, PART):
            with pq.ParquetWriter(folder / f"part-{first // PART:05d}.parquet", TRACES, compression="zstd") as writer:
                for start in range(first, min(first + PART, number), 10_000):
                    rows = [row(n, text, chars) for n in range(start, min(start + 10_000, number))]
                    writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=TRACES))
        outcomes = lake.snapshot("outcomes", "bench", "b")
        outcomes.mkdir(parents=True)
        pq.write_table(OUTCOMES.empty_table(), outcomes / "part-00000.parquet")
        manifest = {"dataset": "bench", "build_id": "b", "created_at": "2026-01-01T00:00:00+00:00", "requested": number}
        path = lake.root / "manifests" / "builds" / "b.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(manifest))


def row(n: int, text, chars: int) -> dict[str, object]:
    """Return a trace."""
    prompt = text(330)
    turns = [{"role": "system", "content": "Think step by step."}, {"role": "user", "content": prompt}]
    return {
        "sample_id": f"{n * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "prompt_id": f"p{n}",
        "dataset": "bench",
        "build_id": "b",
        "teacher": f"t{n % 3}",
        "model": f"m-{n % 3}",
        "prompt": prompt,
        "messages": turns,
        "response": text(chars),
        "prompt_source": "prompts.jsonl",
        "prompt_license": "CC-BY-4.0",
        "teacher_license": "Apache-2.0",
        "license": "CC-BY-4.0 AND Apache-2.0",
        "train_use": "allowed",
        "generation": 0,
        "split": "train",
    }


def one(folder: str, options: str) -> None:
    """Export once, in this process, and print what it took."""
    from storage import memory
    from tasks.export import ExportOptions, export

    memory.settle()
    lake = Lake(Path(folder) / "lake")
    build = lake.build("bench")
    before = resident("VmRSS")
    began, used = time.monotonic(), time.process_time()
    manifest = export(lake, build, ExportOptions(to=f"{folder}/out", shards=16, **json.loads(options)))
    elapsed, used = time.monotonic() - began, time.process_time() - used
    took = {
        "rows": manifest["rows"],
        "s": elapsed,
        "cpu": used,
        "before": before,
        "peak": resident("VmHWM"),
        "bytes": sum(shard["bytes"] for shard in manifest["shards"]),
        "tokens": manifest["splits"]["train"].get("facts", {}).get("tokens"),
    }
    print(json.dumps(took))


def resident(what: str) -> float:
    """Return this process's resident megabytes, now or at most."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1_000


def exported(folder: str, options: dict[str, object]) -> dict[str, float]:
    """Export in a process of its own, and return what it took."""
    command = [sys.executable, __file__, "--one", folder, json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def long(sizes: list[int]) -> int:
    """Export one long response after the other as tokens."""
    from tests.tasks.exporters import students

    print(f"{'characters':>11} {'tokens':>10} {'s':>6} {'MB':>6} {'imports':>8} {'bytes a character':>18}")
    for chars in sizes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            write_lake(Lake(Path(folder) / "lake"), 1, chars=chars)
            took = exported(folder, {"format": "tokenized", "tokenizer": students.smollm(Path(folder) / "student")})
            each = (took["peak"] - took["before"]) * 1e6 / chars
            print(
                f"{chars:>11,} {took['tokens']:>10,} {took['s']:>6.1f} {took['peak']:>6,.0f} {took['before']:>8,.0f} "
                f"{each:>18,.0f}",
                flush=True,
            )
    return 0


def main() -> int:
    """Export each way for each number on the command line."""
    if sys.argv[1:2] == ["--long"]:
        return long(list(map(int, sys.argv[2:])))
    print(f"{'traces':>10} {'file':>8} {'shuffled':>9} {'rows/s':>8} {'by CPU':>8} {'MB':>6} {'imports':>8} {'MB of shards':>13}")
    for number in map(int, sys.argv[1:] or ["100000", "1000000"]):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            write_lake(Lake(Path(folder) / "lake"), number)
            for options in WAYS:
                took = exported(folder, options)
                print(
                    f"{number:>10,} {options['file']:>8} {'yes' if options.get('shuffle') else 'no':>9} "
                    f"{took['rows'] / took['s']:>8,.0f} {took['rows'] / took['cpu']:>8,.0f} {took['peak']:>6,.0f} "
                    f"{took['before']:>8,.0f} {took['bytes'] / 1e6:>13,.0f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        sys.exit(main())
