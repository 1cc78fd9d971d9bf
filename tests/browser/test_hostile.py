"""Hostile texts: whatever prompts and teachers say, it is read as text, and the page asks nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.page.write import write_page
from storage.lake import Lake
from tests.browser.conftest import HOSTILE, Chromium

pytestmark = pytest.mark.browser


def shown(text: str) -> str:
    """Return a text as one compares it: how spaces and line ends are laid out doesn't count."""
    return "".join(text.split()).replace("\x00", "")


def test_hostile_texts(chromium: Chromium, landed: Lake, tmp_path: Path):
    """In prompt, reference, tags, source, responses, reasoning, reasons and warnings, markup stays text: nothing runs or loads."""
    page = write_page(landed, "d", None, tmp_path / "page.html")
    with chromium.open(page.path) as watched:
        tab = watched.tab
        tab.fill("#search", "onerror=alert")
        tab.wait_for_function(
            "() => document.getElementById('status').textContent.startsWith('40 prompts')"
        )  # each has such a reason
        tab.fill("#search", "")
        tab.select_option("#filter-tag", label=f"{HOSTILE}: {HOSTILE}"[:79] + "…")
        tab.wait_for_function("() => document.getElementById('status').textContent.startsWith('1 prompt,')")
        tab.click(".row")
        tab.wait_for_selector(".sample")
        for details in tab.query_selector_all("#reader details"):
            details.evaluate("each => { each.open = true; }")
        texts = [shown(each.inner_text()) for each in tab.query_selector_all("#reader .text")]
        assert shown(HOSTILE) in texts
        assert sum(shown(HOSTILE) in text for text in texts) >= 13  # the prompt, what was sent, six responses, …
        assert shown(HOSTILE) in shown(tab.inner_text("#summary"))
        assert tab.query_selector_all("img, iframe, object, embed, #report script, #traces script") == []
        assert (
            tab.evaluate(
                "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/.test(a.name)).length"
            )
            == 0
        )
        tab.wait_for_timeout(200)
        assert watched.quiet(), watched


def test_policy(chromium: Chromium, landed: Lake, tmp_path: Path):
    """Even where a script of the page were tricked, the browser lets no request out, no foreign script in, no string become markup."""
    page = write_page(landed, "d", None, tmp_path / "page.html")
    with chromium.open(page.path) as watched:
        tab = watched.tab
        tried = tab.evaluate(
            """async () => {
                const found = [];
                try { await fetch('http://127.0.0.1:9/'); found.push('fetched'); } catch { found.push('refused'); }
                try { document.body.innerHTML += '<b>x</b>'; found.push('markup'); } catch { found.push('refused'); }
                const script = document.createElement('script');
                try { script.textContent = 'window.ran = 1'; document.body.append(script); } catch { /* trusted types refuse too */ }
                found.push(window.ran ? 'ran' : 'refused');
                const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';
                await new Promise(done => { image.onerror = image.onload = done; });
                return found;
            }"""
        )
        assert tried == ["refused", "refused", "refused"]
        assert any("Content Security Policy" in each for each in watched.complaints)
