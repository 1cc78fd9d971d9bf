"""Every part of a spec that a page shows is one that a spec may have, and every command one that there is."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer
import yaml

from flows.cli import app
from flows.spec import Spec
from tasks import export
from tests.docs.pages import DOCS, ROOT, Block, blocks
from verifiers.making import make

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
SHOWN = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if block.language == "yaml"
]
REST: dict[str, Any] = {
    "dataset": "shown",
    "prompts": [{"source": "prompts.jsonl", "license": "MIT"}],
    "teachers": [{"name": "t", "provider": "replay", "path": "answers.jsonl", "model": "m", "license": "MIT"}],
}
"""What a part needs beside it."""
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TYPED = re.compile(r"(?<!-n )\bstillhouse (?P<name>[a-z]+)\b(?P<rest>(?:\\\n|[^\n`|#;&])*)")


def read(text: str) -> Spec | None:
    """Return the spec that a part belongs to; None where it is no part of one. Raise what a spec may not have."""
    content = yaml.safe_load(text)
    if not isinstance(content, dict) or not content.keys() <= Spec.model_fields.keys():
        return None
    spec = Spec.model_validate(REST | content)
    for entry in spec.verify:
        if entry.use != "mentions" and not str(entry.options.get("call")).startswith("my_module:"):  # which a reader writes
            make(entry.use, entry.options)
    for number, each in enumerate(spec.exports):
        export.make(each, where=f"exports[{number}]")
    return spec


@pytest.mark.parametrize("block", SHOWN)
def test_what_is_shown(block: Block) -> None:
    """It is YAML, and where it is of a spec, a spec takes it."""
    assert read(block.text) or "deployments" in block.text


@pytest.mark.parametrize(
    "text", ["verify: [{use: judge, rubric: Is it?, teacher: big}]", "samplin: {k: 1}", "verify: [{use: contains, txt: a}]"]
)
def test_what_a_spec_would_refuse_is_refused(text: str) -> None:
    """What is no YAML, a mistyped key, a mistyped option: else the test above would say nothing."""
    with pytest.raises(Exception, match=r"expected|unexpected|Unexpected|text"):
        assert read(text), "unexpected"


def unknown(text: str) -> list[str]:
    """Return commands and options of a text that the command line doesn't know."""
    found = []
    for typed in TYPED.finditer(text):
        if (command := COMMANDS.get(typed["name"])) is None:
            found.append(typed["name"])
            continue
        options = {"--help", *(name for each in command.params for name in (*each.opts, *each.secondary_opts))}
        found += [each for each in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", typed["rest"]) if each not in options]
    return found


def test_commands() -> None:
    """Each command that stands in a block of the shell has the options that it is given."""
    typed = "\n".join(block.text for page in PAGES for block in blocks(page) if block.language in {"sh", "bash"})
    assert len(TYPED.findall(typed)) > 30
    assert not unknown(typed)


def test_what_is_no_command_is_found() -> None:
    """A mistyped command, a mistyped option."""
    assert unknown("stillhouse biuld spec.yaml; stillhouse build spec.yaml --lak lake --json") == ["biuld", "--lak"]
