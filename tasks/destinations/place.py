"""What all destinations of exports have in common: how one is filled, and whose the files are that lie there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from storage.errors import SpecError

MANIFEST = "manifest.json"
DOCUMENTS = ("LICENSE", "NOTICE", "README.md", "croissant.json")
"""What an export may have beside its shards and its manifest."""
UNFINISHED = "unfinished"
"""A manifest's key where shards are still on their way: any file that is called as ours are is ours then."""
_OURS = re.compile(r"[\w.-]+-\d{5}-of-\d{5}\.\w+")


class Place(Protocol):
    """Where an export is put together."""

    folder: Path
    """Where its files are made."""

    def done(self, path: Path) -> None:
        """Take a file of that folder, which is whole. It may be gone from there then. The manifest comes last."""
        ...


class Destination(Protocol):
    """One export's `to`."""

    shown: str
    """For people and catalogs."""

    def check(self) -> None:
        """Raise a UserError where an export there would be refused. Nothing is changed."""
        ...

    def filling(self, scratch: Path) -> AbstractContextManager[Place]:
        """Give a place, whose files replace the earlier export's on leaving without an exception. `scratch` may be used."""
        ...


def own(manifest: bytes | str, names: Sequence[str]) -> set[str]:
    """Return which of a folder's files its manifest says are an export's; none where it isn't one of ours."""
    try:
        said = json.loads(manifest)
        if {"dataset", "build_id", "rows"} <= said.keys():
            listed = {MANIFEST, *(each["file"] for each in [*said["shards"], *said.get("documents", ())])}
            if said.get(UNFINISHED):
                listed |= {name for name in names if _OURS.fullmatch(name)} | set(DOCUMENTS)
            return listed & set(names)
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return set()


def foreign(to: str, names: set[str]) -> SpecError:
    """Return what to raise of a folder that holds somebody else's files."""
    return SpecError(f"exports: {to}: has files that are no export of stillhouse ({min(names)}); name another folder")
