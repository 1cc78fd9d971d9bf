"""What an export holds, in numbers and names: what its card, NOTICE and Croissant metadata are written from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from storage.lake import Lake, Manifest
from storage.sql import literal, parquet, parquet_in
from storage.workspace import Workspace
from tasks.license import identifiers, parse, together
from tasks.sources.shown import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One verifier's verdicts on the samples of a build."""

    name: str
    """The verifier's."""
    passed: int
    """Verdicts."""
    failed: int
    """Likewise."""
    undecided: int
    """Likewise."""

    @property
    def rate(self) -> float | None:
        """Share that passed of those that were decided; None where none was."""
        decided = self.passed + self.failed
        return self.passed / decided if decided else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensing:
    """Whose rights rows are under, and what these ask for. Keys are as in a build's manifest, under `licensing`."""

    license: str
    """SPDX expression of the whole."""
    sources: Sequence[Mapping[str, Any]]
    """Prompt sources: source, license, and attribution where the spec gives it."""
    teachers: Sequence[Mapping[str, Any]]
    """Teachers: name, model, license; provider, terms and duties as far as they are known."""
    text: Sequence[Mapping[str, Any]]
    """Other text in the rows, as of a template: what, license."""
    mixed: Sequence[Mapping[str, Any]] = ()
    """What people wrote and an export mixes in: source, license, attribution."""
    scorers: Sequence[Mapping[str, Any]] = ()
    """Whose distributions stand beside the tokens, where they aren't the teachers' own; as teachers."""

    @property
    def origins(self) -> list[Mapping[str, Any]]:
        """Return the teachers of other datasets whose responses are prompts here, or were of what these were made of."""
        found: list[Mapping[str, Any]] = []
        for source in _origins(self.sources):
            found += [each for each in source.get("teachers", ()) if each not in found]
        return found

    @property
    def notices(self) -> list[str]:
        """Return the lines that terms want to stand in NOTICE, each once."""
        teachers = [*self.teachers, *self.scorers, *self.origins]
        return list(dict.fromkeys(line for each in teachers for line in each.get("notices") or ()))

    @property
    def ids(self) -> list[str]:
        """Return the licences of which all the expressions consist, in order."""
        named = [*self.sources, *self.mixed, *self.teachers, *self.scorers, *self.text]
        parts = [self.license, *(each["license"] for each in named)]
        return sorted({name for part in parts if part for name in identifiers(part)})


