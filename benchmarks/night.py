"""A night on one machine: a schedule fires, the worker is killed in mid-build, and the dataset is whole in the morning.

    PYTHONPATH=. .venv/bin/python benchmarks/night.py --screenshots /tmp/night

It starts a Prefect server and a worker of its own, deploys deploy/prefect.yaml and gives it a schedule that fires at once. The
automations of deploy/automations-heartbeat.yaml start again what was lost. A second night follows, with more prompts. It ends
with an error where a response that was paid for was lost or bought again, else with a JSON object of what happened.
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Workplace
from tests.e2e.station import Station, eventually
from tests.e2e.teacher import LoopbackTeacher

DEPLOY = Path(__file__).parents[1] / "deploy"
AT_ONCE = 4
"""Requests in flight: what a kill can cost at most."""
PAINTED_MS = 8_000
"""Until a page of the UI is drawn, on a busy machine."""
PATIENCE_S = 300.0
"""For what must come, on a busy machine."""
AHEAD_S = (20.0, 60.0, 180.0)
"""Until the schedule fires. A server that is too busy to make its run by then is given another, further ahead."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=240, help="of the first night")
    parser.add_argument("--more", type=int, default=60, help="of the second night, on top")
    parser.add_argument("--latency", type=float, default=0.4, help="of the teacher, in seconds")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="take pictures of Prefect's UI")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stillhouse-night-"))
    try:
        place = Workplace(folder)
        with LoopbackTeacher(delay_s=given.latency) as teacher, Station(folder, place.environment) as station:
            found = night(place, teacher, station, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))


def night(place: Workplace, teacher: LoopbackTeacher, station: Station, given: argparse.Namespace) -> dict[str, Any]:
    """Go through both nights and return what happened."""
    write(place, teacher.url, given.prompts)
    deploy(station)
    worker = station.work()
    run = scheduled(station)
    eventually(lambda: teacher.sold > given.prompts // 4, within_s=PATIENCE_S)
    tell(f"{teacher.sold} responses are sold; the worker and its run are killed")
    killed_at = time.monotonic()
    station.kill(worker)
    lost = [station.state(run["id"])["name"]]
    sold = teacher.sold
    station.work()
    eventually(lambda: station.state(run["id"])["type"] != "RUNNING", within_s=PATIENCE_S)
    lost.append(station.state(run["id"])["name"])
    noticed_s = time.monotonic() - killed_at
    tell(f"{noticed_s:.0f} s later the run is {lost[-1]}")
    eventually(lambda: teacher.sold > sold, within_s=PATIENCE_S)
    state = station.ended(run["id"], within_s=600)
    ensure(state["type"] == "COMPLETED", f"the run ended {state['name']}: {state['message']}")
    after_first = teacher.sold

    write(place, teacher.url, given.prompts + given.more)
    tell(f"{given.more} prompts more, and a second night")
    state = station.ended(station.run("build/first"), within_s=600)
    ensure(state["type"] == "COMPLETED", f"the second night ended {state['name']}: {state['message']}")

    if given.screenshots:
        picture(station, given.screenshots, run["id"])
    asked = collections.Counter(json.dumps([body["messages"], body.get("seed")]) for body in teacher.bodies)
    again = sum(times - 1 for times in asked.values())
    stored = place.count("samples")
    prompts = given.prompts + given.more
    ensure(stored == len(asked) == prompts, f"{stored} samples of {len(asked)} asked for, and {prompts} prompts")
    # A response that was on its way to a process that is no more can't be kept by anybody.
    ensure(again <= AT_ONCE, f"{again} were asked for twice, and {AT_ONCE} were in flight")
    ensure(teacher.sold - after_first == given.more, f"the second night bought {teacher.sold - after_first}")
    return {
        "prompts": [given.prompts, prompts],
        "samples": stored,
        "sold_before_the_kill": sold,
        "in_flight_when_killed_and_asked_for_again": again,
        "bought_by_the_second_night": teacher.sold - after_first,
        "state_after_the_kill": lost[0],
        "started_again_after_s": round(noticed_s),
        "starts_of_the_run": station.api(f"/flow_runs/{run['id']}")["run_count"],
        "kept": place.query("SELECT kept FROM builds ORDER BY created_at")[-1][0],
    }


def write(place: Workplace, url: str, prompts: int) -> None:
    """Write the spec where the deployment looks for it, and its prompts, a few of them tagged."""
    place.spec = {
        "dataset": "first",
        "prompts": [{"source": place.prompts(prompts), "license": "CC0-1.0"}],
        "teachers": [place.teacher(url, limits={"concurrency": AT_ONCE})],
        "sampling": {"k": 1, "temperature": 0.7, "max_tokens": 64, "seed": 0},
        "verify": [{"use": "exact_match", "kind": "number"}],
        "dedup": {"exact": False},
        "budget": {"usd": 5},
    }
    target = place.folder / "examples" / "first.yaml"
    target.parent.mkdir(exist_ok=True)
    place.write().replace(target)


def deploy(station: Station) -> None:
    """Deploy deploy/prefect.yaml as its head says."""
    for pool in ("stillhouse", "gpu"):
        station.command("work-pool", "create", "--type", "process", pool)
    station.command("--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOY / "prefect.yaml"))
    station.command("automation", "create", "--from-file", str(DEPLOY / "automations-heartbeat.yaml"))


def scheduled(station: Station) -> dict[str, Any]:
    """Give the deployment of builds a schedule that fires soon, as a person does in the UI, and return the run that it makes."""
    build = station.api("/deployments/name/build/first")["id"]
    for ahead_s in AHEAD_S:
        soon = datetime.now(UTC) + timedelta(seconds=ahead_s)
        schedule = {"interval": 86_400, "anchor_date": soon.isoformat(), "timezone": "UTC"}
        station.api(f"/deployments/{build}/schedules", [{"active": True, "schedule": schedule}])
        late = {"before_": (soon + timedelta(seconds=1)).isoformat()}
        asked = {"flow_runs": {"expected_start_time": late}, "limit": 1}
        while datetime.now(UTC) < soon:
            if found := station.api("/flow_runs/filter", asked):
                run: dict[str, Any] = found[0]
                tell(f"the schedule has made a run, {run['name']}; it begins at {soon:%H:%M:%S}")
                return run
            time.sleep(0.5)
    sys.exit("error: no schedule fired")


def picture(station: Station, folder: Path, run: str) -> None:
    """Take pictures of the UI in headless Chromium."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    build = station.api("/deployments/name/build/first")["id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})

        def shoot(name: str, path: str, *clicks: str) -> None:
            page.goto(f"{station.url.removesuffix('/api')}/{path}")
            page.wait_for_timeout(PAINTED_MS)  # a page keeps a socket open, so the network is never idle
            for text in clicks:
                page.get_by_text(text, exact=True).first.click()
                page.wait_for_timeout(1_000)
            page.screenshot(path=folder / f"prefect-{name}.png")

        shoot("runs", "runs")
        shoot("run", f"runs/flow-run/{run}")
        shoot("artifacts", "artifacts", "first-summary")
        shoot("deployment", f"deployments/deployment/{build}")
        shoot("form", f"deployments/deployment/{build}/run", "Overrides", "Sampling")
        browser.close()


def ensure(holds: bool, otherwise: str) -> None:
    """End with an error where something doesn't hold."""
    if not holds:
        sys.exit(f"error: {otherwise}")


def tell(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
