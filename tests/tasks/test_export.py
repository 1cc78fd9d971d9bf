"""Export: a build's traces as training shards."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.json as pj
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.errors import SpecError
from storage.lake import Lake
from tasks.export import ExportOptions, check_exports, export, make
from tasks.exporters.messages import Messages
from tasks.exporters.protocol import NoRows
from tasks.exporters.registry import EXPORTERS
from tests.fakes import listing
from tests.tasks.landed import LICENSE, land, run, trace

FILES = pytest.mark.parametrize("file", ["parquet", "jsonl", "arrow"])
EVERY_FILE = pytest.mark.parametrize("file", ["parquet", "jsonl", "arrow", "tar"])
DOCUMENTS = ["LICENSE", "NOTICE", "README.md", "croissant.json", "manifest.json"]


def expected(n: int) -> dict[str, Any]:
    """Return the row that a trace becomes."""
    given = trace(n)
    messages = [*given["messages"], {"role": "assistant", "content": given["response"]}]
    return {"messages": messages} | {name: given[name] for name in Messages().schema.names[1:]}


def load(path: Path) -> list[dict[str, Any]]:
    """Load a shard with Arrow."""
    if path.suffix == ".arrow":
        return pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist()
    return (pq.read_table(path) if path.suffix == ".parquet" else pj.read_json(path)).to_pylist()


def rows_of(lake: Lake, manifest: dict[str, Any], split: str = "train") -> list[dict[str, Any]]:
    """Return all rows of a split of the export in `out`."""
    shards = [shard["file"] for shard in manifest["shards"] if shard["split"] == split]
    return [row for shard in shards for row in load(lake.root.parent / "out" / shard)]


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the traces that rows are of."""
    return [int(row["sample_id"].removeprefix("s")) for row in rows]


def shards_in(folder: Path) -> dict[str, bytes]:
    """Return every shard of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in DOCUMENTS}


class TestShards:
    """The files."""

    @pytest.mark.parametrize(
        ("file", "rows", "shards", "sizes"),
        [
            ("parquet", 10, 1, [10]),
            ("parquet", 10, 4, [3, 3, 2, 2]),
            ("jsonl", 2, 5, [1, 1]),
            ("parquet", 0, 4, [0]),
            ("jsonl", 0, 1, [0]),
            ("arrow", 0, 1, [0]),
            ("tar", 0, 1, [0]),
        ],
        ids=str,
    )
    def test_sizes(self, lake: Lake, file: str, rows: int, shards: int, sizes: list[int]):
        """Shards differ by one row at most, and none is empty unless all are."""
        manifest = run(lake, rows, shards=shards, file=file)
        assert [shard["rows"] for shard in manifest["shards"]] == sizes
        assert ["has no rows" in each for each in manifest["warnings"]] == ([] if rows else [True])
        names = [f"train-{n:05}-of-{len(sizes):05}.{file}" for n in range(len(sizes))]
        assert [shard["file"] for shard in manifest["shards"]] == names
        assert listing(lake.root.parent / "out") == sorted([*names, *DOCUMENTS])

    @FILES
    def test_rows(self, lake: Lake, file: str):
        """Together they have every trace once, in order: the whole conversation, and where it comes from."""
        assert rows_of(lake, run(lake, 40, shards=3, file=file)) == [expected(n) for n in range(40)]

    def test_json_lines(self, lake: Lake):
        """JSONL is one object a line, whatever breaks lines in a text."""
        run(lake, file="jsonl")
        lines = (lake.root.parent / "out" / "train-00000-of-00001.jsonl").read_bytes().split(b"\n")
        assert lines[-1] == b""
        assert [json.loads(line) for line in lines[:-1]] == [expected(n) for n in range(10)]

    @pytest.mark.parametrize("file", ["parquet", "jsonl"])
    def test_large_rows(self, lake: Lake, file: str):
        """Texts of megabytes are few at a time, and whole."""
        given = [trace(n, response=f"{n}" * 700_000) for n in range(8)]
        rows = rows_of(lake, run(lake, given, file=file, shards=2))
        assert [row["messages"][-1]["content"] for row in rows] == [each["response"] for each in given]


class TestBytes:
    """Shards by their size."""

    @EVERY_FILE
    def test_alike(self, lake: Lake, file: str):
        """Files are about as large as was asked for, and alike, where rows differ in size."""
        given = [trace(n, response=random.Random(n).randbytes(32 + n).hex()) for n in range(1_000)]
        manifest = run(lake, given, file=file, shard_bytes=60_000)
        sizes = [shard["bytes"] for shard in manifest["shards"]]
        assert len(sizes) > 1
        assert sum(shard["rows"] for shard in manifest["shards"]) == 1_000
        assert max(sizes) < 1.5 * min(sizes)
        assert 45_000 < sum(sizes) / len(sizes) < 72_000

    def test_more_than_rows(self, lake: Lake):
        """No shard is empty, however small they should be."""
        manifest = run(lake, [trace(n, response="x" * 5_000) for n in range(3)], shard_bytes=1_000, file="jsonl")
        assert [shard["rows"] for shard in manifest["shards"]] == [1, 1, 1]

    def test_read_as_people_write(self):
        """500MB is a size."""
        assert ExportOptions(to="out", shard_bytes="500MB").shard_bytes == 500_000_000  # type: ignore[arg-type]


class TestShuffle:
    """A random order."""

    def test_every_row_once(self, lake: Lake):
        """Rows are the same, in another order, that the spec's seed decides."""
        build = land(lake, 300)
        seen = []
        for seed in (7, 7, 8):
            build["spec"] |= {"seed": seed}
            to = str(lake.root.parent / "out")
            seen.append(numbers(rows_of(lake, export(lake, build, ExportOptions(to=to, shuffle=True, shards=3)))))
        assert all(sorted(each) == list(range(300)) for each in seen)
        assert seen[0] == seen[1]
        assert seen[0] != seen[2]
        assert sorted(seen[0]) != seen[0]


