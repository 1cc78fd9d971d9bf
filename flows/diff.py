"""Diff: what changed from one build of a dataset to another, and why."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import memory
from storage.errors import StorageError
from storage.lake import Lake, Manifest
from storage.rot import verify_build
from storage.wording import counted
from storage.workspace import Workspace
from tasks import diff as comparing
from tasks.diff import Move, Pair
from tasks.sources.addresses import named
from tasks.sources.shown import shown

SHOWN = 12
"""Kinds of change that a terminal shows of each of added, dropped, changed and moved."""
VALUE = 100
"""Characters of a value of the spec that a terminal shows."""
NAMES = ("name", "use", "source", "to", "terms", "teacher")
"""What tells the entries of a list in a spec apart, where they have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What `stillhouse diff` says."""

    dataset: str
    """Whose builds."""
    lake: str
    """Where."""
    before: str
    """A build's id."""
    after: str
    """A build's id."""
    prompts: Mapping[str, Any]
    """As `tasks.diff.prompts`."""
    traces: Mapping[str, Any]
    """Added, dropped, changed (another sample in the same slot), `replaced_by` as `tasks.diff.replaced`, and as
    `tasks.diff.traces`."""
    moves: list[Move]
    """What became of the slots that ended otherwise."""
    licenses: Mapping[str, tuple[int, int]]
    """Traces of each licence, then and now."""
    acknowledgements: Mapping[str, tuple[int, int]]
    """Traces of each acknowledgement of terms, then and now."""
    by_source: Mapping[str, Pair]
    """Slots of each prompt source, then and now."""
    by_teacher: Mapping[str, Pair]
    """Slots of each teacher, then and now."""
    by_strategy: Mapping[str, Pair]
    """Slots of each strategy, then and now."""
    spec: Mapping[str, tuple[Any, Any]]
    """What the spec says otherwise, by path: then and now, None where it said nothing."""
    versions: Mapping[str, tuple[Any, Any]]
    """Of stillhouse and of verifiers that are others now."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        rated = {
            name: {key: [_rated(rate) for rate in pair] for key, pair in getattr(self, name).items()}
            for name in ("by_source", "by_teacher", "by_strategy")
        }
        return dataclasses.asdict(self) | rated

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal, less the moves."""
        prompts, traces = self.prompts, self.traces
        names = named(self.by_source)
        by_source = {names.get(name, name): pair for name, pair in self.by_source.items()}
        lines = [
            ("builds", f"{self.before} to {self.after}"),
            ("prompts", _counts(prompts, ("added", "dropped", "changed", "same")) + _by(prompts["changed_by"])),
            (
                "traces",
                f"{traces['before']:,} to {traces['after']:,}: " + _counts(traces, ("added", "dropped", "changed", "stayed")),
            ),
        ]
        if traces["changed_by"]:
            lines.append(("", "of those that stayed, with another" + _by(traces["changed_by"])))
        if traces["replaced_by"]:
            lines.append(("", "of those that changed, with another" + _by(traces["replaced_by"])))
        for name, (was, now) in self.licenses.items():
            if was != now:
                lines.append((f"licence {name}", f"{was:,} to {counted(now, 'trace')}"))
        for said, (was, now) in self.acknowledgements.items():
            if was != now:
                lines.append(("acknowledged", f"{was:,} to {counted(now, 'trace')}: {said}"))
        for what, pairs in (("source", by_source), ("teacher", self.by_teacher), ("strategy", self.by_strategy)):
            lines += [(f"{what} {name}", f"pass rate {_rate(was)} to {_rate(now)}") for name, (was, now) in pairs.items()]
        for path, (was, now) in [*self.spec.items(), *self.versions.items()]:
            lines.append((f"spec {path}" if path in self.spec else path, f"{_value(was)} to {_value(now)}"))
        if not self.spec:
            lines.append(("spec", "the same"))
        return lines


def diff(lake: Lake, dataset: str, *, before: str | None, after: str | None) -> Diff:
    """Compare two builds of a dataset: by default the newest with the one before it."""
    memory.settle()
    was, now = _builds(lake, dataset, before, after)
    for build in (was, now):
        verify_build(lake, build)
    with tempfile.TemporaryDirectory(prefix="stillhouse-diff-") as folder, Workspace(lake, Path(folder) / "work") as workspace:
        comparing.load(workspace, lake, was, now)
        moves = comparing.moves(workspace)
        changes = {
            change: sum(move.slots for move in moves if move.change == change) for change in ("added", "dropped", "changed")
        }
        return Diff(
            dataset=dataset,
            lake=lake.where,
            before=was["build_id"],
            after=now["build_id"],
            prompts=comparing.prompts(workspace),
            traces=changes | comparing.traces(workspace) | {"replaced_by": comparing.replaced(workspace)},
            moves=moves,
            licenses=comparing.licenses(workspace),
            acknowledgements=comparing.acknowledgements(workspace),
            by_source=comparing.rates(workspace, "source"),
            by_teacher=comparing.rates(workspace, "teacher"),
            by_strategy=comparing.rates(workspace, "strategy"),
            spec=changed(dict(flat(was.get("spec", {}))), dict(flat(now.get("spec", {})))),
            versions=changed(_versions(was), _versions(now)),
        )


def _builds(lake: Lake, dataset: str, before: str | None, after: str | None) -> tuple[Manifest, Manifest]:
    now = lake.build(dataset, after)
    if before is not None:
        was = lake.build(dataset, before)
        if was["build_id"] == now["build_id"]:
            raise StorageError(f"--from and --to: both are build {before}; name two")
        return was, now
    earlier = lake.builds(dataset)
    place = [build["build_id"] for build in earlier].index(now["build_id"])
    if not place:
        why = "it has no other" if len(earlier) == 1 else "name one with --from"
        raise StorageError(f"{lake.where}: {dataset!r} has no build before {now['build_id']} to compare it with; {why}")
    return earlier[place - 1], now


def flat(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a spec by path; an entry of a list by its name where it has one, so that a shift changes nothing."""
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from flat(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        seen: dict[str, int] = {}
        for number, each in enumerate(value):
            name = shown(str(next((each[key] for key in NAMES if each.get(key)), number)))
            seen[name] = seen.get(name, 0) + 1
            again = f" ({seen[name]})" if seen[name] > 1 else ""
            yield from flat(each, f"{path}[{name}{again}]")
    else:
        yield path, value


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs by key: then and now, None where it isn't there."""
    keys = [*before, *(key for key in after if key not in before)]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def _versions(build: Manifest) -> dict[str, Any]:
    verifiers = {f"verifier {each['name']}": each["version"] for each in build.get("verifiers", [])}
    return {"stillhouse": build.get("version")} | verifiers


def _rated(rate: comparing.Rate | None) -> dict[str, Any] | None:
    return None if rate is None else dataclasses.asdict(rate) | {"pass_rate": rate.pass_rate}


def _counts(numbers: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(f"{numbers[name]:,} {name}" for name in names)


def _by(parts: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{name} {number:,}' for name, number in parts.items())})" if parts else ""


def _rate(rate: comparing.Rate | None) -> str:
    if rate is None or rate.pass_rate is None:
        return "none"
    return f"{rate.pass_rate:.1%} of {rate.responses:,}"


def _value(value: Any) -> str:
    text = "nothing" if value is None else shown(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"
