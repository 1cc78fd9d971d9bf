"""The files of one growing source: what is staged, asked for, answered and kept, one of each a round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.schemas import GROWN, PROMPTS
from storage.workspace import Workspace

STAGED = pa.schema([*PROMPTS, ("ord", pa.int64()), ("place", pa.string()), ("given", pa.bool_())])
"""Prompts: the seeds, and what each round has kept. `place` and `given` as in `tasks.sources.Found`."""
_MADE = [PROMPTS.field(name) for name in ("parents", "license", "generation", "tags")]
"""What a prompt has that comes of a request."""
_MESSAGES = PROMPTS.field("messages").type
REQUESTS = pa.schema(
    [
        ("ord", pa.int64()),
        ("key", pa.string()),
        ("sample_index", pa.int32()),
        ("sample_id", pa.string()),
        ("tokens", pa.int32()),
        ("messages", _MESSAGES),
        ("operation", pa.string()),
        ("before", _MESSAGES),
        *_MADE,
    ]
)
"""`tokens` as `tasks.tokens` reckons; `before` is what stands before the user's text in what is made."""
CANDIDATES = pa.schema([*GROWN, *_MADE[1:], ("before", _MESSAGES), ("fresh", pa.int64())])
"""What answers give. `fresh` numbers the texts of which nothing is wrong by themselves."""
FAILED = pa.schema([("sample_id", pa.string()), ("error", pa.string())])
"""Requests that got no answer."""
ROWS = 1_000
"""That become Python values at a time."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where they are. Round 0 is the source itself."""

    folder: Path

    def prompts(self, number: int) -> Path:
        """Return the file of `STAGED` that a round has kept."""
        return self._path("prompts", number)

    def requests(self, number: int) -> Path:
        """Return the file of `REQUESTS` of a round."""
        return self._path("requests", number)

    def candidates(self, number: int) -> Path:
        """Return the file of `CANDIDATES` of a round."""
        return self._path("candidates", number)

    def grown(self, number: int) -> Path:
        """Return the file of `storage.schemas.GROWN` of a round."""
        return self._path("grown", number)

    def failed(self, number: int) -> Path:
        """Return the file of `FAILED` of a round."""
        return self._path("failed", number)

    def _path(self, what: str, number: int) -> Path:
        return self.folder / f"{what}-{number:02d}.parquet"


def start(workspace: Workspace) -> None:
    """Make `grown_samples`, unless it is there: the answers of which a build's prompts are made. `stored`: before it asked."""
    workspace.execute(
        "CREATE TABLE IF NOT EXISTS grown_samples "
        "(sample_id VARCHAR, growing INTEGER, round INTEGER, tokens INTEGER, stored BOOLEAN)"
    )


def batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Yield a file's rows in their order, some at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=columns):
            yield batch.to_pylist()
