"""Near-duplicates: of responses, or prompts, that share most of their n-grams of words, one stays."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import LakeDamaged, SpecError
from storage.lake import Lake
from storage.parquet import count_rows, write_rows
from storage.schemas import SAMPLES, SNAPSHOTS
from storage.workspace import Workspace
from tasks.dedup import check_against, dedup
from tasks.duplicates.digests import digests
from tasks.duplicates.near import index
from tasks.duplicates.options import DedupOptions, NearOptions
from tasks.outcomes import NO_DOUBLE
from tasks.teachers.protocol import Choice
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Built, Spec, build
from verifiers.protocol import Finding

ONE = "the quick brown fox jumps over the lazy dog and runs away into the dark green wood behind the old mill"
"""21 words, 17 n-grams of five."""
NEAR = f"{ONE} today"
"""17 of 18 are shared."""
FAR = ONE.replace("lazy", "sleepy")
"""12 of 22 are shared."""
OTHER = "a hundred small boats sail slowly across the wide bay while nobody on the shore says one word about them at all"

Texts = Mapping[str, tuple[str | Choice, ...]]


async def run(lake: Lake, texts: Texts, *, asked: Mapping[str, str] | None = None, run: str = "run", **given: Any) -> Built:
    """Build prompts by the responses to them; `asked` has the prompts' texts."""
    teacher = FakeTeacher(answer=lambda request: completion(texts[request.prompt_id][request.sample_index]))
    prompts = [make_prompt((asked or {}).get(name, name), prompt_id=name) for name in texts]
    spec: dict[str, Any] = {"prompts": prompts, "teachers": {"smol": teacher}, "k": max(map(len, texts.values()))}
    return await build(lake, Spec(**(spec | {"dedup": DedupOptions(near=True)} | given)), run=run)


def dropped(built: Built) -> dict[tuple[str, int], str]:
    """Return the reasons by prompt and index, with `PROMPT/INDEX` in place of a sample's id."""
    ids = {row["sample_id"]: f"{row['prompt_id']}/{row['sample_index']}" for row in built.tables["outcomes"]}
    return {
        (row["prompt_id"], row["sample_index"]): re.sub(r"[0-9a-f]{32}", lambda found: ids.get(found[0], "?"), row["reason"])
        for row in built.tables["outcomes"]
        if row["stage"] == "dedup"
    }


async def land(lake: Lake, texts: Texts, *, dataset: str = "before", asked: Mapping[str, str] | None = None) -> None:
    """Land a build of another dataset that keeps these responses."""
    teacher = FakeTeacher(answer=lambda request: completion(texts[request.prompt_id][request.sample_index]))
    prompts = [make_prompt((asked or {}).get(name, name), prompt_id=name) for name in texts]
    staged = lake.root.with_name(f"{dataset}-staged")
    staged.mkdir()
    spec = Spec(prompts=prompts, teachers={"other": teacher}, dedup=DedupOptions(exact=False), k=max(map(len, texts.values())))
    await build(lake, spec, run=dataset, copy_to=staged)
    assert {path.name for path in staged.iterdir()} == set(SNAPSHOTS) - {"grown"}
    lake.land({"dataset": dataset, "build_id": f"{dataset}-1", "created_at": "2026-01-01T00:00:00+00:00"}, staged)


async def test_near(lake: Lake):
    """The shorter of two near ones stays; the other's outcome names it and how similar it is."""
    built = await run(lake, {"a": (NEAR, ONE), "b": (FAR, OTHER)})
    assert dropped(built) == {("a", 0): "near-duplicates a/1 (similarity 0.944)"}
    assert built.counts["kept"] == 3
    assert built.counts["rejected"] == {"dedup": 1}


async def test_the_same(lake: Lake):
    """What is exactly the same is said to be."""
    assert dropped(await run(lake, {"a": (f"{ONE}  ", ONE.upper(), NEAR)})) == {
        ("a", 0): "duplicates a/1",
        ("a", 2): "near-duplicates a/1 (similarity 0.944)",
    }


async def test_of_the_same_ones(lake: Lake):
    """What is the same as a dropped one names the one that is kept."""
    built = await run(lake, {"a": (NEAR, f"{NEAR}  ", ONE)})
    assert set(dropped(built).values()) == {"near-duplicates a/2 (similarity 0.944)"}


async def test_the_best_stays(lake: Lake):
    """The best verdict stays, whatever is shorter."""
    scores = named(judge=lambda prompt, sample: Finding(passed=True, score=(0.2, 0.9)[sample.sample_index]))
    assert dropped(await run(lake, {"a": (ONE, NEAR)}, verifiers=[scores])) == {
        ("a", 0): "near-duplicates a/1 (similarity 0.944)"
    }


