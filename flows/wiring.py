"""From a spec to objects: teachers with their keys, verifiers with their teachers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.loading import problem, where
from flows.spec import Spec, VerifierEntry
from storage.answers import Answers
from storage.errors import SetupError, SpecError, VerifierError, Withheld
from storage.identity import address, fingerprint, request_key
from storage.intents import Intents
from storage.lake import Lake
from storage.plugins import nearest
from storage.records import Message
from tasks import mix
from tasks.ask import Desk
from tasks.batch import BatchDesk
from tasks.bound import Bound, Inherited, bind, check_acknowledged, joined
from tasks.decontaminate import Decontamination
from tasks.draw import Budget, Spending
from tasks.embedding import Embedder, load
from tasks.license import Licensed, LicenseOptions, effective
from tasks.licensing import bound_now, gate_row, inherit, merged, regate
from tasks.line import open_line
from tasks.prepare import Asked
from tasks.problems import Location
from tasks.snapshot import TeacherFacts
from tasks.sources import Found, read_prompts
from tasks.stop import Stop
from tasks.teachers.batches import BatchTeacher
from tasks.teachers.discreet import Discreet, hiding
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Particular, Request, Teacher, Usage
from tasks.teachers.registry import KEYS, TEACHERS, Maker
from tasks.terms import SEPARATOR, Agreement, Terms
from tasks.verify import ANSWERED, BILL, Named, Rule
from verifiers.making import make
from verifiers.parts import Combinator
from verifiers.protocol import Identified, NeedsTeacher, Together, Verifier, deciding

GENERATED = frozenset({"response", "reasoning", "answer"})
"""Columns of a trace that a model wrote."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A teacher with what it was made of."""

    teacher: Teacher | BatchTeacher
    """Who answers."""
    options: TeacherOptions
    """Its own, or its replica's."""
    account: str | None
    """What its limits belong to; None: to it alone, since it asks nobody."""


def licensed(spec: Spec) -> Iterator[Licensed]:
    """Yield what the licence gate judges."""
    for number, source in enumerate(spec.prompts):
        if source.license is None and source.licensed_by_row:
            continue  # each row has its own, and is barred by itself
        yield Licensed(what=f"prompts[{number}] ({source.source})", license=source.license)
    if spec.template.license is not None:
        yield Licensed(what="template", license=spec.template.license)
    for number, teacher in enumerate(spec.teachers):
        if teacher.draw:
            yield Licensed(what=f"teachers[{number}] ({teacher.name})", license=teacher.license)
    for number, export in enumerate(spec.exports):
        yield from mix.licensed(export.mix, where=f"exports[{number}].mix")


def read(spec: Spec, stop: Stop | None = None) -> Iterator[Found]:
    """Yield the prompts of all sources. The gate must have let them through. Raise what a run is told to stop for."""
    for source in spec.prompts:
        for found in read_prompts(source, license=source.license, seed=spec.seed):
            if stop is not None:
                stop.check()
            yield found


def heldout(spec: Spec, path: Path, say: Callable[[str], None], stop: Stop | None = None) -> Decontamination | None:
    """Read the spec's benchmarks, where it has any. Raise what they and a contaminated template raise."""
    if not spec.decontaminate:
        return None
    found = Decontamination(spec.decontaminate, seed=spec.seed, check=stop.check if stop is not None else lambda: None)
    template = {"template.system": spec.template.system, "template.user": spec.template.user}
    found.check_template({name: text for name, text in template.items() if text}, where=str(path))
    for line in found.lines():
        say(f"decontaminate: {line}")
    return found


def check_teachers(spec: Spec, path: Path) -> None:
    """Raise SpecError where a provider is unknown."""
    for number, options in enumerate(spec.teachers):
        _maker(options, path, number)


@contextlib.asynccontextmanager
async def open_teachers(spec: Spec, path: Path, *, keys: bool) -> AsyncIterator[list[list[Connected]]]:
    """Give the spec's teachers, in its order, each by its replicas, and close them.

    With `keys`, raise SpecError where a key isn't set.
    """
    wanted = [
        [(line, _key(line, path, number, needed=keys)) for line in options.lines] for number, options in enumerate(spec.teachers)
    ]
    async with contextlib.AsyncExitStack() as stack:
        made: list[list[Connected]] = []
        for number, lines in enumerate(wanted):
            made.append([])
            for options, key in lines:
                with hiding(key):
                    teacher = await asyncio.to_thread(_maker(options, path, number), options, api_key=key)
                # A batch teacher is an SDK's, and hides its key itself.
                guarded = Discreet(teacher, key) if key and not isinstance(teacher, BatchTeacher) else teacher
                stack.push_async_callback(guarded.aclose)
                made[-1].append(Connected(teacher=guarded, options=options, account=_account(options, key)))
                if options.draw and isinstance(teacher, Particular):
                    _check_sampling(teacher, spec, path, number)
        yield made


