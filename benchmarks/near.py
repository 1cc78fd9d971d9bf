"""How well and how fast near-duplicates are found, beside datasketch.

    .venv/bin/python benchmarks/near.py            # a million documents, some minutes
    .venv/bin/python benchmarks/near.py 20000      # seconds

Documents have 200 words. A tenth are copies of others with one to four words changed, at or above the threshold of 0.8; a
twentieth are copies with five or six words changed, just below it. Then a tenth as many new documents, made in the same way
of the first ones, are compared with these, which another dataset holds (`dedup: {against: …}`).

Each step is a process of its own and does what a build does: digests, signatures, the search and the outcomes, from samples in
the lake. Recall is the part of the copies at the threshold of which one of the two was dropped; precision the part of what was
dropped whose similarity to what its outcome names is the threshold or more. Similarities are computed here, with sets of tuples.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.lake import Lake
from storage.parquet import PartWriter, write_rows
from storage.schemas import OUTCOMES, PROMPTS, SAMPLES, TRACES
from storage.sql import literal
from storage.workspace import Workspace
from tasks.dedup import dedup
from tasks.duplicates.digests import digests
from tasks.duplicates.options import DedupOptions
from tasks.outcomes import NO_DOUBLE

THRESHOLD, NGRAM, TOKENS = 0.8, 5, 200
SKETCHED = 20_000
"""Documents that datasketch is given, at most."""
PART = 50_000
"""Documents in a part of the lake."""


def vocabulary() -> list[str]:
    """Return 50,000 words."""
    rng = random.Random(0)
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(50_000)]


def documents(seed: int, number: int, originals: np.ndarray | None, made: np.ndarray) -> np.ndarray:
    """Fill `made` with the copied document's number, or -1, and return documents as rows of words' numbers.

    Copies are of `originals`, each at most once, or of the documents themselves.
    """
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 50_000, size=(number, TOKENS), dtype=np.uint16)
    made[:] = -1
    copies = number * 15 // 100
    own = originals is None
    # The last ones are copies, of what stands before them; ids are in random order.
    sources = rng.choice(number - copies if own else len(originals), size=copies, replace=False)
    first = number - copies
    words[first:] = (words if own else originals)[sources]
    made[first:] = sources
    changes = np.where(np.arange(copies) < number // 10, rng.integers(1, 5, copies), rng.integers(5, 7, copies))
    for place, many in enumerate(changes):
        words[first + place, rng.choice(TOKENS, size=many, replace=False)] = rng.integers(0, 50_000, many)
    return words


def texts(words: np.ndarray, known: list[str]) -> Iterator[str]:
    """Yield documents."""
    for row in words:
        yield " ".join([known[each] for each in row.tolist()])


def grams(text: str) -> set[tuple[str, ...]]:
    """Return a document's n-grams."""
    words = text.split()
    return set(zip(*(words[place:] for place in range(NGRAM)), strict=False))


def jaccard(one: str, other: str) -> float:
    """Return the similarity of two documents."""
    a, b = grams(one), grams(other)
    return len(a & b) / len(a | b)


def sample_id(dataset: str, number: int) -> str:
    """Return a document's id, in an order that has nothing to do with its number."""
    return f"{(number * 2654435761 + len(dataset)) % 2**32:08x}{dataset}{number:016x}"


def fill(lake: Lake, dataset: str, words: np.ndarray, known: list[str]) -> None:
    """Write documents as samples."""
    for begin in range(0, len(words), PART):
        part = words[begin : begin + PART]
        with PartWriter(lake.root / "samples" / f"{dataset}-{begin:08}.parquet", SAMPLES, keep_footer=True) as writer:
            for start in range(0, len(part), 2_000):
                chunk = list(texts(part[start : start + 2_000], known))
                ids = [sample_id(dataset, begin + start + place) for place in range(len(chunk))]
                empty = [pa.nulls(len(chunk), field.type) for field in SAMPLES]
                batch = pa.record_batch(empty, schema=SAMPLES)
                batch = batch.set_column(SAMPLES.get_field_index("sample_id"), "sample_id", pa.array(ids))
                writer.write_batch(batch.set_column(SAMPLES.get_field_index("response"), "response", pa.array(chunk)))


