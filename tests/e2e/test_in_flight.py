"""What is in flight when a run ends, and what gets no answer: it is waited for, or else what it may have cost is counted."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.station import eventually
from tests.e2e.teacher import completion
from tests.loopback import Handler, Server

pytestmark = pytest.mark.slow
IN, OUT = 10, 90
EACH = 0.1
"""USD for an answer, at 1,000 USD a million tokens."""
PRICE = {"input": 1000, "output": 1000}
SOON_S = 45.0
"""A build that a signal ends has ended by then, on a loaded machine."""
Given = tuple[float, int, dict[str, Any], dict[str, str]]
"""Seconds that an answer takes, its status, document and headers."""


def answer(seconds: float, *, out: int = OUT) -> Given:
    """Return an answer that takes so long."""
    usage = {"prompt_tokens": IN, "completion_tokens": out, "total_tokens": IN + out}
    return seconds, 200, completion(["The answer is 0."]) | {"usage": usage}, {}


class Seller:
    """Serves each request as its number says, and counts what it sells, whether or not anybody waits for it."""

    def __init__(self, given: Callable[[int], Given]) -> None:
        self.asked = self.sold = 0
        lock, outer = threading.Lock(), self

        class Answering(Handler):
            def do_POST(self) -> None:
                self.body()
                with lock:
                    outer.asked += 1
                    seconds, status, document, headers = given(outer.asked)
                    outer.sold += status == 200
                time.sleep(seconds)
                self.answer(status, document, headers)

        self.server = Server(Answering)


def spec(workplace: Workplace, seller: Seller, *, usd: float, **teacher: Any) -> None:
    """Ask for 40 samples."""
    given = {"price": PRICE, "limits": {"concurrency": 4}, "retry": {"attempts": 3, "first_wait_s": 0.05, "max_wait_s": 0.1}}
    workplace.spec = {
        "dataset": "d",
        "prompts": [{"source": workplace.prompts(40), "license": "MIT"}],
        "teachers": [workplace.teacher(f"{seller.server.url}/v1", **(given | teacher))],
        "sampling": {"max_tokens": OUT},
        "budget": {"usd": usd},
    }


def ended(workplace: Workplace, code: int, *, after: Callable[[], bool] | None = None) -> tuple[dict[str, Any], str]:
    """Build, with SIGINT `after` something, and return what is printed."""
    running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
    if after is not None:
        eventually(after)
        running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=120 if after is None else SOON_S)
    assert running.returncode == code, stderr
    assert "Traceback" not in stderr
    return json.loads(stdout), " ".join(stderr.split())


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (answer(0.5, out=990), 4),
        ((0.5, 401, {"error": {"message": "no such key"}}, {}), 2),
        ((0.5, 429, {"error": {"message": "the day's"}}, {"retry-after": "7200"}), 5),
    ],
    ids=["budget", "key", "quota"],
)
def test_waited_for(workplace: Workplace, last: Given, code: int) -> None:
    """Where no signal ends a run, what was sent is waited for, and lands; nothing more is sent, and the next run buys none of it."""
    seller = Seller(lambda number: last if number == 4 else answer(7 if number < 4 else 0))
    with seller.server:
        spec(workplace, seller, usd=1)
        found, said = ended(workplace, code)
        assert "waiting for 3 requests in flight (Ctrl-C ends that)" in said
        assert (seller.asked, found["paid"], found["unanswered"]) == (4, seller.sold, 0)
        assert workplace.count("samples") == seller.sold
        workplace.spec["budget"] = {"usd": 100}
        assert workplace.build()["paid"] == 40 - found["paid"]
        assert seller.sold == 40


def test_given_up(workplace: Workplace) -> None:
    """A signal ends it within seconds: what was in flight is given up, and later runs' budgets count what it may have cost."""
    seller = Seller(lambda number: answer(2 * SOON_S if number > 2 else 0.1))
    with seller.server:
        spec(workplace, seller, usd=0.55)
        found, said = ended(workplace, 130, after=lambda: seller.asked == 6)
        assert (found["paid"], found["given_up"], found["unanswered"]) == (2, 4, 4)
        assert found["cost_usd"] == pytest.approx(2 * EACH)
        assert found["unanswered_usd"] == pytest.approx(4 * EACH)
        assert "4 requests in flight were given up and may have been billed, about $0.4000" in said
        assert workplace.build(want=4)["error"].startswith("error: budget.usd: 0.6000 of 0.55 USD are spent")
        assert seller.asked == 6


def test_no_answer_in_time(workplace: Workplace) -> None:
    """What ran into the time limit was sold all the same: a budget isn't exceeded by more than what is in flight."""
    seller = Seller(lambda number: answer(1.5 if number % 2 else 0.01))
    with seller.server:
        spec(workplace, seller, usd=2, timeout_s=0.5)
        found, said = ended(workplace, 4)
        late = found["unanswered"]
        assert late > 0
        assert found["paid"] + late == seller.sold <= 2 / EACH + 4
        assert found["unanswered_usd"] == pytest.approx(late * EACH, rel=0.1)
        assert f"{late} requests got no answer in time and may have been billed, about $" in said
        lines = [
            json.loads(line) for path in (workplace.lake / "waste").glob("*.jsonl") for line in path.read_text().splitlines()
        ]
        assert [line["estimated"] for line in lines] == ["no answer seen, estimated"] * late
