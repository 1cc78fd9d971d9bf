"""Shards: drawn and verified in turn, until each prompt has what it needs."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow.parquet as pq
import pytest

from storage.errors import BadResponse, Interrupted, QuotaSpent, RequestRejected, StorageError
from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks import orders, prepare
from tasks.teachers.protocol import Completion, Request
from tests.fakes import FakeAsyncVerifier, FakeTeacher, completion, echo, make_prompt, named
from tests.tasks.house import Spec, build, house


def passing(*pairs: tuple[str, int]) -> Callable[[Prompt, Sample], bool]:
    """Return a check that passes the samples of these prompts and indices."""
    return lambda prompt, sample: (prompt.prompt_id, sample.sample_index) in pairs


def failing(*pairs: tuple[str, int], error: Exception) -> Callable[[Request], Completion]:
    """Return an answer that raises for these prompts and indices."""

    def answer(request: Request) -> Completion:
        if (request.prompt_id, request.sample_index) in pairs:
            raise error
        return echo(request)

    return answer


def raising(error: Exception) -> Callable[..., None]:
    """Return a function that raises."""

    def refuse(*_: object) -> None:
        raise error

    return refuse


class TestAllAtOnce:
    """k samples for each prompt."""

    async def test_every_slot(self, lake: Lake):
        """Every slot is asked for once."""
        built = await build(lake, Spec(k=3))
        assert sorted(built.asked) == [(prompt, index) for prompt in "abc" for index in range(3)]
        assert built.counts == {"requested": 9, "reused": 0, "kept": 9, "rejected": {}, "failed": 0}

    async def test_rerun_is_free(self, lake: Lake):
        """A second build asks nobody."""
        await build(lake, Spec(k=3))
        built = await build(lake, Spec(k=3), run="again")
        assert (built.asked, built.paid, built.counts["reused"], built.counts["kept"]) == ([], 0, 9, 9)

    async def test_more_samples(self, lake: Lake):
        """A larger k asks for the difference."""
        await build(lake, Spec(k=2))
        built = await build(lake, Spec(k=3), run="again")
        assert sorted(built.asked) == [("a", 2), ("b", 2), ("c", 2)]

    async def test_more_prompts(self, lake: Lake):
        """More prompts ask for their own, under whatever ids the others now have."""
        await build(lake, Spec(k=2))
        prompts = [make_prompt("z"), *(make_prompt(text, prompt_id=f"new-{text}") for text in "abc")]
        built = await build(lake, Spec(k=2, prompts=prompts), run="again")
        assert sorted(built.asked) == [("z", 0), ("z", 1)]

    async def test_another_teacher(self, lake: Lake):
        """Another teacher is asked for its own."""
        await build(lake, Spec())
        both = {"smol": FakeTeacher(), "big": FakeTeacher()}
        built = await build(lake, Spec(teachers=both), run="again")
        assert both["smol"].requests == []
        assert sorted(both["big"].asked) == [("a", 0), ("b", 0), ("c", 0)]
        assert built.counts["requested"] == 6

    async def test_two_prompts_that_ask_the_same(self, lake: Lake):
        """What two prompts ask alike is bought once, and both have it."""
        prompts = [make_prompt("a"), make_prompt("a", prompt_id="b", reference="4")]
        built = await build(lake, Spec(prompts=prompts, k=2))
        assert sorted(built.asked) == [("a", 0), ("a", 1)]
        assert built.counts["requested"] == 4
        assert len({row["sample_id"] for row in built.tables["outcomes"]}) == 2

    async def test_several_shards(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """Shards are stretches of the prompts; one in which nothing is missing isn't worked."""
        monkeypatch.setattr(orders, "PROMPTS", 2)
        prompts = [make_prompt(text) for text in "abcde"]
        await build(lake, Spec(prompts=prompts[:2]))
        async with house(lake, Spec(prompts=prompts), run="again") as one:
            await one.prepare()
            assert await one.open() == [1, 2]
            counts = [await one.work(number) for number in (1, 2)]
        assert [each["prompts"] for each in counts] == [2, 1]
        assert [each["bought"] for each in counts] == [2, 1]

    async def test_only_its_own_file_is_read(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """A shard reads one of the staged files, however many there are, and leaves out what is folded."""
        assert prepare.FILE % orders.PROMPTS == 0
        monkeypatch.setattr(prepare, "FILE", 4)
        monkeypatch.setattr(orders, "PROMPTS", 2)
        async with house(lake, Spec(prompts=[make_prompt(text) for text in "abcdefga"], given=False)) as one:
            assert (await one.prepare()).prompts == 7
            assert await one.open() == [0, 1, 2, 3]
            first, last = sorted(prepare.staged_files(one.workspace).iterdir())
            first.unlink()
            assert [(await one.work(number))["prompts"] for number in (2, 3)] == [2, 1]
            last.unlink()
            with pytest.raises(StorageError):
                await one.work(2)

    async def test_shared_samples_are_let_go(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """A sample that several shards share is held until the last of them is done, and no longer."""
        monkeypatch.setattr(orders, "PROMPTS", 1)
        prompts = [make_prompt(text, prompt_id=f"{n}-{text}") for n, text in enumerate("abaab")]
        async with house(lake, Spec(prompts=prompts, k=2)) as one:
            await one.prepare()
            await one.open()
            held = []
            for number in (3, 0, 1, 2, 4):
                await one.work(number)
                held.append(len(one.shards._shared) if one.shards else None)
            assert one.draw.spending.paid == 4
        assert held == [2, 2, 4, 2, 0]

    async def test_counts(self, lake: Lake):
        """A shard's counts are its own."""
        teacher = FakeTeacher(answer=failing(("a", 0), error=RequestRejected("400")))
        spec = Spec(k=2, teachers={"smol": teacher}, verifiers=[named(judge=passing(("b", 0), ("b", 1)))])
        async with house(lake, spec) as one:
            await one.prepare()
            (number,) = await one.open()
            assert await one.work(number) == {"prompts": 3, "asked": 6, "bought": 5, "failed": 1, "accepted": 2}

    async def test_failed_slots_are_asked_again_by_the_next_build(self, lake: Lake):
        """A slot that failed has no sample, so a rerun asks for it, and for nothing else."""
        teacher = FakeTeacher(answer=failing(("b", 0), error=RequestRejected("400")))
        first = await build(lake, Spec(teachers={"smol": teacher}))
        assert first.outcomes["b", 0] == ("failed", "draw")
        second = await build(lake, Spec(), run="again")
        assert second.asked == [("b", 0)]
        assert second.counts["kept"] == 3


class TestAdaptive:
    """Rounds, until enough are accepted."""

    SAMPLING = {"adaptive": {"accept": 1}}

    async def test_stops_early(self, lake: Lake):
        """A prompt that has what it needs asks for no more; the others go on, up to k."""
        check = named(judge=passing(("a", 0), ("b", 2)))
        built = await build(lake, Spec(k=4, sampling=self.SAMPLING, verifiers=[check]))
        expected = [("a", 0), *(("b", n) for n in range(3)), *(("c", n) for n in range(4))]
        assert sorted(built.asked) == expected
        assert sorted(built.outcomes) == expected

    async def test_as_many_as_are_lacking(self, lake: Lake):
        """Each round asks for as many as are still wanted."""
        check = named(judge=passing(("a", 0), ("a", 3), ("a", 4)))
        spec = Spec(prompts=[make_prompt("a")], k=9, sampling={"adaptive": {"accept": 3}}, verifiers=[check])
        built = await build(lake, spec)
        assert sorted(built.asked) == [("a", n) for n in range(5)]

    async def test_the_same_slots_on_a_rerun(self, lake: Lake):
        """A rerun asks nobody, and its outcomes are of the very same slots."""
        spec = Spec(k=4, sampling=self.SAMPLING, verifiers=[named(judge=passing(("a", 0), ("b", 2)))])
        first = await build(lake, spec)
        second = await build(lake, spec, run="again")
        assert second.asked == []
        assert second.outcomes == first.outcomes

    async def test_what_is_left_to_ask(self, lake: Lake):
        """Slots of prompts that have enough are told apart from those that are still to come, also in a rerun."""
        spec = Spec(k=4, sampling=self.SAMPLING, verifiers=[named(judge=passing(("a", 0), ("b", 2)))])
        for run, asked, spared in (("first", 8, 4), ("again", 0, 4)):
            async with house(lake, spec, run=run) as one:
                await one.prepare()
                await one.judge()
                (number,) = await one.open()
                await one.work(number)
                assert one.shards is not None
                assert (one.shards.tally.asked, one.shards.tally.spared) == (asked, spared)
                await one.land_samples()

    async def test_failures_do_not_count(self, lake: Lake):
        """A slot without a response is not an accepted one: the next is asked for."""
        teacher = FakeTeacher(answer=failing(("a", 0), error=BadResponse("?")))
        built = await build(lake, Spec(prompts=[make_prompt("a")], k=4, sampling=self.SAMPLING, teachers={"smol": teacher}))
        assert built.outcomes == {("a", 0): ("failed", "draw"), ("a", 1): ("kept", None)}

    async def test_failed_slots_of_solved_prompts(self, lake: Lake):
        """A rerun asks again for a slot that failed only where the prompt lacks something; what was kept is kept."""
        check = named(judge=passing(("a", 0), ("a", 1), ("b", 0)))
        prompts = [make_prompt("a"), make_prompt("b")]
        spec = Spec(prompts=prompts, k=2, sampling=self.SAMPLING, verifiers=[check])
        teacher = FakeTeacher(answer=failing(("a", 0), ("b", 0), error=RequestRejected("400")))
        first = await build(lake, replace(spec, teachers={"smol": teacher}))
        assert (first.counts["failed"], first.counts["kept"]) == (2, 1)
        second = await build(lake, spec, run="again")
        assert second.asked == [("b", 0)]
        assert second.outcomes == {("a", 1): ("kept", None), ("b", 0): ("kept", None)}
        third = await build(lake, spec, run="and again")
        assert (third.asked, third.outcomes) == ([], second.outcomes)

    async def test_another_verifier(self, lake: Lake):
        """Where a changed verifier refuses what another accepted, the rounds go on from there."""
        await build(lake, Spec(k=4, sampling=self.SAMPLING, verifiers=[named(judge=passing(("a", 0), ("b", 0), ("c", 0)))]))
        strict = named(judge=passing(("a", 0), ("b", 1), ("c", 2)), version="2")
        built = await build(lake, Spec(k=4, sampling=self.SAMPLING, verifiers=[strict]), run="again")
        assert sorted(built.asked) == [("b", 1), ("c", 1), ("c", 2)]

    async def test_each_teacher(self, lake: Lake):
        """Each teacher is asked until it has its own."""
        teachers = {"smol": FakeTeacher(), "big": FakeTeacher(answer=lambda request: completion("good"))}
        check = named(judge=lambda prompt, sample: sample.response == "good")
        await build(lake, Spec(prompts=[make_prompt("a")], k=3, sampling=self.SAMPLING, teachers=teachers, verifiers=[check]))
        assert (len(teachers["smol"].requests), len(teachers["big"].requests)) == (3, 1)

    async def test_two_prompts_that_ask_the_same(self, lake: Lake):
        """Two prompts that ask alike share their rounds, and a rerun ends as the first run did."""
        prompts = [make_prompt("a"), make_prompt("a", prompt_id="b")]
        spec = Spec(prompts=prompts, k=3, sampling=self.SAMPLING, verifiers=[named()])
        first = await build(lake, spec)
        second = await build(lake, spec, run="again")
        assert first.outcomes == second.outcomes


class TestAgain:
    """Calling `work` again, as Prefect does where a shard raised."""

    @pytest.mark.parametrize("width", [1, 2], ids="{} a request".format)
    async def test_nothing_is_bought_twice(self, lake: Lake, width: int):
        """What was bought before a shard raised is kept, and isn't asked for again."""
        raised: list[bool] = []

        def answer(request: Request) -> Completion:
            if request.prompt_id == "b" and request.sample_index == 2 and not raised:
                raised.append(True)
                raise ZeroDivisionError("a defect")
            return echo(request)

        teacher = FakeTeacher(answer=answer)
        spec = Spec(k=4, teachers={"smol": teacher}, options={"samples_per_request": width, "limits": {"concurrency": 1}})
        async with house(lake, spec) as one:
            await one.prepare()
            (number,) = await one.open()
            with pytest.raises(ExceptionGroup):
                await one.work(number)
            bought = one.draw.spending.paid
            assert 0 < bought < 12
            before = len(teacher.requests)
            assert (await one.work(number))["bought"] == 12
            assert one.draw.spending.paid == 12
            assert len(teacher.requests) - before == (12 - bought) // width
            counts = await one.curate()
        assert counts["kept"] == 12
        ids = [row for part in (lake.root / "samples").glob("*.parquet") for row in pq.read_table(part)["sample_id"].to_pylist()]
        assert len(ids) == len(set(ids)) == 12

    async def test_nothing_is_judged_twice(self, lake: Lake):
        """What was judged before a shard raised keeps its verdicts: a judge may have been paid for them."""
        judged: list[str] = []
        both = asyncio.Event()

        def check(prompt: Prompt, sample: Sample) -> bool:
            judged.append(sample.prompt_id)
            if len(judged) == 2:
                both.set()
            return True

        @dataclass(kw_only=True)
        class Late(FakeTeacher):
            """Raises for the third prompt, once, when the others have been judged."""

            async def complete(self, request: Request) -> Completion:
                if request.prompt_id == "c" and len(judged) < 3 and not self.closed:
                    self.closed = True
                    await both.wait()
                    await asyncio.sleep(0.05)  # the verdicts are on their way
                    raise ZeroDivisionError("a defect")
                return await super().complete(request)

        spec = Spec(teachers={"smol": Late()}, verifiers=[named(judge=check, kind=FakeAsyncVerifier)])
        async with house(lake, spec) as one:
            await one.prepare()
            (number,) = await one.open()
            with pytest.raises(ExceptionGroup):
                await one.work(number)
            assert (await one.work(number))["accepted"] == 3
        assert judged == ["a", "b", "c"]

    async def test_killed_and_started_again(self, lake: Lake):
        """A run that ends before its shard does leaves what it bought to the next."""
        teacher = FakeTeacher(answer=failing(("c", 1), error=ZeroDivisionError("a defect")))
        spec = Spec(k=2, teachers={"smol": teacher}, options={"limits": {"concurrency": 1}})
        with pytest.raises(ExceptionGroup):
            await build(lake, spec)
        bought = len(teacher.requests) - 1
        built = await build(lake, replace(spec, teachers={"smol": FakeTeacher()}), run="again")
        assert len(built.asked) == 6 - bought
        assert built.counts["reused"] == bought

    async def test_stopped(self, lake: Lake):
        """A run that stops leaves out what it has not asked for, and the next asks for just that."""
        spec = Spec(k=2, options={"limits": {"concurrency": 1}})
        async with house(lake, spec) as one:

            def answer(request: Request) -> Completion:
                if len(teacher.requests) == 4:
                    one.stop.set(Interrupted("SIGINT"))
                return echo(request)

            teacher = spec.teachers["smol"]
            teacher.answer = answer
            await one.prepare()
            (number,) = await one.open()
            assert (await one.work(number))["bought"] == 4
        built = await build(lake, replace(spec, teachers={"smol": FakeTeacher()}), run="again")
        assert len(built.asked) == 2
        assert built.counts["kept"] == 6


class TestSpentDay:
    """A teacher that may not be asked any more today."""

    CAPPED = {"limits": {"requests_per_day": 1, "concurrency": 1}}

    async def test_the_others_go_on(self, lake: Lake):
        """What the others are to give is bought, and then the run ends and says whose day is used; a rerun buys the rest."""
        teachers = {"smol": FakeTeacher(), "big": FakeTeacher()}
        spec = Spec(k=2, teachers=teachers, own={"smol": self.CAPPED})
        async with house(lake, spec) as one:
            await one.prepare()
            for number in await one.open():
                await one.work(number)
            assert not one.stop
            assert (len(teachers["smol"].requests), len(teachers["big"].requests)) == (1, 6)
            assert one.shards is not None
            assert one.shards.tally.spared == 0
            one.stop.conclude()
            with pytest.raises(QuotaSpent, match="'smol': requests_per_day: the 1 of today are used; a rerun after 00:00 UTC"):
                one.stop.check()
            await one.land_samples()
        built = await build(lake, replace(spec, own={}), run="tomorrow")
        assert (built.paid, built.counts["requested"], built.counts["failed"]) == (5, 12, 0)

    async def test_nobody_else(self, lake: Lake):
        """Where nobody is left that could go on, the run stops at once."""
        teachers = {"smol": FakeTeacher(), "big": FakeTeacher()}
        spec = Spec(k=2, teachers=teachers, options=self.CAPPED, prompts=[make_prompt(str(n)) for n in range(50)])
        with pytest.raises(QuotaSpent, match=r"'smol': requests_per_day: .*; teacher 'big': requests_per_day: ") as told:
            await build(lake, spec)
        assert str(told.value).count("'smol'") == 1
        assert sum(len(teacher.requests) for teacher in teachers.values()) == 2


class TestFullDisk:
    """A disk that refuses what became of slots."""

    async def test_stops(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        """The run is told to stop, and nothing can be landed though the disk has room again: rows of other shards are gone."""
        monkeypatch.setattr(orders, "PROMPTS", 1)
        async with house(lake, Spec()) as one:
            await one.prepare()
            first, second, third = await one.open()
            await one.work(first)
            with monkeypatch.context() as full:
                full.setattr("storage.parquet.pq.ParquetWriter.write_batch", raising(OSError(errno.ENOSPC, "full")))
                assert one.shards is not None
                full.setattr(one.shards.asked, "_row_group", 1)
                with pytest.raises(StorageError, match="No space left on device"):
                    await one.work(second)
            assert isinstance(one.stop.reason, StorageError)
            assert one.shards.worked == {first: 1}
            with pytest.raises(StorageError, match="No space left on device"):
                await one.work(third)
            with pytest.raises(StorageError, match="No space left on device"):
                await one.curate()
