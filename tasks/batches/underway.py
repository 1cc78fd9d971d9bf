"""What is in open batches isn't bought one by one as well."""

from __future__ import annotations

from collections.abc import Sequence

from storage.errors import SetupError
from storage.intents import Intent, Intents
from storage.wording import counted
from storage.workspace import Workspace
from tasks.teachers.options import TeacherOptions


def check(workspace: Workspace, intents: Intents, drawing: Sequence[TeacherOptions]) -> None:
    """Raise SetupError where a teacher would be asked one by one for what an open batch has.

    `drawing`: the teachers in the order of the workspace's `slots`. Those that ask through batches wait for the open ones.
    """
    singly = [number for number, teacher in enumerate(drawing) if not teacher.batched]
    if not singly:
        return
    for intent in intents.all():
        ids = [identifier for item in intent.items for identifier in item.ids]
        found = workspace.rows(
            f"SELECT any_value(arm), count(*) FROM slots WHERE NOT stored AND arm IN (SELECT unnest({singly})) "
            "AND sample_id IN (SELECT unnest(?::VARCHAR[])) HAVING count(*) > 0",
            [ids],
        )
        for number, samples in found:
            raise _twice(intents, intent, drawing[number], samples)


def check_growth(workspace: Workspace, intents: Intents, teacher: TeacherOptions) -> None:
    """Raise SetupError where a teacher would be asked one by one for prompts that an open batch is to grow."""
    for intent in () if teacher.batched else intents.all():
        ids = [identifier for item in intent.items for identifier in item.ids]
        ((samples,),) = workspace.rows(
            "SELECT count(*) FROM grown_samples WHERE NOT stored AND sample_id IN (SELECT unnest(?::VARCHAR[]))", [ids]
        )
        if samples:
            raise _twice(intents, intent, teacher, samples)


def _twice(intents: Intents, intent: Intent, teacher: TeacherOptions, samples: int) -> SetupError:
    return SetupError(
        f"{intents.path(intent.key)}: teacher {teacher.name!r} would buy {counted(samples, 'sample')} one by one, which this "
        f"batch has already: build with provider {intent.provider!r} until it is fetched, or remove this file "
        "to buy them again"
    )
