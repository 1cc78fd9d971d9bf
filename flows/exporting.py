"""Exports of landed builds: what the flags of `stillhouse export` say, whether the gate lets them through, what is noted."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml
from pydantic import ValidationError

from flows.loading import problem
from flows.spec import Spec
from storage import catalog
from storage.errors import SpecError, UserError
from storage.lake import Lake
from storage.rot import verify, verify_build
from storage.wording import counted, first_line
from tasks.destinations.choose import destination_at
from tasks.export import ExportOptions, check_exports, export, make, scores_of
from tasks.exporters.protocol import needs_distributions, needs_refuted
from tasks.license import LicenseOptions, gate
from tasks.problems import dotted
from tasks.publishing.mix import licensed
from tasks.publishing.mix_sources import MixSource
from tasks.publishing.refuted import teachers_refuted
from tasks.rights.licensing import bound_now, gate_origins, regate, terms_now
from tasks.rights.scorers import admitted
from tasks.rights.terms import load
from tasks.teachers.options import TeacherOptions

_PLACE = re.compile(r"exports(?:\[0\])?(?:\.(\w+)(\S*))?: ")
"""What begins an error about an entry of `exports`, with the option and what is within it."""


def options_of(flags: Mapping[str, Any], pairs: Sequence[str], *, mix: Sequence[str] = ()) -> ExportOptions:
    """Return what flags, `KEY=VALUE` pairs and entries of `mix` say. A value is read as in a spec.

    Raise SpecError, which names the flag.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if mix:
        given["mix"] = [_entry(each) for each in mix]
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise SpecError(f"--option {pair}: must be KEY=VALUE, as in --option max_length=4096")
        if name in ExportOptions.model_fields:
            raise SpecError(f"--option {pair}: {name} has a flag of its own, --{name.replace('_', '-')}")
        if name in given:
            raise SpecError(f"--option {pair}: {name} is given twice")
        given[name] = _read(text, f"--option {pair}")
    try:
        return ExportOptions(**given)
    except ValidationError as error:
        location, message = problem(error, ExportOptions)
        place = f"{_flag(str(location[0]))}{dotted(location).removeprefix(str(location[0]))}: " if location else ""
        raise SpecError(f"{place}{message}") from error


@contextlib.contextmanager
def by_flags() -> Iterator[None]:
    """Name the flag where an error names a place in a spec's `exports`: whoever typed a command has no such file before them."""
    try:
        yield
    except UserError as error:
        found = _PLACE.match(str(error))
        if found is not None:
            name, within = found.groups()
            error.args = (f"{_flag(name)}{within}: {found.string[found.end() :]}" if name else found.string[found.end() :],)
        raise


def _flag(option: str) -> str:
    """Return the flag that says what an option of an export is."""
    return f"--{option.replace('_', '-')}" if option in ExportOptions.model_fields else f"--option {option}"


def _entry(text: str) -> Mapping[str, Any]:
    entry = _read(text, f"--mix {text}")
    if not isinstance(entry, Mapping):
        raise SpecError(f"--mix {text}: must be an entry, as '{{source: people.jsonl, share: 0.2, license: MIT}}'")
    return entry


def _read(text: str, flag: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"{flag}: the value can't be read as YAML: {first_line(error)}") from error


def check_export(
    lake: Lake, build: dict[str, Any], given: LicenseOptions | None = None, *, mixed: Sequence[MixSource] = ()
) -> None:
    """Raise LicenseRefused where a landed build may not be exported, or these not be mixed into it.

    What decides are the terms of today and the build's own `licenses`, or those that are `given`.
    """
    options = given or LicenseOptions.model_validate(build.get("spec", {}).get("licenses", {}))
    gate(licensed(mixed, where="mix"), options)
    terms = terms_now(build, options)
    regate(lake.snapshot("traces", build["dataset"], build["build_id"]), options, terms, bound_now(build, terms))
    gate_origins(build, terms)


def scorer_of(build: Mapping[str, Any], options: ExportOptions, spec: Spec | None = None) -> dict[str, Any] | None:
    """Return what an export says of whose scores it wants; None where it wants nobody's.

    Teachers and licences are those of a spec, or the build's own. Raise SpecError where it is none of these teachers,
    LicenseRefused where the gate doesn't let it through.
    """
    name = scores_of(options)
    if name is None:
        return None
    if spec is not None:
        return admitted(name, spec.teachers, spec.licenses, load(spec.licenses.terms), where="exports: scores")
    said = build.get("spec") or {}
    licenses = LicenseOptions.model_validate(said.get("licenses", {}))
    teachers = [TeacherOptions.model_validate(each) for each in said.get("teachers", ())]
    where = "exports: scores (of the build's spec; --spec names another)"
    return admitted(name, teachers, licenses, terms_now(build, licenses), where=where)


