"""What follows from a manifest's `licensing`, and whose terms bind a landed build's teachers today; whole builds are in tests/flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.license import LicenseOptions
from tasks.rights.bound import Inherited
from tasks.rights.licensing import bound_now, inherit, merged, regate, terms_now
from tasks.rights.terms import load
from tests.tasks.agreements import agreement


def test_inherit():
    """Prompts of another dataset bring along what its own prompts did, whoever answered them there."""
    bound = {"terms": "openai", "train_use": "restricted", "acknowledgement": "openai: w (A, B)"}
    sources = [{"source": "p.jsonl", "license": "MIT", "attribution": "Bea"}, {"source": "lake:x#y", "license": "MIT"} | bound]
    found = inherit("lake:l#d", {"sources": sources, "teachers": [{"name": "t"}]}, None)
    assert (found.terms, found.training, found.acknowledgement) == ("openai", "restricted", "openai: w (A, B)")
    assert found.origin == {"sources": sources}
    assert inherit("lake:l#d", {}, None) == Inherited(source="lake:l#d", terms=None, acknowledgement=None, training="allowed")


def test_merged():
    """A source that stands twice is bound once, by what the strictest says."""
    one = Inherited(source="s", terms="a, b", acknowledgement=None, training="allowed", origin={"sources": [{"source": "p"}]})
    other = Inherited(source="s", terms="b, c", acknowledgement="c: w (A, B)", training="restricted", origin=one.origin)
    apart = Inherited(source="t", terms=None, acknowledgement=None, training="allowed")
    both = Inherited(source="s", terms="a, b, c", acknowledgement="c: w (A, B)", training="restricted", origin=one.origin)
    assert merged([one, apart, other]) == [both, apart]


@pytest.mark.parametrize(
    ("teacher", "found"),
    [
        ({"provider": "openai"}, ["openai"]),
        ({"provider": "anthropic-batch"}, ["anthropic"]),
        ({"provider": "openai", "base_url": "http://127.0.0.1/v1"}, []),
        ({"provider": "openai", "terms": "mine"}, ["mine"]),
        ({"provider": "local", "model": "llama3:8b"}, ["llama-3"]),
    ],
    ids=str,
)
def test_bound_now(teacher: dict[str, Any], found: list[str]):
    """A landed build's teachers are bound as its spec says, or as a spec of today would find."""
    build = {"spec": {"teachers": [{"name": "t", "model": "m"} | teacher]}}
    assert bound_now(build, load()) == {"t": found}
    assert bound_now({}, load()) == {}


def test_terms_that_are_gone():
    """Where the file of one's own terms is gone, what the build noted of them stands in for it."""
    noted = agreement("openai", name="Ours", training="allowed").model_dump(mode="json", exclude={"hosts", "models"})
    build = {"licensing": {"teachers": [{"agreements": [noted]}]}}
    assert terms_now(build, LicenseOptions(terms="gone.yaml")).find("openai", what="x").name == "Ours"
    assert terms_now(build, LicenseOptions()).find("openai", what="x").name != "Ours"


def test_no_traces(tmp_path: Path):
    """A build that kept nothing has nothing to refuse."""
    regate(tmp_path, LicenseOptions(allow=["MIT"]), load(), {"t": ["openai"]})
