"""Judging a prompt's samples together, once they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from storage.errors import SetupError
from storage.identity import check_inputs, vote_inputs
from storage.lake import Lake
from storage.records import Prompt, Sample
from storage.workspace import Workspace
from tasks import together
from tasks.stop import Stop
from tasks.teachers.protocol import Choice, Completion, Request
from tasks.verify import Named, Verification
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Spec, build, house
from verifiers.protocol import Checked, Finding


@dataclass(frozen=True, kw_only=True)
class Longest:
    """Passes the longest of the samples that it sees."""

    version: ClassVar[str] = "1"
    isolated: ClassVar[bool] = False
    limit_s: ClassVar[float] = 60
    seen: list[tuple[str, int]]

    def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Judge one alone, which nobody should ask for."""
        raise AssertionError(sample.sample_id)

    def check_together(self, prompt: Prompt, samples: Sequence[Sample]) -> Sequence[Checked]:
        """Judge all."""
        self.seen.append((prompt.prompt_id, len(samples)))
        most = max(len(sample.response) for sample in samples)
        return [Finding(passed=len(sample.response) == most, reason=f"of {len(samples)}", answer="x") for sample in samples]


def longest(seen: list[tuple[str, int]] | None = None, *, name: str = "longest") -> Named:
    """Return it as a spec uses it."""
    return Named(name=name, version="1", fingerprint=name, verifier=Longest(seen=[] if seen is None else seen))


def growing(request: Request) -> Completion:
    """Answer at greater length the higher the index."""
    return completion(request.messages[-1].content + "x" * (request.sample_index + 1))


def of(number: int, k: int, **given: Any) -> Spec:
    """Return a spec of so many prompts and samples each, whose responses grow."""
    prompts = [make_prompt(f"p{n}") for n in range(number)]
    return Spec(prompts=prompts, k=k, teachers={"smol": FakeTeacher(answer=growing)}, **given)


async def test_all_samples_of_a_prompt_at_once(lake: Lake):
    """Each prompt is judged once, with all of its samples, in the order of their indices; the verdicts decide what is kept."""
    seen: list[tuple[str, int]] = []
    built = await build(lake, of(3, 4, verifiers=[longest(seen)]))
    assert sorted(seen) == [("p0", 4), ("p1", 4), ("p2", 4)]
    assert built.counts["rejected"] == {"verify": 9}
    assert {row["response"] for row in built.tables["traces"]} == {"p0xxxx", "p1xxxx", "p2xxxx"}
    assert {row["answer"] for row in built.tables["traces"]} == {"x"}
    assert {row["reason"] for row in built.tables["outcomes"] if row["reason"]} == {"longest: of 4"}


async def test_judged_once(lake: Lake):
    """The same samples are not judged again; with one more, all are judged anew."""
    await build(lake, of(2, 2, verifiers=[longest()]))
    seen: list[tuple[str, int]] = []
    await build(lake, of(2, 2, verifiers=[longest(seen)]), run="again")
    assert seen == []
    built = await build(lake, of(2, 3, verifiers=[longest(seen)]), run="more")
    assert sorted(seen) == [("p0", 3), ("p1", 3)]
    assert built.counts["kept"] == 2


async def test_beside_others(lake: Lake):
    """Those that judge a sample alone count as well; all must pass."""
    short = named("short", lambda prompt, sample: len(sample.response) < 5)
    built = await build(lake, of(1, 3, verifiers=[short, longest()]))
    assert built.counts["rejected"] == {"verify": 3}
    assert sorted(row["reason"] for row in built.tables["outcomes"]) == ["longest: of 3", "longest: of 3", "short: failed"]


async def _only_addresses(workspace: Workspace, verification: Verification, verifiers: Sequence[Named], stop: Stop) -> int:
    return await together.judge_together(workspace, verification, [], stop)


