"""The guard: what would feed on what was generated is refused before anything is spent."""

from __future__ import annotations

import re

import pytest

from storage.errors import GuardRefused
from storage.lake import Lake
from tasks.guard import Coming, GuardOptions, check_prompts, check_share, check_teachers
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


async def coming(lake: Lake, most: int, expected: int | None = None, *, probing: bool = False, **options: float) -> str | None:
    """Put prompts that are still to be grown before the guard, beside three of people's and seven others."""
    async with house(lake, Spec(prompts=PROMPTS, barred=[])) as one:
        await one.prepare()
        told = Coming(most=most, expected=most if expected is None else expected, known=expected is not None)
        return check_share(one.workspace, GuardOptions(**options), told, probing=probing)


@pytest.mark.parametrize(
    ("most", "expected", "probing", "said"),
    [
        (5, None, False, "has room for 5"),  # 3 of 15 is just enough
        (6, None, False, r"growing asks for 6 prompts more, and beside 3 that people wrote .* and 7 others, .* has room for 5"),
        (9, 5, False, "of which about 5 are kept by what is stored"),
        (9, 6, False, "of which about 6 are kept by what is stored"),
        (6, None, True, "will be refused"),
    ],
)
async def test_what_is_to_be_grown(lake: Lake, most: int, expected: int | None, probing: bool, said: str):
    """More prompts than people's have room for are refused before they are asked for; what may be too many is said."""
    refused = (expected or most) > 5 and not probing
    if refused:
        with pytest.raises(GuardRefused, match=said):
            await coming(lake, most, expected, probing=probing, min_human_share=0.2)
        return
    told = await coming(lake, most, expected, probing=probing, min_human_share=0.2)
    assert (told is None) == (most <= 5)
    assert told is None or re.search(said, told)


async def test_no_room_at_all(lake: Lake):
    """Where not even one prompt more may be grown, a probe is refused too; without a bound nothing is."""
    with pytest.raises(GuardRefused, match="has room for 0"):
        await coming(lake, 1, 0, probing=True, min_human_share=0.3)
    assert await coming(lake, 10**9) is None
    assert await coming(lake, 10**9, min_human_share=0) is None


async def test_nothing_said(lake: Lake):
    """Without options nothing is refused."""
    await judge(lake)


def test_teachers():
    """A teacher that is too far from people's texts is refused before a prompt is read."""
    check_teachers(GuardOptions(), {"student": 9})
    check_teachers(GuardOptions(max_generation=1), {"smol": 0, "student": 1})
    with pytest.raises(GuardRefused, match=r"teacher 'student' is of generation 2, and guard\.max_generation is 1"):
        check_teachers(GuardOptions(max_generation=1), {"smol": 0, "student": 2})
