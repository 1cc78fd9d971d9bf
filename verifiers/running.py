"""How one check is run, alone or as a part of another: in a worker process, in the thread that asks, or on the event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar, cast

from storage.errors import RequestRejected, TeacherError, UserError, VerifierError
from storage.records import Prompt, Sample
from verifiers import workers
from verifiers.protocol import Checked, Finding, MayWait, Together, Verifier

A = TypeVar("A")
B = TypeVar("B")

_TROUBLE = (Exception, SystemExit)
"""What a check may raise; the latter from what was once a script."""
logger = logging.getLogger(__name__)
THREAD: ContextVar[Callable[[Callable[[], Any]], Awaitable[Any]]] = ContextVar("thread", default=asyncio.to_thread)
"""Runs a call that blocks off the event loop, for coroutines that consist of such checks too. A build sets its own threads."""


def waits(verifier: Verifier) -> bool:
    """Return whether a check is awaited on the event loop."""
    return verifier.waits if isinstance(verifier, MayWait) else inspect.iscoroutinefunction(verifier.check)


def run(name: str, verifier: Verifier, prompt: Prompt, sample: Sample) -> Finding:
    """Check a sample in this thread, or in a worker that it waits for. `name` is the verifier's, for the log.

    Raise UserError where no sample can be checked, and TeacherError where another server couldn't be asked, so that nothing was
    decided; whatever else goes wrong is an undecided finding.
    """
    try:
        return finding(cast("Checked", _called(verifier, verifier.check, prompt, sample)))
    except _TROUBLE as error:
        return _undecided(name, sample, error)


def run_together(name: str, verifier: Verifier, prompt: Prompt, samples: Sequence[Sample]) -> list[Finding]:
    """Check a prompt's samples by a verifier that judges them together, and return as many findings. Raises as `run`."""
    try:
        findings = list(map(finding, _called(verifier, cast("Together", verifier).check_together, prompt, samples)))
        if len(findings) != len(samples):
            raise TypeError(f"{len(findings)} findings for {len(samples)} samples")
    except _TROUBLE as error:
        return [_undecided(name, sample, error) for sample in samples]
    return findings


def _called(verifier: Verifier, check: Callable[[Prompt, A], B], prompt: Prompt, judged: A) -> B:
    if verifier.isolated and not workers.NONE_WITHIN.get():
        return workers.default().call(check, prompt, judged, timeout_s=verifier.limit_s)
    return check(prompt, judged)


async def wait(name: str, verifier: Verifier, prompt: Prompt, sample: Sample) -> Finding:
    """Check a sample from the event loop, in whichever way the verifier checks.

    Raises as `run` does.
    """
    if not waits(verifier):
        return cast("Finding", await THREAD.get()(partial(run, name, verifier, prompt, sample)))
    try:
        return finding(await cast("Awaitable[Checked]", verifier.check(prompt, sample)))
    except _TROUBLE as error:
        return _undecided(name, sample, error)


def finding(checked: Checked) -> Finding:
    """Return what a check said. Raise TypeError for what no table could hold: a plug-in's author is told, and nobody else."""
    found = checked if isinstance(checked, Finding) else Finding(passed=checked)
    for name, kinds in (("passed", bool | None), ("score", int | float | None), ("reason", str), ("answer", str | None)):
        value: object = getattr(found, name)
        if not isinstance(value, kinds):
            raise TypeError(f"{name} is a {type(value).__name__}")
    if found.score is not None and not 0 <= found.score <= 1:
        raise ValueError(f"score is {found.score}, and not from 0 to 1")
    return found


def _undecided(name: str, sample: Sample, error: BaseException) -> Finding:
    """Return what one sample's trouble is to it. Raise again what isn't its own: the user can mend it, or a later build can."""
    if workers.NONE_WITHIN.get():
        raise workers.NeedsWorker  # a part's: once the whole is made by itself, it is told where the build's log is
    if isinstance(error, UserError) or (isinstance(error, TeacherError) and not isinstance(error, RequestRejected)):
        raise error
    if isinstance(error, RequestRejected):
        return Finding(passed=None, reason=f"the server rejects the request: {error}")
    if isinstance(error, VerifierError):
        return Finding(passed=None, reason=str(error))
    logger.error("%s raised on sample %s", name, sample.sample_id, exc_info=error)
    return Finding(passed=None, reason=f"the verifier raised {type(error).__name__}: {error}")
