"""Training on a soft export: its loss is that of the teacher's own softmax, and DistillKit's layout reads as its decoder reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.distillation.batches import Batches
from tasks.distillation.loss import Soft, pointwise
from tasks.distillation.recipe import Recipe
from tasks.distillation.shards import files, index
from tasks.distillation.student import load
from tasks.distillation.training import Training
from tasks.exporters import protocol
from tasks.exporters.chat import vocabulary_of
from tasks.exporters.distillkit import Codec, CodecOptions
from tasks.exporters.making import make
from tests.tasks.exporters import students
from tests.tasks.exporters.distributions import drawn, logprobs
from tests.tasks.exporters.traces import make_trace
from tests.train.test_training import tiny

pytestmark = pytest.mark.train
TOP = 5


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model with a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("student")
    students.small(folder)
    tiny(vocab_size=vocabulary_of(str(folder)).size, max_position_embeddings=256).save_pretrained(folder)
    return folder


def teacher(student: Path, text: str, *, seed: int) -> tuple[dict[str, Any], torch.Tensor]:
    """Return a trace of a teacher whose logits are made at random, with its n best, and its whole softmax at each token."""
    tokenizer = AutoTokenizer.from_pretrained(student)
    tokens = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    logits = 3 * torch.randn((len(tokens), vocabulary_of(str(student)).size), generator=torch.Generator().manual_seed(seed))
    whole = logits.double().log_softmax(-1)
    best = whole.topk(TOP)
    others = [
        list(zip(ids, values, strict=True)) for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    own = whole[range(len(tokens)), tokens].tolist()
    return make_trace(seed, response=text) | {"logprobs": logprobs(ids=tokens, others=others, sampled=own)}, whole


def export(folder: Path, student: Path, traces: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """Write a soft export's rows as a shard, and return its facts."""
    made = make("soft", {"tokenizer": str(student), "logprobs": "float32"} | options)
    rows = list(made.rows(traces))
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in made.schema]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=made.schema), folder / "train-00000-of-00001.parquet")
    return dict(protocol.facts(made))


