"""Estimate: how many samples a build will ask for, and what they will cost, by what is stored.

Counts come from the pass rates of this spec's verdicts, prompt tokens from the prompts themselves and what this model billed for
others, completion tokens from this model's samples. Where nothing is stored to go by, there are only bounds, and they say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.workspace import Workspace
from tasks import rates
from tasks.likeness import Likeness, likeness
from tasks.rates import Rate
from tasks.stretches import stretches
from tasks.teachers.options import BATCH, TeacherOptions
from tasks.teachers.protocol import OUT_UNKNOWN, Usage
from tasks.teachers.sampling import SamplingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is missing of one teacher or, where there are strategies, of one by one of them."""

    teacher: str
    """Its name."""
    strategy: str | None = None
    """By which it is asked; None: the plain template."""
    model: str
    """Its model."""
    license: str
    """SPDX expression."""
    missing: int
    """Samples to buy at most."""
    expected: int
    """Samples to buy as far as pass rates tell: `missing` where every sample is asked for anyway, or no rate is known. What
    failed in the last build is taken to fail again."""
    coming: int = 0
    """Samples of prompts that are expected to be grown yet: beside the expected ones."""
    coming_most: int = 0
    """Samples of prompts that may be grown yet at most: beside the missing ones."""
    requests: int
    """Requests that ask for those expected and coming."""
    tokens_in: int
    """Of these."""
    tokens_out: int
    """Of these."""
    known: bool
    """Whether samples of these very prompts are behind it. Else only the bounds mean much."""
    basis: str
    """What it goes by."""
    cost_usd: float | None
    """About; None where no price is known."""
    least_usd: float | None
    """At least: every sample is accepted at once and, where nothing is known, has one token."""
    most_usd: float | None
    """At most: every missing sample is asked for, as often as `retry` allows, and has `max_tokens`. None: nothing bounds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What one teacher is asked for."""

    samples: float = 0.0
    requests: float = 0.0
    tokens_in: float = 0.0
    """As `tasks.tokens` reckons."""

    def __add__(self, other: _Wanted) -> _Wanted:
        return _Wanted(
            samples=self.samples + other.samples,
            requests=self.requests + other.requests,
            tokens_in=self.tokens_in + other.tokens_in,
        )


def estimate(
    workspace: Workspace,
    sampling: SamplingOptions,
    teachers: Sequence[TeacherOptions],
    cascades: Sequence[Sequence[int]],
    *,
    verified: bool,
    strategies: Sequence[str | None] = (),
    coming: tuple[int, int] = (0, 0),
) -> list[Estimate]:
    """Return what each drawing teacher will be asked for. `open_slots` must be there; `verified`: by anything at all.

    `teachers` and `strategies` are those of the workspace's `arms`; `cascades` has one for each strategy. `coming`: prompts that
    aren't there yet, as many as are expected and at most. They are taken to be like those that are there.
    """
    groups = _groups(workspace, len(teachers))
    about, at_most = (_fresh(groups, prompts) for prompts in coming)
    fitted = [_rate(groups, number) if verified else rates.ALWAYS for number in range(len(teachers))]
    counted = {
        "expected": _wanted(groups, [rate or rates.NEVER for rate in fitted], sampling, teachers, cascades),
        "least": _wanted(groups, [rates.ALWAYS for _ in fitted], sampling, teachers, cascades),
        "most": _wanted(_all_asked(groups), [rates.NEVER for _ in fitted], sampling, teachers, cascades),
        "coming": _wanted(about, [rate or rates.NEVER for rate in fitted], sampling, teachers, cascades),
        "coming_most": _wanted(at_most, [rates.NEVER for _ in fitted], sampling, teachers, cascades),
    }
    found = []
    for number, teacher in enumerate(teachers):
        like, own, said = likeness(workspace, number, teacher, sampling.max_tokens)
        ours = {name: wanted[number] for name, wanted in counted.items()}
        tokens_in, tokens_out = _tokens(ours["expected"] + ours["coming"], like, _out(like, sampling))
        unlike = bool(coming[1]) and not groups  # nobody knows what those to come will be like
        cost, least, most = _usd(teacher, like, ours, sampling, own=own, again=_again(workspace, number, teacher, own=own))
        found.append(
            Estimate(
                teacher=teacher.name,
                strategy=strategies[number] if strategies else None,
                model=teacher.model,
                license=str(teacher.license),
                missing=round(ours["most"].samples),
                expected=round(ours["expected"].samples),
                coming=round(ours["coming"].samples),
                coming_most=round(ours["coming_most"].samples),
                requests=math.ceil((ours["expected"] + ours["coming"]).requests - 1e-6),
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                known=own and (fitted[number] is not None or not sampling.early),
                basis=said + _counted_by(sampling, fitted[number], verified=verified),
                cost_usd=None if unlike and not _free(teacher) else cost,
                least_usd=least,
                most_usd=None if unlike and not _free(teacher) else most,
            )
        )
    return found


