"""What tests and code find around them: the files in the scratch folder, the folder at work, the environment, a seed.

Each process has its own. Where tests use any of that, what has changed here goes there before the code is asked for something,
and what has changed there comes here after it: both then work as if in one place. What comes from the code is data, as its
answers are, and never becomes code of the tests: where these might run what is in a file, nothing is decided.
"""

from __future__ import annotations

import os
import random
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from verifiers.sandbox.inside.operations import OPERATIONS
from verifiers.sandbox.inside.shim import Broken

OPERATION = "share"
SCRATCH = "/tmp"  # noqa: S108 - a file system of the sample's own
MOST_BYTES, MOST_FILES = 4 << 20, 1000
TOO_MUCH = f"files that tests and code share are more than {MOST_BYTES >> 20} MB, or than {MOST_FILES:,}"
FILE, FOLDER, GONE = "file", "folder", "gone"
Entry = tuple[str, int, int, bytes]
"""Kind, mode, time of the last change in nanoseconds, content."""
Changes = list[Any]
"""[[path within the scratch folder, *Entry], …], {name: value, or None where it is gone}, the folder or None, and the state of
the random generator where it was given a seed: the tests' alone, since the code would else choose what they draw."""


class Surroundings:
    """One end's, as the other end knows them."""

    def __init__(self) -> None:
        self.files: dict[str, Entry] = {}
        self.environment: dict[str, str] = {}
        self.folder: str | None = SCRATCH
        self.seeded = False
        self.foreign = False
        """Whether there is a file here that came from the other end."""

    def watch_imports(self) -> None:
        """Have no file imported once one has come from the other end."""

        def refuse_path(path: str) -> NoReturn:
            if self.foreign and _is_scratch(path):
                raise Broken("the tests import from a folder in which a file of the code's may be")
            raise ImportError(path)  # another hook's

        sys.path_hooks.insert(0, refuse_path)

    def watch_seeds(self) -> None:
        """Tell the other end of each seed that is given to the random generator."""

        def watched(call: Callable[..., None]) -> Callable[..., None]:
            def seed(*given: Any, **named: Any) -> None:
                call(*given, **named)
                self.seeded = True

            return seed

        random.seed, random.setstate = watched(random.seed), watched(random.setstate)

    def changes(self) -> Changes:
        """Return what has changed since the other end was last told. Raise Broken where that can't be shared."""
        files, environment, folder = self.files, self.environment, self.folder
        self.note()
        state, self.seeded = random.getstate() if self.seeded else None, False
        changed = [[path, *entry] for path, entry in self.files.items() if files.get(path) != entry]
        changed += [[path, GONE, 0, 0, b""] for path in files.keys() - self.files.keys()]
        values = {name: value for name, value in self.environment.items() if environment.get(name) != value}
        values |= dict.fromkeys(environment.keys() - self.environment.keys())  # type: ignore[arg-type]
        return [changed, values, self.folder if self.folder != folder else None, state]

    def note(self) -> None:
        """Take what is here now for what the other end knows."""
        self.files, self.environment, self.folder = dict(_files()), dict(os.environ), _folder()

    def exchange(self, theirs: Changes) -> Changes:
        """Make their changes here, and return those that were made here. Of what both have changed, theirs counts."""
        files, values, folder, _ = self.changes()
        told = {path for path, *_ in theirs[0]}
        self.make(theirs)
        return [[each for each in files if each[0] not in told], values, folder if theirs[2] is None else None, None]

    def make(self, changes: Changes) -> None:
        """Make changes here. Raise OSError where they can't be made, and TypeError or ValueError where they are none."""
        files, values, folder, state = changes
        _make({_inside(path): _entry(*entry) for path, *entry in files})
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            elif not name.startswith(("PYTHON", "LD_")):  # which would reach further than a test
                os.environ[name] = value
        if folder is not None:
            os.chdir(folder)
        if state is not None:
            random.setstate(state)
        self.note()

    def take(self, theirs: Any, risk: str) -> None:
        """Make the code's changes. Raise Broken where the tests might run what is in a file of the code's.

        Raise ValueError for what is no change, such as an object that says something else at each look, or isn't the code's to
        make.
        """
        if type(theirs) is not list or [*map(type, theirs)] != [list, dict, type(theirs[2]), type(None)]:
            raise ValueError("malformed")
        files, values, folder, _ = theirs
        texts = {*map(type, values), *map(type, values.values()), type(folder)}
        if not texts <= {str, type(None)} or {*map(type, files)} - {list}:
            raise ValueError("malformed")
        if any(_entry(*entry)[0] == FILE for _, *entry in files):
            if risk or any(map(_is_scratch, [*sys.path, *sys.path_importer_cache])):
                what = risk or "sys.path"
                raise Broken(f"the tests use {what} and a file of the code's, which might have them run what is in it")
            self.foreign = True
        self.make(theirs)


