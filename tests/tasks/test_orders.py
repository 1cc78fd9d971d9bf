"""Orders: a shard that is written out is the shard."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.lake import Lake
from tasks import orders
from tasks.orders import Ordered, Staged
from tests.fakes import make_prompt
from tests.tasks.house import Spec, build, house


async def test_there_and_back(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts and slots are those of the workspace, also where some samples are here already and a prompt was folded."""
    monkeypatch.setattr(orders, "PROMPTS", 3)
    prompts = [make_prompt(text, tags={"topic": text}, tests="assert True") for text in "abcdea"]
    await build(lake, Spec(prompts=prompts[:2], k=2, given=False))
    async with house(lake, Spec(prompts=prompts, k=2, given=False)) as one:
        await one.prepare()
        await one.judge()
        assert await one.open() == [0, 1]
        staged, ordered = Staged(one.workspace), Ordered(tmp_path)
        for number in (0, 1):
            staged.write(number, ordered.path(number))
            assert ordered.load(number) == staged.load(number)
        here = [slot.here for by_teacher in ordered.load(0)[1].values() for own in by_teacher.values() for slot in own]
        assert here == [True] * 4 + [False] * 2


async def test_apart(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards that share a missing sample are told from those that don't, or share one within themselves."""
    monkeypatch.setattr(orders, "PROMPTS", 2)
    prompts = [make_prompt(text, prompt_id=f"{n}-{text}") for n, text in enumerate("abaaccde")]
    async with house(lake, Spec(prompts=prompts)) as one:
        await one.prepare()
        shards = await one.open()
        assert shards == [0, 1, 2, 3]
        assert Staged(one.workspace).apart(shards) == [2, 3]
