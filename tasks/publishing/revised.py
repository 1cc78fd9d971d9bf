"""Which revision of a model gave what stands in a row: as the lake has it, and else as the spec says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def stated(
    traces: Iterable[Mapping[str, Any]], build: Mapping[str, Any], scorer: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """Yield traces whose `revision` nobody noted with what the build's spec says of their teacher, or of the scorer.

    What was noted when a sample was bought goes first: the spec may be of a later day, and name another revision.
    """
    teachers = {each["name"]: each.get("revision") for each in (build.get("spec") or {}).get("teachers", ())}
    for trace in traces:
        said = teachers.get(trace["teacher"]) if scorer is None else scorer.get("revision")
        known = trace["revision"] or (said if scorer is None or trace["logprobs"] is not None else None)
        yield {**trace, "revision": known}
