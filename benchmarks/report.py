"""What the report's page costs: to write, to open, to filter and to search, by the number of traces in it.

    .venv/bin/python benchmarks/report.py 50000

Makes a build of four samples a prompt, three in four of which are kept, each of 60 words after 120 words of reasoning, writes
its page with all of them in it, and opens that in headless Chromium. Prints, for each number of traces: seconds to write it, by
the clock and of the processor, and peak memory meanwhile; the page's size; milliseconds to the first paint and until it can be
used, to filter, to search for a rare word and for words that every text has; and the longest that the page didn't answer during
the last.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.page.write import Page, write_page
from storage.identity import check_inputs
from storage.lake import Lake
from storage.parquet import PartWriter
from storage.records import Message, Prompt
from storage.rows import prompt_row
from storage.schemas import OUTCOMES, PROMPTS, SAMPLES, TRACES, VERDICTS

CHROMIUM = "/usr/bin/chromium"
K = 4
WORDS = [
    f"{a}{b}{c}"
    for a in ("ka", "lo", "mi", "ne", "su", "ta")
    for b in ("ren", "dol", "vis", "pan", "tor")
    for c in ("", "o", "a")
]
RARE = "quizzaciously"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def build(lake: Lake, traces: int) -> None:
    """Land a build with so many traces."""
    with lake.writing(print):  # makes the folders
        pass
    rng = random.Random(0)
    prompts = traces * 4 // (3 * K)
    snapshots = {name: lake.snapshot(name, "bench", "b1") / "part-00000.parquet" for name in ("prompts", "outcomes", "traces")}
    counts = {"kept": 0, "rejected": 0}
    with (
        PartWriter(snapshots["prompts"], PROMPTS) as asked,
        PartWriter(snapshots["outcomes"], OUTCOMES) as outcomes,
        PartWriter(snapshots["traces"], TRACES) as kept,
        PartWriter(lake.root / "samples" / "part.parquet", SAMPLES) as samples,
        PartWriter(lake.root / "verdicts" / "part.parquet", VERDICTS) as verdicts,
    ):
        for number in range(prompts):
            text = f"Case {number}: what does {' '.join(rng.choices(WORDS, k=20))} say?"
            prompt = Prompt(
                prompt_id=f"case-{number:07}",
                messages=(Message(role="user", content=text),),
                prompt=text,
                reference=str(number),
                tags={"topic": f"t{number % 12}"},
                source=f"source-{number % 3}.jsonl",
                license="CC0-1.0",
            )
            asked.write(prompt_row(prompt))
            for index in range(K):
                passed = (number + index) % 4 != 0
                counts["kept" if passed else "rejected"] += 1
                row = sample(rng, prompt, number, index)
                samples.write(row)
                outcomes.write(outcome(row, passed=passed))
                verdicts.write(verdict(row, prompt, passed=passed))
                if passed:
                    kept.write(row | trace(prompt))
    lake.land(manifest(prompts, **counts), staged(lake, snapshots))


def staged(lake: Lake, files: dict[str, Path]) -> Path:
    """Move snapshots to a folder from which they land."""
    folder = lake.root / "staged"
    for name, path in files.items():
        (folder / name).mkdir(parents=True)
        path.rename(folder / name / path.name)
        path.parent.rmdir()
    return folder


def sample(rng: random.Random, prompt: Prompt, number: int, index: int) -> dict[str, Any]:
    """Return a sample's row."""
    words = rng.choices(WORDS, k=60)
    if number == 17:
        words[30] = RARE
    return {
        "sample_id": f"{number * K + index:032x}",
        "prompt_id": prompt.prompt_id,
        "teacher": "small" if index < K // 2 else "large",
        "provider": "fake",
        "model": "m",
        "sample_index": index % (K // 2),
        "messages": [{"role": "user", "content": prompt.prompt}],
        "response": f"{' '.join(words)}. The answer is {number}.",
        "reasoning": " ".join(rng.choices(WORDS, k=120)),
        "finish_reason": "stop",
        "tokens_in": 30,
        "tokens_out": rng.randrange(100, 400),
        "tokens_reasoning": 150,
        "cost_usd": 0.0002,
        "latency_s": 1.5,
        "attempts": 1,
        "created_at": NOW,
    }


def outcome(row: dict[str, Any], *, passed: bool) -> dict[str, Any]:
    """Return its outcome's row."""
    ended = (
        {"outcome": "kept"}
        if passed
        else {"outcome": "rejected", "stage": "verify", "reason": "exact_match: 1 ≠ 2", "refuted_by": "exact_match"}
    )
    return {name: row[name] for name in ("prompt_id", "teacher", "sample_index", "sample_id")} | ended | {"score": float(passed)}


def verdict(row: dict[str, Any], prompt: Prompt, *, passed: bool) -> dict[str, Any]:
    """Return its verdict's row."""
    said = {"passed": passed, "score": float(passed), "reason": "" if passed else "1 ≠ 2", "elapsed_s": 0.0}
    named = {"verifier": "exact_match", "version": "1", "fingerprint": "f", "inputs": check_inputs(prompt)}
    return {"sample_id": row["sample_id"]} | named | said


def trace(prompt: Prompt) -> dict[str, Any]:
    """Return what a trace has beside its sample's columns."""
    rights = {
        "license": "CC0-1.0 AND Apache-2.0",
        "prompt_license": "CC0-1.0",
        "teacher_license": "Apache-2.0",
        "train_use": "allowed",
    }
    return {
        "dataset": "bench",
        "build_id": "b1",
        "prompt": prompt.prompt,
        "prompt_source": prompt.source,
        "generation": 0,
        "split": "train",
    } | rights


def manifest(prompts: int, *, kept: int, rejected: int) -> dict[str, Any]:
    """Return the build's manifest."""
    numbers = {"prompts": prompts, "requested": kept + rejected, "reused": 0, "paid": kept + rejected, "kept": kept, "failed": 0}
    spend = {"cost_usd": 0.0002 * (kept + rejected), "tokens_in": 0, "tokens_out": 0, "elapsed_s": 1.0}
    names = {
        "dataset": "bench",
        "build_id": "b1",
        "created_at": NOW.isoformat(),
        "version": "0",
        "spec_hash": "h",
        "lake": "lake",
    }
    teachers = [{"name": name, "provider": "fake", "model": "m", "license": "Apache-2.0"} for name in ("small", "large")]
    judges = [{"name": "exact_match", "version": "1", "fingerprint": "f"}]
    return numbers | spend | names | {"rejected": {"verify": rejected}, "verifiers": judges, "spec": {"teachers": teachers}}


def opened(page: Page) -> dict[str, float]:
    """Open a page in headless Chromium, use it, and return milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            tab = browser.new_page()
            tab.goto(page.path.as_uri(), wait_until="commit")
            tab.wait_for_selector("html[data-ready]")
            ready = tab.evaluate("performance.now()")
            paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            tab.wait_for_load_state("load")
            tab.evaluate(WATCH)
            took = {"paint": paint, "ready": ready, "filter": used(tab, "select", "#filter-outcome", "rejected")}
            tab.select_option("#filter-outcome", "")
            tab.wait_for_timeout(200)
            took["rare"] = used(tab, "type", "#search", RARE)
            tab.evaluate("window.longest = 0")
            took["common"] = used(tab, "type", "#search", "answer is")
            took["blocked"] = tab.evaluate("window.longest")
            return took
        finally:
            browser.close()


WATCH = """() => {
    window.longest = 0;
    let last = performance.now();
    const beat = () => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last);
        last = now;
        setTimeout(beat, 0);
    };
    beat();
}"""


def used(tab: Any, how: str, where: str, what: str) -> float:
    """Filter or search, wait for the end, and return the milliseconds that the page took."""
    tab.evaluate("delete document.getElementById('status').dataset.took")
    tab.select_option(where, what) if how == "select" else tab.fill(where, what)
    tab.wait_for_function("() => document.getElementById('status').dataset.took !== undefined", timeout=120_000)
    return float(tab.evaluate("document.getElementById('status').dataset.took"))


def main() -> int:
    """Measure once for each number of traces on the command line."""
    heads = (
        "traces",
        "write s",
        "cpu s",
        "peak MB",
        "page MB",
        "paint ms",
        "usable ms",
        "filter ms",
        "rare ms",
        "common ms",
        "blocked ms",
    )
    print(" ".join(f"{head:>10}" for head in heads))
    for traces in map(int, sys.argv[1:] or ["50000"]):
        with tempfile.TemporaryDirectory() as name:
            lake = Lake(Path(name) / "lake")
            build(lake, traces)
            Path("/proc/self/clear_refs").write_text("5")  # the peak of what follows
            began, processor = time.monotonic(), time.process_time()
            page = write_page(lake, "bench", None, Path(name) / "page.html", samples=2 * traces)
            seconds, processor = time.monotonic() - began, time.process_time() - processor
            peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
            took = opened(page)
        figures = [
            f"{traces:,}",
            f"{seconds:.1f}",
            f"{processor:.1f}",
            f"{int(peak.split()[1]) / 1000:,.0f}",
            f"{page.bytes / 1e6:.1f}",
        ]
        print(" ".join(f"{each:>10}" for each in [*figures, *(f"{value:,.0f}" for value in took.values())]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
