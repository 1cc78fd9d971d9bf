"""Words of texts as an index has them: four bytes of each word's hash, so that texts are compared and needn't be read.

Two words are taken for the same where 32 bits of their hashes are: of two that stand in the same place of two texts, by chance in
one of four billion cases.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.duplicates.minhash import Hashes, Offsets

_BYTES = 4
_HALF = np.uint64(32)


def packed(words: Hashes, counts: Offsets) -> pa.Array:
    """Return the words of texts, of which each has so many, as a column of an index."""
    bounds = np.concatenate([[0], np.cumsum(counts)]) * _BYTES
    content = (words >> _HALF).astype("<u4")
    return pa.Array.from_buffers(pa.large_binary(), len(counts), [None, pa.py_buffer(bounds), pa.py_buffer(content)])


def unpacked(column: pa.Array) -> tuple[Hashes, Offsets]:
    """Return what numbers the words in a column have, and how many each text has."""
    _, bounds, content = column.buffers()
    ends = np.frombuffer(bounds, np.int64)[column.offset : column.offset + len(column) + 1]
    words = np.frombuffer(content or b"", "<u4", count=(ends[-1] - ends[0]) // _BYTES, offset=ends[0])
    return words.astype(np.uint64), np.diff(ends) // _BYTES
