"""From an entry of a spec's `exports` to an exporter: everything that is wrong is one line that names the option."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
import pytest
from pydantic import Field

from storage.errors import SpecError
from tasks.exporters import protocol
from tasks.exporters.making import make
from tasks.exporters.protocol import FILES, Exporter, exporter
from tasks.exporters.registry import EXPORTERS


@exporter(one_to_one=True, files=("jsonl", "tar"))
class Texts:
    """Takes options."""

    style: Literal["plain", "loud"]
    """How it speaks."""
    size: Annotated[int, Field(ge=1)] = 1
    """How much."""
    schema: ClassVar[pa.Schema] = pa.schema({"text": pa.string(), "license": pa.string()})

    def rows(self, source: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for trace in source:
            yield {"text": trace["response"] * self.size, "license": trace["license"]}

    def facts(self) -> dict[str, Any]:
        """Return what it did."""
        return {"style": self.style}


class Bare:
    """Takes none, and is no dataclass, as plug-ins may be."""

    schema: ClassVar[pa.Schema] = pa.schema({"license": pa.string()})
    one_to_one: ClassVar[bool] = True

    def rows(self, source: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        for trace in source:
            yield {"license": trace["license"]}


@dataclass(frozen=True)
class Undecorated(Bare):
    """A dataclass that pydantic would let have any option."""

    size: int = 1


class Unlicensed(Bare):
    """Drops what is needed."""

    schema: ClassVar[pa.Schema] = pa.schema({"text": pa.string()})


class NoExporter:
    """Has nothing."""


@pytest.fixture(autouse=True)
def plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register them under the names of their classes, in lower case."""
    added = {kind.__name__.lower(): f"{__name__}:{kind.__name__}" for kind in (Texts, Bare, Undecorated, Unlicensed, NoExporter)}
    registry = dataclasses.replace(EXPORTERS, built_in={**EXPORTERS.built_in, **added})
    monkeypatch.setattr("tasks.exporters.making.EXPORTERS", registry)


def test_options():
    """Options reach the exporter; what is left out has its default."""
    made = make("texts", {"style": "loud", "size": 2})
    assert made == Texts(style="loud", size=2)
    assert list(made.rows([{"response": "a", "license": "MIT"}])) == [{"text": "aa", "license": "MIT"}]


@pytest.mark.parametrize(("name", "options"), [("bare", {}), ("undecorated", {"size": 2}), ("messages", {})])
def test_without_a_decorator(name: str, options: dict[str, Any]):
    """A class that only has what the protocol asks for is an exporter, with the usual containers, fed with traces."""
    made = make(name, options)
    assert isinstance(made, Exporter)
    assert (protocol.files(made), protocol.needs_refuted(made), dict(protocol.facts(made))) == (FILES, False, {})


def test_what_an_exporter_says_of_itself():
    """The decorator's words reach whoever writes the shards."""
    made = make("texts", {"style": "plain"})
    assert (made.one_to_one, protocol.files(made), protocol.facts(made)) == (True, ("jsonl", "tar"), {"style": "plain"})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("text", {}, "exports[1]: unknown format 'text'; did you mean 'texts'?"),
        ("texts", {}, "exports[1].style: is missing"),
        ("texts", {"styel": "loud"}, "exports[1].styel: unknown key; did you mean 'style'?"),
        ("texts", {"style": "lound"}, "exports[1].style: must be 'plain' or 'loud', and this is 'lound'"),
        (
            "texts",
            {"style": "loud", "size": 0},
            "exports[1].size: must be greater than or equal to 1, and this is 0",
        ),
        ("bare", {"size": 1}, "exports[1].size: unknown key; the format 'bare' takes no options of its own"),
        ("undecorated", {"sise": 1}, "exports[1].sise: unknown key; did you mean 'size'?"),
        ("undecorated", {"size": "x"}, "exports[1].size: must be a whole number"),
        (
            "tokenized",
            {"tokenizer": "x", "chat_template_kwargs": "no"},
            "exports[1].chat_template_kwargs: must be a mapping, and this is 'no'",
        ),
        (
            "soft",
            {"tokenizer": "x", "layout": "distillkit", "codec": {"polynomial_term": [0]}},
            "exports[1].codec.polynomial_term: unknown key; did you mean 'polynomial_terms'?",
        ),
        ("unlicensed", {}, "exports[1]: the exporter 'unlicensed' has no column `license`"),
        ("noexporter", {}, "exports[1]: 'noexporter' is no exporter: it needs `schema`, `one_to_one` and `rows`"),
    ],
)
def test_mistakes(name: str, options: dict[str, Any], said: str):
    """What can't be is one line that names the place in the spec and what may stand there."""
    with pytest.raises(SpecError) as caught:
        make(name, options, where="exports[1]")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
