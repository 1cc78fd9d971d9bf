"""Verify: from samples to verdicts."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow.parquet as pq
import pytest

from storage.answers import Answers
from storage.errors import SetupError, StorageError, Unavailable, UserError, VerifierError
from storage.identity import check_inputs
from storage.records import Prompt, Sample, Verdict
from storage.verdicts import VerdictStore
from storage.waste import Waste
from tasks.verify import CHECK, REASON_CHARS, Case, Named, Rule, Verification
from tests.fakes import FakeAsyncVerifier, FakeVerifier, make_prompt, make_sample, make_verdict, named
from verifiers.all import All
from verifiers.parts import Part
from verifiers.protocol import Checked, Finding, verifier

KINDS = pytest.mark.parametrize("kind", [FakeVerifier, FakeAsyncVerifier], ids=["thread", "coroutine"])
NAMES = ("x", "y", "z")
LISTED = tuple((name, name) for name in NAMES)
RULES = {
    "all": Rule("all", LISTED),
    "any": Rule("any", LISTED),
    "one": Rule(("y",), LISTED),
    "two": Rule(("x", "z"), LISTED),
    "nobody": Rule((), LISTED),
    "none listed, all": Rule("all", ()),
    "none listed, any": Rule("any", ()),
}
VERDICTS = list(itertools.product([True, False, None, "absent"], repeat=3))


async def judge(
    tmp_path: Path, *verifiers: Named, samples: int = 1, stopped: list[UserError] | None = None
) -> list[list[Verdict]]:
    """Judge samples, and land the verdicts."""
    async with VerdictStore(tmp_path, tmp_path / "judged", run="r") as store:
        verification = Verification(verifiers, store, (stopped if stopped is not None else []).append, workers=2)
        try:
            return await verification.judge(make_prompt(), [Case(sample=make_sample(f"s{n}")) for n in range(samples)])
        finally:
            verification.close()


@verifier(version="1", limit_s=1)
class Hostile:
    """Does to its process what the response says."""

    also: str = ""

    def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Pass what is harmless."""
        os.write(1, b"what a check prints is no output of the command's")
        match sample.response:
            case "hangs":
                while True:
                    pass
            case "crashes":
                ctypes.string_at(0)
            case "exits":
                os._exit(0)
            case "fills the memory":
                bytearray(1 << 33)
            case "can't be read":
                raise Unreadable("one", "two")
        return os.getpid() != int(sample.response)


class Unreadable(Exception):
    """Can be pickled, and not be read."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def raising(error: Exception) -> Any:
    """Return a check that raises."""

    def check(prompt: Prompt, sample: Sample) -> Checked:
        raise error

    return check


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Takes its time."""

    version: ClassVar[str] = "1"
    isolated: ClassVar[bool] = False
    limit_s: ClassVar[float] = 60
    seconds: float

    async def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Pass, later."""
        await asyncio.sleep(self.seconds)
        return True


class TestRule:
    """When a sample is accepted."""

    @pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
    def test_sql_is_the_same(self, rule: Rule):
        """In Python for the rounds and in SQL for the dataset, a rule decides alike for every combination of verdicts."""
        rows = [
            (n, name, passed)
            for n, case in enumerate(VERDICTS)
            for name, passed in zip(NAMES, case, strict=True)
            if passed != "absent"
        ]
        listed = ", ".join(f"({n}, '{name}', {'NULL' if passed is None else passed})" for n, name, passed in rows)
        query = f"SELECT n, {rule.sql('v', 'passed')} FROM (VALUES {listed}) AS t(n, v, passed) GROUP BY n"
        by_sql = dict(duckdb.connect().execute(query).fetchall())
        by_python = {
            n: rule.accepts([make_verdict(verifier=v, fingerprint=v, passed=p) for m, v, p in rows if m == n]) for n in by_sql
        }
        assert by_sql == by_python
        assert len(by_sql) == len(VERDICTS) - 1

    @pytest.mark.parametrize(
        ("require", "passed", "accepted"),
        [
            ("all", (True, True), True),
            ("all", (True, False), False),
            ("all", (True, None), True),
            ("all", (None, None), False),
            ("any", (True, False), True),
            ("any", (None, False), False),
            (("x",), (True, False), True),
            (("y",), (True, False), False),
            (("y",), (True, None), False),
        ],
        ids=str,
    )
    def test_table(self, require: Any, passed: tuple[bool | None, ...], accepted: bool):
        """All: none failed and one passed; any: one passed; names: all among these. Undecided doesn't count."""
        verdicts = [make_verdict(verifier=name, fingerprint=name, passed=each) for name, each in zip("xy", passed, strict=True)]
        assert Rule(require, (("x", "x"), ("y", "y"))).accepts(verdicts) is accepted

    def test_two_of_one_name(self):
        """A name may stand for two verifiers with other options: both must have judged, and neither may have failed it."""
        rule = Rule("all", (("x", "1"), ("x", "2")))
        one, two = (make_verdict(verifier="x", fingerprint=each, passed=True) for each in "12")
        assert rule.accepts([one, two])
        assert not rule.accepts([one])
        assert not rule.accepts([one, make_verdict(verifier="x", fingerprint="2", passed=False)])

    def test_no_verdicts(self):
        """What nobody judged isn't accepted, unless nobody was to."""
        assert not Rule("all", (("x", "x"),)).accepts([])
        assert Rule("all", ()).accepts([])


