"""The teachers by provider."""

from __future__ import annotations

from typing import Protocol

from storage.plugins import Registry
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Teacher


class Maker(Protocol):
    """Makes a teacher of a spec's options. Connections and processes wait for the first request."""

    def __call__(self, options: TeacherOptions, *, api_key: str | None) -> Teacher:
        """Return the teacher. Raise SpecError where an option makes no sense for the provider."""
        ...


TEACHERS: Registry[Maker] = Registry(
    "stillhouse.teachers",
    {
        "local": "tasks.teachers.local:make",
        "openai": "tasks.teachers.openai:make",
        "replay": "tasks.teachers.replay:make",
    },
)
