"""Short ways to make sources and to read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.sources import Found, PromptSource, read_prompts


def read(source: Path | str, **given: Any) -> list[Found]:
    """Read a source as a whole."""
    return list(
        read_prompts(
            PromptSource(source=str(source), **given), license=given.get("license", "CC0-1.0"), seed=given.pop("seed", 0)
        )
    )


def texts(source: Path | str, **given: Any) -> list[str]:
    """Return the prompts' texts."""
    return [found.prompt.prompt for found in read(source, **given)]


def jsonl(folder: Path, *rows: Any, name: str = "p.jsonl") -> Path:
    """Write rows, or lines where they are bytes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return path


def text(folder: Path, content: str | bytes, name: str) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
