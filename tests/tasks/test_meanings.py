"""Fields are described by the docstrings below them."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.meanings import meanings
from tasks.options import Options


class Base(Options):
    """What others have too."""

    shared: int = 0
    """Said of all."""
    said_anew: int = 0
    """As it was."""


class Further(Base):
    """What has more."""

    said_anew: int = 1
    """As it is
    now."""

    @dataclass
    class Inner:
        """One in another."""

        deep: int = 0
        """Far down."""
        bare: int = 0


def test_meanings() -> None:
    """A class has its bases' too, its own before theirs; what has no docstring has none; nothing of a class without source."""
    assert meanings(Further) == {"shared": "Said of all.", "said_anew": "As it is\nnow."}
    assert meanings(Further.Inner) == {"deep": "Far down."}
    assert meanings(type("Made", (Base,), {})) == {"shared": "Said of all.", "said_anew": "As it was."}
    assert meanings(int) == {}

    @dataclass
    class Local:
        here: int = 0
        """In a function."""

    assert meanings(Local) == {"here": "In a function."}


def test_json_schema() -> None:
    """What an editor or a form shows of a key is its docstring."""
    described = {name: each.get("description") for name, each in Further.model_json_schema()["properties"].items()}
    assert described == {"shared": "Said of all.", "said_anew": "As it is\nnow."}
