"""Where an export goes: a folder of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.errors import SpecError, StorageError
from storage.lake import Lake
from tasks.export import ExportOptions, export
from tasks.exports.destinations import at, check_apart
from tests.fakes import listing
from tests.tasks.landed import land, run


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestReplacing:
    """A folder is replaced as a whole."""

    def test_new_folder(self, lake: Lake, tmp_path: Path):
        """Folders above are made, and nothing else is left beside it, nor in the lake."""
        run(lake, to="a/b/out")
        assert listing(tmp_path / "a" / "b") == ["out"]
        assert not list(lake.staging.glob("*"))

    def test_empty_folder(self, lake: Lake, tmp_path: Path):
        """An empty folder is as good as none."""
        (tmp_path / "out").mkdir()
        run(lake)
        assert "manifest.json" in listing(tmp_path / "out")

    def test_a_file_url(self, lake: Lake, tmp_path: Path):
        """file:// is a folder too."""
        run(lake, to=f"file://{tmp_path}/out")
        assert "manifest.json" in listing(tmp_path / "out")

    def test_earlier_export(self, lake: Lake, tmp_path: Path):
        """An earlier export is replaced as a whole: none of its shards is left."""
        run(lake, shards=7, file="jsonl")
        run(lake, shards=2)
        assert listing(tmp_path / "out", "train-*") == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
        assert listing(tmp_path) == ["lake", "out"]

    def test_of_an_earlier_version(self, lake: Lake, tmp_path: Path):
        """So is one of a version that wrote shards and a manifest, and no documents."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.parquet").touch()
        manifest = '{"dataset": "d", "build_id": "b", "rows": 0, "shards": [{"file": "a.parquet"}]}'
        (tmp_path / "out" / "manifest.json").write_text(manifest)
        run(lake)
        assert "a.parquet" not in listing(tmp_path / "out")

    @pytest.mark.parametrize("name", ["thesis.txt", "train-00000-of-00001.parquet", "README.md"])
    def test_foreign_folder(self, lake: Lake, tmp_path: Path, name: str):
        """A folder with files that are no export is left alone, and the user is told before anything is spent."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / name).write_text("mine")
        with pytest.raises(SpecError, match=r"out: has files that are no export of stillhouse"):
            at(str(tmp_path / "out")).check()
        with pytest.raises(SpecError):
            run(lake)
        assert content(tmp_path / "out") == {name: b"mine"}

    def test_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A file is no folder."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file.txt").write_text("")
        with pytest.raises(SpecError, match="is a file, and an export is a folder"):
            at("file.txt").check()

    def test_failure_keeps_the_earlier_one(self, lake: Lake, tmp_path: Path):
        """An export that fails leaves the earlier one as it was, and nothing of itself."""
        build = land(lake, 10)
        export(lake, build, ExportOptions(to=str(tmp_path / "out")))
        before = content(tmp_path / "out")
        part = lake.snapshot("traces", "sums", "b1") / "part-00001.parquet"
        data = bytearray(part.read_bytes())
        data[4:200] = bytes(196)
        part.write_bytes(data)
        with pytest.raises(StorageError, match=r"part-00001\.parquet"):
            export(lake, build, ExportOptions(to=str(tmp_path / "out")))
        assert content(tmp_path / "out") == before
        assert listing(tmp_path) == ["lake", "out"]
        assert not list(lake.staging.glob("*"))

    def test_can_not_be_written(self, lake: Lake, tmp_path: Path):
        """A folder that can't be made is told before anything is spent."""
        (tmp_path / "file").write_text("")
        with pytest.raises(SpecError, match=r"file/out: .*file is a file"):
            at(str(tmp_path / "file/out")).check()
        with pytest.raises(SpecError):
            run(lake, to="file/out")

    def test_a_long_name(self, lake: Lake, tmp_path: Path):
        """A name that leaves no room for the folder beside it is told before anything is spent; one byte less does."""
        with pytest.raises(SpecError, match=r"its name is longer than 250 bytes; choose a shorter one$"):
            at(str(tmp_path / ("x" * 251))).check()
        assert run(lake, to="x" * 250)["rows"] == 10

    @pytest.mark.parametrize("to", ["locked/out", "locked"])
    def test_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str):
        """So is a folder of somebody else's, and one in it."""
        (tmp_path / "locked").mkdir()
        monkeypatch.setattr(os, "access", lambda *_: False)  # to root nothing is locked
        with pytest.raises(SpecError, match="can't be written"):
            at(str(tmp_path / to)).check()

    def test_what_a_killed_export_left(self, lake: Lake, tmp_path: Path):
        """What a killed export left beside the folder is in nobody's way, and is cleared away."""
        (tmp_path / ".out.new").mkdir()
        (tmp_path / ".out.old").mkdir()
        (tmp_path / ".out.new" / "train-00000-of-00009.parquet").write_text("half")
        run(lake)
        assert listing(tmp_path) == ["lake", "out"]

    def test_symbolic_link(self, lake: Lake, tmp_path: Path):
        """A link to a folder stays a link; what it points to is replaced, again and again."""
        (tmp_path / "disk").mkdir()
        (tmp_path / "out").symlink_to(tmp_path / "disk")
        for shards in (1, 3):
            run(lake, shards=shards)
        assert (tmp_path / "out").is_symlink()
        assert len(listing(tmp_path / "disk", "train-*")) == 3

    @pytest.mark.parametrize("to", [".", "sub/.."])
    def test_dots(self, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str):
        """The folder one stands in may be named as it is."""
        build = land(lake, 2)
        (tmp_path / "here" / "sub").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "here")
        if to == ".":
            (tmp_path / "here" / "sub").rmdir()
            export(lake, build, ExportOptions(to=to))
            assert "manifest.json" in listing(tmp_path / "here")
        else:
            with pytest.raises(SpecError, match="no export of stillhouse"):
                export(lake, build, ExportOptions(to=to))


