"""Select: which accepted samples of a prompt become traces, which prompts are worth it, and how many of a kind.

In this order: prompts outside the band of pass rates go, then all strategies' samples but the best one's; that is done before
duplicates are looked for, so that nothing is one of what isn't wanted. Then goes what is more than `per_prompt`, then what is
more than a cap (see `tasks.second_chance`). None of it decides which split a prompt is in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from storage.sql import literal
from storage.wording import counted
from storage.workspace import Workspace
from tasks.labels import PromptLabel, label_sql, labelled
from tasks.options import Options
from tasks.selection.best_strategy import keep_best_strategy
from tasks.selection.diverse import keep_diverse
from tasks.selection.split import SplitOptions
from tasks.selection.student_loss import StudentLossOptions

Share = Annotated[float, Field(ge=0, le=1)]
_BEST = "score DESC NULLS LAST, length"
_ARMS = {"teacher": "first", "strategy": "strategy"}
"""The columns of the workspace's `arms` by which a cap may count."""


class CapOptions(Options):
    """One entry of `select.cap`."""

    by: Annotated[str, Field(max_length=200), labelled("source", "teacher", "strategy")]
    """`source`, `teacher`, `strategy` or `tag:NAME`. Prompts without the tag are one group."""
    at: int = Field(ge=1)
    """Traces of each value."""


def _listed(value: Any) -> Any:
    if isinstance(value, dict | CapOptions):
        return [value]
    if not isinstance(value, list | tuple):
        raise ValueError("must be {by: source | teacher | strategy | tag:NAME, at: N}, or a list of these")  # noqa: TRY004 - pydantic's way
    return value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SelectOptions(Options):
    """The spec's `select`."""

    require: Literal["all", "any"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"
    """all: no verifier failed the sample and, where any is listed, at least one passed it; any: at least one passed it; names of
    verifiers: as all, among these. A verifier that could not decide doesn't count."""
    pass_rate: tuple[Share, Share] | None = None
    """Prompts whose share of accepted samples lies in this band, its ends included. Left out: all. What failed isn't counted."""
    student_loss: StudentLossOptions | None = None
    """What a response may cost the student, before anything else is selected. Left out: it isn't looked at."""
    per_prompt: int | None = Field(default=None, ge=1)
    """Traces of one prompt, over all teachers. Left out: no bound."""
    prefer: Literal["shortest", "longest", "best", "random", "diverse", "best_strategy"] = "best"
    """Which ones, where there are more: by length in characters, reasoning included; by score, then length; by the seed; or those
    that are farthest from each other, beginning with the best. best_strategy: with `per_prompt` or without, those alone of the
    strategy that passes most often with prompts like it, then as best."""
    strategy_by: Annotated[tuple[PromptLabel, ...], BeforeValidator(_several)] = ()
    """With best_strategy, which prompts are alike: those with the same `source` or `tag:NAME`; one or a list, all of which must
    be the same. Left out: the tags in the strategies' `when`; without any, all prompts."""
    cap: Annotated[tuple[CapOptions, ...], BeforeValidator(_listed)] = ()
    """So many traces of a kind at most, of prompts that the seed chooses; one or a list, carried out in its order."""
    split: SplitOptions | None = None
    """What is held back for validation and test. Left out: nothing."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.pass_rate is not None and self.pass_rate[0] > self.pass_rate[1]:
            raise ValueError(f"pass_rate: {self.pass_rate[0]:g} is more than {self.pass_rate[1]:g}; the lower end comes first")
        if self.prefer == "diverse" and self.per_prompt is None:
            raise ValueError("prefer: diverse chooses `per_prompt` traces of a prompt; say how many")
        if self.strategy_by and self.prefer != "best_strategy":
            raise ValueError("strategy_by: it is for `prefer: best_strategy`")
        return self

    @property
    def labels(self) -> Iterator[tuple[str, str]]:
        """Yield the places in the spec that say what prompts are sorted by, each with what it says."""
        for number, cap in enumerate(self.cap):
            yield f"select.cap[{number}].by", cap.by
        for number, label in enumerate(self.strategy_by):
            yield f"select.strategy_by[{number}]", label
        for name in ("group", "stratify"):
            if self.split is not None and (label := getattr(self.split, name)) is not None:
                yield f"select.split.{name}", label


def sift(workspace: Workspace, options: SelectOptions, *, tags: Sequence[str] = ()) -> None:
    """Reject what isn't wanted among the `candidates` still in, whatever else there is of them.

    `tags`: those by which strategies are for a prompt.
    """
    if options.pass_rate is not None:
        _band(workspace, *options.pass_rate)
    if options.prefer == "best_strategy":
        keep_best_strategy(workspace, options.strategy_by or [f"tag:{tag}" for tag in tags])


def choose(workspace: Workspace, options: SelectOptions, *, seed: int) -> None:
    """Reject what is more than is wanted among the `candidates` still in. Of what came back, no more stays than has a place."""
    diverse = options.prefer == "diverse"
    if diverse and options.per_prompt is not None:
        keep_diverse(workspace, options.per_prompt, _preferred(options))
    order = {
        "shortest": "length",
        "longest": "length DESC",
        "best": _BEST,
        "random": f"sha256({literal(str(seed))} || '/' || sample_id)",
        "diverse": _BEST,
        "best_strategy": _BEST,
    }[options.prefer]

    def rank(kind: str, first: str) -> str:
        return f"row_number() OVER (PARTITION BY {kind} ORDER BY returned, {first}{order}, sample_id, arm, sample_index)"

    _narrow(workspace, options, rank, seed=seed, per_prompt=None if diverse else options.per_prompt)


def turn_away(workspace: Workspace, options: SelectOptions, *, seed: int) -> None:
    """Reject of the `candidates` that came back those that have no place any more, even if all others that came back go."""

    def rank(kind: str, _first: str) -> str:
        return f"rank() OVER (PARTITION BY {kind} ORDER BY returned)"

    _narrow(workspace, options, rank, seed=seed, per_prompt=options.per_prompt)


def _narrow(
    workspace: Workspace, options: SelectOptions, rank: Callable[[str, str], str], *, seed: int, per_prompt: int | None
) -> None:
    """Reject what a rank, in SQL by its kind and what counts first, puts behind `per_prompt` or what a cap lets in."""
    if per_prompt is not None:
        ranked = f"SELECT ord, arm, sample_index, {rank('ord', '')} AS rank FROM candidates WHERE stage IS NULL"
        _reject(workspace, ranked, per_prompt, literal(_preferred(options)))
    for cap in options.cap:
        _cap(workspace, cap, rank, seed=seed)


def _preferred(options: SelectOptions) -> str:
    return f"per_prompt: {counted(options.per_prompt or 0, 'other', 'was', 'were')} preferred ({options.prefer})"


def _reject(workspace: Workspace, ranked: str, bound: int, reason: str) -> None:
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'select', reason = {reason}
        FROM ({ranked}) AS ranked
        WHERE rank > {bound} AND candidates.ord = ranked.ord
            AND candidates.arm = ranked.arm AND candidates.sample_index = ranked.sample_index
        """
    )


