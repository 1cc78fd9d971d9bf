"""Capacity gap: a student that is far smaller than its teacher may learn less of it than of a teacher in between.

Mirzadeh et al. 2020 (https://arxiv.org/abs/1902.03393) found so, and Busbridge et al. 2025 (https://arxiv.org/abs/2502.08606)
give laws of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FACTOR = 10.0
"""Between teacher and student, beyond which a line says so."""
BILLION = 1e9
_HEAD = 8
"""Bytes of a safetensors file that say how long its header is."""
_LONGEST = 100_000_000
"""Bytes of a header: the format's own bound."""


def parameters(folder: Path) -> int | None:
    """Return how many parameters a model's folder has, by the headers of its safetensors. None where there are none to read.

    Weights that are tied are saved once, and so count once. Quantised weights that are packed count as they are packed.
    """
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    try:
        return sum(map(_elements, files)) if files else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # whoever loads it says what is wrong
        return None


def _elements(path: Path) -> int:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(_HEAD), "little")
        if size > _LONGEST:
            raise ValueError("no safetensors")
        header = json.loads(file.read(size))
    return sum(math.prod(each["shape"]) for name, each in header.items() if name != "__metadata__")


def told(teachers: Mapping[str, float | None], student: Path) -> list[str]:
    """Return a line for each teacher from which a student differs by more than ten times. `teachers`: their billions, by name."""
    own = parameters(student)
    if not own:
        return []
    lines = []
    for name, billions in teachers.items():
        factor = 0.0 if billions is None else billions * BILLION / own
        if billions is not None and not 1 / FACTOR <= factor <= FACTOR:
            than = f"{factor:,.0f} times as large as" if factor > 1 else f"{1 / factor:,.0f} times smaller than"
            lines.append(
                f"teacher {name!r} has {billions:g} billion parameters, {than} the student {student} ({own / BILLION:.3g} "
                "billion): beyond ten times, a teacher in between often teaches more; compare one, or take a larger student"
            )
    return lines


def of_spec(spec: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Return the billions of parameters of the teachers that draw, by name, of a spec as a manifest has it."""
    teachers = (spec or {}).get("teachers", ())
    return {each["name"]: each.get("parameters") for each in teachers if each.get("draw", True)}
