"""A build's traces with what their teacher gave to each token, and which revision of it: their samples' own, or a scorer's.

Distributions are a hundred times what texts are, so they are never sorted: those of the build's samples are copied into one file
in the order in which the lake has them, and are read from there, mapped into memory, in the order of the traces. The two orders
are nearly one, since samples arrive prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.disk import writing
from storage.errors import SpecError
from storage.identity import showing
from storage.lake import Lake
from storage.parquet import read_batches
from storage.schemas import LOGPROBS
from storage.scores import NONE, together
from storage.sql import literal, parquet, parquet_in
from storage.wording import counted
from storage.workspace import Workspace
from tasks.ranked import Ids, packed

BATCH_ROWS = 64
"""Samples that are looked at together: with twenty alternatives at each of a thousand tokens, some megabytes."""
SHOWN = 8
"""Of a fingerprint's characters, as `stillhouse report` shows them."""
_ROW_BITS = 20
_NOWHERE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """`storage.records.Logprobs` as arrays: the alternatives of position i stand behind those of the positions before it."""

    tokens: list[bytes] | None
    """The sampled tokens."""
    ids: npt.NDArray[np.int32] | None
    """The same, in the teacher's vocabulary."""
    logprobs: npt.NDArray[np.float32]
    """Theirs."""
    counts: npt.NDArray[np.int64]
    """How many alternatives each position has."""
    top_tokens: list[bytes] | None
    """The alternatives."""
    top_ids: npt.NDArray[np.int32] | None
    """The same, in the teacher's vocabulary."""
    top_logprobs: npt.NDArray[np.float32]
    """Theirs."""

    def __len__(self) -> int:
        return len(self.logprobs)


