"""Export with what people wrote, at a stated share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.errors import SpecError
from storage.lake import Lake
from tasks.export import ExportOptions, check_exports
from tests.tasks.exported import EVERY_FILE, load, rows_of, shards_in
from tests.tasks.foreign_exporters import Doubling, Packed, Short, plug_in
from tests.tasks.landed import run, trace


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
    def test_what_a_form_leaves_out(self, tmp_path: Path, human: str, monkeypatch: pytest.MonkeyPatch, kind: type[Doubling]):
        """What is said of each source is said of the rows that were written: a source of which none is left isn't credited."""
        plug_in(monkeypatch, kind)
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

    def test_the_same_prompt_in_other_letters(self, tmp_path: Path):
        """Prompts are the same here that dedup and the splits take for the same."""
        pairs = {"İSTANBUL?": "istanbul?", "Straße?": "STRASSE?", "ποιος;": "ΠΟΙΟΣ;", "a b": "a\x1cb"}
        path = tmp_path / "letters.jsonl"
        path.write_text("".join(json.dumps({"prompt": text, "response": "yes"}) + "\n" for text in [*pairs.values(), "other"]))
        rows = [trace(n) for n in range(6)] + [trace(7 + n, split="test", prompt=text) for n, text in enumerate(pairs)]
        mix = [{"source": str(path), "share": 0.1, "license": "MIT"}]
        manifest = run(Lake.at(str(tmp_path / "lake")), rows, mix=mix)
        assert (manifest["mix"][0]["held_back"], manifest["mix"][0]["available"]) == (4, 1)

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