def _origins(sources: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield what is said of the datasets from which sources come, and of those from which theirs come."""
    for each in sources:
        if origin := each.get("origin"):
            yield origin
            yield from _origins(origin.get("sources", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that is said of an export."""

    build: Manifest
    """The build's manifest."""
    manifest: Mapping[str, Any]
    """The export's own, as far as it is known: format, file, rows, splits, shards."""
    schema: pa.Schema
    """The columns of its rows."""
    licensing: Licensing
    """Rights and duties."""
    licenses: Mapping[str, int]
    """Traces by effective licence."""
    train_use: Mapping[str, int]
    """Traces by what the licences say of training."""
    generations: Mapping[int, int]
    """Traces by generation."""
    judged: Sequence[Judged]
    """By verifier, in the spec's order."""

    @property
    def dataset(self) -> str:
        """Return the dataset's name."""
        return str(self.build["dataset"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the spec, as far as the build's manifest has it."""
        return self.build.get("spec") or {}


def gather(lake: Lake, workspace: Workspace, build: Manifest, manifest: Mapping[str, Any], schema: pa.Schema) -> Contents:
    """Return what is said of an export of a landed build. Ids and short columns are read, never texts."""
    traces = parquet_in(lake.snapshot("traces", build["dataset"], build["build_id"]))

    def counted(column: str) -> dict[Any, int]:
        return dict(workspace.rows(f"SELECT {column}, count(*) FROM {traces} GROUP BY ALL ORDER BY count(*) DESC, 1"))

    licenses = counted("license")
    return Contents(
        build=build,
        manifest=manifest,
        schema=schema,
        licensing=_with_mix(
            _with_scorer(
                _with_refuted(_licensing(workspace, build, traces, sorted(licenses)), manifest["refuted"]), manifest["scorer"]
            ),
            manifest["mix"],
        ),
        licenses=licenses,
        train_use=counted("coalesce(train_use, 'unknown')"),
        generations=dict(sorted(counted("coalesce(generation, 0)").items())),
        judged=_judged(lake, workspace, build),
    )


def _licensing(workspace: Workspace, build: Manifest, traces: str, licenses: Sequence[str]) -> Licensing:
    """Return what the build's manifest says; what the traces say where it is of an earlier version."""
    said = build.get("licensing")
    if said:
        return Licensing(license=said["license"], sources=said["sources"], teachers=said["teachers"], text=said.get("text", ()))
    columns = "prompt_source AS source, prompt_license AS license"
    sources = workspace.rows(f"SELECT DISTINCT {columns} FROM {traces} ORDER BY ALL")
    columns = "teacher, model, teacher_license, terms"
    teachers = workspace.rows(f"SELECT DISTINCT {columns} FROM {traces} ORDER BY ALL")
    providers = {each["name"]: each.get("provider") for each in (build.get("spec") or {}).get("teachers", ())}
    return Licensing(
        license=" AND ".join(f"({each})" if " OR " in each and len(licenses) > 1 else each for each in licenses) or "unknown",
        sources=[{"source": shown(source), "license": license_} for source, license_ in sources],
        teachers=[
            dict(zip(("name", "model", "license", "terms"), row, strict=True)) | {"provider": providers.get(row[0])}
            for row in teachers
        ],
        text=(),
    )


def _with_refuted(found: Licensing, refuted: Sequence[Mapping[str, Any]]) -> Licensing:
    """Add the teachers whose samples stand in rows though none was kept: their licences hold for the whole as well."""
    if not refuted:
        return found
    licenses = [each for each in (found.license, *(str(each["license"]) for each in refuted)) if each not in {"NONE", "unknown"}]
    whole = together(parse(each, what="license") for each in licenses)
    return replace(found, license=whole, teachers=[*found.teachers, *refuted])


def _with_scorer(found: Licensing, scorer: Mapping[str, Any] | None) -> Licensing:
    """Add whose distributions these are: its licence holds for the whole as well."""
    if scorer is None:
        return found
    licenses = [each for each in (found.license, str(scorer["license"])) if each not in {"NONE", "unknown"}]
    return replace(found, license=together(parse(each, what="license") for each in licenses), scorers=[scorer])


def _with_mix(found: Licensing, mix: Sequence[Mapping[str, Any]]) -> Licensing:
    """Add what was mixed in, whose licences hold for the whole as well."""
    mix = [each for each in mix if each["rows"]]
    if not mix:
        return found
    licenses = [found.license, *(each["license"] for each in mix)]
    # A build that kept nothing says NONE, which is no licence.
    parts = [parse(each, what="license") for each in licenses if each not in {"NONE", "unknown"}]
    mixed = [{"source": each["source"], "license": each["license"], "attribution": each["attribution"]} for each in mix]
    return replace(found, license=together(parts), mixed=mixed)


def _judged(lake: Lake, workspace: Workspace, build: Manifest) -> list[Judged]:
    verifiers = build.get("verifiers") or ()
    if not verifiers:
        return []
    listed = ", ".join(literal(each["fingerprint"]) for each in verifiers)
    outcomes = parquet_in(lake.snapshot("outcomes", build["dataset"], build["build_id"]))
    counted = {
        fingerprint: numbers
        for fingerprint, *numbers in workspace.rows(
            f"""
            SELECT fingerprint, count(*) FILTER (passed), count(*) FILTER (NOT passed), count(*) FILTER (passed IS NULL)
            FROM {parquet(lake.glob("verdicts"))}
            WHERE fingerprint IN ({listed}) AND sample_id IN (SELECT sample_id FROM {outcomes} WHERE sample_id IS NOT NULL)
            GROUP BY ALL
            """
        )
    }
    found = []
    for each in verifiers:
        passed, failed, undecided = counted.get(each["fingerprint"], (0, 0, 0))
        found.append(Judged(name=each["name"], passed=passed, failed=failed, undecided=undecided))
    return found
