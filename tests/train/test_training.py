"""The training of a student: it learns, goes on after a kill to the same weights, and ends where the held-out loss turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from storage.errors import Interrupted, SetupError, SourceError, SpecError, StorageError
from tasks.distillation.recipe import Recipe
from tasks.distillation.student import Student, load, split
from tasks.distillation.training import Training
from tests.tasks.distillation.tokens import VOCABULARY, conversations, packed, write
from tests.tasks.exporters import students

pytestmark = pytest.mark.train
QUICK: dict[str, Any] = {"lr": 3e-3, "epochs": 2, "tokens_per_batch": 64, "accumulate": 2, "checkpoint_every": 3}


def tiny(*, dropout: float = 0.0, **more: Any) -> LlamaForCausalLM:
    """Make a model at random, the same each time."""
    torch.manual_seed(7)
    size = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return LlamaForCausalLM(
        LlamaConfig(**size | {"vocab_size": VOCABULARY, "max_position_embeddings": 64, "attention_dropout": dropout} | more)
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write shards of both splits, with distributions."""
    folder = tmp_path_factory.mktemp("shards")
    write(folder / "train-00000-of-00001.parquet", conversations(60, top=3))
    write(folder / "validation-00000-of-00001.parquet", conversations(10, top=3, seed=5))
    return folder


@pytest.fixture
def student(tmp_path: Path) -> str:
    """Save a student, with dropout, so that its random numbers count."""
    tiny(dropout=0.1).save_pretrained(tmp_path / "student")
    return str(tmp_path / "student")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return what a folder's model weighs."""
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Return whether two models are one, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(each, other[name]) for name, each in one.items())


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return a log's rows less what a clock says."""
    found = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "tokens_per_s"} for row in found]


def train(student: str, shards: Path, to: Path, **recipe: Any) -> dict[str, Any]:
    """Train, and return what came of it."""
    return Training(load(student), shards, to, Recipe(**QUICK | recipe), device="cpu").run()


def test_it_learns(tmp_path: Path, shards: Path, student: str):
    """The held-out loss falls, the log says so, and the student loads as any other."""
    found = train(student, shards, tmp_path / "to", epochs=6, lr=1e-2)
    assert found["held_out"]["hard"] < 0.6 * found["held_out_before"]["hard"]
    assert found["held_out"]["soft"] < 0.8 * found["held_out_before"]["soft"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "to")
    assert not same(model.state_dict(), weights(Path(student)))
    log = rows(tmp_path / "to")
    steps = [row for row in log if "loss" in row]
    assert [row["step"] for row in steps] == list(range(1, found["steps"] + 1))
    assert steps[-1]["epoch"] == 6
    assert 0 < steps[0]["softened"] <= 1
    assert next(row["step"] for row in log if "held_out" in row) == 0
    assert not (tmp_path / "to" / "checkpoints").exists()


class Killed(BaseException):
    """What no code catches, as a kill would be."""


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_it_goes_on_to_the_same_weights(tmp_path: Path, shards: Path, student: str, steps: int):
    """Ended at any step, and once more a little later, it comes to the weights and the log of a run that never was."""
    expected = train(student, shards, tmp_path / "whole")
    seen = 0

    def tell(row: dict[str, Any]) -> None:
        nonlocal seen
        seen += "loss" in row
        if seen in {steps, steps + 4} and "loss" in row:
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            Training(load(student), shards, tmp_path / "to", Recipe(**QUICK), device="cpu").run(tell)
    found = train(student, shards, tmp_path / "to")
    assert found["resumed_at"] <= steps + 4
    assert same(weights(tmp_path / "to"), weights(tmp_path / "whole"))
    assert rows(tmp_path / "to") == rows(tmp_path / "whole")
    assert found["held_out"] == expected["held_out"]