async def test_no_chains(lake: Lake):
    """Of three in a row, the first drops the second, which drops nothing: the third isn't near to the first."""
    words = [f"w{number}" for number in range(40)]
    texts = tuple(" ".join(words[start : start + 30]) for start in (0, 3, 6))
    order = named(judge=lambda prompt, sample: Finding(passed=True, score=1 - sample.sample_index / 10))
    built = await run(lake, {"a": texts}, dedup=DedupOptions(near={"threshold": 0.7}), verifiers=[order])
    assert dropped(built) == {("a", 1): "near-duplicates a/0 (similarity 0.793)"}


@pytest.mark.parametrize(
    ("pair", "kept"),
    [
        (("The answer is 4", "The answer is 5"), 2),
        (("The answer is 4", "the answer  is 4"), 1),
        (("4", "5"), 2),
        (("one two three four five", "one two three four five six"), 2),
        ((Choice(response="4", reasoning=ONE), Choice(response="4", reasoning=NEAR)), 1),
        ((Choice(response="4", reasoning=ONE), Choice(response="4", reasoning=OTHER)), 2),
        ((Choice(response=ONE, reasoning=f"Für: {ONE}"), Choice(response=OTHER, reasoning=f"Für: {ONE}")), 2),
        (("床前明月光疑是地上霜举头望明月低头思故乡", "床前明月光疑是地上霜举头望明月低头思故乡啊"), 1),
        ((ONE.replace(" ", "\u00a0"), NEAR), 1),
        (("x" * 300_000, "x" * 300_000 + "y"), 2),
        ((" ".join(map(str, range(100_000))), " ".join(map(str, range(1, 100_001)))), 1),
    ],
    ids=[
        "short",
        "short and the same",
        "a word",
        "n-grams of few words",
        "reasoning",
        "other reasoning",
        "other responses to the same reasoning",
        "Chinese",
        "no-break spaces",
        "one long word",
        "long",
    ],
)
async def test_texts(lake: Lake, pair: tuple[Any, Any], kept: int):
    """Fewer words than an n-gram has are one n-gram; reasoning counts; so does each character where no spaces are written."""
    assert (await run(lake, {"a": pair})).counts["kept"] == kept


ASKED = {"a": ONE, "b": NEAR, "c": OTHER}


async def test_by_prompt(lake: Lake):
    """By prompt, the one whose best sample is better keeps all of its samples, and the other none."""
    scores = named(
        judge=lambda prompt, sample: Finding(passed=True, score=0.9 if (prompt.prompt, sample.sample_index) == (NEAR, 1) else 0.5)
    )
    texts = dict.fromkeys(ASKED, ("yes", "no"))
    built = await run(lake, texts, asked=ASKED, dedup=DedupOptions(near=True, by="prompt"), verifiers=[scores])
    assert dropped(built) == {
        ("a", 0): "its prompt near-duplicates that of b/1 (similarity 0.944)",
        ("a", 1): "its prompt near-duplicates that of b/1 (similarity 0.944)",
    }


@pytest.mark.parametrize("near", [True, False])
async def test_by_prompt_the_same(lake: Lake, near: bool):
    """Prompts that differ in case alone are the same, exactly too; samples of one prompt never drop each other."""
    built = await run(
        lake, {"a": ("x", "x"), "b": ("y", "y")}, asked={"a": ONE, "b": ONE.upper()}, dedup=DedupOptions(near=near, by="prompt")
    )
    assert {each[0] for each in dropped(built)} in ({"a"}, {"b"})
    assert len(dropped(built)) == 2
    assert all(re.fullmatch(r"its prompt duplicates that of ./.", reason) for reason in dropped(built).values())


async def test_by_both(lake: Lake):
    """By both, only what is near in prompt and response; the lower similarity is named."""
    texts = {"a": (ONE, OTHER), "b": (NEAR, f"{OTHER} then and there"), "c": (ONE, OTHER)}
    built = await run(lake, texts, asked=ASKED, dedup=DedupOptions(near=True, by="both"))
    assert dropped(built) == {
        ("b", 0): "near-duplicates a/0 (similarity 0.944)",
        ("b", 1): "near-duplicates a/1 (similarity 0.857)",
    }


