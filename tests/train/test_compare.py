"""The pieces of `benchmarks/distil/compare.py`: its problems, what models begin from, and its intervals."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from tasks.distillation.recipe import Recipe
from tasks.distillation.shards import files, index
from tasks.distillation.student import load
from tasks.distillation.training import Training
from tests.fakes import make_prompt, make_sample
from verifiers.calculation_check import CalculationCheck
from verifiers.exact_match import ExactMatch

pytestmark = pytest.mark.train
FOLDER = str(Path(__file__).parents[2] / "benchmarks" / "distil")
NAMES = ("compare", "intervals", "models", "problems")


@pytest.fixture(scope="module")
def parts() -> Iterator[Any]:
    """Import the benchmark's modules as its script does, and forget them again."""
    sys.path.insert(0, FOLDER)
    yield importlib.import_module("compare")
    sys.path.remove(FOLDER)
    for name in NAMES:
        sys.modules.pop(name, None)


def test_problems_and_verifiers_agree(parts: Any):
    """A worked solution passes both verifiers in either form of words, and one with a slip on the way passes neither."""
    number, steps = ExactMatch(kind="number"), CalculationCheck()
    for problem in itertools.islice(parts.problems(5, (3,)), 50):
        assert problem.answer == str(eval(problem.lines[0]))
        prompt = make_prompt(problem.question, reference=problem.answer)
        right = [problem.solution(form) for form in (0, 1)]
        wrong = right[0].replace(problem.answer, str(int(problem.answer) + 1))
        for text, passed in [*((each, True) for each in right), (wrong, False)]:
            sample = make_sample(response=text)
            assert number.check(prompt, sample).passed is passed, text
            assert steps.check(prompt, sample).passed is passed, text


@pytest.mark.parametrize("form", ["SMALL", "FULL"])
def test_no_problem_is_in_two_splits(parts: Any, tmp_path: Path, form: str):
    """What is held out is not asked, and of what is known nothing is made again; there are problems enough."""
    place = parts.Place(folder=tmp_path, form=getattr(parts, form), device="cpu")
    known = parts.written(place)
    ids = [json.loads(line)["id"] for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == len(known)
    assert len(ids) >= place.form.prompts + place.form.held_out
    gold = itertools.islice(parts.problems(parts.GOLD, parts.STEPS, known), place.form.gold)
    known |= {each.question for each in gold}
    assert len(known) == len(ids) + place.form.gold


def test_problems_run_out(parts: Any):
    """Of two steps there are 1,510; to ask for more is an error, and not a wait without end."""
    found = parts.problems(1, (2,))
    assert len({each.question for each in itertools.islice(found, 1510)}) == 1510
    with pytest.raises(ValueError, match="1,510 problems are known"):
        next(found)


class TestTheTeacher:
    """The choice among several."""

    def test_nearest_to_half(self, parts: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        """Neither the best nor the worst, whatever their order; the shares are said."""
        right = {"teacher-9": 190, "teacher-5": 120, "teacher-3": 70, "teacher-1": 4}
        found = {name: {str(number): number < many for number in range(200)} for name, many in right.items()}
        monkeypatch.setattr(parts, "examined", lambda *_: found)
        place = parts.Place(folder=Path("nowhere"), form=parts.FULL, device="cpu")
        assert parts.chosen(place, [Path(name) for name in right]) == Path("teacher-5")
        assert "teacher-9 95%, teacher-5 60%" in capsys.readouterr().err

    def test_one_alone(self, parts: Any):
        """There is nothing to try."""
        place = parts.Place(folder=Path("nowhere"), form=parts.SMALL, device="cpu")
        assert parts.chosen(place, [Path("teacher-900")]) == Path("teacher-900")


def test_a_model_is_begun(parts: Any, tmp_path: Path):
    """Gold shards have the solution and its end to learn; the same seed makes the same weights; a step is taken."""
    models = importlib.import_module("models")
    size = parts.Size(width=32, layers=1)
    shards = models.gold(tmp_path / "gold", seed=1, count=40, steps=(3,))
    one, other = (models.untrained(tmp_path / name, size, 0) for name in "ab")
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert index(files(shards, "train")).usable == 40
    tokenizer = AutoTokenizer.from_pretrained(one)
    problem = next(parts.problems(1, (3,)))
    chat = [{"role": "user", "content": problem.question}, {"role": "assistant", "content": problem.solution(0)}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == (
        f"<|user|>{problem.question}<|assistant|>{problem.solution(0)}<|end|>"
    )
    found = Training(load(str(one)), shards, tmp_path / "to", Recipe(steps=2, lr=1e-3, accumulate=1), device="cpu").run()
    assert found["steps"] == 2


class TestIntervals:
    """Intervals over seeds and prompts."""

    def test_what_is_always_so(self, parts: Any):
        """Where all are right, or one is as good as the other, there is nothing to doubt."""
        found = parts.Bootstrap(3, 20).interval(np.ones((3, 20)))
        assert (found.mean, found.low, found.high) == pytest.approx((1, 1, 1))

    def test_prompts_alone(self, parts: Any):
        """With one seed it is the interval of a share: 1.96 standard errors to either side."""
        right = np.array([[1.0] * 300 + [0.0] * 200])
        found = parts.Bootstrap(1, 500).interval(right)
        assert found.mean == pytest.approx(0.6)
        error = 1.96 * (0.6 * 0.4 / 500) ** 0.5
        assert (found.low, found.high) == pytest.approx((0.6 - error, 0.6 + error), abs=0.005)

    def test_it_covers(self, parts: Any):
        """Of 100 experiments, 95 or so have the true mean in their interval or, since both are resampled, more; it is wide by less than half."""
        random = np.random.default_rng(1)
        bootstrap, hits, widths = parts.Bootstrap(5, 60), 0, []
        for _ in range(100):
            seeds, prompts = random.normal(0, 0.05, (5, 1)), random.normal(0, 0.2, (1, 60))
            found = bootstrap.interval((random.random((5, 60)) < np.clip(0.5 + seeds + prompts, 0, 1)).astype(float))
            hits += found.low <= 0.5 <= found.high
            widths.append(found.high - found.low)
        assert hits >= 90
        error = (0.05**2 / 5 + 0.2**2 / 60 + (0.25 - 0.05**2 - 0.2**2) / 300) ** 0.5
        assert 0.9 < np.mean(widths) / (2 * 1.96 * error) < 1.5
