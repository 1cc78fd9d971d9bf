"""What an exporter is: a frozen dataclass whose fields are its YAML options, and one method, `rows`.

    @exporter(one_to_one=True)
    class Texts:
        \"\"\"A row is a text.\"\"\"

        title: str = "Question"
        \"\"\"What stands above the prompt.\"\"\"

        schema: ClassVar[pa.Schema] = pa.schema({"text": pa.string(), "license": pa.string()})

        def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
            for trace in traces:
                yield {"text": f"{self.title}: {trace['prompt']}", "license": trace["license"]}

Where the options decide on the columns, `schema` is a property. Shards, containers, splits, checksums and folders are outside it.
A class without options needs no decorator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, dataclass_transform, runtime_checkable

import pyarrow as pa
from pydantic import ConfigDict

from storage.errors import SpecError

FILES = ("parquet", "jsonl", "arrow", "tar")
"""What a shard may be, unless an exporter says otherwise; the first is the default."""


class NoRows(SpecError):
    """No trace of a split became a row. The split is left out of the export; where there is no other, this refuses it."""


@runtime_checkable
class Exporter(Protocol):
    """A form of training rows."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of a row."""
        ...

    @property
    def one_to_one(self) -> bool:
        """Whether each trace is one row. An export in which it isn't is refused."""
        ...

    def rows(self, source: Iterable[Any], /) -> Iterator[dict[str, Any]]:
        """Yield rows of a build's traces, which come with all columns of the table `traces`, prompt by prompt.

        With `needs_refuted`, of `tasks.publishing.refuted.PromptSamples` in place of traces; with `needs_distributions`, traces
        have `logprobs` and `revision` more, as `tasks.publishing.distributions` says. The same source must give the same rows.
        """
        ...


@runtime_checkable
class Factual(Protocol):
    """An exporter that counts what it did, for the export's manifest."""

    def facts(self) -> dict[str, Any]:
        """Return JSON-like values by name: of the last call of `rows`, once all of its rows were taken."""
        ...


@runtime_checkable
class Caveated(Protocol):
    """An exporter whose rows may lack what they promise."""

    def caveats(self) -> list[str]:
        """Return lines for whoever takes the rows: of the last call of `rows`, once all of its rows were taken."""
        ...


@runtime_checkable
class Losing(Protocol):
    """An exporter that may leave traces out, or cut them."""

    def losses(self, told: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return lines for whoever takes the rows, by the facts of every split."""
        ...


@runtime_checkable
class Documented(Protocol):
    """An exporter whose rows need a file beside them to be read."""

    def documents(self) -> Mapping[str, str]:
        """Return texts by the names of their files: of the last call of `rows`, once all of its rows were taken."""
        ...


@runtime_checkable
class NeedsFiles(Protocol):
    """An exporter that needs something of this machine, such as a tokenizer."""

    def ready(self) -> None:
        """Raise SetupError or SpecError where it isn't there. Called before anything is spent."""
        ...


C = TypeVar("C")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def exporter(
    *,
    one_to_one: bool | None = None,
    needs_refuted: bool | None = None,
    needs_distributions: bool | None = None,
    files: tuple[str, ...] | None = None,
) -> Callable[[type[C]], type[C]]:
    """Make a class an exporter: a frozen, keyword-only dataclass that refuses unknown options.

    `one_to_one` is as the protocol says; a class whose options decide on it defines it as a property. `needs_refuted`: `rows` is
    given each prompt's kept and refuted samples. `needs_distributions`: traces come with what the teacher gave to each token, or
    the scorer that its option `scores` names. `files`: what a shard may be, the default first. Left out, they are the base
    class's, or else False and `FILES`.
    """

    def decorate(cls: type[C]) -> type[C]:
        made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        # Without this, pydantic ignores an unknown key in the spec: a mistyped option would change nothing and say nothing.
        made.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
        for name, given, default in (
            ("one_to_one", one_to_one, False),
            ("needs_refuted", needs_refuted, False),
            ("needs_distributions", needs_distributions, False),
            ("files", files, FILES),
        ):
            if given is not None or not hasattr(cls, name):
                setattr(made, name, default if given is None else given)
        return made

    return decorate


def files(form: Exporter) -> tuple[str, ...]:
    """Return what an exporter's shards may be, the default first."""
    return tuple(getattr(form, "files", FILES))


def needs_refuted(form: Exporter) -> bool:
    """Return whether an exporter is given prompts with their kept and refuted samples, in place of traces."""
    return bool(getattr(form, "needs_refuted", False))


def needs_distributions(form: Exporter) -> bool:
    """Return whether an exporter is given traces with what their teacher gave to each token."""
    return bool(getattr(form, "needs_distributions", False))


def documents(form: Exporter) -> Mapping[str, str]:
    """Return the texts that go with an exporter's rows; none for most."""
    return form.documents() if isinstance(form, Documented) else {}


def caveats(form: Exporter) -> list[str]:
    """Return what a person should know of the rows that an exporter made; nothing for most."""
    return form.caveats() if isinstance(form, Caveated) else []


def losses(form: Exporter, told: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a person should know of the traces that an exporter left out or cut, by the facts of every split."""
    return form.losses(told) if isinstance(form, Losing) else []


def facts(form: Exporter) -> Mapping[str, Any]:
    """Return what an exporter says of the rows that it made; nothing for most."""
    return form.facts() if isinstance(form, Factual) else {}