def test_killed_by_the_system(tmp_path: Path, shards: Path, student: str):
    """SIGKILL in the middle of a process, and another that goes on: the same weights, bit for bit."""
    code = (
        "import time, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from tasks.distillation.recipe import Recipe\n"
        "from tasks.distillation.student import load\n"
        "from tasks.distillation.training import Training\n"
        f"t = Training(load({student!r}), Path({str(shards)!r}), Path({str(tmp_path / 'to')!r}), Recipe(**{QUICK!r}), device='cpu')\n"
        "t.run(lambda row: time.sleep(0.03))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 100
    log = tmp_path / "to" / "log.jsonl"
    while time.monotonic() < until and not (log.exists() and len(log.read_text().splitlines()) > 6):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    found = train(student, shards, tmp_path / "to")
    assert found["resumed_at"] > 0
    train(student, shards, tmp_path / "whole")
    assert same(weights(tmp_path / "to"), weights(tmp_path / "whole"))
    assert rows(tmp_path / "to") == rows(tmp_path / "whole")


def test_so_many_steps(tmp_path: Path, shards: Path, student: str):
    """Steps may be fewer than an epoch has or more than all of them; as many as two epochs have is two epochs."""
    two = train(student, shards, tmp_path / "two")
    train(student, shards, tmp_path / "as-many", epochs=1, steps=two["steps"])
    assert same(weights(tmp_path / "as-many"), weights(tmp_path / "two"))
    for steps in (3, two["steps"] + 2):
        found = train(student, shards, tmp_path / f"to-{steps}", steps=steps, patience=0)
        assert (found["steps"], found["of"]) == (steps, steps)
    assert [row["epoch"] for row in rows(tmp_path / f"to-{steps}") if "loss" in row][-3:] == [2, 3, 3]


def test_so_many_steps_after_a_kill(tmp_path: Path, shards: Path, student: str):
    """They are the same ones, in the third epoch too."""
    steps = train(student, shards, tmp_path / "two")["steps"] + 5
    train(student, shards, tmp_path / "whole", steps=steps, patience=0)

    def tell(row: dict[str, Any]) -> None:
        if "loss" in row and row["step"] == steps - 1:
            raise Killed

    with pytest.raises(Killed):
        Training(load(student), shards, tmp_path / "to", Recipe(**QUICK, steps=steps, patience=0), device="cpu").run(tell)
    assert train(student, shards, tmp_path / "to", steps=steps, patience=0)["resumed_at"] > steps - 5
    assert same(weights(tmp_path / "to"), weights(tmp_path / "whole"))


def test_it_stops_when_told(tmp_path: Path, shards: Path, student: str):
    """A step is finished and kept; going on is as if nothing had been."""
    steps: list[int] = []
    training = Training(load(student), shards, tmp_path / "to", Recipe(**QUICK), device="cpu")
    with pytest.raises(Interrupted, match="after step 4 of"):
        training.run(lambda row: steps.append(row["step"]), lambda: steps[-1] == 4)
    assert train(student, shards, tmp_path / "to")["resumed_at"] == 4
    train(student, shards, tmp_path / "whole")
    assert same(weights(tmp_path / "to"), weights(tmp_path / "whole"))


def test_accumulation_is_a_large_batch(tmp_path: Path, shards: Path):
    """The gradient of several batches is that of their conversations in one, to rounding, though they differ in tokens."""
    found = []
    for tokens, accumulate in ((40, 1000), (100_000, 1)):
        model = tiny().double()
        training = Training(
            Student(model=model), shards, tmp_path / "none", Recipe(tokens_per_batch=tokens, accumulate=accumulate), device="cpu"
        )
        training._begin()
        (group,) = list(training._groups(0))[:1]
        assert (len(group) > 10) == (accumulate > 1)
        learnt = sum(len(batch.targets) for batch in group)
        for batch in group:
            (training.losses(batch).total / learnt).backward()
        found.append([each.grad for each in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_packed_is_the_same(tmp_path: Path, shards: Path, student: str):
    """Rows of several conversations train as if each stood alone."""
    write(tmp_path / "p" / "train-00000-of-00001.parquet", packed(conversations(60, top=3)), group=100)
    write(tmp_path / "s" / "train-00000-of-00001.parquet", conversations(60, top=3), group=100)
    for name in "ps":
        train(student, tmp_path / name, tmp_path / f"to-{name}", epochs=1)
    assert same(weights(tmp_path / "to-p"), weights(tmp_path / "to-s"))


def test_it_ends_where_the_held_out_loss_turns(tmp_path: Path, student: str):
    """Trained on what contradicts the held-out split, it ends early, and what is saved is the best there was."""
    contrary = conversations(60)
    for row in contrary:
        row["labels"] = [label if label == -100 else (label * 3 + 11) % VOCABULARY for label in row["labels"]]
    write(tmp_path / "shards" / "train-00000-of-00001.jsonl", contrary)
    write(tmp_path / "shards" / "validation-00000-of-00001.jsonl", conversations(10, seed=5))
    found = train(student, tmp_path / "shards", tmp_path / "to", epochs=30, lr=1e-2, evaluate_every=3, patience=2)
    assert found["ended_early"]
    assert found["steps"] == found["best_step"] + 6 < found["of"]
    shown = {row["step"]: row["held_out"]["loss"] for row in rows(tmp_path / "to") if "held_out" in row}
    assert found["held_out"]["loss"] == min(value for step, value in shown.items() if step)
    again = Training(
        Student(model=AutoModelForCausalLM.from_pretrained(tmp_path / "to")),
        tmp_path / "shards",
        tmp_path / "x",
        Recipe(**QUICK),
        device="cpu",
    )
    again._begin()
    assert again._held_out_loss(again._held_out)["loss"] == pytest.approx(found["held_out"]["loss"], rel=1e-6)


def test_done_is_done(tmp_path: Path, shards: Path, student: str):
    """The same again does nothing, and another training of the same folder is refused, with what differs."""
    found = train(student, shards, tmp_path / "to", epochs=1)
    before = (tmp_path / "to" / "model.safetensors").stat().st_mtime_ns
    assert train(student, shards, tmp_path / "to", epochs=1) == found
    assert (tmp_path / "to" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(SpecError, match=r"lr \(there 0.003, now 0.1\)"):
        train(student, shards, tmp_path / "to", epochs=1, lr=0.1)


@pytest.mark.parametrize("column", ["input_ids", "labels", "top_ids", "top_logprobs"])
def test_other_shards_are_another_training(tmp_path: Path, student: str, column: str):
    """Shards of the same names, lengths and numbers of labels whose content is other: as where a teacher scored anew."""
    shard = tmp_path / "shards" / "train-00000-of-00001.parquet"
    rows = conversations(12, top=3)
    write(shard, rows)
    train(student, shard.parent, tmp_path / "to", epochs=1)
    last = rows[-1][column][-1]
    rows[-1][column][-1] = [each + 1 if column == "top_ids" else each - 0.1 for each in last] if isinstance(last, list) else 1
    write(shard, rows)
    with pytest.raises(SpecError, match="is of a training that differs in shards; name another folder"):
        train(student, shard.parent, tmp_path / "to", epochs=1)


def test_a_student_of_the_same_name_is_another_training(tmp_path: Path, shards: Path, student: str):
    """A folder that was trained again holds another student, where it goes on as well."""

    def tell(row: dict[str, Any]) -> None:
        if row["step"] == 5:
            raise Killed

    with pytest.raises(Killed):
        Training(load(student), shards, tmp_path / "on the way", Recipe(**QUICK), device="cpu").run(tell)
    train(student, shards, tmp_path / "done", epochs=1)
    other = tiny(dropout=0.1)
    with torch.no_grad():
        other.lm_head.weight[0, 0] += 1
    other.save_pretrained(student)
    for to, epochs in (("on the way", 2), ("done", 1)):
        with pytest.raises(SpecError, match="is of a training that differs in weights; name another folder"):
            train(student, shards, tmp_path / to, epochs=epochs)


def test_another_s_folder_is_left_alone(tmp_path: Path, shards: Path, student: str):
    """As is the student's own."""
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "thesis.txt").write_text("mine")
    with pytest.raises(SpecError, match="no student of stillhouse"):
        train(student, shards, tmp_path / "to")
    with pytest.raises(SpecError, match="the student's own folder"):
        train(student, shards, Path(student))


def test_a_torn_checkpoint_is_said(tmp_path: Path, shards: Path, student: str):
    """A checkpoint that isn't whole is one line that says what to do."""
    (tmp_path / "to" / "checkpoints").mkdir(parents=True)
    (tmp_path / "to" / "checkpoints" / "step-00000003.pt").write_bytes(b"torn")
    with pytest.raises(StorageError, match="isn't a whole checkpoint"):
        train(student, shards, tmp_path / "to")


def test_what_doesn_t_fit_the_student(tmp_path: Path, student: str):
    """Tokens that it hasn't, and conversations longer than it reads, are told before anything is trained."""
    write(tmp_path / "a" / "train.jsonl", [{"input_ids": [1, 64], "labels": [-100, 64]}])
    with pytest.raises(SourceError, match="the student's own tokenizer"):
        train(student, tmp_path / "a", tmp_path / "to")
    write(tmp_path / "b" / "train.jsonl", [{"input_ids": [1] * 65, "labels": [1] * 65}])
    with pytest.raises(SourceError, match="max_length: 64"):
        train(student, tmp_path / "b", tmp_path / "to")
    write(tmp_path / "c" / "train.jsonl", [{"input_ids": [1], "labels": [1]}])
    with pytest.raises(SourceError, match="labels to learn from"):
        train(student, tmp_path / "c", tmp_path / "to")


def test_a_rate_that_is_too_high_is_said(tmp_path: Path, shards: Path, student: str):
    """A gradient that is no number ends it, and never reaches the weights."""
    with pytest.raises(SpecError, match="--lr"):
        train(student, shards, tmp_path / "to", lr=1e30, clip=0.0, warmup=0.0)


def test_no_student(tmp_path: Path):
    """A folder that isn't there or no model's is one line, and nobody's Hub is asked for it."""
    for name in (str(tmp_path / "no"), "./no", "no", "a/b/c"):
        with pytest.raises(SpecError, match="no such folder"):
            load(name)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(SetupError, match="can't be loaded"):
        load(str(tmp_path))


def test_its_tokenizer_goes_with_it(tmp_path: Path, shards: Path):
    """And its chat template."""
    students.small(tmp_path / "student")
    tiny(vocab_size=400).save_pretrained(tmp_path / "student")
    train(str(tmp_path / "student"), shards, tmp_path / "to", epochs=1)
    before, after = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("student", "to"))
    assert after.get_vocab() == before.get_vocab()
    assert after.chat_template == before.chat_template


def test_the_head_alone():
    """Llama's logits are its head's; where a model caps or scales them, all is asked of the whole model."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    assert split(tiny()) is not None
    size = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    capped = Gemma2ForCausalLM(Gemma2Config(**size, vocab_size=64, head_dim=16, final_logit_softcapping=0.01))
    assert split(capped) is None


def test_without_a_head_of_its_own(tmp_path: Path, shards: Path):
    """A model whose logits are taken whole trains to the same losses."""
    found = []
    for whole in (False, True):
        training = Training(Student(model=tiny()), shards, tmp_path / "none", Recipe(), device="cpu")
        training._begin()
        if whole:
            training._head = None
        found.append(training._held_out_loss(training._held_out))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_gradient_checkpointing_changes_nothing(tmp_path: Path, shards: Path):
    """But the memory that it takes."""
    found = []
    for name, on in (("a", False), ("b", True)):
        tiny().save_pretrained(tmp_path / f"student-{name}")
        found.append(train(str(tmp_path / f"student-{name}"), shards, tmp_path / name, epochs=1, gradient_checkpointing=on))
    assert found[0]["held_out"] == pytest.approx(found[1]["held_out"], rel=1e-5)
