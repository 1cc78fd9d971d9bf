"""From stored samples to stored scores."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import BudgetSpent, Interrupted, RequestRejected, SetupError, StorageError, Unavailable
from storage.identity import showing
from storage.journal import Journal
from storage.lake import Lake
from storage.parquet import write_rows
from storage.records import Message, Sample
from storage.schemas import SAMPLES, SCORES
from storage.scores import EMPTY
from storage.waste import Waste
from storage.workspace import Workspace
from tasks.draw import Budget
from tasks.positions import by_id
from tasks.score.answers import Answer, Shown
from tasks.score.as_teacher import ScoringTeacher
from tasks.score.grade import REFUSED, Grade, Missing, find
from tasks.score.protocol import Scored
from tasks.stop import Stop
from tasks.teachers.protocol import NoChoices, Usage
from tests.fakes import make_desk, make_options, make_sample

TOP = 1
END = 256
"""What ends a turn."""


@dataclass(kw_only=True)
class FakeScorer:
    """Scores an answer by its length, unless a function raises first, and remembers what it was asked."""

    before: Callable[[str], object] = lambda response: None
    identity: Mapping[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def score(self, messages: Sequence[Message], answer: Answer, top: int) -> Scored:
        """Let others run, as a network would, and score."""
        assert messages[-1].role == "user"
        self.asked.append(answer.text)
        await asyncio.sleep(0)
        self.before(answer.text)
        ids = [*answer.text.encode(), END]
        logprobs = [math.log(0.5)] * len(ids)
        return Scored(
            logprobs=by_id(ids, logprobs, [[(token, math.log(0.5))][:top] for token in ids]),
            ended=True,
            tokens_in=100,
            revision="r1",
        )

    async def aclose(self) -> None:
        """Have nothing to close."""


@dataclass(kw_only=True)
class Ran:
    """What came of a run."""

    missing: Missing
    grade: Grade


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with five samples: four to score, one of them with reasoning, and one that is empty."""
    lake = Lake(tmp_path / "lake")
    samples = [make_sample(f"s{number}", response=f"answer {number}") for number in range(3)]
    samples += [
        make_sample("thought", reasoning="Hm.", response="4"),
        make_sample("empty", response=" \n", finish_reason="length"),
    ]
    with lake.writing(print):
        write_rows(lake.root / "samples" / "r-000000.parquet", SAMPLES, map(dataclasses.asdict, samples), store=True)
    return lake


@asynccontextmanager
async def grading(
    lake: Lake, scorer: FakeScorer, run: str, usd: float | None = None, shown: Shown = "think"
) -> AsyncIterator[tuple[Grade, Workspace, Missing]]:
    """Open all that a run needs."""
    stop, price = Stop(), {"input": 1e4, "output": 1e4}
    options = make_options("judge", price=price)
    with lake.writing(print), Workspace(lake, lake.staging / run) as workspace, Waste(lake.waste, run=run) as waste:
        workspace.execute("CREATE TABLE wanted AS SELECT DISTINCT sample_id FROM samples")
        missing = find(workspace, ["print", showing("print", shown)])
        async with Journal(lake.segments["scores"], lake.root / "scores", run=run, schema=SCORES) as journal:
            grade = Grade(
                desk=make_desk(options, ScoringTeacher(scorer, TOP), stop),
                fingerprint="print",
                top=TOP,
                shown=shown,
                journal=journal,
                budget=Budget(usd),
                stop=stop,
                waste=waste,
            )
            yield grade, workspace, missing


async def ran(lake: Lake, scorer: FakeScorer, run: str = "r1", usd: float | None = None, shown: Shown = "think") -> Ran:
    """Score what is missing."""
    async with grading(lake, scorer, run, usd, shown) as (grade, workspace, missing):
        await grade.grade(workspace, workers=2)
    return Ran(missing=missing, grade=grade)


def stored(lake: Lake) -> dict[str, dict[str, Any]]:
    """Return the stored scores by sample."""
    paths = sorted(lake.root.glob("scores/*.parquet"))
    found = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert len(found) == len({row["sample_id"] for row in found})
    return {row["sample_id"]: row for row in found}


