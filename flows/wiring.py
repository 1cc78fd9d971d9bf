"""From a spec to objects: prompts, benchmarks, and teachers with their keys, limits and desks."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from flows.loading import placed, where, within
from flows.spec import Spec
from storage.errors import SetupError, SourceError, SpecError
from storage.identity import address
from storage.intents import Intents
from storage.plugins import nearest
from storage.variables import shown
from storage.workspace import Workspace
from tasks import outcomes
from tasks.asking.ask import Desk
from tasks.asking.line import open_line
from tasks.asking.pace import Cell
from tasks.batches.batch import BatchDesk
from tasks.decontaminate import Decontamination
from tasks.draw import Budget
from tasks.duplicates.embedding import Embedder, load
from tasks.growth.growing import Growing
from tasks.prepare import Asked, Prepared, prepare
from tasks.score.as_teacher import ScoringTeacher
from tasks.score.registry import SCORERS
from tasks.sources import Found, read_prompts
from tasks.stop import Stop
from tasks.teachers import registry
from tasks.teachers.batches import BatchTeacher
from tasks.teachers.discreet import Discreet, hiding
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Particular, Personal, Teacher
from tasks.teachers.registry import KEYS, TEACHERS, Maker
from tasks.templates import Template


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A teacher with what it was made of."""

    teacher: Teacher | BatchTeacher
    """Who answers."""
    options: TeacherOptions
    """Its own, or its replica's."""
    account: str | None
    """What its limits belong to; None: to it alone, since it asks nobody."""


def read(spec: Spec, stop: Stop | None = None, grown: Mapping[int, Growing] | None = None) -> Iterator[Found]:
    """Yield the prompts of all sources. The gate must have let them through. Raise what a run is told to stop for.

    `grown`: by the number of a source, what yields its prompts and those that were grown from them. Without it: seeds alone.
    """
    for number in range(len(spec.prompts)):
        growing = grown.get(number) if grown else None
        for found in growing.found() if growing is not None else read_source(spec, number):
            if stop is not None:
                stop.check()
            yield found


def read_source(spec: Spec, number: int) -> Iterator[Found]:
    """Yield the prompts of one source. Raise what is wrong with it, with its place in the spec."""
    source = spec.prompts[number]
    with within(f"prompts[{number}].source"):
        yield from read_prompts(source, license=source.license, seed=spec.seed)


def heldout(spec: Spec, path: Path, say: Callable[[str], None], stop: Stop | None = None) -> Decontamination | None:
    """Read the spec's benchmarks, where it has any. Raise what they and a contaminated template raise."""
    if not spec.decontaminate:
        return None
    with placed(path):
        found = Decontamination(
            spec.decontaminate,
            seed=spec.seed,
            check=stop.check if stop is not None else lambda: None,
            where="decontaminate[{}].source".format,
        )
        found.check_template(dict(spec.template.texts), where=str(path))
    for line in found.lines():
        say(f"decontaminate: {line}")
    return found


def check_teachers(spec: Spec, path: Path) -> None:
    """Raise SpecError where a provider is unknown."""
    for number, options in enumerate(spec.teachers):
        _maker(options, path, number)


def check_machine(spec: Spec, path: Path, judges: Iterable[str] = ()) -> None:
    """Raise SetupError where this machine lacks what a provider needs that is to draw, to grow prompts or to judge."""
    if spec.runner is not None and spec.runner.elsewhere:
        return
    asked = (
        {teacher.name for teacher in spec.drawing} | {source.grow.teacher for source in spec.prompts if source.grow} | {*judges}
    )
    for number, options in enumerate(spec.teachers):
        if options.name in asked:
            try:
                registry.check_machine(options)
            except SetupError as error:
                raise SetupError(f"{where(path, ('teachers', number))}: {error}") from None


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
                make = _maker(options, path, number)
                with _of_teacher(path, number), hiding(key):
                    teacher = await asyncio.to_thread(make, options, api_key=key)
                # A batch teacher is an SDK's, and hides its key itself.
                guarded = Discreet(teacher, key) if key and not isinstance(teacher, BatchTeacher) else teacher
                stack.push_async_callback(guarded.aclose)
                made[-1].append(Connected(teacher=guarded, options=options, account=_account(options, key)))
                if isinstance(teacher, Particular):
                    _check_sampling(teacher, spec, path, number)
        yield made


