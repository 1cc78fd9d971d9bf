"""Held-out benchmarks: what the spec says of them, and their items in the form in which they are looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from storage.errors import SourceError
from storage.records import Prompt
from tasks.sources import PromptSource, read_prompts
from tasks.sources.shown import shown


class Benchmark(PromptSource):
    """One entry of the spec's `decontaminate`: any prompt source, which needs no licence here."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    """How outcomes call it. Left out: the source's own name without its ending."""
    ngram: int = Field(default=13, ge=5, le=50)
    """So many words in a row that an item and a text have in common are evidence (Brown et al. 2020, appendix C). An item with
    fewer words of its own is looked for by its characters."""
    near: Literal[False] | Annotated[float, Field(ge=0.7, le=1)] = 0.9
    """An item is found as well where this part of its words, in their order, stands in a stretch of a text. false: it isn't."""
    answers: bool = True
    """Whether answers and whatever else a row has count, where they have `ngram` words or more."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.decontaminate:
            raise ValueError("a benchmark has no `decontaminate`: it is what prompts are compared with")
        return self

    @property
    def title(self) -> str:
        """Return the name."""
        source = shown(self.source)
        stem = PurePath(source).name.split(".")[0]
        return self.name or (stem if any(map(str.isalnum, stem)) else source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One text of a benchmark's row."""

    benchmark: int
    """The benchmark's number in the spec."""
    row: int
    """The row's number among those of all benchmarks."""
    text: str
    """As the row has it."""
    question: bool
    """Whether it is what the row asks, and not an answer or a context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heldout:
    """All items that are held out, in memory: benchmarks are small."""

    benchmarks: Sequence[Benchmark]
    """In the spec's order."""
    items: Sequence[tuple[int, str]]
    """Each row's benchmark, and its id or place."""
    parts: Sequence[Part]
    """Their texts."""


def check_names(benchmarks: Sequence[Benchmark], *, where: str) -> None:
    """Raise ValueError, with `where` in its text, where two benchmarks would be called the same."""
    titles = [each.title for each in benchmarks]
    for number, title in enumerate(titles):
        if title in titles[:number]:
            raise ValueError(f"{where}[{number}]: two benchmarks are called {title!r}; give one of them another `name`")


def read_heldout(benchmarks: Sequence[Benchmark], *, seed: int, where: Callable[[int], str] | None = None) -> Heldout:
    """Read all benchmarks. Raise SourceError where one can't be read; the text names the benchmark, as `where` does by number."""
    items: list[tuple[int, str]] = []
    parts: list[Part] = []
    for number, benchmark in enumerate(benchmarks):
        try:
            for found in read_prompts(benchmark, license=benchmark.license, seed=seed):
                parts += _parts(found.prompt, benchmark, number, len(items))
                items.append((number, found.prompt.prompt_id if found.given else found.place))
        except SourceError as error:
            named = f"benchmark {benchmark.title}" if where is None else where(number)
            raise SourceError(f"{named}: {error}") from error
    return Heldout(benchmarks=benchmarks, items=items, parts=parts)


def _parts(prompt: Prompt, benchmark: Benchmark, number: int, row: int) -> Iterator[Part]:
    yield Part(benchmark=number, row=row, text=prompt.prompt, question=True)
    if not benchmark.answers:
        return
    others = [message.content for message in prompt.messages[:-1]]
    for text in (*others, prompt.reference, prompt.tests, *prompt.tags.values()):
        if text:
            yield Part(benchmark=number, row=row, text=text, question=False)