def _usd(
    teacher: TeacherOptions,
    like: Likeness | None,
    wanted: Mapping[str, _Wanted],
    sampling: SamplingOptions,
    *,
    own: bool,
    again: float,
) -> tuple[float | None, float | None, float | None]:
    """Return what is about to be billed, and at least and at most. None: no price is known, or nothing bounds it."""
    out, bound = _out(like, sampling), wanted["most"] + wanted["coming_most"]
    about = _cost(teacher, wanted["expected"] + wanted["coming"], like, out, times=again)
    least = _cost(teacher, wanted["least"], like, out if own else 1.0)
    most_out = sampling.max_tokens if bound.samples and not _free(teacher) else 0
    most = None if most_out is None else _cost(teacher, bound, like, most_out, times=billed_at_most(teacher))
    return about, least, most


def _out(like: Likeness | None, sampling: SamplingOptions) -> float:
    return like.out if like else sampling.max_tokens or OUT_UNKNOWN


def _free(teacher: TeacherOptions) -> bool:
    return teacher.paid is not None and teacher.paid.free


_Group = tuple[list[str], float, list[float]]
"""What is known of some prompts' slots, a pattern for each teacher; how many prompts are so; their tokens in all, by teacher."""


def _groups(workspace: Workspace, teachers: int) -> list[_Group]:
    """Return what is known of prompts' slots. A teacher, or a strategy, that isn't for a prompt has an empty pattern there."""
    found: dict[tuple[str, ...], tuple[int, list[int]]] = {}
    patterns = [f"coalesce(any_value(pattern) FILTER (arm = {number}), '') AS pattern{number}" for number in range(teachers)]
    tokens = [f"any_value(tokens) FILTER (arm = {number}) AS tokens{number}" for number in range(teachers)]
    sums = [f"coalesce(sum(tokens{number}), 0)::BIGINT" for number in range(teachers)]
    listed = ", ".join(f"pattern{number}" for number in range(teachers))
    for within in stretches(workspace):  # texts and lists that are gathered from many rows stay in memory
        for prompts, *columns in workspace.rows(
            f"""
            WITH marked AS (
                SELECT ord, arm, sample_index, tokens, CASE
                    WHEN NOT here AND first AND failed IS NOT NULL THEN '{rates.FAILED}'
                    WHEN NOT here AND first THEN '{rates.MISSING}'
                    WHEN NOT here THEN '{rates.UNKNOWN}'
                    WHEN open_slots.accepted THEN '{rates.ACCEPTED}'
                    WHEN complete THEN '{rates.REJECTED}'
                    ELSE '{rates.UNKNOWN}' END AS state
                FROM (FROM slots WHERE {within}) JOIN (FROM open_slots WHERE {within}) AS open_slots
                    USING (ord, arm, sample_index)
                LEFT JOIN (FROM judged WHERE {within}) AS judged USING (ord, arm, sample_index)
            ), patterns AS (
                SELECT ord, arm, string_agg(state, '' ORDER BY sample_index) AS pattern, any_value(tokens) AS tokens
                FROM marked GROUP BY ord, arm
            ), prompts AS (
                SELECT {", ".join([*patterns, *tokens])} FROM patterns GROUP BY ord
            )
            SELECT count(*), {listed}, {", ".join(sums)} FROM prompts GROUP BY {listed}
            """
        ):
            known = tuple(columns[:teachers])
            before = found.get(known, (0, [0] * teachers))
            found[known] = before[0] + prompts, [one + more for one, more in zip(before[1], columns[teachers:], strict=True)]
    return [(list(known), prompts, list[float](sizes)) for known, (prompts, sizes) in found.items()]


def _all_asked(groups: Sequence[_Group]) -> list[_Group]:
    """Return the same, where what failed in the last build may come as well."""
    return [([each.replace(rates.FAILED, rates.MISSING) for each in known], number, sizes) for known, number, sizes in groups]


