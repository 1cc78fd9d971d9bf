"""Which files a source names: a path, a pattern, a folder, or any of them behind a URL. Always in the order of their names."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from storage.errors import SetupError, SourceError, UserError
from tasks.sources.asides import aside
from tasks.sources.file import File, missing
from tasks.sources.options import PromptSource
from tasks.sources.readers import readable
from tasks.sources.shown import said_of, shown
from tasks.sources.splits import HIDDEN, Folder, chosen

_PATTERN = "*?["
_HUB = re.compile(r"[\w-][\w.-]*/[\w-]+")
"""How datasets are called on the Hub."""
_WEB = ("http", "https")


def files(source: PromptSource) -> list[File]:
    """Return a source's files. Raise SourceError where there are none, SetupError where a URL needs a package."""
    named = _remote(source.source) if "://" in source.source else _local(source.source)
    if isinstance(named, Folder):
        named = chosen(named, split=source.split, config=source.config)
        _check_there(named)
        return named
    _check_there(named)
    for option in ("split", "config"):
        if getattr(source, option) is not None:
            raise SourceError(f"{shown(source.source)}: only a folder has a {option}, and this is a file; leave `{option}` out")
    return named


def _check_there(found: list[File]) -> None:
    """Raise SourceError where a name leads to no file: to nothing, as a link may, or to what can be read but once."""
    for file in found:
        if file.system is None and not (path := Path(file.path)).is_file():
            what = "is no file but a pipe or a device" if path.exists() else "is a link to a file that isn't there"
            raise SourceError(f"{file.name}: {what}")


def _local(pattern: str) -> list[File] | Folder:
    path = Path(pattern).expanduser()
    if path.is_file():
        return [_file(str(path))]
    if path.is_dir():
        below = {os.path.relpath(name, path): _file(name) for name in _below(path)}
        return Folder.of(_named(str(path)), below)
    if path.exists():
        raise SourceError(f"{pattern}: is no file but a pipe or a device, and a source is read more than once")
    # Once each: of `**/**` each file is found as often as there are ways to it.
    found = sorted(name for name in set(glob.glob(str(path), recursive=True)) if not Path(name).is_dir())  # noqa: PTH207 - absolute or not
    if not found:
        hub = f"; a dataset of the Hub is called hf://datasets/{pattern}" if _HUB.fullmatch(pattern) else ""
        raise SourceError(f"{pattern}: no such file (looked in {Path.cwd()}){hub}")
    return _meant(pattern, [_file(name) for name in found])


def _meant(pattern: str, found: list[File]) -> list[File]:
    """Return those of a pattern's files that are meant: one without an ending, as `data/*`, finds what lies beside rows too."""
    if PurePosixPath(pattern).suffix:
        return found

    def beside(file: File) -> bool:
        return aside(file.path) or (not readable(file) and HIDDEN.match(PurePosixPath(file.path).name) is not None)

    return [file for file in found if not beside(file)] or found


def _file(path: str) -> File:
    return File(name=_named(path), path=path)


def _named(path: str) -> str:
    """Return a path as a text: a name may have bytes that are no UTF-8, which no table holds."""
    return os.fsencode(path).decode("utf-8", "replace")


def _below(folder: Path) -> Iterator[str]:
    def unreadable(error: OSError) -> None:
        raise SourceError(f"{error.filename}: can't be read: {error.strerror}") from error

    seen: set[tuple[int, int]] = set()
    for at, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        facts = Path(at).stat()
        if (facts.st_dev, facts.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if not HIDDEN.match(name))
        for name in names:
            yield str(Path(at) / name)


def _remote(url: str) -> list[File] | Folder:
    parts = urlsplit(url)
    if parts.password or (parts.username and parts.scheme in _WEB):  # which is a token there
        raise SourceError(
            f"{parts.scheme}://…@{parts.hostname}{parts.path}: a password or a token has no place in a spec: set it where "
            f"{parts.scheme}:// looks for it, in the environment"
        )
    system, path = _system(url)
    with _asking(url):
        if any(sign in path for sign in (_PATTERN if parts.scheme not in _WEB else "*")):
            listed = system.glob(path, detail=True)
            found = sorted(name for name, facts in listed.items() if facts["type"] == "file")
            if not found:
                raise SourceError(f"{shown(url)}: no such file")
            return _meant(path, [File(name=shown(system.unstrip_protocol(name)), path=name, system=system) for name in found])
        one = File(name=shown(url), path=path, system=system)
        if not readable(one) and system.isdir(path):
            below = (name.removeprefix(path.rstrip("/")).lstrip("/") for name in system.find(path))
            name = shown(url.rstrip("/"))
            return Folder.of(
                name, {each: File(name=f"{name}/{each}", path=f"{path.rstrip('/')}/{each}", system=system) for each in below}
            )
        if not readable(one) and not system.exists(path):
            raise SourceError(f"{shown(url)}: no such file or folder")
        return [one]


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    scheme = url.partition("://")[0].rpartition("::")[2]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise SetupError(f"{shown(url)}: {scheme}:// needs a package that isn't installed: {error}") from error
    except ValueError as error:
        if "Protocol not known" in str(error):
            raise SourceError(f"{shown(url)}: {scheme}:// isn't known; use a path, https://, s3://, gs://, hf://, …") from error
        raise SourceError(f"{shown(url)}: {said_of(url, error)}") from error
    except OSError as error:  # of an archive that is opened for what is in it
        raise SourceError(f"{shown(url)}: can't be read: {error.strerror or said_of(url, error)}") from error
    return system, path


@contextmanager
def _asking(url: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise missing(shown(url), error, url=url) from error
    except Exception as error:
        # Each file system has errors of its own, and not one class for them.
        said = said_of(url, error)
        raise SourceError(f"{shown(url)}: can't be listed: {type(error).__name__}: {said}") from error
