"""Prompts grown by a teacher over real HTTP: paid for once, accounted for, the same every time."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion

pytestmark = pytest.mark.slow
WORDS = [
    "river",
    "stone",
    "lamp",
    "garden",
    "winter",
    "copper",
    "violin",
    "harbour",
    "market",
    "engine",
    "pepper",
    "meadow",
    "thunder",
    "ladder",
    "silver",
    "pilot",
]


def written(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer a request for prompts with a JSON list of one that nobody else gets, and any other with a sentence."""
    text = body["messages"][-1]["content"]
    if "JSON list" not in text:
        return 200, completion([f"About that: {hashlib.sha256(text.encode()).hexdigest()[:12]}."])
    digest = hashlib.sha256(f"{text}/{body.get('seed')}".encode()).digest()
    if digest[0] < 32:  # about one of eight
        return 200, completion(["I'm sorry, but I can't help with that."])
    return 200, completion([json.dumps([f"Why does {' '.join(WORDS[byte % 16] for byte in digest[1:9])} matter here?"])])


def spec(workplace: Workplace, url: str, *, seeds: int = 12, **grow: Any) -> None:
    """Give the workplace a spec that grows prompts, with a teacher who does nothing else."""
    workplace.spec = {
        "dataset": "grown",
        "seed": 1,
        "prompts": [
            {
                "source": workplace.prompts(seeds),
                "license": "CC-BY-4.0",
                "attribution": "The people",
                "grow": {"method": "evolve", "teacher": "gardener", "per_seed": 2, "seed": 5, "max_tokens": 200} | grow,
            }
        ],
        "teachers": [
            workplace.teacher(url),
            workplace.teacher(url, name="gardener", model="g", draw=False, license="MIT", price={"input": 2.0, "output": 4.0}),
        ],
        "sampling": {"k": 2, "max_tokens": 64, "seed": 0},
    }


def same(workplace: Workplace, first: str, second: str) -> None:
    """Check that two builds' snapshots are the same, but for the builds' own ids."""
    for table in ("prompts", "outcomes", "traces", "grown"):
        tables = [
            pq.read_table(workplace.lake / table / "dataset=grown" / f"build={build}", partitioning=None)
            for build in (first, second)
        ]
        if table == "traces":
            tables = [each.drop_columns("build_id") for each in tables]
        assert tables[0].equals(tables[1]), table


def test_pays_once(workplace: Workplace) -> None:
    """Growing is paid for once; a rerun gives the same bytes; a larger per_seed and new seeds pay for what is new alone."""
    with LoopbackTeacher(written) as teacher:
        spec(workplace, teacher.url)
        first = workplace.build()
        (grown,) = first["grown"]
        assert (grown["requests"], grown["paid"], grown["reused"], grown["asked"]) == (24, 24, 0, 24)
        assert grown["kept"] + sum(grown["rejected"].values()) + grown["failed"] == 24
        assert 0 < grown["rejected"]["refusal"] < 12
        assert first["prompts"] == 12 + grown["kept"]
        assert first["requested"] == 2 * first["prompts"]
        assert teacher.sold == 24 + first["requested"] == first["paid"]
        again = workplace.build()
        assert (again["paid"], again["grown"][0]["reused"], teacher.sold) == (0, 24, first["paid"])
        same(workplace, first["build_id"], again["build_id"])
        workplace.spec["prompts"][0]["grow"]["per_seed"] = 3
        more = workplace.build()
        assert more["grown"][0]["paid"] == 12
        workplace.prompts(14)
        workplace.spec["prompts"][0]["grow"]["per_seed"] = 2
        assert workplace.build()["grown"][0]["paid"] == 4
    rows = workplace.query("SELECT outcome, count(*), count(prompt_id) FROM current_grown GROUP BY outcome")
    assert all((number == ids) == (outcome == "kept") for outcome, number, ids in rows)
    lineage = workplace.query(
        "SELECT DISTINCT license, generation, list_has_all((SELECT list(prompt_id) FROM current_prompts), parents), source "
        "FROM current_prompts WHERE len(parents) > 0"
    )
    assert lineage == [("CC-BY-4.0 AND MIT", 1, True, f"{workplace.folder / 'prompts.jsonl'} (evolve by gardener)")]
    assert workplace.query("SELECT DISTINCT generation FROM current_traces WHERE prompt_source LIKE '%gardener%'") == [(1,)]


