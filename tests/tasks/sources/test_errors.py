"""Every bad input names the file, the place in it and what is wrong there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from storage.errors import SourceError
from tests.fakes import NOON
from tests.tasks.sources.house import jsonl, read, text
from tests.tasks.sources.test_read import pack

GOOD = {"prompt": "a"}
ROWS = {
    "a list": ([1], {}, "a line must be a JSON object, and this is a list"),
    "a field that isn't there": ({"question": "a"}, {"prompt": "text"}, "no column 'text' (for prompt); there are 'question'"),
    "no prompt": ({"question": "a"}, {}, "no column 'prompt' (for prompt); there are 'question'"),
    "an empty row": ({}, {}, "no column 'prompt' (for prompt); there are none"),
    "an empty prompt": ({"prompt": ""}, {}, "the prompt ('prompt') is empty"),
    "a blank prompt": ({"prompt": " \n"}, {}, "the prompt ('prompt') is no text"),
    "a prompt of another name": ({"q": ""}, {"prompt": "q"}, "the prompt ('q') is empty"),
    "a prompt that is a number": ({"prompt": 4}, {}, "the prompt ('prompt') is no text"),
    "a prompt that is null": ({"prompt": None}, {}, "the prompt ('prompt') is empty"),
    "an empty id": ({"id": " "} | GOOD, {}, "the id is empty"),
    "an id that is true": ({"id": True} | GOOD, {}, "id must be a text or a number, and this is a bool"),
    "a reference that is a list": ({"reference": ["4"]} | GOOD, {}, "reference must be a text or a number, and this is a list"),
    "a named reference": (
        {"answer": {}} | GOOD,
        {"reference": "answer"},
        "answer must be a text or a number, and this is a dict",
    ),
    "tests that are pairs of others": (
        {"tests": [{"in": "1"}]} | GOOD,
        {},
        "tests must be Python source or a list of {stdin, stdout}",
    ),
    "tests that are a number": ({"tests": 1} | GOOD, {}, "tests must be Python source or a list of {stdin, stdout}"),
    "a licence that is a list": ({"spdx": ["MIT"]} | GOOD, {"license": "spdx"}, "spdx must be an SPDX expression"),
    "tags that are a list": ({"tags": ["a"]} | GOOD, {}, "tags must be a mapping of names to texts"),
    "a tag that is a list": ({"topic": []} | GOOD, {"tags": ["topic"]}, "topic must be a text or a number, and this is a list"),
    "no messages": ({"messages": []}, {}, "messages must be a list of {role, content} that isn't empty"),
    "messages that are a text": ({"messages": "a"}, {}, "messages must be a list of {role, content} that isn't empty"),
    "another role": (
        {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]},
        {},
        "message 2 must have a role (system, user, assistant) and a text as content",
    ),
    "a turn without content": (
        {"messages": [{"role": "user"}]},
        {},
        "message 1 must have a role (system, user, assistant) and a text",
    ),
    "the assistant last": (
        {"messages": [{"role": "assistant", "content": "a"}]},
        {},
        "the last message must be the user's, and not empty",
    ),
    "a turn that calls a tool": (
        {"messages": [{"role": "assistant", "content": "a", "tool_calls": [{"id": "1"}]}, {"role": "user", "content": "b"}]},
        {},
        "message 1 calls tools, which a conversation here can't",
    ),
    "a turn that calls a function": (
        {"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f"}}, {"role": "user", "content": "b"}]},
        {},
        "message 1 calls tools, which a conversation here can't",
    ),
    "an empty last turn": (
        {"messages": [{"role": "user", "content": " "}]},
        {},
        "the last message must be the user's, and not empty",
    ),
}
LINES = {
    "broken JSON": (b'{"prompt": "a"', "not JSON: "),
    "half of another file": (b'"a"}', "not JSON: "),
    "a byte that isn't UTF-8": (b'{"prompt": "\xe4"}', "not UTF-8: byte 0xe4 at column 13; save it as UTF-8"),
    "half a surrogate pair": (b'{"prompt": "\\ud83d"}', "not JSON: "),
    "not a number": (b'{"prompt": "a", "reference": NaN}', "not JSON: "),
    "a key twice": (b'{"prompt": "a", "id": "1", "prompt": "b"}', "has several columns 'prompt'; rename those that aren't meant"),
    "a key twice, once escaped": (b'{"prompt": "a", "pro\\u006dpt": "b"}', "has several columns 'prompt'; rename those"),
    "an array over lines": (b'[{"prompt": "a"},', "not JSON: unexpected end of data at column 1; a line must be a JSON object"),
}


@pytest.mark.parametrize(("row", "fields", "message"), ROWS.values(), ids=ROWS)
def test_row(tmp_path: Path, row: Any, fields: dict[str, Any], message: str):
    """A row that is no prompt is named by its line."""
    columns = [name for given in fields.values() for name in ([given] if isinstance(given, str) else given)]
    path = jsonl(tmp_path, GOOD | dict.fromkeys(columns, "x"), row)
    with pytest.raises(SourceError) as caught:
        read(path, fields=fields)
    assert str(caught.value).startswith(f"{path}:2: {message}")


@pytest.mark.parametrize(("line", "message"), LINES.values(), ids=LINES)
def test_line_17(tmp_path: Path, line: bytes, message: str):
    """A line that can't be read is named, with the column where that is known."""
    path = jsonl(tmp_path, *[GOOD] * 16, line)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:17: {message}")


