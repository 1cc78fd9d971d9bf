"""`stillhouse distill` with a training that needs no torch: it only waits, and writes what it would have learnt.

Arguments are the command's. It ends its steps where a file `enough` is, in the folder that it is started in.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import cli, distilling
from storage.errors import Interrupted

FACTS = {
    "conversations": 1,
    "trained_tokens": 1,
    "device": "cpu",
    "held_out": None,
    "soft": False,
    "without_labels": 0,
    "parameters": 1,
}


class Training:
    """Stands for `tasks.distillation.training.Training`."""

    facts = FACTS
    steps = 10_000

    def __init__(self, student: str, shards: Path, to: Path, recipe: object, *, device: str) -> None:
        self._to = to

    def run(self, tell: Callable[[dict[str, Any]], None], stopped: Callable[[], bool]) -> dict[str, Any]:
        """Take steps until there are enough, or this is told to stop."""
        for step in range(1, self.steps):
            tell({"step": step, "of": self.steps, "loss": 1.0, "hard": 1.0, "tokens_per_s": 1.0})
            (self._to / "step").write_text(str(step))
            time.sleep(0.05)
            if stopped():
                (self._to / "checkpoint").write_text(str(step))
                raise Interrupted(f"interrupted after step {step:,}; a rerun goes on from there")
            if Path("enough").exists():
                break
        found = {"to": str(self._to), "steps": step, "of": step, "ended_early": False, "elapsed_s": 1.0, **FACTS}
        (self._to / "distill.json").write_text(json.dumps(found))
        return found


def stand_in(name: str, **contents: object) -> None:
    """Put a module in the place of one that imports torch."""
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module


if __name__ == "__main__":
    stand_in("tasks.distillation.student", load=lambda name: name)
    stand_in("tasks.distillation.training", Training=Training)
    distilling.check = lambda *_: None
    cli.main()
