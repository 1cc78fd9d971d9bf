"""Prompt sources: files in, prompts out, and an error that names file and place."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.identity import prompt_id
from storage.records import Message
from tasks.sources import Fields, PromptSource, read_prompts
from tests.fakes import user
from tests.tasks.sources.house import jsonl, read, text, texts

BOM = b"\xef\xbb\xbf"


def pack(content: bytes, ending: str) -> bytes:
    """Return packed bytes."""
    match ending.lower():
        case ".gz":
            return gzip.compress(content)
        case ".bz2":
            return bz2.compress(content)
        case ".xz":
            return lzma.compress(content)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


class TestFields:
    """What of a row becomes what."""

    def test_least(self, tmp_path: Path):
        """A prompt needs its text alone; its id is then the content's address."""
        (one,) = read(jsonl(tmp_path, {"prompt": "Hi"}))
        assert one.prompt.messages == user("Hi")
        assert one.prompt.prompt_id == prompt_id(
            messages=user("Hi"), reference=None, tests=None, tags={}, license=one.prompt.license
        )
        assert (one.given, one.place) == (False, f"{tmp_path}/p.jsonl:1")
        assert (one.prompt.license, one.prompt.source, one.prompt.generation) == ("CC0-1.0", f"{tmp_path}/p.jsonl", 0)

    def test_own_names(self, tmp_path: Path):
        """Columns of the very names are taken without being listed."""
        row = {"id": 7, "prompt": "Hi", "reference": 4.5, "tests": "assert True", "tags": {"a": "b", "n": 1, "none": None}}
        (one,) = read(jsonl(tmp_path, row))
        assert (one.prompt.prompt_id, one.given) == ("7", True)
        assert (one.prompt.reference, one.prompt.tests, one.prompt.tags) == ("4.5", "assert True", {"a": "b", "n": "1"})

    def test_named(self, tmp_path: Path):
        """Other columns are named by the spec."""
        fields = {"id": "key", "prompt": "question", "reference": "answer", "tests": "cases", "tags": ["topic", "level", "none"]}
        cases = [{"stdin": "1", "stdout": "2"}]
        row = {
            "key": "a",
            "question": "Hi",
            "answer": "4",
            "cases": cases,
            "topic": "sums",
            "level": 3,
            "none": None,
            "prompt": "no",
        }
        (one,) = read(jsonl(tmp_path, row), fields=fields)
        assert (one.prompt.prompt_id, one.prompt.prompt, one.prompt.reference) == ("a", "Hi", "4")
        assert json.loads(one.prompt.tests or "") == cases
        assert one.prompt.tags == {"topic": "sums", "level": "3"}

    @pytest.mark.parametrize(("value", "expected"), [({"a": "b"}, {"a": "b"}), ("sums", {"kind": "sums"}), (None, {})], ids=repr)
    def test_one_tags_column(self, tmp_path: Path, value: Any, expected: dict[str, str]):
        """One tags column may hold a mapping or a text."""
        (one,) = read(jsonl(tmp_path, {"prompt": "Hi", "kind": value}), fields=Fields(tags="kind"))
        assert one.prompt.tags == expected

    def test_messages(self, tmp_path: Path):
        """A whole conversation keeps its turns; the prompt's text is the last user turn."""
        turns = [{"role": r, "content": r[0]} for r in ("system", "user", "assistant", "user")]
        (one,) = read(jsonl(tmp_path, {"messages": turns}))
        assert one.prompt.messages == tuple(Message(**turn) for turn in turns)
        assert one.prompt.prompt == "u"

    def test_prompt_before_messages(self, tmp_path: Path):
        """Where a row has both, `prompt` counts unless the spec names `messages`."""
        path = jsonl(tmp_path, {"prompt": "P", "messages": [{"role": "user", "content": "M"}]})
        assert texts(path) == ["P"]
        assert texts(path, fields={"messages": "messages"}) == ["M"]

    @pytest.mark.parametrize("number", [2**53 + 1, 2**64, 10**30, -(10**30), 10**25 + 1], ids=str)
    def test_long_integers_stay_exact(self, tmp_path: Path, number: int):
        """An integer is its digits, however many."""
        (one,) = read(jsonl(tmp_path, {"prompt": "Hi", "reference": number}))
        assert one.prompt.reference == str(number)

    @pytest.mark.parametrize("digits", ["3.14159265358979323846", "1234567890123456.78", "9007199254740993.0", "0.5", "1e23"])
    def test_long_decimals_stay_exact(self, tmp_path: Path, digits: str):
        """So is a decimal that has more digits than a double holds, as a text and in a mapping; any other is as Python writes it."""
        line = f'{{"prompt": "Hi", "reference": {digits}, "tags": {{"one": {digits}, "list": [{digits}]}}}}'
        (one,) = read(jsonl(tmp_path, line.encode()))
        long = len(digits) > 5
        assert one.prompt.reference == one.prompt.tags["one"] == (digits if long else str(float(digits)))
        assert one.prompt.tags["list"] == (f'["{digits}"]' if long else f"[{float(digits)}]")

    def test_ids_that_differ_in_their_last_digit(self, tmp_path: Path):
        """They are two, of integers beyond 64 bits too, in each form that has numbers."""
        numbers = [2**64, 2**64 + 1, -(2**63) - 1, -(2**63) - 2]
        rows = [{"id": number, "prompt": "Hi"} for number in numbers]
        (tmp_path / "array.json").write_text(json.dumps(rows))
        table = pa.table({"id": pa.array(list(map(Decimal, numbers)), pa.decimal128(38, 0)), "prompt": ["Hi"] * len(numbers)})
        pq.write_table(table, tmp_path / "table.parquet")
        for path in (jsonl(tmp_path, *rows), tmp_path / "array.json", tmp_path / "table.parquet"):
            assert [each.prompt.prompt_id for each in read(path)] == list(map(str, numbers))


