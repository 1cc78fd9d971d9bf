"""What is in open batches isn't bought one by one as well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.errors import SetupError
from storage.identity import request_key
from storage.intents import Intents, Item, new
from storage.lake import Lake
from storage.workspace import Workspace
from tasks.batches import underway
from tasks.prepare import Asked, prepare
from tasks.teachers.options import TeacherOptions
from tasks.templates import Template, TemplateOptions
from tests.fakes import found, make_options, make_prompt, user

KEY = request_key(provider="openai", model="m", messages=user("a"), parameters={}, identity={})


def check(folder: Path, items: Sequence[Item], *teachers: TeacherOptions, k: int = 2) -> None:
    """Check a build of one prompt where such a batch is open."""
    intents = Intents(folder / "batches")
    intents.write(new(key="k", teacher="t", provider="openai-batch", model="m", items=items))
    asked = [Asked(provider=teacher.vendor, model=teacher.model, identity={}) for teacher in teachers]
    template = Template(TemplateOptions(), where="spec.yaml")
    with Workspace(Lake(folder / "lake"), folder / "work") as workspace:
        prepare(workspace, found([make_prompt("a")]), template, asked, {}, k)
        underway.check(workspace, intents, teachers)


def teacher(provider: str = "openai", model: str = "m") -> TeacherOptions:
    """Return a teacher's options."""
    return make_options(provider, provider=provider, model=model)


@pytest.mark.parametrize("item", [Item(KEY, 0, 1), Item(KEY, 1, 1), Item(KEY, 1, 8)], ids=repr)
def test_one_by_one(tmp_path: Path, item: Item) -> None:
    """A teacher that would buy one by one what a batch has is refused, in a line that names the note and says what to do."""
    with pytest.raises(SetupError, match=r"k\.json: teacher 'openai' would buy 1 sample .* provider 'openai-batch' .* remove"):
        check(tmp_path, [Item("other", 0, 1), item], teacher("local", "other"), teacher())


def test_through_batches(tmp_path: Path) -> None:
    """One that asks through batches waits for it."""
    check(tmp_path, [Item(KEY, 0, 2)], teacher("openai-batch"))


@pytest.mark.parametrize("items", [[Item(KEY, 2, 4)], [Item("other", 0, 2)]], ids=repr)
def test_what_is_not_asked_for(tmp_path: Path, items: list[Item]) -> None:
    """A batch of other samples is no concern."""
    check(tmp_path, items, teacher())
