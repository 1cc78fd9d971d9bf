"""The command that trains a student, as far as it goes without torch: what is wrong is one line, and nothing is written."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from flows import distilling
from storage.errors import SetupError, SourceError, SpecError
from tasks.distillation.recipe import Recipe
from tests.tasks.distillation.tokens import conversations, write

ROW = {"step": 3, "of": 9, "loss": 1.5, "hard": 2.0, "soft": 1.0, "tokens_per_s": 12_000.0}


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")
def test_without_torch(tmp_path: Path):
    """The extra that has it is named."""
    write(tmp_path / "train.jsonl", conversations(1))
    with pytest.raises(SetupError, match=r"stillhouse\[train\]"):
        distilling.check(tmp_path, "student", tmp_path / "to", Recipe())


def test_options_come_first(tmp_path: Path):
    """What can't be is said whatever is installed; so are shards that aren't there."""
    with pytest.raises(SpecError, match="--alpha"):
        distilling.check(tmp_path, "student", tmp_path / "to", Recipe(alpha=2))
    with pytest.raises(SourceError, match="has no shards"):
        distilling.check(tmp_path, "student", tmp_path / "to", Recipe())


def test_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch):
    """The first step is a line, then one now and then, the last, and each look at what is held out."""
    console = Console(record=True, width=200, force_terminal=False)
    monkeypatch.setattr(distilling.time, "monotonic", lambda: 1_000.0)
    with distilling.Display(console) as display:
        for row in (ROW, ROW | {"step": 4}, {"step": 4, "held_out": {"loss": 1.25, "hard": 1.25}}, ROW | {"step": 9}):
            display.tell(row)
    assert console.export_text().splitlines() == [
        "step 3/9  loss 1.5000 (hard 2.0000, soft 1.0000)  12,000 tokens/s",
        "step 4: held-out loss 1.2500",
        "step 9/9  loss 1.5000 (hard 2.0000, soft 1.0000)  12,000 tokens/s",
    ]


def test_on_a_terminal():
    """A bar shows the same, and goes."""
    console = Console(width=200, force_terminal=True, record=True)
    with distilling.Display(console) as display:
        display.tell(ROW)
        display.tell({"step": 3, "held_out": {"loss": 1.25, "hard": 1.25}})
    assert "step 3: held-out loss 1.2500" in console.export_text()
