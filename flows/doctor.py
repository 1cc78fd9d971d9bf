"""Doctor: whether this machine has what stillhouse needs, and what to do where it hasn't."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from storage import damage
from storage.damage import Finding, is_lake
from storage.errors import SetupError, UserError
from storage.intents import Intents
from storage.lake import Lake
from storage.repair import repair
from storage.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What."""
    state: Literal["ok", "missing", "damaged", "mended", "note"]
    """missing, damaged: something will not work. note: something may not, or is worth knowing."""
    detail: str
    """What was found, or what to do."""


def examine(lake: Lake, *, named: bool = False) -> Iterator[Check]:
    """Yield what was found, one check at a time. `named`: somebody said which lake, and so may have mistyped it."""
    cores, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Check(name="machine", state="ok", detail=f"Python {platform.python_version()}, {cores} cores, {memory:.0f} GiB")
    packages = ("stillhouse", "prefect", "duckdb", "pyarrow", "openai", "anthropic")
    yield Check(name="packages", state="ok", detail=", ".join(f"{name} {version(name)}" for name in packages))
    yield _tried("sandbox (unit_tests)", _sandbox)
    yield _tried("languages (unit_tests)", _languages)
    yield _tried("embedded model (local)", _model)
    yield from _lake(lake, named=named)
    yield from _working_copy(lake)
    yield from _batches(lake)
    from flows.process.server import configured_url

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
        requests = counted(sum(len(intent.items) for intent in open_), "request")
        detail = f"{len(open_):,} with {requests} to fetch, which a build of their spec does: see `stillhouse status`"
        yield Check(name="batches", state="note", detail=detail)


def _sandbox() -> str:
    from verifiers.sandbox import examine as examine_sandbox

    return examine_sandbox()


def _languages() -> str:
    from verifiers.sandbox.languages import examine as examine_languages

    return examine_languages()


def _model() -> str:
    from flows.process.server import how_ended
    from tasks.teachers.embedded import find_model

    model = find_model(None)
    # In a process of its own: what it is linked with may be missing, and it is slow to load.
    loaded = subprocess.run([sys.executable, "-c", "import xllamacpp"], capture_output=True, text=True, check=False)
    if loaded.returncode != 0:
        # One that a signal ended, as for an instruction that the processor hasn't got, says nothing of its own.
        said = loaded.stderr.strip().splitlines() or [f"its process ended ({how_ended(loaded.returncode)})"]
        raise SetupError(f"xllamacpp can't be loaded: {said[-1]}")
    return f"{model.name}, xllamacpp {version('xllamacpp')}"


def mend(lake: Lake) -> tuple[list[Check], dict[str, Any]]:
    """Repair a lake; return what was done for a terminal, and as JSON. Raise StorageError where a build writes to it."""
    done = repair(lake)
    checks = [
        Check(name=_place(lake, finding), state="mended" if finding.damaged else "note", detail=done.told(finding))
        for finding in done.findings
    ]
    whole = "nothing is damaged" if not any(finding.damaged for finding in done.findings) else "mended"
    checks.append(Check(name="lake", state="ok", detail=f"{lake.where}: {whole}, {counted(len(lake.builds()), 'build')}"))
    return checks, {"lake": lake.where} | done.as_dict()


def _lake(lake: Lake, *, named: bool) -> Iterator[Check]:
    try:
        if not is_lake(lake):
            yield Check(name="lake", state="note" if named else "ok", detail=f"{lake.where}: no lake is there yet")
            return
        with lake.alone() as free:
            found = damage.examine(lake) if free else []
        if not free:
            yield Check(name="lake", state="note", detail=f"{lake.where}: not examined, since a build is writing to it now")
            return
        damaged = [finding for finding in found if finding.damaged]
        if damaged:
            command = f"stillhouse doctor --repair --lake {shlex.quote(lake.where)}"
            yield Check(name="lake", state="damaged", detail=f"{lake.where}: {len(damaged)} damages; `{command}` mends them")
        else:
            lake.recover_if_idle()
            yield Check(
                name="lake", state="ok", detail=f"{lake.where}: {counted(len(lake.builds()), 'build')}, nothing is damaged"
            )
        for finding in found:
            detail = f"{finding.what} ({finding.remedy})"
            yield Check(name=_place(lake, finding), state="damaged" if finding.damaged else "note", detail=detail)
    except UserError as error:
        yield Check(name="lake", state="missing", detail=str(error))


def _working_copy(lake: Lake) -> Iterator[Check]:
    if lake.replica is None:
        return
    size = sum(path.stat().st_size for path in lake.root.rglob("*") if path.is_file())
    waiting = len(lake.replica.unsent)
    unsent = f"; {counted(waiting, 'file')} of it not sent yet, which the next command that writes does" if waiting else ""
    detail = f"{lake.root}, {size / 1e6:,.1f} MB{unsent}"
    yield Check(name="working copy", state="note" if waiting else "ok", detail=detail)


def _place(lake: Lake, finding: Finding) -> str:
    return f"lake: {finding.path.relative_to(lake.root)}"
