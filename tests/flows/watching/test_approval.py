"""What waits for a person's approval, and what is said where nobody can be asked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from flows.loading import load_spec
from flows.plan import plan
from flows.process.context import Watch
from flows.progress import Say
from flows.spec import Spec
from flows.watching import approval
from flows.watching.approval import approved, refused
from storage.errors import CostRefused, Interrupted
from storage.lake import Lake
from tasks.stop import Stop

TERMS = """
terms:
  - {id: strict, name: Strict, kind: service, hosts: [strict.example], training: restricted, clause: none., basis: text}
"""


def made(folder: Path, **changes: Any) -> tuple[Spec, Path]:
    """Return a spec of four prompts and a teacher that nobody will ask, and its file."""
    (folder / "p.jsonl").write_text("".join(json.dumps({"prompt": f"Case {n}?"}) + "\n" for n in range(4)))
    (folder / "terms.yaml").write_text(TERMS)
    teacher = {"name": "t", "provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "license": "MIT"}
    spec = {
        "dataset": "d",
        "prompts": [{"source": str(folder / "p.jsonl"), "license": "MIT"}],
        "teachers": [teacher | {"price": {"input": 0, "output": 1000}} | changes.pop("teacher", {})],
        "sampling": {"max_tokens": 1000},
        "licenses": {"terms": str(folder / "terms.yaml")} | changes.pop("licenses", {}),
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec | changes))
    return load_spec(path), path


async def ask(folder: Path, *, flag: float | None = None, **changes: Any) -> list[dict[str, Any]]:
    """Return what was approved where nobody watches; `flag` is `--approve`. The samples cost $4 at most."""
    spec, path = made(folder, **changes)
    _, found = await approved(spec, path, Lake.at(str(folder / "lake")), Watch(show=False, approve=flag), lambda _: None)
    return found


@pytest.mark.parametrize("over", [{}, {"approve": {"over_usd": 4.0}}, {"approve": {"unacknowledged_license": True}}], ids=str)
async def test_nothing_to_approve(tmp_path: Path, over: dict[str, Any]) -> None:
    """A cost that isn't over, and a spec that asks for nothing, wait for nobody."""
    assert await ask(tmp_path, **over) == []


async def test_a_cost_that_is_over(tmp_path: Path) -> None:
    """It is refused by the flag that would approve of it, and that flag does, as far as it goes."""
    with pytest.raises(
        CostRefused, match=r"d: it may cost \$4\.0000, and approve\.over_usd is \$0\.5: --approve 4\.00 approves it"
    ):
        await ask(tmp_path, approve={"over_usd": 0.5})
    with pytest.raises(CostRefused):
        await ask(tmp_path, approve={"over_usd": 0.5}, flag=3.99)
    (found,) = await ask(tmp_path, approve={"over_usd": 0.5}, flag=4.0)
    assert (found["what"], found["estimate_usd"], found["why"]) == ("cost", 4.0, "--approve 4")


async def test_a_cost_that_nobody_knows(tmp_path: Path) -> None:
    """Without a price nothing bounds it, and no flag covers that."""
    with pytest.raises(CostRefused, match=r"nobody knows what it may cost.*every teacher needs a price"):
        await ask(tmp_path, teacher={"price": None}, approve={"over_usd": 1_000_000}, flag=1e9)


async def test_a_signal_while_it_is_reckoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads all prompts for it, in a thread, hears of the signal as well: the process would else wait for its end."""
    ended = threading.Event()

    async def endless(spec: Spec, path: Path, lake: Lake, say: Say, stop: Stop) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(Interrupted):
            while True:
                stop.check()
        ended.set()

    monkeypatch.setattr(approval, "make_plan", endless)
    with pytest.raises(Interrupted):
        await ask(tmp_path, approve={"over_usd": 0.5})
    assert ended.wait(10)


async def test_a_plan_that_is_told_to_stop(tmp_path: Path) -> None:
    """It reads no further."""
    spec, path = made(tmp_path)
    stop = Stop()
    stop.set(Interrupted("interrupted"))
    with pytest.raises(Interrupted):
        await plan(spec, path, Lake.at(str(tmp_path / "lake")), lambda _: None, stop)


def test_which_terms_are_asked_about(tmp_path: Path) -> None:
    """Terms that restrict training are asked about once, whoever they bind, and not where the spec acknowledges them."""
    strict = {"base_url": "http://strict.example/v1"}
    assert [(name, each.id) for name, each in refused(*made(tmp_path, teacher=strict))] == [("t", "strict")]
    given = {"acknowledge": [{"terms": "strict", "who": "a", "why": "b", "agreement": "c"}]}
    assert list(refused(*made(tmp_path, teacher=strict, licenses=given))) == []