class TestSplits:
    """Traces of several splits."""

    @staticmethod
    def split(n: int) -> dict[str, Any]:
        """Return a trace; one in ten is for validation, one in twenty for tests."""
        return trace(n, split="test" if n % 20 == 1 else "validation" if n % 10 == 2 else None if n == 3 else "train")

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_a_set_of_shards_each(self, lake: Lake, shuffle: bool):
        """Each split has its own shards, of like size, and its own rows; what has none is for training."""
        manifest = run(lake, [self.split(n) for n in range(100)], shards=8, shuffle=shuffle)
        assert {name: split["rows"] for name, split in manifest["splits"].items()} == {"train": 85, "validation": 10, "test": 5}
        files = [shard["file"] for shard in manifest["shards"]]
        assert files[0] == "train-00000-of-00008.parquet"
        assert files[8:] == ["validation-00000-of-00001.parquet", "test-00000-of-00001.parquet"]
        for name in ("train", "validation", "test"):
            kept = [n for n in range(100) if (self.split(n)["split"] or "train") == name]
            assert sorted(numbers(rows_of(lake, manifest, name))) == kept

    def test_all_held_back(self, lake: Lake):
        """Nothing to train on is no error, and is told."""
        (said,) = run(lake, [trace(n, split="test" if n else "validation") for n in range(5)])["warnings"]
        assert said.startswith("there is no trace in the split 'train': all are held back (1 in 'validation', 4 in 'test')")


