"""A teacher whose errors never quote its key, whoever wrote it: errors reach outcomes, logs, Prefect and the terminal."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.errors import StillhouseError
from tasks.teachers.protocol import Completion, Request, Teacher

HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Discreet:
    """A teacher, less its key in what it raises."""

    teacher: Teacher
    """Who is asked."""
    key: str = field(repr=False)
    """What nobody may read."""

    async def complete(self, request: Request) -> Completion:
        """Ask the teacher."""
        with hiding(self.key):
            return await self.teacher.complete(request)

    async def aclose(self) -> None:
        """Close the teacher."""
        with hiding(self.key):
            await self.teacher.aclose()

    @property
    def identity(self) -> Mapping[str, Any]:
        """The teacher's."""
        return self.teacher.identity


@contextlib.contextmanager
def hiding(key: str | None) -> Iterator[None]:
    """Take a key out of what is raised: our own errors keep their class, and a defect its whole traceback as a text."""
    try:
        yield
    except Exception as error:
        if not key or key not in (told := "".join(traceback.format_exception(error))):
            raise
        if isinstance(error, StillhouseError):
            error.args = tuple(without(key, each) if isinstance(each, str) else each for each in error.args)
            raise error.with_traceback(None) from None
        raise RuntimeError(without(key, told)) from None


def without(key: str | None, text: str) -> str:
    """Return a text less the key. Whoever cuts a text does so afterwards: a part of a key would be found no more."""
    return text.replace(key, HIDDEN) if key else text