class TestJudge:
    """Running verifiers."""

    @KINDS
    @pytest.mark.parametrize(
        ("checked", "expected"),
        [
            (True, (True, 1.0, "", None)),
            (False, (False, 0.0, "", None)),
            (None, (None, None, "", None)),
            (Finding(passed=True, score=0.5, reason="fair", answer="4"), (True, 0.5, "fair", "4")),
            (Finding(passed=False, reason="5 is not 4"), (False, 0.0, "5 is not 4", None)),
            (Finding(passed=None, score=0.5, reason="?"), (None, None, "?", None)),
        ],
        ids=str,
    )
    async def test_finding(self, tmp_path: Path, kind: Any, checked: Checked, expected: tuple[Any, ...]):
        """A check may say yes, no, nothing, or more."""
        ((verdict,),) = await judge(tmp_path, named(judge=lambda prompt, sample: checked, kind=kind))
        assert (verdict.passed, verdict.score, verdict.reason, verdict.answer) == expected

    async def test_identity(self, tmp_path: Path):
        """A verdict says of which sample, verifier and inputs it is, and is landed."""
        one = named("check", version="7")
        ((verdict,),) = await judge(tmp_path, one)
        assert (verdict.sample_id, verdict.verifier, verdict.version) == ("s0", "check", "7")
        assert (verdict.fingerprint, verdict.inputs) == (one.fingerprint, check_inputs(make_prompt()))
        assert pq.read_table(tmp_path / "r-000000.parquet")["sample_id"].to_pylist() == ["s0"]

    async def test_each_by_each(self, tmp_path: Path):
        """Every verifier judges every sample, whether it blocks or waits."""
        found = await judge(tmp_path, named("x"), named("y", kind=FakeAsyncVerifier), named("z"), samples=3)
        assert [sorted((verdict.sample_id, verdict.verifier) for verdict in each) for each in found] == [
            [(f"s{n}", name) for name in "xyz"] for n in range(3)
        ]

    async def test_only_the_asked_ones(self, tmp_path: Path):
        """A case may ask for some verifiers alone."""
        one, other = named("x"), named("y")
        async with VerdictStore(tmp_path, tmp_path / "judged", run="r") as store:
            verification = Verification([one, other], store, print, workers=1)
            case = Case(sample=make_sample(), fingerprints=frozenset({other.fingerprint}))
            ((verdict,),) = await verification.judge(make_prompt(), [case])
            verification.close()
        assert verdict.verifier == "y"

    async def test_off_the_loop(self, tmp_path: Path):
        """A check that may block doesn't run on the event loop's thread."""
        threads: list[int] = []

        def check(prompt: Prompt, sample: Sample) -> bool:
            threads.append(threading.get_ident())
            return True

        await judge(tmp_path, named(judge=check))
        assert threads != [threading.get_ident()]

    async def test_plain_parts_beside_a_judge(self, tmp_path: Path):
        """A part that may block runs on the build's own threads, of which there are as many as it says, and not on the loop's."""
        threads: list[str] = []

        def check(prompt: Prompt, sample: Sample) -> bool:
            threads.append(threading.current_thread().name)
            return True

        parts = (Part("plain", FakeVerifier(judge=check)), Part("judge", FakeAsyncVerifier(judge=lambda prompt, sample: True)))
        both = Named(name="all", version="1", fingerprint="all", verifier=All(of=parts))
        await judge(tmp_path, both, samples=3)
        assert {name.partition("-")[0] for name in threads} == {"verify"}

    async def test_no_verifiers(self, tmp_path: Path):
        """Without verifiers there are no verdicts."""
        assert await judge(tmp_path, samples=2) == [[], []]


