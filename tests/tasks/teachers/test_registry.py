"""The teachers by provider."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.teachers.registry import KEYS, TEACHERS


@pytest.mark.parametrize("provider", TEACHERS.built_in)
def test_built_in(provider: str):
    """Every built-in provider has a maker."""
    assert callable(TEACHERS.find(provider))


def test_nothing_is_imported_before_it_is_named():
    """Asking for one provider imports no other's libraries."""
    script = (
        "import sys; from tasks.teachers.registry import TEACHERS; TEACHERS.names(); TEACHERS.find('replay'); "
        "print({'anthropic', 'openai'} & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_keys_belong_to_providers():
    """A variable is known for providers that there are."""
    assert set(KEYS) <= set(TEACHERS.built_in)
