"""The guard: what would feed on what was generated is refused before anything is spent."""

from __future__ import annotations

import pytest

from storage.errors import GuardRefused
from storage.lake import Lake
from tasks.guard import GuardOptions, check_prompts, check_teachers
from tests.fakes import make_prompt
from tests.tasks.house import Spec, house

PROMPTS = [make_prompt(str(n), generation=n % 4, source=f"gen{n % 4}.jsonl") for n in range(10)]
"""Three of generation 0, three of 1, two of 2, two of 3."""


async def judge(lake: Lake, *, barring: str = "", **options: float) -> None:
    """Put the prompts before the guard."""
    barred = [("license", f"SELECT ord, 'no' AS reason FROM prompts WHERE {barring}")] if barring else []
    async with house(lake, Spec(prompts=PROMPTS, barred=barred)) as one:
        await one.prepare()
        check_prompts(one.workspace, GuardOptions(**options))


async def test_generation(lake: Lake):
    """A later generation than the greatest is refused, with where it comes from."""
    await judge(lake, max_generation=3)
    with pytest.raises(GuardRefused, match=r"^gen3\.jsonl: 2 prompts are of generation 3 .*guard\.max_generation is 2"):
        await judge(lake, max_generation=2)


async def test_share(lake: Lake):
    """Too small a share of people's prompts is refused; exactly enough is enough."""
    await judge(lake, min_human_share=0.3)
    with pytest.raises(GuardRefused, match=r"3 of 10 prompts \(30\.0%\) were written by people .*min_human_share is 0\.31"):
        await judge(lake, min_human_share=0.31)


async def test_the_barred_do_not_count(lake: Lake):
    """Prompts that are rejected before the draw count neither way."""
    await judge(lake, max_generation=1, min_human_share=0.5, barring="generation > 1")
    with pytest.raises(GuardRefused, match="0 of 7 prompts"):
        await judge(lake, min_human_share=0.1, barring="generation = 0")
    await judge(lake, max_generation=0, min_human_share=1, barring="TRUE")


async def test_nothing_said(lake: Lake):
    """Without options nothing is refused."""
    await judge(lake)


def test_teachers():
    """A teacher that is too far from people's texts is refused before a prompt is read."""
    check_teachers(GuardOptions(), {"student": 9})
    check_teachers(GuardOptions(max_generation=1), {"smol": 0, "student": 1})
    with pytest.raises(GuardRefused, match=r"teacher 'student' is of generation 2, and guard\.max_generation is 1"):
        check_teachers(GuardOptions(max_generation=1), {"smol": 0, "student": 2})
