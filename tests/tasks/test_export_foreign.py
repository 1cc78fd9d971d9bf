"""Export by somebody else's exporter: what it may do, and what it is held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import SpecError
from storage.lake import Lake
from tasks.export import ExportOptions, make
from tests.tasks.exported import rows_of
from tests.tasks.foreign_exporters import (
    Blank,
    Doubling,
    Dropping,
    Leaving,
    Liar,
    Mistyped,
    NoColumn,
    Raising,
    Stopping,
    Unlicensed,
    Wanting,
    Whole,
    plug_in,
)
from tests.tasks.landed import LICENSE, run, trace


class TestOthers:
    """Exporters that somebody else wrote."""

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_as_many_rows_as_it_likes(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, shuffle: bool):
        """What gives more or fewer rows than there are traces fills shards that are alike in size all the same."""
        plug_in(monkeypatch, Doubling)
        manifest = run(lake, 10, format="own", shards=2, shuffle=shuffle)
        assert (manifest["rows"], [shard["rows"] for shard in manifest["shards"]]) == (9, [5, 4])
        made = [row["text"].split()[0] for row in rows_of(lake, manifest)]
        assert sorted(made) == ["1", "2", "2", "4", "5", "5", "7", "8", "8"]
        assert (made == sorted(made)) is not shuffle

    def test_a_split_without_rows(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """It is left out, and said to be, since `datasets` would load no split of a folder in which one is empty."""
        plug_in(monkeypatch, Doubling)
        manifest = run(lake, [trace(n, split="validation" if n == 5 else "train") for n in range(6)], format="own")
        assert (list(manifest["splits"]), list(manifest["left_out"])) == (["train"], ["validation"])
        assert [shard["file"] for shard in manifest["shards"]] == ["train-00000-of-00001.parquet"]
        assert manifest["warnings"] == ["the split 'validation' has no rows in this form, and is left out of the export"]
        for name in ("README.md", "croissant.json"):
            assert "validation" not in (lake.root.parent / "out" / name).read_text()

    def test_a_split_of_which_nothing_is_left(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """It is left out likewise, with what its exporter says of it; where there is no other, that is the error."""
        plug_in(monkeypatch, Dropping)
        manifest = run(lake, [trace(n, split="validation" if n == 5 else "train") for n in range(6)], format="own")
        assert (list(manifest["splits"]), list(manifest["left_out"])) == (["train"], ["validation"])
        assert "every trace was dropped (in the split 'validation')" in manifest["warnings"]
        with pytest.raises(SpecError, match=r"every trace was dropped$"):
            run(lake, [trace(5)], format="own")

    def test_what_is_left_out(self, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """It is said of all splits at once; and of a mix into a split of which nothing is left, that nothing is mixed in."""
        plug_in(monkeypatch, Leaving)
        (tmp_path / "human.jsonl").write_text('{"prompt": "H", "response": "h"}\n')
        mix = [{"source": str(tmp_path / "human.jsonl"), "share": 0.2, "license": "CC-BY-SA-4.0", "attribution": "Ada"}]
        manifest = run(lake, [trace(n, split="train" if n else "test") for n in range(5)], format="own", mix=mix)
        assert manifest["caveats"] == ["own: 2 of 3 are left out"]
        assert {"exports: own: 2 of 3 are left out", "mix: nothing is mixed in, since nothing is left of the split 'train'"} <= {
            *manifest["warnings"]
        }
        assert (manifest["mix"][0]["rows"], manifest["mix"][0]["reached"], manifest["license"]) == (0, 0, LICENSE)
        assert "Ada" not in (tmp_path / "out" / "NOTICE").read_text() + (tmp_path / "out" / "README.md").read_text()

    def test_what_is_lacking(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """It is said once, however many splits there are, and stands in the card."""
        plug_in(monkeypatch, Wanting)
        manifest = run(lake, [trace(n, split="train" if n % 3 else "test") for n in range(10)], format="own")
        assert len(manifest["splits"]) == 2
        assert manifest["warnings"] == ["exports: own: nobody knows whose"]
        assert (lake.root.parent / "out" / "README.md").read_text().count("- own: nobody knows whose") == 1

    def test_a_trace_is_a_mapping(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """It has all columns of the table, and copies to a dict."""
        plug_in(monkeypatch, Whole)
        assert [row["text"] for row in rows_of(lake, run(lake, 3, format="own"))] == ["A0", "A1", "A2"]

    def test_a_wrong_promise(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """One that gives another number of rows than it says is refused, and nothing is written."""
        plug_in(monkeypatch, Liar)
        with pytest.raises(SpecError, match="promised 10 rows and gave another number"):
            run(lake, 10, format="own")
        assert not (lake.root.parent / "out").exists()

    def test_without_a_license(self, monkeypatch: pytest.MonkeyPatch):
        """Rows that nobody may use are not written."""
        plug_in(monkeypatch, Unlicensed)
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
    def test_a_broken_one(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, kind: type[Doubling], why: str, file: str):
        """It is one line that names it, and nothing is written."""
        plug_in(monkeypatch, kind)
        with pytest.raises(SpecError, match=r"the exporter 'own' is broken") as caught:
            run(lake, 10, format="own", file=file)
        assert why in str(caught.value)
        assert not (lake.root.parent / "out").exists()

    def test_in_one_split(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """Where there are several, the split is named."""
        plug_in(monkeypatch, Liar)
        with pytest.raises(SpecError, match=r"promised 2 rows .* \(in the split 'test'\)"):
            run(lake, [trace(n, split="train" if n < 3 else "test") for n in range(5)], format="own")
