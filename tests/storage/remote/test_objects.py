"""The client of object stores: conditions, what arrives, and what errors say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from storage.errors import StorageError
from storage.remote import objects as objects_module
from storage.remote.objects import Found, Objects, Taken, explained


def test_conditions(objects: Objects):
    """A new object is put once, and one is put over another only as long as that is what it was."""
    first = objects.put("a", b"1", new=True)
    with pytest.raises(Taken):
        objects.put("a", b"2", new=True)
    second = objects.put("a", b"2", over=first)
    with pytest.raises(Taken):
        objects.put("a", b"3", over=first)
    objects.put("a", b"3", over=second)
    found = objects.get("a")
    assert found is not None
    assert found[0] == b"3"
    assert objects.get("b") is None


def test_a_put_that_finds_itself(objects: Objects):
    """What is there already, byte for byte, is our own, of a try whose answer was lost."""
    objects.put("a", b"1", new=True)
    assert objects.put("a", b"1", new=True).size == 1


def test_files(objects: Objects, tmp_path: Path):
    """A file goes up and comes down as it was; a name that is taken by something else is refused."""
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    sent = objects.upload("folder/file", tmp_path / "file", new=True)
    assert [found.path for found in objects.list("folder")] == ["folder/file"]
    assert objects.download(sent, tmp_path / "deep" / "copy").size == 100_000
    assert (tmp_path / "deep" / "copy").read_bytes() == b"x" * 100_000
    assert objects.copy(sent, "other").size == 100_000
    assert objects.get("other") is not None
    objects.delete(["other"])
    (tmp_path / "file").write_bytes(b"y")
    with pytest.raises(Taken):
        objects.upload("folder/file", tmp_path / "file", new=True)
    objects.delete(["folder/file", "folder/never"])
    assert list(objects.list()) == []


def test_an_upload_that_was_cut(objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What arrives shorter than it was sent is taken away again, and said."""
    (tmp_path / "file").write_bytes(b"x" * 100)
    put = objects._conditionally
    monkeypatch.setattr(objects, "_conditionally", lambda path, data, mode: put(path, data[:50], mode))
    with pytest.raises(StorageError, match="memory://lake/file: 50 bytes arrived of the 100"):
        objects.upload("file", tmp_path / "file", new=True)
    assert objects.get("file") is None


@pytest.mark.parametrize("single", [True, False])
def test_a_file_that_grows(objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: bool):
    """What is added to a file while it is sent takes nothing away of what was there."""
    monkeypatch.setattr(objects_module, "SINGLE_BYTES", 100 if single else 1)
    (tmp_path / "file").write_bytes(b"1\n")

    class Growing:
        def __getattr__(self, name: str) -> Any:
            with (tmp_path / "file").open("ab") as file:
                file.write(b"2\n")
            return getattr(memory, name)

    memory = objects._store
    sent = Objects(Growing(), objects.url).upload("file", tmp_path / "file")
    found = objects.get("file")
    assert found is not None
    assert found[0].startswith(b"1\n")
    assert sent.size == len(found[0])


def test_large_ones_are_new_too(objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However large a file is that must be new, it takes no other's place."""
    monkeypatch.setattr(objects_module, "SINGLE_BYTES", 1)
    (tmp_path / "file").write_bytes(b"ours")
    objects.put("file", b"theirs")
    with pytest.raises(Taken):
        objects.upload("file", tmp_path / "file", new=True)
    found = objects.get("file")
    assert found is not None
    assert found[0] == b"theirs"


FAILED = "Generic S3 error: Error performing PUT http://127.0.0.1:9/b/k in 1s, after 7 retries, max_retries: 10 - "


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(f"{FAILED}status code: 404 Not Found: <Code>NoSuchBucket</Code>"), "there is no such bucket"),
        (PermissionDeniedError(f"{FAILED}status code: 403 Forbidden: <Code>AccessDenied</Code>"), "refuses these credentials"),
        (GenericError(f"{FAILED}status code: 503 Slow Down: <x>"), "the store answers 503 Slow Down, after 7 more tries"),
        (GenericError(f"{FAILED}HTTP error: error sending request"), "can't be reached, after 7 more tries"),
        (GenericError(f"{FAILED}operation timed out"), "the store is too slow, after 7 more tries"),
        (GenericError("http://169.254.169.254/latest/api/token: no route"), "no credentials were found"),
        (ValueError("the word is very-secret-value.\nmore"), "the word is …."),
    ],
)
def test_what_errors_say(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch):
    """Each is a line that says what to do or what happened, and repeats no secret of the environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    found = explained(error)
    assert said in found
    assert "\n" not in found


def test_every_error_is_ours(tmp_path: Path):
    """Whatever the client raises becomes a StorageError that names the object."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            def refuse(*args: object, **more: object) -> Any:
                raise GenericError(f"{FAILED}status code: 500 Internal Server Error: ")

            return refuse

    objects = Objects(Broken(), "s3://b/lake")
    (tmp_path / "file").write_bytes(b"x")
    for work in (
        lambda: list(objects.list()),
        lambda: objects.get("k"),
        lambda: objects.put("k", b""),
        lambda: objects.upload("k", tmp_path / "file"),
        lambda: objects.copy(Found(path="k", size=1, etag=None, modified=datetime.now(UTC)), "l"),
        lambda: objects.delete(["k"]),
    ):
        with pytest.raises(StorageError, match=r"s3://b/lake.*: the store answers 500"):
            work()
