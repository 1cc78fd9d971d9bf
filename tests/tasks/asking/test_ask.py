"""What is asked, what comes of it, and what is withheld. In virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.errors import (
    BadResponse,
    Interrupted,
    SetupError,
    TeacherError,
    Unavailable,
    Withheld,
)
from storage.records import Logprobs
from tasks.asking.ask import Answer
from tasks.asking.conditions import Conditions
from tasks.stop import Stop
from tasks.teachers.protocol import Choice, Completion, Request, Usage
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_logprobs, make_options, make_request
from tests.tasks.asking.scripted import RETRY, run, script


class TestWithheld:
    """What isn't sent."""

    def test_stopped(self):
        """A run that stops sends nothing more."""
        stop = Stop()
        stop.set(Interrupted("SIGINT"))
        teacher = FakeTeacher()
        with pytest.raises(Withheld):
            run(teacher, stop=stop)
        assert teacher.requests == []

    def test_may_not(self):
        """Nor does one that may not."""
        teacher = FakeTeacher()
        with pytest.raises(Withheld):
            run(teacher, may_send=lambda: False)
        assert teacher.requests == []

    def test_asked_before_each_attempt(self):
        """Whether it may is asked anew for a retry, when its turn has come."""
        answers = iter([True, True, False])
        teacher = FakeTeacher(answer=script(*[Unavailable("503")] * 4))
        with pytest.raises(Withheld):
            run(teacher, may_send=lambda: next(answers))
        assert len(teacher.requests) == 2

    def test_stopped_while_waiting_for_its_turn(self):
        """A request that waits for a slot when the run stops isn't sent."""

        async def main() -> tuple[list[Any], int]:
            stop = Stop()

            def answer(request: Request) -> Completion:
                stop.set(Interrupted("SIGINT"))
                return completion("4")

            teacher = FakeTeacher(answer=answer)
            desk = make_desk(make_options(limits={"concurrency": 1}), teacher, stop)
            found = await asyncio.gather(*(desk.ask(make_request()) for _ in range(3)), return_exceptions=True)
            return found, len(teacher.requests)

        (first, *rest), sent = in_virtual_time(main())
        assert isinstance(first, Answer)
        assert [type(each) for each in rest] == [Withheld, Withheld]
        assert sent == 1

    def test_no_retry_while_stopping(self):
        """A run that stops doesn't ask again."""
        stop = Stop()

        def answer(request: Request) -> Completion:
            stop.set(Interrupted("SIGINT"))
            raise BadResponse("?")

        teacher = FakeTeacher(answer=answer)
        with pytest.raises(TeacherError):
            run(teacher, stop=stop)
        assert len(teacher.requests) == 1


class TestAnswer:
    """What a response becomes."""

    @pytest.mark.parametrize(
        ("dirty", "clean"),
        [("a\ud83d", "a\ufffd"), ("\udc00b", "\ufffdb"), ("👍 ä", "👍 ä"), ("plain", "plain")],
        ids=["half a pair", "the other half", "Unicode", "ASCII"],
    )
    def test_lone_surrogates(self, dirty: str, clean: str):
        """What JSON can carry and UTF-8 can't is replaced, in answer, reasoning and finish reason."""
        choice = Choice(response=dirty, reasoning=dirty, finish_reason=dirty)
        answer, _ = run(FakeTeacher(answer=lambda request: completion(choice)))
        assert answer.completion.choices == (Choice(response=clean, reasoning=clean, finish_reason=clean),)

    @pytest.mark.parametrize("thought", ["", "\n\n", " \t"])
    def test_blank_reasoning(self, thought: str):
        """Reasoning of white space alone is none: an export would teach to open and close it. A choice of it alone is empty."""
        choices = [Choice(response=text, reasoning=thought) for text in ("", "4")]
        answer, _ = run(FakeTeacher(answer=lambda request: completion(*choices)))
        assert answer.completion.choices == (Choice(response="4", reasoning=None),)

    def test_empty_choices_are_left_out(self):
        """Of several choices, the empty ones are dropped."""
        answer, _ = run(FakeTeacher(answer=lambda request: completion(" ", "4")))
        assert [choice.response for choice in answer.completion.choices] == ["4"]

    @pytest.mark.parametrize(
        "choice",
        [
            Choice(response="", reasoning="Let me", finish_reason="length"),
            Choice(response="", reasoning_blocks='[{"type":"redacted_thinking"}]', finish_reason="length"),
            Choice(response="", finish_reason="refusal"),
        ],
        ids=["in its reasoning", "in reasoning that isn't shown", "by a refusal"],
    )
    def test_cut_off_before_the_answer(self, choice: Choice):
        """A response that was cut off before its answer was paid for, and isn't bought again."""
        teacher = FakeTeacher(answer=lambda request: completion(choice))
        answer, _ = run(teacher)
        assert (answer.completion.choices, len(teacher.requests)) == ((choice,), 1)

    def test_more_than_asked_for(self):
        """What a server gives beyond `n` has no slot, and is dropped."""
        answer, _ = run(FakeTeacher(answer=lambda request: completion("1", "2", "3")))
        assert [choice.response for choice in answer.completion.choices] == ["1", "2"]

    @pytest.mark.parametrize("said", [-5, 7, 999_999, 1_500_000, 2**31, 10**12, 10**30], ids=str)
    def test_absurd_counts(self, said: int, caplog: pytest.LogCaptureFixture):
        """A count of tokens that can't be costs neither the response nor a budget: it is billed by its length, and that is said."""
        given = Choice(response="4" * 80, reasoning="!" * 40)
        answer, _ = run(
            FakeTeacher(answer=lambda request: completion(given, tokens_in=said, tokens_out=said, tokens_reasoning=said))
        )
        found = answer.completion
        counted = 0 <= said <= 1_000_000
        assert (found.tokens_in, found.tokens_out, found.tokens_reasoning) == ((said,) * 3 if counted else (4, 30, 10))
        warned = [record.message for record in caplog.records if "billed by its texts' lengths" in record.message]
        assert [message.split(" counts")[0] for message in warned] == ([] if counted else ["teacher 'smol'"])

    def test_an_absurd_count_holds_nobody_up(self):
        """The limit on tokens isn't told of it: it would hold back all that comes after."""

        async def main() -> float:
            options = make_options(limits={"tokens_per_minute": 6_000, "concurrency": 1})
            desk = make_desk(options, FakeTeacher(answer=lambda request: completion("4", tokens_out=10**12)), Stop())
            for _ in range(3):
                await desk.ask(make_request(parameters={"max_tokens": 10}))
            return asyncio.get_running_loop().time()

        assert in_virtual_time(main()) < 10

    def test_estimate_is_settled(self):
        """The limit on tokens is told what was really used: an answer that is shorter than reserved lets the next go sooner."""

        async def main() -> float:
            options = make_options(limits={"tokens_per_minute": 600, "concurrency": 1})
            desk = make_desk(options, FakeTeacher(answer=lambda request: completion("4", tokens_in=10, tokens_out=90)), Stop())
            for _ in range(3):
                await desk.ask(make_request(parameters={"max_tokens": 1_000}))
            return asyncio.get_running_loop().time()

        assert in_virtual_time(main()) == pytest.approx(19.5)


