"""Depots: outboxes of workers as the store has them, below `journal/outbox/RUN/WORKER/`, under the paths of those in a folder.

Only its worker puts anything there, and it puts nothing elsewhere; only who holds the lake's lease makes parts of what is there,
and removes it. A worker counts what it has put while it is certain that its run held the lease: so whoever takes the lease over
finds all that was ever counted. What comes later, from a worker that has yet to hear of it, is found by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from glob import escape
from itertools import chain
from pathlib import Path
from typing import Protocol, Self, TypeVar

from storage import footers
from storage.disk import writing
from storage.errors import StorageError
from storage.outbox import Outbox
from storage.parquet import readable
from storage.remote import commits, layout
from storage.remote.lease import Lease, lease_seconds
from storage.remote.objects import Found, Objects
from storage.remote.sweep import sweeping
from storage.remote.watch import Watch

T = TypeVar("T")
AT_ONCE = 8
"""Files that are sent, copied or fetched at a time."""
CERTAIN_S = 0.05
"""Between two looks at whether what was put counts, where that isn't certain."""


class Depot:
    """What a worker puts of its outbox. It is the `Mirror` of the worker's journal and verdicts."""

    def __init__(self, objects: Objects, watch: Watch, root: Path, box: Outbox) -> None:
        """Put the outbox `box` of the working copy in `root` while the run has the lease that is watched."""
        self._objects, self._watch, self._root, self._box = objects, watch, root, box
        self._sizes: dict[Path, int] = {}
        """Of what was swept."""
        self._in_turn = threading.Lock()
        self._away: StorageError | None = None
        """What the store said last, after all patience."""

    @classmethod
    def open(cls, url: str, lease: str, root: Path, box: Outbox) -> Self:
        """Reach the store by this process's own environment. Raise SetupError or StorageError where it isn't the run's."""
        brief_s = lease_seconds() / 4
        objects = Objects.at(url)
        return cls(objects, Watch(Objects.at(url, patience_s=brief_s, request_s=brief_s), lease, patient=objects), root, box)

    @contextlib.contextmanager
    def kept(self, lost: Callable[[StorageError], None]) -> Iterator[None]:
        """Look after it until this is left. `lost` hears, from another thread, when nothing more may be counted."""
        folders = [self._box.waste, self._box.answers]
        with self._watch.kept(lost), sweeping(folders, self._sweep):
            yield
            with contextlib.suppress(StorageError):  # it is on the disk that the run shares
                for path in chain.from_iterable(folder.glob("*.jsonl") for folder in folders):
                    self._sweep(path)

    async def put(self, segment: Path, number: int, data: bytes) -> None:
        """Return once a commit is in the store, and the run certainly had the lake by then."""
        await self.certain()
        await self._objects.put_async(commits.name(self._path(segment.with_suffix("")), number), data)
        await self.certain()

    async def certain(self) -> None:
        """Return when the run certainly has the lake. Raise StorageError where that won't be any more."""
        while not self._watch.sure:
            if self._watch.over is not None:
                raise self._watch.over
            await asyncio.sleep(CERTAIN_S)

    async def landed(self, segment: Path, part: Path) -> None:
        """Put a part, and remove the commits that it was made of."""
        for path in (part, footers.beside(part)):
            if path.exists():
                await self.certain()
                await asyncio.to_thread(self._put, path)
        for path in self._box.waste.glob("*.jsonl"):  # what takes back what the commits carry
            await self.certain()
            await asyncio.to_thread(self._put_grown, path)
        await self.certain()  # whoever has taken the lake over may be reading them
        await asyncio.to_thread(self._remove, segment)

    def _put(self, path: Path) -> None:
        if self._away is not None:
            raise self._away  # it was tried for long enough
        try:
            self._objects.upload(self._path(path), path)
        except StorageError as error:
            self._away = error
            raise

    def _remove(self, segment: Path) -> None:
        self._objects.delete([found.path for found in self._objects.list(self._path(segment.with_suffix("")))])

    def _sweep(self, path: Path) -> None:
        if self._watch.sure:
            self._put_grown(path)

    def _put_grown(self, path: Path) -> None:
        with self._in_turn:  # else what was read before might arrive after what was read later
            size = path.stat().st_size
            if self._sizes.get(path) != size:
                self._objects.put(self._path(path), path.read_bytes())
                self._sizes[path] = size

    def _path(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


class Holder(Protocol):
    """Whoever holds a lake, and its working copy."""

    root: Path
    """The working copy."""
    lease: Lease
    """By which it is held."""

    @property
    def there(self) -> Mapping[str, Found]:
        """The lake's objects by path."""
        ...

    def keep(self, path: Path) -> None:
        """Send a file to its place there, where that hasn't it."""
        ...

    def adopt(self, found: Found, path: Path) -> None:
        """Have the store copy an object to a file's place there."""
        ...


class StoreDepots:
    """All of a lake's, for whoever holds it. They are the `Depots` of `storage.protocol`."""

    def __init__(self, holder: Holder, objects: Objects) -> None:
        """Empty them into a working copy."""
        self._holder, self._objects, self._root = holder, objects, holder.root
        self._brought: dict[Path, dict[str, Found]] = {}
        """By outbox, what was there of it by its path."""
        self._moved: dict[Path, set[Path]] = {}
        """By outbox, where its parts are in the lake now, each as its worker wrote it."""

    def known(self) -> list[str]:
        """Return the outboxes that something is there of, each as `RUN/WORKER`."""
        there = self._holder.there
        below = (path.removeprefix(f"{layout.OUTBOXES}/") for path in there if layout.below(path, layout.OUTBOXES))
        parts = (path.split("/") for path in below if path.count("/") > 1)
        return sorted({f"{run}/{worker}" for run, worker, *_ in parts})

    def bring(self, folder: Path) -> None:
        """Bring to an outbox's folder what is there of it and not here; what the lake has already is left out."""
        self._holder.lease.check()
        box = Outbox(folder)
        there = self._brought[folder] = {found.path: found for found in self._objects.list(self._path(folder))}
        lines = set(chain.from_iterable(commits.by_segment(there).values()))
        self._all(self._fetch, [found for path, found in there.items() if path not in lines])
        moved = self._moved[folder] = set()
        for table, parts in box.parts.items():
            for part in sorted(parts.glob("*.parquet")):
                if (self._root / table / part.name).exists():  # made of what there was of it before
                    commits.merge(self._root, table, part)
                else:
                    moved.update(self._root / table / name for name in (part.name, footers.beside(part).name))
        box.move_parts(self._root)
        commits.inherit(self._objects, self._root, box.segments, there, waste=box.waste)

    def _fetch(self, found: Found) -> None:
        target = self._root / found.path
        if target.exists():
            return
        incoming = self._root / layout.OWN / "incoming" / secrets.token_hex(8)
        self._objects.download(found, incoming)
        with writing(target):
            if target.suffix == ".parquet" and not readable(incoming):  # who put it died over it, and its commits are there
                incoming.unlink()
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming.rename(target)

    def clear(self, folder: Path) -> None:
        """Return once the parts that an outbox has become are in the store, and what was brought of it is gone from there."""
        box, there, moved = Outbox(folder), self._brought.pop(folder), self._moved.pop(folder)

        def place(path: Path) -> None:
            found = there.get(self._path(folder / path.relative_to(self._root)))
            if path in moved and found is not None and found.size == path.stat().st_size:
                self._holder.adopt(found, path)
            else:
                self._holder.keep(path)

        # A footer without its part is one that was lost.
        for name in ("{}*.parquet", "_{}*.footer", "{}*.jsonl"):
            found = ((self._root / each).glob(name.format(escape(box.name))) for each in (*box.parts, *layout.GROWING))
            self._all(place, sorted(chain.from_iterable(found)))
        self._objects.delete(list(there))

    def _all(self, work: Callable[[T], None], wanted: list[T]) -> None:
        threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="depots")
        try:
            for _ in threads.map(work, wanted):
                pass
        finally:
            threads.shutdown(cancel_futures=True)

    def _path(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
