"""Export: a build's traces as training shards."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.errors import SpecError, StorageError
from storage.parquet import write_rows
from storage.schemas import TRACES
from tasks.export import ExportOptions, check_apart, check_destination, export, find
from tasks.exporters.messages import Messages
from tasks.exporters.registry import EXPORTERS
from tests.fakes import listing

FORMS = pytest.mark.parametrize("file", ["parquet", "jsonl"])


def trace(n: int) -> dict[str, Any]:
    """Return a trace."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Q{n} ä\u2028\n"}]
    return {
        "sample_id": f"s{n}",
        "prompt_id": f"p{n}",
        "teacher": "smol",
        "model": "m-1",
        "messages": turns,
        "response": f"A{n}",
        "reasoning": None if n % 2 else f"R{n}",
        "license": "MIT",
    }


def expected(n: int) -> dict[str, Any]:
    """Return the row that it becomes."""
    given = trace(n)
    messages = [*given["messages"], {"role": "assistant", "content": given["response"]}]
    return {"messages": messages} | {name: given[name] for name in Messages().schema.names[1:]}


def snapshot(folder: Path, rows: int, *, parts: int = 2) -> Path:
    """Write a snapshot's traces, over some files."""
    for part in range(parts):
        numbers = range(part * rows // parts, (part + 1) * rows // parts)
        write_rows(folder / "traces" / f"part-{part:05}.parquet", TRACES, map(trace, numbers))
    return folder / "traces"


def run(tmp_path: Path, *, rows: int = 10, to: str = "out", **options: Any) -> dict[str, Any]:
    """Export so many traces and return the manifest."""
    return export(snapshot(tmp_path, rows), ExportOptions(to=str(tmp_path / to), **options), dataset="sums", build_id="b1")


def load(path: Path) -> list[dict[str, Any]]:
    """Load a shard with Arrow."""
    return (pq.read_table(path) if path.suffix == ".parquet" else pj.read_json(path)).to_pylist()


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestShards:
    """The files."""

    @FORMS
    @pytest.mark.parametrize(
        ("rows", "shards", "sizes"),
        [(10, 1, [10]), (10, 2, [5, 5]), (10, 4, [3, 3, 2, 2]), (3, 3, [1, 1, 1]), (2, 5, [1, 1]), (0, 4, [0])],
        ids=str,
    )
    def test_sizes(self, tmp_path: Path, file: str, rows: int, shards: int, sizes: list[int]):
        """Shards differ by one row at most, and none is empty unless all are."""
        manifest = run(tmp_path, rows=rows, shards=shards, file=file)
        assert [shard["rows"] for shard in manifest["shards"]] == sizes
        names = [f"train-{n:05}-of-{len(sizes):05}.{file}" for n in range(len(sizes))]
        assert [shard["file"] for shard in manifest["shards"]] == names
        assert listing(tmp_path / "out") == sorted([*names, "manifest.json"])

    @FORMS
    def test_rows(self, tmp_path: Path, file: str):
        """Together they have every trace once, in order: the whole conversation, and where it comes from."""
        manifest = run(tmp_path, shards=3, file=file)
        rows = [row for shard in manifest["shards"] for row in load(tmp_path / "out" / shard["file"])]
        assert rows == [expected(n) for n in range(10)]

    def test_parquet_types(self, tmp_path: Path):
        """Parquet shards have the promised columns, an empty one too."""
        run(tmp_path, rows=0)
        assert pq.read_schema(tmp_path / "out" / "train-00000-of-00001.parquet").equals(Messages().schema)

    def test_json_lines(self, tmp_path: Path):
        """JSONL is one object a line, whatever breaks lines in a text."""
        run(tmp_path, file="jsonl")
        lines = (tmp_path / "out" / "train-00000-of-00001.jsonl").read_bytes().split(b"\n")
        assert lines[-1] == b""
        assert [json.loads(line) for line in lines[:-1]] == [expected(n) for n in range(10)]


class TestManifest:
    """What is in them."""

    @FORMS
    def test_true(self, tmp_path: Path, file: str):
        """Checksums and sizes are the files', and the rows add up."""
        manifest = run(tmp_path, shards=3, file=file)
        for shard in manifest["shards"]:
            data = (tmp_path / "out" / shard["file"]).read_bytes()
            assert (shard["sha256"], shard["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert sum(shard["rows"] for shard in manifest["shards"]) == manifest["rows"] == 10
        assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
        assert (manifest["dataset"], manifest["build_id"], manifest["format"]) == ("sums", "b1", "messages")

    @FORMS
    def test_same_bytes(self, tmp_path: Path, file: str):
        """The same snapshot gives the same bytes."""
        for to in ("one", "two"):
            run(tmp_path, shards=3, file=file, to=to)
        assert content(tmp_path / "one") == content(tmp_path / "two")


class TestReplacing:
    """Where it goes."""

    def test_new_folder(self, tmp_path: Path):
        """Folders above are made, and nothing else is left beside it."""
        run(tmp_path, to="a/b/out")
        assert listing(tmp_path / "a" / "b") == ["out"]

    def test_empty_folder(self, tmp_path: Path):
        """An empty folder is as good as none."""
        (tmp_path / "out").mkdir()
        run(tmp_path)
        assert "manifest.json" in listing(tmp_path / "out")

    def test_earlier_export(self, tmp_path: Path):
        """An earlier export is replaced as a whole: none of its shards is left."""
        run(tmp_path, shards=7)
        run(tmp_path, shards=2)
        assert listing(tmp_path / "out") == ["manifest.json", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
        assert listing(tmp_path) == ["out", "traces"]

    @pytest.mark.parametrize("name", ["thesis.txt", "train-00000-of-00001.parquet"])
    def test_foreign_folder(self, tmp_path: Path, name: str):
        """A folder with files that are no export is left alone, and the user is told before anything is spent."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / name).write_text("mine")
        with pytest.raises(SpecError, match=r"out: has files that are no export of stillhouse"):
            check_destination(str(tmp_path / "out"))
        with pytest.raises(SpecError):
            run(tmp_path)
        assert content(tmp_path / "out") == {name: b"mine"}

    @pytest.mark.parametrize(
        ("to", "said"),
        [("s3://bucket/x", "must be a local folder for now"), ("file.txt", "is a file, and an export is a folder")],
    )
    def test_no_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, said: str):
        """A URL or a file is no folder."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file.txt").write_text("")
        with pytest.raises(SpecError, match=said):
            check_destination(to)

    def test_failure_keeps_the_earlier_one(self, tmp_path: Path):
        """An export that fails leaves the earlier one as it was, and nothing of itself."""
        run(tmp_path)
        before = content(tmp_path / "out")
        (tmp_path / "traces" / "part-00001.parquet").write_bytes(b"damaged")
        with pytest.raises(Exception, match="Parquet"):
            export(tmp_path / "traces", ExportOptions(to=str(tmp_path / "out")), dataset="sums", build_id="b2")
        assert content(tmp_path / "out") == before
        assert listing(tmp_path) == ["out", "traces"]

    def test_can_not_be_written(self, tmp_path: Path):
        """A folder that can't be made is a StorageError that names it."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match=r"file/out: can't be written: Not a directory"):
            run(tmp_path, to="file/out")

    def test_what_a_killed_export_left(self, tmp_path: Path):
        """What a killed export left beside the folder is in nobody's way, and is cleared away."""
        (tmp_path / ".out.new").mkdir()
        (tmp_path / ".out.old").mkdir()
        (tmp_path / ".out.new" / "train-00000-of-00009.parquet").write_text("half")
        run(tmp_path)
        assert listing(tmp_path) == ["out", "traces"]

    def test_symbolic_link(self, tmp_path: Path):
        """A link to a folder stays a link; what it points to is replaced, again and again."""
        (tmp_path / "disk").mkdir()
        (tmp_path / "out").symlink_to(tmp_path / "disk")
        for shards in (1, 2, 3):
            run(tmp_path, shards=shards)
        assert (tmp_path / "out").is_symlink()
        assert len(listing(tmp_path / "disk", "train-*")) == 3

    @pytest.mark.parametrize("to", [".", "sub/.."])
    def test_dots(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str):
        """The folder one stands in may be named as it is."""
        traces = snapshot(tmp_path, 2)
        (tmp_path / "here" / "sub").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "here")
        if to == ".":
            (tmp_path / "here" / "sub").rmdir()
            export(traces, ExportOptions(to=to), dataset="sums", build_id="b1")
            assert "manifest.json" in listing(tmp_path / "here")
        else:
            with pytest.raises(SpecError, match="no export of stillhouse"):
                export(traces, ExportOptions(to=to), dataset="sums", build_id="b1")


@pytest.mark.parametrize("given", [{"to": ""}, {"shards": 0}, {"shards": 100_000}, {"file": "csv"}, {"format": ""}, {"shard": 2}])
def test_options_that_make_no_sense(given: dict[str, Any]):
    """What can't be done is refused when the spec is read."""
    with pytest.raises(ValidationError):
        ExportOptions(**({"to": "out"} | given))


@pytest.mark.parametrize(
    "targets", [["lake"], ["lake/out"], ["."], ["out", "out"], ["out", "./out"], ["out", "out/more"]], ids=" and ".join
)
def test_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: list[str]):
    """An export in the lake, around it, or in another export would replace what must stay: it is refused."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="keep them apart"):
        check_apart([ExportOptions(to=target) for target in targets], tmp_path / "lake")


def test_a_manifest_of_others_is_no_licence_to_delete(tmp_path: Path):
    """A folder with a manifest.json that isn't ours is foreign, and so is one that has more in it than ours lists."""
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(SpecError, match="no export of stillhouse"):
        check_destination(str(tmp_path))
    (tmp_path / "manifest.json").write_text('{"dataset": "d", "build_id": "b", "rows": 0, "shards": [{"file": "a.parquet"}]}')
    (tmp_path / "a.parquet").touch()
    check_destination(str(tmp_path))
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SpecError, match=r"thesis\.txt"):
        check_destination(str(tmp_path))


