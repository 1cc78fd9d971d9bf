"""What JSON holds as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WORD = 1 << 63
"""Integers of more are written in another way."""
SCALARS = frozenset({type(None), bool, int, float, str})


def are_scalars(values: Sequence[Any]) -> bool:
    """Whether all values are such, which is seen of many sooner than each is packed."""
    kinds = set(map(type, values))
    if not kinds <= SCALARS:
        return False
    if int not in kinds:
        return True
    numbers = values if len(kinds) == 1 else [value for value in values if type(value) is int]
    return min(numbers) >= -WORD and max(numbers) < WORD
