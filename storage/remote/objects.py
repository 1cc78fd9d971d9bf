"""The object store under one URL: `s3://`, `gs://`, `az://`, through obstore.

Everything that is retried is retried here, by the client's own policy: 5xx, 429, connections that break, requests that time out.
What is left after that is one line for a person. No text of an error repeats a credential.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from storage.disk import sync, writing
from storage.errors import SetupError, StorageError
from storage.variables import seconds_in
from storage.wording import first_line

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

SCHEMES = {"s3": "s3", "s3a": "s3", "gs": "gs", "az": "az", "abfs": "abfs", "abfss": "abfss"}
"""By a URL's scheme, what the client calls it."""
PATIENCE_S = 120
"""For how long a request is tried again; `STILLHOUSE_STORE_PATIENCE_SECONDS` sets another."""
REQUEST_S = 300
"""That one try may take: a part of 64 MiB over a slow line."""
SINGLE_BYTES = 64 * 2**20
"""An object up to this is put by one request, from memory; so is a larger one that must be new, which the store itself refuses
then where its name is taken."""
_CHUNK = 8 * 2**20
_MANY = 1_000
"""Objects that a store lists or deletes in one request."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SECRET_CHARS = 8
_SECRETS = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|SAS|CREDENTIAL", re.IGNORECASE)
_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InvalidToken", "AuthenticationFailed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object, as a listing has it."""

    path: str
    """Below the lake's URL."""
    size: int
    """Bytes."""
    etag: str | None
    """Changes with the content; None where a store has none."""
    modified: datetime
    """When it was put, by the store's clock."""
    version: str | None = None
    """What a store calls this version of it, where it says so."""


class Taken(Exception):
    """A conditional put came too late: somebody else's object is there."""


class Objects:
    """The objects under one URL. Its methods may be called from several threads. Raise StorageError where the store refuses."""

    def __init__(self, store: Any, url: str) -> None:
        """Use one of obstore's stores; `url` is what errors call it."""
        self._store = store
        self.url = url

    @classmethod
    def at(cls, url: str, *, patience_s: float | None = None, request_s: float = REQUEST_S) -> Self:
        """Open what a URL names, by the credentials in the environment. Nothing is asked of the store yet."""
        patience_s = patience_s or seconds_in("STILLHOUSE_STORE_PATIENCE_SECONDS", PATIENCE_S)
        scheme = urlsplit(url).scheme
        check_url(url)
        try:
            from obstore.store import from_url
        except ImportError:
            raise SetupError(
                f"{url}: a lake on {scheme}:// needs a package that isn't here: `pip install 'stillhouse[s3]'`"
            ) from None
        client: ClientConfig = {"timeout": timedelta(seconds=request_s), "connect_timeout": timedelta(seconds=5)}
        if any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS):
            client["allow_http"] = True
        retry: RetryConfig = {
            "max_retries": 1_000,  # the time decides
            "retry_timeout": timedelta(seconds=patience_s),
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=10), "base": 2},
        }
        # S3 checks the sum of what arrives, so that an upload which a proxy cut short is refused, and tried again.
        more: Any = {"checksum_algorithm": "SHA256"} if SCHEMES[scheme] == "s3" else {}
        known = url.replace(f"{scheme}://", f"{SCHEMES[scheme]}://", 1)
        try:
            return cls(from_url(known, client_options=client, retry_config=retry, **more), url)
        except Exception as error:  # noqa: BLE001 - each kind of store has its own
            raise SetupError(f"{url}: {explained(error)}") from None

    def list(self, prefix: str = "") -> Iterator[Found]:
        """Yield all objects below a prefix, which is a folder."""
        with self._told(prefix, "listed"):
            for batch in self._store.list(prefix or None, chunk_size=_MANY):
                for each in batch:
                    yield _found(each)

    def get(self, path: str) -> tuple[bytes, Found] | None:
        """Return a small object, or None where there is none."""
        with self._told(path, "read"):
            try:
                got = self._store.get(path)
                return bytes(got.bytes()), _found(got.meta)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def put(self, path: str, data: bytes, *, new: bool = False, over: Found | None = None) -> Found:
        """Put a small object and return what it is now.

        Raise Taken where it must be `new` and isn't, or isn't any more what it is to be put `over`.
        """
        mode: Any = "create" if new else "overwrite"
        if over is not None:
            tags = {"e_tag": over.etag, "version": over.version}
            mode = {name: value for name, value in tags.items() if value is not None}
        with self._told(path, "written"):
            put = self._conditionally(path, data, mode)
        return Found(
            path=path, size=len(data), etag=put.get("e_tag"), version=put.get("version"), modified=datetime.now().astimezone()
        )

    def _conditionally(self, path: str, data: bytes, mode: Any) -> Any:
        from obstore import exceptions

        try:
            return self._store.put(path, data, mode=mode, use_multipart=False)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            # A put whose answer was lost is tried again, and then finds itself.
            there = self.get(path)
            if there is not None and there[0] == data:
                return {"e_tag": there[1].etag, "version": there[1].version}
            raise Taken(path) from None

    async def put_async(self, path: str, data: bytes) -> None:
        """Put a small object from the event loop."""
        with self._told(path, "written"):
            await self._store.put_async(path, data, use_multipart=False)

    def upload(self, path: str, file: Path, *, new: bool = False) -> Found:
        """Put a file, and compare what has arrived with it. Raise Taken where it must be `new` and something else is there.

        It may grow meanwhile: as much of it is put as there was, or more.
        """
        size = file.stat().st_size
        with self._told(path, "written"):
            if new or size <= SINGLE_BYTES:
                data = file.read_bytes()
                size = len(data)
                self._conditionally(path, data, "create" if new else "overwrite")
            else:
                self._store.put(path, file, chunk_size=_CHUNK, max_concurrency=4)
            arrived = _found(self._store.head(path))
        if arrived.size < size:
            self.delete([path])
            raise StorageError(
                f"{self.url}/{path}: {arrived.size:,} bytes arrived of the {size:,} that were sent; what is between here and "
                "the store cuts uploads short"
            )
        return arrived

    def copy(self, found: Found, path: str) -> Found:
        """Have the store put an object at another path too, and return what is there now."""
        with self._told(path, "written"):
            self._store.copy(found.path, path)
            arrived = _found(self._store.head(path))
        if arrived.size != found.size:
            self.delete([path])
            raise StorageError(f"{self.url}/{path}: {arrived.size:,} bytes arrived of the {found.size:,} of {found.path}")
        return arrived

    def download(self, found: Found, target: Path) -> Found:
        """Stream an object into a file, which is on disk when this returns, and return what was read."""
        with self._told(found.path, "read"):
            got = self._store.get(found.path)
            now = _found(got.meta)
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    for chunk in got.stream(min_chunk_size=_CHUNK):
                        file.write(chunk)
                sync(target)
        if target.stat().st_size != now.size:
            raise StorageError(f"{self.url}/{found.path}: broke off after {target.stat().st_size:,} of {now.size:,} bytes")
        return now

    def delete(self, paths: Sequence[str]) -> None:
        """Remove objects; those that aren't there are no matter."""
        for start in range(0, len(paths), _MANY):
            with self._told(paths[start], "removed"), contextlib.suppress(FileNotFoundError):
                self._store.delete(list(paths[start : start + _MANY]))

    @contextlib.contextmanager
    def _told(self, path: str, done: str) -> Iterator[None]:
        try:
            yield
        except (StorageError, Taken):
            raise
        except Exception as error:  # noqa: BLE001 - the client raises ValueError, OSError and a dozen of its own
            where = f"{self.url}/{path}" if path else self.url
            raise StorageError(f"{where}: can't be {done}: {explained(error)}") from None


