"""Exports to the Hugging Face Hub: `hf://datasets/NAME/NAME`, one commit an export."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.disk import writing
from storage.errors import SetupError, SpecError, StillhouseError, StorageError
from storage.wording import first_line
from tasks.destinations.place import MANIFEST, Place, foreign, own

_URL = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)/?")
_THE_HUBS = frozenset({".gitattributes", "README.md"})
"""Files with which a repository may begin."""


class Hub:
    """A dataset repository. One that isn't there is made, and is private."""

    def __init__(self, to: str) -> None:
        """Name it. Raise SpecError where the URL names none, SetupError where the package or a token is missing."""
        found = _URL.fullmatch(to)
        if not found:
            raise SpecError(f"exports: {to}: the Hub's datasets are called hf://datasets/ORGANISATION/NAME")
        try:
            import huggingface_hub
        except ImportError:
            raise SetupError(f"exports: {to}: needs a package that isn't here: `pip install 'stillhouse[hub]'`") from None
        self.shown = to.rstrip("/")
        self._repository = found[1]
        self._token = huggingface_hub.get_token()
        if not self._token:
            raise SetupError(f"exports: {to}: needs a token: set HF_TOKEN to one that may write there, or run `hf auth login`")
        self._api = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=self._token)

    def check(self) -> None:
        """Raise SpecError where it has files that an earlier export didn't write, StorageError where it can't be looked at."""
        with self._told("read"):
            self._earlier()

    @contextmanager
    def filling(self, scratch: Path) -> Iterator[Place]:
        """Give a folder whose files become one commit, with the removal of the earlier export's."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with self._told("written"):
            earlier = self._earlier()
        with writing(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
        place = _Gathering(scratch)
        yield place
        with self._told("written"):
            self._api.create_repo(self._repository, repo_type="dataset", private=True, exist_ok=True)
            new = [CommitOperationAdd(path.name, str(path)) for path in place.files]
            gone = sorted(earlier - {path.name for path in place.files})
            self._api.create_commit(
                self._repository,
                [*new, *(CommitOperationDelete(name) for name in gone)],
                commit_message="Export by stillhouse",
                repo_type="dataset",
            )

    def _earlier(self) -> set[str]:
        """Return the names of an earlier export's files."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            names = self._api.list_repo_files(self._repository, repo_type="dataset")
        except RepositoryNotFoundError:
            return set()
        ours = own(self._manifest() if MANIFEST in names else b"", names)
        others = set(names) - ours - _THE_HUBS
        if others:
            raise foreign(self.shown, others)
        return ours

    def _manifest(self) -> bytes:
        found: Any = self._api.hf_hub_download(self._repository, MANIFEST, repo_type="dataset")
        return Path(found).read_bytes()

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except StillhouseError:
            raise
        except Exception as error:  # noqa: BLE001 - the client's, the wire's, the disk's
            said = first_line(error).replace(self._token or "\0", "…")
            raise StorageError(f"{self.shown}: can't be {done}: {said}") from None  # its chain may hold the request's headers


class _Gathering:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []

    def done(self, path: Path) -> None:
        """Keep it for the commit."""
        self.files.append(path)
