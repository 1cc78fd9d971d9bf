"""The spec's `runner`: where shards run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from flows.process.server import configured_url
from storage.errors import SetupError, SpecError
from storage.plugins import nearest
from tasks.options import Options
from tasks.teachers.options import TeacherOptions

Use = Literal["local", "dask", "ray"]
PACKAGES = {"dask": "prefect_dask", "ray": "prefect_ray"}
HERE = {"127.0.0.1", "localhost", "::1"}


class RunnerOptions(Options):
    """The spec's `runner`."""

    use: Use
    """local: this process; dask or ray: a cluster."""
    workers: int = Field(default=2, ge=1, le=10_000)
    """Processes of a cluster that is started on this machine for the run. With an address the cluster has as many as it has."""
    shards: int = Field(default=2, ge=1, le=64)
    """Shards that a worker has at a time, so that it has enough to ask while one of them comes to its end."""
    verdict_workers: int = Field(default=0, ge=0, le=10_000)
    """Workers that judge what the others draw, for verifiers that take more than the draw does. 0: whoever draws judges."""
    address: str | None = Field(default=None, min_length=1)
    """A cluster that is there: `tcp://HOST:8786` of a Dask scheduler, `ray://HOST:10001` of Ray. None: one is started."""

    @model_validator(mode="after")
    def _check(self) -> RunnerOptions:
        if self.address is not None and self.use == "local":
            raise ValueError("address: use: local has none; name dask or ray")
        return self

    @property
    def elsewhere(self) -> bool:
        """Whether workers may run on other machines."""
        return self.address is not None and urlsplit(self.address).hostname not in HERE


def chosen(given: RunnerOptions | None, flag: str | None) -> RunnerOptions | None:
    """Return what `--runner` makes of a spec's runner; None: this process. Raise SpecError where it names none."""
    if flag is None:
        return None if given is None or given.use == "local" else given
    names = get_args(Use)
    if flag not in names:
        raise SpecError(f"--runner: unknown runner {flag!r}; {nearest(flag, names)}")
    if flag == "local":
        return None
    if given is None or given.use != flag:
        return RunnerOptions.model_validate({"use": flag})
    return given


def check(runner: RunnerOptions | None, teachers: tuple[TeacherOptions, ...], path: Path) -> None:
    """Raise what can be known of a cluster before it is asked for anything."""
    if runner is None or runner.use == "local":
        return
    if importlib.util.find_spec(PACKAGES[runner.use]) is None:
        raise SetupError(f"{path}: runner: {runner.use} needs its extra: pip install 'stillhouse[{runner.use}]'")
    if not runner.elsewhere:
        return
    if urlsplit(configured_url() or "").hostname in {None, *HERE}:
        raise SetupError(
            f"{path}: runner.address: workers on other machines can't reach a Prefect server on this one's loopback, as this "
            "run's own is; set PREFECT_API_URL to a server that they reach"
        )
    for number, teacher in enumerate(teachers):
        for line in teacher.lines:
            if line.limits.requests_per_day or line.limits.tokens_per_day:
                raise SpecError(
                    f"{path}: teachers[{number}].limits: a day's requests and tokens are counted on one machine, and workers "
                    "run on several; leave them out, or let `runner` start its cluster here"
                )
