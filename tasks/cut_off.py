"""Cut off: traces whose response was broken off, from which a student learns to stop in the middle of a sentence."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.parquet import UNREADABLE, unreadable
from storage.records import CUT_OFF
from storage.wording import counted


def cut_off(traces: Path) -> str | None:
    """Return what is to be said of a snapshot's traces that were cut off, or None where none was."""
    cut = total = 0
    reasons = pc.SetLookupOptions(pa.array(sorted(CUT_OFF)))
    for path in sorted(traces.glob("*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                if "finish_reason" not in file.schema_arrow.names:
                    return None  # of a build before there was this column
                for batch in file.iter_batches(columns=["finish_reason"]):
                    cut += pc.call_function("is_in", [batch["finish_reason"]], reasons).true_count
                    total += len(batch)
        except UNREADABLE as error:
            raise unreadable(path, error) from error
    if not cut:
        return None
    was, teach = ("was", "teaches") if cut == 1 else ("were", "teach")
    return (
        f"{cut:,} of {counted(total, 'trace')} {was} cut off (finish_reason length), and {teach} a student to stop there; "
        "verify with `use: truncation`, or set the teacher's `retry: {length: reject}`"
    )
