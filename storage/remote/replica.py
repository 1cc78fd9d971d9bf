"""One lake on an object store, as its working copy on this machine sees it.

Parts are written once and never changed, so the two are kept the same by names: what is new there is pulled when a command needs
it, what is new here is pushed once it is on disk, a build's manifest last. Nothing is removed from the store because it is
missing here: a working copy may be deleted at any time, whole or in part.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Self

from storage import footers
from storage.disk import write_text, writing
from storage.errors import StorageError
from storage.locks import taken
from storage.parquet import readable
from storage.remote import commits, layout
from storage.remote.depot import StoreDepots
from storage.remote.known import Known
from storage.remote.lease import Lease, lease_seconds
from storage.remote.objects import Found, Objects, Taken, endpoint
from storage.remote.sweep import sweeping
from storage.schemas import EMPTY, SNAPSHOTS
from storage.wording import counted

Say = Callable[[str], None]
logger = logging.getLogger(__name__)
AT_ONCE = 8
"""Files that are sent or fetched at a time, each streamed."""
LARGE_BYTES = 32 * 2**20
"""Who watches is told of what is more than this."""
QUIET_S = 5.0
"""Who watches is told of a store that says nothing for longer."""
TOLD_S = 10.0
"""Between two lines about what is under way."""
LANDING = "journal/landing"
_EPOCH = datetime.fromtimestamp(0, UTC)


def place(url: str) -> Path:
    """Return where the working copy of a lake is: one a URL and endpoint, below `STILLHOUSE_CACHE` or `~/.cache/stillhouse`."""
    cache = os.environ.get("STILLHOUSE_CACHE")
    base = Path(cache) if cache else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stillhouse"
    digest = hashlib.sha256(f"{endpoint()} {url}".encode()).hexdigest()[:16]
    return base.expanduser().absolute() / "lakes" / digest


class Replica:
    """A working copy and its store. It is the journal's `Mirror` and the `Keeper` of small files."""

    def __init__(self, objects: Objects, root: Path, *, leasing: Objects | None = None, say: Say = logger.info) -> None:
        """Use a folder as the working copy; `leasing` is the same store with less patience."""
        self.url = objects.url
        self.root = root
        self.say = say
        self._objects = objects
        self._own = root / layout.OWN
        self._remote: dict[str, Found] = {}
        self._inherited: list[str] = []
        self._cut: set[str] = set()
        """Parts that are whole here alone."""
        self._in_turn = threading.Lock()
        with writing(self._own):
            self._own.mkdir(parents=True, exist_ok=True)
            if not (self._own / "url").exists():
                (self._own / "url").write_text(f"{self.url}\n")
        self._known = Known(self._own / "known.jsonl")
        self.lease = Lease(leasing or objects, self._identity())
        self.depots = StoreDepots(self, objects)

    @classmethod
    def open(cls, url: str, *, say: Say = logger.info) -> Self:
        """Return the lake at a URL, with what every command needs of it brought here. Raise StorageError where it can't be."""
        url = url.rstrip("/")
        brief_s = lease_seconds() / 4
        leasing = Objects.at(url, patience_s=brief_s, request_s=brief_s)
        replica = cls(Objects.at(url), place(url), leasing=leasing, say=say)
        replica.refresh()
        return replica

    def _identity(self) -> str:
        path = self._own / "id"
        if not path.exists():
            write_text(path, f"{secrets.token_hex(8)}\n")
        return path.read_text().strip()

    # From the store

    def refresh(self) -> None:
        """Bring what is small, and see what else there is."""
        with self._pulling(), self._alone() as alone:
            folders = layout.SMALL if alone else layout.LASTING
            self._pull(lambda path: any(layout.below(path, folder) for folder in folders), tidy=alone)

    def bring(self, folder: Path) -> None:
        """Bring what the store has in a folder of the lake, or in all of it."""
        base = folder.relative_to(self.root).as_posix()
        missing = [
            found
            for path, found in list(self._remote.items())
            if layout.shared(path) and (base == "." or layout.below(path, base)) and not (self.root / path).exists()
        ]
        if missing:
            with self._pulling():
                self._all("fetching", missing, self._fetch)

    def restore(self, paths: Iterable[Path]) -> list[Path]:
        """Fetch again those of some damaged files that the store has whole; return which."""
        restored = []
        for path in paths:
            there = self._remote.get(path.relative_to(self.root).as_posix())
            if there is not None and path.is_file():
                self._known.remove(there.path)
                path.unlink()
                self._fetch(there)
                restored.append(path)
        return restored

    @property
    def there(self) -> Mapping[str, Found]:
        """The store's objects by path, as they were last listed, and what was sent since."""
        return self._remote

    @property
    def waiting(self) -> bool:
        """Whether the store has commits of a writer that died, or of one that writes now, or outboxes of workers."""
        return bool(commits.by_segment(self._remote) or self.depots.known())

    @property
    def unsent(self) -> list[str]:
        """What is here and not in the store yet."""
        return [path for path in layout.files(self.root) if not self._known.unchanged(path, self.root / path)]

    def _pull(self, wanted: Callable[[str], bool], *, tidy: bool, check: Callable[[], None] = lambda: None) -> None:
        self._known = Known(self._own / "known.jsonl")
        telling = threading.Timer(QUIET_S, self.say, [f"{self.url} hasn't answered yet; trying on"])
        telling.daemon = True
        telling.start()
        try:
            self._remote = {found.path: found for found in self._objects.list()}
        finally:
            telling.cancel()
        if len(self._known) and not any(path in self._remote for path in self._known):
            raise StorageError(
                f"{self.url}: nothing is left there of a lake with {counted(len(self._known), 'file')}; what is here of it is in "
                f"{self.root}: remove that to begin anew, or {self._own / 'known.jsonl'} to have it sent there again"
            )
        if tidy:
            self._tidy()
        lacking = [found for found in self._remote.values() if self._lacking(found, wanted)]
        if not tidy:  # a writer's files are the truth: it has them open, and what was listed may be older than they are
            lacking = [found for found in lacking if not (self.root / found.path).exists()]
        self._all("fetching", lacking, self._fetch, check=check)

    def _tidy(self) -> None:
        """Remove what another machine has removed, and what a killed fetch left."""
        shutil.rmtree(self._own / "incoming", ignore_errors=True)
        for path in self._known:
            if path in self._remote:
                continue
            file = self.root / path
            if layout.part(path) and file.exists() and layout.footer(path) in self._remote:
                self._known.remove(path)  # lost there, since we would have removed its footer first: it is sent again
                continue
            if file.exists() and self._known.unchanged(path, file):
                with writing(file):
                    file.unlink()
            self._known.remove(path)
        self._known.compact()

    def _lacking(self, found: Found, wanted: Callable[[str], bool]) -> bool:
        path = found.path
        if not layout.shared(path) or layout.below(path, "quarantine"):
            return False
        if not (self.root / path).exists():
            return wanted(path) or path.endswith(EMPTY)
        agreed = self._known.get(path)
        return agreed is None or (found.etag is not None and agreed.etag != found.etag)

    def _fetch(self, found: Found) -> None:
        file, incoming = self.root / found.path, self._own / "incoming" / secrets.token_hex(8)
        got = self._objects.download(found, incoming)
        with writing(file):
            if file.exists() and (layout.growing(found.path) or self._known.get(found.path) is None):
                if self._keeps(found.path, file, incoming):
                    incoming.unlink()
                    return
                if layout.part(found.path):
                    late = self._own / "late" / found.path
                    late.parent.mkdir(parents=True, exist_ok=True)
                    file.rename(late)
            file.parent.mkdir(parents=True, exist_ok=True)
            incoming.rename(file)
        self._known.add(found.path, file.stat(), got.etag)

    def _keeps(self, path: str, file: Path, incoming: Path) -> bool:
        """Return whether a file that grows, or was never agreed on, stays: it is the same, has more, or is the whole one."""
        here, there = file.read_bytes(), incoming.read_bytes()
        if here == there:
            self._known.add(path, file.stat(), self._remote[path].etag)
            return True
        if layout.part(path) and not readable(incoming):  # its upload was cut short, and who sent it died
            self._cut.add(path)
            return True
        return layout.growing(path) and here.startswith(there)

    # Holding it

    @contextlib.contextmanager
    def held(
        self,
        segments: Mapping[str, Path],
        waiting: Say,
        *,
        check: Callable[[], None] = lambda: None,
        lost: Callable[[StorageError], None] = lambda _: None,
        wait: bool = True,
    ) -> Iterator[bool]:
        """Be the lake's only writer over all machines, with what writers need here; give whether this is so.

        The caller holds the working copy's lock. `segments` are the journal's folders, by table: what writers that died have put
        of theirs is there afterwards. `lost` hears where the lease can't be kept.
        """
        self.say = waiting
        with self.lease.held(waiting, check=check, lost=lost, wait=wait) as before:
            if before is None:
                yield False
                return
            if before.landing is not None:
                self._finish(before.landing)
            with self._pulling():
                self._pull(lambda path: not any(layout.below(path, table) for table in SNAPSHOTS), tidy=True, check=check)
            for late in sorted((self._own / "late").rglob("*.parquet")):
                commits.merge(self.root, late.relative_to(self._own / "late").parts[0], late)
            waste = self.root / layout.WASTE
            self._inherited = commits.inherit(self._objects, self.root, segments, self._remote, waste=waste)
            with sweeping([self.root / folder for folder in layout.GROWING], self.keep):
                yield True

    def _finish(self, manifest: str) -> None:
        """Put a manifest that its writer has announced and may not have got to."""
        pending = f"{LANDING}/{Path(manifest).name}"
        if (found := self._objects.get(pending)) is not None:
            self._objects.put(manifest, found[0])
        self.lease.announce(None)
        self._objects.delete([pending])

    # To the store

    def push(self) -> None:
        """Send what is new or changed here, in an order in which whoever sees a file finds what it counts on."""
        self.lease.check()
        for _, paths in groupby(self.unsent, layout.order):
            self._all("sending", [self._here(path) for path in paths], lambda found: self.keep(self.root / found.path))
        if self._inherited:
            self._objects.delete(self._inherited)
            self._inherited = []

    def land(self, path: Path, manifest: str) -> None:
        """Send everything, then a build's manifest, which makes it count there, and then here."""
        self.push()
        name, pending, data = self._path(path), f"{LANDING}/{path.name}", manifest.encode()
        self._objects.put(pending, data)
        self.lease.announce(name)
        found = self._objects.put(name, data)
        write_text(path, manifest)
        self._known.add(name, path.stat(), found.etag)
        self.lease.announce(None)
        self._objects.delete([pending])

    def keep(self, path: Path) -> None:
        """Send a file that is new, or has changed."""
        name = self._path(path)
        # One at a time of what is swept beside: else what was read before might arrive after what was read later.
        with self._in_turn if layout.growing(name) else contextlib.nullcontext():
            if not self._known.unchanged(name, path):
                self._send(name)

    def adopt(self, found: Found, path: Path) -> None:
        """Have the store copy to a file's place there what a worker has put of it."""
        self.lease.check()
        name = self._path(path)
        self._remote[name] = put = self._objects.copy(found, name)
        self._known.add(name, path.stat(), put.etag)

    def drop(self, path: Path) -> None:
        """Remove from the store what is at a path, a folder's files too."""
        base = self._path(path)
        gone = [name for name in list(self._remote) if name == base or layout.below(name, base)]
        self.lease.check()
        self._objects.delete(gone or [base])
        for name in gone:
            del self._remote[name]
            self._known.remove(name)

    def _send(self, path: str) -> None:
        self.lease.check()
        file = self.root / path
        before = file.stat()  # a file that grows meanwhile is sent again
        try:
            found = self._objects.upload(path, file, new=layout.part(path) and path not in self._known and path not in self._cut)
        except Taken:
            raise StorageError(
                f"{self.url}/{path}: another machine has put something else there; start again, which puts the two together"
            ) from None
        self._known.add(path, before, found.etag)
        self._remote[path] = found

    def _here(self, path: str) -> Found:
        now = (self.root / path).stat()
        return Found(path=path, size=now.st_size, etag=None, modified=_EPOCH)

    def _path(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    # The journal's mirror

    async def put(self, segment: Path, number: int, data: bytes) -> None:
        """Return once a commit is in the store, and the lake is still this process's."""
        await self._check()
        await self._objects.put_async(commits.name(self._path(segment.with_suffix("")), number), data)
        await self._check()  # a machine that slept in between may have been recovered for, without this commit

    async def _check(self) -> None:
        if not self.lease.sure:
            await asyncio.to_thread(self.lease.check)

    async def landed(self, segment: Path, part: Path) -> None:
        """Send a part, and remove the commits that it was made of."""
        await asyncio.to_thread(self._landed, segment, part)

    def _landed(self, segment: Path, part: Path) -> None:
        for path in (part, footers.beside(part)):
            if path.exists():
                self.keep(path)
        for path in (self.root / layout.WASTE).glob("*.jsonl"):
            self.keep(path)  # what takes back what the commits carry, which say so themselves for as long as they are there
        self.lease.check()  # whoever has taken the lake over meanwhile may be reading them
        self._objects.delete([found.path for found in self._objects.list(self._path(segment.with_suffix("")))])

    # Side by side

    def _all(
        self, doing: str, wanted: list[Found], work: Callable[[Found], None], *, check: Callable[[], None] = lambda: None
    ) -> None:
        """Do some work for each object, several at a time, and say how far it is where that takes long; `check` may end it."""
        size, done, told = sum(found.size for found in wanted), 0, time.monotonic()
        if size > LARGE_BYTES:
            self.say(f"{doing} {counted(len(wanted), 'file')}, {size / 1e6:,.0f} MB, of {self.url}")
        threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=doing)
        try:
            for found, _ in zip(wanted, threads.map(work, wanted), strict=True):
                check()
                done += found.size
                if time.monotonic() - told > TOLD_S:
                    told = time.monotonic()
                    self.say(f"{doing}: {done / 1e6:,.0f} of {size / 1e6:,.0f} MB")
        finally:
            threads.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def _pulling(self) -> Iterator[None]:
        """Let one process at a time bring things here."""
        with _opened(self._own / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the working copy's lock unless a writer does; give whether this one has it."""
        with _opened(self.root / "journal" / "lock") as file:
            yield taken(file.fileno())


def _opened(lock: Path) -> BinaryIO:
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("ab")
