"""Exports in the trainers that they are for: TRL's and transformers' own, with a tiny model on the CPU."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import (
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from storage.parquet import write_rows
from tasks.exporters.making import make
from tasks.publishing.refuted import PromptSamples
from tests.tasks.exporters import students
from tests.tasks.exporters.traces import make_trace, user

pytestmark = pytest.mark.train
TRACES = [make_trace(n, reasoning="So." if n else None) for n in range(8)]
PROMPTS = [
    PromptSamples(
        prompt_id=f"p{n}", split="train", kept=(make_trace(n),), refuted=(make_trace(n, response="No idea.", score=0.0),)
    )
    for n in range(8)
]
SHORT = {
    "max_steps": 1,
    "per_device_train_batch_size": 2,
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "save_strategy": "no",
}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a student's tokenizer."""
    return students.small(tmp_path_factory.mktemp("students") / "student", students.THINKING)


@pytest.fixture
def tokenizer(student: str) -> PreTrainedTokenizerBase:
    """Load it."""
    return AutoTokenizer.from_pretrained(student)


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """Make a model at random, the same each time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


def exported(folder: Path, form: str, **options: Any) -> datasets.Dataset:
    """Write a form's rows as Parquet, and load them as a trainer's user would."""
    made = make(form, options)
    write_rows(
        folder / "shards" / "train-00000-of-00001.parquet", made.schema, made.rows(PROMPTS if form == "preference" else TRACES)
    )
    return datasets.load_dataset(str(folder / "shards"), split="train", cache_dir=str(folder / "cache"))


def moved(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> bool:
    """Return whether a step has changed a model, to numbers that are numbers."""
    after = model.state_dict()
    assert all(bool(torch.isfinite(weights).all()) for weights in after.values())
    return any(not torch.equal(before[name], weights) for name, weights in after.items())


def copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return what a model's weights are now."""
    return {name: weights.clone() for name, weights in model.state_dict().items()}


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("messages", {}),
        ("messages", {"reasoning": "turn"}),
        ("messages", {"reasoning": "think", "system": "omit"}),
        ("prompt_completion", {}),
        ("prompt_completion", {"reasoning": "turn"}),
        ("prompt_completion", {"conversational": False}),
        ("sharegpt", {}),
        ("tokenized", {}),
    ],
    ids=str,
)
def test_sft(tmp_path: Path, student: str, tokenizer: Any, model: LlamaForCausalLM, form: str, options: dict[str, Any]):
    """TRL's SFT trainer takes a step on every form that it reads."""
    rows = exported(tmp_path, form, **options | ({"tokenizer": student} if form == "tokenized" else {}))
    before = copied(model)
    config = SFTConfig(output_dir=str(tmp_path / "out"), max_length=256, **SHORT)
    trainer = SFTTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer)
    done = trainer.train()
    assert math.isfinite(done.training_loss)
    assert moved(trainer.model, before)


def test_reasoning_reaches_the_student(tmp_path: Path, tokenizer: Any, model: LlamaForCausalLM):
    """`turn` is where TRL's chat template looks for it, and a trace without any opens no <think>."""
    rows = exported(tmp_path, "prompt_completion", reasoning="turn")
    config = SFTConfig(output_dir=str(tmp_path / "out"), max_length=256, **SHORT)
    trainer = SFTTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer)
    texts = [tokenizer.decode(row["input_ids"]) for row in trainer.train_dataset]
    assert ["<think>\nSo.\n</think>" in text for text in texts] == [trace["reasoning"] == "So." for trace in TRACES]


def test_the_labels_are_trl_s(tmp_path: Path, student: str, tokenizer: Any, model: LlamaForCausalLM):
    """Tokens are those that TRL makes of prompt and completion; so are labels, but for the line break behind the turn."""
    config = SFTConfig(output_dir=str(tmp_path / "out"), max_length=256, **SHORT)
    theirs = SFTTrainer(
        model, args=config, train_dataset=exported(tmp_path / "a", "prompt_completion"), processing_class=tokenizer
    ).train_dataset
    ours = exported(tmp_path / "b", "tokenized", tokenizer=student)
    for row, other in zip(ours, theirs, strict=True):
        assert row["input_ids"] == other["input_ids"]
        assert row["labels"][:-1] == other["labels"][:-1]
        assert tokenizer.decode(row["input_ids"][-1:]) == "\n"