@pytest.mark.parametrize(
    "targets",
    [
        ["lake"],
        ["lake/out"],
        ["."],
        ["out", "out"],
        ["out", "./out"],
        ["out", "out/more"],
        ["s3://b/out", "s3://b/out/"],
        ["s3://b/out/more", "s3://b/out"],
    ],
    ids=" and ".join,
)
def test_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: list[str]):
    """An export in the lake, around it, or in another export would replace what must stay: it is refused."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="keep them apart"):
        check_apart(targets, tmp_path / "lake")


def test_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Names that only begin alike are apart."""
    monkeypatch.chdir(tmp_path)
    check_apart(["lake2", "out", "out2", "s3://b/out", "s3://b/out2", "gs://b/out"], tmp_path / "lake")


def test_a_manifest_of_others_is_no_licence_to_delete(tmp_path: Path):
    """A folder with a manifest.json that isn't ours is foreign, and so is one that has more in it than ours lists."""
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(SpecError, match="no export of stillhouse"):
        at(str(tmp_path)).check()
    (tmp_path / "manifest.json").write_text('{"dataset": "d", "build_id": "b", "rows": 0, "shards": [{"file": "a.parquet"}]}')
    (tmp_path / "a.parquet").touch()
    at(str(tmp_path)).check()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SpecError, match=r"thesis\.txt"):
        at(str(tmp_path)).check()


@pytest.mark.parametrize("to", ["s3://key:secret@bucket/x", "ftp://me:secret@host/x", "s3://bucket/x?token=secret"])
def test_no_credentials_in_a_url(to: str):
    """A URL with a password or a query is refused, and neither is repeated."""
    with pytest.raises(SpecError, match="credentials belong into the environment") as caught:
        at(to)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("to", ["s3://", "file:///", "hf://"])
def test_a_url_of_nothing(to: str):
    """A URL that names no folder is refused: `s3://` was written to a folder here that is called `s3:`."""
    with pytest.raises(SpecError, match=rf"^exports: {to}: names no folder"):
        at(to)
