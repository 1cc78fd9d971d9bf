"""Filling: from an exporter's rows to a spool, each looked at on its way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from storage.errors import SpecError, StillhouseError
from storage.wording import counted
from tasks.exporters.protocol import Exporter, NoRows
from tasks.exports.containers import Container
from tasks.exports.spool import Spool
from tasks.exports.traces import BATCH_BYTES, BATCH_ROWS


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
    """Pack what an exporter makes of its source into a spool, as many rows at a time as their size allows, and close it.

    `traces` is what the source gives; `see` is shown the rows. Raise SpecError, in one line, where the exporter breaks a promise;
    it may raise one itself.
    """
    rows, schema = _checked(exporter, name, source), exporter.schema
    size, packed = 16, 0
    try:
        while taken := list(itertools.islice(rows, size)):
            try:
                batch = container.pack(taken, schema)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, orjson.JSONEncodeError) as error:
                raise _broken(name, error) from error
            spool.add(batch)
            if see is not None:
                see(taken)
            packed += batch.nbytes
            size = max(1, min(BATCH_ROWS, BATCH_BYTES * spool.rows // max(1, packed)))
    except NoRows:
        spool.close()
        raise
    spool.close()
    if exporter.one_to_one and spool.rows != traces:
        raise SpecError(
            f"exports: the exporter {name!r} promised {counted(traces, 'row')} and gave another number; "
            "mend it, or its `one_to_one`"
        )


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
