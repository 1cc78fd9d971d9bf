"""Several judges of one sample, and what comes of their opinions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Literal

from storage.errors import RequestRejected, TeacherError, UserError, VerifierError
from verifiers.judging.fences import line
from verifiers.protocol import Finding

Combine = Literal["majority", "mean", "unanimous"]
MAX_SAID = 160
"""Characters of one member's words in the reason of a panel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one judge says of a sample."""

    passed: bool | None
    """None: it gave no verdict."""
    score: float
    """0 … 1; 0 without a verdict."""
    said: str
    """Its score in words: "8 of 10"."""
    why: str
    """Its reason."""


NONE_EVER = (RequestRejected, VerifierError)
"""What is raised for who gives no verdict, whenever it is asked."""


async def opinions(members: Mapping[str, Coroutine[None, None, Opinion]]) -> dict[str, Opinion]:
    """Return what each member says. Who can't be asked just now spoils it for all: the error is raised, once all are done.

    A member whose request is rejected, or who gives no verdict, never will: it has no opinion. Where too many have none, who
    can't be asked just now needn't be asked again.
    """
    found = await together(*members.values())
    decided = 2 * sum(not isinstance(each, NONE_EVER) for each in found) <= len(found)
    named: dict[str, Opinion] = {}
    for name, opinion in zip(members, found, strict=True):
        if isinstance(opinion, NONE_EVER) or (decided and isinstance(opinion, TeacherError)):
            named[name] = Opinion(passed=None, score=0.0, said="no verdict", why=str(opinion))
        elif isinstance(opinion, Exception):
            raise opinion
        else:
            named[name] = opinion
    return named


async def together(*asked: Coroutine[None, None, Opinion]) -> list[Opinion | Exception]:
    """Return what each gives or raises, those first that end a run. Nobody is left behind: what is on its way is paid for."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    kept: list[Opinion | Exception] = []
    for each in found:
        if isinstance(each, UserError) or (isinstance(each, BaseException) and not isinstance(each, Exception)):
            raise each
        kept.append(each)
    return kept


def combined(named: Mapping[str, Opinion], how: Combine, *, pass_at: float) -> Finding:
    """Return the panel's finding. `pass_at` is for `mean`, 0 … 1.

    Those without an opinion leave it to the others, as long as these are more than half of the panel.
    """
    voting = [opinion for opinion in named.values() if opinion.passed is not None]
    said = ", ".join(f"{name} {opinion.said}" for name, opinion in named.items())
    if 2 * len(voting) <= len(named):
        why = next(opinion.why for opinion in named.values() if opinion.passed is None)
        return Finding(passed=None, reason=f"{len(voting)} of {len(named)} judges gave a verdict: {said}; {line(why, MAX_SAID)}")
    score = sum(opinion.score for opinion in voting) / len(voting)
    passing = sum(opinion.passed is True for opinion in voting)
    if how == "mean":
        # Means of tenths aren't exact, and 0.7 is meant to pass at 0.7.
        passed, what = score >= pass_at - 1e-9, f"mean {score:.2f}"
    else:
        passed = passing == len(voting) if how == "unanimous" else 2 * passing > len(voting)
        what = f"{passing} of {len(voting)} pass it"
    # The words of one who is with the verdict say most.
    teller = next((each for each in voting if each.passed is passed), voting[0])
    return Finding(passed=passed, score=score, reason=f"{what}: {said}; {line(teller.why, MAX_SAID)}")
