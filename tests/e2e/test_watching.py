"""What a real Prefect server shows of a real build: artifacts, assets with their lineage, events."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import api, eventually, named, runs

pytestmark = pytest.mark.server


def events(workplace: Workplace, prefix: str, dataset: str | None = None) -> list[dict[str, Any]]:
    """Return the server's newest events whose names begin so, oldest first, of one dataset where it is given."""
    wanted: dict[str, Any] = {"event": {"prefix": [prefix]}, "order": "DESC"}
    if dataset is not None:
        wanted["resource"] = {"id": [f"stillhouse.dataset.{dataset}"]}
    found: list[dict[str, Any]] = api(workplace, "/events/filter", {"filter": wanted, "limit": 50})["events"]
    return found[::-1]


def artifacts(workplace: Workplace, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a run's artifacts by key."""
    own = {"flow_runs": {"id": {"any_": [run["id"]]}}, "limit": 200}
    return {artifact["key"]: artifact for artifact in api(workplace, "/artifacts/filter", own)}


def related(event: dict[str, Any], role: str) -> set[str]:
    """Return the ids of what an event is related to in a role."""
    return {each["prefect.resource.id"] for each in event["related"] if each["prefect.resource.role"] == role}


@pytest.mark.slow
def test_a_build_is_watched(workplace: Workplace) -> None:
    """Each stage ends at 100 %, the tables have rates, spend and limits, the assets their lineage, and nothing has a text or a key."""
    with LoopbackTeacher(delay_s=0.02) as teacher:
        spec(workplace, teacher.url, prompts=300, k=1, limits={"concurrency": 4, "requests_per_minute": 6000})
        named(workplace, "Watched_1")
        workplace.spec["exports"] = [{"format": "messages", "to": "out", "shards": 2}]
        workplace.spec["budget"] = {"usd": 5}
        workplace.spec["watch"] = {"min_pass_rate": 0.5, "after": 20}
        built = workplace.build()
    (run,) = runs(workplace, "Watched_1")
    (landed,) = eventually(lambda: events(workplace, "stillhouse.build", "Watched_1"))
    shown = artifacts(workplace, run)
    stages = ("reading-prompts", "judging-stored-samples", "drawing-and-verifying", "curating", "landing", "exporting")
    for stage in (*stages, "progress"):
        artifact = shown[f"watched-1-{stage}"]
        assert (artifact["type"], artifact["data"]) == ("progress", 100), artifact

    rates = {(row["by"], row["name"]): row for row in json.loads(shown["watched-1-pass-rates"]["data"])}
    assert rates["teacher", "t"]["pass rate"] == rates["verifier", "exact_match"]["pass rate"] == "33.3%"
    spend = {row["teacher"]: row["USD"] for row in json.loads(shown["watched-1-spend"]["data"])}
    assert (spend["t"], spend["budget"], spend["left"]) == ("0.0066", "5.0000", "4.9934")
    (line,) = json.loads(shown["watched-1-limits"]["data"])
    assert (line["teacher"], line["state"], line["in flight"], line["sent"]) == ("t", "well", "0 of 4", 300)
    assert line["requests/min"].endswith(" of 6,000")

    page = workplace.lake / "reports" / "Watched_1" / f"{built['build_id']}.html"
    assert shown["watched-1-report"]["data"] == f"[Report of the build {built['build_id']}]({page.as_uri()})"
    assert landed["payload"]["report"] == page.as_uri()
    assert page.read_text().startswith("<!doctype html>")

    (low,) = eventually(lambda: events(workplace, "stillhouse.passrate", "Watched_1"))
    assert low["payload"]["pass_rate"] < low["payload"]["min_pass_rate"] == 0.5
    assert landed["payload"]["kept"] == built["kept"] == 100
    assert f"prefect.flow-run.{run['id']}" in related(landed, "flow-run")

    dataset = f"stillhouse://{workplace.lake}/Watched_1"
    export = f"file://{workplace.folder}/out"

    def made() -> dict[str, dict[str, Any]] | None:
        found = events(workplace, "prefect.asset.materialization.succeeded")
        own = {e["resource"]["prefect.resource.id"]: e for e in found if str(workplace.folder) in json.dumps(e["resource"])}
        return own if len(own) == 4 else None

    assets = eventually(made)
    assert related(assets[dataset], "asset") == {f"file://{workplace.folder}/prompts.jsonl"}
    assert related(assets[export], "asset") == {dataset}
    shards = [key for key in assets if key.startswith(f"{export}/")]
    assert [related(assets[key], "asset") for key in shards] == [{export}] * 2
    assert assets[dataset]["payload"]["kept"] == sum(assets[key]["payload"]["rows"] for key in shards) == 100

    everything = json.dumps([list(shown.values()), events(workplace, "stillhouse"), events(workplace, "prefect.asset")])
    for secret in ("How many in case", "The answer is", "sk-canary"):
        assert secret not in everything


@pytest.mark.slow
def test_what_ends_a_build_is_an_event(workplace: Workplace) -> None:
    """A spent budget and a teacher that is down are told with counts, and nothing is told twice."""
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=60, k=1, limits={"concurrency": 1})
        named(workplace, "spent")
        workplace.spec["budget"] = {"usd": 0.0005}
        workplace.build(4)
    with LoopbackTeacher(lambda body, sold: (503, {})) as teacher:
        spec(workplace, teacher.url, prompts=5)
        named(workplace, "down")
        workplace.build(5)
    (spent,) = eventually(lambda: events(workplace, "stillhouse.", "spent"))
    assert spent["event"] == "stillhouse.budget.exhausted"
    assert spent["payload"]["spent_usd"] >= spent["payload"]["budget_usd"] == 0.0005
    (down,) = eventually(lambda: events(workplace, "stillhouse.", "down"))
    assert (down["event"], down["payload"]["teachers"]) == ("stillhouse.teacher.down", ["t"])
    assert "stayed unavailable" in down["payload"]["message"]