def open_desk(
    options: TeacherOptions,
    made: Sequence[Connected],
    stop: Stop,
    *,
    intents: Intents,
    budget: Budget,
    say: Callable[[str], None],
    board: dict[str, str],
) -> Desk | BatchDesk:
    """Return the desk of a teacher, with a line to each of its replicas. Needs a running event loop."""
    first = made[0].teacher
    if isinstance(first, BatchTeacher):
        return BatchDesk(options, first, stop, intents=intents, budget=budget, say=say, board=board)
    lines = [
        open_line(each.teacher, each.options, account=each.account) for each in made if not isinstance(each.teacher, BatchTeacher)
    ]
    return Desk(options, lines, stop)


def _account(options: TeacherOptions, key: str | None) -> str | None:
    """Return a name for whatever counts requests at the other end: an account's use of one model."""
    if options.provider == "simulate":
        return None
    return address([options.provider, options.base_url, options.model, sha256((key or "").encode()).hexdigest()])


def _check_sampling(teacher: Particular, spec: Spec, path: Path, number: int) -> None:
    try:
        teacher.check(spec.sampling.parameters())
    except SpecError as error:
        raise SpecError(f"{where(path, ('teachers', number))}: {error}") from None


def _maker(options: TeacherOptions, path: Path, number: int) -> Maker:
    try:
        return TEACHERS.find(options.provider)
    except KeyError:
        place = where(path, ("teachers", number, "provider"))
        raise SpecError(
            f"{place}: unknown provider {options.provider!r}; {nearest(options.provider, TEACHERS.names())}"
        ) from None


def _key(options: TeacherOptions, path: Path, number: int, *, needed: bool) -> str | None:
    variable = options.api_key_env
    if variable is None and options.base_url is None:
        variable = KEYS.get(options.vendor)
    key = os.environ.get(variable) if variable else None
    if needed and variable and not key:
        place = where(path, ("teachers", number, "api_key_env"))
        raise SpecError(f"{place}: the environment variable {variable} is not set, or empty")
    if key and not (key.isascii() and key.isprintable() and key == key.strip()):
        place = where(path, ("teachers", number, "api_key_env"))
        raise SpecError(f"{place}: the key in {variable} has a character that no key has (a line break, or one beyond ASCII)")
    return key


def asked(spec: Spec, made: Sequence[Sequence[Connected]]) -> list[Asked]:
    """Return what each drawing teacher adds to a request's address."""
    return [
        Asked(provider=options.vendor, model=options.model, identity=lines[0].teacher.identity)
        for options, lines in zip(spec.teachers, made, strict=True)
        if options.draw
    ]


def bounds(spec: Spec, path: Path, terms: Terms) -> list[Bound]:
    """Return what binds each drawing teacher. Raise SpecError where the spec names terms or teachers that there aren't."""
    given = spec.licenses.acknowledge
    check_acknowledged(given, terms, [teacher.name for teacher in spec.teachers], where=str(path))
    found = []
    for number, teacher in enumerate(spec.teachers):
        if not teacher.draw:
            continue
        if teacher.terms is not None:
            agreements: Sequence[Agreement] = (terms.find(teacher.terms, what=where(path, ("teachers", number, "terms"))),)
        else:
            urls = [line.base_url for line in teacher.lines]
            agreements = terms.of(provider=teacher.vendor, urls=urls, model=teacher.model)
        found.append(bind(teacher.name, agreements, given))
    return found


def inherited(spec: Spec, terms: Terms) -> list[Inherited]:
    """Return what binds prompts from other lakes: the terms of whoever wrote them, and whose work they are.

    Raise LicenseRefused where they could not be exported either, StorageError where there is no such build.
    """
    found = []
    for source in spec.prompts:
        if not source.of_lake:
            continue
        path, dataset = source.lake
        lake = Lake.at(path)
        build = lake.build(dataset, source.build)
        licensing = build.get("licensing", {})
        if source.take != "prompts" and set(source.fields.named) & GENERATED:
            traces = lake.snapshot("traces", dataset, build["build_id"])
            # Rows whose licence isn't allowed are barred one by one, and refuse nothing else.
            regate(traces, LicenseOptions(), terms, bound_now(build, terms))
            found.append(inherit(source.source, licensing, traces))
            continue
        for each in licensing.get("sources", ()):
            if "terms" in each:
                gate_row(each, terms, said=f"{source.source}: prompts of {each['source']}")
        found.append(inherit(source.source, licensing, None))
    return merged(found)


def credits_of(spec: Spec) -> dict[str, str]:
    """Return whom to credit for each source that has an attribution; several where its entries name several."""
    found: dict[str, dict[str, None]] = {}
    for source in spec.prompts:
        if source.attribution is not None:
            found.setdefault(source.source, {})[source.attribution] = None
    return {name: "; ".join(each) for name, each in found.items()}