@pytest.mark.parametrize("by", ["response", "both"])
async def test_within_prompts(lake: Lake, by: Any):
    """Within a prompt, the same said to another one stays."""
    texts = {"a": (ONE, NEAR), "b": (ONE, OTHER)}
    built = await run(lake, texts, dedup=DedupOptions(near=True, within="prompt", by=by))
    assert dropped(built) == {("a", 1): "near-duplicates a/0 (similarity 0.944)"}


async def test_within_prompts_exactly(lake: Lake):
    """Exact dedup has it too."""
    built = await run(lake, {"a": (ONE, ONE), "b": (ONE, OTHER)}, dedup=DedupOptions(within="prompt"))
    assert [place[0] for place in dropped(built)] == ["a"]


AGAINST = {
    "near": ({"near": True}, {("a", 0): "near-duplicates ? of before (similarity 0.944)", ("b", 0): "duplicates ? of before"}),
    "exactly": ({}, {("b", 0): "duplicates ? of before"}),
    "both": ({"near": True, "by": "both"}, {("b", 0): "duplicates ? of before"}),
    "exactly both": ({"by": "both"}, {("b", 0): "duplicates ? of before"}),
    "prompt": ({"near": True, "by": "prompt"}, {("b", n): "its prompt duplicates that of ? of before" for n in (0, 1)}),
    "exactly prompt": ({"by": "prompt"}, {("b", n): "its prompt duplicates that of ? of before" for n in (0, 1)}),
    "within": ({"near": True, "within": "prompt"}, {("b", 0): "duplicates ? of before"}),
}


@pytest.mark.parametrize(("options", "expected"), AGAINST.values(), ids=AGAINST)
async def test_against(lake: Lake, options: dict[str, Any], expected: dict[tuple[str, int], str]):
    """What another dataset holds is dropped here, whichever is shorter, and the outcome names the dataset."""
    await land(lake, {"b": (NEAR,)})
    texts = {"a": (ONE, "x"), "b": (NEAR, "z")}
    assert dropped(await run(lake, texts, dedup=DedupOptions(against=("before",), **options))) == expected


async def test_several_against(lake: Lake):
    """Of several datasets, each counts; what they hold twice among themselves is theirs."""
    await land(lake, {"a": (ONE, NEAR)})
    await land(lake, {"c": (OTHER,)}, dataset="long ago")
    built = await run(lake, {"a": (f"{ONE} then", OTHER)}, dedup=DedupOptions(near=True, against=("before", "long ago")))
    assert dropped(built) == {
        ("a", 0): "near-duplicates ? of before (similarity 0.944)",
        ("a", 1): "duplicates ? of long ago",
    }


async def test_twice_against(lake: Lake):
    """What two datasets hold is signed once, and named as the first one's."""
    for dataset in ("before", "long ago"):
        await land(lake, {"a": (NEAR,)}, dataset=dataset)
    built = await run(lake, {"a": (ONE,)}, dedup=DedupOptions(near=True, against=("long ago", "before")))
    assert dropped(built) == {("a", 0): "near-duplicates ? of long ago (similarity 0.944)"}
    assert count_rows(index(lake, NearOptions(), "response").parts[-1]) == 1


async def test_parts_of_others_are_not_read(lake: Lake):
    """What another dataset holds is read from its traces: of the samples, those parts alone that have one's own."""
    await land(lake, {"b": (NEAR,)})
    for path in (lake.root / "samples").rglob("*.parquet"):
        spoil(path, "response")
    write_rows(lake.root / "samples" / "own.parquet", SAMPLES, [{"sample_id": "own", "response": ONE}])
    assert re.fullmatch(r"near-duplicates [0-9a-f]{32} of before \(similarity 0.944\)", own(lake))


async def test_texts_are_read_once(lake: Lake):
    """Texts that have been signed are compared by their words in the index, without reading them again."""
    await land(lake, {"b": (NEAR,)})
    write_rows(lake.root / "samples" / "own.parquet", SAMPLES, [{"sample_id": "own", "response": ONE}])
    first = own(lake)
    for path in (*(lake.root / "samples").rglob("*.parquet"), *(lake.root / "traces").rglob("*.parquet")):
        spoil(path, "response")
    assert own(lake) == first
    spoil(index(lake, NearOptions(), "response").parts[0], "said")
    with pytest.raises(LakeDamaged):
        own(lake)


