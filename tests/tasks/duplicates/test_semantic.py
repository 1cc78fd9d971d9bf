"""Semantic duplicates: of responses whose embeddings point almost the same way, one stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import SetupError
from storage.lake import Lake
from tasks.duplicates import cells, leaders
from tasks.duplicates.cells import by_key, by_means
from tasks.duplicates.greedy import KEPT, Pairs, greedy
from tasks.duplicates.options import DedupOptions, SemanticOptions
from tasks.duplicates.semantic import SCALE, search
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.embedding import save_model
from tests.tasks.house import Built, Spec, build
from verifiers.protocol import Finding

WORDS = ["big", "large", "huge", "small", "cat", "dog", "sleeps", "rests"]
MEANINGS = np.array(
    [
        [1.0, 0, 0, 0, 0],
        [0.99, 0.1, 0, 0, 0],
        [0.9, 0.4, 0, 0, 0],
        [-1, 0.2, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1.0],
        [0, 0.1, 0, 0, 0.99],
    ]
)
"""big and large mean nearly the same, and so do sleeps and rests."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Give the folder of a real static model that knows these words."""
    return save_model(tmp_path / "model", WORDS, MEANINGS)


async def run(
    lake: Lake, model: str, texts: dict[str, list[str]], *, threshold: float = 0.95, run: str = "run", **given: Any
) -> Built:
    """Build prompts whose responses these are, by the prompt's id."""
    options = {key: given.pop(key) for key in ("by", "within", "against", "near") if key in given}
    teacher = FakeTeacher(answer=lambda request: completion(texts[request.prompt_id][request.sample_index]))
    dedup = DedupOptions(semantic=SemanticOptions(model=model, threshold=threshold), **options)
    prompts = given.pop("prompts", [make_prompt(name) for name in texts])
    spec = Spec(prompts=prompts, teachers={"smol": teacher}, k=max(map(len, texts.values())), dedup=dedup, **given)
    return await build(lake, spec, run=run)


async def test_synonyms(lake: Lake, model: str):
    """What says the same in other words is dropped, and its outcome names the kept one and the cosine; the shortest stays."""
    built = await run(lake, model, {"a": ["big cat sleeps", "large cat rests", "small cat sleeps"]})
    assert sorted(built.kept) == ["big cat sleeps", "small cat sleeps"]
    by_index = {row["sample_index"]: row for row in built.tables["outcomes"]}
    assert by_index[1]["stage"] == "dedup"
    assert by_index[1]["reason"] == f"semantically duplicates {by_index[0]['sample_id']} (cosine 0.993)"


async def test_best_stays(lake: Lake, model: str):
    """The better verdict goes before the shorter text."""
    scores = named(judge=lambda prompt, sample: Finding(passed=True, score=(0.2, 0.9)[sample.sample_index]))
    built = await run(lake, model, {"a": ["big cat", "large cat"]}, verifiers=[scores])
    assert built.kept == ["large cat"]


async def test_no_chains(lake: Lake, model: str):
    """One is dropped against a kept one alone: big takes large along, and huge, which is like large only, stays."""
    built = await run(lake, model, {"a": ["big", "large", "huge  "]}, threshold=0.93)
    assert sorted(built.kept) == ["big", "huge  "]


async def test_unknown_words(lake: Lake, model: str):
    """A response in which the model knows no word is like no other."""
    built = await run(lake, model, {"a": ["xyzzy", "plugh", "big"]})
    assert built.counts["kept"] == 3


@pytest.mark.parametrize(("given", "kept"), [({}, 1), ({"by": "both"}, 2), ({"within": "prompt"}, 2)], ids=str)
async def test_by(lake: Lake, model: str, given: dict[str, str], kept: int):
    """Over the whole dataset, or only where the user's text is the same."""
    built = await run(lake, model, {"x": ["big cat", "large cat"], "y": ["cat big", "large  cat"]}, **given)
    assert built.counts["kept"] == kept


