"""Self-test: whether a spec's verifiers pass what must pass and fail what must fail, before anything is spent on them.

A verifier says itself what that is, by what each prompt brings (`verifiers.protocol.SelfTesting`): its reference passes; another
number, another choice or an empty program doesn't.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Literal, TypeVar

from storage.errors import TeacherError
from storage.records import Prompt, Sample
from storage.wording import counted
from tasks.verify import Named
from verifiers import running
from verifiers.parts import Combinator
from verifiers.protocol import Finding, NeedsMachine, SelfTesting, Trial

T = TypeVar("T")
Fault = Literal["fails what is right", "passes what is wrong", "passes what is empty", "can't decide"]
SHOWN = 20
"""Faults that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One verdict that isn't as it should be."""

    verifier: str
    """Its name in the spec."""
    prompt_id: str
    """The prompt that was tried."""
    fault: Fault
    """What is wrong with it."""
    response: str
    """What was judged."""
    reason: str
    """The verifier's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How one verifier did."""

    verifier: str
    """Its name in the spec."""
    prompts: int
    """Prompts that brought something to try it on."""
    right: int
    """Responses that must pass."""
    wrong: int
    """Responses that must fail."""
    faults: dict[Fault, int]
    """How many verdicts aren't as they should be."""
    untried: str
    """Why nothing was tried; empty where something was."""

    @property
    def sound(self) -> bool:
        """Whether what must pass did and what must fail did: doubts and empty programs are warned of only."""
        return not any(self.faults.get(fault) for fault in ("fails what is right", "passes what is wrong"))


def some(prompts: Iterable[T], number: int, *, seed: int) -> list[T]:
    """Return so many of a stream, each as likely as any other, in their order (reservoir sampling: Vitter 1985, algorithm R)."""
    rng = random.Random(seed)  # noqa: S311 - the same ones every time
    chosen: list[tuple[int, T]] = []
    for place, prompt in enumerate(prompts):
        if place < number:
            chosen.append((place, prompt))
        elif (lot := rng.randrange(place + 1)) < number:
            chosen[lot] = (place, prompt)
    return [prompt for _, prompt in sorted(chosen, key=lambda pair: pair[0])]


def self_test(verifiers: Sequence[Named], prompts: Sequence[Prompt], *, code: bool = True) -> tuple[list[Tested], list[Found]]:
    """Try each verifier on what the prompts bring, and return how each did, with some of what went wrong.

    Of a verifier that consists of others, each part is tried by itself. `code`: also those that run code in a sandbox. Raise
    UserError where one can't judge at all.
    """
    tested, found = [], []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="self-test") as threads:
        for named in chain.from_iterable(map(_leaves, verifiers)):
            if isinstance(named.verifier, NeedsMachine) and not code:
                continue
            if not isinstance(named.verifier, SelfTesting):
                tested.append(_untried(named, "it compares with nothing that a prompt brings, or asks a teacher"))
                continue
            jobs = list(_jobs(named.verifier, prompts))
            found_by = threads.map(lambda job, named=named: _tried(named, job), jobs)
            one, faults = _judged(named, jobs, list(found_by))
            tested.append(one)
            found += faults[:SHOWN]
    return tested, found


def doubts(verifiers: Sequence[Named], prompts: Sequence[Prompt]) -> Iterator[str]:
    """Yield what a quick self-test finds wrong with verifiers that run no code, a line for each sort of fault."""
    tested, found = self_test(verifiers, prompts, code=False)
    for each in tested:
        for fault, number in each.faults.items():
            one = next(one for one in found if (one.verifier, one.fault) == (each.verifier, fault))
            yield (
                f"tried on the references of {counted(each.prompts, 'prompt')}, {each.verifier} {fault} "
                f"{counted(number, 'time')} of {each.right + each.wrong:,}: {one.reason} (prompt {one.prompt_id}); see "
                "`stillhouse verify --self-test`"
            )


def _leaves(named: Named) -> Iterator[Named]:
    if not isinstance(named.verifier, Combinator):
        yield named
        return
    for part in named.verifier.of:
        name = f"{named.name}: {named.verifier.label(part)}"
        yield from _leaves(Named(name=name, version=part.verifier.version, fingerprint="", verifier=part.verifier))


_Job = tuple[Prompt, Trial]


def _jobs(verifier: SelfTesting, prompts: Sequence[Prompt]) -> Iterator[_Job]:
    for prompt in prompts:
        for trial in verifier.trials(prompt):
            yield prompt, trial


def _sample(job: _Job) -> Sample:
    prompt, trial = job
    return Sample(
        sample_id="self-test",
        prompt_id=prompt.prompt_id,
        teacher="self-test",
        provider="self-test",
        model="self-test",
        sample_index=0,
        messages=prompt.messages,
        response=trial.response,
        finish_reason="stop",
        tokens_in=0,
        tokens_out=0,
        latency_s=0.0,
        created_at=datetime.now(UTC),
    )


def _tried(named: Named, job: _Job) -> Finding:
    try:
        if running.waits(named.verifier):
            return asyncio.run(running.wait(named.name, named.verifier, job[0], _sample(job)))
        return running.run(named.name, named.verifier, job[0], _sample(job))
    except TeacherError as error:
        return Finding(passed=None, reason=str(error))


def _untried(named: Named, why: str) -> Tested:
    return Tested(verifier=named.name, prompts=0, right=0, wrong=0, faults={}, untried=why)


def _judged(named: Named, jobs: Sequence[_Job], findings: Sequence[Finding]) -> tuple[Tested, list[Found]]:
    if not jobs:
        return _untried(named, "no prompt brings what it needs: a reference or tests"), []
    found: list[Found] = []
    counts: dict[Fault, int] = {}
    for (prompt, trial), finding in zip(jobs, findings, strict=True):
        fault = _fault(trial, finding)
        if fault is not None:
            counts[fault] = counts.get(fault, 0) + 1
            found.append(
                Found(
                    verifier=named.name,
                    prompt_id=prompt.prompt_id,
                    fault=fault,
                    response=trial.response,
                    reason=finding.reason,
                )
            )
    tested = Tested(
        verifier=named.name,
        prompts=len({prompt.prompt_id for prompt, _ in jobs}),
        right=sum(trial.kind == "right" for _, trial in jobs),
        wrong=sum(trial.kind != "right" for _, trial in jobs),
        faults=counts,
        untried="",
    )
    return tested, found


def _fault(trial: Trial, finding: Finding) -> Fault | None:
    if trial.kind == "right":
        return {True: None, False: "fails what is right", None: "can't decide"}[finding.passed]
    if not finding.passed:
        return None
    return "passes what is empty" if trial.kind == "empty" else "passes what is wrong"
