"""Gathering checks into bundles that workers make."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import SetupError, VerifierError
from storage.records import Prompt, Sample, Verdict
from storage.verdicts import VerdictStore
from tasks import bundles
from tasks.bundles import ALONE, FEW, MOST, Bundles
from tasks.threads import Threads
from tasks.verify import Case, Named, Verification
from tests.fakes import make_prompt, make_sample
from verifiers import workers
from verifiers.exact_match import ExactMatch
from verifiers.protocol import Checked, Finding, verifier


@verifier(version="1", limit_s=0.5, pure=True)
class Where:
    """Tells whether it was asked in a worker that it shares, unless the response says otherwise."""

    def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Pass in any worker."""
        match sample.response:
            case "hangs":
                time.sleep(60)
            case "ends":
                os._exit(3)
            case "raises":
                raise VerifierError("no")
            case "breaks":
                raise ZeroDivisionError("a defect")
            case "sleeps":
                time.sleep(0.01)
        return Finding(passed=multiprocessing.parent_process() is not None, reason="bundled" if workers.NONE_WITHIN.get() else "")


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Give two threads, and let them go."""
    made = Threads(2, name="check")
    yield made
    made.close()


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have checks bundled from the first one on."""
    monkeypatch.setattr(bundles, "FEW", 0)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many checks each call to a worker had."""
    noted: list[int] = []
    check_all = bundles.check_all

    def noting(checks: list) -> list:
        noted.append(len(checks))
        return check_all(checks)

    monkeypatch.setattr(bundles, "check_all", noting)
    return noted


def sample(response: str = "", number: int = 0) -> Sample:
    """Return a sample."""
    return make_sample(f"{response}{number}", response=response)


async def verdicts(tmp_path: Path, *responses: str) -> list[Verdict]:
    """Judge responses as a build does."""
    named = Named(name="where", version="1", fingerprint="where", verifier=Where())
    async with VerdictStore(tmp_path, tmp_path / "judged", run="r") as store:
        verification = Verification([named], store, print, workers=2)
        cases = [Case(sample=sample(response, number)) for number, response in enumerate(responses)]
        found = [verdict for (verdict,) in await verification.judge(make_prompt(), cases)]
        verification.close()
    return found


async def test_the_first_few_need_no_worker(threads: Threads, calls: list[int]) -> None:
    """A build of a handful of samples starts no process for them; one of more starts the first one in good time."""
    made = Bundles(threads)
    few = await asyncio.gather(*(made.check(Where(), make_prompt(), sample()) for _ in range(FEW // 2 - 1)))
    assert few == [ALONE] * len(few)
    assert calls == []
    few = await asyncio.gather(*(made.check(Where(), make_prompt(), sample()) for _ in range(FEW // 2 + 1)))
    assert few == [ALONE] * len(few)
    finding, took_s = await made.check(Where(), make_prompt(), sample())
    assert finding == Finding(passed=True, reason="bundled")
    assert took_s > 0
    assert calls == [0, 1]


@pytest.mark.usefixtures("many")
async def test_what_comes_together_is_one_call(threads: Threads, calls: list[int]) -> None:
    """A bundle waits a moment for more, and goes when it is full."""
    made = Bundles(threads)
    found = await asyncio.gather(*(made.check(Where(), make_prompt(), sample()) for _ in range(2 * MOST + 3)))
    assert sorted(calls) == [3, MOST, MOST]
    assert {finding for finding, _ in found} == {Finding(passed=True, reason="bundled")}


@pytest.mark.usefixtures("many")
async def test_long_texts_make_small_bundles(threads: Threads, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is copied twice on its way."""
    monkeypatch.setattr(bundles, "MOST_CHARS", 100)
    made = Bundles(threads)
    await asyncio.gather(*(made.check(Where(), make_prompt("p"), sample("x" * 49)) for _ in range(6)))
    assert calls == [2, 2, 2]


@pytest.mark.usefixtures("many")
async def test_what_there_is_no_time_for_is_handed_over_again(threads: Threads, calls: list[int]) -> None:
    """A worker ends a bundle early, so that one that hangs is told from many that take a while. Other workers share the rest."""
    made = Bundles(threads)
    found = await asyncio.gather(*(made.check(Where(), make_prompt(), sample("sleeps")) for _ in range(20)))
    assert {finding and finding.passed for finding, _ in found} == {True}
    assert calls[0] == 20
    assert calls[1] <= calls[2] <= 10


@pytest.mark.usefixtures("many")
async def test_verdicts_of_neighbours_of_what_hangs_or_ends_its_process(tmp_path: Path) -> None:
    """Each is then checked by itself, under its own limit."""
    found = await verdicts(tmp_path, "a", "hangs", "b", "ends", "c")
    assert [verdict.passed for verdict in found] == [True, None, True, None, True]
    assert [verdict.reason for verdict in found] == [
        "",
        "no verdict within 0.5 s",
        "",
        "the check ended its process: exit code 3",
        "",
    ]


@pytest.mark.usefixtures("many")
async def test_verdicts_of_what_raises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are what they are without bundles, and a defect's traceback is in the log."""
    with caplog.at_level(logging.ERROR):
        found = await verdicts(tmp_path, "a", "raises", "breaks", "b")
    reasons = [verdict.reason for verdict in found]
    assert reasons == ["bundled", "no", "the verifier raised ZeroDivisionError: a defect", "bundled"]
    assert "where raised on sample breaks2" in caplog.text


@pytest.mark.usefixtures("many")
async def test_no_process_can_be_had(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then checks are made in threads, as those of a small build are."""
    tried: list[int] = []

    def refuse(checks: list) -> list:
        tried.append(len(checks))
        raise SetupError("no process can be started for a check")

    monkeypatch.setattr(bundles, "check_all", refuse)
    made = Bundles(threads)
    for _ in range(3):
        assert await made.check(ExactMatch(), make_prompt(), sample()) == ALONE
    assert tried == [1]


@pytest.mark.usefixtures("many")
async def test_whoever_no_longer_waits(threads: Threads, calls: list[int]) -> None:
    """Takes no place in a bundle, and disturbs no other."""
    made = Bundles(threads)
    waiting = [asyncio.create_task(made.check(Where(), make_prompt(), sample())) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [False, True, False]
    assert calls == [2]