class TestDistributions:
    """What becomes of a response without the distributions that were asked for."""

    WHOLE = Choice(response="4", logprobs=make_logprobs(b"4"))

    def ask(self, *steps: Completion | Exception, n: int = 1) -> tuple[list[Answer], FakeTeacher, list[Usage]]:
        """Ask twice for distributions, and return what came."""
        teacher, billed = FakeTeacher(answer=script(*steps)), list[Usage]()

        async def main() -> list[Answer]:
            desk = make_desk(make_options(retry=RETRY), teacher, Stop())
            request = make_request(n=n, parameters={"logprobs": True, "top_logprobs": 5})
            return [await desk.ask(request, Conditions(billed=billed.append)) for _ in range(2)]

        return in_virtual_time(main()), teacher, billed

    @pytest.mark.parametrize("lacking", [None, make_logprobs(b"4", alternatives=0)], ids=["none", "no alternatives"])
    def test_never_given(self, lacking: Logprobs | None):
        """A teacher whose first response has none is asked no more: whatever it sold would be of no use."""
        with pytest.raises(SetupError, match=r"^sampling\.logprobs: .*leave it out"):
            self.ask(completion(Choice(response="4", logprobs=lacking)))

    def test_given_before(self):
        """Once it has given some, a response without them is malformed: asked again, and billed."""
        answers, teacher, billed = self.ask(completion(self.WHOLE), completion("4"), completion(self.WHOLE))
        assert [answer.attempts for answer in answers] == [1, 2]
        assert [len(answer.wasted) for answer in answers] == [0, 1]
        assert len(teacher.requests) == len(billed) == 3

    def test_some_of_several(self):
        """Of several choices those that have them are kept, and the other slots are asked for again."""
        answers, _, _ = self.ask(completion(self.WHOLE, "5"), completion("5", self.WHOLE), n=2)
        assert [answer.completion.choices for answer in answers] == [(self.WHOLE,), (self.WHOLE,)]

    @pytest.mark.parametrize(
        "choice",
        [
            Choice(response="", finish_reason="length"),
            Choice(response="No.", finish_reason="refusal"),
            Choice(response="", reasoning="hm"),
        ],
        ids=["cut off", "refusal", "reasoning alone"],
    )
    def test_nothing_to_give(self, choice: Choice):
        """A response without a text of the model's needs none."""
        answers, _, _ = self.ask(completion(choice), completion(choice))
        assert [answer.completion.choices for answer in answers] == [(choice,), (choice,)]

    def test_not_asked_for(self):
        """Who asks for none, as judges do, gets what comes."""
        answer, _ = run(FakeTeacher(answer=script(completion("4", "5"))))
        assert len(answer.completion.choices) == 2
