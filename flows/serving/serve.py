"""Serve: deployments of specs, registered with a Prefect server and carried out by this process until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.process.signals import handled
from flows.spec import Spec
from storage.errors import SpecError
from storage.plugins import nearest

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule

Beside = Literal["export", "evaluate", "score", "distill"]
"""What else can be served of a spec."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The schedules of the builds. Without any, a build runs where a person or an automation asks for one."""

    cron: tuple[str, ...] = ()
    """Cron expressions."""
    interval: timedelta | None = None
    """Between the beginnings of two builds."""
    timezone: str = "UTC"
    """In which cron's hours are meant."""

    @classmethod
    def of(cls, *, cron: Sequence[str], interval: str | None, timezone: str) -> When:
        """Return what the flags say. Raise SpecError, which names the flag."""
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SpecError(f"--timezone: no zone {timezone!r}; name one as Europe/Berlin") from None
        return cls(cron=tuple(cron), interval=_interval(interval) if interval else None, timezone=timezone)

    def schedules(self) -> list[Schedule]:
        """Return them as Prefect's. Raise SpecError where a cron expression is none."""
        from prefect.client.schemas.schedules import CronSchedule
        from prefect.schedules import Cron, Interval

        for expression in self.cron:
            try:
                CronSchedule(cron=expression)
            except ValueError as error:
                raise SpecError(f"--cron: {expression!r} is no cron expression; five fields, as in '0 2 * * *'") from error
        every = [Interval(self.interval, timezone=self.timezone)] if self.interval else []
        return [*(Cron(expression, timezone=self.timezone) for expression in self.cron), *every]

    def __str__(self) -> str:
        parts = [f"at {each!r} ({self.timezone})" for each in self.cron]
        return " and ".join([*parts, *([f"every {_spelled(self.interval)}"] if self.interval else [])]) or "where it is asked for"


def _interval(text: str) -> timedelta:
    numbers = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    if numbers is None or not int(numbers[1]):
        raise SpecError(f"--interval: {text!r} is no time; a number with s, m, h, d or w, as in 6h")
    try:
        return timedelta(**{_UNITS[numbers[2]]: int(numbers[1])})
    except OverflowError:
        raise SpecError(f"--interval: {text!r} is too long") from None


def _spelled(interval: timedelta) -> str:
    """Return an interval as the flag takes it, in the largest unit of which it is a whole number."""
    unit = next(unit for unit in reversed(_UNITS) if not interval % timedelta(**{_UNITS[unit]: 1}))
    return f"{interval // timedelta(**{_UNITS[unit]: 1})}{unit}"


def distinct(specs: Sequence[tuple[Spec, Path]]) -> list[tuple[Spec, Path]]:
    """Return specs with their files as they are. Raise SpecError where two would be one deployment."""
    seen: dict[str, Path] = {}
    for spec, path in specs:
        if spec.dataset in seen:
            raise SpecError(f"{path}: dataset {spec.dataset!r} is {seen[spec.dataset]}'s too; serve one of them")
        seen[spec.dataset] = path
    return list(specs)


def named(text: str | None) -> list[Beside]:
    """Return what `--with` names. Raise SpecError where it is nothing that can be served."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in get_args(Beside):
            raise SpecError(f"--with: {name!r} can't be served; {nearest(name, list(get_args(Beside)))}")
    return cast("list[Beside]", names)


def prepare() -> None:
    """Have Prefect take schedules away that a deployment has no more. Call this before Prefect is imported."""
    os.environ.setdefault("PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY", "true")


def deployments(
    specs: Sequence[tuple[Spec, Path]], lake: str, when: When, beside: Sequence[Beside] = ()
) -> list[RunnerDeployment]:
    """Return the deployments of specs: `build/DATASET` with the schedules, and what is served beside it without any.

    Paths are made absolute: who looks at a run in the UI should know which file is meant.
    """
    schedules = when.schedules()
    made = []
    for spec, path in specs:
        at = {"spec": str(path.absolute()), "lake": lake}
        told = f"Builds {spec.dataset}: what is new is bought, what is stored is not bought again."
        made.append(_deployment("build", spec, told, at, schedules))
        if "evaluate" in beside:
            made.append(_deployment("evaluate", spec, f"Has {spec.dataset}'s teachers compete. Buys what is missing.", at))
        if "export" in beside:
            given: dict[str, Any] = {"dataset": spec.dataset, "lake": lake}
            if spec.exports:
                given["options"] = spec.exports[0].model_dump(mode="json", exclude_unset=True)
            made.append(_deployment("export", spec, f"Writes {spec.dataset}'s newest build as training shards.", given))
        if "score" in beside:
            made.append(_deployment("score", spec, f"Has a teacher grade {spec.dataset}'s responses. Buys what is missing.", at))
        if "distill" in beside:
            made.append(_deployment("distill", spec, f"Trains a student on {spec.dataset}.", _shards(spec)))
    return made


def _shards(spec: Spec) -> dict[str, str]:
    """Return where a student finds what it is trained on, where the spec exports that to a folder."""
    folders = [each.to for each in spec.exports if each.format == "tokenized" and "://" not in each.to]
    return {"shards": str(Path(folders[0]).absolute())} if folders else {}


def _deployment(
    kind: str, spec: Spec, description: str, parameters: dict[str, Any], schedules: Sequence[Schedule] = ()
) -> RunnerDeployment:
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.types.entrypoint import EntrypointType

    flow: Any = getattr(import_module(f"flows.{kind}"), kind)
    deployment: RunnerDeployment = flow.to_deployment(
        name=spec.dataset,
        schedules=list(schedules),
        parameters=parameters,
        tags=["stillhouse", f"dataset:{spec.dataset}"],
        description=description,
        # One run of a dataset at a time; the next waits its turn.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        # A run imports the installed package: nothing is copied, and no folder of ours goes first on sys.path.
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return deployment


def serve(made: Sequence[RunnerDeployment], say: Callable[[str], None]) -> None:
    """Register deployments and run what is due, each run in a process of its own, until this one is told to stop.

    Each run is then told that it is cancelled, and gets 30 s to land what was paid for.
    """
    _shield_runs()
    asyncio.run(_serve(made, say))


async def _serve(made: Sequence[RunnerDeployment], say: Callable[[str], None]) -> None:
    from flows.serving.served_runs import ServedRuns

    runner = ServedRuns()
    for each in made:
        await runner.aadd_deployment(each)
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        if len(told) == 1:
            doing = "starting no more runs; those that began land what was paid for"
            say(f"{signal.Signals(number).name}: {doing} (again to stop at once)")
        if len(told) == 1 and runner.started:
            ending.append(asyncio.create_task(runner.end(running, say)))
        else:
            running.cancel()

    running, ending = asyncio.create_task(runner.start()), list[asyncio.Task[None]]()
    await asyncio.sleep(0)  # Prefect takes SIGTERM for itself
    with handled(stop), contextlib.suppress(asyncio.CancelledError):
        await running
    for task in ending:
        task.cancel()


def _shield_runs() -> None:
    """Have runs not hear Ctrl-C, which a terminal sends to them too: this process tells them, once, as they expect it.

    A process that is started inherits which signals its starter's thread has blocked. Another thread here takes SIGINT, and
    Python hands it to the main thread's event loop.
    """

    def listen() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        threading.Event().wait()

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=listen, name="interrupts", daemon=True).start()
