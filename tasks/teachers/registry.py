"""The teachers by provider. A module is imported only when a spec names its provider."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast

from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Teacher

BUILT_IN = {
    "local": "tasks.teachers.local:make",
    "openai": "tasks.teachers.openai:make",
    "replay": "tasks.teachers.replay:make",
}
GROUP = "stillhouse.teachers"


class Maker(Protocol):
    """Makes a teacher of a spec's options. Connections and processes wait for the first request."""

    def __call__(self, options: TeacherOptions, *, api_key: str | None) -> Teacher:
        """Return the teacher. Raise SpecError where an option makes no sense for the provider."""
        ...


def names() -> list[str]:
    """Return the providers that a spec may name, plug-ins included."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def find(provider: str) -> Maker:
    """Return what makes a provider's teachers. Raise KeyError where there is none."""
    if provider in BUILT_IN:
        module, _, attribute = BUILT_IN[provider].partition(":")
        return cast("Maker", getattr(import_module(module), attribute))
    for point in entry_points(group=GROUP):
        if point.name == provider:
            return cast("Maker", point.load())
    raise KeyError(provider)
