"""What binds a teacher, and what an acknowledgement does."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import LicenseRefused, SpecError
from tasks.rights.bound import Bound, bind, check_acknowledged, covers, gate_terms, split
from tasks.rights.terms import Terms
from tests.tasks.agreements import acknowledgement, agreement

ACME, OPEN = (
    agreement("acme", as_of="2026-01-02", section="3.3", url="https://acme.org/terms"),
    agreement("open", training="allowed"),
)


def test_refused():
    """Terms that restrict training are refused, with the version, the clause, the address and what would lift it."""
    with pytest.raises(LicenseRefused) as caught:
        gate_terms([bind("t", [OPEN], []), bind("u", [OPEN, ACME], [])])
    said = str(caught.value)
    assert said.startswith(
        "teacher 'u' is under Acme Terms of 2026-01-02, 3.3, which restricts training other models: No rivals."
    )
    assert "https://acme.org/terms" in said
    assert "licenses: {acknowledge: [{terms: acme, who: …, why: …, agreement: …}]}" in said


@pytest.mark.parametrize("given", [{"terms": "acme"}, {"teacher": "t"}], ids=str)
def test_acknowledged(given: dict[str, str]):
    """Acknowledged by its teacher or its id, it passes, stays restricted, and says who answers for it."""
    bound = bind("t", [OPEN, ACME], [acknowledgement(**given)])
    gate_terms([bound])
    assert (bound.terms, bound.training) == ("open, acme", "restricted")
    assert bound.acknowledgement == "acme: for research (Ada, letter of 1 May)"


@pytest.mark.parametrize("given", [{"terms": "other"}, {"teacher": "u"}], ids=str)
def test_of_others(given: dict[str, str]):
    """An acknowledgement of something else lifts nothing."""
    bound = bind("t", [ACME], [acknowledgement(**given)])
    assert bound.acknowledgement is None
    with pytest.raises(LicenseRefused):
        gate_terms([bound])


def test_each_needs_its_own():
    """Where two restrict it, one acknowledged isn't enough; a teacher's is for both."""
    other = agreement("other")
    with pytest.raises(LicenseRefused, match="Other Terms"):
        gate_terms([bind("t", [ACME, other], [acknowledgement(terms="acme")])])
    both = bind("t", [ACME, other], [acknowledgement(teacher="t")])
    gate_terms([both])
    assert both.acknowledgement == "acme: for research (Ada, letter of 1 May); other: for research (Ada, letter of 1 May)"
    assert covers(both.acknowledgement, "acme")
    assert covers(both.acknowledgement, "other")
    assert not covers(both.acknowledgement, "me")


def test_nothing_to_acknowledge():
    """An acknowledgement of what is allowed anyway stands nowhere."""
    assert bind("t", [OPEN], [acknowledgement(teacher="t")]) == Bound(teacher="t", agreements=(OPEN,))
    assert (Bound(teacher="t").terms, Bound(teacher="t").training, Bound(teacher="t").acknowledgement) == (None, "allowed", None)


@pytest.mark.parametrize(
    ("trainings", "whole"),
    [(["allowed"], "allowed"), (["unknown", "allowed"], "unknown"), (["unknown", "restricted"], "restricted")],
    ids=str,
)
def test_the_strictest_counts(trainings: list[str], whole: str):
    """Of several agreements, the strictest says whether one may train."""
    assert bind("t", [agreement(f"a{n}", training=each) for n, each in enumerate(trainings)], []).training == whole


@pytest.mark.parametrize("given", [{}, {"terms": "a", "teacher": "t"}], ids=str)
def test_whose(given: dict[str, str]):
    """An acknowledgement names either a teacher or terms."""
    with pytest.raises(ValidationError, match="needs either `teacher` or `terms`"):
        acknowledgement(**given)


@pytest.mark.parametrize("left_out", ["who", "why", "agreement"])
def test_all_three(left_out: str):
    """Who, why and by which agreement must each be said."""
    with pytest.raises(ValidationError, match=left_out):
        acknowledgement(terms="acme", **{left_out: " "})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"terms": "acne"}, r"spec\.yaml: licenses\.acknowledge\[1\]\.terms: no terms are called 'acne'; did you mean 'acme'\?"),
        (
            {"teacher": "smal"},
            r"spec\.yaml: licenses\.acknowledge\[1\]\.teacher: no teacher is named 'smal'; did you mean 'smol'\?",
        ),
    ],
    ids=["terms", "teacher"],
)
def test_mistyped(given: dict[str, Any], said: str):
    """A name that isn't there is an error: what it was to lift would be refused without a hint."""
    listed = [acknowledgement(teacher="smol"), acknowledgement(**given)]
    with pytest.raises(SpecError, match=said):
        check_acknowledged(listed, Terms(agreements=(ACME,)), ["smol"], where="spec.yaml")


def test_split():
    """A trace's column has the ids of all that binds it."""
    assert split(None) == []
    assert split("open, acme") == ["open", "acme"]
