"""pass@k: the chance that of k samples of a prompt at least one passes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def pass_at(k: int, n: int, passed: Counts) -> Floats:
    """Return the unbiased estimate from `passed` of `n` samples (Chen et al. 2021): 1 - C(n - c, k) / C(n, k).

    Raise ValueError where k is more than n: nothing unbiased can be said of it.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} can't be estimated from {n} samples")
    misses = np.zeros(n + 1)  # by c: the chance that k samples have none that passes
    misses[0] = 1.0
    for c in range(n - k):
        misses[c + 1] = misses[c] * (n - c - k) / (n - c)
    return 1.0 - misses[passed]
