"""Landed builds to export: their snapshots and manifests, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import OUTCOMES, TRACES, VERDICTS
from tasks.export import ExportOptions, export

LICENSE = "CC-BY-4.0 AND Apache-2.0"


def trace(n: int, **changed: Any) -> dict[str, Any]:
    """Return a trace."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Q{n} ä\u2028\n"}]
    return {
        "sample_id": f"s{n}",
        "prompt_id": f"p{n}",
        "dataset": "sums",
        "build_id": "b1",
        "teacher": "smol",
        "model": "m-1",
        "prompt": f"Q{n}",
        "messages": turns,
        "response": f"A{n}",
        "reasoning": None if n % 2 else f"R{n}",
        "prompt_source": "p.jsonl",
        "prompt_license": "CC-BY-4.0",
        "teacher_license": "Apache-2.0",
        "license": LICENSE,
        "train_use": "allowed",
        "generation": 0,
        "split": "train",
    } | changed


def land(
    lake: Lake,
    rows: int | Sequence[dict[str, Any]],
    *,
    make: Callable[[int], dict[str, Any]] = trace,
    build_id: str = "b1",
    parts: int = 2,
    verdicts: Sequence[dict[str, Any]] = (),
    **said: Any,
) -> dict[str, Any]:
    """Write a build's traces, over some files, with an outcome for each, and return its manifest."""
    made = [make(n) for n in range(rows)] if isinstance(rows, int) else list(rows)
    folder = lake.snapshot("traces", "sums", build_id)
    for part in range(parts):
        some = made[part * len(made) // parts : (part + 1) * len(made) // parts]
        write_rows(folder / f"part-{part:05}.parquet", TRACES, [each | {"build_id": build_id} for each in some])
    kept = [{"prompt_id": each["prompt_id"], "sample_id": each["sample_id"], "outcome": "kept"} for each in made]
    write_rows(lake.snapshot("outcomes", "sums", build_id) / "part-00000.parquet", OUTCOMES, kept)
    write_rows(lake.root / "verdicts" / "part.parquet", VERDICTS, verdicts)
    spec = {"dataset": "sums", "seed": 7, "teachers": [{"name": "smol", "provider": "replay", "model": "m-1"}]}
    return {
        "dataset": "sums",
        "build_id": build_id,
        "created_at": "2026-11-26T00:00:00.000000+00:00",
        "version": "0.1.0",
        "spec": spec,
        "spec_hash": "h",
        "requested": len(made),
        "kept": len(made),
        "rejected": {},
        "failed": 0,
    } | said


def run(lake: Lake, rows: int | Sequence[dict[str, Any]] = 10, *, to: str = "out", **options: Any) -> dict[str, Any]:
    """Land and export so many traces, to a folder beside the lake, and return the manifest."""
    where = to if "://" in to else str(lake.root.parent / to)
    return export(lake, land(lake, rows), ExportOptions(to=where, **options))
