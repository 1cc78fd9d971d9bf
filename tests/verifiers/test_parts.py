"""Verifiers that consist of others, whatever their parts are like."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows import judging
from flows.spec import Spec
from storage.errors import RequestRejected, SetupError, SpecError, TeacherError, Unavailable, VerifierError
from storage.records import Message, Prompt, Sample
from tests.fakes import FakeAsyncVerifier, FakeVerifier, make_prompt, make_sample
from verifiers.all import All
from verifiers.any import Any as AnyOf
from verifiers.cascade import Cascade
from verifiers.making import make
from verifiers.parts import MAX_DEPTH, Combinator, Part
from verifiers.protocol import Checked, Finding, Verifier, verifier
from verifiers.weighted import Weighted

PATH = Path("spec.yaml")
YES, NO, UNSURE = Finding(passed=True, reason="y"), Finding(passed=False, reason="n"), Finding(passed=None, reason="u")
KINDS = pytest.mark.parametrize("kind", [FakeVerifier, FakeAsyncVerifier], ids=["plain", "coroutine"])
Make = Callable[[tuple[Part, ...]], Verifier]


def shown(value: object) -> str:
    """Return a test's parameter as text, the same in every process."""
    return getattr(value, "__name__", None) or str(value)


def weighted(of: tuple[Part, ...]) -> Weighted:
    """Return one that wants half."""
    return Weighted(of=of, pass_at=0.5)


def parts(*findings: Checked | Exception, kind: Any = FakeVerifier, asked: list[int] | None = None) -> tuple[Part, ...]:
    """Return parts a, b, … that find this, and note in `asked` that they were asked."""

    def judge(number: int, finding: Any) -> Callable[[Prompt, Sample], Checked]:
        def check(prompt: Prompt, sample: Sample) -> Checked:
            if asked is not None:
                asked.append(number)
            if isinstance(finding, Exception):
                raise finding
            return finding

        return check

    return tuple(Part("abcdef"[n], kind(judge=judge(n, finding))) for n, finding in enumerate(findings))


def decide(one: Any, response: str = "4") -> Finding:
    """Check a sample with it."""
    checked = one.check(make_prompt(), make_sample(response=response))
    if isinstance(checked, Awaitable):

        async def wait() -> Any:
            return await checked

        checked = asyncio.run(wait())
    return checked


@KINDS
@pytest.mark.parametrize(
    ("made", "found", "expected", "asked"),
    [
        (All, (YES, YES), (True, "all 2 passed"), 2),
        (All, (YES, NO, YES), (False, "b: n"), 2),
        (All, (UNSURE, NO), (False, "b: n"), 2),
        (All, (UNSURE, YES), (None, "a: u"), 2),
        (AnyOf, (NO, YES, NO), (True, "b: y"), 2),
        (AnyOf, (UNSURE, YES), (True, "b: y"), 2),
        (AnyOf, (UNSURE, NO), (None, "a: u"), 2),
        (AnyOf, (NO, NO), (False, "a: n; b: n"), 2),
        (Cascade, (YES, YES), (True, "b: y"), 2),
        (Cascade, (YES, NO, YES), (False, "b: n"), 2),
        (Cascade, (UNSURE, NO), (None, "a: u"), 1),
        (weighted, (YES, NO), (True, "0.5 reaches 0.5 (a 1, b 0)"), 2),
        (weighted, (NO, NO, YES), (False, "0.333 is below 0.5 (a 0, b 0, c 1)"), 3),
        (weighted, (YES, UNSURE, YES), (None, "b: u"), 2),
        (All, (True, False), (False, "b: failed"), 2),
        (Cascade, (None, True), (None, "a: undecided"), 1),
    ],
    ids=shown,
)
def test_table(made: Make, found: Sequence[Checked], expected: tuple[Any, ...], asked: int, kind: Any) -> None:
    """What follows from the parts, why, and how many of them were asked; it is the same for plain ones and coroutines."""
    heard: list[int] = []
    finding = decide(made(of=parts(*found, kind=kind, asked=heard)))
    assert (finding.passed, finding.reason) == expected
    assert heard == list(range(asked))


