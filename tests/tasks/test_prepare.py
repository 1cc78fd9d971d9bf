"""Prepare: what there is to do, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from storage.errors import SourceError, SpecError
from storage.identity import request_key, sample_id
from storage.lake import Lake
from storage.records import Prompt
from storage.workspace import Workspace
from tasks import barred
from tasks.prepare import Asked, Prepared, first_asked, prepare, some_prompts
from tasks.templates import Template, TemplateOptions
from tests.fakes import found, make_prompt, user
from tests.tasks.house import Spec, build, house

SMOL = Asked(provider="local", model="smol", identity={})
BIG = Asked(provider="openai", model="big", identity={"extra_body": {"top_k": 5}})


def run(
    tmp_path: Path, prompts: Sequence[Prompt], *teachers: Asked, k: int = 1, given: bool = True, user: str = "{{ prompt }}"
) -> tuple[Prepared, list, list]:
    """Prepare on a lake that isn't there, and return what was found, the slots and the prompts."""
    template = Template(TemplateOptions(user=user), where="spec.yaml")
    with Workspace(Lake(tmp_path / "lake"), tmp_path / "work") as workspace:
        prepared = prepare(workspace, found(prompts, given=given), template, teachers or (SMOL,), {"temperature": 0.5}, k)
        slots = workspace.rows("SELECT ord, arm, sample_index, key, sample_id, stored FROM slots ORDER BY ALL")
        return prepared, slots, workspace.rows("SELECT ord, prompt_id FROM prompts ORDER BY ord")


def test_slots(tmp_path: Path):
    """There is a slot for each prompt, teacher and index, with the addresses that Python gives it."""
    prepared, slots, _ = run(tmp_path, [make_prompt("a"), make_prompt("b")], SMOL, BIG, k=12)
    assert (prepared.prompts, prepared.slots, prepared.stored, prepared.missing) == (2, 48, 0, 48)
    expected = []
    for ord_, text in enumerate("ab"):
        for teacher, asked in enumerate((SMOL, BIG)):
            key = request_key(
                provider=asked.provider,
                model=asked.model,
                messages=user(text),
                parameters={"temperature": 0.5},
                identity=asked.identity,
            )
            expected += [(ord_, teacher, n, key, sample_id(key, n), False) for n in range(12)]
    assert slots == expected


def test_some(tmp_path: Path):
    """Some prompts are spread over all of which samples are wanted, and are all of them where these are few."""
    template = Template(TemplateOptions(), where="spec.yaml")
    with Workspace(Lake(tmp_path / "lake"), tmp_path / "work") as workspace:
        prepare(workspace, found([make_prompt(f"{n:02}") for n in range(40)], given=True), template, (SMOL,), {}, 2)
        assert [prompt.prompt_id for prompt in some_prompts(workspace, 4)] == ["00", "13", "26", "39"]
        barred.bar(workspace, "verify", "SELECT ord, '' AS reason FROM prompt_ids WHERE ord NOT BETWEEN 20 AND 22")
        assert [prompt.prompt_id for prompt in some_prompts(workspace, 4)] == ["20", "21", "22"]
        barred.bar(workspace, "verify", "SELECT ord, '' AS reason FROM prompt_ids")
        assert some_prompts(workspace, 4) == []


def test_first(tmp_path: Path):
    """The first prompt of which samples are wanted is shown as it will be sent; a barred one isn't."""
    template = Template(TemplateOptions(user="> {{ prompt }}"), where="spec.yaml")
    with Workspace(Lake(tmp_path / "lake"), tmp_path / "work") as workspace:
        prompts = found([make_prompt("a"), make_prompt("b")], given=True)
        prepare(workspace, prompts, template, (SMOL,), {}, 1)
        assert first_asked(workspace, template) == user("> a")
        barred.bar(workspace, "license", "SELECT 0 AS ord, 'none' AS reason")
        assert first_asked(workspace, template) == user("> b")
        barred.bar(workspace, "license", "SELECT 1 AS ord, 'none' AS reason")
        assert first_asked(workspace, template) == ()


