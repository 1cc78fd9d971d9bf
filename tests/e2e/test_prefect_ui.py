"""The real UI of a real Prefect server, in a real browser: what a person sees of a build.

With STILLHOUSE_SCREENSHOTS naming a folder, what is seen is kept there: so the pictures in docs/images are made.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import eventually, named, runs
from tests.e2e.test_watching import artifacts

pytestmark = [pytest.mark.server, pytest.mark.browser]
WAIT_MS = 60_000


@pytest.fixture
def page() -> Iterator[Page]:
    """Open a browser's page."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium is installed: make test-browser does it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        browser.close()


def keep(page: Page, name: str) -> None:
    """Keep what is seen, where that is wanted."""
    if folder := os.environ.get("STILLHOUSE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / name, type="png")


def test_a_run_in_the_browser(workplace: Workplace, page: Page) -> None:
    """The run's page has its name and tags, and the tab of artifacts the stages, the tables and the summary; a table opens."""
    with LoopbackTeacher(delay_s=0.02) as teacher:
        spec(workplace, teacher.url, prompts=1200, k=1, limits={"concurrency": 16, "requests_per_minute": 30_000})
        rows = [
            {"prompt": f"How many in case {n}?", "reference": str(n % 3), "topic": ("sums", "clocks", "coins")[n % 5 % 3]}
            for n in range(1200)
        ]
        (workplace.folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        workplace.spec["prompts"][0] |= {"fields": {"tags": ["topic"]}}
        workplace.spec["teachers"].append(
            workplace.teacher(teacher.url, name="small", model="m-small", price={"input": 0.1, "output": 0.2})
        )
        workplace.spec["budget"] = {"usd": 1}
        workplace.spec["exports"] = [{"format": "messages", "to": "out", "shards": 2}]
        named(workplace, "arithmetic")
        workplace.build()
    (run,) = runs(workplace, "arithmetic")
    ui = workplace.environment["PREFECT_API_URL"].removesuffix("/api")
    page.goto(f"{ui}/runs/flow-run/{run['id']}")
    expect(page.get_by_text("build arithmetic").first).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("tablist").get_by_text("Artifacts").click()
    expect(page.get_by_text("arithmetic-pass-rates").first).to_be_visible(timeout=WAIT_MS)
    for name in ("drawing-and-verifying", "curating", "spend", "limits", "summary"):
        expect(page.get_by_text(f"arithmetic-{name}").first).to_be_visible(timeout=WAIT_MS)
    keep(page, "prefect-run.png")
    table = eventually(lambda: artifacts(workplace, run).get("arithmetic-pass-rates"))
    page.goto(f"{ui}/artifacts/artifact/{table['id']}")
    for text in ("Pass rates of the whole build", "tag topic", "clocks", "exact_match", "small"):
        expect(page.get_by_text(text).first).to_be_visible(timeout=WAIT_MS)
    keep(page, "prefect-pass-rates.png")
