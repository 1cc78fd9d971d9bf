"""What a worker bought, by what it left on disk: the money of one that was killed before it could tell."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage.lake import Lake
from storage.parquet import UNREADABLE
from storage.waste import rows_of
from tasks.draw import Spending


def bought(lake: Lake, name: str, parts: Sequence[Path], teachers: Collection[str]) -> Spending:
    """Return what an outbox of this name had, which the lake has taken over with these parts of samples.

    What judges were paid is in the sum alone: neither a verdict nor a check says which of the `teachers` was asked for it.
    """
    total = Spending()
    for part in parts:
        for row in pq.read_table(part, columns=["teacher", "cost_usd", "tokens_in", "tokens_out"]).to_pylist():
            _sum(total, row, paid=1)
    for kind in ("", "-settled", "-left"):  # the last of checks
        for row in rows_of(lake.waste / f"{name}{kind}.jsonl"):
            _sum(total, dict(row), paid=0, apart=row["teacher"] in teachers)
    for part in (lake.root / "verdicts").glob(f"{name}-*.parquet"):
        with contextlib.suppress(*UNREADABLE):  # whoever reads verdicts says so
            total.count(cost_usd=sum(cost or 0.0 for cost in pq.read_table(part, columns=["cost_usd"])["cost_usd"].to_pylist()))
    return total


def untold(told: Spending, found: Spending) -> Spending:
    """Return what was found beyond what had been told: the money in all, and of each teacher what can be told apart.

    What may have been billed is found as what was billed is.
    """
    more = Spending(cost_usd=max(0.0, found.cost_usd - told.cost_usd - told.unanswered_usd))
    for name, each in found.by_teacher.items():
        was = told.by_teacher.get(name, Spending())
        of_teacher = more.of(name)
        of_teacher.count(
            paid=max(0, each.paid - was.paid),
            cost_usd=max(0.0, each.cost_usd - was.cost_usd - was.unanswered_usd),
            tokens_in=max(0, each.tokens_in - was.tokens_in),
            tokens_out=max(0, each.tokens_out - was.tokens_out),
        )
        more.count(paid=of_teacher.paid, tokens_in=of_teacher.tokens_in, tokens_out=of_teacher.tokens_out)
    return more


def _sum(total: Spending, row: dict[str, Any], *, paid: int, apart: bool = True) -> None:
    for each in (total, total.of(row["teacher"])) if apart else (total,):
        each.count(paid=paid, cost_usd=row["cost_usd"] or 0.0, tokens_in=row["tokens_in"], tokens_out=row["tokens_out"])
