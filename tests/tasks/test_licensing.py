"""What follows from a manifest's `licensing`, and whose terms bind a landed build's teachers today; whole builds are in tests/flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.license import LicenseOptions
from tasks.licensing import bound_now, duties, notice_lines, regate, terms_now
from tasks.terms import load
from tests.tasks.agreements import agreement

TEACHER: dict[str, Any] = {
    "name": "t",
    "provider": "acme",
    "model": "m",
    "license": "LicenseRef-acme",
    "terms": "acme",
    "terms_name": "Acme Terms",
    "terms_url": "https://acme.org",
    "duties": ["Say so."],
    "notices": ["Built with Acme"],
    "acknowledgement": None,
}
LICENSING: dict[str, Any] = {
    "sources": [{"source": "a.jsonl", "license": "CC-BY-4.0", "attribution": "Ada"}],
    "teachers": [TEACHER, TEACHER | {"name": "u"}],
    "text": [{"what": "template", "license": "MIT"}],
    "license": "CC-BY-4.0 AND MIT",
}


def test_notice():
    """NOTICE names whom to credit, each part's licence and terms, who answers for what, and each duty once."""
    assert duties(LICENSING) == ["Say so. (Acme Terms)"]
    assert notice_lines(LICENSING) == [
        "Prompts of Ada, licensed CC-BY-4.0.",
        "Text of the template, licensed MIT.",
        *["Responses of m (acme), licensed LicenseRef-acme, under Acme Terms (https://acme.org)."] * 2,
        "Built with Acme",
        "Say so. (Acme Terms)",
    ]
    answered = TEACHER | {"acknowledgement": {"who": "Ada", "why": "It stays here.", "agreement": "a letter", "terms": ["acme"]}}
    said = notice_lines(LICENSING | {"teachers": [answered]})
    assert any("Ada answers for it: It stays here. It rests on: a letter." in line for line in said)


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
