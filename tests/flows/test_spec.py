"""The spec's models: what is written in DESIGN's form is read as meant, and every checked-in example is read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flows.loading import load_spec
from flows.spec import Spec
from storage.errors import SpecError
from tasks.meanings import meanings
from tasks.options import Options

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "dataset": "d",
    "prompts": [{"source": "p.jsonl"}],
    "teachers": [{"name": "t", "provider": "openai", "model": "m"}],
}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_specs(path: Path) -> None:
    """Every example in the repository is a spec."""
    assert load_spec(path).prompts


def test_defaults() -> None:
    """What a small spec leaves out has the documented defaults."""
    spec = Spec.model_validate(SMALL)
    (teacher,) = spec.teachers
    assert (teacher.timeout_s, teacher.limits.concurrency, teacher.price, teacher.samples_per_request) == (600, 0, None, 1)
    assert (spec.sampling.k, spec.sampling.parameters(), spec.template.user, spec.template.system) == (
        1,
        {},
        "{{ prompt }}",
        None,
    )
    assert (spec.select.require, spec.select.per_prompt, spec.dedup.exact, spec.budget, spec.exports) == (
        "all",
        None,
        True,
        None,
        (),
    )


def test_the_hash_is_of_the_content() -> None:
    """The order of keys and what is a default anyway don't change a spec's hash; its content does."""
    same = Spec.model_validate(dict(reversed(SMALL.items())) | {"seed": 0})
    other = Spec.model_validate(SMALL | {"seed": 1})
    assert Spec.model_validate(SMALL).hash == same.hash != other.hash


def test_every_field_is_explained() -> None:
    """Every field of every model has a docstring, from which the reference is made."""

    def models(kind: type[Options]) -> list[type[Options]]:
        return [kind, *(each for sub in kind.__subclasses__() for each in models(sub))]

    bare = [
        f"{model.__name__}.{name}" for model in models(Options) for name in model.model_fields if not meanings(model).get(name)
    ]
    assert bare == []


@pytest.mark.parametrize("thinking", [{"budget_tokens": 2048}, {"effort": "low"}], ids=str)
def test_thinking_is_a_parameter(thinking: dict[str, Any]) -> None:
    """What is said of thinking goes to the teacher as it stands, and so into the sample's identity."""
    spec = Spec.model_validate(SMALL | {"sampling": {"thinking": thinking}})
    assert spec.sampling.parameters() == {"thinking": thinking}


def test_logprobs_are_parameters() -> None:
    """Alternatives that are asked for belong to a sample's identity; where none are, it is what it always was."""
    spec = Spec.model_validate(SMALL | {"sampling": {"logprobs": 5}})
    assert spec.sampling.parameters() == {"logprobs": True, "top_logprobs": 5}
    assert Spec.model_validate(SMALL | {"sampling": {"logprobs": 0}}).sampling.parameters() == {}


def test_two_apis_are_two_teachers() -> None:
    """One model by two APIs is two teachers: their samples aren't the same."""
    (one,) = SMALL["teachers"]
    spec = Spec.model_validate(SMALL | {"teachers": [one, one | {"name": "u", "api": "responses"}]})
    assert len(spec.drawing) == 2


def test_adaptive_can_not_accept_more_than_k() -> None:
    """`adaptive.accept` is at most k."""
    text = yaml.safe_dump(SMALL | {"sampling": {"k": 2, "adaptive": {"accept": 3}}})
    with pytest.raises(ValueError, match="more than k = 2"):
        Spec.model_validate(yaml.safe_load(text))


def test_a_cascade_names_the_drawing_teachers() -> None:
    """A cascade gives the numbers of the drawing teachers in its own order, whatever judges stand between them."""
    teachers = [
        {"name": name, "provider": "openai", "model": name, "draw": name != "judge"} for name in ("strong", "judge", "cheap")
    ]
    spec = Spec.model_validate(SMALL | {"teachers": teachers, "sampling": {"cascade": ["cheap", "strong"]}})
    assert spec.cascades == ((1, 0),)
    assert Spec.model_validate(SMALL).cascades == ()


def test_a_cascade_for_each_strategy() -> None:
    """With strategies, each has its own cascade, through the arms that are of it."""
    teachers = [{**SMALL["teachers"][0], "name": name, "model": name} for name in ("strong", "cheap")]
    strategies = ["direct", {"name": "step_by_step", "when": {"kind": "sums"}}, {"name": "write_code", "when": {"kind": "sums"}}]
    given = {"teachers": teachers, "sampling": {"cascade": ["cheap", "strong"]}, "template": {"strategies": strategies}}
    spec = Spec.model_validate(SMALL | given)
    assert [(arm.teacher.name, arm.strategy) for arm in spec.arms[:4]] == [
        ("strong", "direct"),
        ("strong", "step_by_step"),
        ("strong", "write_code"),
        ("cheap", "direct"),
    ]
    assert spec.cascades == ((3, 0), (4, 1), (5, 2))


