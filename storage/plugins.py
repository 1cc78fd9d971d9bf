"""Names that a spec may use and what stands behind them: our own, and what installed packages add by entry points."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from storage.errors import SetupError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Registry(Generic[T]):
    """Things by name. A module is imported only when its name is asked for; our own names can't be taken by a plug-in."""

    group: str
    """The entry points' group."""
    built_in: Mapping[str, str]
    """`module:attribute` by name."""

    def names(self) -> list[str]:
        """Return all names, in order."""
        return sorted({*self.built_in, *(point.name for point in entry_points(group=self.group))})

    def find(self, name: str) -> T:
        """Return what a name stands for. Raise KeyError where it stands for nothing, and SetupError where a plug-in is broken."""
        if name in self.built_in:
            return cast("T", EntryPoint(name, self.built_in[name], self.group).load())
        for point in entry_points(group=self.group):
            if point.name == name:
                return cast("T", _loaded(point))
        raise KeyError(name)


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a foreign module's import raises, SystemExit too
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package"
        raise SetupError(
            f"{point.name!r}, a plug-in of {package}, can't be loaded: {type(error).__name__}: {error}; "
            f"`python -c 'import {point.module}'` shows where"
        ) from error


def nearest(name: str, known: Sequence[str]) -> str:
    """Return what to say of an unknown name: the nearest known one, or all of them."""
    return meant(name, known) or f"known: {', '.join(sorted(known)) or 'none'}"


def meant(name: str, known: Sequence[str]) -> str:
    """Return what to say of a name that isn't known where one is near; else nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""
