"""The teachers by provider."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from storage.plugins import Registry
from tasks.teachers.batches import BatchTeacher
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Teacher


class Maker(Protocol):
    """Makes a teacher of a spec's options. Connections and processes wait for the first request."""

    def __call__(self, options: TeacherOptions, *, api_key: str | None) -> Teacher | BatchTeacher:
        """Return the teacher. Raise SpecError where an option makes no sense for the provider."""
        ...


TEACHERS: Registry[Maker] = Registry(
    "stillhouse.teachers",
    {
        "anthropic": "tasks.teachers.anthropic:make",
        "anthropic-batch": "tasks.teachers.anthropic_batch:make",
        "local": "tasks.teachers.local:make",
        "openai": "tasks.teachers.openai:make",
        "openai-batch": "tasks.teachers.openai_batch:make",
        "replay": "tasks.teachers.replay:make",
        "simulate": "tasks.teachers.simulate:make",
        "transformers": "tasks.teachers.transformers:make",
    },
)

KEYS: Mapping[str, str] = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
"""The variable that holds a provider's key, where a spec names neither one nor a server of its own. Batches have the same."""

_OF_THIS_MACHINE = {"local": "tasks.teachers.local", "transformers": "tasks.teachers.transformers"}


def check_machine(options: TeacherOptions) -> None:
    """Raise SetupError where a provider that runs its model here lacks a package or the model's file. Nothing is started."""
    if options.provider in _OF_THIS_MACHINE:
        provider: Any = import_module(_OF_THIS_MACHINE[options.provider])
        provider.ready(options)