class TestTrouble:
    """What a verifier raises."""

    @KINDS
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (VerifierError("the sandbox was killed"), "the sandbox was killed"),
            (ZeroDivisionError("division by zero"), "the verifier raised ZeroDivisionError: division by zero"),
            (TimeoutError(), "the verifier raised TimeoutError: "),
            (SystemExit(0), "the verifier raised SystemExit: 0"),
        ],
        ids=repr,
    )
    async def test_undecided(self, tmp_path: Path, kind: Any, error: Exception, reason: str):
        """A verifier that raises on a sample is undecided on it, says why, and disturbs no other verdict."""
        stopped: list[UserError] = []
        ((first, second),) = await judge(tmp_path, named("x", raising(error), kind=kind), named("y"), stopped=stopped)
        found = {verdict.verifier: verdict for verdict in (first, second)}
        assert (found["x"].passed, found["x"].score, found["x"].reason) == (None, None, reason)
        assert found["y"].passed
        assert not stopped

    async def test_in_a_process_of_its_own(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
        """A check that hangs, crashes or fills the memory is an undecided verdict, and the build and its other verdicts go on."""
        hostile = {
            "hangs": "no verdict within 1 s",
            "crashes": "the check ended its process: killed by SIGSEGV",
            "exits": "the check ended its process: exit code 0",
            "fills the memory": "the verifier raised MemoryError: ",
            "can't be read": "the check raised Unreadable: one two",
            str(os.getpid()): "",
        }
        one = Named(name="x", version="1", fingerprint="x", verifier=Hostile())
        cases = [Case(sample=make_sample(response, response=response)) for response in hostile]
        async with VerdictStore(tmp_path, tmp_path / "judged", run="r") as store:
            verification = Verification([one], store, print, workers=2)
            verdicts = [verdict for (verdict,) in await verification.judge(make_prompt(), cases)]
            verification.close()
        assert {verdict.sample_id: verdict.reason for verdict in verdicts} == hostile
        assert [verdict.passed for verdict in verdicts] == [None] * 5 + [True]
        assert capfd.readouterr().out == ""

    @KINDS
    async def test_a_server_that_is_away(self, tmp_path: Path, kind: Any, caplog: pytest.LogCaptureFixture):
        """Where another server couldn't be asked there is no verdict, so that the next build judges; others are kept."""
        ((verdict,),) = await judge(tmp_path, named("x", raising(Unavailable("down")), kind=kind), named("y"))
        assert verdict.verifier == "y"
        assert "x could not ask about sample s0: down" in caplog.text

    @KINDS
    @pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 16_777_217, 10**400])
    async def test_a_score_that_no_table_holds(self, tmp_path: Path, kind: Any, score: float):
        """It is the verifier's fault, and ends no run."""
        ((verdict,),) = await judge(tmp_path, named(judge=lambda prompt, sample: Finding(passed=True, score=score), kind=kind))
        assert (verdict.passed, verdict.score) == (None, None)
        assert "not from 0 to 1" in verdict.reason

    @KINDS
    async def test_user_error(self, tmp_path: Path, kind: Any):
        """What concerns the whole run, such as a sandbox that isn't there, stops it."""
        stopped: list[UserError] = []
        error = SetupError("bubblewrap isn't installed")
        with pytest.raises(SetupError):
            await judge(tmp_path, named(judge=raising(error), kind=kind), stopped=stopped)
        assert stopped == [error]

    async def test_what_others_said_is_kept(self, tmp_path: Path):
        """Where one verifier can't work, the verdicts of the others are kept, those too that come later: they may have been paid for."""
        verifiers = [
            named("broken", raising(SetupError("no sandbox")), kind=FakeAsyncVerifier),
            named("quick", kind=FakeAsyncVerifier),
            Named(name="slow", version="1", fingerprint="slow", verifier=Waiting(seconds=0.05)),
        ]
        with pytest.raises(SetupError):
            await judge(tmp_path, *verifiers)
        assert sorted(pq.read_table(tmp_path / "r-000000.parquet")["verifier"].to_pylist()) == ["quick", "slow"]

    async def test_cancelled(self, tmp_path: Path):
        """Verdicts that are there when a run is cancelled are kept, whatever is still waited for."""
        slow = Named(name="slow", version="1", fingerprint="slow", verifier=Waiting(seconds=60))
        judging = asyncio.create_task(judge(tmp_path, named("quick", kind=FakeAsyncVerifier), slow))
        await asyncio.sleep(0.1)
        judging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await judging
        assert pq.read_table(tmp_path / "r-000000.parquet")["verifier"].to_pylist() == ["quick"]

    @pytest.mark.parametrize("error", [Unavailable("gone"), SetupError("no key"), asyncio.CancelledError()], ids=repr)
    async def test_billed_in_vain(self, tmp_path: Path, error: BaseException):
        """What a judge was paid that gave no verdict is noted, so that a later run's budget counts it."""

        @dataclass(frozen=True, kw_only=True)
        class Paid(Waiting):
            """Is billed, whatever comes of it."""

            async def check(self, prompt: Prompt, sample: Sample) -> Checked:
                """Pass the first."""
                CHECK.get().bill.append(0.25)
                if sample.sample_id == "s0":
                    return True
                raise error

        one = Named(name="j", version="1", fingerprint="j", verifier=Paid(seconds=0))
        with Waste(tmp_path / "waste", run="r") as waste, contextlib.suppress(SetupError, asyncio.CancelledError):
            async with VerdictStore(tmp_path, tmp_path / "judged", run="r") as store:
                verification = Verification([one], store, print, workers=1, waste=waste)
                with contextlib.closing(verification):
                    await verification.judge(make_prompt(), [Case(sample=make_sample(f"s{n}")) for n in range(2)])
        (noted,) = [json.loads(line) for line in (tmp_path / "waste" / "r.jsonl").read_text().splitlines()]
        assert (noted["sample_id"], noted["teacher"], noted["cost_usd"]) == ("s1", "j", 0.25)
        assert pq.read_table(tmp_path / "r-000000.parquet")["cost_usd"].to_pylist() == [0.25]

    @pytest.mark.parametrize("error", [Unavailable("gone"), SetupError("no key"), asyncio.CancelledError()], ids=repr)
    async def test_answered_in_vain(self, tmp_path: Path, error: BaseException):
        """What a judge had said by then is kept for the next build; what came to a verdict isn't."""

        @dataclass(frozen=True, kw_only=True)
        class Answered(Waiting):
            """Is answered, whatever comes of it."""

            async def check(self, prompt: Prompt, sample: Sample) -> Checked:
                """Pass the first."""
                answers.add(CHECK.get(), sample.sample_id, "well")
                if sample.sample_id == "s0":
                    return True
                raise error

        one = Named(name="j", version="1", fingerprint="j", verifier=Answered(seconds=0))
        with (
            Answers(tmp_path / "answers", tmp_path / "checks", run="r") as answers,
            contextlib.suppress(SetupError, asyncio.CancelledError),
        ):
            async with VerdictStore(tmp_path, tmp_path / "judged", run="r") as store:
                verification = Verification([one], store, print, workers=1, answers=answers)
                with contextlib.closing(verification):
                    await verification.judge(make_prompt(), [Case(sample=make_sample(f"s{n}")) for n in range(2)])
        assert not list((tmp_path / "checks").iterdir())
        with Answers(tmp_path / "answers", tmp_path / "checks", run="s") as answers:
            assert (answers.get("s0"), answers.get("s1")) == (None, "well")

    @pytest.mark.parametrize("samples", [1, 2])
    async def test_a_check_is_known_to_itself_alone(self, tmp_path: Path, samples: int):
        """What asks a teacher later, in the same task, is no part of a check that is over."""
        known: list[str] = []

        def note(prompt: Prompt, sample: Sample) -> bool:
            known.append(CHECK.get().sample_id)
            return True

        await judge(tmp_path, named("j", note, kind=FakeAsyncVerifier), samples=samples)
        assert known == ["s0", "s1"][:samples]
        assert CHECK.get(None) is None

    async def test_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Verdicts that can't be kept stop the run, rather than let it judge on for nothing."""
        stopped: list[UserError] = []
        error = StorageError("verdicts: can't be written")

        async def refuse(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(VerdictStore, "add", refuse)
        with pytest.raises(StorageError):
            await judge(tmp_path, named(), stopped=stopped)
        assert stopped == [error]

    @KINDS
    @pytest.mark.parametrize(
        ("checked", "reason"),
        [
            ("yes", "passed is a str"),
            (1, "passed is a int"),
            (Finding(passed=True, score="high"), "score is a str"),  # type: ignore[arg-type]
            (Finding(passed=True, reason=None), "reason is a NoneType"),  # type: ignore[arg-type]
            (Finding(passed=True, answer=4), "answer is a int"),  # type: ignore[arg-type]
        ],
        ids=str,
    )
    async def test_no_finding(self, tmp_path: Path, kind: Any, checked: Any, reason: str):
        """What no table could hold is the verifier's mistake: undecided, and the run goes on."""
        ((verdict,),) = await judge(tmp_path, named(judge=lambda prompt, sample: checked, kind=kind))
        assert (verdict.passed, verdict.reason) == (None, f"the verifier raised TypeError: {reason}")

    async def test_long_reason(self, tmp_path: Path):
        """A reason is cut, so that a response can't make the table large."""
        ((verdict,),) = await judge(tmp_path, named(judge=lambda prompt, sample: Finding(passed=False, reason="x" * 10_000)))
        assert verdict.reason == "x" * REASON_CHARS

    async def test_lone_surrogates(self, tmp_path: Path):
        """What UTF-8 can't hold is replaced, in reason and answer."""
        finding = Finding(passed=True, reason="a\ud83d", answer="\udc004")
        ((verdict,),) = await judge(tmp_path, named(judge=lambda prompt, sample: finding))
        assert (verdict.reason, verdict.answer) == ("a?", "?4")