async def test_stored(lake: Lake):
    """What the lake has is found, whatever the prompts are called now."""
    await build(lake, Spec(k=2))
    renamed = [make_prompt(text, prompt_id=f"new-{text}") for text in "abz"]
    async with house(lake, Spec(prompts=renamed, k=3), run="again") as one:
        prepared = await one.prepare()
    assert (prepared.slots, prepared.stored, prepared.missing) == (9, 4, 5)


def test_repeated_content(tmp_path: Path):
    """Rows without an id that are the same in content count once, and stay in order."""
    prompts = [make_prompt(text) for text in "abacb"]
    prepared, slots, left = run(tmp_path, prompts, given=False)
    assert (prepared.prompts, prepared.folded, len(slots)) == (3, 2, 3)
    assert left == [(0, "a"), (1, "b"), (3, "c")]


@pytest.mark.parametrize(("generations", "counts"), [((0, 1, 2), 2), ((2, 1, 0), 0), ((1, 1, 0), 0)])
def test_repeated_in_another_source(tmp_path: Path, generations: tuple[int, ...], counts: int):
    """Of sources that have the same row, the first of those counts whose prompts are of the latest generation."""
    prompts = [make_prompt("a", source=f"{n}.jsonl", generation=each) for n, each in enumerate(generations)]
    prepared, slots, left = run(tmp_path, prompts, given=False)
    assert (prepared.prompts, prepared.folded, [slot[0] for slot in slots], left) == (1, 2, [counts], [(counts, "a")])


@pytest.mark.parametrize("later", [0, 1])
def test_duplicate_id(tmp_path: Path, later: int):
    """An id that two rows give is an error that names both."""
    prompts = [make_prompt("a"), make_prompt("b"), make_prompt("c", prompt_id="a", generation=later)]
    with pytest.raises(SourceError, match=r"^fake\.jsonl:3: the id 'a' is taken by fake\.jsonl:1; ids must be unique$"):
        run(tmp_path, prompts)


def test_a_source_twice(tmp_path: Path):
    """Where one place in a source gives an id twice, the error says what to do about the source."""
    prompts = [make_prompt("a", prompt_id="a"), make_prompt("b", prompt_id="a")]
    twice = [replace(each, place="p.jsonl:1") for each in found(prompts)]
    template = Template(TemplateOptions(), where="spec.yaml")
    with (
        Workspace(Lake(tmp_path / "lake"), tmp_path / "work") as workspace,
        pytest.raises(
            SourceError, match=r"taken by p\.jsonl:1; the source stands in `prompts` twice: leave one out, or .* `keep_seeds"
        ),
    ):
        prepare(workspace, twice, template, (SMOL,), {}, 1)


@pytest.mark.parametrize("where", ["prompt", "reference", "tests", "tags"])
def test_lone_surrogate(tmp_path: Path, where: str):
    """A text that no table can hold is an error that names its place."""
    dirty = "a\ud83d"
    prompt = (
        make_prompt(dirty, prompt_id="p")
        if where == "prompt"
        else replace(make_prompt(), **{where: {"k": dirty} if where == "tags" else dirty})
    )
    with pytest.raises(SourceError, match=r"^fake\.jsonl:1: has a text that isn't Unicode"):
        run(tmp_path, [prompt])


def test_template_error(tmp_path: Path):
    """An undefined variable is an error before the first call."""
    with pytest.raises(SpecError, match=r"for the prompt at fake\.jsonl:2: .*'topic'"):
        run(tmp_path, [make_prompt("a", tags={"topic": "x"}), make_prompt("b")], user="{{ tags.topic }}")


def test_awkward_ids(tmp_path: Path):
    """Ids may be any text."""
    ids = ["it's", '"', "a/b", " ", "ä", "NULL", "0", "\n", "'); DROP TABLE slots; --"]
    _, _, left = run(tmp_path, [make_prompt("same", prompt_id=each) for each in ids])
    assert [each for _, each in left] == ids