@contextlib.contextmanager
def _of_teacher(path: Path, number: int) -> Iterator[None]:
    """Name the place in the spec where a teacher can't be made of what it says."""
    try:
        yield
    except (SpecError, SourceError, SetupError) as error:
        place = ("teachers", number, "path") if isinstance(error, SourceError) else ("teachers", number)
        raise type(error)(f"{where(path, place)}: {error}") from error


@contextlib.asynccontextmanager
async def open_scorer(
    options: TeacherOptions, path: Path, number: int | None, *, top: int, keys: bool
) -> AsyncIterator[list[Connected]]:
    """Give the scorers of a teacher's replicas, each as a teacher that answers with what is given, and close them.

    `number` is the teacher's in the spec; None where it isn't in it. Raise SpecError where its provider can't score.
    """
    try:
        make = SCORERS.find(options.provider)
    except KeyError:
        place = where(path, ("teachers", number, "provider")) if number is not None else f"teacher {options.name!r}"
        raise SpecError(
            f"{place}: {options.provider!r} gives no log-probabilities of a text; known to do so: {', '.join(SCORERS.names())}"
        ) from None
    async with contextlib.AsyncExitStack() as stack:
        made: list[Connected] = []
        for line in options.lines:
            key = _key(line, path, number or 0, needed=keys)
            with hiding(key):
                scoring = ScoringTeacher(await asyncio.to_thread(make, line, api_key=key), top)
            guarded = Discreet(scoring, key) if key else scoring
            stack.push_async_callback(guarded.aclose)
            made.append(Connected(teacher=guarded, options=line, account=_account(options, key)))
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
    return one_by_one(options, made, stop)


def answered_before(desks: Iterable[Desk | BatchDesk]) -> None:
    """Tell desks that an earlier run got answers of their teachers."""
    for desk in desks:
        if isinstance(desk, BatchDesk):
            desk.known = True
        else:
            for line in desk.lines:
                line.breaker.answered_before = True


def recall(spec: Spec, workspace: Workspace, desks: Mapping[str, Desk | BatchDesk]) -> None:
    """Tell desks whether an earlier run got answers of their teachers. `open_slots` must be there."""
    answered_before(desks[spec.arms[arm].teacher.name] for arm in outcomes.arms_here(workspace))


def one_by_one(
    options: TeacherOptions, made: Sequence[Connected], stop: Stop, cells: Callable[[str], tuple[Cell, Cell]] | None = None
) -> Desk:
    """Return the desk of a teacher that is asked by single requests. Needs a running event loop.

    `cells` hold an account's rates in this process, where somebody says which part of them is its own (`Limiter.allot`).
    """
    lines = [
        open_line(each.teacher, each.options, account=each.account, cells=cells(each.account) if cells and each.account else None)
        for each in made
        if not isinstance(each.teacher, BatchTeacher)
    ]
    return Desk(options, lines, stop)


def _account(options: TeacherOptions, key: str | None) -> str | None:
    """Return a name for whatever counts requests at the other end: an account's use of one model."""
    if options.provider == "simulate":
        return None
    return address([options.provider, options.base_url, options.model, sha256((key or "").encode()).hexdigest()])


def _check_sampling(teacher: Particular, spec: Spec, path: Path, number: int) -> None:
    options = spec.teachers[number]
    if options.draw:
        try:
            teacher.check(spec.sampling.parameters())
        except SpecError as error:
            raise SpecError(f"{where(path, ('teachers', number))}: {error}") from None
    for place, source in enumerate(spec.prompts):
        if source.grow is not None and source.grow.teacher == options.name:
            try:
                teacher.check(source.grow.parameters())
            except SpecError as error:
                raise SpecError(f"{where(path, ('prompts', place, 'grow'))}: {error}") from None