class TestLicenses:
    """Each row's own licence."""

    def test_by_row(self, tmp_path: Path):
        """A named column holds each row's licence; a row without one has none."""
        path = jsonl(tmp_path, *({"prompt": "a", "spdx": license_} for license_ in ("MIT", None, " ", " CC0-1.0 ")))
        found = list(read_prompts(PromptSource(source=str(path), fields=Fields(license="spdx")), license=None, seed=0))
        assert [each.prompt.license for each in found] == ["MIT", None, None, "CC0-1.0"]
        assert len({each.prompt.prompt_id for each in found}) == 3

    def test_the_source_s_for_the_rest(self, tmp_path: Path):
        """Where the source has a licence too, it is that of the rows without one."""
        path = jsonl(tmp_path, {"prompt": "a", "spdx": "MIT"}, {"prompt": "b", "spdx": None})
        assert [each.prompt.license for each in read(path, fields={"license": "spdx"})] == ["MIT", "CC0-1.0"]

    def test_only_where_it_is_named(self, tmp_path: Path):
        """A column that happens to be called license is no claim of the user's."""
        (one,) = read(jsonl(tmp_path, {"prompt": "a", "license": "MIT"}))
        assert one.prompt.license == "CC0-1.0"

    def test_without(self, tmp_path: Path):
        """A held-out benchmark is read without any."""
        source = PromptSource(source=str(jsonl(tmp_path, {"prompt": "a"})))
        assert [each.prompt.license for each in read_prompts(source, license=None, seed=0)] == [None]

    def test_by_row_or_not(self):
        """A source says whether its rows have licences of their own."""
        assert not PromptSource(source="p.jsonl").licensed_by_row
        assert PromptSource(source="p.jsonl", fields=Fields(license="spdx")).licensed_by_row


