"""A judge's way to its teacher: the same is asked once, and what was paid for and is of no use isn't asked for again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.asker import DeskAsker
from storage.answers import Answers
from storage.checks import Check, recover
from storage.errors import (
    BadResponse,
    QuotaSpent,
    RequestRejected,
    TeacherDown,
    TeacherError,
    TimedOut,
    Unavailable,
    VerifierError,
    Withheld,
)
from tasks import lapsed
from tasks.asking.retries import FREE
from tasks.draw import Budget, Spending
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Choice, Completion, NoChoices, Request, Usage
from tasks.verify import CHECK
from tests.fakes import FakeTeacher, completion, echo, make_desk, make_options, user

EMPTY = completion(Choice(response="", finish_reason="stop"))


class Bench:
    """A judge's teacher, and what was paid for it."""

    def __init__(self, folder: Path, answer: Callable[[Request], Completion] = echo, *, waits: bool = True, **given: object):
        self.teacher = FakeTeacher(answer=answer)
        self.stop, self.spending = Stop(), Spending()
        options = make_options(**({"retry": RetryOptions(attempts=2, first_wait_s=0.001, max_wait_s=0.002)} | given))
        self.desk = make_desk(options, self.teacher, self.stop)
        self.answers = Answers(folder / "answers", folder / "checks", run="r")
        self._asker = DeskAsker(self.desk, self.spending, Budget(None), self.stop, self.answers, waits=waits)

    async def ask(self, text: str, check: Check | None = None) -> str:
        """Ask as a check does, in a task of its own."""
        CHECK.set(check or Check("s", "judge"))
        return await self._asker.ask(user(text), schema={})

    async def side_by_side(self, *texts: str) -> list[str | BaseException]:
        """Ask several at once."""
        return await asyncio.gather(*(asyncio.create_task(self.ask(text)) for text in texts), return_exceptions=True)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make benches, whose files are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(*args: Any, **given: Any) -> Bench:
            bench = Bench(tmp_path, *args, **given)
            stack.enter_context(bench.answers)
            return bench

        yield make


async def test_the_same_is_asked_once(made: Callable[..., Bench]):
    """Whoever asks the same at the same time, or later, gets the same answer, and it is billed once."""
    bench = made()
    assert await bench.side_by_side("a", "a", "b") == ["a #0", "a #0", "b #0"]
    assert await bench.ask("a") == "a #0"
    assert len(bench.teacher.requests) == 2
    assert bench.spending.tokens_in == 20


async def test_who_waits_for_what_failed_asks_itself(made: Callable[..., Bench]):
    """Where who asked got no answer, or was cancelled, the next one asks."""
    left = [Unavailable("500")] * 2

    def answer(request: Request) -> Completion:
        if left:
            raise left.pop()
        return echo(request)

    bench = made(answer)
    first, second = await bench.side_by_side("a", "a")
    assert isinstance(first, Unavailable)
    assert second == "a #0"
    asking, waiting = (asyncio.create_task(bench.ask("b")) for _ in range(2))
    await asyncio.sleep(0)
    asking.cancel()
    assert await waiting == "b #0"


@pytest.mark.parametrize("price", [None, {"input": 1, "output": 1}], ids=["unknown", "priced"])
@pytest.mark.parametrize(
    ("answer", "tokens"),
    [(EMPTY, 30), (NoChoices("no choices", usage=Usage(tokens_in=10)), 30), (BadResponse("not JSON"), 10)],
    ids=["empty", "billed without a choice", "malformed"],
)
async def test_no_answer(made: Callable[..., Bench], answer: Completion | Exception, tokens: int, price: object):
    """An answer that is of no use is asked for as the policy says, and then there is no verdict, for good, whatever it cost.

    It counts as its own fault since the teacher answers something else.
    """

    def given(request: Request) -> Completion:
        if request.prompt_id == "control":
            return completion("7")
        if isinstance(answer, Exception):
            raise answer
        return answer

    bench = made(given, price=price)
    for _ in range(2):
        with pytest.raises(VerifierError, match="2 attempts"):
            await bench.ask("a")
    assert sum(request.prompt_id == "judge" for request in bench.teacher.requests) == 2
    assert bench.spending.tokens_in == tokens


@pytest.mark.parametrize("answer", [BadResponse("<html>"), NoChoices("none", usage=Usage(tokens_in=1)), EMPTY], ids=repr)
async def test_nothing_but_garbage(made: Callable[..., Bench], answer: Completion | BadResponse):
    """A judge that answers nobody with a response is down: nothing is left undecided for good, and little is asked."""

    def given(_: Request) -> Completion:
        if isinstance(answer, BadResponse):
            raise answer
        return answer

    bench = made(given)
    with pytest.raises(TeacherDown, match=r"^teacher 'smol' answers with no response \(2 attempts, the last: .*\); what"):
        await bench.ask("a")
    # A control that says nothing may have been too short.
    assert len(bench.teacher.requests) == 4 - (type(answer) is BadResponse)