@pytest.mark.slow
def test_strategies_and_tags_have_rates_while_it_draws(workplace: Workplace) -> None:
    """The table of pass rates is there in mid-draw, by strategy and tag as well."""

    def slow(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        return 200, completion([f"The answer is {sold % 3}."])

    with LoopbackTeacher(slow, delay_s=0.05) as teacher:
        spec(workplace, teacher.url, prompts=1, k=1, limits={"concurrency": 2})
        rows = [{"prompt": f"How many in case {n}?", "reference": "1", "kind": "odd" if n % 2 else "even"} for n in range(400)]
        Path(workplace.folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        workplace.spec["prompts"][0] |= {"fields": {"tags": ["kind"]}}
        workplace.spec["template"] = {"strategies": [{"name": "terse", "system": "Be terse."}]}
        named(workplace, "tagged")
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))

        def drawn() -> dict[tuple[str, str], dict[str, Any]] | None:
            for run in runs(workplace, "tagged"):
                table = artifacts(workplace, run).get("tagged-pass-rates")
                if table is not None:
                    assert table["description"] == "Pass rates of what this run has drawn so far"
                    return {(row["by"], row["name"]): row for row in json.loads(table["data"])}
            assert running.poll() is None, running.communicate()
            time.sleep(0.5)
            return None

        rates = eventually(drawn)
        running.terminate()
        running.communicate(timeout=60)
    wanted = {("tag kind", "odd"), ("tag kind", "even"), ("teacher", "t"), ("strategy", "terse"), ("verifier", "exact_match")}
    assert wanted <= set(rates)


@pytest.mark.slow
def test_metrics_of_a_build(lone_workplace: Workplace) -> None:
    """Scraped in mid-draw, a build's metrics are what the teacher sold by then; no server of Prefect's is needed for them."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(lone_workplace, teacher.url, prompts=400, k=1, limits={"concurrency": 4})
        named(lone_workplace, "measured")
        running = lone_workplace.start("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake), "--metrics", "0")
        try:
            assert running.stderr is not None
            address = next(line for line in running.stderr if line.startswith("metrics at ")).split()[-1]
            eventually(lambda: teacher.sold > 50)
            before = teacher.sold
            with urllib.request.urlopen(address, timeout=10) as response:
                text = response.read().decode()
            after = teacher.sold
        finally:
            running.terminate()
            running.communicate(timeout=60)
    found = {
        (sample.name, sample.labels.get("outcome") or sample.labels.get("stage")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    answered = found["stillhouse_requests_total", "answered"]
    assert (answered.labels["dataset"], answered.labels["teacher"]) == ("measured", "t")
    assert before - 4 <= answered.value <= after
    assert found["stillhouse_in_flight", None].value <= found["stillhouse_concurrency_limit", None].value == 4
    assert ("stillhouse_run", "drawing and verifying") in found
    assert "sk-canary" not in text
