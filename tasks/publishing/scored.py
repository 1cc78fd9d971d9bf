"""A scorer's part in an export: rows with its distributions are under its licence too, since they are its output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from tasks.license import effective


def licensed(traces: Iterable[Mapping[str, Any]], scorer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield traces, those with distributions under the scorer's licence beside their own."""
    for trace in traces:
        both = trace["license"] if trace["logprobs"] is None else together(trace["license"], str(scorer["license"]))
        yield {**trace, "license": both}


@cache
def together(license_: str, scorer: str) -> str:
    """Return the licence of what is under both."""
    return effective(license_, scorer).license
