"""Doctor: whether this machine has what stillhouse needs, and what to do where it hasn't."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from storage.errors import SetupError, UserError
from storage.intents import Intents
from storage.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What."""
    state: Literal["ok", "missing", "note"]
    """missing: something will not work. note: something may not."""
    detail: str
    """What was found, or what to do."""


def examine(lake: Lake) -> Iterator[Check]:
    """Yield what was found, one check at a time."""
    cores, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Check(name="machine", state="ok", detail=f"Python {platform.python_version()}, {cores} cores, {memory:.0f} GiB")
    packages = ("stillhouse", "prefect", "duckdb", "pyarrow", "openai", "anthropic")
    yield Check(name="packages", state="ok", detail=", ".join(f"{name} {version(name)}" for name in packages))
    yield _tried("sandbox (unit_tests)", _sandbox)
    yield _tried("embedded model (local)", _model)
    yield _tried("lake", lambda: _lake(lake))
    yield from _batches(lake)
    from flows.server import configured_url

    url = configured_url()
    yield Check(name="Prefect server", state="ok", detail=url or "none set: a build uses a temporary one")


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, state="ok", detail=look())
    except UserError as error:
        return Check(name=name, state="missing", detail=str(error))


def _batches(lake: Lake) -> Iterator[Check]:
    try:
        open_ = Intents(lake.batches).all()
    except UserError as error:
        yield Check(name="batches", state="missing", detail=str(error))
        return
    if open_:
        requests = sum(len(intent.items) for intent in open_)
        detail = f"{len(open_):,} with {requests:,} requests to fetch, which a build of their spec does: see `stillhouse status`"
        yield Check(name="batches", state="note", detail=detail)


def _sandbox() -> str:
    from verifiers.sandbox import examine as examine_sandbox

    return examine_sandbox()


def _model() -> str:
    from tasks.teachers.embedded import find_model

    model = find_model(None)
    # In a process of its own: what it is linked with may be missing, and it is slow to load.
    loaded = subprocess.run([sys.executable, "-c", "import xllamacpp"], capture_output=True, text=True, check=False)
    if loaded.returncode != 0:
        raise SetupError(f"xllamacpp can't be loaded: {loaded.stderr.strip().splitlines()[-1]}")
    return f"{model.name}, xllamacpp {version('xllamacpp')}"


def _lake(lake: Lake) -> str:
    if not lake.exists:
        return f"{lake.root}: nothing built yet"
    idle = lake.recover_if_idle()
    return f"{lake.root}: {len(lake.builds())} builds" + ("" if idle else "; a build is writing to it now")