async def test_scores_are_stored(lake: Lake):
    """Each sample that can be scored is, once, with all that identifies the score; the sums add up."""
    found = await ran(lake, FakeScorer())
    assert found.missing == Missing(samples=5, stored=0, left_out={EMPTY: 1}, missing=4, reasoned=1)
    assert found.grade.scored == 4
    rows = stored(lake)
    assert set(rows) == {"s0", "s1", "s2", "thought"}
    row = rows["s1"]
    assert (row["scorer"], row["model"], row["fingerprint"], row["top"], row["tokens_in"]) == ("judge", "fake-1", "print", 1, 100)
    assert rows["thought"]["fingerprint"] == showing("print", "think")
    assert (row["cost_usd"], row["revision"]) == (pytest.approx(1.0), "r1")
    assert (row["reasoning"], rows["thought"]["reasoning"], row["ended"]) == ("none", "think", True)
    assert row["logprobs"]["ids"] == [*b"answer 1", END]
    assert row["logprobs"]["logprobs"] == pytest.approx([math.log(0.5)] * 9)


@pytest.mark.parametrize(("shown", "said"), [("think", "<think>\nHm.\n</think>\n\n4"), ("omit", "4")])
async def test_reasoning(lake: Lake, shown: Shown, said: str):
    """A sample whose reasoning stands apart is scored in the form that was asked for, and its score says which that is."""
    await ran(lake, FakeScorer(), shown=shown)
    row = stored(lake)["thought"]
    assert (row["reasoning"], row["logprobs"]["ids"]) == (shown, [*said.encode(), END])


async def test_reasoning_of_the_template(lake: Lake):
    """Where a template is to write the reasoning, the scorer is given it apart; without any there is nothing to write."""
    asked: list[Answer] = []
    scorer = FakeScorer()
    whole = scorer.score

    async def noting(messages: Sequence[Message], answer: Answer, top: int) -> Scored:
        asked.append(answer)
        return await whole(messages, answer, top)

    scorer.score = noting  # type: ignore[method-assign]
    await ran(lake, scorer, shown="turn")
    assert {(each.reasoning, each.by_template) for each in asked} == {("Hm.", True), (None, False)}


async def test_never_twice(lake: Lake):
    """A second run asks for nothing; a sample that has come since is asked about alone."""
    await ran(lake, FakeScorer())
    write_rows(
        lake.root / "samples" / "r-000001.parquet", SAMPLES, [dataclasses.asdict(make_sample("new", response="new"))], store=True
    )
    again = FakeScorer()
    found = await ran(lake, again, "r2")
    assert (found.missing.stored, found.missing.missing, again.asked) == (4, 1, ["new"])
    assert set(stored(lake)) == {"s0", "s1", "s2", "thought", "new"}


async def test_another_form_of_reasoning(lake: Lake):
    """In another form, what has no reasoning isn't scored again, since nothing of it would be shown otherwise."""
    await ran(lake, FakeScorer(), shown="omit")
    again = FakeScorer()
    found = await ran(lake, again, "r2", shown="think")
    assert (found.missing.stored, found.missing.missing, again.asked) == (3, 1, ["<think>\nHm.\n</think>\n\n4"])
    assert (await ran(lake, FakeScorer(), "r3", shown="omit")).missing.missing == 0


async def test_a_sample_in_two_rows(lake: Lake):
    """A sample that stands twice, which a repair may leave, is scored once."""
    twice: list[Sample] = [make_sample("s0", response="answer 0")]
    write_rows(lake.root / "samples" / "r-000001.parquet", SAMPLES, map(dataclasses.asdict, twice), store=True)
    scorer = FakeScorer()
    assert (await ran(lake, scorer, shown="omit")).grade.scored == 4
    assert sorted(scorer.asked) == ["4", "answer 0", "answer 1", "answer 2"]


def refusing(response: str) -> None:
    """Refuse one response."""
    if response == "answer 1":
        raise RequestRejected("too long")


async def test_a_refusal(lake: Lake):
    """A response that is refused is counted and kept as such, and asked about again by the next run, whose score then stands."""
    found = await ran(lake, FakeScorer(before=refusing))
    assert (found.grade.scored, dict(found.grade.failed)) == (3, {"RequestRejected: too long": 1})
    row = stored(lake)["s1"]
    assert (row["logprobs"], row["reason"]) == (None, "too long")
    again = FakeScorer(before=refusing)
    await ran(lake, again, "r2")
    assert again.asked == ["answer 1"]
    assert len(stored(lake)) == 4  # the same refusal isn't kept twice


