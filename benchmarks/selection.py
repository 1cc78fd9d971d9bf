"""Seconds and peak memory of each part of the selection, by number of accepted samples, four a prompt.

    .venv/bin/python benchmarks/selection.py 1000000

Each part runs by itself on the same samples of 150 words, with what a build's workspace may hold in memory.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from storage.lake import Lake
from storage.sql import literal
from storage.workspace import Workspace
from tasks.select import SelectOptions, choose, sift
from tasks.selection.split import split

K = 4
PARTS: dict[str, dict[str, Any]] = {
    "pass_rate": {"pass_rate": (0.3, 0.8)},
    "per_prompt, shortest": {"per_prompt": 2, "prefer": "shortest"},
    "per_prompt, diverse": {"per_prompt": 2, "prefer": "diverse"},
    "cap by tag": {"cap": {"by": "tag:topic", "at": 1_000}},
    "split": {"split": {"validation": 0.05, "test": 0.05}},
    "split, stratified": {"split": {"validation": 0.05, "test": 0.05, "stratify": "tag:topic"}},
    "split by groups": {"split": {"validation": 0.05, "test": 0.05, "group": "tag:family"}},
}


def texts(rng: random.Random, words: list[str], many: int) -> list[str]:
    """Return texts of 150 words."""
    return [" ".join(rng.choices(words, k=150)) for _ in range(many)]


def write(folder: Path, samples: int) -> None:
    """Write prompts and samples."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5_000)]
    prompts = samples // K
    (folder / "samples").mkdir()
    (folder / "prompts").mkdir()
    for start in range(0, prompts, 25_000):
        ords = list(range(start, min(start + 25_000, prompts)))
        tags = pa.array([[("topic", str(o % 100)), ("family", str(o // 3))] for o in ords], pa.map_(pa.string(), pa.string()))
        ids = [f"p{o}" for o in ords]
        table = {"ord": ords, "prompt_id": ids, "prompt": texts(rng, words, len(ords)), "source": ["s"] * len(ords), "tags": tags}
        table["parents"] = pa.array([[]] * len(ords), pa.list_(pa.string()))
        pq.write_table(pa.table(table), folder / "prompts" / f"{start:09d}.parquet", compression="zstd")
        ids = [hashlib.md5(f"{o}-{n}".encode()).hexdigest() for o in ords for n in range(K)]
        made = {
            "sample_id": ids,
            "response": texts(rng, words, len(ids)),
            "reasoning": pa.nulls(len(ids), pa.string()),
            "created_at": ["2026-01-01"] * len(ids),
            "teacher": ["t"] * len(ids),
            "sample_index": [n for _ in ords for n in range(K)],
        }
        pq.write_table(pa.table(made), folder / "samples" / f"{start:09d}.parquet", compression="zstd", row_group_size=10_000)


def ready(workspace: Workspace, folder: Path, samples: int) -> None:
    """Give a workspace what the selection reads."""
    workspace.make_room(samples)
    for table in ("prompts", "samples"):
        workspace.execute(f"CREATE OR REPLACE VIEW {table} AS FROM read_parquet({literal(folder / table / '*.parquet')})")
    workspace.execute(
        f"""
        CREATE TABLE candidates AS
        SELECT i // {K} AS ord, 0::SMALLINT AS arm, (i % {K})::INTEGER AS sample_index,
            md5((i // {K}) || '-' || (i % {K})) AS sample_id, 500 + (i * 7919) % 500 AS length, ((i * 31) % 10) / 10 AS score,
            CASE WHEN i % {K} < (i // {K}) % 3 THEN 'verify' END AS stage, NULL::VARCHAR AS reason, FALSE AS returned
        FROM range({samples}) AS indices(i)
        """
    )
    workspace.execute("CREATE TABLE arms AS SELECT 0::SMALLINT AS arm, 0::SMALLINT AS first, NULL::VARCHAR AS strategy")


def resident() -> int:
    """Return the bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


class Peak:
    """The most that this process holds meanwhile."""

    def __enter__(self) -> Self:
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.bytes = max(self.bytes, resident())

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()


def main() -> int:
    """Time each part for each number of samples on the command line."""
    names = f"{'samples':>10} {'part':<20} {'seconds':>8} {'CPU s':>7} {'a second':>10} {'peak MB':>8}"
    print(f"{names} {'left out':>9} {'held back':>9}")
    for samples in map(int, sys.argv[1:] or ["1000000"]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(folder, samples)
            pa.default_memory_pool().release_unused()
            for part, given in PARTS.items():
                with Workspace(Lake(folder / "lake"), folder / "work") as workspace:
                    ready(workspace, folder, samples)
                    began, busy = time.monotonic(), time.process_time()
                    with Peak() as peak:
                        options = SelectOptions(**given)
                        sift(workspace, options)
                        choose(workspace, options, seed=0)
                        split(workspace, options.split, seed=0)
                    seconds, busy = time.monotonic() - began, time.process_time() - busy
                    ((out,),) = workspace.rows("SELECT count(*) FROM candidates WHERE stage = 'select'")
                    ((held,),) = workspace.rows("SELECT count(*) FROM splits")
                rate, most = samples / seconds, peak.bytes / 1e6
                line = f"{samples:>10,} {part:<20} {seconds:>8.1f} {busy:>7.1f} {rate:>10,.0f} {most:>8,.0f} {out:>9,} {held:>9,}"
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
