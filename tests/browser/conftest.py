"""A real headless Chromium, and pages in it that are watched."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from storage.lake import Lake
from tasks.teachers.protocol import Choice, Request
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec
from verifiers.protocol import Finding

HOSTILE = (
    "<img src=x onerror=alert(1)></script><script>alert(2)</script><!-- \"'><svg/onload=alert(3)>"
    "</textarea></style>\u2028\u2029\x1b[31m\x00 javascript:alert(4) {{x}} ${alert(5)} {style}"
)
"""What would run, or break out, wherever it isn't taken as text."""


@dataclass
class Watched:
    """A tab, and what it did that it must not do."""

    tab: Page
    dialogs: list[str] = field(default_factory=list)
    """Texts of dialogs that opened."""
    complaints: list[str] = field(default_factory=list)
    """What the console said, the policy's violations among it, and errors that nobody caught."""
    requests: list[str] = field(default_factory=list)
    """Addresses other than the page's own."""

    def quiet(self) -> bool:
        """Whether nothing of it happened."""
        return not (self.dialogs or self.complaints or self.requests)


class Chromium:
    """One browser for all tests."""

    def __init__(self, browser: Browser) -> None:
        """Use this one."""
        self._browser = browser

    @contextmanager
    def open(self, page: Path, **context: Any) -> Iterator[Watched]:
        """Open a page in a context of its own, and give it once it can be used."""
        with self._browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)) as held:
            tab = held.new_page()
            watched = Watched(tab)
            tab.on("dialog", lambda dialog: (watched.dialogs.append(dialog.message), dialog.dismiss()))
            tab.on("console", lambda message: watched.complaints.append(message.text))
            tab.on("pageerror", lambda error: watched.complaints.append(str(error)))
            tab.on("request", lambda request: request.url == page.as_uri() or watched.requests.append(request.url))
            tab.goto(page.as_uri(), wait_until="commit")
            tab.wait_for_selector("html[data-ready]", state="attached")
            yield watched


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Start Chromium. Not for the whole session: its loop would be in the way of other tests that open a browser."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium is installed: make test-browser does it"
    with sync_playwright() as playwright:
        # Where there is no name space for its sandbox, as in a container, it would not start.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield Chromium(browser)
        browser.close()


def spec() -> Spec:
    """Return forty prompts of two sources and four topics, one of them hostile, answered by two teachers."""
    prompts = [
        make_prompt(
            f"Case {number:02}: how many?", prompt_id=f"case-{number:02}", reference=str(number), source=f"s{number % 2}.jsonl"
        )
        for number in range(40)
    ]
    prompts = [
        make_prompt(
            each.prompt, prompt_id=each.prompt_id, reference=each.reference, source=each.source, tags={"topic": f"t{number % 4}"}
        )
        for number, each in enumerate(prompts)
    ]
    prompts[7] = make_prompt(
        HOSTILE, prompt_id="case-07", reference=HOSTILE, source=HOSTILE, tags={HOSTILE: HOSTILE}, license="CC0-1.0"
    )

    def answer(request: Request) -> Any:
        if "Case 05" in request.messages[-1].content:
            return completion("")
        hostile = f"Count {HOSTILE}" if "alert" in request.messages[-1].content else request.messages[-1].content
        return completion(
            *(
                Choice(response=f"{hostile} It is {index}.", reasoning=f"Let me think, in way {index}. {hostile}")
                for index in range(request.sample_index, request.sample_index + request.n)
            )
        )

    def judge(prompt: Any, sample: Any) -> Finding:
        return Finding(passed=sample.sample_index % 2 == 0, reason=f"because {HOSTILE}", score=0.5)

    teachers = {"small": FakeTeacher(answer=answer), "large": FakeTeacher(answer=answer)}
    return Spec(prompts=prompts, teachers=teachers, k=3, verifiers=[named("check", judge)])


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Land a build of `spec()`, with a hostile warning."""
    folder = tmp_path_factory.mktemp("report")
    lake = Lake(folder / "lake")
    given = spec()
    verifiers = [{"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in given.verifiers]
    system = {"dataset": "d", "template": {"system": HOSTILE}, "teachers": [{"name": "small"}, {"name": "large"}]}
    said = COUNTS | {"prompts": 40, "paid": 240, "verifiers": verifiers, "warnings": [HOSTILE], "spec": system}
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(land(lake, given, "1", folder, said))).result()
    return lake
