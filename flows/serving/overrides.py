"""What one run may change of its spec: a form in Prefect's UI that is made of the spec's own models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from flows.loading import problem
from flows.serving.forms import each_left_out
from flows.spec import BudgetOptions, Spec
from storage.errors import SpecError
from tasks.options import Options
from tasks.problems import dotted
from tasks.select import SelectOptions
from tasks.teachers.sampling import SamplingOptions

if TYPE_CHECKING:
    Sampling: TypeAlias = SamplingOptions
    Select: TypeAlias = SelectOptions
else:
    Sampling, Select = each_left_out(SamplingOptions), each_left_out(SelectOptions)


class Overrides(Options):
    """What is otherwise in one run. What is left out is as in the spec."""

    budget: BudgetOptions | None = None
    """Where to stop."""
    sampling: Sampling | None = None
    """How teachers are asked."""
    select: Select | None = None
    """What is kept."""


def overridden(spec: Spec, overrides: Overrides | None) -> Spec:
    """Return the spec with what is otherwise, checked as a spec is. Raise SpecError, which names the field of the form."""
    given = said(overrides)
    if not given:
        return spec
    content = spec.model_dump(exclude_unset=True)
    for part, fields in given.items():
        content[part] = {**(content.get(part) or {}), **fields}
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        location, message = problem(error, Spec)
        raise SpecError(f"overrides: {dotted(location)}: {message}" if location else f"overrides: {message}") from error


def said(overrides: Overrides | None) -> dict[str, dict[str, Any]]:
    """Return what is otherwise, by the part of the spec and the field."""
    return overrides.model_dump(exclude_none=True) if overrides is not None else {}