class Doubling:
    """Makes as many rows of a trace as its index says."""

    schema = pa.schema({"text": pa.string(), "license": pa.string()})
    one_to_one = False

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for number, trace in enumerate(traces):
            yield from [{"text": f"{number} {trace['response']}", "license": trace["license"]}] * (number % 3)


class Liar(Doubling):
    """Says that each trace is one row."""

    one_to_one = True


class Unlicensed(Doubling):
    """Drops what is needed."""

    schema = pa.schema({"text": pa.string()})


class NoColumn(Doubling):
    """Forgets one."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows without a licence."""
        for trace in traces:
            yield {"text": trace["response"]}


class Blank(Doubling):
    """Has a licence in name alone."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for trace in traces:
            yield {"text": trace["response"], "license": ""}


class Raising(Doubling):
    """Gives up."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Raise."""
        yield {"text": next(iter(traces))["no such column"], "license": "MIT"}


class Mistyped(Doubling):
    """Gives what its schema doesn't say."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield numbers for texts."""
        for trace in traces:
            yield {"text": {1}, "license": trace["license"]}


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Doubling]], None]:
    """Return what makes a class the exporter `own`."""

    def add(kind: type[Doubling]) -> None:
        built_in = {**EXPORTERS.built_in, "own": f"{__name__}:{kind.__name__}"}
        monkeypatch.setattr("tasks.export.EXPORTERS", dataclasses.replace(EXPORTERS, built_in=built_in))

    return add


