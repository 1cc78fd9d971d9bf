"""Sizes: histograms that count every trace once, and what a build's samples took."""

from __future__ import annotations

import itertools
from pathlib import Path

from flows.looking import looking
from flows.report import report
from storage.lake import Lake
from tasks.measures import sizes
from tests.fakes import FakeTeacher, completion, make_prompt
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec


async def test_histogram(lake: Lake, tmp_path: Path):
    """Bins follow one another without a gap, and each number of tokens from 1 to 100 falls into the bin that has it."""
    texts = {f"p{n}": n for n in range(1, 101)}
    teacher = FakeTeacher(answer=lambda request: completion(request.prompt_id, tokens_out=texts[request.prompt_id]))
    given = Spec(prompts=[make_prompt(name, prompt_id=name) for name in texts], teachers={"smol": teacher})
    await land(lake, given, "1", tmp_path, COUNTS)
    bins = report(lake, "d", build_id=None).parts["histogram"]
    assert [(each["from"], each["to"]) for each in bins[:6]] == [(1, 1), (2, 2), (3, 3), (4, 5), (6, 7), (8, 11)]
    assert all(after["from"] == before["to"] + 1 for before, after in itertools.pairwise(bins))
    assert [each["traces"] for each in bins[:6]] == [1, 1, 1, 2, 2, 4]
    assert sum(each["traces"] for each in bins) == 100


async def test_spent(lake: Lake, tmp_path: Path):
    """What the samples took is counted once each, also where a later build bought none of them."""
    given = Spec(k=2, own={"smol": {"price": {"input": 1.0, "output": 2.0}}})
    await land(lake, given, "1", tmp_path, COUNTS)
    await land(lake, given, "2", tmp_path, COUNTS | {"paid": 0})
    (spent,) = report(lake, "d", build_id="2").parts["spent"].values()
    assert (spent["samples"], spent["priced"]) == (6, 6)
    assert spent["tokens_out"] > 0
    assert spent["cost_usd"] > 0


async def test_no_terms(lake: Lake, tmp_path: Path):
    """Where no terms bind a trace there is nothing to list."""
    await land(lake, Spec(), "1", tmp_path, COUNTS)
    with looking(lake, "d", None) as (workspace, _):
        assert sizes.terms(workspace) == []
