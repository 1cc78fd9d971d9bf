"""What growing will ask for and cost, and how many prompts may come of it, having asked nobody."""

from __future__ import annotations

from dataclasses import dataclass

from storage.wording import counted
from tasks.estimate import billed_at_most
from tasks.growth.growing import Growing
from tasks.teachers.options import PriceOptions
from tasks.teachers.protocol import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthEstimate:
    """One growing source."""

    source: str
    """Where the seeds come from."""
    method: str
    """self_instruct, evolve or rephrase."""
    teacher: str
    """Who is asked."""
    seeds: int
    """Prompts of the source from which others are grown."""
    left_out: dict[str, int]
    """Prompts from which none are: `repeated`, or by the stage that bars them."""
    requests: int
    """Of all rounds at most: later rounds depend on what earlier ones give."""
    stored: int
    """Of these, answered in the lake."""
    missing: int
    """To be asked at most."""
    grown: int
    """Prompts that the stored answers give."""
    may_come: int
    """Prompts at most that the missing answers give."""
    expected: int | None
    """About; None where no answer is stored to go by."""
    cost_usd: float | None
    """About; None where no price is known, or no answer is stored to go by."""
    least_usd: float | None
    """At least: what is certain to be asked, and each answer of one token."""
    most_usd: float | None
    """At most; None where nothing bounds it."""
    basis: str
    """What it goes by."""

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal, but for the cost."""
        less = "".join(f", {number:,} of {what} left out" for what, number in self.left_out.items())
        about = "" if self.expected is None or not self.may_come else f", about {self.expected:,} by what is stored"
        asked = f"{counted(self.requests, 'request')}: {self.stored:,} stored, {self.missing:,} missing at most"
        return [
            (f"grow {self.source}", f"by {self.method} of {self.teacher}, of {counted(self.seeds, 'seed')}{less}; {asked}"),
            (
                "",
                f"{counted(self.grown, 'prompt')} grown, and up to {self.may_come:,} more may come{about} (basis: {self.basis})",
            ),
        ]


def estimate_growth(growing: Growing) -> GrowthEstimate:
    """Return what a source's growth is still to ask for. All its rounds must have been read, of what is stored."""
    options, price, counts = growing.options, growing.teacher.paid, growing.counts()
    answered = (counts.requests - sum(each.unasked for each in growing.rounds)) * options.per_request
    missing, may_come = _to_come(growing, 1.0)
    expected, come = _to_come(growing, counts.kept / answered) if answered else (missing, None)
    known = sum(each.missing for each in growing.rounds)
    like = _like(growing)
    out = like.out if like.samples else None
    return GrowthEstimate(
        source=growing.source.source,
        method=options.method,
        teacher=options.teacher,
        seeds=counts.seeds,
        left_out=dict(counts.left_out),
        requests=counts.reused + round(missing),
        stored=counts.reused,
        missing=round(missing),
        grown=counts.kept,
        may_come=round(may_come),
        expected=None if come is None else round(come),
        cost_usd=_cost(price, expected, like.tokens_in, out),
        least_usd=_cost(price, known, like.tokens_in, 1.0),
        most_usd=_cost(price, missing, like.tokens_in, options.max_tokens, times=billed_at_most(growing.teacher)),
        basis=counted(like.samples, "stored answer") if like.samples else "none of its answers is stored",
    )


def _to_come(growing: Growing, share: float) -> tuple[float, float]:
    """Return the answers to be asked for, and the prompts that come of them where such a share of what is asked for is kept."""
    missing = come = more = 0.0
    for each in growing.rounds:
        # Whatever is still to come of one round is a seed of the next.
        unknown = more * growing.options.requests
        missing += each.missing + unknown
        more = (each.unasked + unknown) * growing.options.per_request * share
        come += more
    return missing, come


@dataclass(frozen=True, slots=True, kw_only=True)
class _Like:
    """What the answers are like."""

    samples: int
    """Stored ones that this goes by."""
    tokens_in: float
    """Billed for a request."""
    out: float
    """Completion tokens of an answer."""


def _like(growing: Growing) -> _Like:
    own = f"(FROM grown_samples WHERE growing = {growing.number})"
    ((reckoned,),) = growing.workspace.rows(f"SELECT coalesce(avg(tokens) FILTER (NOT stored), avg(tokens), 0) FROM {own}")
    ((samples, billed, known, out),) = growing.workspace.rows(
        f"""
        WITH once AS (SELECT sample_id, any_value(tokens) AS tokens FROM {own} WHERE stored GROUP BY sample_id)
        SELECT count(*), sum(tokens_in)::DOUBLE, sum(tokens)::DOUBLE, avg(tokens_out) FROM samples JOIN once USING (sample_id)
        """
    )
    times = billed / known if samples and known else 1.0
    return _Like(samples=samples, tokens_in=float(reckoned) * times, out=float(out or 0.0))


def _cost(
    price: PriceOptions | None, requests: float, tokens_in: float, out: float | None, *, times: float = 1.0
) -> float | None:
    if price is None:
        return None
    if not requests or price.free:
        return 0.0
    if out is None:
        return None
    return price.cost(Usage(tokens_in=round(requests * tokens_in), tokens_out=round(requests * out))) * times
