"""Digests: kept in the lake, so that texts are read once; with them and without, all comes out the same."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SAMPLES
from storage.sql import literal
from storage.workspace import Workspace
from tasks.duplicates.digests import TEXT, digests, index, normalised, numbers
from tasks.duplicates.options import DedupOptions
from tests.fakes import FakeTeacher, completion, make_prompt
from tests.tasks.house import Spec, build


def store(lake: Lake, part: str, **responses: str) -> Path:
    """Write a part of samples by their ids."""
    with lake.writing(print):
        path = lake.root / "samples" / f"{part}.parquet"
        write_rows(path, SAMPLES, ({"sample_id": each, "response": said} for each, said in responses.items()), store=True)
        return path


def texts(lake: Lake, *ids: str, run: str = "run") -> dict[str, tuple[int, int]]:
    """Return the digests and lengths that a build finds of these samples."""
    with Workspace(lake, lake.root.with_name("work")) as workspace:
        listed = ", ".join(f"({literal(each)})" for each in ids)
        workspace.execute(f"CREATE TABLE slots AS FROM (VALUES {listed}) AS slots(sample_id)")
        digests(workspace, lake, build_id=run)
        return {each: (digest, length) for each, digest, length in workspace.rows("FROM texts")}


def by_the_book(lake: Lake, text: str) -> tuple[int, int]:
    """Return the digest and length of a text."""
    with Workspace(lake, lake.root.with_name("book")) as workspace:
        both = f"md5_number({normalised(TEXT)}), length({TEXT})"
        return workspace.rows(f"SELECT {both} FROM (SELECT NULL AS reasoning, {literal(text)} AS response)")[0]


@pytest.mark.parametrize(
    "text", ["", " ", "  A\n b\t", "4 ", "\n4", " 4", "CAFE\u0301  4", "one two", "\u00a0a", "a\u2028", "é\u3000"]
)
def test_what_a_digest_is(lake: Lake, text: str):
    """It is that of the normalised text."""
    store(lake, "p", a=text)
    assert texts(lake, "a") == {"a": by_the_book(lake, text)}


def test_texts_are_read_once(lake: Lake):
    """A second build takes from the index what is there, adds what is new, and reads no other part of the samples."""
    old = store(lake, "p", a="one", b="two")
    first = texts(lake, "a", "b", run="r1")
    store(lake, "q", c="three")
    # Texts that can't be read any more: only ids are.
    table = pq.read_table(old)
    column = table.schema.get_field_index("response")
    pq.write_table(table.set_column(column, "response", [["gone", "gone"]]), old)
    again = texts(lake, "a", "b", "c", run="r2")
    assert again == first | {"c": by_the_book(lake, "three")}
    assert [path.name for path in index(lake).parts] == ["r1-000.parquet", "r2-000.parquet"]
    assert texts(lake, "a", "c", run="r3") == {each: again[each] for each in "ac"}
    assert len(index(lake).parts) == 2


def test_of_what_is_there(lake: Lake):
    """What the index knows of samples that the lake has lost, or that nobody asks for, is left alone."""
    path = store(lake, "p", a="one", b="two")
    store(lake, "q", c="three")
    assert texts(lake, "a", "b", "c", "d").keys() == {"a", "b", "c"}
    path.unlink()
    assert texts(lake, "a", "b", "c").keys() == {"c"}


def test_lakes_merged_by_hand(lake: Lake):
    """Where a sample is there twice, and says two things, the index makes no difference either."""
    store(lake, "p", a="some words", b="two")
    texts(lake, "a", "b", run="r1")
    store(lake, "q", a="others")
    merged = texts(lake, "a", "b", run="r2")
    shutil.rmtree(lake.index)
    assert merged == texts(lake, "a", "b", run="r3")
    both = [by_the_book(lake, text) for text in ("some words", "others")]
    assert merged["a"] == tuple(map(min, zip(*both, strict=True)))


async def test_the_same_outcomes(lake: Lake):
    """A build's snapshot is the same with the index, with a part of it, and without it."""
    said = {"a": ("One  two", "one two"), "b": ("ONE TWO", "three"), "c": ("Three", "four")}
    teacher = FakeTeacher(answer=lambda request: completion(said[request.prompt_id][request.sample_index]))

    runs = count()

    async def snapshot(prompts: str) -> Any:
        made = [make_prompt(name, prompt_id=name) for name in prompts]
        built = await build(lake, Spec(prompts=made, teachers={"smol": teacher}, k=2, dedup=DedupOptions()), run=f"r{next(runs)}")
        return {
            table: [{name: value for name, value in row.items() if name != "build_id"} for row in rows]
            for table, rows in built.tables.items()
        }

    await snapshot("a")
    partly: Any = await snapshot("abc")
    wholly = await snapshot("abc")
    shutil.rmtree(lake.index)
    assert partly == wholly == await snapshot("abc")
    assert [row["stage"] for row in partly["outcomes"]].count("dedup") == 3


def forms(letter: str) -> set[str]:
    """Return a letter within a word and alone, in both cases and in each form of Unicode that says the same."""
    cases = {letter, letter.lower(), letter.upper(), letter.title(), letter.casefold()}
    return {unicodedata.normalize(form, each) for each in cases for form in ("NFC", "NFD")}


@pytest.mark.parametrize("around", ["{}", "a{}", "Straße {}b Σ"])
def test_case_and_form_of_all_of_unicode(around: str):
    """Whatever letter stands in a text, its case and its form say nothing, and nor does white space around it."""
    every = [chr(point) for point in range(1, sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    # Capitals spell the iota below an ancient vowel out; nobody writes them so.
    every = [letter for letter in every if "\u0345" not in unicodedata.normalize("NFD", letter)]
    pairs = [(letter, form) for letter in every for form in forms(letter) - {letter}]
    ones, others = (list(numbers(around.format(each) for each in side)) for side in zip(*pairs, strict=True))
    assert [pair for pair, one, other in zip(pairs, ones, others, strict=True) if one != other] == []
    spaces = [letter for letter in every if letter.isspace()]
    assert set(numbers(around.format(f" {space}x{space}") for space in spaces)) == set(numbers([around.format(" x ")]))


def test_letters_are_told_apart():
    """Letters are the same only where they are in some case: i without a dot is a capital I, too."""
    every = [chr(point) for point in range(1, sys.maxunicode + 1) if chr(point).isalnum()]
    same: dict[int, set[str]] = {}
    for letter, number in zip(every, numbers(every), strict=True):
        same.setdefault(number, set()).add(unicodedata.normalize("NFC", letter.casefold()))
    assert [sorted(each) for each in same.values() if len(each) > 1] == [["i", "i\u0307", "ı"]]