def _maker(options: TeacherOptions, path: Path, number: int) -> Maker:
    try:
        return TEACHERS.find(options.provider)
    except KeyError:
        place = where(path, ("teachers", number, "provider"))
        raise SpecError(
            f"{place}: unknown provider {options.provider!r}; {nearest(options.provider, TEACHERS.names())}"
        ) from None


def unset_keys(spec: Spec) -> Iterator[str]:
    """Yield a line for each key that a build will want and that isn't here: whoever looks at noon needn't learn it at night."""
    for options in spec.teachers:
        for variable in dict.fromkeys(filter(None, map(_variable, options.lines))):
            if not os.environ.get(variable):
                missing = f"the environment variable {shown(variable)} is not set, or empty"
                yield f"teacher {options.name!r}: {missing}; a build needs it"


def _variable(options: TeacherOptions) -> str | None:
    """Return the name of the environment variable that holds a teacher's key; None where it needs none."""
    if options.api_key_env is None and options.base_url is None:
        return KEYS.get(options.vendor)
    return options.api_key_env


def _key(options: TeacherOptions, path: Path, number: int, *, needed: bool) -> str | None:
    variable = _variable(options)
    key = os.environ.get(variable) if variable else None
    if needed and variable and not key:
        place = where(path, ("teachers", number, "api_key_env"))
        raise SpecError(f"{place}: the environment variable {shown(variable)} is not set, or empty")
    if key and not (key.isascii() and key.isprintable() and key == key.strip()):
        place = where(path, ("teachers", number, "api_key_env"))
        raise SpecError(f"{place}: the key in {variable} has a character that no key has (a line break, or one beyond ASCII)")
    return key


def asked(spec: Spec, made: Sequence[Sequence[Connected]]) -> list[Asked]:
    """Return what each of the spec's arms adds to a request's address."""
    found = {options.name: _asked(options, lines) for options, lines in zip(spec.teachers, made, strict=True)}
    return [dataclasses.replace(found[arm.teacher.name], strategy=arm.strategy) for arm in spec.arms]


def _asked(options: TeacherOptions, lines: Sequence[Connected]) -> Asked:
    teacher = lines[0].teacher
    by_id = teacher.answers_by_id if isinstance(teacher, Personal) else None
    return Asked(provider=options.vendor, model=options.model, identity=teacher.identity, by_id=by_id)


def growing(
    spec: Spec, workspace: Workspace, made: Sequence[Sequence[Connected]], heldout: Decontamination | None
) -> dict[int, Growing]:
    """Return what grows prompts, by the number of the source."""
    found = {}
    for number, source in enumerate(spec.prompts):
        if source.grow is not None:
            whose, teacher = spec.teacher(source.grow.teacher)
            found[number] = Growing(
                workspace=workspace,
                number=number,
                source=source,
                teacher=teacher,
                asked=_asked(teacher, made[whose]),
                seed=spec.seed,
                licenses=spec.licenses,
                heldout=heldout,
            )
    return found


def template(spec: Spec, path: Path) -> Template:
    """Return the compiled template. Raise SpecError where a text doesn't parse."""
    with placed(path):
        return Template(spec.template, where=str(path), seed=spec.seed)


def prepared(
    spec: Spec,
    path: Path,
    workspace: Workspace,
    made: Sequence[Sequence[Connected]],
    *,
    stop: Stop | None = None,
    grown: Mapping[int, Growing] | None = None,
) -> Prepared:
    """Stage a spec's prompts, those that were `grown` among them, and what its teachers would be asked for; return the counts."""
    prompts, asks, sampling = read(spec, stop, grown), asked(spec, made), spec.sampling
    with placed(path), workspace.sparing():
        return prepare(workspace, prompts, template(spec, path), asks, sampling.parameters(), sampling.k)


def embedder(spec: Spec, path: Path) -> Embedder | None:
    """Return the model by which the traces' likeness is taken; None where the spec names none. Raise SetupError without it."""
    guarded = spec.guard.min_diversity
    compared = load(spec.dedup.semantic.model, what=f"{path}: dedup.semantic.model") if spec.dedup.semantic else None
    return load(guarded.model, what=f"{path}: guard.min_diversity.model") if guarded and guarded.model else compared
