"""The licence of what was made of several things, each with its own: all of them hold."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from license_expression import Licensing


def conjunction(licenses: Iterable[str]) -> str:
    """Return an SPDX expression that asks what each of these asks, each part once and in the order of their names."""
    return _joined(tuple(sorted(set(licenses))))


@functools.lru_cache(maxsize=4096)
def _joined(licenses: tuple[str, ...]) -> str:
    if len(licenses) == 1:
        return licenses[0]
    whole: Any = Licensing().parse(" AND ".join(f"({each})" for each in licenses))
    return str(whole.simplify())