@pytest.mark.parametrize("options", [{}, {"conversational": False}, {"reasoning": "think", "pairs": "all"}], ids=str)
def test_dpo(tmp_path: Path, tokenizer: Any, model: LlamaForCausalLM, options: dict[str, Any]):
    """TRL's DPO trainer takes a step on preferences."""
    rows = exported(tmp_path, "preference", **options)
    before = copied(model)
    config = DPOConfig(output_dir=str(tmp_path / "out"), max_length=256, **SHORT)
    trainer = DPOTrainer(model, copy.deepcopy(model), args=config, train_dataset=rows, processing_class=tokenizer)
    done = trainer.train()
    assert math.isfinite(done.training_loss)
    assert moved(trainer.model, before)


def test_plain_trainer(tmp_path: Path, student: str, tokenizer: Any, model: LlamaForCausalLM):
    """Transformers' own trainer takes a step on tokens and labels as they are."""
    rows = exported(tmp_path, "tokenized", tokenizer=student)
    before = copied(model)
    trainer = Trainer(
        model,
        args=TrainingArguments(output_dir=str(tmp_path / "out"), **SHORT),
        train_dataset=rows.select_columns(["input_ids", "labels"]),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    assert math.isfinite(trainer.train().training_loss)
    assert moved(trainer.model, before)


def test_packed(tmp_path: Path, student: str, tokenizer: Any, model: LlamaForCausalLM):
    """Packed rows train on TRL's padding-free path, and a row's conversations don't see each other."""
    single = exported(tmp_path / "a", "tokenized", tokenizer=student)
    packed = exported(tmp_path / "b", "tokenized", tokenizer=student, packing=True, max_length=200, position_ids=True)
    assert len(packed) < len(single)
    model.eval()
    losses, trained = [], []
    with torch.no_grad():
        for row in single:
            losses.append(model(torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss.item())
            trained.append(sum(label != -100 for label in row["labels"]))
        for row in packed:
            columns = {name: torch.tensor([row[name]]) for name in ("input_ids", "labels", "position_ids")}
            parts = [int(name.removeprefix("s")) for name in row["sample_id"]]
            whole = sum(losses[part] * trained[part] for part in parts) / sum(trained[part] for part in parts)
            assert model(**columns, use_cache=False).loss.item() == pytest.approx(whole, abs=1e-4)
    before = copied(model)
    config = SFTConfig(output_dir=str(tmp_path / "out"), max_length=None, padding_free=True, **SHORT)
    trainer = SFTTrainer(model, args=config, train_dataset=packed, processing_class=tokenizer)
    batch = trainer.data_collator([packed[0], packed[1]])
    assert batch["position_ids"][0].tolist() == [*packed[0]["position_ids"], *packed[1]["position_ids"]]
    assert math.isfinite(trainer.train().training_loss)
    assert moved(trainer.model, before)


def test_it_learns(tmp_path: Path, student: str, tokenizer: Any, model: LlamaForCausalLM):
    """A student that is trained on the labels answers as its teacher did, and then stops."""
    told = {"It is day.": "Yes, the sun is up.", "Good night!": "No."}
    made = make("tokenized", {"tokenizer": student})
    traces = [make_trace(messages=[user(asked)], response=answer) for asked, answer in told.items()]
    rows = datasets.Dataset.from_list([{name: row[name] for name in ("input_ids", "labels")} for row in made.rows(traces)])
    long = SHORT | {"max_steps": 30, "learning_rate": 1e-2, "lr_scheduler_type": "constant"}
    trainer = Trainer(
        model,
        args=TrainingArguments(output_dir=str(tmp_path / "out"), **long),
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.train()
    for asked, answer in told.items():
        prompt = tokenizer.apply_chat_template([user(asked)], add_generation_prompt=True, return_tensors="pt", return_dict=True)
        said = trainer.model.generate(**prompt, max_new_tokens=50, do_sample=False)[0][prompt["input_ids"].shape[1] :]
        assert tokenizer.decode(said) == f"{answer}<|im_end|>"
