"""The page in a browser: it is read with a mouse, with the keyboard alone, on a phone, in the dark and on paper."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.page.write import write_page
from storage.lake import Lake
from tests.browser.conftest import Chromium, Watched
from tests.fakes import named
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def page(landed: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page once."""
    return write_page(landed, "d", None, tmp_path_factory.mktemp("page") / "page.html").path


@pytest.fixture
def watched(chromium: Chromium, page: Path) -> Iterator[Watched]:
    """Open it, and hold at the end that it was quiet."""
    with chromium.open(page) as opened:
        yield opened
        assert opened.quiet(), opened


def status(watched: Watched, begins: str) -> None:
    """Wait until the list says so."""
    watched.tab.wait_for_function("begins => document.getElementById('status').textContent.startsWith(begins)", arg=begins)


def test_figures(watched: Watched):
    """The page says what the build is made of, and its sum adds up."""
    text = watched.tab.inner_text("main")
    for part in ("240", "kept", "By teacher", "By verifier", "By source of prompts", "By tag: topic", "CC0-1.0 AND MIT"):
        assert part in text
    assert "+ 6 = 240" in text  # prompt 05 got no response from either teacher


def test_charts(watched: Watched):
    """Every chart is drawn as it comes into sight, has a name, and says the same in a table beneath."""
    tab = watched.tab
    figures = tab.query_selector_all("figure")
    assert len(figures) >= 3
    for figure in figures:
        figure.scroll_into_view_if_needed()
        chart = figure.query_selector("[role=img]")
        assert chart.get_attribute("aria-label")
        tab.wait_for_function("each => each.querySelector('svg path, svg polyline') !== null", arg=chart)
        figure.query_selector("summary").click()
        assert len(figure.query_selector_all("tbody tr")) >= 1
        assert figure.query_selector("td").is_visible()
    flows = {
        tuple(cell.inner_text() for cell in row.query_selector_all("th, td")) for row in figures[0].query_selector_all("tbody tr")
    }
    assert ("asked for", "no response", "6") in flows
    assert ("accepted", "kept", "78") in flows
    assert ("accepted", "rejected: dedup", "78") in flows  # both teachers say the same


def test_filters(watched: Watched):
    """Outcome, verifier, teacher, source and tag narrow the list, together, and Clear shows all again."""
    tab = watched.tab
    status(watched, "40 prompts, 240 samples")
    tab.select_option("#filter-outcome", "failed")
    status(watched, "1 prompt, 6 samples")
    tab.select_option("#filter-outcome", "")
    tab.select_option("#filter-verifier", label="check")
    status(watched, "39 prompts, 78 samples")
    tab.select_option("#filter-teacher", label="large")
    status(watched, "39 prompts, 39 samples")
    tab.select_option("#filter-source", label="s0.jsonl")
    status(watched, "20 prompts, 20 samples")
    tab.select_option("#filter-tag", label="topic: t2")
    status(watched, "10 prompts, 10 samples")
    tab.click("#clear")
    status(watched, "40 prompts, 240 samples")


def test_search(watched: Watched):
    """Words are found in prompts, responses and reasoning, in whatever case, and marked where one reads."""
    tab = watched.tab
    tab.fill("#search", "IN WAY 1")
    status(watched, "39 prompts, 78 samples")
    tab.fill("#search", "case 12:")
    status(watched, "1 prompt, 6 samples")
    tab.click(".row")
    tab.wait_for_selector(".sample")
    assert tab.inner_text("#reader .asked mark") == "Case 12:"
    assert tab.query_selector_all(".sample.miss") == []
    tab.fill("#search", "no such word")
    status(watched, "0 prompts, 0 samples")


def test_side_by_side(watched: Watched):
    """A prompt's samples stand beside each other with outcome, verdicts and reasons; reasoning is folded, and unfolds."""
    tab = watched.tab
    tab.click("#row-2")
    tab.wait_for_selector(".sample")
    samples = tab.query_selector_all(".sample")
    assert len(samples) == 6
    boxes = [each.bounding_box() for each in samples]
    assert len({box["y"] for box in boxes}) == 1
    assert [box["x"] for box in boxes] == sorted({box["x"] for box in boxes})
    assert "small" in samples[0].inner_text()
    assert "large" in samples[3].inner_text()
    verdict = samples[1].query_selector(".verdicts li")
    assert verdict.get_attribute("class") == "fail"
    assert "because" in verdict.inner_text()
    reasoning = samples[0].query_selector("details.reasoning")
    assert "Let me think" not in samples[0].inner_text()
    reasoning.query_selector("summary").click()
    assert "Let me think" in samples[0].inner_text()


