"""Many checks in one call to a worker."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable

import pytest

from storage.errors import VerifierError
from storage.records import Logprobs, Prompt, Sample
from tests.fakes import make_prompt, make_sample
from verifiers import bundle
from verifiers.all import All
from verifiers.bundle import check_all
from verifiers.exact_match import ExactMatch
from verifiers.judge import Judge
from verifiers.parts import Part
from verifiers.protocol import Checked, Finding, verifier
from verifiers.repetition import Repetition
from verifiers.unit_tests import UnitTests


@verifier(version="1", limit_s=1, pure=True)
class Odd:
    """Does what the response says."""

    def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Pass in a worker alone."""
        match sample.response:
            case "raises":
                raise VerifierError("no")
            case "leaves":
                raise SystemExit(3)
            case "says nonsense":
                return Finding(passed=True, score=7)
            case "takes long":
                time.sleep(bundle.SLICE_S * 1.2)
            case "hangs":
                time.sleep(60)
            case "ends":
                os._exit(0)
            case "has distributions":
                return sample.logprobs is not None
        return multiprocessing.parent_process() is not None


def checks(*responses: str) -> list[bundle.Check]:
    """Return a check of each response."""
    return [(Odd(), make_prompt(), make_sample(response, response=response)) for response in responses]


def test_what_they_find_comes_in_their_order():
    """From a worker, with the seconds that each took."""
    found = check_all(checks("a", "b", "c"))
    assert [finding for finding, _ in found] == [Finding(passed=True)] * 3
    assert all(0 <= took_s < 1 for _, took_s in found)
    assert check_all([]) == []


@pytest.mark.parametrize("response", ["raises", "leaves", "says nonsense"])
def test_what_raises_is_left_to_be_made_by_itself(response: str):
    """And takes no other along."""
    found = check_all(checks("a", response, "b"))
    assert [finding and finding.passed for finding, _ in found] == [True, None, True]
    assert found[1][0] is None


@pytest.mark.parametrize("response", ["raises", "leaves", "says nonsense"])
def test_a_part_that_raises(response: str, capfd: pytest.CaptureFixture[str]):
    """Leaves the whole to be made by itself, which tells of it where a build's log is: a worker has none."""
    whole = All(of=(Part("odd", Odd()),))
    assert check_all([(whole, make_prompt(), make_sample(response, response=response))])[0][0] is None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("response", ["hangs", "ends"])
def test_one_that_comes_to_no_end(response: str):
    """Nobody knows which one it was."""
    with pytest.raises(VerifierError):
        check_all(checks("a", response, "b"))


def test_each_may_take_as_long_as_the_one_with_the_shortest_limit():
    """Whoever is beside others, or a part of another, has no more time than by itself."""
    assert bundle.limit_s(All(of=(Part("repetition", Repetition()), Part("exact_match", ExactMatch())))) == Repetition.limit_s
    prompt = make_prompt(reference="72")
    beside: bundle.Check = (ExactMatch(), prompt, make_sample("s", response="72"))
    for hanging in (Odd(), All(of=(Part("odd", Odd()),))):
        with pytest.raises(VerifierError, match=r"within 1\.05 s"):
            check_all([beside, (hanging, prompt, make_sample("h", response="hangs"))])


def test_a_long_one_leaves_the_rest_for_later():
    """So that the limit is one check's, and not that of all before it."""
    found = check_all(checks("a", "takes long", "b"))
    assert len(found) == 2


def test_distributions_stay_at_home():
    """They may be a hundred times as long as all else."""
    logprobs = Logprobs(
        tokens=(b"a",), ids=None, logprobs=(0.0,), counts=(0,), top_tokens=(), top_ids=None, top_logprobs=(), rest=(0.0,)
    )
    sample = make_sample("s", response="has distributions", logprobs=logprobs)
    assert check_all([(Odd(), make_prompt(), sample)])[0][0] == Finding(passed=False)
    assert sample.logprobs is logprobs


def test_algebra_is_left_to_a_worker_of_its_own():
    """Its limit is shorter than a bundle's, and holds from outside."""
    math = ExactMatch(kind="math")
    prompt = make_prompt(reference="$x^2 + 2x + 1$")
    easy, hard = make_sample("e", response="The answer is $x^2+2x+1$"), make_sample("h", response="The answer is $(x+1)^2$")
    found = check_all([(math, prompt, easy), (math, prompt, hard)])
    assert [finding and finding.passed for finding, _ in found] == [True, None]
    assert math.check(prompt, hard).passed


def test_parts_with_a_process_of_their_own_are_checked_in_the_bundle_s():
    """A verifier that consists of such that may be bundled may be too."""
    whole = All(of=(Part("repetition", Repetition()), Part("exact_match", ExactMatch(kind="number"))))
    assert bundle.pure(whole)
    sample = make_sample("s", response="I count the apples in the basket. The answer is 72.")
    ((finding, _),) = check_all([(whole, make_prompt(reference="72"), sample)])
    assert finding == whole.check(make_prompt(reference="72"), sample)


@pytest.mark.parametrize(
    ("made", "may"),
    [
        (ExactMatch, True),
        (UnitTests, False),
        (lambda: Judge(teacher="t", rubric="r", pass_at=7), False),
        (lambda: All(of=(Part("exact_match", ExactMatch()), Part("unit_tests", UnitTests()))), False),
    ],
    ids=["exact_match", "unit_tests", "judge", "a part may not"],
)
def test_who_may_be_bundled(made: Callable[[], object], may: bool):
    """Whoever says so, and consists of none that doesn't."""
    assert bundle.pure(made()) is may  # type: ignore[arg-type]


def test_a_class_derived_from_a_pure_one_says_so_itself():
    """What it adds may count, or cost."""

    @verifier(version="2")
    class Dearer(ExactMatch):
        """Adds something."""

    assert not bundle.pure(Dearer())