@pytest.mark.parametrize("made", [All, AnyOf, Cascade, weighted])
@KINDS
def test_a_part_that_raises_is_undecided(made: Make, kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It never makes the whole pass, its reason is the whole's, and the log has what is a defect."""
    caplog.set_level(logging.CRITICAL)
    for error, reason in ((VerifierError("no idea"), "no idea"), (ZeroDivisionError("by 0"), "raised ZeroDivisionError: by 0")):
        finding = decide(made(of=parts(error, kind=kind)))
        assert finding.passed is None
        assert reason in finding.reason
        assert finding.reason.startswith("a: ")


@pytest.mark.parametrize("made", [All, AnyOf, Cascade, weighted])
@KINDS
def test_what_concerns_the_run_is_raised(made: Make, kind: Any) -> None:
    """A sandbox that isn't there is no verdict."""
    with pytest.raises(SetupError):
        decide(made(of=parts(SetupError("no sandbox"), kind=kind)))


@pytest.mark.parametrize("made", [All, AnyOf, Cascade, weighted])
def test_a_teacher_that_could_not_be_asked(made: Make) -> None:
    """There is no verdict then, and the next build judges; a request that the teacher rejects is an undecided part."""
    with pytest.raises(TeacherError):
        decide(made(of=parts(Unavailable("gone"), kind=FakeAsyncVerifier)))
    finding = decide(made(of=parts(RequestRejected("too long"), kind=FakeAsyncVerifier)))
    assert (finding.passed, finding.reason) == (None, "a: the server rejects the request: too long")


class TestScores:
    """Scores and answers."""

    @pytest.mark.parametrize(
        ("made", "scores", "score"),
        [
            (All, (0.9, 0.6, None), 0.6),
            (Cascade, (0.9, 0.6), 0.6),
            (AnyOf, (0.9, 0.6), 0.9),
            (weighted, (0.9, 0.6, None), 2.5 / 3),
        ],
        ids=shown,
    )
    def test_of_what_passes(self, made: Make, scores: Sequence[float | None], score: float):
        """All: the lowest; cascade: the last; any: that of the one that passed; weighted: the mean."""
        found = [Finding(passed=True, score=each, answer=f"{n}") for n, each in enumerate(scores)]
        finding = decide(made(of=parts(*found)))
        assert finding.score == pytest.approx(score)
        assert finding.answer == ("1" if made is Cascade else "0")

    def test_weights(self):
        """A part of weight 7 in 10 reaches 0.7 exactly, whatever binary sums say."""
        one = Weighted(of=parts(YES, NO, NO), weights=(0.7, 0.1, 0.2), pass_at=0.7)
        assert decide(one).passed is True
        assert decide(Weighted(of=parts(NO, YES, YES), weights=(0.7, 0.1, 0.2), pass_at=0.31)).passed is False

    @pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 7.0])
    def test_no_score(self, score: float):
        """What isn't from 0 to 1 can't be weighed."""
        finding = decide(weighted(parts(Finding(passed=True, score=score))))
        assert (finding.passed, "not from 0 to 1" in finding.reason) == (None, True)


@verifier(version="1", limit_s=0.3)
class Elsewhere:
    """Runs in a worker."""

    pid: int

    def check(self, prompt: Prompt, sample: Sample) -> bool:
        """Hang, or say whether this is another process."""
        while sample.response == "hang":
            pass
        return os.getpid() != self.pid


@pytest.mark.parametrize("beside", [FakeVerifier, FakeAsyncVerifier], ids=["plain", "coroutine"])
def test_a_part_in_a_process_of_its_own(beside: Any) -> None:
    """It runs in a worker within its own limit, also beside a judge, and one that hangs is undecided."""
    isolated = Part("elsewhere", Elsewhere(pid=os.getpid()))
    one = All(of=(*parts(True, kind=beside), isolated))
    assert decide(one).passed is True
    assert decide(one, "hang") == Finding(passed=None, reason="elsewhere: no verdict within 0.3 s")


def test_plain_parts_beside_a_judge_leave_the_loop_alone() -> None:
    """What may block runs in a thread, while the loop serves others."""
    threads: list[int] = []

    def judge(prompt: Prompt, sample: Sample) -> bool:
        threads.append(threading.get_ident())
        return True

    plain = Part("plain", FakeVerifier(judge=judge))
    assert decide(All(of=(plain, *parts(True, kind=FakeAsyncVerifier)))).passed is True
    assert threads != [threading.get_ident()]


def test_parts_of_one_name_are_told_apart() -> None:
    """By their number in the list."""
    one = All(of=tuple(Part("a", FakeVerifier(judge=lambda prompt, sample, found=found: found)) for found in (True, False)))
    assert decide(one).reason == "a #2: failed"


def test_nested() -> None:
    """Combinators are parts like any others, and the reason names the way to what decided."""
    inner = Part("cascade", Cascade(of=parts(YES, NO)))
    one = All(of=(Part("any", AnyOf(of=(inner, *parts(NO)))),))
    assert decide(one).reason == "any: cascade: b: n; a: n"


class Yielding:
    """A teacher for judges that gives these scores, and counts."""

    def __init__(self, *scores: int) -> None:
        self.scores = list(scores)
        self.asked = 0

    async def ask(self, messages: Sequence[Message], *, schema: dict[str, Any]) -> str:
        """Give the next."""
        self.asked += 1
        return f'{{"reason": "so so", "score": {self.scores.pop(0)}}}'


def test_a_judge_at_the_end_of_a_cascade() -> None:
    """It is asked only about what the cheap parts passed."""
    entry = {"of": [{"use": "exact_match"}, {"use": "judge", "teacher": "t", "rubric": "r", "pass_at": 7}]}
    one = make("cascade", entry)
    assert isinstance(one, Combinator)
    teacher = Yielding(3)
    bound = one.asking({"t": teacher})
    for response, reason, asked in (("5", "exact_match: 5 ≠ 4 (the whole response)", 0), ("4", "judge: 3 of 10: so so", 1)):
        checked = bound.check(make_prompt(reference="4"), make_sample(response=response))
        assert isinstance(checked, Awaitable)

        async def wait(found: Any) -> Any:
            return await found

        assert asyncio.run(wait(checked)).reason == reason
        assert teacher.asked == asked


