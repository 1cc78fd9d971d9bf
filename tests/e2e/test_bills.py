"""What a build is billed is in its lake, once, wherever it is killed: with retries, a cascade, adaptive k and a panel of judges."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

import duckdb
import pytest

from storage.lake import Lake
from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion

pytestmark = pytest.mark.slow
KILLS = 4
NEAR = 16
"""Responses before a kill, of which some may not have come: four teachers with two requests each."""
RETRY = {"attempts": 4, "first_wait_s": 0.01, "max_wait_s": 0.05, "length": "retry", "budget": 9.0, "patience_s": 20}


class Market:
    """Sells responses of every kind for a different price each."""

    def __init__(self, chances: random.Random) -> None:
        self._chances = chances
        self.sold: list[int] = []
        """What each cost, in millionths of a dollar."""

    def __call__(self, body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        """Answer, or not."""
        del sold
        chance, tokens = self._chances.random(), self._chances.randint(1, 900_000)
        usage = {"prompt_tokens": 0, "completion_tokens": tokens}
        if chance < 0.05:
            return self._chances.choice([500, 503]), {"error": {"message": "no"}}
        self.sold.append(tokens)
        if chance < 0.1:
            return 200, {"error": {"message": "midway", "code": self._chances.choice([400, 502])}, "usage": usage}
        if chance < 0.13:
            return 200, {"choices": [], "usage": usage}
        document = completion(["" if chance < 0.2 else self._said(body["model"], chance)]) | {"usage": usage}
        if chance > 0.8 and not body["model"].startswith("j"):
            document["choices"][0]["finish_reason"] = "length"
        return 200, document

    def _said(self, model: str, chance: float) -> str:
        if model.startswith("j"):
            return "no JSON" if chance < 0.3 else f'{{"score": {self._chances.choice([3, 9])}, "reason": "so"}}'
        return f"{self._chances.getrandbits(60)}: the answer is {self._chances.randint(0, 2)}."


def in_the_lake(workplace: Workplace) -> int:
    """Return what is in the lake as billed, once what a killed build left is in order."""
    lake, total = Lake(workplace.lake), 0
    with lake.writing(print):
        pass
    with duckdb.connect() as connection:
        for table in ("samples", "verdicts"):
            if parts := [str(path) for path in (lake.root / table).glob("*.parquet")]:
                rows = connection.execute("SELECT cost_usd FROM read_parquet(?, union_by_name=true)", [parts]).fetchall()
                total += sum(round(cost * 1e6) for (cost,) in rows if cost)
    lines = [json.loads(line) for path in lake.waste.glob("*.jsonl") for line in path.read_text().splitlines()]
    return total + sum(round(line["cost_usd"] * 1e6) for line in lines)


def is_sum_of(number: int, some: list[int]) -> bool:
    """Whether some of these come to a number."""
    sums = {0}
    for each in some:
        sums |= {before + each for before in sums}
    return number in sums


@pytest.mark.timeout(600)
def test_killed_where_everything_costs(workplace: Workplace) -> None:
    """After each kill no more than what was in flight is missing, and nothing is there twice; undisturbed, it comes out exactly."""
    chances = random.Random(7)
    market = Market(chances)
    with LoopbackTeacher(market, delay_s=0.03) as teacher:
        both = {"price": {"input": 0, "output": 1}, "limits": {"concurrency": 2}, "retry": RETRY}
        workplace.spec = {
            "dataset": "d",
            "prompts": [{"source": workplace.prompts(40), "license": "MIT"}],
            "teachers": [
                *(workplace.teacher(teacher.url, name=name, model=name, **both) for name in ("cheap", "strong")),
                *(workplace.teacher(teacher.url, name=name, model=name, draw=False, **both) for name in ("j1", "j2")),
            ],
            "sampling": {"k": 4, "seed": 1, "adaptive": {"accept": 2}, "cascade": ["cheap", "strong"], "max_tokens": 64},
            "verify": [
                {"use": "exact_match", "kind": "number"},
                {"use": "judge", "teachers": ["j1", "j2"], "rubric": "?", "pass_at": 7},
            ],
        }
        missing = 0
        for _ in range(KILLS):
            began, until = len(market.sold), time.monotonic() + 120
            running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
            while len(market.sold) == began and running.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(chances.uniform(0, 1.0))
            running.kill()
            running.communicate(timeout=60)
            assert running.returncode == -signal.SIGKILL
            time.sleep(0.5)  # so that the teacher is done with what was in flight
            now = sum(market.sold) - in_the_lake(workplace)
            assert is_sum_of(now - missing, market.sold[-NEAR:])
            missing = now
        workplace.build()
        assert sum(market.sold) - in_the_lake(workplace) == missing
