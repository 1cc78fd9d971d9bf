"""What a worker bought, by what it left on disk: the money of one that was killed before it could tell."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage.outbox import Outbox
from tasks.draw import Spending


def wasted(box: Outbox) -> list[dict[str, Any]]:
    """Return what a worker was billed in vain; a line that was torn is left out."""
    found = []
    for path in box.waste.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def bought(parts: Sequence[Path], vain: Sequence[dict[str, Any]]) -> Spending:
    """Return what parts of samples cost, and what was billed beside them."""
    total = Spending()
    for part in parts:
        for row in pq.read_table(part, columns=["teacher", "cost_usd", "tokens_in", "tokens_out"]).to_pylist():
            _sum(total, row, paid=1)
    for row in vain:
        _sum(total, row, paid=0)
    return total


def untold(told: Spending, found: Spending) -> Spending:
    """Return what was found of each teacher beyond what had been told."""
    more = Spending()
    for name, each in found.by_teacher.items():
        was = told.by_teacher.get(name, Spending())
        for total in (more, more.of(name)):
            total.count(
                paid=max(0, each.paid - was.paid),
                cost_usd=max(0.0, each.cost_usd - was.cost_usd),
                tokens_in=max(0, each.tokens_in - was.tokens_in),
                tokens_out=max(0, each.tokens_out - was.tokens_out),
            )
    return more


def _sum(total: Spending, row: dict[str, Any], *, paid: int) -> None:
    for each in (total, total.of(row["teacher"])):
        each.count(paid=paid, cost_usd=row["cost_usd"] or 0.0, tokens_in=row["tokens_in"], tokens_out=row["tokens_out"])
