"""What an evaluation's intervals may be asked to be: the command line's help says it too, so nothing else is imported here."""

from __future__ import annotations

RESAMPLES = 5_000
"""Of the bootstrap, where nobody says how many."""
FEWEST = 100
"""Resamples, below which the ends of an interval are noise."""
MOST = 1_000_000
"""Resamples, which take minutes."""
CONFIDENCE = 0.95
"""Of an interval, where nobody says which; above 0 and below 1."""
