"""Split: by the prompt alone, so that no text is in two splits, and each keeps its own as the data grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from storage.lake import Lake
from storage.workspace import Workspace
from tasks.select import SelectOptions
from tasks.selection.split import SplitOptions, split
from tests.fakes import make_prompt
from tests.tasks.house import Spec, build

PINNED = "reeerearrrrrarrrrrrrrrarererrararrreraea"
PINNED_STRATIFIED = "arrerrarrrerearrrerraerarrrerrarerarrrer"
Row = tuple[str, str, dict[str, str]]
"""Text, source, tags."""


@pytest.fixture
def workspace(lake: Lake, tmp_path: Path) -> Iterator[Workspace]:
    """Return a workspace without prompts."""
    with Workspace(lake, tmp_path / "work") as opened:
        yield opened


def cut(
    workspace: Workspace, rows: list[Row], *, seed: int = 0, parents: Mapping[int, list[int]] | None = None, **given: Any
) -> list[str]:
    """Return each prompt's split. `parents`: from which rows, or others, some were grown."""
    workspace.execute(
        "CREATE OR REPLACE TABLE prompts "
        "(ord BIGINT, prompt_id VARCHAR, prompt VARCHAR, source VARCHAR, tags MAP(VARCHAR, VARCHAR), parents VARCHAR[])"
    )
    values = ", ".join(["(?, ?, ?, ?, MAP(?::VARCHAR[], ?::VARCHAR[]), ?)"] * len(rows))
    flat = [
        value
        for n, (text, source, tags) in enumerate(rows)
        for value in (n, str(n), text, source, list(tags), list(tags.values()), list(map(str, (parents or {}).get(n, ()))))
    ]
    workspace.execute(f"INSERT INTO prompts VALUES {values}", flat)
    workspace.execute("DROP TABLE IF EXISTS splits")
    split(workspace, SplitOptions(**given), seed=seed)
    found = dict(workspace.rows("FROM splits"))
    return [found.get(number, "train") for number in range(len(rows))]


def plain(many: int, *, start: int = 0) -> list[Row]:
    """Return prompts of one source, every fourth of another topic."""
    return [(f"Case {n}?", "s", {"topic": "rare" if n % 4 == 0 else "usual"}) for n in range(start, start + many)]


def test_shares(workspace: Workspace):
    """About the shares that are asked for."""
    counted = Counter(cut(workspace, plain(2_000), validation=0.1, test=0.05))
    assert 160 < counted["validation"] < 240
    assert 70 < counted["test"] < 130


def test_the_same_text(workspace: Workspace):
    """Case, white space and Unicode form make no other text."""
    rows: list[Row] = [
        (text.format(n), "s", {}) for n in range(100) for text in ("Fall é {}?", "fall  e\u0301\n{}? ", "FALL É {}?")
    ]
    found = cut(workspace, rows, test=0.5)
    assert all(len(set(found[n : n + 3])) == 1 for n in range(0, 300, 3))
    assert set(found) == {"train", "test"}


def test_growth(workspace: Workspace):
    """A prompt keeps its split whatever is put before it or taken away."""
    few = plain(200)
    found = cut(workspace, few, validation=0.2, test=0.2)
    more = [*plain(100, start=900), *few[50:], *plain(100, start=500)]
    assert cut(workspace, more, validation=0.2, test=0.2)[100:250] == found[50:]


def test_larger_shares(workspace: Workspace):
    """A larger validation takes from training alone."""
    before = cut(workspace, plain(500), validation=0.1, test=0.1)
    after = cut(workspace, plain(500), validation=0.3, test=0.1)
    assert {pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]} == {("train", "validation")}


def test_seed(workspace: Workspace):
    """Another seed gives another split, and the same one the same."""
    one, two, again = (cut(workspace, plain(200), seed=seed, test=0.3) for seed in (1, 2, 1))
    assert one == again != two


