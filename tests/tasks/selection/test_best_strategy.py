"""Best strategy: of each prompt the samples of the strategy that passes most often with prompts like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks.select import SelectOptions
from tasks.teachers.protocol import Completion, Request
from tasks.templates import TemplateOptions
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Built, Spec, build

WAYS = [{"name": name, "system": f"{name}!"} for name in ("direct", "steps", "code")]
PASSES = {
    # kind, strategy: which of a kind's four prompts it solves
    ("sum", "direct"): "1000",
    ("sum", "steps"): "1110",
    ("sum", "code"): "0001",
    ("fact", "direct"): "1111",
    ("fact", "steps"): "1100",
    ("fact", "code"): "0000",
}
PROMPTS = [make_prompt(f"{kind} {n}", tags={"kind": kind}, source=f"{kind}.jsonl") for kind in ("sum", "fact") for n in range(4)]


def solved(passes: Mapping[tuple[str, str], str]) -> Any:
    """Return a verifier that passes what the table says."""

    def judge(prompt: Prompt, sample: Sample) -> bool:
        kind, number = prompt.prompt_id.split()
        return passes[kind, (sample.system or "plain!").removesuffix("!")][int(number)] == "1"

    return named(judge=judge)


def answer(request: Request) -> Completion:
    """Say what was sent, and the sample's index."""
    text = " ".join(message.content for message in request.messages)
    return completion(*(f"{text} {request.sample_index + n}" for n in range(request.n)))


def other(lake: Lake, name: str) -> Lake:
    """Return an empty lake beside this one."""
    return Lake.at(str(lake.root.with_name(name)))


async def kept(lake: Lake, ways: Sequence[Any] = WAYS, *, passes: Mapping[tuple[str, str], str] = PASSES, **given: Any) -> Built:
    """Build two kinds of prompts, each solved by some strategies."""
    select = SelectOptions.model_validate({"prefer": "best_strategy"} | given.pop("select", {}))
    made = {"prompts": PROMPTS, "teachers": {"smol": FakeTeacher(answer=answer)}, "verifiers": [solved(passes)], "select": select}
    template = TemplateOptions.model_validate({"strategies": list(ways)})
    built = await build(lake, Spec(**(made | given), template=template))
    assert sum(built.counts["rejected"].values()) + built.counts["kept"] == built.counts["requested"]
    return built


def of(built: Built) -> dict[str, set[str | None]]:
    """Return the strategies of each prompt's traces."""
    found: dict[str, set[str | None]] = {}
    for trace in built.tables["traces"]:
        found.setdefault(trace["prompt_id"], set()).add(trace["strategy"])
    return found


@pytest.mark.parametrize("label", ["tag:kind", "source", ["source", "tag:kind"]])
async def test_by_kind(lake: Lake, label: Any):
    """Each kind of prompt keeps its own best; a prompt that this one didn't solve keeps the next best's."""
    built = await kept(lake, select={"strategy_by": label})
    facts = {f"fact {n}": {"direct"} for n in range(4)}
    assert of(built) == facts | {f"sum {n}": {"steps"} for n in range(3)} | {"sum 3": {"code"}}
    reasons = {row["reason"] for row in built.tables["outcomes"] if row["stage"] == "select"}
    assert reasons == {
        "best_strategy: steps passes more often with such prompts: 3 of 4, against 1 of 4",
        "best_strategy: direct passes more often with such prompts: 4 of 4, against 2 of 4",
    }


async def test_over_all(lake: Lake):
    """Where nothing says which prompts are alike, one strategy is the best of all."""
    built = await kept(lake)
    assert of(built) == {
        prompt.prompt_id: {"direct"} for prompt in PROMPTS if prompt.prompt_id not in {"sum 1", "sum 2", "sum 3"}
    } | {
        "sum 1": {"steps"},
        "sum 2": {"steps"},
        "sum 3": {"code"},
    }


async def test_the_conditions_tags(lake: Lake):
    """Left out, prompts are alike by the tags of the strategies' conditions."""
    ways = [WAYS[0], WAYS[1] | {"when": {"kind": ["sum", "fact"]}}, WAYS[2]]
    assert of(await kept(lake, ways)) == of(await kept(other(lake, "other"), select={"strategy_by": "tag:kind"}))


async def test_per_prompt(lake: Lake):
    """`per_prompt` counts among the best strategy's samples, the best of these first."""
    built = await kept(lake, k=3, select={"strategy_by": "tag:kind", "per_prompt": 2})
    assert {len([t for t in built.tables["traces"] if t["prompt_id"] == prompt.prompt_id]) for prompt in PROMPTS} == {2}
    assert all(len(strategies) == 1 for strategies in of(built).values())


async def test_ties(lake: Lake):
    """Of two that pass as often, the one with more responses, then the first in the spec."""
    even = dict.fromkeys(PASSES, "1111")
    built = await kept(lake, passes=even)
    assert set().union(*of(built).values()) == {"direct"}
    assert {row["reason"] for row in built.tables["outcomes"] if row["stage"] == "select"} == {
        "best_strategy: direct passes as often, and comes first, with such prompts: 8 of 8, against 8 of 8"
    }
    rarer = [WAYS[0] | {"when": {"kind": "sum"}}, WAYS[1]]
    built = await kept(other(lake, "other"), rarer, passes=even, select={"strategy_by": "source"})
    assert set().union(*(of(built)[f"fact {n}"] for n in range(4))) == {"steps"}
    everywhere = other(lake, "third")
    assert set().union(*of(await kept(everywhere, list(reversed(WAYS)), passes=even)).values()) == {"code"}


async def test_the_plain_template(lake: Lake):
    """Prompts that no strategy is for have nothing to choose from, and keep what they have."""
    plain = PASSES | {("fact", "plain"): "1111"}
    built = await kept(lake, [WAYS[1] | {"when": {"kind": "sum"}}], passes=plain)
    assert of(built) == {f"fact {n}": {None} for n in range(4)} | {f"sum {n}": {"steps"} for n in range(3)}


async def test_a_cap_by_strategy(lake: Lake):
    """A cap may count by strategy, and one by teacher counts all of its strategies."""
    built = await kept(lake, select={"prefer": "best", "cap": {"by": "strategy", "at": 2}})
    counted = [trace["strategy"] for trace in built.tables["traces"]]
    assert {name: counted.count(name) for name in ("direct", "steps", "code")} == {"direct": 2, "steps": 2, "code": 1}
    built = await kept(other(lake, "other"), select={"prefer": "best", "cap": {"by": "teacher", "at": 3}})
    assert built.counts["kept"] == 3
