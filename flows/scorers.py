"""Who scores: a teacher of the spec by its name, or a model's folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import wiring
from flows.spec import Spec
from storage import identity
from storage.errors import SpecError
from storage.plugins import nearest
from tasks.distillation import capacity_gap
from tasks.export import make
from tasks.score.answers import Shown
from tasks.score.registry import SCORERS
from tasks.teachers.options import TeacherOptions

FOLDER = "transformers"
"""The provider that runs a model's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A teacher that is to score."""

    options: TeacherOptions
    """The spec's, or what a folder's would be."""
    number: int | None
    """Its number in the spec; None where it isn't in it."""


def chosen(spec: Spec, path: Path, name: str) -> Chosen:
    """Return the teacher of that name, or else what runs the model in that folder. Raise SpecError where there is neither."""
    for number, teacher in enumerate(spec.teachers):
        if teacher.name == name:
            return Chosen(options=teacher, number=number)
    if (Path(name).expanduser() / "config.json").is_file():
        called = re.sub(r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+", "-", Path(name).name).strip("-.") or "student"
        return Chosen(options=TeacherOptions(name=called, provider=FOLDER, model=name, draw=False), number=None)
    known = [teacher.name for teacher in spec.teachers]
    raise SpecError(f"{path}: no teacher is named {name!r}, and it's no model's folder; {nearest(name, known)}")


def check(spec: Spec, path: Path, name: str, *, where: str) -> None:
    """Raise SpecError where nobody has that name, or who has it can't score. `where`: the place in the spec."""
    try:
        options = chosen(spec, path, name).options
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    if options.provider not in SCORERS.names():
        raise SpecError(f"{path}: {where}: teacher {name!r} can't score: its provider is {options.provider!r}")


def gaps(spec: Spec) -> list[str]:
    """Return a line for each teacher that is far larger, or smaller, than a student that the spec names by its folder."""
    named = [str(export.own["tokenizer"]) for export in spec.exports if "tokenizer" in export.own]
    if spec.select.student_loss is not None:
        name = spec.select.student_loss.student
        own = {teacher.name: teacher.model for teacher in spec.teachers if teacher.provider == FOLDER}
        named.append(own.get(name, name))
    teachers = {teacher.name: teacher.parameters for teacher in spec.drawing}
    return [line for name in dict.fromkeys(named) for line in capacity_gap.told(teachers, Path(name).expanduser())]


def shown(spec: Spec, path: Path, name: str) -> Shown | None:
    """Return how a scorer is to be shown reasoning: as those exports do that want its scores, and the selection by its loss.

    None where the spec wants neither. Raise SpecError where they differ.
    """
    wanted: dict[Shown, str] = {}
    for number, export in enumerate(spec.exports):
        form = make(export, where=f"exports[{number}]")
        if getattr(form, "scores", None) == name:
            wanted.setdefault(getattr(form, "reasoning", "omit"), f"exports[{number}]")
    student = spec.select.student_loss
    if student is not None and student.student == name:
        wanted.setdefault(student.reasoning, "select.student_loss")
    if len(wanted) > 1:
        told = ", ".join(f"{place}: {how}" for how, place in wanted.items())
        raise SpecError(f"{path}: {name!r} is to score reasoning in several forms ({told}); say which with --reasoning")
    return next(iter(wanted), None)


def print_of(options: TeacherOptions, identity_: Mapping[str, Any], top: int) -> str:
    """Return the address under which a teacher's scores of samples without reasoning are stored."""
    return identity.scorer(provider=options.vendor, model=options.model, identity=identity_, top=top)


async def fingerprints(spec: Spec, path: Path, name: str, tops: Sequence[int], reasoning: Shown) -> list[str]:
    """Return the addresses of what a teacher has scored with so many alternatives, of any sample. Nobody is asked."""
    found = chosen(spec, path, name)
    async with wiring.open_scorer(found.options, path, found.number, top=0, keys=False) as made:
        bare = [print_of(found.options, made[0].teacher.identity, top) for top in tops]
    return [*bare, *(identity.showing(each, reasoning) for each in bare)]