def own(lake: Lake) -> str:
    """Return the reason of the sample `own`, compared with what the dataset `before` holds."""
    with Workspace(lake, lake.root.with_name("work")) as workspace:
        workspace.execute("CREATE TABLE slots AS SELECT 'own' AS sample_id, 0::BIGINT AS ord")
        digests(workspace, lake, build_id="run")
        workspace.execute(
            "CREATE TABLE candidates AS SELECT ord, 0::SMALLINT AS arm, 0 AS sample_index, sample_id, digest, length, "
            "NULL::DOUBLE AS score, NULL::VARCHAR AS stage, NULL::VARCHAR AS reason, "
            f"FALSE AS returned, {NO_DOUBLE} FROM slots JOIN texts USING (sample_id)"
        )
        dedup(workspace, DedupOptions(near=True, against=("before",)), lake, build_id="run")
        ((reason,),) = workspace.rows("SELECT reason FROM candidates")
    return str(reason)


def spoil(path: Path, name: str) -> None:
    """Overwrite a column, so that whoever reads it fails."""
    content = bytearray(path.read_bytes())
    for group in pq.read_metadata(path).to_dict()["row_groups"]:
        for column in group["columns"]:
            if column["path_in_schema"] == name:
                first = column["dictionary_page_offset"] or column["data_page_offset"]
                content[first : first + column["total_compressed_size"]] = bytes(column["total_compressed_size"])
    path.write_bytes(content)


async def test_signatures_are_kept(lake: Lake):
    """A second build signs what is new alone; without the index, all is signed again; the outcomes are the same."""
    texts: Texts = {"a": (ONE, NEAR, OTHER)}
    first = await run(lake, texts, run="r1")
    kept = index(lake, NearOptions(), "response")
    assert [path.name for path in kept.parts] == ["r1-000.parquet"]
    again = await run(lake, texts, run="r2")
    assert [path.name for path in kept.parts] == ["r1-000.parquet"]
    shutil.rmtree(lake.index)
    without = await run(lake, texts, run="r3")
    assert [path.name for path in kept.parts] == ["r3-000.parquet"]
    assert dropped(first) == dropped(again) == dropped(without)
    await run(lake, {"b": (FAR,)}, run="r4")
    assert [path.name for path in kept.parts] == ["r3-000.parquet", "r4-000.parquet"]


async def test_other_options_have_another_index(lake: Lake):
    """Signatures of other n-grams, or cut otherwise, are never mixed up."""
    for near in ({}, {"ngram": 3}, {"threshold": 0.9}):
        await run(lake, {"a": (ONE, NEAR)}, dedup=DedupOptions(near=near))
    assert len(list(lake.index.glob("minhash-*"))) == 3


async def test_nothing_to_compare(lake: Lake):
    """Without anything accepted there is nothing to do."""
    built = await run(lake, {"a": (ONE,)}, verifiers=[named(judge=lambda prompt, sample: False)])
    assert built.counts["rejected"] == {"verify": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"near": 0.8}, r"must be `true` or a mapping; did you mean `near: \{threshold: 0\.8\}`\?"),
        ({"near": "yes"}, r"must be `true` or a mapping; did you mean `near: true`\?"),
        ({"near": {"threshold": 0.1}}, "greater than or equal to 0.3"),
        ({"near": {"threshold": 0.95, "num_perm": 16}}, None),
        ({"near": {"threshold": 0.3, "num_perm": 16}}, "num_perm: 16 are too few for a threshold of 0.3; leave it out"),
        ({"near": True, "exact": False}, "exact: false: what is exactly the same is near, too"),
        ({"by": "prompt", "within": "prompt"}, "by: prompt compares prompts, and within: prompt never leaves one"),
        ({"exact": False, "against": ("x",)}, "against: nothing is compared"),
        ({"against": "x"}, r"must be a list of datasets: \[x\]"),
        ({"against": ("x", "x")}, "against: 'x' stands in it twice"),
    ],
)
def test_options(options: dict[str, Any], said: str | None):
    """What can't be meant is refused, with what to do."""
    if said is None:
        DedupOptions(**options)
    else:
        with pytest.raises(ValueError, match=said):
            DedupOptions(**options)


async def test_against_whom(lake: Lake):
    """What was never built here, or is the dataset itself, is one line before anything is spent."""
    await land(lake, {"a": ("x",)})
    for name, said in (
        ("befor", r"no build of 'befor' in .*; did you mean 'before'\?"),
        ("mine", "'mine' is this dataset itself"),
    ):
        with pytest.raises(SpecError, match=rf"^spec.yaml: dedup.against\[0\]: {said}"):
            check_against(DedupOptions(against=(name,)), lake, dataset="mine", where="spec.yaml")
    check_against(DedupOptions(against=("before",)), lake, dataset="mine", where="spec.yaml")
