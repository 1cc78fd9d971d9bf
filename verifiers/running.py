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

logger = logging.getLogger(__name__)
THREAD: ContextVar[Callable[[Callable[[], Any]], Awaitable[Any]]] = ContextVar("thread", default=asyncio.to_thread)
"""Runs a call that blocks off the event loop, for coroutines that consist of such checks too. A build sets its own threads."""


def waits(verifier: Verifier) -> bool:
    """Return whether a check is awaited on the event loop."""
    return verifier.waits if isinstance(verifier, MayWait) else inspect.iscoroutinefunction(verifier.check)


def run(name: str, verifier: Verifier, prompt: Prompt, sample: Sample) -> Finding:
    """Check a sample in this thread, or in a worker that it waits for. `name` is the verifier's, for the log.

    Raise UserError where no sample can be checked; whatever else goes wrong is an undecided finding.
    """
    try:
        return _finding(cast("Checked", _called(verifier, verifier.check, prompt, sample)))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - one sample's trouble must not end a run
        return _undecided(name, sample, error)


def run_together(name: str, verifier: Verifier, prompt: Prompt, samples: Sequence[Sample]) -> list[Finding]:
    """Check a prompt's samples by a verifier that judges them together, and return as many findings. Raises as `run`."""
    try:
        findings = list(map(_finding, _called(verifier, cast("Together", verifier).check_together, prompt, samples)))
        if len(findings) != len(samples):
            raise TypeError(f"{len(findings)} findings for {len(samples)} samples")  # noqa: TRY301 - as what a check raises
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return [_undecided(name, sample, error) for sample in samples]
    return findings


def _called(verifier: Verifier, check: Callable[[Prompt, A], B], prompt: Prompt, judged: A) -> B:
    if verifier.isolated:
        return workers.default().call(check, prompt, judged, timeout_s=verifier.limit_s)
    return check(prompt, judged)


async def wait(name: str, verifier: Verifier, prompt: Prompt, sample: Sample) -> Finding:
    """Check a sample from the event loop, in whichever way the verifier checks.

    Raise UserError as `run` does, and TeacherError where a judge's teacher couldn't be asked, so that nothing was decided.
    """
    if not waits(verifier):
        return cast("Finding", await THREAD.get()(partial(run, name, verifier, prompt, sample)))
    try:
        return _finding(await cast("Awaitable[Checked]", verifier.check(prompt, sample)))
    except UserError:
        raise
    except RequestRejected as error:
        return Finding(passed=None, reason=f"the judge's teacher rejects the request: {error}")
    except TeacherError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return _undecided(name, sample, error)


def _finding(checked: Checked) -> Finding:
    """Return what a check said. Raise TypeError for what no table could hold: a plug-in's author is told, and nobody else."""
    finding = checked if isinstance(checked, Finding) else Finding(passed=checked)
    for name, kinds in (("passed", bool | None), ("score", int | float | None), ("reason", str), ("answer", str | None)):
        value: object = getattr(finding, name)
        if not isinstance(value, kinds):
            raise TypeError(f"{name} is a {type(value).__name__}")
    return finding


def _undecided(name: str, sample: Sample, error: Exception) -> Finding:
    if isinstance(error, VerifierError):
        return Finding(passed=None, reason=str(error))
    logger.error("%s raised on sample %s", name, sample.sample_id, exc_info=error)
    return Finding(passed=None, reason=f"the verifier raised {type(error).__name__}: {error}")
