"""From seeds to requests: the same for the same seeds, whatever is added behind them."""

from __future__ import annotations

from collections import Counter

import pytest

from storage.errors import SourceError
from storage.records import Message, Prompt
from tasks.growth.options import OPERATIONS, GrowOptions
from tasks.growth.requests import Ask, asks, check_seed, generation, license_of
from tasks.prepare import Asked
from tests.fakes import make_prompt

ASKED = Asked(provider="fake", model="m", identity={})


def made(seeds: int, *, method: str = "evolve", per_seed: int = 2, human: tuple[Prompt, ...] = (), **more: object) -> list[Ask]:
    """Return the requests for some seeds."""
    options = GrowOptions(method=method, teacher="t", per_seed=per_seed, **more)
    return list(asks((make_prompt(f"Seed {i}?") for i in range(seeds)), options, ASKED, seed=3, human=human))


def addresses(found: list[Ask]) -> list[tuple[str, ...]]:
    """Return what is asked for."""
    return [(each.parents[0].prompt_id, each.sample_id) for each in found]


@pytest.mark.parametrize("method", ["evolve", "rephrase", "self_instruct"])
def test_more_pays_for_what_is_new(method: str):
    """A larger per_seed, and seeds behind those that there are, leave all requests as they were; none is made twice."""
    few, more, longer = made(9, method=method), made(9, method=method, per_seed=7), made(40, method=method)
    assert set(addresses(few)) < set(addresses(more))
    assert addresses(longer)[:18] == addresses(few)
    assert len(set(addresses(more))) == 63


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_few_seeds(seeds: int):
    """Where there are fewer prompts to show than requests to make, the same request asks for another answer each time."""
    found = made(seeds, method="self_instruct", per_seed=12)
    assert len({each.sample_id for each in found}) == 12 * seeds
    assert {each.sample_id for each in made(seeds, method="self_instruct", per_seed=5)} < {each.sample_id for each in found}


def test_operations_take_turns():
    """Five requests of a seed are the five operations, and the next five ask for other answers to the same."""
    found = made(4, per_seed=10)
    for first in range(0, 40, 10):
        own = found[first : first + 10]
        assert Counter(each.operation for each in own) == dict.fromkeys(OPERATIONS, 2)
        assert [each.sample_index for each in own] == [0] * 5 + [1] * 5
    assert len({found[first].operation for first in range(0, 40, 10)}) > 1
    assert {each.operation for each in made(4, operations=["broaden"])} == {"broaden"}


def test_examples():
    """A request shows its seed and others that stand before it, none of them twice; later rounds show the source's own."""
    found = made(30, method="self_instruct", examples=5)
    for number, each in enumerate(found):
        shown = [int(parent.prompt[5:-1]) for parent in each.parents]
        assert len(set(shown)) == 5
        assert shown[0] == number // 2
        assert all(other < max(shown[0], 5) for other in shown[1:])
    own = tuple(make_prompt(f"Own {i}?") for i in range(3))
    later = made(4, method="self_instruct", examples=3, human=own)
    assert all({parent.prompt[:3] for parent in each.parents[1:]} == {"Own"} for each in later)
    assert [len(each.parents) for each in made(2, method="self_instruct", examples=8)] == [2] * 4


def test_what_is_inherited():
    """Licences of all parents and the teacher's hold; the generation is one more than the latest; tags are those in common."""
    parents = (
        make_prompt("a", license="MIT OR GPL-2.0-only", tags={"kind": "sum", "level": "1"}, generation=2),
        make_prompt("b", license="CC0-1.0", tags={"kind": "sum", "level": "2"}),
        make_prompt("c", license="CC0-1.0", tags={"kind": "sum"}),
    )
    assert license_of(parents, "Apache-2.0") == "(MIT OR GPL-2.0-only) AND CC0-1.0 AND Apache-2.0"
    assert (generation(parents, 0), generation(parents, 4), generation(parents[1:], 0)) == (3, 5, 1)
    ask = Ask(parents=parents, operation=None, sample_index=0, messages=(), key="k")
    assert ask.tags == {"kind": "sum"}


def test_seeds_of_one_turn():
    """A system text stays with what is made of a prompt; a prompt that goes on with a conversation can't be a seed."""
    turns = (Message(role="system", content="Be kind."), Message(role="user", content="Why?"))
    options = GrowOptions(method="rephrase", teacher="t", per_seed=1)
    (ask,) = asks([make_prompt("Why?", messages=turns)], options, ASKED, seed=0)
    assert ask.before == turns[:1]
    check_seed(make_prompt("Why?", messages=turns), "here")
    with pytest.raises(SourceError, match="here: has turns before"):
        check_seed(make_prompt("Why?", messages=(turns[1], Message(role="assistant", content="So."), turns[1])), "here")