def _is_scratch(path: str) -> bool:
    return os.path.realpath(path).startswith(SCRATCH)


def _files() -> Iterator[tuple[str, Entry]]:
    left, size, count = [SCRATCH], 0, 0
    while left:
        for item in os.scandir(left.pop()):
            try:
                entry = _entry_at(item)
            except FileNotFoundError:  # a thread has removed it meanwhile
                continue
            if entry[0] == FOLDER:
                left.append(item.path)
            count, size = count + 1, size + len(entry[3])
            if size > MOST_BYTES or count > MOST_FILES:
                raise Broken(TOO_MUCH)
            yield os.path.relpath(item.path, SCRATCH), entry


def _entry_at(item: os.DirEntry[str]) -> Entry:
    about = item.stat(follow_symlinks=False)
    mode = stat.S_IMODE(about.st_mode)
    if stat.S_ISDIR(about.st_mode):
        return FOLDER, mode, 0, b""
    if not stat.S_ISREG(about.st_mode):
        raise Broken(f"{item.path} is no file and no folder, and can't be shared by tests and code")
    if about.st_size > MOST_BYTES:
        raise Broken(TOO_MUCH)
    with open(item.path, "rb") as file:
        return FILE, mode, about.st_mtime_ns, file.read()


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return None


def _inside(path: Any) -> str:
    """Return a path in the scratch folder. Raise ValueError where it leads out of it."""
    if type(path) is not str or "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError("malformed")
    return f"{SCRATCH}/{path}"


def _entry(kind: Any, mode: Any, changed: Any, content: Any) -> Entry:
    if [type(kind), type(mode), type(changed), type(content)] != [str, int, int, bytes] or kind not in {FILE, FOLDER, GONE}:
        raise ValueError("malformed")
    return kind, mode & 0o777, changed, content


def _make(entries: dict[str, Entry]) -> None:
    outer_first = sorted(entries)
    for path in reversed(outer_first):
        there = FOLDER if os.path.isdir(path) else FILE
        if entries[path][0] != there:
            _remove(path)
    for path in outer_first:
        kind, mode, changed, content = entries[path]
        if kind == FOLDER:
            os.makedirs(path, 0o700, exist_ok=True)
        elif kind == FILE:
            _write(path, mode, changed, content)
    for path in reversed(outer_first):  # once all is in it, since it may be that nothing can be written to it
        kind, mode, *_ = entries[path]
        if kind == FOLDER:
            os.chmod(path, mode)


def _remove(path: str) -> None:
    if os.path.isdir(path):
        os.rmdir(path)  # what was in it went before it
    elif os.path.exists(path):
        os.unlink(path)


def _write(path: str, mode: int, changed: int, content: bytes) -> None:
    if os.path.exists(path):
        os.chmod(path, 0o600)
    # In place: whoever has it open reads what is new, as of one file.
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    os.utime(path, ns=(changed, changed))


_own = Surroundings()
OPERATIONS[OPERATION] = _own.exchange