class TestManifest:
    """What is in them."""

    @EVERY_FILE
    def test_true(self, lake: Lake, file: str):
        """Checksums and sizes are the files', and the rows add up."""
        manifest = run(lake, shards=3, file=file)
        folder = lake.root.parent / "out"
        for each in [*manifest["shards"], *manifest["documents"]]:
            data = (folder / each["file"]).read_bytes()
            assert (each["sha256"], each["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert sum(shard["rows"] for shard in manifest["shards"]) == manifest["rows"] == 10
        assert json.loads((folder / "manifest.json").read_text()) == manifest
        assert (manifest["dataset"], manifest["build_id"], manifest["format"], manifest["file"]) == (
            "sums",
            "b1",
            "messages",
            file,
        )
        assert (manifest["spec"]["seed"], manifest["version"], manifest["shuffled_by"]) == (7, "0.1.0", None)

    def test_what_was_cut_off(self, lake: Lake):
        """It is said of all forms, since a student of any learns to stop there."""
        manifest = run(lake, [trace(n, finish_reason="length" if n < 3 else "stop") for n in range(10)])
        (said,) = manifest["warnings"]
        assert said.startswith("3 of 10 traces were cut off (finish_reason length), and teach a student to stop there")

    @EVERY_FILE
    def test_no_query_of_an_address(self, lake: Lake, tmp_path: Path, file: str):
        """An export is passed on: nothing beside the rows has a source's query in it, where a token may stand."""
        urls = [f"https://x.example/{name}.jsonl?token=sesame" for name in "ab"]
        spec = {"prompts": [{"source": urls[0]}], "exports": [{"to": "out", "mix": [{"source": urls[1]}]}]}
        source = {"source": urls[0], "license": "CC-BY-4.0", "attribution": urls[0]}
        licensing = {"license": LICENSE, "sources": [source | {"origin": {"sources": [source]}}], "teachers": []}
        for said in ({"licensing": licensing}, {}):  # earlier versions noted no `licensing`
            build = land(lake, 2, make=lambda n: trace(n, prompt_source=urls[0]), spec=spec, **said)
            export(lake, build, ExportOptions(to=str(tmp_path / "out"), file=file))
            texts = {name: (tmp_path / "out" / name).read_text() for name in DOCUMENTS if (tmp_path / "out" / name).exists()}
            assert [name for name, text in texts.items() if "sesame" in text] == []
            assert "https://x.example/a.jsonl?…" in texts["NOTICE"]

    def test_options_and_facts(self, lake: Lake):
        """The form's own options and what it counted stand in it."""
        manifest = run(lake, reasoning="think")
        assert manifest["options"] == {"reasoning": "think"}
        assert "facts" not in manifest["splits"]["train"]

    @pytest.mark.parametrize(
        ("file", "options"),
        [
            ("parquet", {"shards": 3, "shuffle": True}),
            ("parquet", {"shard_bytes": 2_000}),
            ("jsonl", {"shard_bytes": 2_000, "shuffle": True}),
            ("arrow", {"shards": 3}),
            ("tar", {"shards": 3}),
        ],
        ids=str,
    )
    def test_same_bytes(self, lake: Lake, tmp_path: Path, file: str, options: dict[str, Any]):
        """The same traces give the same shards, whichever build they are of, wherever and whenever."""
        run(lake, 50, file=file, to="one", **options)
        other = Lake(tmp_path / "elsewhere" / "lake")
        build = land(other, 50, build_id="20270101T000000-ffffff", created_at="2027-01-01T00:00:00+00:00", parts=1)
        export(other, build, ExportOptions(to=str(tmp_path / "two"), file=file, **options))
        assert shards_in(lake.root.parent / "one") == shards_in(tmp_path / "two")

    def test_same_build_same_bytes(self, lake: Lake):
        """The same build gives the same documents too."""
        build = land(lake, 10)
        for to in ("one", "two"):
            export(lake, build, ExportOptions(to=str(lake.root.parent / to)))
        one, two = ({path.name: path.read_bytes() for path in (lake.root.parent / to).iterdir()} for to in ("one", "two"))
        assert one == two


class TestForms:
    """Every built-in form, as the command line meets it."""

    @pytest.mark.parametrize("form", ["messages", "prompt_completion", "alpaca", "sharegpt", "webdataset"])
    def test_one_row_a_trace(self, lake: Lake, form: str):
        """Forms of one row a trace export as they are."""
        assert run(lake, 5, format=form)["rows"] == 5

    def test_its_own_file(self, lake: Lake):
        """WebDataset's is a tar without being told so, and nothing else."""
        assert run(lake, 5, format="webdataset")["shards"][0]["file"] == "train-00000-of-00001.tar"
        with pytest.raises(SpecError, match=r"exports\.file: webdataset isn't written as parquet; it may be tar"):
            run(lake, 5, format="webdataset", file="parquet")


@pytest.mark.parametrize(
    "given",
    [
        {"to": ""},
        {"shards": 0},
        {"shards": 100_000},
        {"file": "csv"},
        {"format": ""},
        {"shard_bytes": 10},
        {"shards": 2, "shard_bytes": 100_000},
    ],
    ids=str,
)
def test_options_that_make_no_sense(given: dict[str, Any]):
    """What can't be done is refused when the spec is read."""
    with pytest.raises(ValidationError):
        ExportOptions(**({"to": "out"} | given))


class TestCheck:
    """What is found before anything is spent."""

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"format": "mesages"}, r"exports\[1\]: unknown format 'mesages'; did you mean 'messages'\?"),
            ({"shard": 2}, r"exports\[1\]\.shard: unknown key; did you mean 'shards'\?"),
            ({"as": "alpaca"}, r"exports\[1\]\.as: unknown key; known: .*format, .*reasoning"),
            ({"fromat": "alpaca"}, r"exports\[1\]\.fromat: unknown key; did you mean 'format'\?"),
            ({"reasoning": "loud"}, r"exports\[1\]\.reasoning: must be"),
            ({"format": "webdataset", "file": "jsonl"}, r"exports\[1\]\.file: webdataset isn't written as jsonl"),
            ({"to": "gopher://x/y"}, r"gopher:// is unknown"),
        ],
    )
    def test_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str):
        """A message names the entry and the option."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SpecError, match=said):
            check_exports([ExportOptions(to="one"), ExportOptions(**({"to": "two"} | given))], Lake(tmp_path / "lake"))


class Doubling:
    """Makes as many rows of a trace as its index says."""

    schema = pa.schema({"text": pa.string(), "license": pa.string()})
    one_to_one = False

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for number, each in enumerate(traces):
            yield from [{"text": f"{number} {each['response']}", "license": each["license"]}] * (number % 3)


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
        for each in traces:
            yield {"text": each["response"]}


class Blank(Doubling):
    """Has a licence in name alone."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for each in traces:
            yield {"text": each["response"], "license": ""}


