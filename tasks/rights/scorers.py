"""Scorers: what binds whoever trains on a teacher's distributions over responses that it didn't write.

They are that teacher's output as its responses are, so its licence and its terms decide on an export that has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.errors import SpecError
from storage.plugins import nearest
from tasks.license import Licensed, LicenseOptions, gate
from tasks.rights.bound import bind, gate_terms
from tasks.rights.licensing import Licensee, describe_teacher
from tasks.rights.terms import Agreement, Terms
from tasks.teachers.options import TeacherOptions


def named(name: str, teachers: Sequence[TeacherOptions], *, where: str) -> TeacherOptions:
    """Return the teacher of that name, or else of that model. Raise SpecError where a spec has none, with the place `where`."""
    found = [teacher for teacher in teachers if teacher.name == name] or [each for each in teachers if each.model == name]
    if not found:
        raise SpecError(
            f"{where}: no teacher of the spec is named {name!r}, so nobody knows under which licence its scores are; "
            f"{nearest(name, [teacher.name for teacher in teachers])}; else add it to the spec, with `draw: false` and its "
            "`license`"
        )
    return found[0]


def agreements(teacher: TeacherOptions, terms: Terms, *, what: str) -> Sequence[Agreement]:
    """Return the terms that bind whoever asks a teacher. Raise SpecError, with the place `what`, where there are no such."""
    if teacher.terms is not None:
        return (terms.find(teacher.terms, what=what),)
    return terms.of(provider=teacher.vendor, urls=[line.base_url for line in teacher.lines], model=teacher.model)


def admitted(
    name: str, teachers: Sequence[TeacherOptions], options: LicenseOptions, terms: Terms, *, where: str
) -> dict[str, Any]:
    """Return what an export says of a scorer. Raise what the gate raises, as for a teacher."""
    teacher = named(name, teachers, where=where)
    gate([Licensed(what=f"{where}: teacher {teacher.name!r}", license=teacher.license)], options)
    bound = bind(teacher.name, agreements(teacher, terms, what=f"teacher {teacher.name!r}: terms"), options.acknowledge)
    gate_terms([bound])
    return describe_teacher(Licensee(options=teacher, bound=bound))
