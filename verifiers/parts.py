"""What verifiers have in common that consist of others: their parts, and how a decision walks through them.

A combinator says in `decide` which part it wants to hear next and what follows from all that it heard. Whether a part is plain,
works in a process of its own or waits for a judge is no matter of the combinator's.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Generator, Mapping
from contextvars import ContextVar
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, ClassVar, cast

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema, to_jsonable_python

from storage.records import Prompt, Sample
from verifiers import running
from verifiers.making import make
from verifiers.protocol import Asker, Brought, Finding, NeedsMachine, NeedsTeacher, Together, Verifier, ways_of_prompt

MAX_DEPTH = 50
"""Of parts within parts: far beyond any sense, and far within what Python's own stack bears."""
_DEPTH: ContextVar[int] = ContextVar("depth", default=0)


class Part:
    """A verifier within another: `{use: NAME, …options}`."""

    __slots__ = ("use", "verifier")

    def __init__(self, use: str, verifier: Verifier) -> None:
        self.use = use
        self.verifier = verifier

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and (self.use, self.verifier) == (other.use, other.verifier)

    def __hash__(self) -> int:
        return hash(self.use)

    def __repr__(self) -> str:
        return f"Part({self.use!r}, {self.verifier!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(cls._written)
        return core_schema.no_info_plain_validator_function(cls._read, serialization=written)

    @classmethod
    def _read(cls, value: object) -> Part:
        if isinstance(value, Part):
            return value
        if not isinstance(value, Mapping) or not isinstance(use := value.get("use"), str):
            raise ValueError("must be a verifier: {use: NAME, …options}")  # noqa: TRY004 - pydantic wants a ValueError
        if (depth := _DEPTH.get()) >= MAX_DEPTH:
            raise ValueError(f"stands within {depth} others, and no deeper than that is read")
        outer = _DEPTH.set(depth + 1)
        try:
            verifier = make(use, {name: option for name, option in value.items() if name != "use"})
        finally:
            _DEPTH.reset(outer)
        if isinstance(verifier, Together):
            raise ValueError(f"{use} judges all samples of a prompt together: list it by itself")  # noqa: TRY004 - as above
        return Part(use, verifier)

    def _written(self) -> dict[str, Any]:
        return {"use": self.use} | cast("dict[str, Any]", to_jsonable_python(self.verifier))


def _some(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    if not parts:  # pydantic's own bound also counts a part that is wrong as missing
        raise ValueError("needs at least one verifier")
    return parts


Parts = Annotated[tuple[Part, ...], AfterValidator(_some)]


class Combinator(ABC):
    """The base of a verifier that consists of others: a subclass is decorated like any verifier, and has the field `of`."""

    of: Parts
    isolated: ClassVar[bool] = False  # its parts say for themselves
    limit_s: ClassVar[float] = 60

    @abstractmethod
    def decide(self) -> Generator[Part, Finding, Finding]:
        """Yield the parts that are to check, one after the other, being sent what each found, and return what follows."""

    @cached_property
    def waits(self) -> bool:
        """Whether one of the parts is awaited on the event loop."""
        return any(running.waits(part.verifier) for part in self.of)

    def check(self, prompt: Prompt, sample: Sample) -> Finding | Awaitable[Finding]:
        """Hear the parts. Raise what `running.run` and `running.wait` raise."""
        return self._wait(prompt, sample) if self.waits else self._run(prompt, sample)

    def _run(self, prompt: Prompt, sample: Sample) -> Finding:
        deciding = self.decide()
        try:
            part = next(deciding)
            while True:
                part = deciding.send(running.run(part.use, part.verifier, prompt, sample))
        except StopIteration as decided:
            return cast("Finding", decided.value)

    async def _wait(self, prompt: Prompt, sample: Sample) -> Finding:
        deciding = self.decide()
        try:
            part = next(deciding)
            while True:
                part = deciding.send(await running.wait(part.use, part.verifier, prompt, sample))
        except StopIteration as decided:
            return cast("Finding", decided.value)

    def ready(self) -> None:
        """Raise SetupError where a part lacks something of this machine."""
        for part in self.of:
            if isinstance(part.verifier, NeedsMachine):
                part.verifier.ready()

    @property
    def ways_of_prompt(self) -> frozenset[frozenset[Brought]]:
        """What all of its parts need: one that is undecided leaves no response passed."""
        ways = frozenset({frozenset[Brought]()})
        for part in self.of:
            ways = frozenset(one | other for one in ways for other in ways_of_prompt(part.verifier))
        return ways

    @property
    def asks(self) -> tuple[str, ...]:
        """The names of the teachers that its parts ask."""
        asked = (part.verifier.asks for part in self.of if isinstance(part.verifier, NeedsTeacher))
        return tuple(dict.fromkeys(chain.from_iterable(asked)))

    def asking(self, askers: Mapping[str, Asker]) -> Verifier:
        """Return the same combinator, whose parts have whom to ask."""
        parts = tuple(
            Part(part.use, part.verifier.asking(askers)) if isinstance(part.verifier, NeedsTeacher) else part for part in self.of
        )
        return cast("Verifier", dataclasses.replace(cast("Any", self), of=parts))

    def told(self, part: Part, finding: Finding) -> Finding:
        """Return a part's finding as the whole's, whose reason names the part."""
        return dataclasses.replace(finding, reason=f"{self.label(part)}: {finding.reason or _BARE[finding.passed]}")

    def label(self, part: Part) -> str:
        """Return a part's name, with its number where there are two of that name."""
        if Counter(each.use for each in self.of)[part.use] == 1:
            return part.use
        return f"{part.use} #{next(number for number, each in enumerate(self.of, start=1) if each is part)}"


_BARE = {True: "passed", False: "failed", None: "undecided"}


def score_of(finding: Finding) -> float | None:
    """Return a finding's score, which a part may leave out."""
    if finding.score is None and finding.passed is not None:
        return float(finding.passed)
    return finding.score
