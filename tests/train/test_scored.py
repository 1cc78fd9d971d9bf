"""Soft labels by a scorer, the whole way by the command line: draw, score, export, train."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from tests.e2e.conftest import Workplace
from tests.tasks.exporters import students
from tests.train.test_training import tiny

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(600)]


def model(folder: Path, *, times: float = 1.0) -> str:
    """Save a tiny model at random with a tokenizer; weights are so many times as large."""
    students.small(folder)
    made = tiny(vocab_size=len(AutoTokenizer.from_pretrained(folder)), max_position_embeddings=256)
    for weights in made.parameters():
        weights.data *= times
    made.save_pretrained(folder)
    return str(folder)


def done(workplace: Workplace, *arguments: str, want: int = 0) -> str:
    """Run a command, and return what it says: on stdout where it is to succeed, else on stderr."""
    found = workplace.run(*arguments)
    assert found.returncode == want, found.stderr
    assert "Traceback" not in found.stderr
    return found.stdout if want == 0 else " ".join(found.stderr.split())


def test_from_a_draw_to_a_loss(tmp_path: Path) -> None:
    """A student draws, a teacher scores, their export names whose probabilities it has, and a step on it has a finite loss.

    The spec names the scores from the start: the first build lands, and says what is to be run.
    """
    workplace = Workplace(tmp_path)
    workplace.environment |= {"OMP_NUM_THREADS": "1"}
    student, big = model(tmp_path / "student"), model(tmp_path / "big", times=2.0)
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"prompt": f"How many in case {i}?"}) + "\n" for i in range(3)))
    soft: dict[str, Any] = {"format": "soft", "to": "soft", "tokenizer": student, "scores": "big", "logprobs": "float32"}
    workplace.spec = {
        "dataset": "on-policy",
        "prompts": [{"source": "p.jsonl", "license": "CC0-1.0"}],
        "teachers": [
            {"name": "own", "provider": "transformers", "model": student, "license": "MIT", "generation": 1},
            {"name": "big", "provider": "transformers", "model": big, "license": "Apache-2.0", "draw": False},
        ],
        "sampling": {"k": 1, "temperature": 1, "max_tokens": 12, "seed": 0},
        "dedup": {"exact": False},
        "exports": [soft],
    }
    where = ("--lake", str(workplace.lake))
    assert "run `stillhouse score SPEC --teacher big --reasoning omit` first" in workplace.build(want=2)["error"]
    path = str(workplace.write())
    scored = json.loads(done(workplace, "score", path, *where, "--teacher", "big", "--top", "5", "--json"))
    assert (scored["samples"], scored["scored"], scored["failed"]) == (3, 3, {})
    built = workplace.build()
    assert (built["paid"], built["kept"]) == (0, 3)
    rows = pq.read_table(tmp_path / "soft" / "train-00000-of-00001.parquet").to_pylist()
    assert {(row["scorer"], row["license"]) for row in rows} == {("big", "CC0-1.0 AND MIT AND Apache-2.0")}
    stored = workplace.query(
        "SELECT sample_id, given.logprobs, given.ids, finish_reason = 'length' FROM (SELECT sample_id, logprobs AS given FROM scores "
        "WHERE ended AND scores.reasoning = 'none') JOIN samples USING (sample_id)"
    )
    end = AutoTokenizer.from_pretrained(student).eos_token_id
    assert len(stored) == 3
    assert any(cut for *_, cut in stored)
    for sample_id, logprobs, ids, cut in stored:
        (row,) = [row for row in rows if row["sample_id"] == sample_id]
        start = row["prompt_length"]
        # The last is the end of the turn, whose distribution the student gets as well, at the token that is its label: but not of
        # a response that was cut off.
        assert ids[-1] == end
        learnt = ids[:-1] if cut else ids
        assert row["input_ids"][start : start + len(learnt)] == learnt == [label for label in row["labels"] if label != -100]
        for token, tops, values, logprob in zip(ids, row["top_ids"][start:], row["top_logprobs"][start:], logprobs, strict=False):
            assert values[tops.index(token)] == pytest.approx(logprob, abs=1e-6)
    notice = " ".join((tmp_path / "soft" / "NOTICE").read_text().split())
    assert f"* {big} (teacher big, asked through transformers) Licence: Apache-2.0" in notice
    flags = ("--epochs", "1", "--device", "cpu", "--json")
    done(workplace, "distill", "soft", "--student", student, "--to", "taught", *flags)
    log = [json.loads(line) for line in (tmp_path / "taught" / "log.jsonl").read_text().splitlines()]
    steps = [row for row in log if "step" in row and "soft" in row]
    assert steps
    assert all(math.isfinite(row["loss"]) and row["soft"] > 0 and row["softened"] == 1 for row in steps)
    # Scored in another way, it isn't guessed which of the two is meant.
    done(workplace, "score", path, *where, "--teacher", "big", "--top", "0")
    own = ("--format", "soft", "--option", f"tokenizer={student}", "--option", "scores=big")
    said = done(workplace, "export", "on-policy", *where, "--to", "again", *own, want=2)
    assert "'big' has scored these traces in 2 ways" in said
    named = f"fingerprint='{scored['fingerprint'][:12]}'"
    done(workplace, "export", "on-policy", *where, "--to", "again", *own, "--option", named)
    again = pq.read_table(tmp_path / "again" / "train-00000-of-00001.parquet", columns=["top_ids"])
    assert again.equals(pq.read_table(tmp_path / "soft" / "train-00000-of-00001.parquet", columns=["top_ids"]))