def test_the_best_of_no_strategies() -> None:
    """Without strategies, none of them can be preferred."""
    with pytest.raises(ValidationError, match=r"best_strategy chooses among template\.strategies, and there are none"):
        Spec.model_validate(SMALL | {"select": {"prefer": "best_strategy"}})


@pytest.mark.parametrize(
    ("cascade", "said"),
    [
        (["cheap", "strnog"], r"sampling.cascade\[1\]: no teacher is named 'strnog'; did you mean 'strong'"),
        (["cheap", "cheap"], r"sampling.cascade\[1\]: 'cheap' stands in it twice"),
        (["cheap"], "teacher 'strong' isn't in it"),
        (["cheap", "strong", "judge"], r"sampling.cascade\[2\]: teacher 'judge' has `draw: false`"),
    ],
    ids=["unknown", "twice", "left out", "a judge"],
)
def test_a_bad_cascade(cascade: list[str], said: str) -> None:
    """A cascade has each drawing teacher once, and nobody else."""
    teachers = [
        {"name": name, "provider": "openai", "model": name, "draw": name != "judge"} for name in ("strong", "judge", "cheap")
    ]
    with pytest.raises(ValueError, match=said):
        Spec.model_validate(SMALL | {"teachers": teachers, "sampling": {"cascade": cascade}})


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("watch", {"min_pass_rate": 0}),
        ("watch", {"min_pass_rate": 1.1}),
        ("watch", {"after": 0}),
        ("approve", {"over_usd": -1}),
        ("approve", {"timeout_s": 0}),
        ("approve", {"over": 1}),
    ],
    ids=str,
)
def test_what_watching_may_be(part: str, wrong: dict[str, Any]) -> None:
    """Bounds that can't be are refused, and unknown keys."""
    with pytest.raises(ValidationError, match=part):
        Spec.model_validate(SMALL | {part: wrong})


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"seed": True}, "seed: must be a number, and this is true"),
        ({"select": {"per_prompt": True}}, "select.per_prompt: must be a number, and this is true"),
        ({"budget": {"usd": False}}, "budget.usd: must be a number, and this is false"),
        ({"dataset": 12}, "dataset: must be a text, and this is 12; put it in quotes"),
        ({"dataset": date(2024, 1, 1)}, "dataset: must be a text; put it in quotes"),
        (
            {"dataset": "my data"},
            "dataset: must be letters, digits, dots, dashes and underscores, with a letter or a digit first",
        ),
        ({"seed": "x"}, "seed: must be a whole number, and this is 'x'"),
        ({"seed": 1.5}, "seed: must be a whole number, and this is 1.5"),
        ({"dedup": {"exact": "often"}}, "dedup.exact: must be true or false, and this is 'often'"),
        ({"prompts": ["p.jsonl"]}, "prompts[0]: must be a mapping, and this is 'p.jsonl'"),
        ({"prompts": "p.jsonl"}, "prompts: must be a list, and this is 'p.jsonl'"),
        ({"exports": [{"to": "out", "shard_bytes": "lots"}]}, "exports[0].shard_bytes: must be a size, as in 500MB, and this is"),
        ({"exports": [{"to": "a" * 300}]}, "exports[0].to: has a name of more than 255 bytes in it"),
        ({"exports": [{"to": "out", "erase_system": ""}]}, "exports[0].erase_system: must have at least 1 character"),
        ({"decontaminate": [{"source": "p.jsonl", "near": 1.5}]}, "decontaminate[0].near: must be less than or equal to 1"),
        ({"select": {"cap": {"by": "a\nb", "at": 1}}}, "select.cap[0].by: must be source, teacher, strategy or tag:NAME"),
    ],
)
def test_what_is_of_another_kind(tmp_path: Path, part: dict[str, Any], said: str) -> None:
    """It is one line in plain words. What YAML reads as true is no number, though Python would take it for 1."""
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SMALL | part))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value).partition(": ")[2].startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("sampling:\n  cascade: [u]\n", ":9: sampling.cascade[0]: no teacher is named 'u'"),
        ("sampling:\n  k: 2\n  adaptive: {accept: 3}\n", ":10: sampling: adaptive.accept is 3, more than k = 2"),
        ("select:\n  require: [judge]\n", ":9: select.require: 'judge' isn't among the verifiers"),
    ],
    ids=["cascade", "adaptive", "require"],
)
def test_the_line_of_what_does_not_fit_together(tmp_path: Path, part: str, said: str) -> None:
    """A slip that only the whole shows has the line where it stands, or that of what it stands in."""
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SMALL) + part)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value).removeprefix(str(path)).startswith(said)


def test_a_spec_in_json(tmp_path: Path) -> None:
    """JSON is YAML, but for characters that it may escape in halves; a half alone is told by its line."""
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps(SMALL | {"template": {"system": "Be kind 😀."}}))
    assert load_spec(path).template.system == "Be kind 😀."
    path.write_text('dataset: d\ntemplate: {system: "\\ud83d"}\n')
    with pytest.raises(SpecError, match=r"spec\.yaml:2: not YAML: half of a surrogate pair is no character"):
        load_spec(path)
