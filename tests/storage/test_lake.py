"""The lake: one writer at a time, mended when it begins, and builds that count from their manifest on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import Interrupted, SetupError, StorageError, UserError
from storage.lake import Lake
from storage.schemas import SNAPSHOTS, STORES
from tests.storage.lines import line, segment

ROOT = Path(__file__).parents[2]
HOLDING = """
import sys
from storage.lake import Lake

with Lake.at(sys.argv[1]).writing(lambda line: print(line, flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
print("free", flush=True)
"""


def nobody(text: str) -> None:
    """Fail: nobody else should be writing."""
    raise AssertionError(text)


def manifest(build_id: str = "b1", dataset: str = "sums", created_at: str = "2026-01-01T00:00:00+00:00") -> dict[str, Any]:
    """Return the part of a build's manifest that the lake itself reads."""
    return {"dataset": dataset, "build_id": build_id, "created_at": created_at}


def stage(lake: Lake) -> Path:
    """Stage a file of each table, as a build does."""
    for table in SNAPSHOTS:
        (lake.staging / "b" / table).mkdir(parents=True)
        (lake.staging / "b" / table / "part-00000.parquet").write_text(table)
    return lake.staging / "b"


@pytest.fixture
def holder(lake: Lake):
    """Start a child process that holds the lake's lock until it reads a line."""
    command = [sys.executable, "-c", HOLDING, str(lake.root)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


class TestAt:
    """Naming a lake."""

    @pytest.mark.parametrize("form", ["{}", "file://{}"])
    def test_where(self, tmp_path: Path, form: str):
        """A path or a file URL names a folder that need not be there, and nothing is made."""
        lake = Lake.at(form.format(tmp_path / "lake"))
        assert lake.root == tmp_path / "lake"
        assert not lake.exists
        assert not lake.root.exists()

    def test_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A relative path is made absolute at once, so that a later change of folder moves no lake."""
        monkeypatch.chdir(tmp_path)
        assert Lake.at("lake").root == tmp_path / "lake"

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("sftp://host/lake", "a lake is a folder, or a URL of s3://"),
            ("s3:///lake", "names no bucket"),
            ("s3://KEY:SECRET@bucket/lake", "belong in the environment"),
            ("s3://bucket/lake?sig=SECRET", "belong in the environment"),
        ],
    )
    def test_url(self, url: str, said: str):
        """A URL that can't be a lake's is said so, without what may be a secret in it."""
        with pytest.raises(UserError, match=said) as caught:
            Lake.at(url)
        assert "SECRET" not in str(caught.value)

    def test_url_without_its_package(self, monkeypatch: pytest.MonkeyPatch):
        """Where the client of object stores isn't installed, a line says what to install."""
        monkeypatch.setitem(sys.modules, "obstore.store", None)
        with pytest.raises(SetupError, match=r"pip install 'stillhouse\[s3\]'"):
            Lake.at("s3://bucket/lake")

    @pytest.mark.parametrize("name", ["", " "])
    def test_no_name(self, name: str):
        """Nothing isn't the folder in which one happens to be: a variable that isn't set makes no lake of it."""
        with pytest.raises(StorageError, match="is empty"):
            Lake.at(name)

    @pytest.mark.parametrize("name", ["lake", "lake/samples"])
    def test_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
        """A folder of somebody else's is told at once, be it within the lake."""
        (tmp_path / "lake/samples").mkdir(parents=True)
        scan = os.scandir

        def locked(path: str) -> object:
            if Path(path) == tmp_path / name:
                raise PermissionError(13, "Permission denied", path)
            return scan(path)

        monkeypatch.setattr(os, "scandir", locked)  # to root nothing is locked
        with pytest.raises(StorageError, match=f"{name}: can't be read: Permission denied"):
            Lake.at(str(tmp_path / "lake"))

    def test_file(self, tmp_path: Path):
        """A file is no lake."""
        (tmp_path / "lake").write_text("")
        with pytest.raises(StorageError, match="a lake is a folder, and this is a file"):
            Lake.at(str(tmp_path / "lake"))


class TestLock:
    """One writer."""

    def test_excludes_a_second_writer(self, lake: Lake, holder: subprocess.Popen[str]):
        """While another process writes, a writer is told once by whom, and waits until it gives up or may go on."""
        said: list[str] = []
        checks = 0

        def check() -> None:
            nonlocal checks
            checks += 1
            if checks == 2:
                raise Interrupted("enough")

        with pytest.raises(Interrupted, match="enough"), lake.writing(said.append, check=check):
            raise AssertionError("two writers")
        assert said == [f"another process (pid {holder.pid}) is writing to {lake.root}; waiting for it to end"]

    def test_waits_until_it_ends(self, lake: Lake, holder: subprocess.Popen[str]):
        """A writer that waited goes on when the other one has ended."""
        assert holder.stdin is not None

        def let_go(_: str) -> None:
            holder.communicate("\n")

        with lake.writing(let_go):
            assert holder.returncode == 0

    def test_ends_with_its_holder(self, lake: Lake, holder: subprocess.Popen[str]):
        """The lock of a process that was killed is free."""
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with lake.writing(nobody):
            pass

    def test_readers_do_not_mend_under_a_writer(self, lake: Lake, holder: subprocess.Popen[str]):
        """While somebody writes, `recover_if_idle` touches nothing and says so; afterwards it lands what was left."""
        path = segment(lake.journal, line("a"))
        assert not lake.recover_if_idle()
        assert path.exists()
        holder.communicate("\n")
        assert lake.recover_if_idle()
        assert not path.exists()

    def test_free_after_an_error(self, lake: Lake):
        """A writer that fails lets go."""
        with pytest.raises(RuntimeError), lake.writing(nobody):
            raise RuntimeError
        with lake.writing(nobody):
            pass

    def test_can_not_be_made(self, tmp_path: Path):
        """A lake where no folder can be made is a StorageError that names it."""
        (tmp_path / "file").write_text("")
        lake = Lake(tmp_path / "file" / "lake")
        with pytest.raises(StorageError, match=r"file/lake: can't be written: Not a directory"), lake.writing(nobody):
            pass


class TestMend:
    """What a writer finds and puts in order before it begins."""

    def test_makes_a_lake(self, lake: Lake):
        """Afterwards the stores have their columns, and no rows."""
        with lake.writing(nobody):
            assert lake.exists
            for table in STORES:
                (path,) = (lake.root / table).glob("*.parquet")
                assert pq.read_table(path).num_rows == 0

    def test_lands_the_journal(self, lake: Lake):
        """Responses that a killed run had paid for become a part of the samples."""
        segment(lake.journal, line("a"), line("b"))
        with lake.writing(nobody):
            assert pq.read_table(lake.root / "samples" / "r-000000.parquet")["sample_id"].to_pylist() == ["a", "b"]

    def test_removes_staging(self, lake: Lake):
        """What a killed run had staged is gone."""
        stage(lake)
        with lake.writing(nobody):
            assert not lake.staging.exists()

    def test_removes_orphans_and_keeps_builds(self, lake: Lake):
        """A snapshot without a manifest is removed; a landed build stays."""
        lake.land(manifest("landed"), stage(lake))
        for table in SNAPSHOTS:
            orphan = lake.snapshot(table, "sums", "orphan")
            orphan.mkdir(parents=True)
            (orphan / "part-00000.parquet").write_text("half")
        with lake.writing(nobody):
            for table in SNAPSHOTS:
                assert [path.name for path in lake.snapshot(table, "sums", "x").parent.iterdir()] == ["build=landed"]

    @pytest.mark.parametrize("folder", ["waste", "answers", "journal", "journal/checks", "journal/batches", "journal/scores"])
    def test_removes_what_was_to_be_written_anew(self, lake: Lake, folder: str):
        """Of a file of lines, or a note, that a killed run was replacing, the half that is there is gone."""
        (lake.root / folder).mkdir(parents=True)
        (lake.root / folder / ".r.jsonl.tmp").write_text("half")
        lake.land(manifest(), stage(lake))
        with lake.writing(nobody):
            assert not list(lake.root.rglob("*.tmp"))

    @pytest.mark.parametrize("table", [*STORES, *SNAPSHOTS])
    def test_removes_temporary_files(self, lake: Lake, table: str):
        """A file that a killed run had half written is gone, whichever table it was for."""
        folder = lake.root / table / "dataset=sums" / "build=b1"
        folder.mkdir(parents=True)
        (folder / ".part-00000.parquet.tmp").write_text("half")
        lake.land(manifest(), stage(lake)) if table in STORES else None
        with lake.writing(nobody):
            assert not list(lake.root.rglob("*.tmp"))

    def test_no_lake(self, lake: Lake):
        """Where there is no lake there is nothing to mend, and nothing is made."""
        assert lake.recover_if_idle()
        assert not lake.root.exists()

    def test_a_lake_without_its_journal(self, lake: Lake):
        """A lake that was copied without the journal is one in which nobody writes."""
        (lake.root / "samples").mkdir(parents=True)
        assert lake.recover_if_idle()

    def test_damaged_journal(self, lake: Lake):
        """A journal that the disk has damaged stops the writer, which lets go of the lock."""
        path = segment(lake.journal, b"damaged\n", line("a"))
        with pytest.raises(StorageError, match=r"r-000000\.jsonl:1: "), lake.writing(nobody):
            pass
        path.unlink()
        with lake.writing(nobody):
            pass


class TestBuilds:
    """A build counts from its manifest on."""

    def test_landing(self, lake: Lake):
        """Landing moves the staged tables to their places and writes the manifest."""
        lake.land(manifest(), stage(lake))
        assert lake.builds() == [manifest()]
        for table in SNAPSHOTS:
            path = lake.root / table / "dataset=sums" / "build=b1" / "part-00000.parquet"
            assert path.read_text() == table

    @pytest.mark.parametrize("landed", [0, 1, 2, 3], ids="{} tables moved".format)
    def test_killed_while_landing(self, lake: Lake, landed: int):
        """A build that was killed between any two moves isn't there, and is cleared away."""
        staged = stage(lake)
        for table in SNAPSHOTS[:landed]:
            target = lake.snapshot(table, "sums", "b1")
            target.parent.mkdir(parents=True)
            (staged / table).rename(target)
        assert lake.builds() == []
        with lake.writing(nobody):
            assert not list(lake.root.glob("*/dataset=sums/*"))

    def test_order(self, lake: Lake):
        """Builds are listed oldest first, by when they landed and not by name."""
        for build_id, created_at in (("z", "2026-01-01"), ("a", "2026-01-03"), ("m", "2026-01-02")):
            lake.land(manifest(build_id, created_at=created_at), stage(lake))
        assert [each["build_id"] for each in lake.builds()] == ["z", "m", "a"]
        assert lake.build("sums")["build_id"] == "a"
        assert lake.build("sums", "z")["build_id"] == "z"

    def test_by_dataset(self, lake: Lake):
        """Builds of other datasets are left out where one is asked for."""
        lake.land(manifest("b1", "sums"), stage(lake))
        lake.land(manifest("b2", "maps"), stage(lake))
        assert [each["build_id"] for each in lake.builds("maps")] == ["b2"]

    def test_unknown_dataset(self, lake: Lake):
        """A dataset that was never built is named, with those that were."""
        lake.land(manifest(), stage(lake))
        with pytest.raises(StorageError, match=r"no build of 'sum'; built here: sums"):
            lake.build("sum")

    def test_empty(self, lake: Lake):
        """So is one in a lake without builds."""
        with pytest.raises(StorageError, match="built here: nothing yet"):
            lake.build("sums")

    def test_unknown_build(self, lake: Lake):
        """A build that isn't there is named, with the newest."""
        lake.land(manifest(), stage(lake))
        with pytest.raises(StorageError, match=r"'sums' has no build 'b0'; the newest is b1"):
            lake.build("sums", "b0")

    def test_damaged_manifest(self, lake: Lake):
        """A manifest that isn't JSON is named."""
        lake.land(manifest(), stage(lake))
        (lake.root / "manifests" / "builds" / "b1.json").write_text("{")
        with pytest.raises(StorageError, match=r"builds/b1\.json: damaged: "):
            lake.builds()

    def test_exports(self, lake: Lake):
        """Exports are noted beside the builds, oldest first."""
        for export_id, created_at in (("e2", "2026-01-02"), ("e1", "2026-01-03")):
            lake.record_export({"export_id": export_id, "created_at": created_at, "dataset": "d", "build_id": "b"})
        assert [each["export_id"] for each in lake.exports()] == ["e2", "e1"]


def test_a_path_that_duckdb_reads_as_settings(tmp_path: Path) -> None:
    """It is refused before anything is written there; any other character of a file system does."""
    with pytest.raises(StorageError, match=r"can't have a '\?'"):
        Lake.at(str(tmp_path / "what?" / "lake"))
    Lake.at(str(tmp_path / "a [1] 'b' {c,d} * % # é;")).mend()
