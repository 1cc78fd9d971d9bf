"""Curation and export of traces whose samples and verdicts are all in the lake, by number of traces.

    .venv/bin/python benchmarks/curate.py 1000000 10000000

For each number and step: seconds that a million traces take, processor seconds, and the peak resident memory. The samples are
written into the lake beforehand, four to a prompt, one in a hundred a copy of another one; nobody is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows import judging, wiring
from flows.building import Run
from flows.loading import load_spec
from storage.identity import check_inputs, request_key
from storage.lake import Lake
from storage.records import Message, Prompt
from storage.schemas import SAMPLES, VERDICTS

K = 4
PROMPTS = 25_000
"""In a part of the lake."""
WORDS = 100
"""In a response."""
SYLLABLES = ("ba", "ko", "mi", "ru", "te", "na", "so", "li", "pe", "du")
VOCABULARY = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]


def texts(rng: np.random.Generator, number: int, words: int) -> pa.Array:
    """Return texts of random words."""
    indices = pa.array(rng.integers(0, len(VOCABULARY), number * words, dtype=np.int32))
    listed = pa.ListArray.from_arrays(np.arange(0, number * words + 1, words, dtype=np.int32), pa.array(VOCABULARY).take(indices))
    return pc.binary_join(listed, " ")


def write_inputs(folder: Path, traces: int) -> Path:
    """Write the spec and its prompts; return the spec's path."""
    rng = np.random.default_rng(7)
    prompts = folder / "prompts.parquet"
    schema = pa.schema([("id", pa.string()), ("prompt", pa.string()), ("reference", pa.string())])
    with pq.ParquetWriter(prompts, schema, compression="zstd") as writer:
        for first in range(0, traces // K, PROMPTS):
            number = min(PROMPTS, traces // K - first)
            ids = pa.array([f"p{first + i}" for i in range(number)])
            references = pa.array([str((first + i) % 7) for i in range(number)])
            writer.write_table(pa.table([ids, texts(rng, number, 40), references], schema=schema))
    spec = {
        "dataset": "curate",
        "prompts": [{"source": str(prompts), "license": "CC0-1.0"}],
        "teachers": [{"name": "s", "provider": "simulate", "model": "m", "license": "CC0-1.0"}],
        "sampling": {"k": K},
        "verify": [{"use": "refusal"}],
        "exports": [{"format": "messages", "to": str(folder / "out"), "shards": 16}],
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def write_part(job: tuple[str, str, int]) -> None:
    """Write the samples and verdicts of one stretch of the prompts."""
    path, lake, number = job
    spec = load_spec(Path(path))
    (named,) = judging.make_verifiers(spec, Path(path))
    (asked,) = asyncio.run(_asked(path))
    file = pq.ParquetFile(spec.prompts[0].source)
    rows = file.read_row_group(number).to_pylist()
    rng = np.random.default_rng([7, number])
    responses = texts(rng, len(rows) * K, WORDS)
    copies = np.arange(len(responses))
    copies[rng.random(len(copies)) < 0.01] = 0
    responses = responses.take(pa.array(copies))
    keys, inputs = [], []
    for row in rows:
        messages = (Message(role="user", content=row["prompt"]),)
        keys.append(
            request_key(
                provider=asked.provider,
                model=asked.model,
                messages=messages,
                parameters=spec.sampling.parameters(),
                identity=asked.identity,
            )
        )
        inputs.append(check_inputs(_prompt(row, messages)))
    ids = pa.array([hashlib.sha256(f"{key}/{i}".encode()).hexdigest()[:32] for key in keys for i in range(K)])
    total = len(ids)
    of = pa.array(np.repeat(np.arange(len(rows)), K))

    def same(value: object, kind: pa.DataType) -> pa.Array:
        return pa.array([value], kind).take(pa.array(np.zeros(total, np.int8)))

    given = {
        "sample_id": ids,
        "prompt_id": pa.array([row["id"] for row in rows]).take(of),
        "teacher": same("s", pa.string()),
        "provider": same("simulate", pa.string()),
        "model": same("m", pa.string()),
        "sample_index": pa.array(np.tile(np.arange(K, dtype=np.int32), len(rows))),
        "messages": pa.array([[{"role": "user", "content": row["prompt"]}] for row in rows], SAMPLES.field("messages").type).take(
            of
        ),
        "response": responses,
        "finish_reason": same("stop", pa.string()),
        "tokens_in": same(60, pa.int32()),
        "tokens_out": same(130, pa.int32()),
        "created_at": same(datetime(2026, 1, 1, tzinfo=UTC), SAMPLES.field("created_at").type),
    }
    _write(Path(lake) / "samples" / f"part-{number:06d}.parquet", SAMPLES, given, total)
    given = {
        "sample_id": ids,
        "verifier": same(named.name, pa.string()),
        "version": same(named.version, pa.string()),
        "fingerprint": same(named.fingerprint, pa.string()),
        "inputs": pa.array(inputs).take(of),
        "passed": same(True, pa.bool_()),
        "score": pa.array(rng.random(total, np.float32)),
        "reason": same("", pa.string()),
    }
    _write(Path(lake) / "verdicts" / f"part-{number:06d}.parquet", VERDICTS, given, total)


def _turns(row: dict[str, str]) -> list[dict[str, str]]:
    return [{"role": "user", "content": row["prompt"]}]


def _write(path: Path, schema: pa.Schema, given: dict[str, pa.Array], rows: int) -> None:
    columns = [given[field.name] if field.name in given else pa.nulls(rows, field.type) for field in schema]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd", row_group_size=2_000)


async def _asked(path: str) -> list[object]:
    spec = load_spec(Path(path))
    async with wiring.open_teachers(spec, Path(path), keys=False) as made:
        return wiring.asked(spec, made)


def _prompt(row: dict[str, str], messages: tuple[Message, ...]) -> Prompt:
    return Prompt(
        prompt_id=row["id"],
        messages=messages,
        prompt=row["prompt"],
        reference=row["reference"],
        tests=None,
        tags={},
        source="",
        license="CC0-1.0",
        generation=0,
    )


def peak() -> int:
    """Return the greatest resident bytes of this process since this was last asked."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


async def build(path: Path, lake: Path) -> dict[str, float]:
    """Build, and return the seconds of each step and the traces kept."""
    took: dict[str, float] = {}
    began, busy = time.monotonic(), time.process_time()

    def lap(name: str) -> None:
        nonlocal began, busy
        now, cpu = time.monotonic(), time.process_time()
        took[name], took[f"{name} cpu"], took[f"{name} peak"] = now - began, cpu - busy, peak()
        began, busy = now, cpu

    async with Run(load_spec(path), path, Lake.at(str(lake)), say=print) as run:
        lap("open")
        await run.prepare()
        lap("prepare")
        await run.judge_stored()
        lap("judge")
        for number in await run.shards():
            await run.work(number)
        await run.judge_together()
        lap("shards")
        summary = await run.curate()
        lap("curate")
        await run.land(summary)
        lap("export")
    lap("close")
    assert summary.paid == 0, summary
    took["kept"] = summary.kept
    return took


def measured(path: str, lake: str) -> None:
    """Build in a process of its own and print its figures as JSON."""
    took = asyncio.run(build(Path(path), Path(lake)))
    print(json.dumps(took))


def parts(traces: int) -> Iterator[int]:
    """Yield the numbers of the lake's parts."""
    yield from range(-(-(traces // K) // PROMPTS))


def row(name: str, figures: list[float], whole: Callable[[list[float]], float] = sum) -> None:
    """Print a line of the table."""
    print(f"{name:>12} " + " ".join(f"{figure:>8.1f}" for figure in [*figures, whole(figures)]), flush=True)


def main() -> int:
    """Measure each number of traces on the command line."""
    steps = ("open", "prepare", "judge", "shards", "curate", "export", "close")
    print(f"{'traces':>12} " + " ".join(f"{name:>8}" for name in (*steps, "all")))
    for traces in map(int, sys.argv[1:] or ["1000000"]):
        folder = Path(tempfile.mkdtemp())
        try:
            path, lake = write_inputs(folder, traces), folder / "lake"
            with Lake.at(str(lake)).writing(print):
                pass
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                pool.map(write_part, [(str(path), str(lake), number) for number in parts(traces)], chunksize=1)
            done = subprocess.run(
                [sys.executable, __file__, "--measured", str(path), str(lake)], check=True, stdout=subprocess.PIPE, text=True
            )
            took = json.loads(done.stdout.splitlines()[-1])
            row(f"{traces:,}", [took[step] * 1e6 / traces for step in steps])
            row("processor", [took[f"{step} cpu"] * 1e6 / traces for step in steps])
            row("peak MB", [took[f"{step} peak"] / 1e6 for step in steps], max)
        finally:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measured"]:
        measured(*sys.argv[2:])
    else:
        sys.exit(main())
