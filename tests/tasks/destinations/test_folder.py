"""Where an export goes: a folder of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.errors import SpecError, StorageError
from storage.lake import Lake
from tasks.destinations.choose import destination_at
from tasks.export import ExportOptions, export
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
            destination_at(str(tmp_path / "out")).check()
        with pytest.raises(SpecError):
            run(lake)
        assert content(tmp_path / "out") == {name: b"mine"}

    def test_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A file is no folder."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file.txt").write_text("")
        with pytest.raises(SpecError, match="is a file, and an export is a folder"):
            destination_at("file.txt").check()

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
            destination_at(str(tmp_path / "file/out")).check()
        with pytest.raises(SpecError):
            run(lake, to="file/out")

    def test_a_long_name(self, lake: Lake, tmp_path: Path):
        """A name that leaves no room for the folder beside it is told before anything is spent; one byte less does."""
        with pytest.raises(SpecError, match=r"its name is longer than 243 bytes; choose a shorter one$"):
            destination_at(str(tmp_path / ("x" * 244))).check()
        assert run(lake, to="x" * 243)["rows"] == 10

    @pytest.mark.parametrize("to", ["locked/out", "locked"])
    def test_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str):
        """So is a folder of somebody else's, and one in it."""
        (tmp_path / "locked").mkdir()
        monkeypatch.setattr(os, "access", lambda *_: False)  # to root nothing is locked
        with pytest.raises(SpecError, match="can't be written"):
            destination_at(str(tmp_path / to)).check()

    def test_what_a_killed_export_left(self, lake: Lake, tmp_path: Path):
        """What a killed export left beside the folder is in nobody's way, and is cleared away."""
        run(lake)
        beside = tmp_path / ".out.stillhouse"
        for name in ("new", "old"):
            (beside / name).mkdir(parents=True)
        (beside / "export.lock").touch()
        (beside / "new" / "train-00000-of-00009.parquet").write_text("half")
        run(lake)
        assert listing(tmp_path) == ["lake", "out"]

    def test_killed_between_the_renames(self, lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        """An earlier export that a kill left aside is back, and said to be, also where the next export fails."""
        run(lake)
        before = content(tmp_path / "out")
        beside = tmp_path / ".out.stillhouse"
        beside.mkdir()
        (beside / "export.lock").touch()
        (tmp_path / "out").rename(beside / "old")
        with pytest.raises(ZeroDivisionError), destination_at(str(tmp_path / "out")).filling(tmp_path):
            _ = 1 / 0
        assert content(tmp_path / "out") == before
        assert listing(tmp_path) == ["lake", "out"]
        assert "out: an export was killed as it replaced this one, which is back" in caplog.text

    @pytest.mark.parametrize("name", [".out.new", ".out.old"])
    def test_folders_with_like_names(self, lake: Lake, tmp_path: Path, name: str):
        """Somebody's own folders beside it stay, whatever they are called."""
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
        run(lake)
        assert content(tmp_path / name) == {"thesis.txt": b"mine"}

    def test_a_folder_with_the_very_name(self, lake: Lake, tmp_path: Path):
        """Even where one has the name of the folder in which an export is made, it stays: the export is refused."""
        beside = tmp_path / ".out.stillhouse"
        (beside / "new").mkdir(parents=True)
        with pytest.raises(SpecError, match=r"out: is made in .*\.out\.stillhouse, where somebody else's files are; move them"):
            run(lake)
        assert listing(beside) == ["new"]

    def test_two_at_once(self, lake: Lake, tmp_path: Path):
        """A second export to the same place is refused while one is being written, which it doesn't disturb."""
        place = destination_at(str(tmp_path / "out"))
        with place.filling(tmp_path) as first:
            (first.folder / "manifest.json").write_text("{}")
            with pytest.raises(StorageError, match="out: another export is being written there"), place.filling(tmp_path):
                pass
        assert content(tmp_path / "out") == {"manifest.json": b"{}"}

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


def test_a_manifest_of_others_is_no_licence_to_delete(tmp_path: Path):
    """A folder with a manifest.json that isn't ours is foreign, and so is one that has more in it than ours lists."""
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(SpecError, match="no export of stillhouse"):
        destination_at(str(tmp_path)).check()
    (tmp_path / "manifest.json").write_text('{"dataset": "d", "build_id": "b", "rows": 0, "shards": [{"file": "a.parquet"}]}')
    (tmp_path / "a.parquet").touch()
    destination_at(str(tmp_path)).check()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SpecError, match=r"thesis\.txt"):
        destination_at(str(tmp_path)).check()
