"""The reference is complete: every key, option, column and name that the code has, with what it means."""

from __future__ import annotations

import sys

import pytest
import typer

from flows.cli import app
from flows.spec import Spec
from storage.schemas import TABLES
from tasks.exporters.registry import EXPORTERS
from tasks.teachers.registry import TEACHERS
from tests.docs.pages import DOCS
from verifiers.registry import VERIFIERS

sys.path.insert(0, str(DOCS))
from generate import PAGES, columns, commands, plugins, spec_keys


def test_every_key_of_the_spec_stands_there_with_its_meaning() -> None:
    """Each field of each model is a row, and none is without a sentence."""
    text = spec_keys.page()
    for kind in spec_keys.sections(Spec):
        for row in spec_keys.rows(kind, {}):
            assert f"| {row[0]} |" in text
            assert row[3], f"{kind.__name__}.{row[0]} has no docstring"


def test_what_was_read_once_is_read_again() -> None:
    """A page is the same however often it is made, as by a server that shows it while somebody writes."""
    found = spec_keys.sections(Spec)
    assert len(found) > 20
    assert spec_keys.sections(Spec) == found


def test_every_column_of_the_lake_stands_there_with_its_meaning() -> None:
    """A column that nobody has described is an error, not an empty cell."""
    text = columns.page()
    for name, schema in TABLES.items():
        assert f"## {name}\n" in text
        assert set(columns.columns_of(name)) == set(schema.names)


def test_every_command_and_option_stands_there() -> None:
    """Each command has its section, with its options and what they do."""
    text = commands.page()
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert f"\n## {name}\n" in text
        for each in command.params:
            assert all(f"`{option}" in text for option in each.opts if option.startswith("-"))
            assert getattr(each, "help", None), f"{name} {each.name} has no help"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        (plugins.verifiers, VERIFIERS.built_in),
        (plugins.teachers, TEACHERS.built_in),
        (plugins.exporters, EXPORTERS.built_in),
    ],
)
def test_every_name_of_a_registry_stands_there(page: object, names: object) -> None:
    """Each verifier, teacher and exporter has its section."""
    text = page()  # type: ignore[operator]
    assert all(f"## `{name}` {{: #{name} }}" in text for name in names)  # type: ignore[attr-defined]


def test_every_option_of_a_verifier_has_a_meaning() -> None:
    """A field of a verifier or of an exporter without a docstring is found here."""
    for registry in (VERIFIERS, EXPORTERS):
        for name in registry.built_in:
            for key, _, _, meaning in spec_keys.rows(registry.find(name), {}):  # type: ignore[arg-type]
                assert meaning, f"{name}.{key} has no docstring"


def test_nothing_shows_how_python_spells_a_type() -> None:
    """Types read as words: no class, module or memory address."""
    for place, make in PAGES.items():
        text = make()
        for sign in ("<class", "typing.", " object at 0x", "NoneType", "Annotated["):
            assert sign not in text, f"{place} has {sign!r}"


@pytest.mark.parametrize("name", TEACHERS.built_in)
def test_every_provider_is_in_the_specs_table(name: str) -> None:
    """Whoever writes `provider:` finds each there is in the spec's guide, beside the made reference."""
    rows = [line.split("|")[1] for line in (DOCS / "spec.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert any(f"`{name}`" in row for row in rows)
