"""Plan: what a build would do and cost, having asked nobody."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows import foresight, judging, rights, scorers, wiring
from flows.checks import bar, check, check_prompts
from flows.growth import from_store
from flows.progress import Say
from flows.spec import Spec
from flows.wiring import Connected
from storage.errors import LakeDamaged, StorageError
from storage.intents import Intents
from storage.lake import Lake
from storage.logprobs import token_bytes
from storage.rot import complete
from storage.wording import counted
from storage.workspace import Workspace
from tasks import barred, costs, lapsed, outcomes, unwanted
from tasks.batches import underway
from tasks.estimate import Estimate, estimate
from tasks.growth.estimate import GrowthEstimate
from tasks.license import licenses
from tasks.prepare import Prepared, first_asked, some_prompts
from tasks.rights.bound import Bound
from tasks.rights.terms import load
from tasks.self_test import doubts
from tasks.stop import Stop
from tasks.verify import Named, alone

PAIRS = 20
"""Of prompt licences and teachers that a terminal shows."""
TRIED = 20
"""Prompts on whose references verifiers are tried."""
Lines = list[tuple[str, str]]
"""What a terminal shows, as name and value; a line without a name belongs to the one above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeEstimate:
    """What a judge among the verifiers will cost."""

    verifier: str
    """Its name in the spec."""
    teacher: str
    """Whom it asks; several names, with commas between them, where several judge."""
    verdicts: int
    """On the expected samples, and on what is stored and not judged by it."""
    cost_usd: float | None
    """About; None where none of its verdicts is stored, or no price is known."""
    least_usd: float
    """At least, as for the samples."""
    most_usd: float | None
    """At most: each is asked for twice, and costs what the dearest stored one did."""
    basis: str
    """What it goes by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `stillhouse plan` says."""

    dataset: str
    """The spec's."""
    prompts: int
    """Prompts, the same content counted once."""
    folded: int
    """Rows that repeat others."""
    barred: dict[str, int]
    """Prompts of which nothing will be bought, by the stage that rejects them."""
    slots: int
    """Samples that the spec wants at most, of the others."""
    stored: int
    """Of these, in the lake."""
    missing: int
    """To buy at most, the same sample counted once."""
    expected: int
    """To buy as far as is known: fewer than `missing` where k is adaptive or the teachers are a cascade."""
    cost_usd: float | None
    """What that will cost, judges included; None where a price is unknown."""
    least_usd: float | None
    """At least."""
    most_usd: float | None
    """At most."""
    known: bool
    """Whether `cost_usd` goes by samples of these very prompts. Else only the bounds mean much."""
    budget_usd: float | None
    """The spec's."""
    spent_usd: float
    """What the samples and verdicts that the spec asks for have cost so far."""
    logprobs_bytes: int = 0
    """What the distributions of the expected samples will take in the lake, about; 0 where none are asked for."""
    licenses: dict[str, str]
    """Effective licence by `prompt licence x teacher`."""
    terms: dict[str, str] = field(default_factory=dict)
    """What binds a teacher, and who answers for it, by its name."""
    teachers: list[Estimate]
    """By teacher, and by strategy where there are several."""
    judges: list[JudgeEstimate]
    """By verifier that asks a teacher."""
    growth: list[GrowthEstimate] = field(default_factory=list)
    """By source from which prompts are grown."""
    first: list[dict[str, str]]
    """The first prompt of which samples are wanted, as it will be sent; empty where every prompt is barred."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)

    def lines(self) -> Lines:
        """Return the plan as (name, value) for a terminal, less the first prompt."""
        return [
            *(line for each in self.growth for line in each.lines()),
            *self._sample_lines(),
            *self._bill_lines(),
            *self._cost_lines(),
            *self._budget_lines(),
            *self._right_lines(),
        ]

    def _sample_lines(self) -> Lines:
        folded = f" (repetitions, which count once: {self.folded:,})" if self.folded else ""
        fewer = f" at most, about {self.expected:,} of them to be asked for" if self.expected != self.missing else ""
        same = self.slots - self.stored - self.missing
        shared = f", {same:,} shared with these by prompts that say the same" if same > 0 else ""
        lines = [
            ("prompts", f"{self.prompts:,}{folded}"),
            *(("", f"{number:,} rejected at the stage {stage!r}, at no cost") for stage, number in self.barred.items()),
            ("samples", f"{self.slots:,} wanted: {self.stored:,} stored, {self.missing:,} missing{fewer}{shared}"),
        ]
        if more := sum(each.may_come for each in self.growth):
            may = counted(more, "prompt")
            lines.append(("", f"without those of up to {may} that may be grown yet; the costs below have them"))
        return lines

    def _bill_lines(self) -> Lines:
        lines: Lines = []
        for each in self.teachers:
            beside = f" and about {each.coming:,} of prompts to be grown" if each.coming else ""
            asked = f"{each.model}: {counted(each.expected, 'sample')}{beside} in {counted(each.requests, 'request')}"
            by = f", {each.strategy or 'plain template'}" if any(other.strategy for other in self.teachers) else ""
            lines.append((f"teacher {each.teacher}{by}", f"{asked}, {_usd(each, known=each.known)}"))
            lines.append(("", f"about {counted(each.tokens_in, 'token')} in, {each.tokens_out:,} out (basis: {each.basis})"))
        for judge in self.judges:
            cost = _usd(judge, known=judge.cost_usd is not None)
            lines.append((f"judge {judge.teacher}", f"{counted(judge.verdicts, 'verdict')}, {cost} (basis: {judge.basis})"))
        return lines

    def _cost_lines(self) -> Lines:
        lines = [("cost", _usd(self, known=self.known))]
        if self.least_usd is None and self.missing:
            said = "`price: {input: …, output: …}`, in USD per million tokens; 0 where it costs nothing"
            lines.append(("", f"give each teacher a {said}"))
        elif not self.known and self.missing and self.least_usd != self.most_usd:
            how = "`stillhouse plan SPEC --probe 20` asks 20 prompts, which costs a little and is never bought again"
            lines.append(("", f"a range, since too little is stored to go by: {how}"))
        if self.logprobs_bytes:
            tokens = sum(each.tokens_out for each in self.teachers)
            each_token = f"{self.logprobs_bytes / max(tokens, 1):,.0f} bytes a token"
            lines.append(("logprobs", f"about {self.logprobs_bytes / 1e9:,.3f} GB in the lake, {each_token}"))
        return lines

    def _budget_lines(self) -> Lines:
        if self.budget_usd is None:
            return []
        lines = [("budget", f"${self.budget_usd:g}, of which ${self.spent_usd:,.4f} are spent")]
        expected = (self.cost_usd if self.known else self.least_usd) or 0.0
        if (over := expected - max(0.0, self.budget_usd - self.spent_usd)) > 0:
            much = "about" if self.known else "at least"
            lines.append(("", f"{much} ${over:,.4f} more than is left of it is needed: a build stops there, with exit 4"))
        return lines

    def _right_lines(self) -> Lines:
        pairs = [("license", f"{license_} ({pair}): the gate lets it through") for pair, license_ in self.licenses.items()]
        more = [("", f"and {len(pairs) - PAIRS:,} more, which --json lists")] if len(pairs) > PAIRS else []
        return [*pairs[:PAIRS], *more, *((f"terms of {name}", said) for name, said in self.terms.items())]


async def plan(spec: Spec, path: Path, lake: Lake, say: Say, stop: Stop | None = None) -> Plan:
    """Read everything and return the plan. Raise what a build would before its first request, and what `stop` was set for."""
    check(spec, path, lake)
    for warning in (*scorers.gaps(spec), *wiring.unset_keys(spec)):
        say(warning)
    async with wiring.open_teachers(spec, path, keys=False) as made:
        return _read(spec, path, lake, made, say, Stop() if stop is None else stop)


def _read(spec: Spec, path: Path, lake: Lake, made: list[list[Connected]], say: Say, stop: Stop) -> Plan:
    try:
        idle = lake.recover_if_idle()
    except LakeDamaged:
        raise
    except StorageError:  # a lake that may only be read
        idle = False
    complete(lake)
    if not idle:
        say("what is in this lake's journal, and not landed yet, counts as missing here")
    intents = Intents(lake.batches)
    if sent := sum(len(intent.items) for intent in intents.all()):
        say(
            f"{counted(sent, 'request', 'is', 'are')} in batches that were sent already; what they ask for counts as missing here"
        )
    with tempfile.TemporaryDirectory(prefix="stillhouse-plan-") as folder, Workspace(lake, Path(folder)) as workspace:
        heldout = wiring.heldout(spec, path, say, stop)
        grown = wiring.growing(spec, workspace, made, heldout)
        from_store(spec, path, grown, stop)
        prepared = wiring.prepared(spec, path, workspace, made, stop=stop, grown=grown)
        check_prompts(workspace, spec, path, prepared, say)
        verifiers = judging.make_verifiers(spec, path)
        stop.check()
        prepared = bar(workspace, spec, path, prepared, heldout, verifiers, say)
        growth = foresight.check(spec, workspace, lake, grown, say)
        underway.check(workspace, intents, [arm.teacher for arm in spec.arms])
        doubtful = doubts(verifiers, some_prompts(workspace, TRIED))
        unset = judging.unset_keys(verifiers)
        for warning in (*unset, *judging.biased(spec, verifiers), *judging.undecided(spec, verifiers), *doubtful):
            say(warning)
        lapsed.find(workspace, lake, spec.dataset)
        if failed := workspace.rows("SELECT count(*) FROM lapsed")[0][0]:
            few = "few of them are asked for unless these come now, and only what is said at most has them"
            say(f"{counted(failed, 'missing sample')} failed in the last run: {few}")
        stop.check()
        return _plan(spec, path, verifiers, prepared, workspace, growth)


def _plan(
    spec: Spec, path: Path, verifiers: Sequence[Named], prepared: Prepared, workspace: Workspace, growth: list[GrowthEstimate]
) -> Plan:
    effective, terms = _rights(spec, path, workspace)
    arms = spec.arms
    unwanted.find(workspace, [arm.teacher.retry for arm in arms])
    outcomes.open_slots(workspace, judging.rule(spec, alone(verifiers)), alone(verifiers))
    estimates = estimate(
        workspace,
        spec.sampling,
        [arm.teacher for arm in arms],
        spec.cascades,
        verified=bool(alone(verifiers)),
        strategies=[arm.strategy for arm in arms],
        coming=(sum(each.expected or 0 for each in growth), sum(each.may_come for each in growth)),
    )
    judges = [_judge(spec, named, estimates, workspace) for named in verifiers if judging.asks(named.verifier)]
    bills: list[Estimate | JudgeEstimate | GrowthEstimate] = [*estimates, *judges, *growth]
    foreseen = all(each.expected is not None for each in growth if each.may_come)
    return Plan(
        dataset=spec.dataset,
        prompts=prepared.prompts,
        folded=prepared.folded,
        barred=barred.counts(workspace),
        slots=prepared.slots,
        stored=prepared.stored,
        missing=sum(each.missing for each in estimates),
        expected=sum(each.expected for each in estimates),
        cost_usd=_sum(bill.cost_usd for bill in bills),
        least_usd=_sum(bill.least_usd for bill in bills),
        most_usd=_sum(bill.most_usd for bill in bills),
        known=foreseen and all(each.known for each in estimates) and all(each.cost_usd is not None for each in judges),
        budget_usd=spec.budget.usd if spec.budget else None,
        spent_usd=costs.spent(workspace),
        logprobs_bytes=token_bytes(spec.sampling.logprobs) * sum(each.tokens_out for each in estimates),
        licenses=effective,
        terms=terms,
        teachers=estimates,
        judges=judges,
        growth=growth,
        first=[
            {"role": message.role, "content": message.content} for message in first_asked(workspace, wiring.template(spec, path))
        ],
    )


def _rights(spec: Spec, path: Path, workspace: Workspace) -> tuple[dict[str, str], dict[str, str]]:
    """Return the effective licences by `prompt licence x teacher`, and what binds a teacher by its name."""
    terms = load(spec.licenses.terms)
    bounds = rights.bounds(spec, path, terms)
    facts = rights.facts(spec, bounds, licenses(workspace))
    effective = {f"{prompt} x {fact.name}": each.license for fact in facts for prompt, each in fact.effective.items()}
    bound_by = {bound.teacher: bound for bound in bounds} | rights.grower_bounds(spec, path, terms)
    return effective, {name: _terms(bound) for name, bound in bound_by.items() if bound.agreements}


def _terms(bound: Bound) -> str:
    said = [
        f"{each.id} ({each.name}{f' of {each.as_of}' if each.as_of else ''}): training other models is {each.training}"
        + (f", with {len(each.duties)} duties" if each.duties else "")
        for each in bound.agreements
    ]
    return "; ".join([*said, *([f"acknowledged: {bound.acknowledgement}"] if bound.acknowledgement else [])])


def _judge(spec: Spec, named: Named, estimates: Sequence[Estimate], workspace: Workspace) -> JudgeEstimate:
    asked = judging.asks(named.verifier)
    prices = [teacher.price for teacher in spec.teachers if teacher.name in asked]
    priced, free = None not in prices, all(price and price.free for price in prices)
    ((stored, mean, dearest),) = workspace.rows(
        "SELECT count(*), avg(cost_usd), max(cost_usd) FROM verdicts WHERE fingerprint = ?", [named.fingerprint]
    )
    ((unjudged,),) = workspace.rows(
        "SELECT count(*) FROM (SELECT DISTINCT sample_id, inputs FROM slots WHERE stored "
        "EXCEPT SELECT sample_id, inputs FROM verdicts WHERE fingerprint = ?)",
        [named.fingerprint],
    )
    each = 0.0 if free else float(mean) if priced and stored else None
    expected = sum(one.expected + one.coming for one in estimates)
    most = sum(one.missing + one.coming_most for one in estimates)
    return JudgeEstimate(
        verifier=named.name,
        teacher=", ".join(asked),
        verdicts=expected + unjudged,
        cost_usd=None if each is None else each * (expected + unjudged),
        least_usd=(each or 0.0) * unjudged,
        # A judge that gives no verdict is asked once more.
        most_usd=None if each is None else 0.0 if free else 2 * float(dearest) * (most + unjudged),
        basis=counted(stored, "stored verdict") if stored else "none of its verdicts is stored",
    )


def _usd(bill: Estimate | JudgeEstimate | Plan, *, known: bool) -> str:
    """Return an estimate with its upper bound where it has a basis, else the range; one figure where both are the same."""
    if bill.least_usd is not None and bill.least_usd == bill.most_usd:
        return f"${bill.least_usd:,.4f}"
    if known and bill.cost_usd is not None:
        most = "" if bill.most_usd is None else f", at most ${bill.most_usd:,.4f}"
        return f"about ${bill.cost_usd:,.4f}{most}"
    if bill.least_usd is None:
        return "price unknown"
    most = "nobody knows how much" if bill.most_usd is None else f"${bill.most_usd:,.4f}"
    return f"from ${bill.least_usd:,.4f} to {most}"


def _sum(bills: Iterable[float | None]) -> float | None:
    listed = list(bills)
    known = [bill for bill in listed if bill is not None]
    return sum(known) if len(known) == len(listed) else None