CSV = {
    "too few cells": ("prompt,reference\na,1\nb\n", 3, "has another number of cells than the head line's 2"),
    "too many cells": ("prompt\na\nb,c\n", 3, "has another number of cells than the head line's 1"),
    "a quote that doesn't end": ('prompt\na\n"b\n', 3, "not CSV: unexpected end of data"),
    "a quote in the middle": ('prompt\na\n"b"c\n', 3, "not CSV: "),
    "an empty prompt": ("id,prompt\n1,a\n2,\n", 3, "the prompt ('prompt') is empty"),
    "Latin-1": (b"prompt\na\nb\nc\n\xe4\nd\n", 5, "not UTF-8: byte 0xe4 at column 1; save it as UTF-8"),
    "UTF-16": ("prompt\na\n".encode("utf-16"), 1, "this is UTF-16; save it as UTF-8"),
    "Latin-1, far on": (b"prompt\n" + b"a\n" * 20_000 + b"x\xe4\nd\n", 20_002, "not UTF-8: byte 0xe4 at column 2"),
}


@pytest.mark.parametrize(("content", "line", "message"), CSV.values(), ids=CSV)
def test_csv(tmp_path: Path, content: str | bytes, line: int, message: str):
    """CSV that isn't is named by its line."""
    path = text(tmp_path, content, "p.csv")
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{line}: {message}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", '\ufeffprompt;reference\n"a;b";2\n', "';': write commas between them"),
        ("p.csv", "prompt\treference\na\t2\n", "'\\t': call it .tsv"),
        ("p.tsv", "prompt,reference\na,2\n", "',': call it .csv"),
    ],
)
def test_other_separators(tmp_path: Path, name: str, content: str, said: str):
    """A table that a spreadsheet separated by another character is told as such."""
    path = text(tmp_path, content, name)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: its columns seem to be separated by {said}"


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "arrow"])
@pytest.mark.parametrize(
    ("columns", "said"), [(["prompt", "prompt", "n"], "'prompt'"), (["prompt", "q", "q"], "'q'"), (["prompt", "n", "n"], None)]
)
def test_a_column_twice(tmp_path: Path, form: str, columns: list[str], said: str | None):
    """Of two columns of one name nobody can say which is meant; it doesn't matter of those that aren't read."""
    path, cells = tmp_path / f"p.{form}", ["a", "b", "c"]
    if form in {"csv", "tsv"}:
        sign = {"csv": ",", "tsv": "\t"}[form]
        text(tmp_path, "".join(f"{sign.join(line)}\n" for line in (columns, cells)), path.name)
    else:
        table = pa.Table.from_arrays([pa.array([cell]) for cell in cells], names=columns)
        pq.write_table(table, path) if form == "parquet" else feather.write_feather(table, path)
    if said is None:
        assert [found.prompt.prompt for found in read(path)] == ["a"]
    else:
        with pytest.raises(SourceError, match=rf"^{path}: has several columns {said}; rename those that aren't meant$"):
            read(path, fields={"tags": ["q"]} if "q" in columns else {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "messages: .* the key 'content' several times"),
        ('{"prompt": "a", "tags": {"t": "\\u0022", "t": "b"}}', "tags: .* the key 't' several times"),
        ('{"prompt": "a", "tests": [{"stdin": "", "stdout": "1", "stdout": "2"}]}', "tests: .* the key 'stdout' several times"),
        ('{"prompt": "a", "tags": {"t": "say \\u0022b\\" and \\u00e4", "u": "\\\\"}, "more": {"x": 1, "x": 2}}', None),
    ],
    ids=["a turn", "tags, with an escaped quote", "a list", "what isn't read"],
)
def test_a_key_twice_within(tmp_path: Path, line: str, said: str | None):
    """Of a key that stands twice in an object within a column the last would count, in silence."""
    path = text(tmp_path, f"{line}\n", "p.jsonl")
    if said is None:
        assert [found.prompt.prompt for found in read(path)] == ["a"]
    else:
        with pytest.raises(SourceError, match=rf"^{path}:1: {said}; leave the one that is meant$"):
            read(path)


