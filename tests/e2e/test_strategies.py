"""Strategies by the installed command: over real HTTP with the real sandbox, and with a real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.strategies import builtin
from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion

KINDS = ("sum", "fact")


def answering(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Know facts at once and sums by a program, and err otherwise."""
    system, asked = (message["content"] for message in body["messages"])
    case = int(asked.split("case ")[1].rstrip("?"))
    if system == builtin()["write_code"]:
        return 200, completion([f"I count.\n\n```python\nprint({case} % 3)\n```"])
    return 200, completion([f"The answer is {case % 3 if asked.startswith('fact') else 99}."])


def prompts(workplace: Workplace, number: int) -> dict[str, Any]:
    """Write prompts of two kinds, and return the source."""
    rows = [
        {
            "prompt": f"{KINDS[n % 2]}: how many in case {n}?",
            "reference": str(n % 3),
            "tags": {"kind": KINDS[n % 2], "id": str(n)},
        }
        for n in range(number)
    ]
    path = workplace.folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"source": str(path), "license": "MIT"}


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of an export."""
    return [row for shard in sorted(folder.glob("*.parquet")) for row in pq.read_table(shard, partitioning=None).to_pylist()]


@pytest.mark.slow
def test_the_way_that_works(workplace: Workplace) -> None:
    """Each kind of prompt keeps the strategy that passes there; tables, commands and exports say by which."""
    lake = str(workplace.lake)
    with LoopbackTeacher(answering) as teacher:
        workplace.spec = {
            "dataset": "sums",
            "prompts": [prompts(workplace, 60)],
            "template": {"strategies": ["direct", {"name": "write_code", "when": {"kind": list(KINDS)}}]},
            "teachers": [workplace.teacher(teacher.url)],
            "sampling": {"k": 2, "max_tokens": 64},
            "verify": [{"use": "program_answer", "kind": "number", "without_code": "read"}],
            "select": {"prefer": "best_strategy", "per_prompt": 1},
            "dedup": {"exact": False},
            "exports": [{"format": "messages", "to": str(workplace.folder / "out"), "erase_system": True}],
        }
        plan = workplace.run("plan", str(workplace.write()), "--lake", lake)
        assert "teacher t, direct: m: 120 samples" in " ".join(
            plan.stdout.replace("teacher t, direct", "teacher t, direct:").split()
        )
        first = workplace.build()
        assert (first["requested"], first["paid"], first["kept"], teacher.sold) == (240, 240, 60, 240)
        assert (workplace.build()["paid"], teacher.sold) == (0, 240)
        rates = {
            (kind, name): each["pass_rate"]
            for kind, names in first["by_tag_and_strategy"]["kind"].items()
            for name, each in names.items()
        }
        assert rates == {("fact", "direct"): 1, ("fact", "write_code"): 1, ("sum", "direct"): 0, ("sum", "write_code"): 1}
        assert "id" not in first["by_tag_and_strategy"]
        assert {name: each["kept"] for name, each in first["by_strategy"].items()} == {"direct": 30, "write_code": 30}
        kept = set(workplace.query("SELECT DISTINCT left(prompt, 4), strategy FROM traces"))
        assert kept == {("fact", "direct"), ("sum:", "write_code")}
        assert workplace.query(
            "SELECT count(*) FROM (SELECT DISTINCT prompt_id, teacher, strategy, sample_index FROM outcomes)"
        ) == [(240,)]
        report = workplace.run("report", "sums", "--lake", lake).stdout
        assert "kind sum by strategy" in report
        assert "write_code 100% of 60, direct 0% of 60" in report
        assert "· write_code · sample 0" in workplace.run("show", "sums", "--lake", lake, "-n", "60").stdout
        shown = rows_in(workplace.folder / "out")
        assert {turn["role"] for row in shown for turn in row["messages"]} == {"user", "assistant"}
        done = workplace.run(
            "export", "sums", "--lake", lake, "--to", str(workplace.folder / "neutral"), "--erase-system", "Plain."
        )
        assert done.returncode == 0, done.stderr
        assert {row["messages"][0]["content"] for row in rows_in(workplace.folder / "neutral")} == {"Plain."}
        # Another strategy buys its own samples alone, and the diff says so.
        workplace.spec["template"]["strategies"].append("step_by_step")
        assert workplace.build()["paid"] == 120
        moved = json.loads(workplace.run("diff", "sums", "--lake", lake, "--json").stdout)
        assert (moved["by_strategy"]["step_by_step"][0], moved["by_strategy"]["direct"][1]["responses"]) == (None, 120)
        judged = workplace.run("verify", str(workplace.write()), "--lake", lake)
        assert (judged.returncode, "360 as before" in judged.stdout) == (0, True), judged.stdout + judged.stderr


@pytest.mark.slow
def test_slips(workplace: Workplace) -> None:
    """A tag that no prompt has is an error; a value that none has is told, and so are prompts that no strategy is for."""
    with LoopbackTeacher(answering) as teacher:
        workplace.spec = {
            "dataset": "sums",
            "prompts": [prompts(workplace, 4)],
            "template": {"strategies": [{"name": "direct", "when": {"kid": "sum"}}], "system": "Plain."},
            "teachers": [workplace.teacher(teacher.url)],
        }
        said = workplace.build(2)["error"]
        assert "template.strategies[0].when: no prompt has a tag 'kid'; did you mean 'kind'?" in said
        workplace.spec["template"]["strategies"] = ["direct", "derict"]
        assert "template.strategies[1]: 'derict' is no built-in strategy" in workplace.build(2)["error"]
        workplace.spec["template"]["strategies"] = [
            {"name": "direct", "when": {"kind": "sun"}},
            {"name": "write_code", "when": {"kind": "sum"}},
        ]
        done = workplace.run("build", str(workplace.write()), "--lake", str(workplace.lake))
        assert (done.returncode, teacher.sold) == (0, 4), done.stderr
        assert "strategy 'direct': no prompt is asked by it" in done.stderr
        assert "2 prompts are for no strategy, and are asked by template.system and template.user alone" in done.stderr


@pytest.mark.slow
@pytest.mark.model
def test_a_real_model(workplace: Workplace) -> None:
    """A model on this machine is asked by each strategy; its rows say by which, and an export shows none of them."""
    ways = ["direct", "self_critique", {"name": "question", "user": "Question: {{ prompt }}"}]
    workplace.spec = {
        "dataset": "sums",
        "prompts": [prompts(workplace, 1)],
        "template": {"strategies": ways},
        "teachers": [{"name": "smol", "provider": "local", "model": "smollm2-135m-instruct", "license": "Apache-2.0"}],
        "sampling": {"k": 1, "temperature": 0.7, "max_tokens": 16, "seed": 7},
        "verify": [{"use": "length", "min_chars": 1}],
        "exports": [{"format": "messages", "to": str(workplace.folder / "out"), "erase_system": True}],
    }
    built = workplace.build()
    assert (built["requested"], built["failed"], list(built["by_strategy"])) == (3, 0, ["direct", "question", "self_critique"])
    systems = dict(workplace.query("SELECT DISTINCT strategy, system FROM samples"))
    assert systems == {"direct": builtin()["direct"], "self_critique": builtin()["self_critique"], "question": None}
    shown = rows_in(workplace.folder / "out")
    assert len(shown) == built["kept"] > 0
    assert {row["messages"][0]["content"] for row in shown} == {"sum: how many in case 0?"}
    assert workplace.build()["paid"] == 0
