"""Costs: what each teacher's samples of a build cost, and what adaptive k and a cascade spared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from storage.wording import counted
from storage.workspace import Workspace
from tasks.draw import Spending
from tasks.outcomes import FAILED
from tasks.report import Saved, TeacherCounts
from tasks.teachers.options import PriceOptions, TeacherOptions
from tasks.teachers.protocol import Usage
from tasks.teachers.sampling import SamplingOptions

SLOTS = "(SELECT sample_id FROM slots UNION ALL SELECT sample_id FROM barred_slots UNION ALL SELECT sample_id FROM grown_samples)"
"""A build's samples, and the answers that its prompts were grown of."""


def spent(workspace: Workspace, *, among: str = SLOTS) -> float:
    """Return USD that samples with their verdicts and scores cost so far, and what was billed for them in vain."""
    ((usd,),) = workspace.rows(
        "SELECT coalesce(sum(cost_usd), 0) FROM ("
        "SELECT sample_id, cost_usd FROM samples UNION ALL SELECT sample_id, cost_usd FROM verdicts "
        "UNION ALL SELECT sample_id, cost_usd FROM scores UNION ALL SELECT sample_id, cost_usd FROM waste"
        f") WHERE sample_id IN (SELECT sample_id FROM {among})"
    )
    return float(usd)


