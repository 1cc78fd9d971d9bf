"""What one run may change of its spec, and the form that Prefect's UI makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.loading import load_spec
from flows.serving.forms import each_left_out
from flows.serving.overrides import Overrides, overridden, said
from flows.spec import Spec
from storage.errors import SpecError
from tasks.export import ExportOptions
from tasks.meanings import meanings

EXAMPLES = sorted(path for path in Path("examples").rglob("*.yaml") if "dataset:" in path.read_text())


def spec() -> Spec:
    """Return a spec that says something of what a form can change."""
    return load_spec(Path("examples/first.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_nothing_is_otherwise(path: Path) -> None:
    """A form that was left as it is, or says what the spec says, gives the same spec."""
    loaded = load_spec(path)
    same = Overrides.model_validate({"sampling": {"k": loaded.sampling.k}})
    assert overridden(loaded, None) is loaded
    assert overridden(loaded, Overrides.model_validate({"sampling": {"k": None}, "select": {}})).hash == loaded.hash
    assert overridden(loaded, same).hash == loaded.hash


def test_one_field_is_otherwise() -> None:
    """A field changes, and what the spec says beside it stays."""
    changed = overridden(spec(), Overrides.model_validate({"sampling": {"k": 9}, "budget": {"usd": 2}}))
    assert (changed.sampling.k, changed.sampling.temperature) == (9, spec().sampling.temperature)
    assert changed.sampling.temperature is not None
    assert changed.budget is not None
    assert changed.budget.usd == 2
    assert changed.hash != spec().hash


def test_what_is_said() -> None:
    """What is left out isn't said."""
    given = Overrides.model_validate({"sampling": {"k": 2, "stop": None}, "budget": None})
    assert said(given) == {"sampling": {"k": 2}}
    assert said(None) == {}


@pytest.mark.parametrize(
    "given", [{"sampling": {"k": 0}}, {"sampling": {"kk": 1}}, {"teachers": []}, {"budget": {"usd": 0}}], ids=str
)
def test_what_no_spec_may_say(given: dict[str, object]) -> None:
    """The form has the spec's own bounds, and refuses what it doesn't know."""
    with pytest.raises(ValidationError):
        Overrides.model_validate(given)


def test_what_does_not_go_together() -> None:
    """What a field may be, and the spec as a whole may not, is one line that names the form's field."""
    with pytest.raises(SpecError, match=r"^overrides: sampling: adaptive\.accept is 3, more than k = 1$"):
        overridden(spec(), Overrides.model_validate({"sampling": {"k": 1, "adaptive": {"accept": 3}}}))


def test_each_left_out() -> None:
    """A form's fields are the model's, with its descriptions; none but those named must be said, and extras stay allowed."""
    form = each_left_out(ExportOptions, but=["to"])
    assert list(form.model_fields) == list(ExportOptions.model_fields)
    assert [name for name, field in form.model_fields.items() if field.is_required()] == ["to"]
    described = meanings(ExportOptions)
    assert {name: field.description for name, field in form.model_fields.items()} == {
        name: described[name] for name in form.model_fields
    }
    assert form.model_validate({"to": "x", "own": 1}).model_dump(exclude_none=True) == {"to": "x", "own": 1}
