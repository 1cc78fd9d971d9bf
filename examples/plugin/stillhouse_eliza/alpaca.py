"""An exporter: rows of instruction and output, as the Alpaca data set has them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa


class Alpaca:
    """A row for each trace."""

    schema: ClassVar[pa.Schema] = pa.schema({"instruction": pa.string(), "output": pa.string(), "license": pa.string()})
    one_to_one: ClassVar[bool] = True

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for trace in traces:
            yield {"instruction": trace["prompt"], "output": trace["response"], "license": trace["license"]}
