"""Environment variables: what a number in one must be, and names, which are shown unless what stands there looks like a key."""

from __future__ import annotations

import math
import os
import re

from storage.errors import StorageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX = re.compile(r"(sk|rk|pk|gsk|csk|xai|hf|fw|r8|tgp|pplx|nvapi|ghp|AIza)(?=[-_A-Z0-9]).{10,}", re.DOTALL)
"""How providers' keys begin; a variable's name is mostly in capitals."""
_LONG = 16
"""Letters and digits in a row that no name has, where digits are among them."""


LONG_S = 1e9
"""Thirty years: what is longer is no length of time that anybody means."""


def seconds_in(name: str, default: float) -> float:
    """Return how many seconds a variable gives. Raise StorageError where that is no length of time."""
    said = os.environ.get(name)
    if not said:
        return default
    try:
        found = float(said)
    except ValueError:
        found = math.nan
    if not 0 < found < LONG_S:
        raise StorageError(f"{name}: must be a number of seconds above 0, as in 30, and this is {said!r}")
    return found


def looks_like_a_key(name: str) -> bool:
    """Return whether what should be a variable's name may be a key that somebody pasted there."""
    if not _NAME.fullmatch(name) or _PREFIX.match(name):
        return True
    return any(len(piece) >= _LONG and re.search(r"\d", piece) for piece in name.split("_"))


def shown(name: str) -> str:
    """Return a variable's name as a message may have it."""
    if looks_like_a_key(name):
        return "that is named here (what stands there looks like a key itself: write the name of the variable that holds it)"
    return name