def by_teacher(
    workspace: Workspace, spending: Spending, *, drawing: Sequence[str], judging: Sequence[str]
) -> dict[str, TeacherCounts]:
    """Return each teacher's part of the `candidates` and of what this run bought: those that draw, in order, then the judges.

    `drawing` has the name of each of the workspace's `arms`: a teacher's as often as it has strategies.
    """
    counted: defaultdict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for number, *numbers in workspace.rows(
        f"""
        SELECT arm, count(*), count(*) FILTER (NOT bought AND sample_id IS NOT NULL),
            count(*) FILTER (stage IS NULL), count(*) FILTER ({FAILED}),
            count(*) FILTER (NOT {FAILED} AND barred.ord IS NULL),
            count(*) FILTER (NOT {FAILED} AND barred.ord IS NULL AND candidates.stage IN ('draw', 'verify'))
        FROM candidates LEFT JOIN (SELECT ord FROM barred) AS barred USING (ord) GROUP BY arm
        """
    ):
        name = drawing[int(number)]
        counted[name] = [one + more for one, more in zip(counted[name], numbers, strict=True)]
    found = {}
    for name in dict.fromkeys((*drawing, *judging)):
        requested, reused, kept, failed, responses, refused = counted[name]
        bought = spending.of(name)
        found[name] = TeacherCounts(
            requested=requested,
            reused=reused,
            paid=bought.paid,
            kept=kept,
            failed=failed,
            pass_rate=1 - refused / responses if responses else None,
            cost_usd=bought.cost_usd,
            tokens_in=bought.tokens_in,
            tokens_out=bought.tokens_out,
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """One teacher's samples of a build, each counted once, whoever paid."""

    samples: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None

    def times(self, factor: float) -> _Drawn:
        return _Drawn(
            samples=round(self.samples * factor),
            tokens_in=round(self.tokens_in * factor),
            tokens_out=round(self.tokens_out * factor),
            cost_usd=None if self.cost_usd is None else self.cost_usd * factor,
        )


_NOTHING = _Drawn(samples=0, tokens_in=0, tokens_out=0, cost_usd=0.0)


def saved(
    workspace: Workspace, sampling: SamplingOptions, teachers: Sequence[TeacherOptions], cascades: Sequence[Sequence[int]]
) -> Saved | None:
    """Compare a build with one that draws all k of every prompt from a cascade's last teacher or, without one, from each.

    `teachers` are those of the workspace's `arms`, and `cascades` has one for each strategy. None where the spec asks for all of
    them anyway. What wasn't drawn is taken to have been like that teacher's samples in this build.
    """
    if not sampling.early:
        return None
    spared, drawn = _spared(workspace), _drawn(workspace, teachers)
    base = [cascade[-1] for cascade in cascades] or range(len(teachers))
    extra = _sum(drawn.get(number, _NOTHING) for number in range(len(teachers)) if number not in base)
    alike, like = _sum(drawn.values()), "at each teacher's mean"
    less = []
    for number in base:
        own = drawn.get(number)
        if own is None and not spared.get(number):
            continue  # a strategy that is for no prompt
        if own is None:
            own = _priced(alike, teachers[number].paid)
            like = f"which was never asked: at its price and the mean tokens of the others' {counted(alike.samples, 'sample')}"
        elif cascades:
            like = f"at the mean of its {counted(sum(drawn[each].samples for each in base if each in drawn), 'sample')}"
        less.append(own.times(spared.get(number, 0) / own.samples) if own.samples else _NOTHING)
    total = _sum(less)
    whom = teachers[base[0]].name if cascades else "each teacher"
    what = "prompt" if len(teachers) == len({teacher.name for teacher in teachers}) else "prompt by each of its strategies"
    usd = None if total.cost_usd is None or extra.cost_usd is None else total.cost_usd - extra.cost_usd
    if usd is not None:
        usd = round(usd, 9)  # farther digits depend on the order in which samples are summed
    return Saved(
        samples=sum(spared.get(number, 0) for number in base),
        tokens_in=total.tokens_in - extra.tokens_in,
        tokens_out=total.tokens_out - extra.tokens_out,
        usd=usd,
        basis=f"drawing {f'all {sampling.k} samples' if sampling.k > 1 else 'a sample'} of each {what} from {whom}, {like}",
    )


def _spared(workspace: Workspace) -> dict[int, int]:
    """Return how many samples no slot asked for, by arm."""
    # Joins and groups, which spill, as `NOT IN` and `count(DISTINCT)` would not; and one at a time, as each needs room.
    places = "candidates USING (ord, arm, sample_index)"
    workspace.execute(f"CREATE OR REPLACE TABLE spare AS SELECT arm, sample_id FROM slots ANTI JOIN {places}")
    workspace.execute(f"CREATE OR REPLACE TABLE used AS SELECT sample_id FROM slots SEMI JOIN {places}")
    workspace.execute("CREATE OR REPLACE TABLE spare AS SELECT * FROM spare ANTI JOIN used USING (sample_id)")
    return dict(workspace.rows("SELECT arm, count(*) FROM (SELECT arm, sample_id FROM spare GROUP BY ALL) GROUP BY arm"))


def _drawn(workspace: Workspace, teachers: Sequence[TeacherOptions]) -> Mapping[int, _Drawn]:
    workspace.execute(
        "CREATE OR REPLACE TABLE used AS SELECT sample_id, min(arm) AS arm FROM candidates "
        "WHERE sample_id IS NOT NULL GROUP BY sample_id"
    )
    workspace.execute(
        "CREATE OR REPLACE TABLE paid AS SELECT used.*, tokens_in, tokens_out, cost_usd FROM samples JOIN used USING (sample_id)"
    )
    rows = workspace.rows(
        """
        WITH once AS (
            SELECT any_value(arm) AS arm, min(tokens_in) AS tokens_in, min(tokens_out) AS tokens_out,
                min(cost_usd) AS cost_usd
            FROM paid GROUP BY sample_id
        )
        SELECT arm, count(*), sum(tokens_in)::BIGINT, sum(tokens_out)::BIGINT, sum(cost_usd), count(cost_usd)
        FROM once GROUP BY arm
        """
    )
    found = {}
    for number, samples, tokens_in, tokens_out, cost_usd, priced in rows:
        each = _Drawn(samples=samples, tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost_usd)
        # What was bought before the spec named a price is taken at the present one.
        found[number] = each if priced == samples else _priced(each, teachers[number].paid)
    return found


def _priced(drawn: _Drawn, price: PriceOptions | None) -> _Drawn:
    usage = Usage(tokens_in=drawn.tokens_in, tokens_out=drawn.tokens_out)
    return _Drawn(
        samples=drawn.samples,
        tokens_in=drawn.tokens_in,
        tokens_out=drawn.tokens_out,
        cost_usd=price.cost(usage) if price else None,
    )


def _sum(parts: Iterable[_Drawn]) -> _Drawn:
    listed = list(parts)
    costs = [each.cost_usd for each in listed if each.cost_usd is not None]
    return _Drawn(
        samples=sum(each.samples for each in listed),
        tokens_in=sum(each.tokens_in for each in listed),
        tokens_out=sum(each.tokens_out for each in listed),
        cost_usd=sum(costs) if len(costs) == len(listed) else None,
    )