def positions(stored: pa.StructScalar) -> Positions:
    """Return a value of `schemas.LOGPROBS` as arrays."""

    def column(name: str, kind: Any) -> Any:
        found = stored[name]
        return found.values.to_numpy(zero_copy_only=False).astype(kind, copy=False) if found.is_valid else None

    def tokens(name: str) -> list[bytes] | None:
        return stored[name].values.to_pylist() if stored[name].is_valid else None

    return Positions(
        tokens=tokens("tokens"),
        ids=column("ids", np.int32),
        logprobs=column("logprobs", np.float32),
        counts=column("counts", np.int64),
        top_tokens=tokens("top_tokens"),
        top_ids=column("top_ids", np.int32),
        top_logprobs=column("top_logprobs", np.float32),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A scorer's distributions, in place of the samples' own."""

    scorer: str
    """Its name, as scores have it, or its model."""
    fingerprint: str | None = None
    """The beginning of the address of those that count, where it has scored in several ways."""
    of: tuple[str, str] | None = None
    """Its provider and model, where they are known: scores are theirs, under whatever name they were made."""
    reasoning: str = "omit"
    """How rows show reasoning: scores in which it is shown so count, at whose tokens they are."""


class _Way(NamedTuple):
    """One way in which traces were scored."""

    fingerprints: tuple[str, ...]
    """The scores' addresses, that of samples without reasoning last."""
    names: list[str]
    """By whom, as specs called them."""
    provider: str
    """Who was asked."""
    model: str
    """For which model."""
    top: int
    """Alternatives."""
    reasoning: str | None
    """How it is shown; none: the samples have none; None: an earlier version scored, responses alone without the turn's end."""
    traces: int
    """How many have a score."""
    made: datetime
    """When the last of them came."""


class Distributions:
    """The distributions of a build's traces, in a file of the workspace's folder, which is gone with that."""

    def __init__(self, lake: Lake, workspace: Workspace, traces: Path, *, wanted: Wanted | None) -> None:
        """Copy them: the scorer's that is wanted, or the samples' own.

        Raise SpecError where it has scored none of them, or in several ways of which none is named.
        """
        self._path = workspace.folder / "distributions.arrow"
        self._ids = _ids(workspace, traces)
        self._places = np.full(len(self._ids), -1, np.int64)
        self._revisions: dict[str | None, int] = {None: 0}
        self._revised = np.zeros(len(self._ids), np.int32)
        self._copy(workspace, lake, traces, () if wanted is None else _fingerprints(workspace, traces, wanted))

    @property
    def size(self) -> int:
        """Return how many bytes they are."""
        return self._path.stat().st_size

    def beside(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield traces with `logprobs` more, as the file has them, and `revision`: None where nobody gave any, or said which."""
        revisions = list(self._revisions)
        with pa.memory_map(str(self._path)) as source:
            reader = pa.ipc.open_file(source)
            for trace in traces:
                place, revision = self._of(trace["sample_id"])
                found = reader.get_batch(place >> _ROW_BITS)[0][place & (1 << _ROW_BITS) - 1] if place >= 0 else None
                yield {**trace, "logprobs": found, "revision": revisions[revision]}

    def _of(self, sample_id: str) -> tuple[int, int]:
        """Return where a sample's distributions are, or -1, and the number of its revision."""
        (key,) = packed(pa.array([sample_id]))
        at = int(np.searchsorted(self._ids, key))
        known = at < len(self._ids) and self._ids[at] == key
        return (int(self._places[at]), int(self._revised[at])) if known else (-1, 0)

    def _copy(self, workspace: Workspace, lake: Lake, traces: Path, fingerprints: Sequence[str]) -> None:
        """Write what is wanted. Where a sample stands twice in the lake, the earlier one counts, as in a snapshot."""
        moments = np.full(len(self._ids), _NOWHERE, np.int64)
        number = 0
        with writing(self._path), pa.ipc.new_file(str(self._path), pa.schema([("logprobs", LOGPROBS)])) as writer:
            for batch in _batches(workspace, lake, traces, fingerprints):
                sought = packed(batch["sample_id"])
                at = np.minimum(np.searchsorted(self._ids, sought), len(self._ids) - 1)
                made = batch["created_at"].cast(pa.int64()).to_numpy()
                wanted = (self._ids[at] == sought) & (made < moments[at])
                rows = np.flatnonzero(wanted)
                if not len(rows):
                    continue
                moments[at[rows]] = made[rows]
                given = batch["logprobs"].take(pa.array(rows))
                if given.type != LOGPROBS:  # a part of an earlier version, which left the column empty
                    given = pa.nulls(len(given), LOGPROBS)
                there = given.is_valid().to_numpy(zero_copy_only=False)
                self._places[at[rows]] = np.where(there, number << _ROW_BITS | np.arange(len(rows)), -1)
                if "revision" in batch.schema.names:  # parts of an earlier version have no such column
                    said = batch["revision"].take(pa.array(rows)).to_pylist()
                    self._revised[at[rows]] = [self._revisions.setdefault(each, len(self._revisions)) for each in said]
                writer.write_batch(pa.RecordBatch.from_arrays([given], names=["logprobs"]))
                number += 1


def _ids(workspace: Workspace, traces: Path) -> Ids:
    ids = [packed(batch["sample_id"]) for batch in workspace.stream(f"SELECT sample_id FROM {parquet_in(traces)}", rows=10_000)]
    return np.unique(np.concatenate(ids)) if ids else np.empty(0, "S16")


def _batches(workspace: Workspace, lake: Lake, traces: Path, fingerprints: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of those files that hold one of the traces' samples; of scores, those with one of these fingerprints."""
    table = "scores" if fingerprints else "samples"
    if not any((lake.root / table).rglob("*.parquet")):
        return
    by = f"fingerprint IN ({', '.join(map(literal, fingerprints))}) AND reason IS NULL AND " if fingerprints else ""
    files = workspace.rows(
        f"SELECT DISTINCT filename FROM {parquet(lake.glob(table), filename=True)} "
        f"WHERE {by}sample_id IN (SELECT sample_id FROM {parquet_in(traces)}) ORDER BY filename"
    )
    columns = ["sample_id", "revision", "logprobs", "created_at", *(["fingerprint", "reason"] if fingerprints else [])]
    for (name,) in files:
        for batch in read_batches(Path(name), rows=BATCH_ROWS, columns=columns):
            if not fingerprints:
                yield batch
            else:  # a response that was refused at first may have a score now
                given = pc.call_function("is_null", [batch["reason"]])
                mine = pc.call_function("is_in", [batch["fingerprint"]], pc.SetLookupOptions(pa.array(fingerprints)))
                yield batch.filter(pc.call_function("and", [mine, given]))


def _fingerprints(workspace: Workspace, traces: Path, wanted: Wanted) -> tuple[str, ...]:
    """Return under which addresses the scores are that are wanted."""
    name, found = wanted.scorer, _ways(workspace, traces)
    mine = _fitting(workspace, traces, found, wanted)
    if not mine:
        others = f"; there are some by {_listed(found)}" if found else ""
        whose = f"{name!r}" + (f" ({', '.join(wanted.of)})" if wanted.of else "")
        raise SpecError(
            f"exports: scores: no trace of this build has a score by {whose} with `reasoning: {wanted.reasoning}`; run "
            f"`stillhouse score SPEC --teacher {name} --reasoning {wanted.reasoning}` first{others}"
        )
    if wanted.fingerprint is not None:
        named = [way for way in mine if _called(way, wanted.fingerprint, wanted.reasoning)]
        if len(named) != 1:
            how = "none" if not named else f"{len(named)}"
            raise SpecError(
                f"exports: fingerprint: {how} of the scores by {name!r} begin with {wanted.fingerprint!r}: {_listed(mine)}"
            )
        mine = named
    if len(mine) > 1:
        raise SpecError(
            f"exports: scores: {name!r} has scored these traces in {len(mine)} ways, which don't go together: {_listed(mine)}; "
            f"say which counts, as in fingerprint: {mine[0].fingerprints[0][:SHOWN]}"
        )
    return mine[0].fingerprints


def _ways(workspace: Workspace, traces: Path) -> list[_Way]:
    """Return the ways in which traces were scored, by whomever."""
    return [
        _Way((print_,), *row)
        for print_, *row in workspace.rows(
            "SELECT fingerprint, list_sort(list(DISTINCT scorer)), any_value(provider), any_value(model), any_value(top), "
            "any_value(reasoning), count(DISTINCT sample_id), max(created_at) FROM scores WHERE reason IS NULL "
            f"AND sample_id IN (SELECT sample_id FROM {parquet_in(traces)}) GROUP BY fingerprint ORDER BY fingerprint"
        )
    ]


def _fitting(workspace: Workspace, traces: Path, found: Sequence[_Way], wanted: Wanted) -> list[_Way]:
    """Return those that are the scorer's, and show reasoning as the rows do."""
    if wanted.of is not None:
        mine = [way for way in found if wanted.of == (way.provider, way.model)]
    else:
        mine = [way for way in found if wanted.scorer in {*way.names, way.model}]
    mine = _together(way for way in mine if way.reasoning in {None, NONE, wanted.reasoning})
    mine = [way for way in mine if way.reasoning != NONE or not _lacking(workspace, traces, way, wanted)]
    if wanted.fingerprint is None and any(way.reasoning for way in mine):
        return [way for way in mine if way.reasoning]  # what has no end of a turn is superseded
    return mine


def _together(ways: Iterable[_Way]) -> list[_Way]:
    """Return ways of which one scorer's, of samples with reasoning and without, are one."""
    by = {way.fingerprints[0]: way for way in ways}
    found = []
    for prints in together({print_: way.reasoning for print_, way in by.items()}):
        parts = [by[print_] for print_ in prints]
        names, traces = sorted({name for way in parts for name in way.names}), sum(way.traces for way in parts)
        found.append(parts[0]._replace(fingerprints=prints, names=names, traces=traces, made=max(way.made for way in parts)))
    return sorted(found, key=lambda way: way.fingerprints)


def _lacking(workspace: Workspace, traces: Path, way: _Way, wanted: Wanted) -> bool:
    """Return whether traces with reasoning were never scored, in the form that is wanted, by who scored those without."""
    asked = f"SELECT sample_id FROM scores WHERE fingerprint = {literal(showing(way.fingerprints[0], wanted.reasoning))}"
    thought = f"FROM {parquet_in(traces)} WHERE reasoning <> ''"
    return bool(workspace.rows(f"SELECT 1 {thought} LIMIT 1")) and not workspace.rows(f"{asked} LIMIT 1")


def _called(way: _Way, prefix: str, reasoning: str) -> bool:
    """Return whether an address begins so of those that the way has, or would have for samples with reasoning."""
    return any(print_.startswith(prefix) for print_ in (*way.fingerprints, showing(way.fingerprints[-1], reasoning)))


def _listed(found: Iterable[_Way]) -> str:
    """Return what there is, as a person can tell it apart."""
    return ", ".join(
        f"{way.fingerprints[0][:SHOWN]} ({' or '.join(way.names)}: {way.model}, {way.top} alternatives, "
        f"{f'reasoning: {way.reasoning}' if way.reasoning else 'without the end of the turn'}, {counted(way.traces, 'trace')}, "
        f"last {way.made:%Y-%m-%d %H:%M})"
        for way in found
    )