def test_the_loss_is_that_of_the_softmax(tmp_path: Path, student: Path):
    """What a batch of an export gives is what the teacher's whole softmax gives: its n best and the sampled token, and the rest."""
    texts = ["It is four.", "The answer is 4: Grüße 🙂"]
    made = [teacher(student, text, seed=seed) for seed, text in enumerate(texts)]
    export(tmp_path, student, [trace for trace, _ in made])
    (batch,) = Batches(index=index(files(tmp_path, "train")), tokens=10_000, seed=None).epoch(0)
    assert batch.ids is not None
    assert batch.logprobs is not None
    size = made[0][1].shape[1]
    logits = torch.randn((len(batch.targets), size), dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    soft = Soft(ids=torch.from_numpy(batch.ids), logprobs=torch.from_numpy(batch.logprobs).double())
    _, _, found, has = pointwise(logits, torch.from_numpy(batch.targets), soft, alpha=0.5, temperature=1.0)
    assert has.all()
    whole = torch.cat([each for _, each in made])
    expected = []
    for place, target in enumerate(batch.targets.tolist()):
        known = sorted({*whole[place].topk(TOP).indices.tolist(), target})
        p, q = whole[place].exp(), logits[place].softmax(-1)
        outside = [each for each in range(size) if each not in known]
        pairs = [(p[each], q[each]) for each in known] + [(p[outside].sum(), q[outside].sum())]
        expected.append(float(sum(a * (a / b).log() for a, b in pairs)))
    assert np.allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_it_trains(tmp_path: Path, student: Path, kind: str):
    """`distill` takes steps on an export, packed or not, and its loss of the distributions is a number that falls."""
    traces = [teacher(student, f"It is {n}.", seed=n)[0] for n in range(12)]
    export(tmp_path / "shards", student, traces, logprobs=kind, packing=True, max_length=200)
    recipe = Recipe(lr=1e-2, epochs=4, tokens_per_batch=200, accumulate=1, alpha=0.3)
    Training(load(str(student)), tmp_path / "shards", tmp_path / "to", recipe, device="cpu").run()
    log = [json.loads(line) for line in (tmp_path / "to" / "log.jsonl").read_text().splitlines()]
    soft = [row["soft"] for row in log if "soft" in row]
    assert np.isfinite(soft).all()
    assert soft[-1] < soft[0]


def test_the_end_is_learnt_as_the_teacher_has_it(tmp_path: Path, student: Path):
    """A student ends its turn as probably as its teacher, which is not as the label says: with certainty."""
    text = "It is four."
    trace, whole = teacher(student, text, seed=3)
    end = AutoTokenizer.from_pretrained(student).eos_token_id
    likely = float(whole[-1, end].exp())
    assert likely < 0.1
    export(tmp_path / "shards", student, [trace] * 8)
    recipe = Recipe(lr=1e-2, epochs=30, tokens_per_batch=400, accumulate=1, alpha=0.0)
    Training(load(str(student)), tmp_path / "shards", tmp_path / "to", recipe, device="cpu").run()
    taught = AutoModelForCausalLM.from_pretrained(tmp_path / "to")
    (row,) = list(make("soft", {"tokenizer": str(student)}).rows([trace]))
    last = max(place for place, label in enumerate(row["labels"]) if label != -100)
    assert row["labels"][last] == end
    with torch.inference_mode():
        learnt = float(taught(torch.tensor([row["input_ids"]])).logits[0, last - 1].softmax(-1)[end])
    assert learnt == pytest.approx(likely, abs=0.05)


def decoded(row: dict[str, Any], config: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Read a row in torch, as DistillKit's documentation of its form says: exact values, a polynomial, and packed ids."""
    raw = torch.tensor(np.stack(row["compressed_logprobs"]))
    kinds = {"bfloat16": (torch.bfloat16, 2), "float16": (torch.float16, 2), "float32": (torch.float32, 4)}
    kind, size = kinds[config["exact_dtype"]]
    exact = raw[:, : size * config["exact_k"]].contiguous().view(kind)
    number = config["k"] - config["exact_k"]
    if config["polynomial_terms"]:
        coefficients = raw[:, size * config["exact_k"] :].contiguous().view(torch.float32)
        ranks = torch.arange(number, dtype=torch.float32)
        terms = torch.stack([ranks.sqrt() if each == "sqrt" else ranks**each for each in config["polynomial_terms"]], dim=-1)
        others = (terms * coefficients[:, None, :]).sum(-1)
    else:
        others = torch.zeros((len(raw), 0))
    values = torch.cat([exact, others], dim=-1)  # of two kinds of float torch makes the wider one
    bits = int(torch.tensor(config["d"], dtype=torch.float32).log2().ceil())
    packed = torch.tensor(np.stack(row["bytepacked_indices"]))
    stream = (packed[:, :, None] >> torch.arange(7, -1, -1) & 1).reshape(len(packed), -1)[:, : config["k"] * bits]
    powers = 2 ** torch.arange(bits - 1, -1, -1)
    return (stream.reshape(len(packed), config["k"], bits) * powers).sum(-1), values


@pytest.mark.parametrize("top", [TOP, 60])
def test_distillkit_reads_it(student: Path, top: int):
    """Ids and probabilities, by its own rules, are those of the export, one token earlier."""
    tokenizer = AutoTokenizer.from_pretrained(student)
    tokens = [*tokenizer.encode("It is four.", add_special_tokens=False), tokenizer.eos_token_id]
    trace = make_trace(response="It is four.") | {"logprobs": drawn(vocabulary_of(str(student)).tokens, tokens, top=top)}
    made = make("soft", {"tokenizer": str(student), "layout": "distillkit"})
    (row,) = made.rows([trace])
    (other,) = make("soft", {"tokenizer": str(student), "logprobs": "float32"}).rows([trace])
    config = protocol.facts(made)["codec"]
    ids, values = decoded(row, config)
    options = CodecOptions.model_validate({name: value for name, value in config.items() if name not in {"d", "error_diffusion"}})
    codec = Codec(options=options, size=config["d"])
    _, told = codec.decode(np.stack(row["compressed_logprobs"]), np.stack(row["bytepacked_indices"]))
    assert np.allclose(told, values.double().numpy(), rtol=1e-6)  # by which the manifest says what compression moved
    moved = 0.0
    for place in [place for place, label in enumerate(row["labels"]) if label != -100]:
        k = min(config["k"], len(other["top_ids"][place + 1]))
        assert ids[place, :k].tolist() == other["top_ids"][place + 1][:k].tolist()
        moved = max(
            moved,
            float((values[place, :k].double().exp() - torch.tensor(other["top_logprobs"][place + 1][:k]).exp()).abs().sum()),
        )
    assert moved < (1e-3 if top == TOP else 0.5)


def test_distillkit_stacks_it(tmp_path: Path, student: Path):
    """Packed rows, saved as the docs say, are all of one length, in numbers that are stacked with nothing between."""
    traces = [teacher(student, f"It is {n}.", seed=n)[0] for n in range(12)]
    export(tmp_path / "kit", student, traces, layout="distillkit", packing=True, max_length=120)
    columns = ["input_ids", "labels", "compressed_logprobs", "bytepacked_indices"]
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "kit" / "*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    rows.select_columns(columns).save_to_disk(tmp_path / "saved")
    saved = datasets.load_from_disk(tmp_path / "saved")
    assert len(saved) > 1
    shapes = [tuple(torch.tensor([row[name] for row in saved]).shape) for name in columns]
    assert [shape[:2] for shape in shapes] == [(len(saved), 120)] * 4
    assert [len(shape) for shape in shapes] == [2, 2, 3, 3]
