"""The whole way over real HTTP: prompts in, verified and licence-tagged traces out, paid for once."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion, counting


@pytest.fixture
def teacher() -> Iterator[LoopbackTeacher]:
    """Give a teacher that answers at once."""
    with LoopbackTeacher() as serving:
        yield serving


def spec(workplace: Workplace, url: str, *, prompts: int = 60, k: int = 3, **teacher: object) -> None:
    """Give the workplace an arithmetic spec."""
    workplace.spec = {
        "dataset": "sums",
        "seed": 1,
        "prompts": [{"source": workplace.prompts(prompts), "license": "MIT"}],
        "teachers": [workplace.teacher(url, **teacher)],
        "sampling": {"k": k, "temperature": 0.7, "max_tokens": 64, "seed": 0},
        "verify": [{"use": "exact_match", "kind": "number"}],
        "dedup": {"exact": False},
    }


def test_pays_once(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """300 prompts with k = 3 are 900 outcomes; a rerun buys nothing; k = 5 buys 600 more; every sum is right."""
    spec(workplace, teacher.url, prompts=300)
    first = workplace.build()
    assert (teacher.sold, first["paid"], first["requested"], first["reused"]) == (900, 900, 900, 0)
    assert first["kept"] + sum(first["rejected"].values()) + first["failed"] == 900
    assert first["cost_usd"] == pytest.approx(900 * (10 * 1.0 + 6 * 2.0) / 1e6)
    again = workplace.build()
    assert (teacher.sold, again["paid"], again["reused"], again["cost_usd"]) == (900, 0, 900, 0)
    assert {name: again[name] for name in ("kept", "rejected", "failed")} == {
        name: first[name] for name in ("kept", "rejected", "failed")
    }
    workplace.spec["sampling"]["k"] = 5
    more = workplace.build()
    assert (teacher.sold, more["paid"], more["reused"]) == (1500, 600, 900)
    slots = "SELECT count(*), count(DISTINCT (prompt_id, teacher, sample_index)) FROM current_outcomes"
    assert workplace.query(slots) == [(1500, 1500)]
    assert workplace.count("samples") == 1500


@pytest.mark.slow
def test_snapshots_are_the_same(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """The same spec on the same store gives the same snapshot, but for the build's own id."""
    spec(workplace, teacher.url)
    builds = [workplace.build()["build_id"], workplace.build()["build_id"]]
    for table in ("prompts", "outcomes", "traces"):
        first, second = (
            pq.read_table(workplace.lake / table / "dataset=sums" / f"build={build}" / "part-00000.parquet") for build in builds
        )
        if table == "traces":
            first, second = first.drop_columns("build_id"), second.drop_columns("build_id")
        assert first.equals(second), table


