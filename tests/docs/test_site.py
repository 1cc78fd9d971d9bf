"""The site builds without a warning, asks no other server for anything, and can be read in a browser, in the dark and on a phone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, strictly: a warning ends it."""
    folder = tmp_path_factory.mktemp("site")
    command = [str(Path(sys.executable).parent / "mkdocs"), "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_there(site: Path) -> None:
    """Each page of docs/, each that is made from the code, and the changelog; what makes them stays out."""
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    made = {Path(f"reference/{name}.html") for name in ("spec", "cli", "lake", "verifiers", "teachers", "exporters")}
    assert {path.relative_to(site) for path in site.rglob("*.html")} - {Path("404.html")} == pages | made | {
        Path("changelog.html")
    }
    assert "generate" not in {path.name for path in site.iterdir()}


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """No page loads a script, a style, a font or a picture from another server."""
    loaded = re.compile(
        r'(?:<(?:script|img|iframe|source)[^>]+src|<link[^>]+rel="?(?:stylesheet|preload|icon|preconnect)"?[^>]+href)="?(?:https?:)?//'
    )
    for page in site.rglob("*.html"):
        found = loaded.search(page.read_text(encoding="utf-8"))
        assert found is None, f"{page.name}: {found and found[0]}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Start a real headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_pages_can_be_read(site: Path, browser: object, scheme: str, size: dict[str, int]) -> None:
    """Opened from its folder: no error, no request to a server, nothing wider than the screen, text that stands out."""
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[attr-defined]
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    for name in ("index", "tutorial", "howto/code", "reference/spec", "comparison", "adr/0005-two-jails-a-sample"):
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_selector("h1")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels wider than the screen"
        text, ground = page.evaluate(
            "['color', 'backgroundColor'].map(what => getComputedStyle(document.body)[what].match(/[\\d.]+/g).slice(0, 3).map(Number))"
        )
        assert abs(sum(text) - sum(ground)) > 300, f"{name}: {text} on {ground}"
        assert (sum(ground) < 384) == (scheme == "dark"), name
    assert not faults
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    context.close()


@pytest.mark.slow
def test_search_finds_a_key_without_a_server(site: Path, browser: object) -> None:
    """Typed into the search of a page that was opened from its folder, a key of the spec leads to the reference."""
    page = browser.new_page(viewport=DESK)  # type: ignore[attr-defined]
    page.goto((site / "index.html").as_uri())
    page.click("input.md-search__input")
    page.keyboard.type("samples_per_request", delay=20)
    page.wait_for_selector(".md-search-result__link[href*='reference/spec.html']", state="attached", timeout=30_000)
    assert int(page.inner_text(".md-search-result__meta").split()[0]) >= 2
    page.close()