def spec(*verify: dict[str, Any], **judge: Any) -> Spec:
    """Return a spec with a judge named j."""
    teachers = [
        {"name": "t", "provider": "openai", "model": "m"},
        {"name": "j", "provider": "openai", "model": "j", "draw": False} | judge,
    ]
    return Spec.model_validate({"dataset": "d", "prompts": [{"source": "p.jsonl"}], "teachers": teachers, "verify": verify})


JUDGE = {"use": "judge", "teacher": "j", "rubric": "r", "pass_at": 5}
EXACT = {"use": "exact_match"}


class TestInASpec:
    """What a user writes."""

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ({"use": "all", "of": [EXACT, EXACT | {"kin": "x"}]}, "verify[0].of[1].kin: unknown key; did you mean 'kind'?"),
            ({"use": "all", "of": [EXACT, {"use": "exact_mach"}]}, "verify[0].of[1].use: unknown verifier 'exact_mach'; did you"),
            ({"use": "any", "of": [{"use": "all", "of": [EXACT | {"kind": "x"}]}]}, "verify[0].of[0].of[0].kind: must be 'text'"),
            ({"use": "any", "of": [JUDGE | {"teacher": "k"}]}, "verify[0].of[0].teacher: no teacher is named 'k'; known: j, t"),
            ({"use": "any", "of": [JUDGE | {"pass_at": 11}]}, "verify[0].of[0]: pass_at: 11 is off the scale of 1 to 10"),
            ({"use": "length", "max_words": True}, "verify[0].max_words: must be a number, and this is true"),
            (
                {"use": "all", "of": [EXACT | {"tolerance": True}]},
                "verify[0].of[0].tolerance: must be a number, and this is true",
            ),
            (JUDGE | {"scale": [False, 10]}, "verify[0].scale[0]: must be a number, and this is false"),
            ({"use": "weighted", "of": [EXACT], "weights": [True], "pass_at": 1}, "verify[0].weights[0]: must be a number, and"),
            ({"use": "cascade", "of": []}, "verify[0].of: needs at least one verifier"),
            ({"use": "cascade", "off": []}, "verify[0].off: unknown key; did you mean 'of'?"),
            ({"use": "cascade"}, "verify[0].of: is missing"),
            ({"use": "cascade", "of": ["exact_match"]}, "verify[0].of[0]: must be a verifier: {use: NAME, …options}"),
            ({"use": "weighted", "of": [EXACT], "weights": [1, 2], "pass_at": 1}, "verify[0]: weights: 2 for 1 parts"),
            ({"use": "weighted", "of": [EXACT], "weights": [0], "pass_at": 1}, "verify[0].weights[0]: must be greater than 0"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_errors(self, entry: dict[str, Any], said: str):
        """One line with the path of what is wrong."""
        with pytest.raises(SpecError) as error:
            judging.make_verifiers(spec(entry), PATH)
        assert str(error.value).startswith(f"spec.yaml: {said}")
        assert "\n" not in str(error.value)

    def test_depth(self):
        """Nesting is read as deep as anybody writes it, and refused beyond."""
        entry: dict[str, Any] = EXACT
        for _ in range(MAX_DEPTH):
            entry = {"use": "all", "of": [entry]}
        assert decide(judging.make_verifiers(spec(entry), PATH)[0].verifier).passed is None
        for _ in range(2000):
            entry = {"use": "all", "of": [entry]}
        with pytest.raises(ValidationError, match="no deeper"):
            make("all", {"of": [entry]})

    def test_fingerprint(self):
        """It changes with a part's options, and with who judges; not with what the spec calls the judge."""

        def fingerprint(entry: dict[str, Any], **judge: Any) -> str:
            return judging.make_verifiers(spec({"use": "all", "of": [EXACT, {"use": "any", "of": [entry]}]}, **judge), PATH)[
                0
            ].fingerprint

        base = fingerprint(JUDGE)
        assert fingerprint(JUDGE | {"teacher": "k"}, name="k") == base
        assert len({base, fingerprint(JUDGE, model="other"), fingerprint(JUDGE | {"pass_at": 6}), fingerprint(EXACT)}) == 4
        assert fingerprint(EXACT) == fingerprint(EXACT | {"kind": "text"})

    def test_ready(self):
        """What a part needs of the machine is looked for before anything is spent."""

        @verifier(version="1")
        class Lacking:
            """Needs what isn't there."""

            what: str = "nothing"

            def check(self, prompt: Prompt, sample: Sample) -> bool:
                """Pass."""
                return True

            def ready(self) -> None:
                """Miss it."""
                raise SetupError("not here")

        one = All(of=(*parts(True), Part("any", AnyOf(of=(Part("lacking", Lacking()),)))))
        with pytest.raises(SetupError, match="not here"):
            one.ready()
