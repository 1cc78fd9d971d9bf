"""Builds through batches, by the real command against a real server: bought once, whatever dies when."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.tasks.teachers.batch_server import TOKENS_IN, TOKENS_OUT, BatchServer

pytestmark = pytest.mark.slow

PROVIDERS = ("openai-batch", "anthropic-batch")
PROMPTS, K = 20, 2


@pytest.fixture
def server() -> Iterator[BatchServer]:
    """Give a server whose batches end at the second look."""
    with BatchServer(looks=2) as serving:
        yield serving


@pytest.fixture(params=PROVIDERS)
def place(request: pytest.FixtureRequest, workplace: Workplace, server: BatchServer) -> Workplace:
    """Give a workplace with a spec for each provider in turn."""
    teacher = workplace.teacher(server.url, provider=request.param, batch={"linger_s": 0.5})
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(PROMPTS), "license": "MIT"}],
        "teachers": [teacher],
        "sampling": {"k": K, "max_tokens": 64},
        "dedup": {"exact": False},
    }
    return workplace


def wait_until(true: Callable[[], Any]) -> None:
    """Wait for something to become true."""
    until = time.monotonic() + 120
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def started(place: Workplace) -> subprocess.Popen[str]:
    """Start a build."""
    return place.start("build", str(place.write()), "--lake", str(place.lake), "--json")


def once(server: BatchServer) -> None:
    """Check that every request was bought once: of one body, as often as there are samples."""
    assert len(server.sold) == PROMPTS
    assert set(server.sold.values()) == {K}


def notes(place: Workplace) -> list[str]:
    """Return the names of the notes of open batches."""
    return sorted(path.name for path in (place.lake / "journal" / "batches").glob("*.json"))


def left_at_the_provider(place: Workplace, server: BatchServer) -> None:
    """Kill a build while its batch is in progress, and let the provider hold that."""
    server.holding = True
    running = started(place)
    wait_until(lambda: any(batch.looks > 1 for batch in server.batches.values()))
    running.kill()
    running.communicate()


def test_a_build(place: Workplace, server: BatchServer) -> None:
    """All that is missing is one batch, at half the price; a rerun buys nothing; no note is left."""
    summary = place.build()
    assert (summary["paid"], summary["requested"], summary["failed"], summary["kept"]) == (40, 40, 0, 40)
    assert summary["cost_usd"] == pytest.approx(40 * (TOKENS_IN * 1.0 + TOKENS_OUT * 2.0) / 1e6 / 2)
    stored = place.query("SELECT sum(cost_usd) FROM samples")
    assert stored[0][0] == pytest.approx(summary["cost_usd"])
    assert len(server.batches) == 1
    assert notes(place) == []
    again = place.build()
    assert (again["paid"], again["reused"], again["kept"]) == (0, 40, 40)
    once(server)


def test_what_is_said(place: Workplace, server: BatchServer) -> None:
    """Plain lines tell how the batch stands, and the plan has its price."""
    planned = place.run("plan", str(place.write()), "--lake", str(place.lake), "--json")
    (only,) = json.loads(planned.stdout)["teachers"]
    assert only["most_usd"] == pytest.approx((only["tokens_in"] * 1.0 + 40 * 64 * 2.0) / 1e6 / 2)
    done = place.run("build", str(place.write()), "--lake", str(place.lake))
    assert done.returncode == 0
    assert "in progress 0/40" in done.stderr
    assert "no response" not in done.stderr


def test_some_fail(place: Workplace, server: BatchServer) -> None:
    """What fails by itself fails its slot; what expired is asked again in a later batch."""
    late = iter(["expired"] * 3)

    def fate(body: dict[str, Any]) -> str | tuple[int, dict[str, Any]]:
        text = body["messages"][-1]["content"]
        if "case 3?" in text:
            return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
        return next(late, "ok") if "case 4?" in text or "case 5?" in text else "ok"

    server.fate = fate
    summary = place.build()
    assert (summary["failed"], summary["paid"]) == (2, 38)
    assert [len(batch.entries) for batch in server.batches.values()] == [40, 3]
    assert notes(place) == []


def test_killed_between_sending_and_noting(place: Workplace, server: BatchServer) -> None:
    """SIGKILL when the server has the batch and the client doesn't know it yet: the rerun finds it."""
    running: list[subprocess.Popen[str]] = []

    def kill() -> bool:
        running[0].kill()
        running[0].wait()
        return False

    server.created = kill
    running.append(started(place))
    running[0].communicate(timeout=120)
    server.created = lambda: True
    assert len(server.batches) == 1
    assert len(notes(place)) == 1
    if place.spec["teachers"][0]["provider"] == "anthropic-batch":
        server._finish(server.batches["batch_0"])  # its results alone tell whose it is
    assert place.build()["paid"] == 40
    assert len(server.batches) == 1
    once(server)