def step(root: Path, dataset: str, against: list[str], out: Path) -> None:
    """Do what a build does from its digests to its outcomes, and print seconds and peak memory."""
    lake = Lake(root)
    with Workspace(lake, root / ".staging" / dataset) as workspace:
        chosen = f"FROM samples WHERE sample_id[9:{8 + len(dataset)}] = {literal(dataset)}"
        workspace.execute(f"CREATE TABLE slots AS SELECT sample_id, row_number() OVER () - 1 AS ord {chosen}")
        ((slots,),) = workspace.rows("SELECT count(*) FROM slots")
        workspace.make_room(slots)
        # Arrow's first array of numpy's imports pandas, which the tools of development bring and stillhouse doesn't.
        pa.array(np.zeros(1))
        began, worked = time.monotonic(), time.process_time()
        digests(workspace, lake, build_id=dataset)
        workspace.execute(
            "CREATE TABLE candidates AS SELECT ord, 0::SMALLINT AS arm, 0 AS sample_index, sample_id, digest, length, "
            "NULL::DOUBLE AS score, NULL::VARCHAR AS stage, NULL::VARCHAR AS reason, "
            f"FALSE AS returned, {NO_DOUBLE} FROM slots JOIN texts USING (sample_id)"
        )
        options = DedupOptions(near={"threshold": THRESHOLD, "ngram": NGRAM}, against=against)
        dedup(workspace, options, lake, build_id=dataset)
        seconds, cpu = time.monotonic() - began, time.process_time() - worked
        workspace.execute(f"COPY (SELECT sample_id, stage, reason FROM candidates) TO {literal(out)} (FORMAT parquet)")
    memory = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mb": int(memory[1]) / 1000 if memory else 0}))


def run(lake: Lake, dataset: str, *against: str) -> tuple[dict[str, float], dict[str, str]]:
    """Run a step in a process of its own; return what it printed, and reasons by the ids of what was dropped."""
    out = lake.root.with_name(f"{dataset}.parquet")
    command = [sys.executable, __file__, "--step", str(lake.root), dataset, str(out), *against]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    rows = pq.read_table(out, filters=[("stage", "==", "dedup")])
    return told, dict(zip(rows["sample_id"].to_pylist(), rows["reason"].to_pylist(), strict=True))


def land(lake: Lake, dataset: str, dropped: dict[str, str]) -> None:
    """Make what was kept a build."""
    staged = lake.staging / "landed"
    for table, schema in (("prompts", PROMPTS), ("outcomes", OUTCOMES)):
        write_rows(staged / table / "part.parquet", schema, ())
    for path in sorted((lake.root / "samples").glob(f"{dataset}-*.parquet")):
        with PartWriter(staged / "traces" / path.name, TRACES) as writer, pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=10_000, columns=["sample_id", "response"]):
                kept = batch.filter(pa.array([each not in dropped for each in batch["sample_id"].to_pylist()]))
                columns = [
                    kept[field.name] if field.name in kept.schema.names else pa.nulls(len(kept), field.type) for field in TRACES
                ]
                writer.write_batch(pa.record_batch(columns, schema=TRACES))
    lake.land({"dataset": dataset, "build_id": f"{dataset}-1", "created_at": "2026-01-01T00:00:00+00:00"}, staged)


def judged(dropped: dict[str, str], copies: dict[str, tuple[str, str, str]], text_of: dict[str, str]) -> tuple[float, float, int]:
    """Return recall, precision, and how many copies are at the threshold or above."""
    there = found = 0
    for copy, (original, one, other) in copies.items():
        if jaccard(one, other) >= THRESHOLD:
            there += 1
            found += copy in dropped or original in dropped
    right = 0
    for dropped_id, reason in dropped.items():
        named = reason.split(" (")[0].split()[1]
        right += dropped_id != named and jaccard(text_of[dropped_id], text_of[named]) >= THRESHOLD
    return found / there, right / max(len(dropped), 1), there


