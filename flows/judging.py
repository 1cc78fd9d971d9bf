"""From a spec's `verify` to verifiers, and from the judges among them to the teachers that they ask."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.asker import DeskAsker
from flows.loading import problem, where
from flows.spec import Spec, VerifierEntry
from storage.answers import Answers
from storage.errors import SetupError, SpecError
from storage.identity import address, fingerprint
from storage.plugins import nearest
from storage.variables import shown
from tasks.asking.ask import Desk
from tasks.batches.batch import BatchDesk
from tasks.draw import Budget, Spending
from tasks.problems import Location
from tasks.stop import Stop
from tasks.teachers.namesakes import one_model
from tasks.verify import Named, Rule
from verifiers.making import make
from verifiers.parts import Combinator
from verifiers.protocol import Identified, NeedsTeacher, Together, Verifier, deciding, goes_by_prompt


def make_verifiers(spec: Spec, path: Path) -> list[Named]:
    """Return the spec's verifiers. A judge among them can't ask yet: see `with_desks`."""
    made = [_verifier(entry, spec, path, number) for number, entry in enumerate(spec.verify)]
    for number, named in enumerate(made):
        if isinstance(named.verifier, Together):
            _check_together(named.name, spec, path, number)
    return made


def _check_together(name: str, spec: Spec, path: Path, number: int) -> None:
    """Raise SpecError where a verifier that judges samples together can't have them all."""
    if spec.sampling.k == 1:
        place = where(path, ("verify", number))
        raise SpecError(f"{place}: {name} compares the samples of a prompt with each other: set sampling.k to 2 or more")
    for option in ("adaptive", "cascade"):
        if getattr(spec.sampling, option):
            place = where(path, ("verify", number))
            raise SpecError(
                f"{place}: {name} judges a prompt's samples together once all are drawn, and sampling.{option} decides by "
                "verdicts what is drawn: leave one of them out"
            )


def _verifier(entry: VerifierEntry, spec: Spec, path: Path, number: int) -> Named:
    try:
        made = make(entry.use, entry.options)
    except ValidationError as error:
        location, message = problem(error)
        raise SpecError(f"{where(path, ('verify', number, *location))}: {message}") from error
    decides = _decides(made, spec, path, ("verify", number))
    try:
        print_ = fingerprint(verifier=entry.use, version=made.version, options=decides)
    except TypeError as error:
        raise SetupError(
            f"{where(path, ('verify', number))}: {entry.use!r} has an option that has no address: {error}"
        ) from error
    return Named(name=entry.use, version=made.version, fingerprint=print_, verifier=made)


def _decides(made: Verifier, spec: Spec, path: Path, location: Location) -> dict[str, Any]:
    """Return all that decides a verifier's verdicts, by name. Raise SpecError where it asks a teacher that can't judge."""
    found = deciding(made)
    if isinstance(made, Identified) and callable(made.identity):  # an option may be called so
        found |= made.identity()
    if isinstance(made, Combinator):
        found["of"] = [
            [part.use, part.verifier.version, _decides(part.verifier, spec, path, (*location, "of", number))]
            for number, part in enumerate(made.of)
        ]
        return found
    # Who judges decides the verdict; what the spec happens to call it doesn't.
    identities = {name: _judging(name, made, spec, path, location) for name in asks(made)}
    told: set[str] = set()
    if (name := found.get("teacher")) in identities:
        found["teacher"] = identities[name]
        told.add(name)
    if "teachers" in found and set(found["teachers"]) <= identities.keys():
        told |= set(found["teachers"])
        found["teachers"] = sorted((identities[name] for name in found["teachers"]), key=address)
    if others := {name: identity for name, identity in identities.items() if name not in told}:
        found["asks"] = others
    return found


def asks(verifier: Verifier) -> tuple[str, ...]:
    """Return the names of the teachers that a verifier asks; none for most."""
    return verifier.asks if isinstance(verifier, NeedsTeacher) else ()