def test_killed_while_waiting(place: Workplace, server: BatchServer) -> None:
    """SIGKILL while the batch is in progress: status and doctor tell of it, and the rerun waits for it."""
    left_at_the_provider(place, server)
    told = place.run("status", "--lake", str(place.lake))
    assert "batch batch_0: teacher t" in told.stdout
    assert "40 requests to fetch" in told.stdout
    assert "1 with 40 requests to fetch" in place.run("doctor", "--lake", str(place.lake)).stdout
    server.holding = False
    assert place.build()["paid"] == 40
    assert len(server.batches) == 1
    once(server)
    assert notes(place) == []


def test_killed_after_the_download(place: Workplace, server: BatchServer) -> None:
    """SIGKILL once the results were sent: the rerun fetches again what isn't in the lake, and buys nothing."""
    running: list[subprocess.Popen[str]] = []
    server.fetched = lambda: [each.kill() for each in running]
    running.append(started(place))
    running[0].communicate(timeout=120)
    server.fetched = lambda: None
    assert len(notes(place)) == 1
    summary = place.build()
    assert summary["paid"] + summary["reused"] == 40
    assert len(server.batches) == 1
    once(server)
    assert notes(place) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(place: Workplace, server: BatchServer, number: int) -> None:
    """An interruption leaves the batch at the provider, says so, and exits 130; a rerun picks it up."""
    server.holding = True
    running = started(place)
    wait_until(lambda: any(batch.looks > 1 for batch in server.batches.values()))
    running.send_signal(number)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert "a rerun picks them up" in stderr
    assert "Traceback" not in stderr
    assert not any(batch.cancelled for batch in server.batches.values())
    server.holding = False
    assert place.build()["paid"] == 40
    once(server)


def test_what_nobody_asks_for(place: Workplace, server: BatchServer) -> None:
    """A batch of which a changed spec wants but a part stays noted with the rest, until that is wanted again."""
    left_at_the_provider(place, server)
    server.holding = False
    place.spec["sampling"]["k"] = 1
    assert place.build()["paid"] == 20
    assert "20 requests to fetch" in place.run("status", "--lake", str(place.lake)).stdout
    place.spec["sampling"]["k"] = 2
    assert place.build()["paid"] == 20
    assert len(server.batches) == 1
    assert notes(place) == []


def test_a_budget(place: Workplace, server: BatchServer) -> None:
    """No batch is larger than the budget covers, and a larger one buys the rest."""
    each = (TOKENS_IN * 1.0 + TOKENS_OUT * 2.0) / 1e6 / 2
    place.spec["budget"] = {"usd": 15 * each}
    assert "budget" in place.build(4)["error"]
    sold = server.sold.total()
    assert sold in {15, 16}  # one request goes while anything is left
    place.spec["budget"] = {"usd": 1.0}
    assert place.build()["paid"] == 40 - sold
    once(server)


def test_the_same_samples_as_one_by_one(workplace: Workplace, server: BatchServer) -> None:
    """What was bought through a batch isn't bought again one by one."""
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(PROMPTS), "license": "MIT"}],
        "teachers": [workplace.teacher(server.url, provider="openai-batch", batch={"linger_s": 0.5})],
        "sampling": {"k": K, "max_tokens": 64},
    }
    assert workplace.build()["paid"] == 40
    workplace.spec["teachers"] = [workplace.teacher(server.url)]
    summary = workplace.build()
    assert (summary["paid"], summary["reused"]) == (0, 40)


def test_one_by_one_while_a_batch_is_open(place: Workplace, server: BatchServer) -> None:
    """What an open batch has isn't bought one by one: exit 2 and one line, of the plan as well."""
    left_at_the_provider(place, server)
    (teacher,) = place.spec["teachers"]
    provider = teacher["provider"]
    place.spec["teachers"] = [
        {name: value for name, value in teacher.items() if name != "batch"} | {"provider": provider.removesuffix("-batch")}
    ]
    error = place.build(2)["error"]
    assert notes(place)[0] in error
    assert f"would buy 40 samples one by one, which this batch has already: build with provider {provider!r}" in error
    planned = place.run("plan", str(place.write()), "--lake", str(place.lake))
    assert (planned.returncode, notes(place)[0] in planned.stderr) == (2, True)
    server.holding = False
    place.spec["teachers"] = [teacher]
    assert place.build()["paid"] == 40
    once(server)


def test_a_refused_batch(workplace: Workplace, server: BatchServer) -> None:
    """A batch that fails validation is one line and exit 2, and nothing is left of it."""
    server.invalid = {"code": "model_not_found", "line": 1, "message": "no model 'm'", "param": "body.model"}
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(PROMPTS), "license": "MIT"}],
        "teachers": [workplace.teacher(server.url, provider="openai-batch", batch={"linger_s": 0.1})],
    }
    error = workplace.build(2)["error"]
    assert "no model 'm'" in error
    assert "teacher 't'" in error
    assert notes(workplace) == []


def test_a_judge(workplace: Workplace) -> None:
    """A judge that answers a day later is refused before anything is spent."""
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(1), "license": "MIT"}],
        "teachers": [workplace.teacher("http://127.0.0.1:9/v1", provider="openai-batch")],
        "verify": [{"use": "judge", "teacher": "t", "rubric": "?", "pass_at": 7}],
    }
    assert "verify[0].teacher" in workplace.build(2)["error"]
