"""Export: a build's traces as training shards."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import SpecError
from storage.lake import Lake
from tasks.export import ExportOptions, check_exports, export
from tests.fakes import listing
from tests.tasks.exported import DOCUMENTS, EVERY_FILE, FILES, expected, numbers, rows_of, shards_in
from tests.tasks.landed import LICENSE, land, run, trace


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