def _judging(name: str, made: Verifier, spec: Spec, path: Path, location: Location) -> list[Any]:
    """Return what identifies a judging teacher. Raise SpecError where the spec has none of that name, or it can't judge."""
    judge = next((teacher for teacher in spec.teachers if teacher.name == name), None)
    panel: Sequence[str] = getattr(made, "teachers", ())
    place = where(path, (*location, *(("teachers", panel.index(name)) if name in panel else ("teacher",))))
    if judge is None:
        known = [teacher.name for teacher in spec.teachers]
        raise SpecError(f"{place}: no teacher is named {name!r}; {nearest(name, known)}")
    if judge.batched:
        raise SpecError(
            f"{place}: {judge.name!r} answers through batches, a day later; "
            "a judge must answer at once: name a teacher of another provider"
        )
    if judge.provider == "transformers":
        raise SpecError(f"{place}: {judge.name!r} can't be held to a judge's form; serve its model, and ask it by openai")
    identity = [judge.provider, judge.model, judge.extra_body]
    return identity if judge.api == "chat" else [*identity, judge.api]


def biased(spec: Spec, named: Sequence[Named]) -> Iterator[str]:
    """Yield a line for each verifier that has a model judge its own responses: it prefers them (Panickssery et al. 2024)."""
    own_of = {
        judge.name: drawing.name for judge in spec.teachers for drawing in reversed(spec.drawing) if one_model(judge, drawing)
    }
    for number, each in enumerate(named):
        asked = asks(each.verifier)
        own = [name for name in asked if name in own_of]
        if own:
            whose = ", ".join(f"{name!r} (the model of {own_of[name]!r})" for name in own)
            panel = f", {len(own)} of a panel of {len(asked)}," if len(asked) > 1 else ""
            yield (
                f"verify[{number}] ({each.name}): {whose}{panel} would judge what the same model draws, "
                "and models prefer their own responses: let another model judge"
            )


def undecided(spec: Spec, named: Sequence[Named]) -> Iterator[str]:
    """Yield a line for each verifier that decides by references or tests, where prompts are grown, which have none.

    Not where the spec lets others speak in its stead.
    """
    if not spec.growers:
        return
    require, by_reference = spec.select.require, [goes_by_prompt(each.verifier) for each in named]
    if require == "any" and not all(by_reference):
        return
    for number, each in enumerate(named):
        if by_reference[number] and (isinstance(require, str) or each.name in require):
            yield (
                f"verify[{number}] ({each.name}): decides by a prompt's reference or tests, and grown prompts have none: "
                "nothing of theirs would pass it; self_consistency and judge decide without, beside `select: {require: any}`"
            )


def unset_keys(named: Sequence[Named]) -> Iterator[str]:
    """Yield a line for each key of a verifier's own server that a build will want and that isn't here."""
    for number, each in enumerate(named):
        for variable in dict.fromkeys(_variables(each.verifier)):
            if not os.environ.get(variable):
                missing = f"the environment variable {shown(variable)} is not set, or empty"
                yield f"verify[{number}] ({each.name}): {missing}; a build needs it"


def _variables(made: Verifier) -> Iterator[str]:
    if isinstance(made, Combinator):
        for part in made.of:
            yield from _variables(part.verifier)
    elif isinstance(variable := getattr(made, "api_key_env", None), str):
        yield variable


def with_desks(
    named: Sequence[Named],
    spec: Spec,
    desks: Sequence[Desk | BatchDesk],
    spending: Spending,
    budget: Budget,
    stop: Stop,
    *,
    answers: Answers,
) -> list[Named]:
    """Return the verifiers with desks for those that ask teachers. What is among the `answers` isn't asked for again.

    Where one of them may not be asked any more today, what it was to judge waits, and the rest goes on: unless verdicts decide
    what is asked for next.
    """
    askers = {
        options.name: DeskAsker(desk, spending, budget, stop, answers, waits=not spec.sampling.early)
        for options, desk in zip(spec.teachers, desks, strict=True)
        if isinstance(desk, Desk)
    }
    return [
        dataclasses.replace(each, verifier=each.verifier.asking(askers)) if isinstance(each.verifier, NeedsTeacher) else each
        for each in named
    ]


def rule(spec: Spec, named: Sequence[Named]) -> Rule:
    """Return when a sample is accepted."""
    return Rule(require=spec.select.require, listed=tuple((each.name, each.fingerprint) for each in named))
