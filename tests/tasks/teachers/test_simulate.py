"""A teacher that isn't there, in virtual time."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any

import pytest

from storage.errors import Overloaded, RateLimited, SpecError, TeacherError
from tasks.asking.ask import Answer, Desk
from tasks.asking.line import open_line
from tasks.stop import Stop
from tasks.teachers.options import SimulateOptions
from tasks.teachers.protocol import Completion
from tasks.teachers.simulate import FAULTS, SimulatedTeacher, make
from tests.fakes import in_virtual_time, make_options, make_request


def answers(number: int, *, at_once: bool = True, **behaviour: Any) -> tuple[list[Any], float]:
    """Ask so many different requests and return what came of them, and when the last was over."""

    async def main() -> tuple[list[Any], float]:
        teacher = SimulatedTeacher(behaviour=SimulateOptions(**behaviour))
        asking = [teacher.complete(make_request(f"prompt {i}")) for i in range(number)]
        if at_once:
            found = await asyncio.gather(*asking, return_exceptions=True)
        else:
            found = [(await asyncio.gather(each, return_exceptions=True))[0] for each in asking]
        return found, asyncio.get_running_loop().time()

    return in_virtual_time(main())


def test_lengths_and_times():
    """Answers have the lengths that were asked for, on average, and take in proportion to it."""
    found, seconds = answers(400, tokens=100, spread=0.5, latency_s=2.0)
    lengths = [completion.tokens_out for completion in found]
    assert sum(lengths) / 400 == pytest.approx(100, rel=0.05)
    assert (min(lengths), max(lengths)) == pytest.approx((50, 150), abs=3)
    assert seconds == pytest.approx(2.0 * max(lengths) / 100)
    assert all(len(completion.choices[0].response.split()) == completion.tokens_out for completion in found)


def test_the_same_again():
    """A request that is repeated gets the same words, another gets others."""
    (first, second, *_), _ = answers(5)
    (again, *_), _ = answers(5)
    assert again.choices == first.choices != second.choices


def test_max_tokens():
    """An answer that is longer than it may be is cut off there, says so, and takes no longer than that."""

    async def main() -> tuple[list[Completion], float]:
        teacher = SimulatedTeacher(behaviour=SimulateOptions(tokens=100, spread=0.5, latency_s=2.0))
        requests = [make_request(f"prompt {i}", parameters={"max_tokens": 100}) for i in range(40)]
        return await asyncio.gather(*map(teacher.complete, requests)), asyncio.get_running_loop().time()

    found, seconds = in_virtual_time(main())
    assert max(completion.tokens_out for completion in found) == 100
    assert seconds == pytest.approx(2.0)
    assert {completion.tokens_out for completion in found if completion.choices[0].finish_reason == "length"} == {100}
    assert {completion.choices[0].finish_reason for completion in found} == {"stop", "length"}


def test_limits():
    """What is too much at a time, or a minute, is refused as a server would."""
    found, _ = answers(10, concurrency=4)
    assert Counter(map(type, found)) == {Completion: 4, Overloaded: 6}
    found, _ = answers(100, requests_per_minute=600)
    assert Counter(map(type, found))[RateLimited] in range(93, 97)
    found, _ = answers(40, at_once=False, latency_s=0.1, tokens=100, tokens_per_minute=6_000)
    assert RateLimited in map(type, found)


def test_faults():
    """Each kind of fault comes, and retries get an answer for every request all the same."""
    options = make_options(provider="simulate", timeout_s=30, retry={"attempts": 30, "first_wait_s": 1, "max_wait_s": 2})

    async def main() -> list[Any]:
        teacher = SimulatedTeacher(behaviour=SimulateOptions(faults=0.3))
        desk = Desk(options, [open_line(teacher, options)], Stop())
        return await asyncio.gather(*(desk.ask(make_request(f"prompt {i}")) for i in range(300)), return_exceptions=True)

    found = in_virtual_time(main())
    assert all(isinstance(each, Answer) for each in found)
    assert {each.completion.choices[0].finish_reason for each in found} == {"stop", "length"}
    single, _ = answers(300, faults=1.0)
    kinds = {str(each) if isinstance(each, TeacherError) else each.choices[0].finish_reason for each in single}
    assert len(kinds) == len(FAULTS) - 1  # a fault that hangs ends like an answer, an hour later


def test_it_asks_nobody():
    """An address or a key beside it is a mistake."""
    with pytest.raises(SpecError, match="asks nobody"):
        make(make_options(provider="simulate", base_url="http://x/v1"), api_key=None)
    with pytest.raises(SpecError, match="teacher 'smol': api: only provider openai has `responses`"):
        make(make_options(provider="simulate", api="responses"), api_key=None)


def test_logprobs():
    """Distributions are plausible, the same for the same request, and there where they are asked for."""

    async def main() -> list[Completion]:
        teacher = SimulatedTeacher(behaviour=SimulateOptions(tokens=50))
        asked = {"logprobs": True, "top_logprobs": 20}
        return [await teacher.complete(make_request(parameters=parameters)) for parameters in (asked, asked, {})]

    first, again, without = in_virtual_time(main())
    (choice,) = first.choices
    found = choice.logprobs
    assert (first, without.choices[0].logprobs) == (again, None)
    assert found is not None
    assert found.tokens is not None
    assert b"".join(found.tokens).decode() == choice.response
    assert found.counts == (20,) * first.tokens_out
    for number, rest in enumerate(found.rest):
        own = slice(20 * number, 20 * number + 20)
        assert list(found.top_logprobs[own]) == sorted(found.top_logprobs[own], reverse=True)
        assert sum(map(math.exp, found.top_logprobs[own])) + rest == pytest.approx(1)
        assert found.top_ids is not None
        assert len(set(found.top_ids[own])) == 20
        assert found.ids is not None
        assert found.top_logprobs[own][found.top_ids[own].index(found.ids[number])] == found.logprobs[number]
