"""SplitMix64's finaliser (Steele et al. 2014): pseudo-random numbers that no version of a library changes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return numbers in whose bits all bits of the given ones have a part; different ones stay different."""
    found = values ^ (values >> np.uint64(30))
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    found ^= found >> np.uint64(31)
    return found