def refuted_of(
    lake: Lake, build: Mapping[str, Any], options: ExportOptions, given: LicenseOptions | None = None
) -> list[dict[str, Any]]:
    """Return what an export says of the teachers of whom it has refuted samples and the build no trace.

    No trace says what binds them, so the gate looks at them by the build's spec; `given`: other `licenses` than its own. Raise
    LicenseRefused where it doesn't let one through.
    """
    if not needs_refuted(make(options)):
        return []
    said = build.get("spec") or {}
    own = LicenseOptions.model_validate(said.get("licenses", {}))
    # What was acknowledged in the build stays so, as it does in its traces.
    licenses = own if given is None else given.model_copy(update={"acknowledge": (*own.acknowledge, *given.acknowledge)})
    teachers = [TeacherOptions.model_validate(each) for each in said.get("teachers", ())]
    return [
        admitted(name, teachers, licenses, terms_now(build, licenses), where=f"exports: {options.format}: refuted samples")
        for name in teachers_refuted(lake, build["dataset"], build["build_id"])
    ]


def export_dataset(
    lake: Lake,
    dataset: str,
    options: ExportOptions,
    say: Callable[[str], None],
    *,
    build_id: str | None = None,
    spec: Spec | None = None,
) -> dict[str, Any]:
    """Export a landed build of a dataset, the newest where none is named, and return its manifest.

    `spec`: whose licences and teachers hold, in place of the build's own. `say` is told what a person should know.
    """
    check_exports([options], lake, where=lambda _: "exports")
    landed = lake.build(dataset, build_id)
    verify_build(lake, landed)
    check_export(lake, landed, spec.licenses if spec else None, mixed=options.mix)
    scorer_of(landed, options, spec)  # before a lock is waited for
    refuted_of(lake, landed, options, spec.licenses if spec else None)
    exporter = make(options)
    with lake.writing(say):
        if needs_refuted(exporter) or needs_distributions(exporter):
            verify(lake, say)
        manifest = export_build(lake, landed, options, spec=spec)
        catalog.write(lake)
    for warning in manifest["warnings"]:
        say(warning)
    return manifest


def export_build(lake: Lake, build: dict[str, Any], options: ExportOptions, *, spec: Spec | None = None) -> dict[str, Any]:
    """Export a landed build, note it in the lake, and return its manifest. The caller holds the lock and writes the catalog.

    `spec`: whose teachers and licences hold for scores, in place of the build's own.
    """
    refuted = refuted_of(lake, build, options, spec.licenses if spec else None)
    manifest = export(lake, build, options, scorer=scorer_of(build, options, spec), refuted=refuted)
    destination = destination_at(options.to).shown
    noted = {name: value for name, value in manifest.items() if name not in {"spec", "documents"}} | {
        "export_id": f"{build['build_id']}-{secrets.token_hex(3)}",
        "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "destination": destination,
        "files": manifest["shards"],
        "shards": len(manifest["shards"]),
    }
    lake.record_export(noted)
    return manifest | {"destination": destination}


def exported(manifest: Mapping[str, Any]) -> str:
    """Return in a line what an export wrote, and where."""
    rows, shards = manifest["rows"], len(manifest["shards"])
    return f"exported {counted(rows, 'row')} in {counted(shards, 'shard')} to {manifest['destination']}"


def export_all(
    lake: Lake,
    build: dict[str, Any],
    wanted: Sequence[ExportOptions],
    *,
    say: Callable[[str], None],
    part: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[dict[str, Any]]:
    """Write all of a landed build's exports and return their manifests. Warnings are said once, the build's own not again.

    One that is refused keeps none of the others from being written: what is raised, once they are, is the first that was. `part`
    hears how many are done, and of how many.
    """
    manifests: list[dict[str, Any]] = []
    refused: UserError | None = None
    said = set(build.get("warnings", ()))
    for number, options in enumerate(wanted):
        part(number, len(wanted))
        try:
            manifest = export_build(lake, build, options)
        except UserError as error:
            if refused is not None:
                say(f"export to {options.to}: {error}")
            refused = refused or error
            continue
        for warning in manifest["warnings"]:
            if warning not in said:
                say(warning)
        said.update(manifest["warnings"])
        manifests.append(manifest)
    catalog.write(lake)
    if refused is not None:
        raise refused
    return manifests
