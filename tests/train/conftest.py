"""Trainers need torch, which `make setup` doesn't install: without it there is nothing to collect here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("torch") and find_spec("trl") else ["test_*.py"]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Leave the machine's other cores to others: the models are tiny."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model at random with a tokenizer."""
    from transformers import AutoTokenizer

    from tests.tasks.exporters import students
    from tests.train.test_training import tiny

    folder = tmp_path_factory.mktemp("model")
    students.small(folder)
    size = len(AutoTokenizer.from_pretrained(folder))
    tiny(vocab_size=size, max_position_embeddings=256).save_pretrained(folder)
    return folder
