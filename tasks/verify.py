"""Verify: from samples to verdicts, beside the draw and never on its event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from storage.answers import Answers
from storage.checks import Check
from storage.errors import TeacherError, UserError, Withheld
from storage.identity import check_inputs
from storage.records import Prompt, Sample, Verdict
from storage.sql import literal
from storage.verdicts import VerdictStore
from storage.waste import Waste
from tasks.bundles import Bundles
from tasks.threads import Threads
from verifiers import bundle, running
from verifiers.protocol import Finding, Together, Verifier

logger = logging.getLogger(__name__)
CHECK: ContextVar[Check] = ContextVar("check")
"""The check at work: whoever asks a teacher for it adds what it costs, and what it was answered."""
REASON_CHARS = 500
"""Of a reason, so that a response can't make the verdicts table large."""

Require = Literal["all", "any"] | tuple[str, ...]
"""all: none failed and at least one passed; any: at least one passed; names: as all, among these. Undecided doesn't count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A verifier as a spec uses it."""

    name: str
    """Its name in the spec."""
    version: str
    """Its own version."""
    fingerprint: str
    """`storage.identity.fingerprint`."""
    verifier: Verifier
    """What checks."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a sample is accepted, in Python for the draw's rounds and in SQL for the whole dataset."""

    require: Require
    """The spec's `select.require`."""
    listed: tuple[tuple[str, str], ...]
    """Name and fingerprint of every verifier of the spec: one name may stand for several."""

    @property
    def counted(self) -> frozenset[str]:
        """The fingerprints of the verifiers whose verdicts count."""
        return frozenset(found for name, found in self.listed if not isinstance(self.require, tuple) or name in self.require)

    def accepts(self, verdicts: Iterable[Verdict]) -> bool:
        """Judge one sample by all of its verdicts. One that is missing is no pass, whatever the others say."""
        if not self.counted:
            return True
        passed = {verdict.fingerprint: verdict.passed for verdict in verdicts if verdict.fingerprint in self.counted}
        if passed.keys() < self.counted:
            return False
        return True in passed.values() and (self.require == "any" or False not in passed.values())

    def sql(self, fingerprint: str, passed: str) -> str:
        """Return the same as an aggregate over a sample's verdicts, of these two columns, one row for each fingerprint."""
        if not self.counted:
            return "TRUE"
        counts = f"{fingerprint} IN ({', '.join(map(literal, sorted(self.counted)))})"
        some = f"coalesce(bool_or({passed}) FILTER ({counts}), FALSE)"
        none_failed = f"coalesce(bool_and({passed}) FILTER ({counts}), FALSE)"
        complete = f"count(DISTINCT {fingerprint}) FILTER ({counts}) = {len(self.counted)}"
        return f"({complete} AND {some})" if self.require == "any" else f"({complete} AND {some} AND {none_failed})"

    def refuting_sql(self, fingerprint: str, passed: str) -> str:
        """Return, as an aggregate too, whether a sample can't be accepted, however what is undecided or missing turns out."""
        counts = f"{fingerprint} IN ({', '.join(map(literal, sorted(self.counted)))})" if self.counted else "FALSE"
        if self.require == "any":
            return f"(count(DISTINCT {fingerprint}) FILTER ({counts} AND NOT {passed}) = {max(1, len(self.counted))})"
        return f"coalesce(bool_or(NOT {passed}) FILTER ({counts}), FALSE)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sample to judge, and by which verifiers."""

    sample: Sample
    """The sample."""
    fingerprints: frozenset[str] | None = None
    """None: by all."""