def test_pinned(workspace: Workspace):
    """A seed and a text give the same split for ever: this changes with a major version alone."""
    found = cut(workspace, plain(40), seed=7, validation=0.2, test=0.2)
    assert "".join(each[1] for each in found) == PINNED
    found = cut(workspace, plain(40), seed=7, validation=0.2, test=0.2, stratify="tag:topic")
    assert "".join(each[1] for each in found) == PINNED_STRATIFIED


class TestStratify:
    """Each stratum is cut for itself."""

    @pytest.mark.parametrize("many", [40, 120, 1_000])
    def test_exact(self, workspace: Workspace, many: int):
        """Each stratum has its share, but for one or two prompts."""
        found = cut(workspace, plain(many), test=0.1, validation=0.05, stratify="tag:topic")
        for start, size in (("rare", many // 4), ("usual", many - many // 4)):
            counted = Counter(each for each, row in zip(found, plain(many), strict=True) if row[2]["topic"] == start)
            assert abs(counted["test"] - size * 0.1) <= 2
            assert abs(counted["validation"] - size * 0.05) <= 2

    def test_growth(self, workspace: Workspace):
        """A prompt keeps its split as prompts are added behind, also where another source stands behind that one."""
        other: list[Row] = [(f"Other {n}?", "t", {}) for n in range(100)]
        before = cut(workspace, plain(100) + other, test=0.2, stratify="tag:topic")
        after = cut(workspace, plain(300) + other, test=0.2, stratify="tag:topic")
        assert after[:100] + after[300:] == before

    def test_by_source(self, workspace: Workspace):
        """Each source may be cut for itself."""
        rows: list[Row] = [(f"{source} {n}", source, {}) for source in "abcd" for n in range(20)]
        found = cut(workspace, rows, test=0.1, stratify="source")
        assert all(1 <= found[start : start + 20].count("test") <= 3 for start in range(0, 80, 20))

    def test_the_same_text(self, workspace: Workspace):
        """A text that stands in two strata is cut with the first."""
        rows = [*plain(50), *((text, "t", {"topic": "other"}) for text, _, _ in plain(50))]
        found = cut(workspace, rows, test=0.3, stratify="tag:topic")
        assert found[:50] == found[50:]
        assert len(set(found)) == 2


class TestGroup:
    """Prompts that must stay together."""

    def test_together(self, workspace: Workspace):
        """Prompts of one group are in one split; what has none goes by its text."""
        rows: list[Row] = [(f"Case {n}?", "s", {"family": str(n // 5)} if n < 200 else {}) for n in range(400)]
        found = cut(workspace, rows, test=0.4, group="tag:family")
        assert all(len(set(found[n : n + 5])) == 1 for n in range(0, 200, 5))
        assert len(set(found[:200])) == 2
        assert found[200:] == cut(workspace, rows, test=0.4)[200:]

    def test_groups_that_share_a_text(self, workspace: Workspace):
        """Groups that share a text are one group, over any number of steps: else the text would be in two splits."""
        rows: list[Row] = []
        for n in range(30):
            for step in range(6):
                rows += [(f"{n} {step}", "s", {"f": f"{n}-{step}"}), (f"{n} {step + 1}", "s", {"f": f"{n}-{step}"})]
        found = cut(workspace, rows, test=0.4, group="tag:f")
        assert all(len(set(found[n : n + 12])) == 1 for n in range(0, 360, 12))
        assert len(set(found)) == 2

    def test_by_source(self, workspace: Workspace):
        """A whole source may be held back or not."""
        rows: list[Row] = [(f"{source} {n}", source, {}) for source in "abcdefgh" for n in range(5)]
        found = cut(workspace, rows, test=0.5, group="source")
        assert all(len(set(found[n : n + 5])) == 1 for n in range(0, 40, 5))

    def test_stratified(self, workspace: Workspace):
        """Groups are cut whole within the strata."""
        rows: list[Row] = [(f"Case {n}?", "s", {"f": str(n // 4), "topic": str(n // 200)}) for n in range(400)]
        found = cut(workspace, rows, test=0.1, group="tag:f", stratify="tag:topic")
        assert all(len(set(found[n : n + 4])) == 1 for n in range(0, 400, 4))
        assert all(12 <= found[start : start + 200].count("test") <= 28 for start in (0, 200))


class TestGrown:
    """Prompts that were grown from others."""

    @pytest.mark.parametrize("given", [{}, {"stratify": "source"}, {"group": "tag:family"}], ids=["by text", "strata", "groups"])
    def test_with_the_seed(self, workspace: Workspace, given: dict[str, str]):
        """Over any number of rounds, and where several were shown: a test's seed has no child to train on. Seeds stay."""
        many = 60
        seeds: list[Row] = [(f"Case {n}?", "s", {"family": str(n)} if n % 2 else {}) for n in range(many)]
        rows = [*seeds, *((f"Round {1 + n // many} of {n}?", "s (evolve)", {}) for n in range(3 * many))]
        parents = {many + n: [n, (n + 1) % many] for n in range(3 * many)}  # each is of the row `many` before it, at first
        found = cut(workspace, rows, parents=parents, test=0.4, **given)
        assert all(len(set(found[n::many])) == 1 for n in range(many))
        assert len(set(found)) == 2
        assert found[:many] == cut(workspace, seeds, test=0.4, **given)

    def test_of_seeds_that_are_not_kept(self, workspace: Workspace):
        """Those of one seed are in one split, though the seed is no prompt."""
        rows: list[Row] = [(f"Of {n}?", "s", {}) for n in range(200)]
        found = cut(workspace, rows, parents={n: [1_000 + n // 4] for n in range(200)}, test=0.4)
        assert all(len(set(found[n : n + 4])) == 1 for n in range(0, 200, 4))
        assert len(set(found)) == 2

    def test_texts_that_others_have(self, workspace: Workspace):
        """The same text is never in two splits: of what wasn't grown, none leaves its own; of what was, one decides for all."""
        rows: list[Row] = [(f"Case {n}?", "s", {}) for n in range(100)]
        rows += [(f"case {n + 1}?", "t", {}) for n in range(50)] + [(f"Both {n // 2}?", "t", {}) for n in range(100)]
        parents = {100 + n: [n] for n in range(150)}
        found = cut(workspace, rows, parents={number: [each % 100 for each in of] for number, of in parents.items()}, test=0.4)
        assert found[:100] == cut(workspace, rows[:100], test=0.4)
        assert found[100:150] == found[1:51]
        assert found[150::2] == found[151::2]

    def test_ids_in_a_circle(self, workspace: Workspace):
        """Ids that a source gives may name each other; it ends all the same."""
        rows: list[Row] = [("a", "s", {}), ("b", "s", {}), ("c", "s", {})]
        assert set(cut(workspace, rows, parents={0: [1], 1: [0], 2: [2]}, test=0.4)) <= {"train", "test"}


@pytest.mark.parametrize(
    "given",
    [{}, {"test": 1.0}, {"test": 0.5, "validation": 0.5}, {"test": -0.1}, {"test": 0.1, "group": "topic"}, {"train": 0.5}],
)
def test_what_makes_no_sense(given: dict[str, Any]):
    """A split of nothing, or of everything, is refused, and so is a label of another form."""
    with pytest.raises(ValidationError):
        SplitOptions(**given)


async def test_build(lake: Lake):
    """A trace has its prompt's split, whichever teacher answers and whatever is rejected."""
    prompts = [make_prompt(f"p{n}") for n in range(30)]
    select = SelectOptions(split=SplitOptions(test=0.3, validation=0.2))
    built = await build(lake, Spec(prompts=prompts, k=2, select=select))
    found = {(row["prompt_id"], row["split"]) for row in built.tables["traces"]}
    assert len(found) == 30
    assert {name for _, name in found} == {"train", "validation", "test"}
    fewer = await build(lake, Spec(prompts=prompts[::2], select=select.model_copy(update={"per_prompt": 1})), run="again")
    assert {(row["prompt_id"], row["split"]) for row in fewer.tables["traces"]} <= found