@pytest.mark.slow
def test_a_changed_verifier_judges_again(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Another option of a verifier judges what is stored, and asks no teacher."""
    spec(workplace, teacher.url)
    before = workplace.build()
    workplace.spec["verify"] = [{"use": "exact_match", "kind": "text"}]
    after = workplace.build()
    assert (after["paid"], teacher.sold) == (0, 180)
    assert before["kept"] == 60
    assert workplace.query("SELECT count(DISTINCT fingerprint) FROM verdicts") == [(2,)]


@pytest.mark.slow
def test_a_corrected_reference_judges_again(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A verdict holds for the reference it was reached with: a corrected one is judged anew, without a teacher."""
    spec(workplace, teacher.url)
    rows = [{"id": f"p{i}", "prompt": f"Case {i}?", "reference": "99"} for i in range(10)]
    path = workplace.folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert workplace.build()["kept"] == 0
    path.write_text("".join(json.dumps(row | {"reference": "0"}) + "\n" for row in rows))
    assert workplace.build()["kept"] == 10
    assert teacher.sold == 30


@pytest.mark.slow
def test_several_samples_a_request(workplace: Workplace) -> None:
    """`samples_per_request` asks with n, and what a server leaves out is asked for again."""

    def stingy(body: dict, sold: int) -> tuple[int, dict]:
        return counting(body | {"n": min(body.get("n") or 1, 2)}, sold)

    with LoopbackTeacher(stingy) as teacher:
        spec(workplace, teacher.url, prompts=10, k=4, samples_per_request=4)
        assert workplace.build()["paid"] == 40 == teacher.sold
        assert sorted(body.get("n", 1) for body in teacher.bodies) == [2] * 10 + [4] * 10


@pytest.mark.slow
def test_seeds_and_parameters_are_sent_and_stored(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """The i-th sample is asked for with seed + i; what the spec leaves out is not sent."""
    spec(workplace, teacher.url, prompts=1)
    workplace.spec["sampling"] = {"k": 3, "seed": 40, "top_p": 0.5}
    workplace.build()
    assert sorted(body["seed"] for body in teacher.bodies) == [40, 41, 42]
    assert all(set(body) == {"model", "messages", "seed", "top_p"} for body in teacher.bodies)
    assert workplace.query("SELECT sample_index, seed FROM samples ORDER BY 1") == [(0, 40), (1, 41), (2, 42)]


def test_reasoning_is_kept_apart(workplace: Workplace) -> None:
    """Reasoning from a field or from tags is a column of its own, and no verifier takes it for the answer."""

    def thinking(body: dict, sold: int) -> tuple[int, dict]:
        if sold % 2:
            return 200, completion(["<think>It is 7, no, 0.</think>The answer is 0."])
        return 200, completion(["The answer is 0."], reasoning_content="It is 7, no, 0.")

    with LoopbackTeacher(thinking) as teacher:
        spec(workplace, teacher.url, prompts=1, k=2)
        assert workplace.build()["kept"] == 2
    assert workplace.query("SELECT DISTINCT response, reasoning FROM traces") == [("The answer is 0.", "It is 7, no, 0.")]


def test_failures_are_rows(workplace: Workplace) -> None:
    """A request that the server rejects, or answers with nothing, fails its own slot and no other."""

    def broken(body: dict, sold: int) -> tuple[int, dict]:
        text = body["messages"][-1]["content"]
        if "case 3?" in text:
            return 400, {"error": {"message": "too long", "type": "invalid_request_error"}}
        if "case 4?" in text:
            return 200, completion([""])
        return counting(body, sold)

    with LoopbackTeacher(broken) as teacher:
        spec(workplace, teacher.url, prompts=10, k=1)
        summary = workplace.build()
        attempts = [body for body in teacher.bodies if "case 4?" in body["messages"][-1]["content"]]
    assert (summary["failed"], summary["paid"], summary["requested"]) == (2, 8, 10)
    assert len(attempts) == 3
    failed = workplace.query("SELECT stage, reason, sample_id FROM outcomes WHERE outcome = 'failed' ORDER BY reason")
    assert [row[0] for row in failed] == ["draw", "draw"]
    assert "too long" in failed[0][1]
    assert "empty" in failed[1][1]
    assert failed[0][2] is None


def test_the_licence_gate(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A source that isn't allowed, or has no licence, is refused with exit 3 before anything is spent."""
    spec(workplace, teacher.url)
    workplace.spec["licenses"] = {"allow": ["CC0-1.0"]}
    assert "MIT" in workplace.build(3)["error"]
    del workplace.spec["licenses"]
    del workplace.spec["prompts"][0]["license"]
    assert "prompts[0]" in workplace.build(3)["error"]
    assert teacher.sold == 0


@pytest.mark.slow
def test_a_spent_budget_stops_and_goes_on(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Exit 4 when the budget is spent; what was paid for is landed; a larger budget buys only the rest."""
    spec(workplace, teacher.url, limits={"concurrency": 4})
    workplace.spec["budget"] = {"usd": 50 * 22e-6}
    assert "budget" in workplace.build(4)["error"]
    assert 50 <= teacher.sold <= 50 + 4
    assert workplace.count("samples") == teacher.sold
    sold = teacher.sold
    assert workplace.build(4)["error"]
    assert teacher.sold == sold
    workplace.spec["budget"] = {"usd": 1.0}
    assert workplace.build()["paid"] == 180 - sold
    assert teacher.sold == 180


@pytest.mark.slow
def test_a_teacher_that_is_down(workplace: Workplace) -> None:
    """Exit 5 when a teacher stays unavailable; what was paid for is landed, and a rerun goes on."""

    def failing(body: dict, sold: int) -> tuple[int, dict]:
        if sold >= 20:
            return 503, {"error": {"message": "overloaded"}}
        return counting(body, sold)

    with LoopbackTeacher(failing) as teacher:
        spec(workplace, teacher.url, limits={"concurrency": 4})
        assert "unavailable" in workplace.build(5)["error"]
        assert workplace.count("samples") == 20
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url)
        assert workplace.build()["paid"] == 160 == teacher.sold


def test_a_refused_key(workplace: Workplace) -> None:
    """A key that the server refuses is one line and exit 2, and the key is not in it."""

    def refusing(body: dict, sold: int) -> tuple[int, dict]:
        return 401, {"error": {"message": "Incorrect API key provided: sk-canary-1234567890."}}

    with LoopbackTeacher(refusing) as teacher:
        spec(workplace, teacher.url)
        error = workplace.build(2)["error"]
    assert "api_key_env" in error
    assert "canary" not in error


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(lone_workplace: Workplace, number: int) -> None:
    """SIGINT and SIGTERM stop asking, land what was paid for, and exit 130; a rerun buys only the rest; nothing of Prefect's shows."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(lone_workplace, teacher.url, limits={"concurrency": 4})
        running = lone_workplace.start("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake), "--json")
        until = time.monotonic() + 120
        while teacher.sold < 20 and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(number)
        _, stderr = running.communicate(timeout=60)
        assert running.returncode == 130, stderr
        assert "Traceback" not in stderr
        assert "ERROR" not in stderr
        assert stderr.strip().splitlines()[-1].startswith("error: interrupted by SIG")
        assert lone_workplace.count("samples") == teacher.sold < 180
        sold = teacher.sold
        assert lone_workplace.build()["paid"] == 180 - sold


@pytest.mark.slow
def test_killed(workplace: Workplace) -> None:
    """SIGKILL loses nothing that was in the journal: bought again is at most what was in flight."""
    with LoopbackTeacher(delay_s=0.02) as teacher:
        spec(workplace, teacher.url, limits={"concurrency": 4})
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        until = time.monotonic() + 120
        while teacher.sold < 50 and time.monotonic() < until:
            time.sleep(0.01)
        running.kill()
        running.communicate()
        time.sleep(0.2)  # requests that were on their way arrive
        sold = teacher.sold
        after = workplace.build()
        # Four are at the teacher, and as many may have been answered whose commit is under way.
        assert after["reused"] >= sold - 8
        assert after["paid"] + after["reused"] == 180
        assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(180, 180)]


@pytest.mark.slow
def test_two_builds_at_once(workplace: Workplace) -> None:
    """Two builds of one spec on one lake neither harm it nor buy a sample twice: the second waits and says so."""
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(workplace, teacher.url, prompts=30, limits={"concurrency": 2})
        path = str(workplace.write())
        running = [workplace.start("build", path, "--lake", str(workplace.lake), "--json") for _ in range(2)]
        done = [process.communicate(timeout=120) for process in running]
        assert [process.returncode for process in running] == [0, 0]
        assert teacher.sold == 90
    assert sorted(json.loads(stdout)["paid"] for stdout, _ in done) == [0, 90]
    assert sum("another process" in stderr for _, stderr in done) == 1


@pytest.mark.slow
def test_duplicates_name_what_they_repeat(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Exact dedup keeps one of the responses that say the same, and every other one's outcome names it."""
    spec(workplace, teacher.url)
    workplace.spec["dedup"] = {"exact": True}
    summary = workplace.build()
    assert (summary["kept"], summary["rejected"]["dedup"]) == (3, 57)
    named = workplace.query(
        "SELECT count(*) FROM outcomes WHERE stage = 'dedup' AND reason[12:] NOT IN (SELECT sample_id FROM traces)"
    )
    assert named == [(0,)]


@pytest.mark.slow
def test_exports(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A spec's exports are written when the build lands: conversations in shards of equal size, with a manifest."""
    spec(workplace, teacher.url)
    workplace.spec["exports"] = [{"format": "messages", "to": str(workplace.folder / "out"), "shards": 4}]
    summary = workplace.build()
    manifest = json.loads((workplace.folder / "out" / "manifest.json").read_text())
    assert [shard["rows"] for shard in manifest["shards"]] == [15, 15, 15, 15]
    assert summary["kept"] == 60
    with duckdb.connect() as connection:
        rows = connection.execute(f"FROM read_parquet('{workplace.folder}/out/*.parquet')").fetchall()
    assert len(rows) == 60
    assert [turn["role"] for turn in rows[0][0]] == ["user", "assistant"]
    assert workplace.query("SELECT dataset, format, shards, rows FROM exports") == [("sums", "messages", 4, 60)]


def test_the_key_is_nowhere(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """The key is sent to the teacher, and is in no file of the lake and on no stream."""
    spec(workplace, teacher.url, prompts=5)
    done = workplace.run("build", str(workplace.write()), "--lake", str(workplace.lake))
    assert done.returncode == 0
    assert teacher.headers[0]["authorization"] == "Bearer sk-canary-1234567890"
    found = [path for path in workplace.lake.rglob("*") if path.is_file() and b"sk-canary" in path.read_bytes()]
    assert found == []
    assert "sk-canary" not in done.stdout + done.stderr


@pytest.mark.slow
def test_quiet(lone_workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Results are on stdout, plain progress on stderr, and nothing of Prefect's on either."""
    spec(lone_workplace, teacher.url, prompts=5)
    done = lone_workplace.run("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake))
    assert "kept + " in done.stdout
    assert set(done.stderr.splitlines()) <= {
        "starting Prefect",
        "reading prompts",
        "judging stored samples",
        "drawing and verifying",
        "curating",
        "measuring",
        "landing",
        "exporting",
    }


@pytest.mark.slow
def test_a_judge(workplace: Workplace) -> None:
    """A judge asks a teacher of the spec that draws nothing; its verdicts are stored, and a rerun asks it nothing."""

    def answering(body: dict, sold: int) -> tuple[int, dict]:
        if body["model"] != "strict":
            return counting(body, sold)
        assert body["response_format"]["type"] == "json_schema"
        good = "The answer is 1." in body["messages"][-1]["content"]
        return 200, completion([json.dumps({"score": 9 if good else 2, "reason": "read"})])

    with LoopbackTeacher(answering) as teacher:
        spec(workplace, teacher.url, prompts=4)
        judge = workplace.teacher(teacher.url, name="j", model="strict", draw=False, price={"input": 5, "output": 5})
        workplace.spec["teachers"].append(judge)
        workplace.spec["verify"] = [{"use": "judge", "teacher": "j", "rubric": "Is it 1?", "pass_at": 7}]
        summary = workplace.build()
        assert (summary["paid"], summary["kept"], teacher.sold) == (12, 4, 24)
        assert summary["cost_usd"] == pytest.approx((12 * (10 * 1 + 6 * 2) + 12 * (10 + 6) * 5) / 1e6)
        assert workplace.build()["paid"] == 0
        assert teacher.sold == 24


@pytest.mark.slow
def test_a_panel_of_which_one_is_down(workplace: Workplace) -> None:
    """What the others said by then isn't bought again by the build that goes on, and the bill says so."""
    down = True

    def answering(body: dict, sold: int) -> tuple[int, dict]:
        if body["model"] == "m":
            return counting(body, sold)
        if body["model"] == "c" and down:
            return 503, {"error": {"message": "busy"}}
        return 200, completion([json.dumps({"score": 9, "reason": "r"})])

    with LoopbackTeacher(answering) as teacher:
        spec(workplace, teacher.url, prompts=2, k=1)
        for name in "abc":
            workplace.spec["teachers"].append(workplace.teacher(teacher.url, name=name, model=name, draw=False))
        workplace.spec["verify"] = [{"use": "judge", "teachers": ["a", "b", "c"], "rubric": "?", "pass_at": 7}]
        workplace.build(5)
        asked = [body["model"] for body in teacher.bodies]
        assert (asked.count("a"), asked.count("b")) == (2, 2)
        down = False
        assert workplace.build()["kept"] == 2
        asked = [body["model"] for body in teacher.bodies]
        assert (asked.count("a"), asked.count("b")) == (2, 2)
        assert workplace.build()["paid"] == 0
        assert len(teacher.bodies) == len(asked)
    ((reason, cost),) = set(workplace.query("SELECT reason, cost_usd FROM verdicts"))
    assert reason == "3 of 3 pass it: a 9 of 10, b 9 of 10, c 9 of 10; r"
    assert cost == pytest.approx((10 * 1 + 6 * 2) / 1e6)


@pytest.mark.slow
def test_a_judge_of_its_own_responses(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Plan and build warn of it in one line."""
    spec(workplace, teacher.url, prompts=1, k=1)
    workplace.spec["verify"] = [{"use": "judge", "teacher": "t", "rubric": "?", "pass_at": 7}]
    for command in ("plan", "build"):
        done = workplace.run(command, str(workplace.write()), "--lake", str(workplace.lake))
        assert done.stderr.count("verify[0] (judge): 't' (the model of 't') would judge") == 1, done.stderr


@pytest.mark.slow
def test_adaptive_k(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Drawn in rounds, a prompt asks for no more once it has what it needs; a rerun finds the same outcomes."""
    spec(workplace, teacher.url, prompts=30, k=3)
    workplace.spec["sampling"]["adaptive"] = {"accept": 1}
    first = workplace.build()
    assert (first["requested"], first["kept"], teacher.sold) == (60, 30, 60)
    again = workplace.build()
    assert (again["paid"], again["requested"], again["kept"]) == (0, 60, 30)


@pytest.mark.slow
def test_two_teachers(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Each teacher draws k samples of each prompt, and a trace carries its own teacher's licence."""
    spec(workplace, teacher.url, prompts=6)
    workplace.spec["teachers"].append(workplace.teacher(teacher.url, name="u", model="n", license="MIT"))
    assert workplace.build()["requested"] == 36
    assert workplace.query("SELECT teacher, license, count(*) FROM traces GROUP BY ALL ORDER BY 1") == [
        ("t", "MIT AND Apache-2.0", 6),
        ("u", "MIT", 6),
    ]


def test_a_machine_without_bubblewrap(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Where the sandbox can't run, a build that needs it is one line and exit 2, before anything is asked for."""
    spec(workplace, teacher.url)
    workplace.spec["verify"] = [{"use": "unit_tests"}]
    workplace.environment["PATH"] = "/nowhere"
    assert "bubblewrap" in workplace.build(2)["error"]
    assert teacher.sold == 0


@pytest.mark.slow
def test_two_judges_of_one_name(workplace: Workplace) -> None:
    """Two verifiers of one name are two: where one of them gave no verdict, the other's pass isn't enough."""

    def answering(body: dict, sold: int) -> tuple[int, dict]:
        if body["model"] == "m":
            return counting(body, sold)
        control = body["messages"][-1]["content"].startswith("Repeat this number")
        fine = body["model"] == "lax" or control
        return (200, completion([json.dumps({"score": 9, "reason": "fine"})])) if fine else (500, {})

    with LoopbackTeacher(answering) as teacher:
        spec(workplace, teacher.url, prompts=2, k=1)
        for name in ("lax", "strict"):
            workplace.spec["teachers"].append(workplace.teacher(teacher.url, name=name, model=name, draw=False))
        workplace.spec["verify"] = [{"use": "judge", "teacher": name, "rubric": "?", "pass_at": 7} for name in ("lax", "strict")]
        summary = workplace.build()
    assert (summary["kept"], summary["rejected"]) == (0, {"verify": 2})


@pytest.mark.slow
def test_a_judges_bill_is_remembered(workplace: Workplace) -> None:
    """What judges cost counts against the budget of later runs too."""

    def answering(body: dict, sold: int) -> tuple[int, dict]:
        return (200, completion(['{"score": 9, "reason": "r"}'])) if body["model"] == "judge" else counting(body, sold)

    with LoopbackTeacher(answering) as teacher:
        spec(workplace, teacher.url, prompts=20, k=1, limits={"concurrency": 1})
        judge = workplace.teacher(teacher.url, name="j", model="judge", draw=False, price={"input": 1e5, "output": 0})
        workplace.spec["teachers"].append(judge | {"limits": {"concurrency": 1}})
        workplace.spec["verify"] = [{"use": "judge", "teacher": "j", "rubric": "?", "pass_at": 7}]
        workplace.spec["budget"] = {"usd": 5.0}
        for _ in range(2):
            assert "budget" in workplace.build(4)["error"]
        assert sum(body["model"] == "judge" for body in teacher.bodies) <= 7


@pytest.mark.slow
@pytest.mark.parametrize("failing", [1, 8, 39])
def test_requests_that_a_server_fails_on(workplace: Workplace, failing: int) -> None:
    """Prompts on which the server breaks fail their own slots, in the first build, as its last, and when they alone are left."""
    cursed = {f"How many in case {39 - number}?" for number in range(failing)}

    def breaking(body: dict, sold: int) -> tuple[int, dict]:
        return (500, {}) if body["messages"][-1]["content"] in cursed else counting(body, sold)

    with LoopbackTeacher(breaking) as teacher:
        spec(workplace, teacher.url, prompts=40, k=1, limits={"concurrency": 4})
        assert [workplace.build()["failed"] for _ in range(2)] == [failing] * 2
        controls = sum(body["messages"][-1]["content"].startswith("Repeat this number") for body in teacher.bodies)
        assert (teacher.sold - controls, controls <= 2 * failing) == (40 - failing, True)


@pytest.mark.slow
def test_empty_responses_are_billed(workplace: Workplace) -> None:
    """An empty response costs what the server bills for it, in the summary and against the budget."""

    def answer(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        return 200, completion(["7" if body["messages"][-1]["content"].startswith("Repeat this number") else ""])

    with LoopbackTeacher(answer) as teacher:
        spec(workplace, teacher.url, prompts=1, k=1)
        summary = workplace.build()
    # Three attempts, and the control that tells whose fault it is.
    assert (summary["failed"], summary["tokens_out"]) == (1, 24)
    assert summary["cost_usd"] == pytest.approx(4 * (10 + 6 * 2) / 1e6)


@pytest.mark.slow
def test_json_where_a_build_ends_early(workplace: Workplace) -> None:
    """`--json` prints one object when a build ends early too."""
    with LoopbackTeacher(lambda body, sold: (503, {})) as teacher:
        spec(workplace, teacher.url, prompts=5)
        done = workplace.run("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
    assert done.returncode == 5
    assert (json.loads(done.stdout)["exit"], "unavailable" in json.loads(done.stdout)["error"]) == (5, True)


def test_prefect_out_of_reach(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A Prefect server that isn't there is one line and exit 2, before anything is asked for."""
    spec(workplace, teacher.url)
    workplace.environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    assert "PREFECT_API_URL" in workplace.build(2)["error"]
    assert teacher.sold == 0


@pytest.mark.slow
def test_a_folder_of_the_users_own(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A lake in a folder that has other things in it, and a name like a Hive partition, harms and changes nothing."""
    lake = workplace.folder / "model=foo"
    for name in ("staging", "samples"):
        (lake / name).mkdir(parents=True)
        (lake / name / "precious.txt").write_text("x")
    workplace.lake = lake
    spec(workplace, teacher.url, prompts=2)
    assert workplace.build()["kept"] == 2
    assert [(lake / name / "precious.txt").read_text() for name in ("staging", "samples")] == ["x", "x"]
    assert workplace.query("SELECT DISTINCT model FROM traces") == [("m",)]