async def test_against(lake: Lake, model: str, tmp_path: Path):
    """What another dataset's newest build holds is dropped here."""
    staged = tmp_path / "staged"
    staged.mkdir()
    teacher = FakeTeacher(answer=lambda request: completion("big dog"))
    await build(lake, Spec(prompts=[make_prompt("other")], teachers={"smol": teacher}), run="one", copy_to=staged)
    lake.land({"dataset": "d", "build_id": "one", "created_at": "2026", "requested": 1}, staged)
    built = await run(lake, model, {"a": ["large dog", "big cat"]}, run="two", against=("d",))
    assert built.kept == ["big cat"]
    (reason,) = [row["reason"] for row in built.tables["outcomes"] if row["reason"]]
    assert " of d (cosine 0.99" in reason


async def test_after_near(lake: Lake, model: str):
    """Beside `near`, it looks at what that leaves."""
    built = await run(lake, model, {"a": ["big cat", "BIG  cat", "large cat"]}, near=True)
    assert built.counts["kept"] == 1
    assert sorted(row["reason"].split()[0] for row in built.tables["outcomes"] if row["reason"]) == ["duplicates", "semantically"]


@pytest.mark.parametrize("given", [{}, {"near": True}], ids=str)
async def test_who_stands_for_others(lake: Lake, model: str, given: dict[str, Any]):
    """What was dropped for the sake of one that is then dropped by its meaning names the one that is kept."""
    built = await run(lake, model, {"a": ["big cat", "large cat", "LARGE  cat"]}, **given)
    (kept,) = [row["sample_id"] for row in built.tables["outcomes"] if row["outcome"] == "kept"]
    reasons = [row["reason"] for row in built.tables["outcomes"] if row["reason"]]
    assert [reason.split(" (")[0] for reason in reasons] == [f"semantically duplicates {kept}"] * 2


async def test_comes_back(lake: Lake, model: str):
    """What is near to one that is dropped by its meaning, and doesn't mean what the kept one does, is kept itself."""
    texts = {"a": ["big sleeps", "large rests", "large rests dog dog", "large large rests dog dog"]}
    built = await run(lake, model, texts, near={"threshold": 0.6, "ngram": 1}, threshold=0.98)
    words = [(row["reason"] or "kept").split()[0] for row in built.tables["outcomes"]]
    assert words == ["kept", "semantically", "kept", "near-duplicates"]
    assert built.tables["outcomes"][2]["sample_id"] in built.tables["outcomes"][3]["reason"]


async def test_again(lake: Lake, model: str):
    """A rerun drops the same ones."""
    texts = {"a": ["big cat sleeps", "large cat rests", "small dog"], "b": ["small dog rests", "dog", "big"]}
    first = await run(lake, model, texts)
    assert (await run(lake, model, texts, run="again")).tables["outcomes"] == first.tables["outcomes"]


async def test_nothing(lake: Lake, model: str):
    """A build with nothing left to compare has nothing to drop."""
    built = await run(lake, model, {"a": ["big"]}, verifiers=[named(judge=lambda prompt, sample: False)])
    assert built.counts["rejected"] == {"verify": 1}


async def test_no_model(lake: Lake):
    """A model that isn't there is one line that names the place in the spec."""
    with pytest.raises(SetupError, match=r"dedup\.semantic\.model"):
        await run(lake, "no/such/model", {"a": ["big"]})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"by": "prompt"}, "by: prompt"),
        ({"semantic": {"model": "m", "threshold": 0.2}}, "threshold"),
        ({"semantic": {}}, "model"),
        ({"semantic": True}, r"must name a model: `semantic: \{model: PATH_OR_ID\}`"),
        ({"semantic": "some/model"}, r"must name a model: `semantic: \{model: some/model\}`"),
    ],
    ids=str,
)
def test_what_can_not_be(given: dict[str, Any], said: str):
    """What makes no sense together is refused."""
    with pytest.raises(ValueError, match=said):
        DedupOptions(**({"semantic": {"model": "m"}} | given))