class Raising(Doubling):
    """Gives up."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Raise."""
        yield {"text": next(iter(traces))["no such column"], "license": "MIT"}


class Dropping(Doubling):
    """Takes all but one."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the rest, or say that there is none."""
        rows = [{"text": each["response"], "license": each["license"]} for each in traces if each["sample_id"] != "s5"]
        yield from rows
        if not rows:
            raise NoRows("every trace was dropped")


class Stopping(Doubling):
    """Says that there are no rows where there have been some."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield one."""
        yield {"text": next(iter(traces))["response"], "license": "MIT"}
        raise NoRows("enough")


class Mistyped(Doubling):
    """Gives what its schema doesn't say."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield numbers for texts."""
        for each in traces:
            yield {"text": {1}, "license": each["license"]}


class Wanting(Doubling):
    """Lacks something that its rows promise."""

    def caveats(self) -> list[str]:
        """Say so."""
        return ["own: nobody knows whose"]


class Leaving(Doubling):
    """Takes none of the split `train`, and says so."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the others."""
        taken = list(traces)
        if any(each["split"] == "train" for each in taken):
            raise NoRows("too long")
        yield from [{"text": each["response"], "license": each["license"]} for each in taken]

    def facts(self) -> dict[str, Any]:
        """Count."""
        return {"some": 1}

    def losses(self, told: Sequence[Mapping[str, Any]]) -> list[str]:
        """Add up."""
        return [f"own: {sum(each['some'] for each in told)} of 3 are left out"]


class Whole(Doubling):
    """Takes a trace as the mapping that it is."""

    schema = pa.schema({"text": pa.string(), "license": pa.string()})
    one_to_one = True

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield what a dict of it says."""
        for each in traces:
            copied = dict(each)
            assert len(copied) == len(each)
            assert each.get("no such column") is None
            yield {"text": copied["response"], "license": copied["license"]}


class Short(Doubling):
    """Leaves out what people wrote in more than so many letters, and half of the rest."""

    schema = pa.schema([("sample_id", pa.string()), ("teacher", pa.string()), ("license", pa.string())])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield where each comes from."""
        kept = (each for each in traces if each["teacher"] or len(each["response"]) < len("I say so."))
        yield from ({name: each[name] for name in self.schema.names} for number, each in enumerate(kept) if number % 2)


