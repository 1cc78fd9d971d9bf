"""Journal lines and segments, as a killed run would leave them."""

from __future__ import annotations

from pathlib import Path

from storage.lines import pack
from tests.fakes import make_sample


def line(sample_id: str) -> bytes:
    """Return a sample as the journal writes it."""
    return pack(make_sample(sample_id))


def segment(folder: Path, *lines: bytes, name: str = "r-000000") -> Path:
    """Leave a segment with these lines."""
    path = folder / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    return path
