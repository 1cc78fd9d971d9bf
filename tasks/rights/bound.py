"""What binds a teacher: its terms, and the user's acknowledgements of those that forbid training other models.

An acknowledgement lifts the gate and nothing else: what is restricted stays so in every trace, with who answers for it beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import StringConstraints, model_validator

from storage.errors import LicenseRefused, SpecError
from storage.plugins import nearest
from tasks.options import Options
from tasks.rights.terms import SEPARATOR, Agreement, Terms, Training, ids
from tasks.teachers.options import Name

Said = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class Acknowledgement(Options):
    """One entry of `licenses.acknowledge`: somebody answers for training on what the terms don't allow it for."""

    teacher: Name | None = None
    """Whose terms: a teacher's, whichever they are."""
    terms: Said | None = None
    """Or the terms' id, whoever is bound by them."""
    who: Said
    """Who answers for it."""
    why: Said
    """Why it is in order."""
    agreement: Said
    """The agreement that it rests on: a contract, a written permission, or the clause that it falls under."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.teacher is None) == (self.terms is None):
            raise ValueError("needs either `teacher` or `terms`, which says whose it is")
        return self

    def line(self, terms: str) -> str:
        """Return what stands in the column `acknowledgement` for these terms."""
        return f"{terms}: {' '.join(self.why.split())} ({' '.join(self.who.split())}, {' '.join(self.agreement.split())})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The terms of one teacher."""

    teacher: str
    """Its name in the spec."""
    agreements: tuple[Agreement, ...] = ()
    """All that bind it; often none."""
    acknowledged: dict[str, Acknowledgement] = field(default_factory=dict)
    """By the id of a restricted one."""

    @property
    def terms(self) -> str | None:
        """Return the column `terms`."""
        return ids(self.agreements)

    @property
    def training(self) -> Training:
        """Return whether other models may be trained on its output: what the strictest says."""
        return strictest(each.training for each in self.agreements)

    @property
    def acknowledgement(self) -> str | None:
        """Return the column `acknowledgement`; None where nothing had to be acknowledged."""
        return "; ".join(given.line(name) for name, given in self.acknowledged.items()) or None

    @property
    def refused(self) -> tuple[Agreement, ...]:
        """Return the agreements that forbid it, and that nobody has acknowledged."""
        return tuple(each for each in self.agreements if each.training == "restricted" and each.id not in self.acknowledged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What binds prompts that come from another lake's dataset: they, or what they were made of, may be a model's text."""

    source: str
    """As the spec names it."""
    terms: str | None
    """The terms under which they are, as in the column `terms`, each once; None where a model had no part in them."""
    acknowledgement: str | None
    """The column `acknowledgement`, likewise."""
    training: Training
    """Whether other models may be trained on them: what the strictest of them says."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Whose work they are: the sources of that dataset and, where responses are prompts here, its teachers and texts, as in its
    manifest's `licensing`."""


def joined(separator: str, *columns: str | None) -> str | None:
    """Return columns of several ids or lines as one, each part once."""
    parts = dict.fromkeys(part for column in columns if column for part in column.split(separator))
    return separator.join(parts) or None


def strictest(uses: Iterable[str]) -> Training:
    """Return what holds for training where all of these do."""
    said = set(uses)
    return "restricted" if "restricted" in said else "unknown" if "unknown" in said else "allowed"


def freest(uses: Iterable[str]) -> Training:
    """Return what holds for training where whoever trains chooses one of these."""
    said = set(uses)
    return "allowed" if "allowed" in said else "unknown" if "unknown" in said else "restricted"


def bind(teacher: str, agreements: Sequence[Agreement], given: Sequence[Acknowledgement]) -> Bound:
    """Return what binds a teacher, with the first acknowledgement of each agreement that forbids training."""
    found = {}
    for each in agreements:
        own = next((one for one in given if one.terms == each.id or one.teacher == teacher), None)
        if each.training == "restricted" and own is not None:
            found[each.id] = own
    return Bound(teacher=teacher, agreements=tuple(agreements), acknowledged=found)


def check_acknowledged(given: Sequence[Acknowledgement], terms: Terms, teachers: Sequence[str], *, where: str) -> None:
    """Raise SpecError where an acknowledgement is of a teacher or of terms that there aren't."""
    for number, each in enumerate(given):
        place = f"{where}: licenses.acknowledge[{number}]"
        if each.terms is not None:
            terms.find(each.terms, what=f"{place}.terms")
        elif each.teacher not in teachers:
            raise SpecError(f"{place}.teacher: no teacher is named {each.teacher!r}; {nearest(str(each.teacher), teachers)}")


def gate_terms(bounds: Sequence[Bound]) -> None:
    """Raise LicenseRefused where a teacher's terms forbid training other models, and nobody has acknowledged them."""
    for bound in bounds:
        for each in bound.refused:
            raise LicenseRefused(
                f"teacher {bound.teacher!r} is under {_named(each)}, which restricts training other models: {each.clause} "
                f"See {each.url or 'its text'}. If you may all the same, say who answers for it, why, and by which agreement: "
                f"licenses: {{acknowledge: [{{terms: {each.id}, who: …, why: …, agreement: …}}]}}"
            )


def covers(acknowledgement: str | None, terms: str) -> bool:
    """Whether a trace's column `acknowledgement` speaks of these terms."""
    return acknowledgement is not None and f"; {terms}: " in f"; {acknowledgement}"


def split(terms: str | None) -> list[str]:
    """Return the ids in a trace's column `terms`."""
    return [] if terms is None else terms.split(SEPARATOR)


def _named(agreement: Agreement) -> str:
    version = f" of {agreement.as_of:%Y-%m-%d}" if agreement.as_of else ""
    section = f", {agreement.section}" if agreement.section else ""
    return f"{agreement.name}{version}{section}"