class TestForms:
    """The kinds of files."""

    @pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".JSONL"])
    def test_json_lines(self, tmp_path: Path, ending: str):
        """One object a line; blank lines, Windows' line ends and a missing last one are all right."""
        path = text(tmp_path, '{"prompt": "a"}\r\n\n  \n{"prompt": "b\\n\\u2028"}', f"p{ending}")
        assert texts(path) == ["a", "b\n\u2028"]

    @pytest.mark.parametrize("indent", [None, 2])
    def test_array(self, tmp_path: Path, indent: int | None, monkeypatch: pytest.MonkeyPatch):
        """`.json` is an array of objects, however it is written, read in pieces of any size."""
        odd = ['"', "\\", '\\"', "]}", "{[,", "\n\u2028", "ä😀" * 40, ""]
        rows = [{"prompt": f"{n} {text_}", "more": {"list": [text_, {"x": []}]}} for n, text_ in enumerate(odd * 3)]
        path = text(tmp_path, BOM + json.dumps(rows, indent=indent, ensure_ascii=indent is None).encode() + b"\n", "p.json")
        for size in (*range(3, 40), 1 << 20):
            monkeypatch.setattr("tasks.sources.arrays._CHUNK", size)
            assert texts(path) == [row["prompt"] for row in rows]
        assert read(path)[1].place == f"{path}: row 2"

    def test_lines_of_json(self, tmp_path: Path):
        """One object a line is read under that ending too, as many write it."""
        path = jsonl(tmp_path, {"prompt": "a"}, {"prompt": "b"}, name="p.json")
        assert [each.place for each in read(path)] == [f"{path}:1", f"{path}:2"]

    @pytest.mark.parametrize(
        ("name", "content"), [("p.json", b'[{"prompt": "a"}]'), ("p.jsonl", b'{"prompt": "a"}\n'), ("p.csv", b"prompt\na\n")]
    )
    def test_byte_order_mark(self, tmp_path: Path, name: str, content: bytes):
        """The byte order mark that Windows' editors write is no part of the text."""
        assert texts(text(tmp_path, BOM + content, name)) == ["a"]

    def test_csv(self, tmp_path: Path):
        """Quotes, commas and line breaks inside cells are CSV's own; an empty cell is nothing."""
        path = text(tmp_path, 'prompt,reference,tags\n"a, ""b""\nc",,\nd,4,\n', "p.csv")
        found = read(path)
        assert [(f.prompt.prompt, f.prompt.reference) for f in found] == [('a, "b"\nc', None), ("d", "4")]

    def test_parquet(self, tmp_path: Path):
        """Parquet keeps lists, structs and maps."""
        rows = {
            "messages": [[{"role": "user", "content": "a"}]],
            "tests": [[{"stdin": "1", "stdout": "2"}]],
            "tags": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
        }
        pq.write_table(pa.table(rows), tmp_path / "p.parquet")
        (one,) = read(tmp_path / "p.parquet")
        assert (one.prompt.prompt, one.prompt.tags, one.place) == ("a", {"k": "v"}, f"{tmp_path}/p.parquet: row 1")
        assert json.loads(one.prompt.tests or "") == [{"stdin": "1", "stdout": "2"}]

    def test_tsv(self, tmp_path: Path):
        """Tabs part the cells where the ending says so, and commas are text."""
        assert texts(text(tmp_path, 'prompt\treference\na, b\t4\n"c\td"\t\n', "p.tsv")) == ["a, b", "c\td"]

    @pytest.mark.parametrize("form", ["stream", "file"])
    def test_arrow(self, tmp_path: Path, form: str):
        """Arrow is read in both of its forms, and columns that nobody names may be of any type."""
        table = pa.table({"prompt": [str(n) for n in range(2_500)], "image": [b"x"] * 2_500})
        path = tmp_path / "p.arrow"
        with (pa.ipc.new_stream if form == "stream" else pa.ipc.new_file)(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1_100)
        found = read(path)
        assert [each.prompt.prompt for each in found] == table["prompt"].to_pylist()
        assert found[-1].place == f"{path}: row 2500"

    @pytest.mark.parametrize("packed", [".gz", ".bz2", ".zst", ".xz", ".GZ"])
    @pytest.mark.parametrize(
        ("ending", "content"), [(".jsonl", b'{"prompt": "a"}\n'), (".csv", b"prompt\na\n"), (".json", b'[{"prompt": "a"}]')]
    )
    def test_packed(self, tmp_path: Path, ending: str, content: bytes, packed: str):
        """JSONL, CSV and JSON may be packed."""
        assert texts(text(tmp_path, pack(content, packed), f"p{ending}{packed}")) == ["a"]

    @pytest.mark.parametrize("packed", [".gz", ".bz2", ".zst", ".xz"])
    def test_packed_in_pieces(self, tmp_path: Path, packed: str):
        """Packed files that were put one behind the other are one file."""
        content = b"".join(pack(b'{"prompt": "%d"}\n' % n, packed) for n in range(3))
        assert texts(text(tmp_path, content, f"p.jsonl{packed}")) == ["0", "1", "2"]

    def test_decimals(self, tmp_path: Path):
        """DuckDB writes 1.50 as a decimal, which is a number like any other."""
        pq.write_table(pa.table({"prompt": ["a"], "reference": [Decimal("1.50")]}), tmp_path / "p.parquet")
        (one,) = read(tmp_path / "p.parquet")
        assert one.prompt.reference == "1.50"

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_single_precision(self, tmp_path: Path, form: str):
        """A number of single precision is what was written, and not the nearest that is a double."""
        table = pa.table({"prompt": ["a", "b"], "reference": pa.array([0.1, 2.5], pa.float32())})
        path = tmp_path / f"p.{form}"
        if form == "parquet":
            pq.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
                stream.write_table(table)
        assert [each.prompt.reference for each in read(path)] == ["0.1", "2.5"]

    def test_glob(self, tmp_path: Path):
        """A pattern takes its files in the order of their names, folders below included."""
        jsonl(tmp_path, {"prompt": "b"}, name="b.jsonl")
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        jsonl(tmp_path, {"prompt": "c"}, name="sub/c.jsonl")
        (tmp_path / "d.jsonl").mkdir()
        assert texts(tmp_path / "**" / "*.jsonl") == ["a", "b", "c"]
        assert texts(tmp_path / "**" / "**" / "*.jsonl") == ["a", "b", "c"]

    def test_a_name_that_is_no_text(self, tmp_path: Path):
        """A file's name may have any bytes: its prompts' places are texts, which tables hold."""
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/p\xff.jsonl")).write_bytes(b'{"prompt": "a"}\n')
        assert [each.place for each in [*read(tmp_path / "*.jsonl"), *read(tmp_path)]] == [f"{tmp_path}/p\ufffd.jsonl:1"] * 2

    def test_a_name_that_looks_like_a_pattern(self, tmp_path: Path):
        """A file that is there is that file."""
        assert texts(jsonl(tmp_path, {"prompt": "a"}, name="p[1].jsonl")) == ["a"]


