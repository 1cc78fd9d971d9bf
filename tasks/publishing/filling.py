"""Filling: from an exporter's rows to a spool, each looked at on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from storage.errors import SpecError, StillhouseError
from storage.wording import counted
from tasks.exporters.protocol import Exporter, NoRows
from tasks.publishing.containers import Container
from tasks.publishing.spool import Spool
from tasks.publishing.traces import BATCH_BYTES, BATCH_ROWS

_NUMBER = 4
"""Bytes of a number, about."""


def fill(
    spool: Spool,
    container: Container,
    exporter: Exporter,
    source: Iterable[Any],
    *,
    name: str,
    traces: int,
    see: Callable[[Sequence[Mapping[str, Any]]], None] | None = None,
) -> None:
    """Pack what an exporter makes of its source into a spool, some rows at a time, and close it.

    `traces` is what the source gives; `see` is shown the rows. Raise SpecError, in one line, where the exporter breaks a promise;
    it may raise one itself.
    """
    rows, schema = _checked(exporter, name, source), exporter.schema
    try:
        for taken in _together(rows):
            try:
                batch = container.pack(taken, schema)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, orjson.JSONEncodeError) as error:
                raise _broken(name, error) from error
            spool.add(batch)
            if see is not None:
                see(taken)
    except NoRows:
        spool.close()
        raise
    spool.close()
    if exporter.one_to_one and spool.rows != traces:
        raise SpecError(
            f"exports: the exporter {name!r} promised {counted(traces, 'row')} and gave another number; "
            "mend it, or its `one_to_one`"
        )


def _together(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield rows that are to be packed at a time: each is weighed, since one may be a thousand times as large as those before."""
    taken: list[dict[str, Any]] = []
    weight = 0
    for row in rows:
        taken.append(row)
        weight += sum(map(_weight, row.values()))
        if len(taken) >= BATCH_ROWS or weight >= BATCH_BYTES:
            yield taken
            taken, weight = [], 0
    if taken:
        yield taken


def _weight(value: Any) -> int:
    """Return about how many bytes a value takes once it is packed."""
    match value:
        case str() | bytes():
            return len(value)
        case Mapping():
            return sum(map(_weight, value.values()))
        case [Mapping() | list() | str(), *_]:
            return sum(map(_weight, value))
        case list():
            return _NUMBER * len(value)
        case _:
            return _NUMBER


def _checked(exporter: Exporter, name: str, source: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield an exporter's rows. Raise SpecError, in one line, where it raises, or a row isn't what its schema says."""
    rows = exporter.rows(source)
    columns, given = set(exporter.schema.names), 0
    while True:
        try:
            row = next(rows, None)
        except NoRows as error:
            if given:
                raise _broken(name, f"it says that it has no rows behind {given:,} of them: {error}") from error
            raise
        except StillhouseError:
            raise
        except Exception as error:
            raise _broken(name, error) from error
        if row is None:
            return
        if row.keys() != columns:
            raise _broken(name, f"a row has the columns {sorted(row)}")
        if not row["license"]:
            raise _broken(name, "a row has no license")
        given += 1
        yield row


def _broken(name: str, why: object) -> SpecError:
    what = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else why
    return SpecError(f"exports: the exporter {name!r} is broken: {what}")
