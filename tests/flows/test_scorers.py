"""Who scores, and under which address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.scorers import check, chosen, fingerprints, gaps, print_of, shown
from flows.spec import Spec
from storage.errors import SpecError
from tests.fakes import make_options
from tests.tasks.distillation.test_capacity_gap import weights

PATH = Path("spec.yaml")
TEACHERS: list[dict[str, Any]] = [
    {"name": "big", "provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "license": "MIT", "parameters": 70},
    {"name": "claude", "provider": "anthropic", "model": "c", "license": "MIT", "draw": False},
]


def spec(**given: Any) -> Spec:
    """Return a spec with a teacher that can score and one that can't."""
    return Spec.model_validate(
        {"dataset": "d", "prompts": [{"source": "p.jsonl", "license": "MIT"}], "teachers": TEACHERS} | given
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make what looks like a model's folder of a thousand parameters."""
    folder = tmp_path / "my student!"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    weights(folder / "model.safetensors", (10, 100))
    return folder


def test_a_teacher(folder: Path):
    """A teacher goes by its name; a folder gets a name that a teacher may have, and asks nobody."""
    assert chosen(spec(), PATH, "claude").number == 1
    found = chosen(spec(), PATH, str(folder))
    assert (found.number, found.options.name, found.options.provider, found.options.draw) == (
        None,
        "my-student",
        "transformers",
        False,
    )


def test_nobody():
    """Neither a teacher nor a folder is an error with the nearest name."""
    with pytest.raises(SpecError, match=r"spec.yaml: no teacher is named 'bigg'.*did you mean 'big'"):
        chosen(spec(), PATH, "bigg")


def test_who_cannot_score():
    """A provider without log-probabilities is refused at the place that names it."""
    with pytest.raises(SpecError, match=r"select.student_loss.student: teacher 'claude' can't score.*anthropic"):
        check(spec(), PATH, "claude", where="select.student_loss.student")
    check(spec(), PATH, "big", where="select.student_loss.student")


async def test_addresses(folder: Path):
    """Provider, model, what else identifies a teacher, and the number of alternatives decide; its name and address don't."""
    one, five, shown_one, shown_five = await fingerprints(spec(), PATH, "big", [1, 5], "omit")
    assert len({one, five, shown_one, shown_five}) == 4
    assert five == print_of(make_options("other", provider="openai", model="m", base_url="http://elsewhere/v1"), {}, 5)
    assert five != print_of(make_options(provider="openai", model="n"), {}, 5)
    (before, _) = await fingerprints(spec(), PATH, str(folder), [5], "omit")
    weights(folder / "model.safetensors", (10, 101))
    (after, _) = await fingerprints(spec(), PATH, str(folder), [5], "omit")
    assert before != after
    bare, other = await fingerprints(spec(), PATH, "big", [5], "think")
    assert bare == five  # without reasoning, there is nothing to show so
    assert other != shown_five


def test_how_reasoning_is_shown(folder: Path):
    """A scorer is shown reasoning as the exports of its scores have it, and the selection; where they differ, nobody guesses."""
    soft = {"format": "soft", "to": "out", "tokenizer": str(folder), "scores": "big"}
    student = {"student": str(folder), "max": 2.0}
    assert shown(spec(), PATH, "big") is None
    assert shown(spec(exports=[soft]), PATH, "big") == "omit"
    thinking = spec(exports=[soft | {"reasoning": "think"}], select={"student_loss": student | {"reasoning": "turn"}})
    assert (shown(thinking, PATH, "big"), shown(thinking, PATH, str(folder))) == ("think", "turn")
    with pytest.raises(
        SpecError, match=r"'big' is to score reasoning in several forms \(exports\[0\]: omit, exports\[1\]: turn\)"
    ):
        shown(spec(exports=[soft, soft | {"to": "out2", "reasoning": "turn"}]), PATH, "big")


def test_gaps(folder: Path):
    """A teacher is compared with the students that exports and the selection name."""
    assert gaps(spec()) == []
    (said,) = gaps(spec(select={"student_loss": {"student": str(folder), "max": 2.0}}))
    assert "teacher 'big' has 70 billion parameters" in said
    assert gaps(spec(exports=[{"format": "tokenized", "to": "out", "tokenizer": str(folder)}])) == [said]
