"""Tokenizers, made once for all tests of tokens."""

from __future__ import annotations

import pytest

from tests.tasks.exporters import students
from tests.tasks.exporters.tokenizing import TEMPLATES


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make the tokenizers, one for each template, and SmolLM2's."""
    root = tmp_path_factory.mktemp("students")
    made = {name: students.small(root / name, template) for name, template in TEMPLATES.items()}
    return made | {"smollm": students.smollm(root / "smollm"), "greedy": students.greedy(root / "greedy")}