def check_url(url: str) -> None:
    """Raise StorageError for a URL that names no folder of a store, SetupError for one with a secret in it."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise StorageError(f"{parts.scheme}://…: a lake is a folder, or a URL of {known}; nothing else is known")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SetupError(
            f"{parts.scheme}://{parts.hostname or ''}{parts.path}: a lake's URL is a bucket and a folder alone; credentials and "
            "the endpoint belong in the environment"
        )
    if not parts.netloc:
        raise StorageError(f"{url}: names no bucket; write {parts.scheme}://BUCKET/FOLDER")


def endpoint() -> str:
    """Return where S3 is, by the environment; empty where it is the one that everybody means."""
    return next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")


def explained(error: BaseException) -> str:  # noqa: PLR0911 - one for each thing that it may mean
    """Return what an error of the client means, in a line without secrets."""
    text = str(error)
    code = next(iter(re.findall(r"<Code>(\w+)</Code>", text)), "")
    status = next(iter(re.findall(r"status code: (\d{3}[\w ]*)", text)), "").strip()
    if code == "NoSuchBucket":
        return "there is no such bucket; make it, or mend the URL"
    if "169.254." in text or "metadata.google" in text:
        return "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what your store asks for"
    if code in _REFUSED or status[:3] in {"401", "403"}:
        return f"the store refuses these credentials ({code or status}); look at AWS_ACCESS_KEY_ID and its like, and their rights"
    if status:
        return f"the store answers {status}{f' ({code})' if code else ''}{_tried(text)}"
    if re.search(r"timed out|timeout", text, re.IGNORECASE) and "error sending request" not in text:
        return f"the store is too slow{_tried(text)}"
    if re.search(r"error sending request|connect|dns|connection|IncompleteMessage|broken pipe", text, re.IGNORECASE):
        where = f" at {endpoint()}" if endpoint() else ""
        return f"the store{where} can't be reached{_tried(text)}"
    return _without_secrets(first_line(error))[:300]


def _tried(text: str) -> str:
    retries = next(iter(re.findall(r"after (\d+) retries", text)), "0")
    return f", after {retries} more tries" if retries != "0" else ""


def _without_secrets(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) >= _SECRET_CHARS and _SECRETS.search(name):
            text = text.replace(value, "…")
    return text


def _found(meta: Any) -> Found:
    return Found(
        path=meta["path"], size=meta["size"], etag=meta["e_tag"], version=meta.get("version"), modified=meta["last_modified"]
    )
