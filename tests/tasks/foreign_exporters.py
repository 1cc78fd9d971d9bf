"""Exporters that somebody else wrote, and most of them badly."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest

from tasks.exporters.protocol import NoRows
from tasks.exporters.registry import EXPORTERS


class Doubling:
    """Makes as many rows of a trace as its index says."""

    schema = pa.schema({"text": pa.string(), "license": pa.string()})
    one_to_one = False

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for number, each in enumerate(traces):
            yield from [{"text": f"{number} {each['response']}", "license": each["license"]}] * (number % 3)


class Liar(Doubling):
    """Says that each trace is one row."""

    one_to_one = True


class Unlicensed(Doubling):
    """Drops what is needed."""

    schema = pa.schema({"text": pa.string()})


class NoColumn(Doubling):
    """Forgets one."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows without a licence."""
        for each in traces:
            yield {"text": each["response"]}


class Blank(Doubling):
    """Has a licence in name alone."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for each in traces:
            yield {"text": each["response"], "license": ""}


class Raising(Doubling):
    """Gives up."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Raise."""
        yield {"text": next(iter(traces))["no such column"], "license": "MIT"}


class Dropping(Doubling):
    """Takes all but one."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the rest, or say that there is none."""
        rows = [{"text": each["response"], "license": each["license"]} for each in traces if each["sample_id"] != "s5"]
        yield from rows
        if not rows:
            raise NoRows("every trace was dropped")


class Stopping(Doubling):
    """Says that there are no rows where there have been some."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield one."""
        yield {"text": next(iter(traces))["response"], "license": "MIT"}
        raise NoRows("enough")


class Mistyped(Doubling):
    """Gives what its schema doesn't say."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield numbers for texts."""
        for each in traces:
            yield {"text": {1}, "license": each["license"]}


class Wanting(Doubling):
    """Lacks something that its rows promise."""

    def caveats(self) -> list[str]:
        """Say so."""
        return ["own: nobody knows whose"]


class Leaving(Doubling):
    """Takes none of the split `train`, and says so."""

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the others."""
        taken = list(traces)
        if any(each["split"] == "train" for each in taken):
            raise NoRows("too long")
        yield from [{"text": each["response"], "license": each["license"]} for each in taken]

    def facts(self) -> dict[str, Any]:
        """Count."""
        return {"some": 1}

    def losses(self, told: Sequence[Mapping[str, Any]]) -> list[str]:
        """Add up."""
        return [f"own: {sum(each['some'] for each in told)} of 3 are left out"]


class Whole(Doubling):
    """Takes a trace as the mapping that it is."""

    schema = pa.schema({"text": pa.string(), "license": pa.string()})
    one_to_one = True

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield what a dict of it says."""
        for each in traces:
            copied = dict(each)
            assert len(copied) == len(each)
            assert each.get("no such column") is None
            yield {"text": copied["response"], "license": copied["license"]}


class Short(Doubling):
    """Leaves out what people wrote in more than so many letters, and half of the rest."""

    schema = pa.schema([("sample_id", pa.string()), ("teacher", pa.string()), ("license", pa.string())])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield where each comes from."""
        kept = (each for each in traces if each["teacher"] or len(each["response"]) < len("I say so."))
        yield from ({name: each[name] for name in self.schema.names} for number, each in enumerate(kept) if number % 2)


class Packed(Short):
    """The same, several in a row."""

    names = pa.list_(pa.string())
    schema = pa.schema([("sample_id", names), ("teacher", names), ("license", pa.string())])

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield one row of all."""
        rows = list(super().rows(traces))
        yield {name: [row[name] for row in rows] for name in ("sample_id", "teacher")} | {"license": "MIT"}


def plug_in(monkeypatch: pytest.MonkeyPatch, kind: type[Doubling]) -> None:
    """Make a class the exporter `own`."""
    built_in = {**EXPORTERS.built_in, "own": f"{__name__}:{kind.__name__}"}
    monkeypatch.setattr("tasks.exporters.making.EXPORTERS", dataclasses.replace(EXPORTERS, built_in=built_in))
