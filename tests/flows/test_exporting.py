"""Flags of `stillhouse export` to options."""

from __future__ import annotations

import pytest

from flows.exporting import by_flags, export_all, options_of
from storage.errors import SetupError, SpecError, UserError
from storage.lake import Lake
from tasks.export import ExportOptions
from tests.tasks.landed import land, trace

FLAGS = {"format": "messages", "to": "out", "file": None, "shards": None, "shard_bytes": None, "shuffle": False}


def test_values_are_read_as_in_a_spec():
    """A form's own options come by --option, and their values are YAML's: numbers, booleans, lists, texts."""
    options = options_of(FLAGS, ["max_length=4096", "packing=true", "names=[a, b]", "text=a=b"])
    assert options.own == {"max_length": 4096, "packing": True, "names": ["a", "b"], "text": "a=b"}
    assert (options.shards, options.shard_bytes, options.file) == (1, None, None)


def test_sizes():
    """--shard-bytes is a size as people write it, and takes the place of --shards."""
    assert options_of(FLAGS | {"shard_bytes": "2MB"}, []).shard_bytes == 2_000_000
    with pytest.raises(SpecError, match="name one of them"):
        options_of(FLAGS | {"shard_bytes": "2MB", "shards": 3}, [])


def test_an_entry_of_a_mix():
    """What is wrong in one is named by its place in it."""
    with pytest.raises(SpecError, match=r"^--mix\[0\]\.share: is missing$"):
        options_of(FLAGS, [], mix=["{source: x}"])


@pytest.mark.parametrize(
    ("flags", "pairs", "said"),
    [
        ({"file": "csv"}, [], r"--file: must be 'parquet', 'jsonl', 'arrow' or 'tar'"),
        ({"shard_bytes": "many"}, [], "--shard-bytes: "),
        ({"shard_bytes": "1B"}, [], "--shard-bytes: "),
        ({}, ["packing"], r"--option packing: must be KEY=VALUE"),
        ({}, ["=1"], "must be KEY=VALUE"),
        ({}, ["a=1", "a=2"], "a is given twice"),
        ({}, ["shards=2"], "shards has a flag of its own, --shards"),
        ({}, ["a={b"], "can't be read as YAML"),
    ],
)
def test_mistyped(flags: dict[str, object], pairs: list[str], said: str):
    """What is mistyped is one line that names the flag."""
    with pytest.raises(SpecError, match=said) as caught:
        options_of(FLAGS | flags, pairs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("exports.foo: unknown key; known: to", "--option foo: unknown key; known: to"),
        ("exports.tokenizer: is missing", "--option tokenizer: is missing"),
        ("exports[0].to: out and the lake: too near", "--to: out and the lake: too near"),
        ("exports.mix[1].share: is missing", "--mix[1].share: is missing"),
        ("exports.shard_bytes: is missing", "--shard-bytes: is missing"),
        ("exports: out: is a file", "out: is a file"),
        ("out: can't be written; see exports.to: it", "out: can't be written; see exports.to: it"),
    ],
)
def test_a_place_in_no_file(said: str, told: str):
    """An error names the flag that was typed, and no place in a spec."""
    with pytest.raises(SetupError) as caught, by_flags():
        raise SetupError(said)
    assert str(caught.value) == told


def test_one_that_is_refused_keeps_none_of_the_others_from_being_written(lake: Lake):
    """All that can be written is, every refusal is said, and the first is raised."""
    lake.mend()
    folder = lake.root.parent
    (folder / "theirs").write_text("a file, where a folder is to be")
    (folder / "yours").write_text("another")
    wanted = [ExportOptions(to=str(folder / name)) for name in ("theirs", "out", "yours", "more")]
    said: list[str] = []
    with pytest.raises(UserError, match="theirs"):
        export_all(lake, land(lake, 3), wanted, say=said.append)
    assert [(folder / name / "manifest.json").is_file() for name in ("out", "more")] == [True, True]
    assert len(lake.exports()) == 2
    assert len(said) == 1
    assert "yours" in said[0]


def test_a_warning_is_said_once(lake: Lake):
    """What the build has said already isn't said of its exports, and what two of them would say is said of the first."""
    lake.mend()
    build = land(lake, [trace(n, finish_reason="length") for n in range(3)])
    wanted = [ExportOptions(to=str(lake.root.parent / name)) for name in ("out", "more")]
    said: list[str] = []
    first, second = export_all(lake, build, wanted, say=said.append)
    assert said == first["warnings"] == second["warnings"] != []
    export_all(lake, build | {"warnings": list(said)}, wanted, say=said.append)
    assert said == first["warnings"]
