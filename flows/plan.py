"""Plan: what a build would do and cost, having asked nobody."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import wiring
from flows.run import Say, check
from flows.spec import Spec
from storage.errors import StorageError
from storage.intents import Intents
from storage.lake import Lake
from storage.workspace import Workspace
from tasks.ask import OUT_UNKNOWN
from tasks.prepare import Asked, Prepared, prepare
from tasks.teachers.options import BATCH
from tasks.teachers.protocol import CHARS_PER_TOKEN, Usage
from tasks.templates import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is missing of one teacher."""

    teacher: str
    """Its name."""
    model: str
    """Its model."""
    license: str
    """SPDX expression."""
    missing: int
    """Samples to buy."""
    requests: int
    """Requests that ask for them."""
    tokens_in: int
    """By a rule of thumb of four characters each."""
    tokens_out: int
    """By what this model's stored samples had on average, else `max_tokens`, else a guess."""
    basis: str
    """Which of the three."""
    cost_usd: float | None
    """Roughly; None where no price is known."""
    most_usd: float | None
    """At most, where `max_tokens` bounds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `stillhouse plan` says."""

    dataset: str
    """The spec's."""
    prompts: int
    """Prompts, the same content counted once."""
    folded: int
    """Rows that repeat others."""
    slots: int
    """Samples that the spec wants at most."""
    stored: int
    """Of these, in the lake."""
    missing: int
    """Of these, to buy: fewer where k is adaptive."""
    licenses: dict[str, str]
    """Effective licence by `prompt licence x teacher`."""
    teachers: list[Estimate]
    """By teacher."""
    first: list[dict[str, str]]
    """The first prompt as it will be sent."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)


async def plan(spec: Spec, path: Path, lake: Lake, say: Say) -> Plan:
    """Read everything and return the plan. Raise what a build would raise before its first request."""
    check(spec, path, lake)
    async with wiring.open_teachers(spec, path, keys=False) as made:
        return _read(spec, path, lake, wiring.asked(spec, made), say)


def _read(spec: Spec, path: Path, lake: Lake, asked: list[Asked], say: Say) -> Plan:
    try:
        idle = lake.recover_if_idle()
    except StorageError:  # a lake that may only be read
        idle = False
    if not idle:
        say("what is in this lake's journal, and not landed yet, counts as missing here")
    if sent := sum(len(intent.items) for intent in Intents(lake.batches).all()):
        say(f"{sent:,} requests are in batches that were sent already; what they ask for counts as missing here")
    with tempfile.TemporaryDirectory(prefix="stillhouse-plan-") as folder, Workspace(lake, Path(folder)) as workspace:
        prepared = prepare(
            workspace,
            wiring.read(spec),
            Template(spec.template, where=str(path)),
            asked,
            spec.sampling.parameters(),
            spec.sampling.k,
        )
        return _plan(spec, prepared, workspace)


def _plan(spec: Spec, prepared: Prepared, workspace: Workspace) -> Plan:
    facts = wiring.facts(spec)
    estimates = [_estimate(spec, number, workspace) for number in range(len(spec.drawing))]
    return Plan(
        dataset=spec.dataset,
        prompts=prepared.prompts,
        folded=prepared.folded,
        slots=prepared.slots,
        stored=prepared.stored,
        missing=sum(estimate.missing for estimate in estimates),
        licenses={f"{prompt} x {fact.name}": each.license for fact in facts for prompt, each in fact.effective.items()},
        teachers=estimates,
        first=[{"role": message.role, "content": message.content} for message in prepared.first],
    )


def _estimate(spec: Spec, number: int, workspace: Workspace) -> Estimate:
    teacher, most = spec.drawing[number], spec.sampling.max_tokens
    ((missing, chars, requests),) = workspace.rows(
        f"""
        WITH wanted AS (
            SELECT min(ord) AS ord, min(teacher) AS teacher, any_value(chars) AS chars
            FROM slots WHERE NOT stored GROUP BY sample_id
        ), prompts AS (SELECT count(*) AS missing, any_value(chars) AS chars FROM wanted WHERE teacher = {number} GROUP BY ord)
        SELECT coalesce(sum(missing), 0)::BIGINT, coalesce(sum(chars * ceil(missing / {teacher.samples_per_request})), 0)::BIGINT,
            coalesce(sum(ceil(missing / {teacher.samples_per_request})), 0)::BIGINT
        FROM prompts
        """
    )
    ((mean,),) = workspace.rows(
        "SELECT avg(tokens_out) FROM samples WHERE provider IN (?, ?) AND model = ?",
        [teacher.vendor, f"{teacher.vendor}{BATCH}", teacher.model],
    )
    basis = f"a guess of {OUT_UNKNOWN}, since no max_tokens is set"
    if mean or most:
        basis = "this model's stored samples" if mean else "max_tokens"
    each = mean or most or OUT_UNKNOWN
    tokens_in = int(chars) // CHARS_PER_TOKEN
    price = teacher.paid
    return Estimate(
        teacher=teacher.name,
        model=teacher.model,
        license=str(teacher.license),
        missing=missing,
        requests=requests,
        tokens_in=tokens_in,
        tokens_out=int(missing * each),
        basis=basis,
        cost_usd=price.cost(Usage(tokens_in=tokens_in, tokens_out=int(missing * each))) if price else None,
        most_usd=price.cost(Usage(tokens_in=tokens_in, tokens_out=missing * most)) if price and most else None,
    )