class Packed(Short):
    """The same, several in a row."""

    names = pa.list_(pa.string())
    schema = pa.schema([("sample_id", names), ("teacher", names), ("license", pa.string())])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield one row of all."""
        rows = list(super().rows(traces))
        yield {name: [row[name] for row in rows] for name in ("sample_id", "teacher")} | {"license": "MIT"}


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Doubling]], None]:
    """Return what makes a class the exporter `own`."""

    def add(kind: type[Doubling]) -> None:
        built_in = {**EXPORTERS.built_in, "own": f"{__name__}:{kind.__name__}"}
        monkeypatch.setattr("tasks.exporters.making.EXPORTERS", dataclasses.replace(EXPORTERS, built_in=built_in))

    return add


class TestOthers:
    """Exporters that somebody else wrote."""

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_as_many_rows_as_it_likes(self, lake: Lake, plug_in: Callable[[type[Doubling]], None], shuffle: bool):
        """What gives more or fewer rows than there are traces fills shards that are alike in size all the same."""
        plug_in(Doubling)
        manifest = run(lake, 10, format="own", shards=2, shuffle=shuffle)
        assert (manifest["rows"], [shard["rows"] for shard in manifest["shards"]]) == (9, [5, 4])
        made = [row["text"].split()[0] for row in rows_of(lake, manifest)]
        assert sorted(made) == ["1", "2", "2", "4", "5", "5", "7", "8", "8"]
        assert (made == sorted(made)) is not shuffle

    def test_a_split_without_rows(self, lake: Lake, plug_in: Callable[[type[Doubling]], None]):
        """It is left out, and said to be, since `datasets` would load no split of a folder in which one is empty."""
        plug_in(Doubling)
        manifest = run(lake, [trace(n, split="validation" if n == 5 else "train") for n in range(6)], format="own")
        assert (list(manifest["splits"]), list(manifest["left_out"])) == (["train"], ["validation"])
        assert [shard["file"] for shard in manifest["shards"]] == ["train-00000-of-00001.parquet"]
        assert manifest["warnings"] == ["the split 'validation' has no rows in this form, and is left out of the export"]
        for name in ("README.md", "croissant.json"):
            assert "validation" not in (lake.root.parent / "out" / name).read_text()

    def test_a_split_of_which_nothing_is_left(self, lake: Lake, plug_in: Callable[[type[Doubling]], None]):
        """It is left out likewise, with what its exporter says of it; where there is no other, that is the error."""
        plug_in(Dropping)
        manifest = run(lake, [trace(n, split="validation" if n == 5 else "train") for n in range(6)], format="own")
        assert (list(manifest["splits"]), list(manifest["left_out"])) == (["train"], ["validation"])
        assert "every trace was dropped (in the split 'validation')" in manifest["warnings"]
        with pytest.raises(SpecError, match=r"every trace was dropped$"):
            run(lake, [trace(5)], format="own")

    def test_what_is_left_out(self, lake: Lake, tmp_path: Path, plug_in: Callable[[type[Doubling]], None]):
        """It is said of all splits at once; and of a mix into a split of which nothing is left, that nothing is mixed in."""
        plug_in(Leaving)
        (tmp_path / "human.jsonl").write_text('{"prompt": "H", "response": "h"}\n')
        mix = [{"source": str(tmp_path / "human.jsonl"), "share": 0.2, "license": "CC-BY-SA-4.0", "attribution": "Ada"}]
        manifest = run(lake, [trace(n, split="train" if n else "test") for n in range(5)], format="own", mix=mix)
        assert manifest["caveats"] == ["own: 2 of 3 are left out"]
        assert {"exports: own: 2 of 3 are left out", "mix: nothing is mixed in, since nothing is left of the split 'train'"} <= {
            *manifest["warnings"]
        }
        assert (manifest["mix"][0]["rows"], manifest["mix"][0]["reached"], manifest["license"]) == (0, 0, LICENSE)
        assert "Ada" not in (tmp_path / "out" / "NOTICE").read_text() + (tmp_path / "out" / "README.md").read_text()

    def test_what_is_lacking(self, lake: Lake, plug_in: Callable[[type[Doubling]], None]):
        """It is said once, however many splits there are, and stands in the card."""
        plug_in(Wanting)
        manifest = run(lake, [trace(n, split="train" if n % 3 else "test") for n in range(10)], format="own")
        assert len(manifest["splits"]) == 2
        assert manifest["warnings"] == ["exports: own: nobody knows whose"]
        assert (lake.root.parent / "out" / "README.md").read_text().count("- own: nobody knows whose") == 1

    def test_a_trace_is_a_mapping(self, lake: Lake, plug_in: Callable[[type[Doubling]], None]):
        """It has all columns of the table, and copies to a dict."""
        plug_in(Whole)
        assert [row["text"] for row in rows_of(lake, run(lake, 3, format="own"))] == ["A0", "A1", "A2"]

    def test_a_wrong_promise(self, lake: Lake, plug_in: Callable[[type[Doubling]], None]):
        """One that gives another number of rows than it says is refused, and nothing is written."""
        plug_in(Liar)
        with pytest.raises(SpecError, match="promised 10 rows and gave another number"):
            run(lake, 10, format="own")
        assert not (lake.root.parent / "out").exists()

    def test_without_a_license(self, plug_in: Callable[[type[Doubling]], None]):
        """Rows that nobody may use are not written."""
        plug_in(Unlicensed)
        with pytest.raises(SpecError, match="no column `license`"):
            make(ExportOptions(format="own", to="out"))

    @pytest.mark.parametrize(
        ("kind", "why", "file"),
        [
            (NoColumn, "a row has the columns", "parquet"),
            (Blank, "a row has no license", "parquet"),
            (Raising, "KeyError: 'no such column'", "parquet"),
            (Stopping, "it says that it has no rows behind 1 of them: enough", "parquet"),
            (Mistyped, "own", "parquet"),
            (Mistyped, "own", "jsonl"),
        ],
    )
    def test_a_broken_one(self, lake: Lake, plug_in: Callable[[type[Doubling]], None], kind: type[Doubling], why: str, file: str):
        """It is one line that names it, and nothing is written."""
        plug_in(kind)
        with pytest.raises(SpecError, match=r"the exporter 'own' is broken") as caught:
            run(lake, 10, format="own", file=file)
        assert why in str(caught.value)
        assert not (lake.root.parent / "out").exists()

    def test_in_one_split(self, lake: Lake, plug_in: Callable[[type[Doubling]], None]):
        """Where there are several, the split is named."""
        plug_in(Liar)
        with pytest.raises(SpecError, match=r"promised 2 rows .* \(in the split 'test'\)"):
            run(lake, [trace(n, split="train" if n < 3 else "test") for n in range(5)], format="own")


class TestMix:
    """What people wrote, at a stated share."""

    @pytest.fixture
    def human(self, tmp_path: Path) -> str:
        """Give a file of ten rows."""
        path = tmp_path / "human.jsonl"
        path.write_text("".join(json.dumps({"prompt": f"H{n}", "response": f"I say {n}"}) + "\n" for n in range(10)))
        return str(path)

    @EVERY_FILE
    def test_stands_in_the_shards_and_in_the_documents(self, tmp_path: Path, human: str, file: str):
        """A fifth of the rows is human, under its own licence, and the whole under both."""
        lake = Lake.at(str(tmp_path / "lake"))
        mix = [{"source": human, "share": 0.2, "license": "CC-BY-SA-4.0", "attribution": "Ada"}]
        manifest = run(lake, 16, file=file, shards=2, mix=mix)
        assert manifest["rows"] == 20
        assert [(each["rows"], each["reached"]) for each in manifest["mix"]] == [(4, 0.2)]
        assert not manifest["warnings"]
        assert manifest["license"] == "CC-BY-4.0 AND Apache-2.0 AND CC-BY-SA-4.0"
        out = tmp_path / "out"
        assert "Ada" in (out / "NOTICE").read_text()
        assert "Beside the traces stands what people wrote" in (out / "README.md").read_text()
        if file != "tar":
            rows = rows_of(lake, manifest)
            human_rows = [row for row in rows if row["teacher"] is None]
            assert [row["license"] for row in human_rows] == ["CC-BY-SA-4.0"] * 4
            assert all(row["messages"][-1]["content"].startswith("I say") for row in human_rows)

    @pytest.mark.parametrize("kind", [Short, Packed])
    def test_what_a_form_leaves_out(
        self, tmp_path: Path, human: str, plug_in: Callable[[type[Doubling]], None], kind: type[Doubling]
    ):
        """What is said of each source is said of the rows that were written: a source of which none is left isn't credited."""
        plug_in(kind)
        long = tmp_path / "long.jsonl"
        long.write_text("".join(json.dumps({"prompt": f"L{n}", "response": f"I say so {n}"}) + "\n" for n in range(10)))
        mix = [{"source": path, "share": 0.2, "license": name} for path, name in ((human, "CC0-1.0"), (str(long), "CC-BY-4.0"))]
        manifest = run(Lake.at(str(tmp_path / "lake")), 24, format="own", mix=mix)
        whole = sum(
            len(row["sample_id"]) if kind is Packed else 1 for row in load(tmp_path / "out" / "train-00000-of-00001.parquet")
        )
        mine, other = manifest["mix"]
        assert whole == 16
        assert (mine["rows"], mine["reached"]) == (8, 0.5)
        assert (other["rows"], other["reached"]) == (0, 0)
        assert "long.jsonl" not in (tmp_path / "out" / "NOTICE").read_text()

    def test_only_in_train(self, tmp_path: Path, human: str):
        """What is held back stays as it is."""
        lake = Lake.at(str(tmp_path / "lake"))
        rows = [trace(n, split="train" if n < 6 else "test") for n in range(10)]
        manifest = run(lake, rows, mix=[{"source": human, "share": 0.5, "license": "MIT"}])
        assert {name: each["rows"] for name, each in manifest["splits"].items()} == {"train": 12, "test": 4}

    def test_no_prompt_of_another_split(self, tmp_path: Path, human: str):
        """A row whose prompt is held back for a test is left out, however it is written, and the manifest says so."""
        lake = Lake.at(str(tmp_path / "lake"))
        rows = [trace(n) for n in range(6)] + [trace(7, split="test", prompt=" h3 "), trace(8, split="validation", prompt="H4")]
        manifest = run(lake, rows, mix=[{"source": human, "share": 0.5, "license": "MIT"}])
        assert (manifest["mix"][0]["held_back"], manifest["mix"][0]["available"]) == (2, 8)
        assert "2 rows" in manifest["warnings"][0]
        said = [row["messages"][-1]["content"] for row in rows_of(lake, manifest)]
        assert not {"I say 3", "I say 4"} & set(said)

    def test_too_few_are_told(self, tmp_path: Path, human: str):
        """The manifest says which share was reached."""
        lake = Lake.at(str(tmp_path / "lake"))
        manifest = run(lake, 30, mix=[{"source": human, "share": 0.5, "license": "MIT"}])
        assert manifest["mix"][0]["reached"] == 0.25
        assert "has only 10 different rows, so its share is 25.0% and not 50.0%" in manifest["warnings"][0]

    def test_same_bytes(self, tmp_path: Path, human: str):
        """Mixed shards are the same every time."""
        lake = Lake.at(str(tmp_path / "lake"))
        mix = [{"source": human, "share": 0.3, "license": "MIT"}]
        run(lake, 16, mix=mix, shuffle=True)
        first = shards_in(tmp_path / "out")
        run(lake, 16, mix=mix, shuffle=True)
        assert shards_in(tmp_path / "out") == first

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"mix": [{"source": "a", "share": 0.6}, {"source": "b", "share": 0.4}]}, r"exports\[0\]\.mix: the shares add up"),
            ({"format": "preference", "mix": [{"source": "a", "share": 0.6}]}, r"exports\[0\]\.mix: preference sets"),
        ],
    )
    def test_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str):
        """What makes no sense is found before anything is spent."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SpecError, match=said):
            check_exports([ExportOptions(**({"to": "one"} | given))], Lake(tmp_path / "lake"))