def _fresh(groups: Sequence[_Group], prompts: int) -> list[_Group]:
    """Return so many prompts like those that there are, of which nothing is stored."""
    share = prompts / max(1.0, sum(number for _, number, _ in groups))
    return [
        ([rates.MISSING * len(each) for each in known], number * share, [size * share for size in sizes])
        for known, number, sizes in groups
        if share
    ]


def _rate(groups: Sequence[_Group], number: int) -> Rate | None:
    return rates.fit(
        (patterns[number].count(rates.ACCEPTED), patterns[number].count(rates.REJECTED), round(prompts))
        for patterns, prompts, _ in groups
    )


def _wanted(
    groups: Sequence[_Group],
    fitted: Sequence[Rate],
    sampling: SamplingOptions,
    teachers: Sequence[TeacherOptions],
    cascades: Sequence[Sequence[int]],
) -> list[_Wanted]:
    accept = sampling.adaptive.accept if sampling.adaptive else None
    totals = [[0.0, 0.0, 0.0] for _ in teachers]
    for patterns, prompts, tokens in groups:
        asked = rates.asked(patterns, fitted, accept=accept, cascades=cascades)
        for total, pattern, samples, reckoned, teacher in zip(totals, patterns, asked, tokens, teachers, strict=True):
            width = teacher.samples_per_request
            missing = pattern.count(rates.MISSING)
            each = 1 / min(width, accept) if accept else math.ceil(missing / width) / missing if missing else 0.0
            total[0] += prompts * samples
            total[1] += prompts * samples * each
            total[2] += reckoned * samples * each
    return [_Wanted(samples=samples, requests=requests, tokens_in=tokens) for samples, requests, tokens in totals]


def _counted_by(sampling: SamplingOptions, rate: Rate | None, *, verified: bool) -> str:
    if not sampling.early or not verified:
        return ""
    if rate is None:
        return "; as if none were accepted, since none is judged"
    return f"; a pass rate of {rate.after(0, 0):.0%}"


def _tokens(wanted: _Wanted, like: Likeness | None, out: float) -> tuple[int, int]:
    return round(wanted.tokens_in * (like.billed if like else 1.0)), round(wanted.samples * out)


def _again(workspace: Workspace, number: int, teacher: TeacherOptions, *, own: bool) -> float:
    """Return what stored samples cost in all, as a multiple of what they would have, had no response been asked for again.

    Both are taken at the present price. What was asked for once tells how far that is from the price then.
    """
    of = f"sample_id IN (SELECT sample_id FROM slots WHERE stored AND arm = {number})" if own else "TRUE"
    rows = workspace.rows(
        f"""
        SELECT sum(cost_usd), sum(tokens_in)::BIGINT, sum(tokens_out)::BIGINT, sum(coalesce(tokens_reasoning, 0))::BIGINT,
            sum(coalesce(tokens_cached, 0))::BIGINT
        FROM samples WHERE provider IN (?, ?) AND model = ? AND cost_usd IS NOT NULL AND {of}
        GROUP BY attempts > 1 ORDER BY attempts > 1
        """,
        [teacher.vendor, f"{teacher.vendor}{BATCH}", teacher.model],
    )
    if teacher.paid is None or not rows:
        return 1.0
    costs, alone = [], []
    for cost, tokens_in, tokens_out, reasoning, cached in rows:
        usage = Usage(tokens_in=tokens_in, tokens_out=tokens_out, tokens_reasoning=reasoning, tokens_cached=cached)
        costs.append(float(cost))
        alone.append(teacher.paid.cost(usage))
    if not all(costs) or not all(alone):
        return 1.0
    once = costs[0] / alone[0] if len(rows) > 1 else 1.0
    return max(1.0, sum(costs) / sum(alone) / once)


def billed_at_most(teacher: TeacherOptions) -> int:
    """Return how often one answer may be billed."""
    retry = teacher.retry
    return retry.attempts if "retry" in {retry.length, retry.refusal} else 1


def _cost(teacher: TeacherOptions, wanted: _Wanted, like: Likeness | None, out: float, *, times: float = 1.0) -> float | None:
    tokens_in, tokens_out = _tokens(wanted, like, out)
    usage = Usage(
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_reasoning=round(tokens_out * like.reasoning) if like else 0,
        tokens_cached=round(tokens_in * like.cached) if like else 0,
    )
    return teacher.paid.cost(usage) * times if teacher.paid else None
