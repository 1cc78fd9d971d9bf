"""An exporter: a conversation as one text, as a play has it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa

from tasks.exporters.protocol import exporter


@exporter(one_to_one=True)
class Transcript:
    """A row for each trace."""

    schema: ClassVar[pa.Schema] = pa.schema({"text": pa.string(), "license": pa.string()})

    patient: str = "Patient"
    """Who asks."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for trace in traces:
            text = f"{self.patient}: {trace['prompt']}\n{trace['teacher'].upper()}: {trace['response']}"
            yield {"text": text, "license": trace["license"]}
