"""Where an export goes: a folder here, a folder behind any of fsspec's URLs (`remote.py`), or the Hub (`hub.py`).

Files are made in a folder of this machine, one after another, and given away as each is whole. What an earlier export left is
replaced, what somebody else left is never touched, and shards of two exports never lie side by side under their final names.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from storage.errors import SpecError
from storage.parquet import refused, sync

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


def at(to: str) -> Destination:
    """Return what a spec's `to` names. Raise SpecError where it names nothing that can be."""
    scheme, colon, rest = to.partition("://")
    if not colon:
        return Folder(to)
    if scheme in {"file", "local"}:
        return Folder(rest)
    address = urlsplit(to)
    if address.password or address.query or address.fragment:
        raise SpecError(f"exports: {scheme}://…: has a password or a query in it; credentials belong into the environment")
    if scheme == "hf":
        from tasks.exports.hub import Hub

        return Hub(to)
    from tasks.exports.remote import Remote

    return Remote(to)


def check_apart(targets: Sequence[str], lake: Path) -> None:
    """Raise SpecError where an export and the lake, or two exports, lie in one another: one would replace the other."""
    places = [("the lake", str(lake.resolve()))]
    for number, to in enumerate(targets):
        place = _spot(to)
        for name, other in places:
            if f"{place}/".startswith(f"{other}/") or f"{other}/".startswith(f"{place}/"):
                raise SpecError(f"exports[{number}].to: {to} and {name} ({other}) lie in one another; keep them apart")
        places.append((f"exports[{number}]", place))


def _spot(to: str) -> str:
    scheme, colon, rest = to.partition("://")
    if colon and scheme not in {"file", "local"}:
        return to.rstrip("/")
    place = str(Path(rest if colon else to).expanduser().resolve())
    return place.rstrip("/")


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


class Folder:
    """A folder of this machine, replaced as a whole."""

    def __init__(self, to: str) -> None:
        """Name it; nothing is looked at yet."""
        self._to = to
        self._path = Path(to).expanduser()
        self.shown = str(self._path.absolute())

    def check(self) -> None:
        """Raise SpecError where it is a file, or has files that an earlier export didn't write."""
        if self._path.exists() and not self._path.is_dir():
            raise SpecError(f"exports: {self._to}: is a file, and an export is a folder")
        if self._path.is_dir():
            names = [path.name for path in self._path.iterdir()]
            try:
                manifest = (self._path / MANIFEST).read_bytes()
            except OSError:
                manifest = b""
            others = set(names) - own(manifest, names)
            if others:
                raise foreign(self._to, others)

    @contextmanager
    def filling(self, scratch: Path) -> Iterator[Place]:  # noqa: ARG002 - a rename needs the same disk
        """Give a folder beside it, which takes its place once it is whole."""
        self.check()
        target = self._path.resolve()
        fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            yield _Beside(fresh)
            sync(fresh)
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            try:
                fresh.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise
            sync(target.parent)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise refused(target, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


class _Beside:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, path: Path) -> None:
        """Leave it where it is."""