class Verification:
    """Judges samples with a build's verifiers and keeps the verdicts."""

    def __init__(
        self,
        verifiers: Sequence[Named],
        store: VerdictStore,
        stop: Callable[[UserError], None],
        *,
        workers: int,
        waste: Waste | None = None,
        answers: Answers | None = None,
    ) -> None:
        """Run blocking checks on `workers` threads. `stop` hears of what concerns the whole run, such as a missing sandbox.

        `waste` is where later runs find what a judge was paid that gave no verdict, and `answers` what it had said by then.
        """
        self._verifiers = [(named, running.waits(named.verifier), bundle.pure(named.verifier)) for named in alone(verifiers)]
        self._together = together(verifiers)
        self._store = store
        self._stop = stop
        self._waste = waste
        self._answers = answers
        self._threads = Threads(workers, name="verify")
        self._bundles = Bundles(self._threads)

    @property
    def fingerprints(self) -> frozenset[str]:
        """Return those of the verifiers that judge a sample by itself."""
        return frozenset(named.fingerprint for named, *_ in self._verifiers)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.close()

    async def flush(self) -> None:
        """Land the verdicts, so that a query finds them."""
        await self._store.flush()

    async def judge(self, prompt: Prompt, cases: Sequence[Case]) -> list[list[Verdict]]:
        """Return each case's verdicts, which are kept as well. Where a judge couldn't be asked, its verdict is missing.

        Raise UserError where a verifier can't work at all, or the disk is full; the run is told to stop first. A verdict is
        kept as soon as it is there: whoever cancels this, or a check that raises, doesn't take along what others paid for.
        """
        inputs = check_inputs(prompt)
        checks: list[tuple[int, Awaitable[Verdict | None]]] = []
        for named, waits, pure in self._verifiers:
            for i, case in enumerate(cases):
                if case.fingerprints is not None and named.fingerprint not in case.fingerprints:
                    continue
                if waits:
                    checks.append((i, self._paid(named, prompt, case.sample, inputs)))
                else:
                    made = self._bundled if pure else self._alone
                    checks.append((i, self._kept(made(named, prompt, case.sample, inputs))))
        kept = [check for _, check in checks]
        # All of them, whatever one raises: the rest may be on its way from a judge that is paid.
        found = await asyncio.gather(*kept, return_exceptions=True)
        verdicts: list[list[Verdict]] = [[] for _ in cases]
        for (i, _), verdict in zip(checks, found, strict=True):
            if isinstance(verdict, BaseException):
                raise verdict
            if verdict is not None:
                verdicts[i].append(verdict)
        return verdicts

    async def judge_together(self, prompt: Prompt, samples: Sequence[Sample], inputs: str) -> None:
        """Judge all samples of a prompt and a teacher by the verifiers that do so, and keep the verdicts. Raises as `judge`."""
        for named in self._together:
            try:
                await self._store.add(await self._threads.submit(partial(_check_together, named, prompt, samples, inputs)))
            except UserError as error:
                self._stop(error)
                raise

    def _alone(self, named: Named, prompt: Prompt, sample: Sample, inputs: str) -> Awaitable[Verdict | None]:
        return self._threads.submit(partial(_check, named, prompt, sample, inputs))

    async def _bundled(self, named: Named, prompt: Prompt, sample: Sample, inputs: str) -> Verdict | None:
        finding, took_s = await self._bundles.check(named.verifier, prompt, sample)
        if finding is None:
            return await self._alone(named, prompt, sample, inputs)
        return _verdict(named, sample, inputs, finding, took_s)

    async def _kept(self, check: Awaitable[Verdict | None]) -> Verdict | None:
        try:
            verdict = await check
            if verdict is not None:
                await self._store.add([verdict])
        except UserError as error:
            self._stop(error)
            raise
        return verdict

    async def _paid(self, named: Named, prompt: Prompt, sample: Sample, inputs: str) -> Verdict | None:
        """Check what may cost something, whether or not a price is known."""
        check = Check(sample.sample_id, named.name, named.fingerprint, inputs)
        try:
            verdict = await self._judged(named, prompt, sample, inputs, check)
            if verdict is not None:
                await self._store.add([verdict], paid=True)
                self._end(check, decided=True)
        except UserError as error:
            self._stop(error)
            raise  # where it is the verdict that can't be kept, what it was made of stays noted
        except asyncio.CancelledError:
            self._end(check, decided=True)  # a verdict is on disk all the same
            raise
        return verdict

    async def _judged(self, named: Named, prompt: Prompt, sample: Sample, inputs: str, check: Check) -> Verdict | None:
        began = time.perf_counter()
        CHECK.set(check)  # each check is a task, with a context of its own
        running.THREAD.set(self._threads.submit)
        verdict = None
        try:
            finding = await running.wait(named.name, named.verifier, prompt, sample)
            verdict = _verdict(named, sample, inputs, finding, time.perf_counter() - began)
        except TeacherError as error:
            _put_off(named, sample, error)
        finally:
            if verdict is None:
                self._end(check, decided=False)
            check.ended = True  # what it is billed from here on isn't in its verdict
        return verdict and replace(verdict, cost_usd=sum(check.bill))

    def _end(self, check: Check, *, decided: bool) -> None:
        usd = sum(check.bill)
        if not decided and usd and self._waste is not None:  # billed in vain, and a later run's budget must know
            self._waste.note(sample_id=check.sample_id, teacher=check.verifier, cost_usd=usd, tokens_in=0, tokens_out=0)
        if self._answers is not None:
            self._answers.end(check, decided=decided)


def alone(verifiers: Sequence[Named]) -> list[Named]:
    """Return those that judge a sample by itself, as soon as it is there."""
    return [named for named in verifiers if not isinstance(named.verifier, Together)]


def together(verifiers: Sequence[Named]) -> list[Named]:
    """Return those that judge all samples of a prompt and a teacher together, once they are drawn."""
    return [named for named in verifiers if isinstance(named.verifier, Together)]


def _put_off(named: Named, sample: Sample, error: TeacherError) -> None:
    """Leave a sample to the next build."""
    if not isinstance(error, Withheld):
        logger.warning("%s could not ask about sample %s: %s", named.name, sample.sample_id, error)


def _check(named: Named, prompt: Prompt, sample: Sample, inputs: str) -> Verdict | None:
    began = time.perf_counter()
    try:
        finding = running.run(named.name, named.verifier, prompt, sample)
    except TeacherError as error:
        _put_off(named, sample, error)
        return None
    return _verdict(named, sample, inputs, finding, time.perf_counter() - began)


def _check_together(named: Named, prompt: Prompt, samples: Sequence[Sample], inputs: str) -> list[Verdict]:
    began = time.perf_counter()
    try:
        findings = running.run_together(named.name, named.verifier, prompt, samples)
    except TeacherError as error:
        _put_off(named, samples[0], error)
        return []
    took = (time.perf_counter() - began) / len(samples)
    return [_verdict(named, sample, inputs, finding, took) for sample, finding in zip(samples, findings, strict=True)]


def _verdict(named: Named, sample: Sample, inputs: str, finding: Finding, elapsed_s: float) -> Verdict:
    score = finding.score
    if score is None and finding.passed is not None:
        score = float(finding.passed)
    return Verdict(
        sample_id=sample.sample_id,
        verifier=named.name,
        version=named.version,
        fingerprint=named.fingerprint,
        inputs=inputs,
        passed=finding.passed,
        score=float(score) if finding.passed is not None and score is not None else None,
        reason=_utf8(finding.reason)[:REASON_CHARS],
        answer=None if finding.answer is None else _utf8(finding.answer),
        elapsed_s=elapsed_s,
    )


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
