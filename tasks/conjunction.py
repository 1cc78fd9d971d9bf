"""The licence of what was made of several things, each with its own: all of them hold."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from license_expression import combine_expressions


def conjunction(licenses: Iterable[str]) -> str:
    """Return an SPDX expression that asks what each of these asks, each part once and in the order of their names."""
    return _joined(tuple(sorted(set(licenses))))


@functools.lru_cache(maxsize=4096)
def _joined(licenses: tuple[str, ...]) -> str:
    return licenses[0] if len(licenses) == 1 else str(combine_expressions(licenses, unique=True).simplify())