class TestFiles:
    """Files that can't be taken as a whole."""

    def test_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A file that isn't there is named, with where it was looked for."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SourceError, match=rf"^nowhere\.jsonl: no such file \(looked in {tmp_path}\)$"):
            read("nowhere.jsonl")

    def test_a_pipe(self, tmp_path: Path):
        """What can be read but once, such as a shell's `<(…)`, is no source."""
        os.mkfifo(tmp_path / "p.jsonl")
        with pytest.raises(SourceError, match=r"p\.jsonl: is no file but a pipe or a device"):
            read(tmp_path / "p.jsonl")

    def test_a_sample_of_nothing(self, tmp_path: Path):
        """Where `sample` takes no row at all, that is said: the file isn't empty."""
        with pytest.raises(SourceError, match=r"p\.jsonl: `sample: 1e-09` takes none of its 2 rows$"):
            read(jsonl(tmp_path, GOOD, GOOD), sample=1e-9)

    @pytest.mark.parametrize(("name", "said"), [("p.txt", r"\.txt"), ("p", "a file without an ending")])
    def test_ending(self, tmp_path: Path, name: str, said: str):
        """A file of another kind is named, with the kinds that can be read."""
        with pytest.raises(
            SourceError, match=rf"{name}: can't read {said}; use \.jsonl, \.ndjson, \.json, \.csv, \.tsv, \.parquet, \.arrow"
        ):
            read(text(tmp_path, "", name))

    @pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.json"])
    def test_empty(self, tmp_path: Path, name: str):
        """A source without prompts is an error: a build of nothing helps nobody."""
        with pytest.raises(SourceError, match=rf"{name}: no prompts in it"):
            read(text(tmp_path, "", name))

    def test_not_parquet(self, tmp_path: Path):
        """A file that only claims to be Parquet is named."""
        with pytest.raises(SourceError, match=r"p\.parquet: not Parquet: "):
            read(text(tmp_path, "PAR1, or so", "p.parquet"))

    @pytest.mark.parametrize("content", [b"ARROW1, or so", b"or so", b""])
    def test_not_arrow(self, tmp_path: Path, content: bytes):
        """Nor is a file Arrow that only claims to be."""
        with pytest.raises(SourceError, match=r"p\.arrow: not Arrow: "):
            read(text(tmp_path, content, "p.arrow"))

    @pytest.mark.parametrize("name", ["p.jsonl.gz", "p.csv.bz2", "p.jsonl.zst", "p.jsonl.xz"])
    @pytest.mark.parametrize("cut", [True, False])
    def test_not_packed(self, tmp_path: Path, name: str, cut: bool):
        """A packed file that isn't, or that lacks its end, is named."""
        content = pack(b'{"prompt": "a"}\n' * 10_000, Path(name).suffix)[:-20] if cut else b"not packed at all"
        with pytest.raises(SourceError, match=rf"{name}: can't be (unpacked|read): ."):
            read(text(tmp_path, content, name))

    def test_packed_tables(self, tmp_path: Path):
        """Parquet is packed within, and says so where somebody packs it again."""
        with pytest.raises(SourceError, match=r"p\.parquet\.gz: can't read \.parquet that is packed as \.gz"):
            read(text(tmp_path, b"", "p.parquet.gz"))

    def test_a_column_that_isn_t_there(self, tmp_path: Path):
        """A column that the spec names and a table lacks is told with those that it has."""
        pq.write_table(pa.table({"question": ["a"]}), tmp_path / "p.parquet")
        with pytest.raises(SourceError, match=r"p\.parquet: no column 'ask'; there are 'question'"):
            read(tmp_path / "p.parquet", fields={"prompt": "ask"})

    def test_no_column_of_prompts(self, tmp_path: Path):
        """So is the usual one, where the spec names no other."""
        pq.write_table(pa.table({"question": ["a"], "reference": ["4"]}), tmp_path / "p.parquet")
        with pytest.raises(SourceError, match=r"p\.parquet: no column 'prompt'; there are 'question', 'reference'"):
            read(tmp_path / "p.parquet")

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            (
                {"reference": pa.array([1.0, float("nan")])},
                "row 2: reference must be a text or a number, and this is nan; where there",
            ),
            ({"id": pa.array([1.0, float("inf")])}, "row 2: id must be a text or a number, and this is inf"),
            (
                {"tags": pa.array([[], [("a", "1"), ("a", "2")]], pa.map_(pa.string(), pa.string()))},
                "near row 1: a map has a key twice",
            ),
            ({"tags": [None, {"at": NOON}]}, "row 2: tags: at: can't be written as JSON: Object of type datetime is not"),
            (
                {"tests": [None, [{"stdin": b"1", "stdout": b"2"}]]},
                "row 2: tests: can't be written as JSON: Object of type bytes is not",
            ),
            (
                {"tags": [None, {"rates": [1.0, float("nan")]}]},
                "row 2: tags: rates: can't be written as JSON: Out of range float",
            ),
        ],
        ids=["NaN", "infinity", "a key twice in a map", "a date", "bytes", "NaN within"],
    )
    def test_what_tables_can_say(self, tmp_path: Path, columns: dict[str, Any], said: str):
        """And JSON can't: what is missing as NaN is no answer, and of two values of a key none is meant more than the other."""
        path = tmp_path / "p.parquet"
        pq.write_table(pa.table({"prompt": ["a", "b"]} | columns), path)
        with pytest.raises(SourceError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: {said}")

    def test_parquet_row(self, tmp_path: Path):
        """A row of a Parquet file is named by its number."""
        pq.write_table(pa.table({"prompt": ["a", None]}), tmp_path / "p.parquet")
        with pytest.raises(SourceError, match=r"p\.parquet: row 2: the prompt \('prompt'\) is empty"):
            read(tmp_path / "p.parquet")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ('[{"prompt": "a"}, 4]', "row 2: an array's item must be a JSON object"),
            ('[{"prompt": "a"}, ["b"]]', "row 2: an array's item must be a JSON object"),
            ('[{"prompt": "a"},]', "row 2: an array's item must be a JSON object"),
            ('[{"prompt": "a"} {"prompt": "b"}]', "row 1: not JSON: neither a comma nor the array's end is behind it"),
            ('[{"prompt": "a"}', "row 1: not JSON: neither a comma nor the array's end is behind it"),
            ('[{"prompt": "a"},\n', "row 2: not JSON: the file ends in front of it"),
            ("[", "row 1: not JSON: the file ends in front of it"),
            ('[{"prompt": "a"}, {"prompt": "b', "row 2: not JSON: the file ends in it"),
            (
                '[{"prompt": "a"}, {"prompt":\n b}]',
                "row 2: not JSON: unexpected character, expected a JSON value at line 2 of it, column 2",
            ),
            ('[{"prompt": "a"]]', "row 1: not JSON: "),
            ('[{"prompt": "a"}]\n[{"prompt": "b"}]', "goes on behind its array; write one array, or one object a line"),
            ('[{"prompt": "a", "prompt": "b"}]', "row 1: has several columns 'prompt'"),
            ('[{"prompt": 4}]', "row 1: the prompt ('prompt') is no text"),
            (
                '{"data": [\n{"prompt": "a"}]}',
                "1: not JSON: unexpected end of data at column 1; a line must be a whole JSON object",
            ),
            ("[]", "no prompts in it"),
        ],
    )
    def test_array(self, tmp_path: Path, content: str, said: str):
        """An array that isn't whole, or isn't one of objects, is told with the row."""
        path = text(tmp_path, content, "p.json")
        with pytest.raises(SourceError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}:{'' if said[:2] == '1:' else ' '}{said}")

    @pytest.mark.parametrize(("name", "where"), [("p.jsonl", ":2: a line"), ("p.json", ": row 2: an array's item")])
    def test_what_is_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str):
        """A row of a gigabyte, as where a file lacks its line breaks, is told by its size."""
        monkeypatch.setattr("tasks.sources.objects.LARGEST", 100)
        rows = [json.dumps({"prompt": "x" * length}) for length in (10, 100)]
        path = text(tmp_path, "\n".join(rows) if name == "p.jsonl" else f"[{', '.join(rows)}]", name)
        with pytest.raises(SourceError, match=rf"{name}{where} has 114 bytes, and may have 100; is it one row\?"):
            read(path)

    def test_the_second_of_a_glob(self, tmp_path: Path):
        """In a pattern, the file is named and not the pattern."""
        jsonl(tmp_path, GOOD, name="1.jsonl")
        jsonl(tmp_path, GOOD, json.dumps(4).encode(), name="2.jsonl")
        with pytest.raises(SourceError, match=r"2\.jsonl:2: a line must be"):
            read(tmp_path / "*.jsonl")