def facts(
    spec: Spec, bounds: Sequence[Bound], licenses: Sequence[str], inherited: Sequence[Inherited] = ()
) -> list[TeacherFacts]:
    """Return what traces say of the drawing teachers, for prompts of these licences. The gate must have let them through."""
    return [
        TeacherFacts(
            name=teacher.name,
            license=str(teacher.license),
            terms=bound.terms,
            acknowledgement=bound.acknowledgement,
            generation=teacher.generation,
            inherited=[
                Inherited(
                    source=each.source,
                    terms=joined(SEPARATOR, bound.terms, each.terms),
                    acknowledgement=joined("; ", bound.acknowledgement, each.acknowledgement),
                    training=each.training,
                )
                for each in inherited
            ],
            effective={each: effective(each, str(teacher.license), terms=bound, text=spec.template.license) for each in licenses},
        )
        for teacher, bound in zip(spec.drawing, bounds, strict=True)
    ]


def make_verifiers(spec: Spec, path: Path) -> list[Named]:
    """Return the spec's verifiers. A judge among them can't ask yet: see `with_desks`."""
    made = [_verifier(entry, spec, path, number) for number, entry in enumerate(spec.verify)]
    for number, named in enumerate(made):
        if isinstance(named.verifier, Together):
            _check_together(named.name, spec, f"{where(path, ('verify', number))}")
    return made


def _check_together(name: str, spec: Spec, place: str) -> None:
    """Raise SpecError where a verifier that judges samples together can't have them all."""
    if spec.sampling.k == 1:
        raise SpecError(f"{place}: {name} compares the samples of a prompt with each other: set sampling.k to 2 or more")
    for option in ("adaptive", "cascade"):
        if getattr(spec.sampling, option):
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
    identity = [judge.provider, judge.model, judge.extra_body]
    return identity if judge.api == "chat" else [*identity, judge.api]


def embedder(spec: Spec, path: Path) -> Embedder | None:
    """Return the model by which the traces' likeness is taken; None where the spec names none. Raise SetupError without it."""
    guarded = spec.guard.min_diversity
    compared = load(spec.dedup.semantic.model, what=f"{path}: dedup.semantic.model") if spec.dedup.semantic else None
    return load(guarded.model, what=f"{path}: guard.min_diversity.model") if guarded and guarded.model else compared


def biased(spec: Spec, named: Sequence[Named]) -> Iterator[str]:
    """Yield a line for each verifier that has a model judge its own responses: it prefers them (Panickssery et al. 2024)."""
    drawing = {(teacher.vendor, teacher.model): teacher.name for teacher in spec.drawing}
    judging = {teacher.name: (teacher.vendor, teacher.model) for teacher in spec.teachers}
    for number, each in enumerate(named):
        asked = asks(each.verifier)
        own = [name for name in asked if judging[name] in drawing]
        if own:
            whose = ", ".join(f"{name!r} (the model of {drawing[judging[name]]!r})" for name in own)
            panel = f", {len(own)} of a panel of {len(asked)}," if len(asked) > 1 else ""
            yield (
                f"verify[{number}] ({each.name}): {whose}{panel} would judge what the same model draws, "
                "and models prefer their own responses: let another model judge"
            )


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
    """Return the verifiers with desks for those that ask teachers. What is among the `answers` isn't asked for again."""
    askers = {
        options.name: _DeskAsker(desk, spending, budget, stop, answers)
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


@dataclasses.dataclass(frozen=True, slots=True)
class _DeskAsker:
    """A judge's way to its teacher: through the same limits and retries as any request, and on the same bill."""

    desk: Desk
    spending: Spending
    budget: Budget
    stop: Stop
    answers: Answers

    async def ask(self, messages: Sequence[Message], *, schema: dict[str, Any]) -> str:
        """Ask at temperature 0 for JSON by the schema."""
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
        parameters = {"temperature": 0, "response_format": form}
        request = Request(prompt_id="judge", messages=tuple(messages), parameters=parameters)
        options = self.desk.options
        key = request_key(
            provider=options.provider,
            model=options.model,
            messages=request.messages,
            parameters=parameters,
            identity={"extra_body": options.extra_body, "api": options.api, "path": options.path},
        )
        if (known := self.answers.get(key)) is not None:
            return known
        try:
            answer = await self.desk.ask(request, may_send=lambda: self.budget.left, billed=self._bill)
        except Withheld:
            if not self.stop:
                self.stop.set(self.budget.exhausted())
            raise
        choice = answer.completion.choices[0]
        if not choice.response:
            raise VerifierError(f"the judge gave no answer (finish_reason {choice.finish_reason})")
        ANSWERED.get()[key] = choice.response
        return choice.response

    def _bill(self, usage: Usage) -> None:
        BILL.get().append(self.spending.bill(usage, self.desk.options, self.budget))
