"""Guard: what a spec refuses, so that models don't go on learning from what models wrote.

Trained on its own kind's output again and again, a model forgets what is rare (Shumailov et al. 2024, "AI models collapse when
trained on recursively generated data"); real data kept among it prevents that (Gerstgrasser et al. 2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from storage.errors import GuardRefused
from storage.wording import counted
from storage.workspace import Workspace
from tasks.growth.options import GrowOptions
from tasks.guard_diversity import MinDiversity
from tasks.options import Options
from tasks.sources.shown import shown


class GuardOptions(Options):
    """The spec's `guard`. What is left out is not refused."""

    max_generation: int | None = Field(default=None, ge=0, le=1_000)
    """Of a trace at most. 0: written by people and answered by a teacher that is no student itself."""
    min_human_share: float | None = Field(default=None, ge=0, le=1)
    """Of the prompts at least, of generation 0; prompts that are rejected before the draw don't count."""
    min_diversity: MinDiversity | None = None
    """Bounds of the traces' diversity; a build beyond them isn't landed."""

    @property
    def of_prompts(self) -> bool:
        """Whether prompts are looked at."""
        return self.max_generation is not None or bool(self.min_human_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """Prompts that are still to be grown."""

    most: int
    """How many at most: all that will be asked for."""
    expected: int
    """How many about."""
    known: bool
    """Whether that goes by the share of stored answers' prompts that were kept; else it is all of them."""
    failed: bool = False
    """Whether a build that has landed has asked for all of it in vain. Then about none is to be expected."""


def check_teachers(options: GuardOptions, generations: Mapping[str, int]) -> None:
    """Raise GuardRefused where a teacher alone would make traces of too late a generation."""
    for name, generation in generations.items():
        if options.max_generation is not None and generation > options.max_generation:
            raise GuardRefused(
                f"teacher {name!r} is of generation {generation}, and guard.max_generation is {options.max_generation}: "
                "leave it out, or raise guard.max_generation"
            )


def check_growth(options: GuardOptions, source: str, *, seeds: int, teacher: int, grow: GrowOptions) -> None:
    """Raise GuardRefused where prompts grown from a source would be of too late a generation, before they are paid for."""
    # Each round begins from what the one before has made.
    generation = max(seeds, teacher) + grow.rounds
    if options.max_generation is not None and generation > options.max_generation:
        raise GuardRefused(
            f"{shown(source)}: prompts grown from it are of generation {generation}, and guard.max_generation is "
            f"{options.max_generation}: leave out `grow`, lower its `rounds`, or raise guard.max_generation"
        )


def check_prompts(workspace: Workspace, options: GuardOptions) -> None:
    """Raise GuardRefused where the prompts that aren't barred are of too late a generation, or too few are people's."""
    if not options.of_prompts:
        return
    rows = workspace.rows(
        "SELECT generation, source, count(*), arg_min(place, ord) FROM prompts ANTI JOIN barred USING (ord) "
        "GROUP BY generation, source ORDER BY generation DESC, min(ord)"
    )
    if not rows:
        return
    generation, source, number, place = rows[0]
    if options.max_generation is not None and generation > options.max_generation:
        raise GuardRefused(
            f"{shown(source)}: {counted(number, 'prompt', 'is', 'are')} of generation {generation} (the first: {place}), and "
            f"guard.max_generation is {options.max_generation}: leave them out, or raise guard.max_generation"
        )
    human, total = sum(row[2] for row in rows if row[0] == 0), sum(row[2] for row in rows)
    if options.min_human_share is not None and human / total < options.min_human_share:
        raise GuardRefused(
            f"{human:,} of {counted(total, 'prompt')} ({human / total:.1%}) {'was' if human == 1 else 'were'} written by people "
            f"(generation 0), and guard.min_human_share is {options.min_human_share:g}: add prompts of people's, or lower "
            "guard.min_human_share"
        )


def check_share(workspace: Workspace, options: GuardOptions, coming: Coming, *, probing: bool = False) -> str | None:
    """Return a line where too few prompts may be people's once more are grown. Raise GuardRefused where that is to be expected.

    Before a probe, which buys a few to see how many are kept, only where not even one more may be. What failed as a build landed
    is asked for again: a spec that has landed is not refused before it is known that more comes of it.
    """
    if not options.min_human_share or not coming.most:
        return None
    ((human, total),) = workspace.rows(
        "SELECT count(*) FILTER (generation = 0), count(*) FROM prompts ANTI JOIN barred USING (ord)"
    )
    room = max(0, math.floor(human / options.min_human_share + 1e-9) - total)
    if coming.most <= room:
        return None
    known = f", of which about {coming.expected:,} are kept by what is stored" if coming.known else ""
    known = ", all of which failed before" if coming.failed else known
    asked = f"growing asks for {counted(coming.most, 'prompt')} more{known}"
    said = (
        f"{asked}, and beside {human:,} that people wrote (generation 0) and {total - human:,} others, guard.min_human_share, "
        f"{options.min_human_share:g}, has room for {room:,}"
    )
    if coming.failed or (room and (probing or coming.expected <= room)):
        return f"{said}: a build in which more are kept will be refused"
    learn = "" if coming.known or not room else "; `stillhouse plan SPEC --probe 20` finds out how many are kept"
    raise GuardRefused(
        f"{said}: lower `grow.per_seed` or `grow.rounds`, add prompts of people's, or lower guard.min_human_share{learn}"
    )