def test_rounds_and_lists(workplace: Workplace) -> None:
    """Rounds grow from what was grown; a request for several prompts accounts for each of them."""

    def several(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        text = body["messages"][-1]["content"]
        if "2 texts" not in text:
            return written(body, sold)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return 200, completion([f"1. What of {digest[:20]} and\nof its second line?\n2. Name {digest[20:30]} twice."])

    with LoopbackTeacher(several) as teacher:
        spec(workplace, teacher.url, seeds=4, method="self_instruct", examples=3, per_request=2, rounds=2, keep_seeds=False)
        built = workplace.build()
    (grown,) = built["grown"]
    assert (grown["requests"], grown["rejected"]) == (12, {})
    assert (grown["asked"], grown["kept"], built["prompts"]) == (24, 24, 24)
    assert workplace.query("SELECT generation, count(*) FROM prompts GROUP BY 1 ORDER BY 1") == [(1, 8), (2, 16)]
    assert workplace.query("SELECT DISTINCT len(parents), contains(prompt, chr(10)) FROM prompts ORDER BY 2") == [
        (3, False),
        (3, True),
    ]


def test_plan_foretells(workplace: Workplace) -> None:
    """A plan says what growing will ask and how many prompts may come, buys nothing, and warns of verifiers without references."""
    with LoopbackTeacher(written) as teacher:
        spec(workplace, teacher.url, rounds=2)
        workplace.spec["verify"] = [{"use": "exact_match"}]
        done = workplace.run("plan", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        assert (done.returncode, teacher.sold) == (0, 0), done.stderr
        assert "grown prompts have none" in done.stderr
        plan = json.loads(done.stdout)
        (growth,) = plan["growth"]
        assert (growth["seeds"], growth["missing"], growth["may_come"], growth["expected"]) == (12, 24 + 48, 24 + 48, None)
        assert not plan["known"]
        workplace.spec["verify"] = []
        built = workplace.build()
        assert built["by_teacher"]["gardener"]["cost_usd"] <= growth["most_usd"]
        assert built["cost_usd"] <= plan["most_usd"]
        after = json.loads(workplace.run("plan", str(workplace.write()), "--lake", str(workplace.lake), "--json").stdout)
    assert (after["growth"][0]["missing"], after["growth"][0]["may_come"], after["cost_usd"]) == (0, 0, 0)
    assert after["prompts"] == built["prompts"]
    said = workplace.run("report", "grown", "--lake", str(workplace.lake)).stdout
    assert f"{built['grown'][0]['kept']:,} kept" in said


def test_the_budget_counts_growing(workplace: Workplace) -> None:
    """What growing costs counts against the budget over all runs, also where more is grown of a dataset that has been paid for."""
    with LoopbackTeacher(written) as teacher:
        spec(workplace, teacher.url)
        each = (10 * 2.0 + 6 * 4.0) / 1e6
        workplace.spec["teachers"][1]["limits"] = {"concurrency": 1}
        workplace.spec["budget"] = {"usd": 10.5 * each}
        assert "budget.usd" in workplace.build(4)["error"]
        assert teacher.sold == 11
        workplace.spec["budget"] = {"usd": 1.0}
        whole = workplace.build()
        assert whole["grown"][0]["reused"] == 11
        sold, spent = teacher.sold, 24 * each + whole["requested"] * 22e-6
        workplace.spec["prompts"][0]["grow"]["per_seed"] = 4
        workplace.spec["budget"] = {"usd": spent + 0.5 * each}
        workplace.build(4)
        assert teacher.sold == sold + 1


def test_killed_and_interrupted(workplace: Workplace) -> None:
    """Killed while it grows, and interrupted, a build buys again what was in flight alone, and ends as an undisturbed one."""
    with LoopbackTeacher(written, delay_s=0.05) as teacher:
        spec(workplace, teacher.url, seeds=30)
        workplace.spec["teachers"][1]["limits"] = {"concurrency": 2}
        for goal, number in ((10, signal.SIGKILL), (25, signal.SIGINT)):
            running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
            until = time.monotonic() + 120
            while teacher.sold < goal and time.monotonic() < until:
                time.sleep(0.01)
            running.send_signal(number)
            _, stderr = running.communicate(timeout=60)
            assert running.returncode in {-signal.SIGKILL, 130}, stderr
            assert "Traceback" not in stderr
        built = workplace.build()
        asked = [json.dumps(body, sort_keys=True) for body in teacher.bodies if body["model"] == "g"]
        assert len(set(asked)) == 60
        assert len(asked) <= 60 + 2
        assert built["grown"][0]["paid"] <= 60 - 23
        again = workplace.build()
    assert again["paid"] == 0
    same(workplace, built["build_id"], again["build_id"])
    assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM samples WHERE model = 'g'") == [(60, 60)]


def test_down(workplace: Workplace) -> None:
    """A teacher that is down while prompts are grown ends the build with exit 5, and a single rejected request fails its prompt."""
    down = True

    def failing(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        if down and sold >= 5:
            return 503, {"error": {"message": "no"}}
        if body["model"] == "g" and "case 3?" in body["messages"][-1]["content"]:
            return 400, {"error": {"message": "too long", "type": "invalid_request_error"}}
        return written(body, sold)

    with LoopbackTeacher(failing) as teacher:
        spec(workplace, teacher.url)
        assert "gardener" in workplace.build(5)["error"]
        down = False
        built = workplace.build()
    (grown,) = built["grown"]
    assert (grown["failed"], grown["reused"]) == (2, 5)
    assert workplace.query("SELECT DISTINCT reason FROM grown WHERE outcome = 'failed'")[0][0].startswith("failed: ")


def test_nothing_is_grown_of_what_is_barred(workplace: Workplace) -> None:
    """Seeds that a benchmark or the gate bars are no seeds; what is grown is looked at too, and NOTICE credits whoever had a part."""
    heldout = workplace.folder / "heldout.jsonl"
    heldout.write_text(
        json.dumps({"prompt": "How many in case 2? Of all the apples that were left by the people of the far village"}) + "\n"
    )
    seeds = [
        {"prompt": "How many in case 2? Of all the apples that were left by the people of the far village", "license": "MIT"},
        {"prompt": "Who may not be asked?", "license": "CC-BY-NC-4.0"},
        {"prompt": "What is fine?", "license": "CC0-1.0"},
    ]
    with LoopbackTeacher(written) as teacher:
        spec(workplace, teacher.url, per_seed=3)
        (workplace.folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in seeds))
        source = workplace.spec["prompts"][0]
        del source["license"]
        source["fields"] = {"license": "license"}
        workplace.spec["decontaminate"] = [{"source": str(heldout), "name": "held"}]
        workplace.spec["licenses"] = {"deny": ["CC-BY-NC-4.0"]}
        workplace.spec["exports"] = [{"format": "messages", "to": str(workplace.folder / "out")}]
        built = workplace.build()
    (grown,) = built["grown"]
    assert (grown["seeds"], grown["left_out"], grown["requests"]) == (1, {"decontaminate": 1, "license": 1}, 3)
    notice = (workplace.folder / "out" / "NOTICE").read_text()
    assert "Prompts, made by these models" in notice
    assert "g (teacher gardener" in notice
    assert "Credit: The people" in notice
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT DISTINCT license FROM '{workplace.folder}/out/*.parquet' ORDER BY 1").fetchall()
    assert ("CC0-1.0 AND MIT AND Apache-2.0",) in found


@pytest.mark.model
def test_the_embedded_model(lone_workplace: Workplace) -> None:
    """A small model's answers are read to the end, whatever they are: every prompt that it was asked for is accounted for."""
    smol = {"name": "smol", "provider": "local", "model": "smollm2-135m-instruct", "license": "Apache-2.0"}
    grow = {"teacher": "smol", "max_tokens": 20, "temperature": 0.5, "seed": 1}
    source = {"source": lone_workplace.prompts(1), "license": "MIT"}
    lone_workplace.spec = {
        "dataset": "grown",
        "prompts": [
            source | {"grow": grow | {"method": "rephrase", "per_seed": 1}},
            source | {"grow": grow | {"method": "self_instruct", "per_seed": 2, "per_request": 2, "keep_seeds": False}},
        ],
        "teachers": [smol],
        "sampling": {"max_tokens": 4},
    }
    built = lone_workplace.build()
    assert [each["requests"] for each in built["grown"]] == [1, 1]
    for each, asked in zip(built["grown"], (1, 2), strict=True):
        assert each["kept"] + sum(each["rejected"].values()) + each["failed"] == each["asked"]
        assert each["asked"] - each["rejected"].get("surplus", 0) == asked
    assert built["prompts"] == 1 + sum(each["kept"] for each in built["grown"])
    rows = lone_workplace.query("SELECT count(*), count(*) FILTER (outcome <> 'kept' AND reason IS NULL) FROM current_grown")
    assert rows == [(sum(each["asked"] for each in built["grown"]), 0)]
    again = lone_workplace.build()
    assert (again["paid"], [each["kept"] for each in again["grown"]]) == (0, [each["kept"] for each in built["grown"]])
