"""What a verifier is: a frozen dataclass whose fields are its YAML options, and one method, `check`.

    @verifier(version="1")
    class Contains:
        \"\"\"Passes a response that has `text` in it.\"\"\"

        text: str
        \"\"\"What must be there.\"\"\"

        def check(self, prompt: Prompt, sample: Sample) -> bool:
            return self.text in sample.response

`check` runs in a worker process, which is killed where it takes longer than `limit_s`: a check that hangs or crashes is an
undecided verdict, and disturbs no other. With `isolated=False`, for what is quick on any input or keeps limits of its own, it
is called in a thread of the build, several at once. With `pure=True`, for what follows from options, prompt and sample alone and
does nothing else, a worker is handed many checks at a time; one that comes to no good end there is made once more as above.

A verifier that waits for another server may make it a coroutine, `async def check`, which runs on the event loop. What it raises
as `VerifierError` becomes an undecided verdict with that reason; so does any other exception, with its traceback in the log. A
`TeacherError` of the judge's own teacher, or of another server that gives scores, becomes no verdict at all: the sample isn't
accepted, and the next build judges it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeVar, dataclass_transform, runtime_checkable

from pydantic import ConfigDict

from storage.records import Message, Prompt, Sample


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found."""

    passed: bool | None
    """None: could not decide."""
    reason: str = ""
    """Why, in one line for a person."""
    score: float | None = None
    """0 … 1. Left out: 1 for passed, 0 for failed, None for undecided."""
    answer: str | None = None
    """The final answer that was found in the response, where that has a meaning."""


Checked = Finding | bool | None


@runtime_checkable
class Verifier(Protocol):
    """The protocol. `@verifier` sets what isn't a method; the registry knows the name."""

    version: ClassVar[str]
    """Its own version."""

    isolated: ClassVar[bool]
    """Whether a check runs in a process of its own."""
    limit_s: ClassVar[float]
    """Seconds by the clock that a check in a process of its own may take."""

    def check(self, prompt: Prompt, sample: Sample) -> Checked | Awaitable[Checked]:
        """Judge one sample."""
        ...


@runtime_checkable
class Together(Protocol):
    """A verifier that judges all samples of a prompt and a teacher together, once they are drawn: a vote, say."""

    def check_together(self, prompt: Prompt, samples: Sequence[Sample]) -> Sequence[Checked]:
        """Judge samples of one prompt, in the order of their indices. Return as many findings, in the same order."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A response that a verifier is tried on before anything is spent."""

    response: str
    """What is judged."""
    kind: Literal["right", "wrong", "empty"]
    """right: must pass; wrong: must fail; empty: should fail, or what the prompt brings decides nothing."""


@runtime_checkable
class SelfTesting(Protocol):
    """A verifier that can be tried on what a prompt brings: its reference or its tests."""

    def trials(self, prompt: Prompt) -> Iterator[Trial]:
        """Yield what must pass and what must fail; nothing where the prompt brings nothing."""
        ...


Brought = Literal["reference", "tests"]
"""What a prompt may bring for verifiers."""


@runtime_checkable
class NeedsOfPrompt(Protocol):
    """A verifier that decides of no response to a prompt that lacks something: none is bought that nobody could accept."""

    @property
    def needs_of_prompt(self) -> frozenset[Brought]:
        """What the prompt must bring."""
        ...


@runtime_checkable
class WaysOfPrompt(Protocol):
    """A verifier for which a prompt may bring one thing or another: one that consists of others, say."""

    @property
    def ways_of_prompt(self) -> frozenset[frozenset[Brought]]:
        """What the prompt may bring, each of which suffices."""
        ...


class Asker(Protocol):
    """What a judge needs of a teacher; `flows/wiring.py` hands one in."""

    async def ask(self, messages: Sequence[Message], *, schema: dict[str, Any]) -> str:
        """Return the teacher's answer, which the server is asked to hold to a JSON schema. Raise `TeacherError`."""
        ...


@runtime_checkable
class NeedsTeacher(Protocol):
    """A verifier that asks teachers of the spec's: `asks` names them, `asking` returns a copy that has them."""

    @property
    def asks(self) -> tuple[str, ...]:
        """The names of the teachers, each once."""
        ...

    def asking(self, askers: Mapping[str, Asker]) -> Verifier:
        """Return the same verifier with whom to ask, by name: at least all that `asks` names."""
        ...


@runtime_checkable
class NeedsMachine(Protocol):
    """A verifier that needs something of this machine, such as a sandbox."""

    def ready(self) -> None:
        """Raise SetupError where it isn't there. Called before anything is spent."""
        ...


@runtime_checkable
class MayWait(Protocol):
    """A verifier whose `check` is no `async def`, and may return a coroutine all the same: its options decide."""

    @property
    def waits(self) -> bool:
        """Whether it does."""
        ...


@runtime_checkable
class Identified(Protocol):
    """A verifier that more than its options decides, such as a file that one of them names."""

    def identity(self) -> Mapping[str, Any]:
        """Return JSON-like values by name, for the fingerprint: they stand beside its options, or in the place of some.

        What changes there is judged again, as with an option; what a file says belongs there, and not where it lies.
        """
        ...


C = TypeVar("C")

LATER: Mapping[str, Any] = {"fingerprint": "unless default"}
"""Metadata of an option that a verifier got later: while it is left out, the verdicts from before it hold."""
NEVER: Mapping[str, Any] = {"fingerprint": "never"}
"""Metadata of an option that decides no verdict, such as a time limit."""


def ways_of_prompt(made: Verifier) -> frozenset[frozenset[Brought]]:
    """Return what a prompt may bring for a verifier to decide, each of which suffices; nothing does for most."""
    if isinstance(made, WaysOfPrompt):
        return made.ways_of_prompt
    return frozenset({made.needs_of_prompt if isinstance(made, NeedsOfPrompt) else frozenset[Brought]()})


def goes_by_prompt(made: Verifier) -> bool:
    """Whether a verifier decides of no response to a prompt that brings nothing."""
    return all(ways_of_prompt(made))


def deciding(made: Any) -> dict[str, Any]:
    """Return the options that are part of a verifier's fingerprint, by name."""
    options: dict[str, Any] = {}
    for field in dataclasses.fields(made):
        value, counts = getattr(made, field.name), field.metadata.get("fingerprint", "always")
        if field.init and (counts == "always" or (counts == "unless default" and value != field.default)):
            options[field.name] = value
    return options


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def verifier(
    *, version: str, isolated: bool | None = None, limit_s: float | None = None, pure: bool = False
) -> Callable[[type[C]], type[C]]:
    """Make a class a verifier: a frozen, keyword-only dataclass that refuses unknown options.

    Raise `version` whenever the same options would decide some sample otherwise: stored verdicts of other versions then no
    longer count. `isolated` (True) and `limit_s` (60) are as above; left out, they are the base class's, and a class whose
    options decide defines them itself, as properties. `pure` is as above too, and holds for this class alone.
    """

    def decorate(cls: type[C]) -> type[C]:
        made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        # Without this, pydantic ignores an unknown key in the spec: a mistyped option would change nothing and say nothing.
        made.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
        made.version = version  # type: ignore[attr-defined]
        made.pure = pure  # type: ignore[attr-defined]
        for name, given, default in (("isolated", isolated, True), ("limit_s", limit_s, 60.0)):
            if given is not None or not hasattr(cls, name):
                setattr(made, name, default if given is None else given)
        return made

    return decorate