class TestOthers:
    """Exporters that somebody else wrote."""

    def test_as_many_rows_as_it_likes(self, tmp_path: Path, plug_in: Callable[[type[Doubling]], None]):
        """What gives more or fewer rows than there are traces fills shards that are alike in size all the same."""
        plug_in(Doubling)
        manifest = run(tmp_path, rows=10, format="own", shards=2)
        assert (manifest["rows"], [shard["rows"] for shard in manifest["shards"]]) == (9, [5, 4])
        rows = [row for shard in manifest["shards"] for row in load(tmp_path / "out" / shard["file"])]
        assert [row["text"].split()[0] for row in rows] == ["1", "2", "2", "4", "5", "5", "7", "8", "8"]

    def test_a_wrong_promise(self, tmp_path: Path, plug_in: Callable[[type[Doubling]], None]):
        """One that gives another number of rows than it says is refused, and nothing is written."""
        plug_in(Liar)
        with pytest.raises(SpecError, match="promised 10 rows and gave another number"):
            run(tmp_path, rows=10, format="own")
        assert not (tmp_path / "out").exists()

    def test_without_a_license(self, plug_in: Callable[[type[Doubling]], None]):
        """Rows that nobody may use are not written."""
        plug_in(Unlicensed)
        with pytest.raises(SpecError, match="no column `license`"):
            find("own")

    @FORMS
    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            (NoColumn, "a row has the columns"),
            (Blank, "a row has no license"),
            (Raising, "KeyError: 'no such column'"),
            (Mistyped, "own"),
        ],
    )
    def test_a_broken_one(
        self, tmp_path: Path, plug_in: Callable[[type[Doubling]], None], kind: type[Doubling], why: str, file: str
    ):
        """It is one line that names it, and nothing is written."""
        plug_in(kind)
        with pytest.raises(SpecError, match=r"the exporter 'own' is broken") as caught:
            run(tmp_path, rows=10, format="own", file=file)
        assert why in str(caught.value)
        assert not (tmp_path / "out").exists()

    def test_an_unknown_form(self):
        """The nearest name is told."""
        with pytest.raises(SpecError, match=r"unknown format 'mesages'; did you mean 'messages'\?"):
            find("mesages")
