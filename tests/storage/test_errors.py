"""The error tree: what the user sees and with which code the command ends."""

from __future__ import annotations

import inspect

import pytest

from storage import errors

TREE = {
    "SpecError": ("UserError", 2),
    "SourceError": ("UserError", 2),
    "SetupError": ("UserError", 2),
    "StorageError": ("UserError", 2),
    "LakeDamaged": ("StorageError", 2),
    "LeaseLost": ("StorageError", 2),
    "LicenseRefused": ("UserError", 3),
    "GuardRefused": ("UserError", 3),
    "BudgetSpent": ("UserError", 4),
    "CostRefused": ("UserError", 4),
    "TeacherDown": ("UserError", 5),
    "QuotaSpent": ("TeacherDown", 5),
    "Interrupted": ("UserError", 130),
    "RateLimited": ("TeacherError", None),
    "Unavailable": ("TeacherError", None),
    "Unreachable": ("Unavailable", None),
    "TimedOut": ("Unavailable", None),
    "Overloaded": ("Unavailable", None),
    "BadResponse": ("TeacherError", None),
    "EmptyResponse": ("BadResponse", None),
    "Unwanted": ("TeacherError", None),
    "RequestRejected": ("TeacherError", None),
    "Withheld": ("TeacherError", None),
    "UserError": ("StillhouseError", 2),
    "TeacherError": ("StillhouseError", None),
    "VerifierError": ("StillhouseError", None),
}


def test_tree_is_whole():
    """Every error class is in the table above, so a new one gets its place and its code here."""
    found = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.StillhouseError)}
    assert found == {*TREE, "StillhouseError"}


@pytest.mark.parametrize(("name", "parent", "code"), [(name, *row) for name, row in TREE.items()], ids=TREE)
def test_place_and_exit_code(name: str, parent: str, code: int | None):
    """A class stands under its parent, and only what the user can mend has an exit code."""
    kind = getattr(errors, name)
    assert kind.__bases__ == (getattr(errors, parent),)
    assert getattr(kind, "exit_code", None) == code


@pytest.mark.parametrize("name", ["RateLimited", "Unavailable", "BadResponse", "RequestRejected", "Withheld"])
def test_what_is_retried(name: str):
    """What passes by itself is retried; a request that is at fault, or was withheld, isn't."""
    assert getattr(errors, name).retryable is (name in {"RateLimited", "Unavailable", "BadResponse"})


def test_docstring_draws_every_class():
    """The tree in the module's docstring names every class."""
    missing = [name for name in TREE if name not in (errors.__doc__ or "")]
    assert not missing
