"""Numbers in order, each of them once."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.duplicates.distinct import distinct


@pytest.mark.parametrize("given", [[], [5], [3, 1, 3, 2, 1, 3]])
def test_distinct(given: list[int]):
    """It is what a sorted set has."""
    assert distinct(np.array(given, np.int64)).tolist() == sorted(set(given))