class TestSome:
    """`limit` and `sample`."""

    def test_limit(self, tmp_path: Path):
        """The first prompts are taken, over all files; what comes after isn't even read."""
        jsonl(tmp_path, {"prompt": "a"}, {"prompt": "b"}, name="1.jsonl")
        jsonl(tmp_path, {"prompt": "c"}, b"not JSON", name="2.jsonl")
        assert texts(tmp_path / "*.jsonl", limit=3) == ["a", "b", "c"]

    def test_sample_is_stable(self, tmp_path: Path):
        """The same rows are chosen each time, and of a source that has grown the same and some of the new."""
        rows = [{"prompt": str(n)} for n in range(400)]
        short = texts(jsonl(tmp_path, *rows[:200]), sample=0.5)
        long = texts(jsonl(tmp_path, *rows), sample=0.5)
        assert long[: len(short)] == short
        assert all(int(number) >= 200 for number in long[len(short) :])
        assert 70 < len(short) < 130

    def test_sample_by_seed(self, tmp_path: Path):
        """Another seed chooses others."""
        path = jsonl(tmp_path, *({"prompt": str(n)} for n in range(200)))
        source = PromptSource(source=str(path), sample=0.5)
        chosen = [[f.prompt.prompt for f in read_prompts(source, license="MIT", seed=seed)] for seed in (1, 2)]
        assert chosen[0] != chosen[1]

    def test_sample_and_limit(self, tmp_path: Path):
        """With both, the first of the chosen ones are taken."""
        path = jsonl(tmp_path, *({"prompt": str(n)} for n in range(200)))
        assert texts(path, sample=0.5, limit=10) == texts(path, sample=0.5)[:10]

    @pytest.mark.parametrize(
        "given", [{"limit": 0}, {"sample": 0}, {"sample": 1.5}, {"generation": -1}, {"source": ""}, {"lisense": "MIT"}]
    )
    def test_options_that_make_no_sense(self, given: dict[str, Any]):
        """A bound that takes nothing, or an unknown key, is refused."""
        with pytest.raises(ValidationError):
            PromptSource(**({"source": "p.jsonl"} | given))