@pytest.mark.parametrize(
    ("answered", "kind"),
    [(set(), TeacherError), ({"a"}, RequestRejected), ({"control"}, RequestRejected)],
    ids=["nobody", "another", "a control"],
)
async def test_a_refused_request(made: Callable[..., Bench], answered: set[str], kind: type[TeacherError]):
    """It is refused for good where the judge answers others; while it refuses whatever it is asked, what it was to judge waits."""

    def given(request: Request) -> Completion:
        if {request.prompt_id, request.messages[-1].content} & answered:
            return completion("7")
        raise RequestRejected("400")

    bench = made(given)
    found = [(await bench.side_by_side(text))[0] for text in ("a", "b", "c")]
    assert [type(each) for each in found if each != "7"] == [kind] * (3 - ("a" in answered))
    # No control is needed where it has answered, and one that is refused may have been too short.
    asked = sum(request.prompt_id == "control" for request in bench.teacher.requests)
    assert asked == (0 if "a" in answered else 1 if answered else 2)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_day_that_is_used(made: Callable[..., Bench], waits: bool):
    """What a judge was to judge waits for another day, and the run goes on, unless verdicts decide what is asked for next."""
    bench = made(waits=waits, limits={"requests_per_day": 1, "concurrency": 1})
    first, *others = await bench.side_by_side("a", "b", "c")
    assert first == "a #0"
    assert [type(each) for each in others] == [Withheld if waits else QuotaSpent] * 2
    assert not bench.stop
    bench.stop.conclude()
    assert isinstance(bench.stop.reason, QuotaSpent) == waits


@pytest.mark.parametrize("mended", [False, True])
async def test_what_failed_in_an_earlier_build(made: Callable[..., Bench], mended: bool, monkeypatch: pytest.MonkeyPatch):
    """A hundred of it are asked for again, and the others where these come. What is new is asked for in any case."""
    monkeypatch.setattr(lapsed, "LATER", 0)
    cursed = {f"q{number}" for number in range(FREE + 30)}

    def answer(request: Request) -> Completion:
        if request.messages[-1].content in cursed:
            raise Unavailable("500")
        return echo(request)

    retry = RetryOptions(attempts=1, first_wait_s=0.001, max_wait_s=0.002)
    before = made(answer, retry=retry)
    found = await before.side_by_side("well", *sorted(cursed))
    assert {type(each) for each in found} == {str, Unavailable}
    if mended:
        cursed.clear()
    bench = made(answer, retry=retry)
    found = await bench.side_by_side(*(f"q{number}" for number in range(FREE + 30)), "new")
    asked = {request.messages[-1].content for request in bench.teacher.requests if request.prompt_id == "judge"}
    assert len(asked) == FREE + 1 + 30 * mended
    assert sum(isinstance(each, Withheld) for each in found) == 30 * (not mended)
    assert found[-1] == "new #0"


async def test_no_answer_in_time(made: Callable[..., Bench]):
    """What a judge didn't answer may be billed: its check carries the estimate, and the budget counts it."""
    left = [TimedOut("late")]

    def answer(request: Request) -> Completion:
        if left:
            raise left.pop()
        return echo(request)

    check = Check("s", "judge", "f", "i")
    price = {"input": 0, "output": 1_000_000}
    bench = made(answer, price=price, retry=RetryOptions(attempts=2, first_wait_s=0.001, max_wait_s=0.002))
    assert await bench.ask("a", check) == "a #0"
    assert (bench.spending.unanswered, bench.spending.unanswered_usd, bench.spending.cost_usd) == (1, 512, 10)
    assert check.bill == [512, 10]


async def test_a_control_in_the_end(made: Callable[..., Bench], tmp_path: Path):
    """It is for a check that is over, with its bill: the next run's budget counts it as well."""

    def given(request: Request) -> Completion:
        if request.prompt_id == "control":
            return completion("7")
        raise Unavailable("500")

    bench = made(given, price={"input": 1e6, "output": 0})
    check = Check("s", "judge")
    with pytest.raises(Unavailable):
        await bench.ask("a", check)
    bench.answers.end(check, decided=False)
    await bench.desk.conclude()
    assert (bench.spending.cost_usd, check.bill) == (10, [])
    recover(tmp_path / "checks", tmp_path / "answers", tmp_path / "waste", tmp_path / "verdicts")
    (line,) = [json.loads(line) for path in (tmp_path / "waste").iterdir() for line in path.read_text().splitlines()]
    assert (line["sample_id"], line["teacher"], line["cost_usd"]) == ("s", "judge", 10)