def _band(workspace: Workspace, low: float, high: float) -> None:
    said = f"'pass_rate: ' || accepted || ' of ' || judged || ' samples were accepted, outside {low:g} to {high:g}'"
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'select', reason = {said}
        FROM (
            SELECT ord, count(*) AS judged, count(*) FILTER (stage IS NULL OR stage NOT IN ('draw', 'verify')) AS accepted
            FROM candidates WHERE sample_id IS NOT NULL GROUP BY ord
        ) AS rates
        WHERE candidates.ord = rates.ord AND stage IS NULL
            AND (accepted / judged < {low!r}::DOUBLE OR accepted / judged > {high!r}::DOUBLE)
        """
    )


def _cap(workspace: Workspace, cap: CapOptions, rank: Callable[[str, str], str], *, seed: int) -> None:
    """Keep `at` traces of a kind: those of the prompts whose hashes are least.

    So a prompt that is added later takes the place of one other at most, and the rest stays.
    """
    label = "NULL::VARCHAR" if cap.by in _ARMS else label_sql(cap.by)
    chance = f"md5_number({literal(f'{seed}/cap/')} || prompt_id)"
    # By numbers, since a tag may be a long text.
    columns = f"ord, md5_number({label}) AS kind, left({label}, 60) AS name, {chance} AS chance"
    workspace.execute(f"CREATE TABLE kinds AS SELECT {columns} FROM prompts")
    kind, what = "kind", f"{literal(f'of {cap.by} ')} || coalesce(chr(39) || name || chr(39), '(none)')"
    if cap.by in _ARMS:
        kind, what = f"arms.{_ARMS[cap.by]}", f"'of this {cap.by}'"
    ranked = (
        f"SELECT ord, arm, sample_index, name, {rank(kind, 'chance, ord, ')} AS rank "
        "FROM candidates JOIN kinds USING (ord) JOIN arms USING (arm) WHERE stage IS NULL"
    )
    were = "was" if cap.at == 1 else "were"
    _reject(workspace, ranked, cap.at, f"'cap: {counted(cap.at, 'other')} ' || {what} || ' {were} chosen'")
    workspace.execute("DROP TABLE kinds")
