"""Another lake's dataset as a source: rows keep their licences, and generations add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import SourceError, StorageError
from storage.lake import Lake
from storage.records import Message
from tasks.sources import Found, PromptSource, read_prompts
from tests.fakes import make_prompt, named, user
from tests.tasks.house import Spec, house
from verifiers.protocol import Finding

TURNS = (*user("Hello"), Message(role="assistant", content="Hi"), *user("2 + 2?"))


async def landed(lake: Lake, spec: Spec, *, build_id: str = "b1", created_at: str = "2026-01-01") -> None:
    """Build and land."""
    async with house(lake, spec, run=build_id) as one:
        await one.prepare()
        for number in await one.open():
            await one.work(number)
        await one.curate(build_id=build_id)
        lake.land({"dataset": "d", "build_id": build_id, "created_at": created_at}, one.workspace.folder)


def read(lake: Lake, **given: Any) -> list[Found]:
    """Read its dataset."""
    return list(read_prompts(PromptSource(source=f"lake:{lake.root}#d", **given), license=None, seed=0))


async def test_traces(lake: Lake):
    """A trace gives its prompt's text, under the effective licence, one generation further on."""
    prompts = [make_prompt("a", license="CC-BY-4.0"), make_prompt("b", generation=2)]
    await landed(lake, Spec(prompts=prompts, verifiers=[named(judge=lambda *_: Finding(passed=True, answer="4"))]))
    found = read(lake, fields={"reference": "answer"})
    assert [(each.prompt.prompt, each.prompt.reference, each.prompt.license, each.prompt.generation) for each in found] == [
        ("a", "4", "CC-BY-4.0 AND MIT", 1),
        ("b", "4", "CC0-1.0 AND MIT", 3),
    ]
    assert found[0].prompt.source == f"lake:{lake.root}#d"
    assert found[0].place.endswith("traces/dataset=d/build=b1/part-00000.parquet: row 1")
    assert not found[0].given


async def test_responses(lake: Lake):
    """What a teacher said may be asked about."""
    await landed(lake, Spec(prompts=[make_prompt("a")]))
    (one,) = read(lake, fields={"prompt": "response", "id": "sample_id"})
    assert (one.prompt.prompt, one.given, one.prompt.generation) == ("a #0", True, 1)


async def test_a_higher_generation(lake: Lake):
    """A spec may say that rows are of a higher generation than they know, and not of a lower one."""
    await landed(lake, Spec(prompts=[make_prompt("a"), make_prompt("b", generation=7)]))
    assert [each.prompt.generation for each in read(lake, generation=5)] == [5, 8]


async def test_too_high_a_generation(lake: Lake):
    """A generation for which the lake's tables have no room is refused by its row."""
    await landed(lake, Spec(prompts=[make_prompt("a", generation=32_000)]))
    assert read(lake, take="prompts")[0].prompt.generation == 32_000
    with pytest.raises(SourceError, match=r"part-00000.parquet: row 1: would be of generation 32,001"):
        read(lake)


async def test_prompts(lake: Lake):
    """Prompts come as they stood there: turns, tags, licence, generation and the source's own id."""
    prompt = make_prompt("2 + 2?", prompt_id="p7", messages=TURNS, reference="4", tags={"topic": "sums"}, generation=1)
    await landed(lake, Spec(prompts=[prompt]))
    (one,) = read(lake, take="prompts")
    assert (one.prompt.messages, one.prompt.reference, one.prompt.tags) == (TURNS, "4", {"topic": "sums"})
    assert (one.prompt.prompt_id, one.given, one.prompt.license, one.prompt.generation) == ("p7", True, "CC0-1.0", 1)


async def test_ids_of_content(lake: Lake, tmp_path: Path):
    """An id that was a hash of the content is so here, and folds with what says the same."""
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n')
    source = PromptSource(source=str(tmp_path / "p.jsonl"))
    (first,) = read_prompts(source, license="MIT", seed=0)
    await landed(lake, Spec(prompts=[first.prompt]))
    (again,) = read(lake, take="prompts")
    assert (again.prompt.prompt_id, again.given) == (first.prompt.prompt_id, False)


async def test_builds(lake: Lake):
    """The newest build counts unless one is named."""
    await landed(lake, Spec(prompts=[make_prompt("a")]))
    await landed(lake, Spec(prompts=[make_prompt("b")]), build_id="b2", created_at="2026-01-02")
    assert [each.prompt.prompt for each in read(lake)] == ["b"]
    assert [each.prompt.prompt for each in read(lake, build="b1")] == ["a"]
    with pytest.raises(StorageError, match=r"'d' has no build 'b3'; the newest is b2"):
        read(lake, build="b3")


async def test_nothing_kept(lake: Lake):
    """A build that kept nothing gives nothing, and says so."""
    await landed(lake, Spec(verifiers=[named(judge=lambda *_: False)]))
    with pytest.raises(SourceError, match=r"#d: no prompts in it"):
        read(lake)


def test_no_lake(tmp_path: Path):
    """A lake or a dataset that isn't there is told."""
    with pytest.raises(StorageError, match=rf"{tmp_path}/none: no build of 'd'; built here: nothing yet"):
        read(Lake(tmp_path / "none"))


WRONG = {
    "no dataset": ({"source": "lake:./lake"}, "must be lake:PATH#DATASET"),
    "no path": ({"source": "lake:#d"}, "must be lake:PATH#DATASET"),
    "a licence": ({"source": "lake:l#d", "license": "MIT"}, "license: leave it out for a lake's dataset: each of its rows"),
    "a licence's column": ({"source": "lake:l#d", "fields": {"license": "x"}}, r"fields\.license: leave it out"),
    "a split": ({"source": "lake:l#d", "split": "train"}, "split: leave it out for a lake's dataset: a build has none"),
    "a file's traces": ({"source": "p.jsonl", "take": "traces"}, "take: only a lake's dataset has one"),
    "a file's build": ({"source": "p.jsonl", "build": "b"}, "build: only a lake's dataset has one"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense(given: dict[str, Any], message: str):
    """What belongs to another kind of source is refused with the spec."""
    with pytest.raises(ValidationError, match=message):
        PromptSource(**given)


def test_licensed_by_row():
    """Each row of a lake has a licence, so the source needs none."""
    assert PromptSource(source="lake:l#d").licensed_by_row