def whole(vectors: np.ndarray) -> np.ndarray:
    """Return vectors as the search has them."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return np.rint(vectors / lengths * SCALE).astype(np.int16)


def brute(vectors: np.ndarray, threshold: float, settled: int = 0) -> set[int]:
    """Return what comparing all pairs drops."""
    exact = vectors.astype(np.float64)
    exact /= np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-9)
    later, earlier = np.nonzero(np.tril(exact @ exact.T, -1) >= threshold)
    mine = later >= settled
    pairs = Pairs(later[mine], earlier[mine], np.zeros(int(mine.sum())))
    return set(np.flatnonzero(greedy(pairs, len(vectors)) != KEPT).tolist())


@given(
    st.lists(st.tuples(*[st.integers(-3, 3)] * 3).filter(any), min_size=1, max_size=40),
    st.sampled_from([0.7, 0.9, 0.99]),
    st.integers(0, 5),
)
def test_against_brute_force(rows: list[tuple[int, ...]], threshold: float, settled: int):
    """In one cell exactly that is dropped which comparing all pairs drops; what others hold never is."""
    vectors = whole(np.array(rows, np.float64))
    found = search(vectors, by_means(vectors, np.arange(len(rows))), threshold, settled=min(settled, len(rows)))
    assert set(found.later.tolist()) == brute(vectors, threshold, min(settled, len(rows)))


@pytest.mark.parametrize("block", [3, 16, 512])
def test_blocks(monkeypatch: pytest.MonkeyPatch, block: int):
    """However few are compared at a time, the same ones are dropped."""
    monkeypatch.setattr(leaders, "BLOCK", block)
    vectors = planted(200, copies=0.5)
    found = search(vectors, by_means(vectors, np.arange(len(vectors))), 0.9)
    assert set(found.later.tolist()) == brute(vectors, 0.9)


def planted(number: int, *, copies: float, dimensions: int = 32, seed: int = 0) -> np.ndarray:
    """Return random vectors of which this share are close to an earlier one."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(number, dimensions))
    for later in np.flatnonzero(rng.random(number) < copies):
        if later:
            earlier = made[rng.integers(later)]
            made[later] = earlier + rng.normal(size=dimensions) * 0.15 * np.linalg.norm(earlier) / dimensions**0.5
    return whole(made)


def test_cells(monkeypatch: pytest.MonkeyPatch):
    """With cells nearly all that comparing all pairs drops is found, and nothing else is dropped."""
    monkeypatch.setattr(cells, "FEW", 100)
    vectors = planted(1_500, copies=0.3)
    divided = by_means(vectors, np.arange(len(vectors)))
    found = search(vectors, divided, 0.95, across=True)
    assert len(divided.starts) > 30
    expected = brute(vectors, 0.95)
    assert len(expected) > 350
    assert len(expected & set(found.later.tolist())) >= 0.99 * len(expected)
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert ((exact[found.later] * exact[found.earlier]).sum(axis=1) >= 0.95).all()
    assert not set(found.earlier.tolist()) & set(found.later.tolist())


def test_all_alike(monkeypatch: pytest.MonkeyPatch):
    """Of many vectors that are all alike nearly all are dropped against one, though each cell keeps one of its own at first."""
    monkeypatch.setattr(cells, "FEW", 100)
    rng = np.random.default_rng(0)
    vectors = whole(1 + rng.normal(size=(2_000, 16)) * 0.01)
    found = search(vectors, by_means(vectors, np.arange(len(vectors))), 0.95, across=True)
    assert len(found.later) >= 1_990
    assert set(found.earlier.tolist()) <= set(range(2_000)) - set(found.later.tolist())


def test_by_key():
    """A cell for each key that several share; those without a direction are in none."""
    divided = by_key(np.array([7, 8, 7, 9, 7]), np.array([0, 1, 2, 3]))
    assert [divided.members(cell).tolist() for cell in range(len(divided.starts))] == [[0, 2]]
    assert divided.holding(np.array([False, False, True, False, False])).tolist() == [0]
    assert len(by_key(np.zeros(0, np.int64), np.zeros(0, np.int64)).starts) == 0