def test_keyboard(watched: Watched):
    """Without a mouse: slash to search, arrows through the list, Enter to the samples, Escape back; focus is seen."""
    tab = watched.tab
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "search"
    tab.keyboard.type("case 1")
    status(watched, "10 prompts")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "list"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    assert tab.inner_text("[aria-selected=true] .under span") == "case-12"
    assert tab.evaluate("document.activeElement.getAttribute('aria-activedescendant')") == "row-2"
    tab.wait_for_selector(".sample")
    tab.keyboard.press("End")
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.activeElement.id === 'reader'")
    assert tab.inner_text("#reader h3") == "case-19"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.id") == "list"
    tab.keyboard.press("/")
    tab.keyboard.press("Escape")
    status(watched, "40 prompts")


def test_every_control_has_a_name(watched: Watched):
    """Whoever hears the page hears what each control is, and headings don't skip a level."""
    tab = watched.tab
    tab.click("#row-2")
    tab.wait_for_selector(".sample")
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll('button, select, input, a, [tabindex="0"]')].filter(each =>
            !(each.labels?.length || each.getAttribute('aria-label') || each.textContent.trim())).map(each => each.outerHTML)"""
    )
    assert nameless == []
    levels = tab.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_phone(chromium: Chromium, page: Path):
    """On a screen of 360 pixels nothing makes the page wider; a prompt takes the list's place, and Back returns."""
    with chromium.open(page, **PHONE) as watched:
        tab = watched.tab
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.tap("#row-1")
        tab.wait_for_selector(".sample")
        assert not tab.is_visible("#list")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        boxes = [each.bounding_box() for each in tab.query_selector_all(".sample")]
        assert len({box["x"] for box in boxes}) == 1
        assert all(box["width"] <= 360 for box in boxes)
        tab.tap("#back")
        assert tab.is_visible("#list")
        assert watched.quiet(), watched


def test_dark(chromium: Chromium, page: Path):
    """It is dark where the system is, the toggle overrules that, and text stands out from what is behind it either way."""
    with chromium.open(page, color_scheme="dark") as watched:
        tab = watched.tab
        assert contrast(tab) > 7
        assert luminance(tab, "background-color") < 0.1
        tab.click("#theme")
        assert luminance(tab, "background-color") > 0.8
        assert contrast(tab) > 7
        tab.click("#theme")
        assert luminance(tab, "background-color") < 0.1
        tab.click("#theme")
        tab.emulate_media(color_scheme="light")
        tab.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
        assert watched.quiet(), watched


def luminance(tab, what: str) -> float:
    """Return the relative luminance of a colour of the body, as WCAG has it."""
    parts = tab.evaluate("what => getComputedStyle(document.body).getPropertyValue(what).match(/\\d+/g).map(Number)", what)
    red, green, blue = (value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in parts[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(tab) -> float:
    """Return the contrast of text and paper."""
    light, dark = sorted((luminance(tab, "color"), luminance(tab, "background-color")), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_print(watched: Watched):
    """On paper there are figures and charts, and no controls."""
    tab = watched.tab
    tab.emulate_media(media="print")
    assert not tab.is_visible("#filters")
    assert not tab.is_visible("#top")
    assert tab.is_visible("#summary")
    assert len(tab.pdf(format="A4")) > 20_000


def test_nothing_kept(chromium: Chromium, tmp_path: Path):
    """A build without a trace says so where there is nothing to measure, and shows no table without rows."""
    lake = Lake(tmp_path / "lake")
    given = Spec(verifiers=[named("never", lambda prompt, sample: False)])
    nothing = {
        "diversity": {"sample": 0, "traces": 0, "openings": []},
        "style": {"responses": 0, "by_length": [], "length_alone": None, "habits": {}},
    }
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(land(lake, given, "1", tmp_path, COUNTS | {"measures": nothing}))).result()
    with chromium.open(write_page(lake, "d", None, tmp_path / "page.html").path) as opened:
        assert "No trace was kept" in opened.tab.inner_text("#manner")
        assert [table for table in opened.tab.query_selector_all("#report table") if not table.query_selector("tbody tr")] == []
        assert opened.quiet(), opened
