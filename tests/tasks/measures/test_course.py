"""The course of a build's slots: what flows into a node flows out of it, and all of it ends somewhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from flows.report import report
from storage.lake import Lake
from tasks.duplicates.options import DedupOptions
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec
from verifiers.protocol import Finding


def balance(flows: list[dict[str, Any]]) -> tuple[Counter[str], Counter[str]]:
    """Return what flows into each node, and out of it."""
    into: Counter[str] = Counter()
    out: Counter[str] = Counter()
    for flow in flows:
        into[flow["target"]] += flow["slots"]
        out[flow["source"]] += flow["slots"]
    return into, out


async def test_all_of_it_is_accounted_for(lake: Lake, tmp_path: Path):
    """Kept, rejected by several stages, failed, never sent: each slot is followed from what was asked for to its end."""
    prompts = [make_prompt(f"p{n}", prompt_id=f"p{n}") for n in range(12)]
    reasons = named("check", lambda prompt, sample: Finding(passed=prompt.prompt_id < "p4", reason=f"kind {prompt.prompt_id}"))
    teacher = FakeTeacher(answer=lambda request: completion("" if request.prompt_id == "p0" else "the same"))
    given = Spec(
        prompts=prompts,
        teachers={"smol": teacher},
        k=2,
        verifiers=[reasons],
        dedup=DedupOptions(exact=True),
        barred=[("license", "SELECT ord, 'not licensed: ' || ord AS reason FROM prompt_ids WHERE ord = 11")],
    )
    await land(lake, given, "1", tmp_path, COUNTS)
    flows = report(lake, "d", build_id=None).parts["course"]
    into, out = balance(flows)
    assert out["asked for"] == 24
    assert (out["bought by this run"], into["no response"], into["not sent"]) == (20, 2, 2)
    for node in set(into) & set(out):
        assert into[node] == out[node], node
    ends = Counter({node: number for node, number in into.items() if node not in out})
    assert sum(ends.values()) == 24
    assert ends["kept"] == into["kept"] > 0
    assert into["rejected: dedup"] == 8 - into["kept"]  # of p1, p2, p3 and p10
    assert into["rejected: license"] == 2


async def test_many_reasons_are_one(lake: Lake, tmp_path: Path, monkeypatch):
    """Of a stage's kinds of reasons the largest have nodes of their own, and the others one together."""
    monkeypatch.setattr("tasks.measures.course.KINDS", 2)
    checks = [named(f"check{n}", lambda prompt, sample, n=n: prompt.prompt_id != f"p{n}") for n in range(4)]
    prompts = [make_prompt(f"p{n}", prompt_id=f"p{n}") for n in range(4)]
    await land(lake, Spec(prompts=prompts, verifiers=checks), "1", tmp_path, COUNTS)
    into, out = balance(report(lake, "d", build_id=None).parts["course"])
    assert into["rejected: verify: other reasons"] == 2
    assert sum(node.startswith("rejected: verify: ") for node in into) == 3
    assert out["rejected: verify"] == 4