async def test_nothing_can_be_scored(lake: Lake):
    """Where all of the first are refused, that isn't the responses' fault: the run stops, and no refusal is kept."""
    rows = [dataclasses.asdict(make_sample(f"t{number}", response=f"text {number}")) for number in range(2 * REFUSED)]
    write_rows(lake.root / "samples" / "r-000001.parquet", SAMPLES, rows, store=True)

    def never(response: str) -> None:
        raise RequestRejected(f"{len(response)} alternatives are too many")

    scorer = FakeScorer(before=never)
    found = await ran(lake, scorer)
    assert isinstance(found.grade.stop.reason, SetupError)
    assert "none of the first 20 responses; the last: " in str(found.grade.stop.reason)
    assert len(scorer.asked) <= REFUSED + 2
    assert stored(lake) == {}


async def test_a_failure(lake: Lake):
    """A server that fails for one response is asked again as the spec says; then it is counted, and left to the next run."""

    def failing(response: str) -> None:
        if response == "answer 2":
            raise Unavailable("500")

    found = await ran(lake, FakeScorer(before=failing))
    assert (found.grade.scored, dict(found.grade.failed)) == (3, {"Unavailable: 500": 1})
    assert set(stored(lake)) == {"s0", "s1", "thought"}
    assert (await ran(lake, FakeScorer(), "r2")).grade.scored == 1


async def test_budget(lake: Lake):
    """Nothing more is asked once the budget is spent; what was paid for is stored, and a larger one goes on."""
    found = await ran(lake, FakeScorer(), usd=0.5)  # each costs a dollar
    assert isinstance(found.grade.stop.reason, BudgetSpent)
    assert 1 <= len(stored(lake)) == found.grade.scored <= 2
    await ran(lake, FakeScorer(), "r2", usd=100.0)
    assert set(stored(lake)) == {"s0", "s1", "s2", "thought"}


async def test_billed_in_vain(lake: Lake):
    """What was billed for no score is known to later runs, also where the budget is spent by it."""

    def unanswered(response: str) -> None:
        raise NoChoices("no choices", usage=Usage(tokens_in=100))

    found = await ran(lake, FakeScorer(before=unanswered), usd=1.5)  # each costs a dollar
    assert isinstance(found.grade.stop.reason, BudgetSpent)
    noted = [json.loads(line)["cost_usd"] for path in lake.waste.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sum(noted) == found.grade.budget.spent >= 2


async def test_stopped(lake: Lake):
    """A run that is told to stop asks nothing more, and what it has is stored."""
    async with grading(lake, scorer := FakeScorer(), "r1") as (grade, workspace, _):
        scorer.before = lambda response: grade.stop.set(Interrupted("enough"))
        await grade.grade(workspace, workers=1)
    assert len(scorer.asked) == len(stored(lake)) == 1


async def test_killed(lake: Lake):
    """What was scored by a run that was killed is in a segment, lands before the next, and is not asked about again."""
    async with grading(lake, FakeScorer(), "r1") as (grade, workspace, _):
        await grade.grade(workspace, workers=1)
        (segment,) = lake.segments["scores"].glob("*.jsonl")
        kept = segment.read_bytes()
    for path in lake.root.glob("scores/r1-*"):  # as if none had landed
        path.unlink()
    segment.write_bytes(kept + b"torn")
    again = FakeScorer()
    await ran(lake, again, "r2")
    assert again.asked == []
    assert set(stored(lake)) == {"s0", "s1", "s2", "thought"}


async def test_what_is_not_stored(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """Where the disk takes no score, what it cost is known to the next run."""

    async def refuse(*args: object, **how: object) -> None:
        raise StorageError("full")

    monkeypatch.setattr(Journal, "append", refuse)
    found = await ran(lake, FakeScorer())
    assert isinstance(found.grade.stop.reason, StorageError)
    noted = [json.loads(line)["cost_usd"] for path in lake.waste.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sum(noted) == found.grade.budget.spent > 0
