"""What a run and its workers tell each other: small files in the run's folder of outboxes, replaced whole.

A file is one writer's. Money is told in sums that only grow, so that whoever reads late reads nothing wrong.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow.parquet as pq

from storage import errors
from storage.disk import writing
from storage.errors import Interrupted, StorageError, UserError
from tasks.asking.meter import LineState
from tasks.draw import Spending

TICK_S = 0.5
"""How often a run looks at its workers, and a worker at its run."""
Told = tuple[str, str]
"""An error that the user can mend: its class and its line."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a run tells its workers once. Keys of teachers are not in it: a worker has them in its own environment."""

    build_id: str
    """The run."""
    lake: str
    """The lake's folder."""
    orders: str
    """The folder of the orders."""
    spec: dict[str, Any]
    """The spec, as it was when the run began."""
    path: str
    """The spec's file, for messages."""
    apart: bool = False
    """Whether shards are judged by other workers than those that draw them."""
    store: str | None = None
    """The URL of the object store that the lake is in, `lake` being its working copy. How to reach it is in no note."""
    lease: str = ""
    """The name of the run's lease there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a run tells its workers as it goes on."""

    stop: Told | None = None
    """Why to ask for nothing more."""
    hurried: bool = False
    """Whether to wait for no answer any more."""
    closing: bool = False
    """Whether to land and leave: no orders come any more."""
    granted: dict[str, float] = field(default_factory=dict)
    """By worker, USD that it may spend, in all. Empty where there is no budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a worker is told of a shard that another one was lost with."""

    outboxes: list[str]
    """The names of the outboxes that were taken over: their parts are called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a process can't work for a run at all."""

    problem: Told
    """What is missing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a worker tells its run."""

    host: str = ""
    """Where it runs."""
    pid: int = 0
    """Its process there."""
    active: int = 0
    """Orders that it works on."""
    spent: float = 0.0
    """USD that it has spent, in all."""
    returned: float = 0.0
    """USD of what was granted that it gave back unspent, in all."""
    wants: bool = False
    """Whether what it may spend comes to its end."""
    starved: bool = False
    """Whether requests wait for it to get more."""
    spending: dict[str, Any] = field(default_factory=dict)
    """`Spending`, by teacher too."""
    tally: dict[str, int] = field(default_factory=dict)
    """`Tally`."""
    passing: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """`Passing.totals`."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """`LineState.as_dict` of each of its lines."""
    leases: tuple[str, ...] = ()
    """By which it holds parts of accounts' limits: given back for it where it is killed."""
    later: Told | None = None
    """Why it leaves something open, and goes on with the rest."""
    stopped: Told | None = None
    """Why it asks for nothing more, where that is its own finding."""
    closed: bool = False
    """Whether all is landed in its outbox."""


def write(path: Path, note: Brief | State | Saved | Refusal | Ledger) -> None:
    """Replace a note. Raise StorageError where it can't be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        temporary.write_bytes(orjson.dumps(asdict(note)))
        temporary.replace(path)


def read(kind: type[T], path: Path) -> T | None:
    """Return a note; None where it isn't there. Raise StorageError where it can't be read."""
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError) as error:
        raise StorageError(f"{path}: can't be read: {error}") from error
    try:
        return kind(**found)
    except TypeError as error:
        raise StorageError(f"{path}: was written by another version of stillhouse: {error}") from error


def asked(path: Path) -> list[dict[str, Any]]:
    """Return what a worker noted of a shard: the slots that were asked for."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def told(error: UserError) -> Told:
    """Return an error as a note has it."""
    return type(error).__name__.lstrip("_"), str(error)


def raised(note: Told) -> UserError:
    """Return the error of a note: of its own class where that is made of a line alone, else of one with the same exit code."""
    kind, text = note
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, UserError) and found is not errors.LakeDamaged:
        return found(text)
    return {130: Interrupted, 4: errors.BudgetSpent, 5: errors.TeacherDown}.get(getattr(found, "exit_code", 2), StorageError)(
        text
    )


def lines(ledger: Ledger, *, over: bool = False) -> list[LineState]:
    """Return how a worker's lines stand; `over`: it has ended, and what it counted remains."""
    states = map(LineState.of, ledger.lines)
    return [state.over() for state in states] if over else list(states)


def spending_of(note: dict[str, Any]) -> Spending:
    """Return what a ledger says was bought."""
    parts = {name: Spending(**{**each, "by_teacher": {}}) for name, each in note.get("by_teacher", {}).items()}
    return Spending(**{**note, "by_teacher": parts}) if note else Spending()


def add(total: Spending, more: Spending, less: Spending) -> None:
    """Add to a sum what became more."""
    _add(total, more, less)
    for name, each in more.by_teacher.items():
        _add(total.of(name), each, less.by_teacher.get(name, Spending()))


def _add(total: Spending, more: Spending, less: Spending) -> None:
    before = less.totals()
    total.count(**{name: number - before[name] for name, number in more.totals().items()})