async def test_what_was_not_judged_is_not_kept(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """A sample whose verdict is missing is rejected, whatever the others say of it."""
    monkeypatch.setattr("tests.tasks.house.judge_together", _only_addresses)
    built = await build(lake, of(1, 2, verifiers=[named("always"), longest()]))
    assert built.counts["rejected"] == {"verify": 2}


async def test_many_buckets(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """A large dataset is judged a part at a time, and no prompt is torn apart."""
    monkeypatch.setattr(together, "BUCKET_SAMPLES", 4)
    seen: list[tuple[str, int]] = []
    built = await build(lake, of(11, 3, verifiers=[longest(seen), longest(name="other")]))
    assert sorted(seen) == sorted((f"p{n}", 3) for n in range(11))
    assert built.counts["kept"] == 11


async def test_prompts_that_were_added(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """However much of a dataset is voted on already, no more than a bucket is held in memory."""
    monkeypatch.setattr(together, "BUCKET_SAMPLES", 8)
    held: list[int] = []
    read = together._read

    def counting(*given: Any) -> list[dict[str, Any]]:
        rows = read(*given)
        held.append(len(rows))
        return rows

    monkeypatch.setattr(together, "_read", counting)
    await build(lake, of(45, 2, verifiers=[longest()]))
    built = await build(lake, of(60, 2, verifiers=[longest()]), run="more")
    assert (max(held), sum(held), built.counts["kept"]) == (8, 120, 60)


async def test_what_is_rejected_at_once_has_no_vote(lake: Lake):
    """A response that nobody judges isn't compared with either."""
    seen: list[tuple[str, int]] = []

    def refusing(request: Request) -> Completion:
        reason = "refusal" if request.sample_index == 2 else "stop"
        return completion(Choice(response="x" * (request.sample_index + 1), finish_reason=reason))

    spec = Spec(
        prompts=[make_prompt("p")],
        k=3,
        teachers={"smol": FakeTeacher(answer=refusing)},
        options={"retry": {"refusal": "reject"}},
        verifiers=[longest(seen)],
    )
    built = await build(lake, spec)
    assert seen == [("p", 2)]
    assert (built.counts["rejected"], built.counts["kept"]) == ({"draw": 1, "verify": 1}, 1)


async def test_its_address(lake: Lake):
    """Verdicts are kept by the prompt's part and all samples, the same in SQL and in Python."""
    async with house(lake, of(1, 3, verifiers=[longest()])) as one:
        await one.prepare()
        for number in await one.open():
            await one.work(number)
        await one.curate()
        ids = [identifier for (identifier,) in one.workspace.rows("SELECT sample_id FROM slots")]
        ((found,),) = one.workspace.rows("SELECT DISTINCT inputs FROM verdicts")
    assert found == vote_inputs(check_inputs(make_prompt("p0")), ids)


async def test_each_teacher_by_itself(lake: Lake):
    """Samples of two teachers are not compared with each other."""
    seen: list[tuple[str, int]] = []
    teachers = {name: FakeTeacher() for name in ("one", "two")}
    await build(lake, Spec(prompts=[make_prompt("p")], k=3, teachers=teachers, verifiers=[longest(seen)]))
    assert seen == [("p", 3), ("p", 3)]


@dataclass(frozen=True, kw_only=True)
class Broken(Longest):
    """Doesn't do what it should."""

    error: Exception | None = None

    def check_together(self, prompt: Prompt, samples: Sequence[Sample]) -> Sequence[Checked]:
        """Raise, or forget one."""
        if self.error is not None:
            raise self.error
        return [True] * (len(samples) - 1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(None, "1 findings for 2 samples"), (ZeroDivisionError("by zero"), "the verifier raised ZeroDivisionError: by zero")],
    ids=["too few", "raises"],
)
async def test_trouble(lake: Lake, error: Exception | None, reason: str):
    """One that raises, or says too little, has decided nothing on any of them."""
    broken = replace(longest(), verifier=Broken(seen=[], error=error))
    built = await build(lake, of(1, 2, verifiers=[broken]))
    assert built.counts["rejected"] == {"verify": 2}
    assert all(reason in row["reason"] and "undecided" in row["reason"] for row in built.tables["outcomes"])


async def test_no_machine(lake: Lake):
    """What concerns the whole run stops it."""
    broken = replace(longest(), verifier=Broken(seen=[], error=SetupError("no sandbox")))
    async with house(lake, of(1, 2, verifiers=[broken])) as one:
        await one.prepare()
        for number in await one.open():
            await one.work(number)
        await one.curate()
        assert isinstance(one.stop.reason, SetupError)
