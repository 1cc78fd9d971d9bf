"""Exports behind a URL of fsspec's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from storage.errors import SetupError, SpecError, StorageError
from storage.lake import Lake
from tasks.destinations.choose import destination_at
from tests.tasks.landed import run


class Bucket(MemoryFileSystem):
    """A store in memory that notes what is done to it, and refuses what it is told to."""

    protocol = "bucket"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    calls: ClassVar[list[str]] = []
    refuse: ClassVar[str | None] = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("bucket://"))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        """Note the path, and refuse some."""
        self._note("put", rpath)
        super().put_file(lpath, rpath, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        """Note the path."""
        self._note("put", path)
        super().pipe_file(path, value, **options)

    def rm_file(self, path: str) -> None:
        """Note the path."""
        self._note("rm", path)
        super().rm_file(path)

    def _note(self, what: str, path: str) -> None:
        name = path.rpartition("/data/out/")[2]
        if self.refuse is not None and self.refuse in name:
            raise PermissionError(f"no {what} for you\nof {name}")
        self.calls.append(f"{what} {name}")


class Disk(LocalFileSystem):
    """A real folder behind a URL."""

    protocol = "disk"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("disk://"))


fsspec.register_implementation("bucket", Bucket, clobber=True)
fsspec.register_implementation("disk", Disk, clobber=True)


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """Begin with nothing."""
    for kind in (Bucket, MemoryFileSystem):
        kind.store.clear()
        kind.pseudo_dirs[:] = [""]
    Bucket.calls.clear()
    yield
    Bucket.refuse = None


def names(url: str) -> list[str]:
    """Return the files below a URL."""
    files, root = fsspec.core.url_to_fs(url)
    return sorted(path.removeprefix(f"{root}/") for path in files.find(root))


@pytest.mark.parametrize("scheme", ["memory", "bucket", "disk"])
def test_there_and_again(lake: Lake, tmp_path: Path, scheme: str):
    """An export arrives as it would in a folder, byte for byte, and a later one replaces all of it."""
    url = f"{scheme}://{tmp_path}/data/out"
    run(lake, shards=7, file="jsonl", to=url)
    manifest = run(lake, shards=3, to=url)
    run(lake, shards=3, to="here")
    files, root = fsspec.core.url_to_fs(url)
    here = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert {name: files.cat_file(f"{root}/{name}") for name in names(url)} == here
    assert json.loads(here["manifest.json"]) == manifest


def test_the_manifest_is_last(lake: Lake):
    """Shards arrive first; the manifest counts once all is there, and says so of itself until then."""
    run(lake, shards=2, to="bucket://data/out")
    assert Bucket.calls[0] == Bucket.calls[-1] == "put manifest.json"
    assert [call for call in Bucket.calls if "train" in call] == [f"put train-0000{n}-of-00002.parquet" for n in range(2)]


def test_never_a_mix(lake: Lake):
    """A new shard gets its final name only when none of the old ones is left."""
    run(lake, shards=2, file="jsonl", to="bucket://data/out")
    Bucket.calls.clear()
    seen: list[set[str]] = []
    note = Bucket._note

    def watching(self: Bucket, what: str, path: str) -> None:
        note(self, what, path)
        seen.append({name.rpartition(".")[2] for name in names("bucket://data/out") if name.startswith("train")})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "_note", watching)
        run(lake, shards=3, to="bucket://data/out")
    assert all(len(kinds) <= 1 for kinds in seen)
    assert seen[0] == {"jsonl"}
    assert [name for name in names("bucket://data/out") if name.startswith(".new")] == []


def test_a_failure_on_the_way(lake: Lake):
    """Where sending fails, the earlier export stays, and is replaced another time; it is one line that names the place."""
    run(lake, shards=2, to="bucket://data/out")
    before = names("bucket://data/out")
    Bucket.refuse = "train-00002"
    with pytest.raises(StorageError, match=r"^bucket://data/out: can't be written: no put for you$"):
        run(lake, shards=3, to="bucket://data/out")
    Bucket.refuse = None
    assert names("bucket://data/out") == before
    run(lake, shards=3, to="bucket://data/out")
    assert len([name for name in names("bucket://data/out") if name.startswith("train")]) == 3


def test_a_failure_of_the_first(lake: Lake):
    """Where there was none before, nothing is left of it."""
    Bucket.refuse = "train-00002"
    with pytest.raises(StorageError):
        run(lake, shards=3, to="bucket://data/out")
    assert names("bucket://data/out") == []


def test_killed(lake: Lake):
    """What a killed export sent is known to be ours, half as it is, and is replaced."""
    run(lake, shards=2, to="bucket://data/out")
    files, _ = fsspec.core.url_to_fs("bucket://data/out")
    unfinished = {"dataset": "", "build_id": "", "rows": 0, "shards": [], "unfinished": True}
    files.pipe_file("/data/out/manifest.json", json.dumps(unfinished).encode())
    files.pipe_file("/data/out/.new/train-00000-of-00009.parquet", b"half")
    run(lake, shards=1, to="bucket://data/out")
    assert [name for name in names("bucket://data/out") if "train" in name] == ["train-00000-of-00001.parquet"]


def test_foreign_files(lake: Lake):
    """Somebody else's files are left alone, and found before anything is spent."""
    files, _ = fsspec.core.url_to_fs("bucket://data/out")
    files.pipe_file("/data/out/thesis.txt", b"mine")
    with pytest.raises(SpecError, match=r"bucket://data/out: has files that are no export of stillhouse \(thesis\.txt\)"):
        destination_at("bucket://data/out").check()
    with pytest.raises(SpecError):
        run(lake, to="bucket://data/out")
    assert names("bucket://data/out") == ["thesis.txt"]


def test_a_file(tmp_path: Path):
    """A file is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="is a file, and an export is a folder"):
        destination_at(f"disk://{tmp_path}/file").check()


def test_a_disk_that_is_gone(lake: Lake, tmp_path: Path):
    """What can't be written is a StorageError that names it."""
    (tmp_path / "wall").write_text("")
    with pytest.raises(StorageError, match=r"^disk://.*/wall/out: can't be"):
        run(lake, to=f"disk://{tmp_path}/wall/out")
    shutil.rmtree(tmp_path / "lake")


@pytest.mark.parametrize(
    ("to", "kind", "said"),
    [
        ("s4://bucket/x", SpecError, "s4:// is unknown; name a folder"),
        ("https://example.org/x", SpecError, "https:// can only be read"),
        ("simplecache::s3://bucket/x", SpecError, "can only be read"),
        ("az://bucket/x", SetupError, "needs a package that isn't here: `pip install adlfs`"),
        ("gs://bucket/x", SetupError, "needs a package that isn't here: `pip install gcsfs`"),
        ("oci://bucket/x", SetupError, "install the package by which fsspec knows oci://"),
    ],
)
def test_where_it_can_not_go(to: str, kind: type[Exception], said: str):
    """It is one line that says what to do."""
    with pytest.raises(kind, match=said):
        destination_at(to)
