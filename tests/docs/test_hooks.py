"""What the site is told beside mkdocs.yml: navigation, and links that leave docs/."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.docs.pages import DOCS


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """Import docs/hooks.py as MkDocs does."""
    sys.path.insert(0, str(DOCS))
    spec = importlib.util.spec_from_file_location("stillhouse_docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_navigation(hooks: ModuleType, tmp_path: Path) -> None:
    """What isn't there is left out, a pattern names its folder's pages alone, and a forgotten page is under "More"."""
    for name in ("index.md", "a/one.md", "a/two.md", "a/b/three.md", "forgotten.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    nav = [
        {"Home": "index.md"},
        "missing.md",
        {"A": ["a/*.md", {"Empty": ["none/*.md"]}]},
        {"Made": ["reference/*.md"]},
        "changelog.md",
    ]
    config = hooks.on_config(SimpleNamespace(docs_dir=str(tmp_path), nav=nav))
    assert config.nav == [
        {"Home": "index.md"},
        {"A": ["a/one.md", "a/two.md"]},
        {"Made": sorted(hooks.PAGES)},
        "changelog.md",
        {"More": ["a/b/three.md", "forgotten.md"]},
    ]


@pytest.mark.parametrize(
    ("place", "link", "becomes"),
    [
        ("spec.md", "../examples/first.yaml", "https://x/examples/first.yaml"),
        ("adr/0001.md", "../../README.md#more", "https://x/README.md#more"),
        ("howto/code.md", "../spec.md#verify", "../spec.md#verify"),
        ("changelog.md", "docs/spec.md", "spec.md"),
        ("spec.md", "https://y.org/z", "https://y.org/z"),
        ("spec.md", "#verify", "#verify"),
    ],
)
def test_links_that_leave_the_folder_lead_to_the_source(hooks: ModuleType, place: str, link: str, becomes: str) -> None:
    """All others stay; and what stands in a fenced block is no link."""
    page = SimpleNamespace(file=SimpleNamespace(src_uri=place))
    config = SimpleNamespace(extra={"source": "https://x/"})
    made = hooks.on_page_markdown(f"[a]({link})\n```\n[a](../../x)\n```", page, config, None)
    assert made == f"[a]({becomes})\n```\n[a](../../x)\n```"