def sketched(given: list[str]) -> dict[str, float]:
    """Return how long datasketch signs documents, asks for them and adds them."""
    from datasketch import MinHash, MinHashLSH

    began, worked = time.monotonic(), time.process_time()
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    for number, text in enumerate(given):
        words = text.lower().split()
        minhash = MinHash(num_perm=128)
        minhash.update_batch([" ".join(words[place : place + NGRAM]).encode() for place in range(len(words) - NGRAM + 1)])
        lsh.query(minhash)
        lsh.insert(str(number), minhash)
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - worked}


def main() -> int:
    """Make documents, drop, and print what came of it."""
    if sys.argv[1:2] == ["--step"]:
        step(Path(sys.argv[2]), sys.argv[3], sys.argv[5:], Path(sys.argv[4]))
        return 0
    number = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    known = vocabulary()
    with tempfile.TemporaryDirectory() as name:
        lake = Lake(Path(name) / "lake")
        with lake.writing(print):
            pass
        old_made, new_made = np.empty(number, np.int64), np.empty(number // 10, np.int64)
        old = documents(1, number, None, old_made)
        fill(lake, "old", old, known)
        first, dropped = run(lake, "old")
        again, dropped_again = run(lake, "old")
        peer = sketched(list(texts(old[: min(number, SKETCHED)], known)))
        land(lake, "old", dropped)
        new = documents(2, number // 10, old, new_made)
        fill(lake, "new", new, known)
        later, new_dropped = run(lake, "new", "old")
        # Of a document that was dropped itself, nothing is held that a copy of it must be near to.
        held = np.array([sample_id("old", int(each)) not in dropped for each in new_made])
        rows = []
        for made, words, source, where, gone, wanted in (
            (old_made, old, old, "old", dropped, old_made >= 0),
            (new_made, new, old, "new", new_dropped, (new_made >= 0) & held),
        ):
            ids = np.flatnonzero(wanted)
            pairs = zip(ids.tolist(), texts(words[ids], known), texts(source[made[ids]], known), strict=True)
            copies = {sample_id(where, each): (sample_id("old", int(made[each])), one, other) for each, one, other in pairs}
            named = {reason.split(" (")[0].split()[1] for reason in gone.values()} | gone.keys()
            text_of = {}
            for each in named:
                text_of[each] = " ".join(
                    known[word] for word in (new if each[8:11] == "new" else old)[int(each[-16:], 16)].tolist()
                )
            rows.append(judged(gone, copies, text_of))
        less, fewer = min(number, SKETCHED), number // 10
        print(f"{'step':<30} {'documents':>9} {'s':>7} {'CPU s':>6} {'per s':>7} {'MB':>6} {'recall':>8} {'precision':>9}")
        for what, many, told, measured in (
            ("the first time", number, first, rows[0][:2]),
            ("again, all signatures stored", number, again, ()),
            ("new ones, against these", fewer, later, rows[1][:2]),
            ("datasketch, on a part", less, peer, ()),
        ):
            much = f"{told['seconds']:>7.1f} {told['cpu']:>6.1f} {many / told['seconds']:>7,.0f} {told.get('mb', 0):>6.0f}"
            print(f"{what:<30} {many:>9,} {much} {' '.join(f'{each:>8.5f}' for each in measured)}")
        for unit in ("seconds", "cpu"):
            rate = number / first[unit] / (less / peer[unit])
            print(
                f"by {unit}: {rate:.1f} times datasketch's rate; new ones took {later[unit] / first[unit]:.3f} of the first time"
            )
        print(f"copies at the threshold or above: {rows[0][2]:,} and {rows[1][2]:,}")
        print("again the same outcomes" if dropped == dropped_again else "AGAIN OTHER OUTCOMES")
    return 0 if dropped == dropped_again else 1


if __name__ == "__main__":
    sys.exit(main())
