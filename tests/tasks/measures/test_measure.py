"""Measures of a build: of its traces, and of all responses that were judged."""

from __future__ import annotations

from typing import Any

import pytest

from storage.lake import Lake
from tasks.measures import measure as measures
from tasks.measures.measure import measure
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Spec, house


async def measured(lake: Lake, spec: Spec, run: str = "run") -> dict[str, Any]:
    """Build and return the measures."""
    async with house(lake, spec, run=run) as one:
        await one.prepare()
        for number in await one.open():
            await one.work(number)
        await one.curate()
        return measure(one.workspace)


def spec(number: int = 40, **given: Any) -> Spec:
    """Return a spec whose teacher opens with a phrase where it is right."""

    def answer(request: Any) -> Any:
        right = int(request.prompt_id) % 2 == 0
        return completion(f"Certainly! It is surely number {request.prompt_id}." if right else f"No {request.prompt_id}")

    check = named(judge=lambda prompt, sample: sample.response.startswith("Certainly"))
    prompts = [make_prompt(str(n)) for n in range(number)]
    return Spec(prompts=prompts, teachers={"smol": FakeTeacher(answer=answer)}, verifiers=[check], **given)


async def test_both(lake: Lake):
    """Diversity is of the traces; style of all judged responses; and here style tells it all."""
    said = await measured(lake, spec())
    assert (said["diversity"]["traces"], said["diversity"]["sample"], said["style"]["sample"]) == (20, 20, 40)
    assert said["diversity"]["openings"] == [{"opening": "certainly it is", "share": 1.0}]
    assert said["style"]["habits"]["opening"] == {
        "share": 0.5,
        "share_of_traces": 1.0,
        "pass_rate_with": 1.0,
        "pass_rate_without": 0.0,
    }
    assert (said["style"]["length_alone"]["auc"], said["style"]["responses"]) == (1.0, 40)


async def test_nothing_kept(lake: Lake):
    """A build that keeps nothing has measures of nothing."""
    said = await measured(lake, Spec(verifiers=[named(judge=lambda prompt, sample: False)]))
    assert (said["diversity"]["traces"], said["diversity"]["vendi"]) == (0, None)
    assert said["style"]["length_alone"] is None


async def test_a_failed_slot(lake: Lake):
    """A slot without a response is no part of it."""

    def answer(request: Any) -> Any:
        return completion("" if request.prompt_id == "a" else "x y z")

    said = await measured(lake, Spec(teachers={"smol": FakeTeacher(answer=answer)}))
    assert said["style"]["sample"] == 2


async def test_a_sample_is_stable(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """The sample goes by the ids' hashes: the same each time, and as the dataset grows it only gives way to lesser hashes."""
    monkeypatch.setattr(measures, "SAMPLE", 10)
    monkeypatch.setattr(measures, "STYLED", 10)
    first = await measured(lake, spec())
    assert first["diversity"]["sample"] == first["style"]["sample"] == 10
    assert await measured(lake, spec(), "again") == first
    assert (await measured(lake, spec(60), "more"))["style"]["sample"] == 10
