"""The training of a student on a GPU: speed, memory, and whether loss, gradients and resume are what they are on a CPU.

Needs torch, transformers and numpy, and pyarrow where there is some (JSONL else). From the repository's root:

    PYTHONPATH=. python benchmarks/distil/gpu.py                  # over four minutes on an H100
    PYTHONPATH=. python benchmarks/distil/gpu.py --part resume    # one part of it: loss, speed or resume
    PYTHONPATH=. python benchmarks/distil/gpu.py --tiny           # on a CPU, to try the script

Ends with exit 1 where a check fails; every tolerance is printed beside what was found.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

from tasks.distillation.loss import Soft, pointwise, summed
from tasks.distillation.recipe import Recipe
from tasks.distillation.student import Student
from tasks.distillation.training import Training

PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 FLOP a second, by the vendor's data sheets."""
FAILED: list[str] = []


def check(name: str, found: float, tolerance: float) -> None:
    """Print what was found beside what may be."""
    good = math.isfinite(found) and found <= tolerance
    print(f"{'ok  ' if good else 'FAIL'}  {name}: {found:.3g} (at most {tolerance:g})", flush=True)
    if not good:
        FAILED.append(name)


def shards(folder: Path, *, vocabulary: int, tokens: int, length: int, top: int) -> None:
    """Write conversations of a language that can be learnt, with its own distributions: some tokens follow each, or any other."""
    random = np.random.default_rng(0)
    follows = (random.integers(vocabulary, size=(vocabulary, 1)) + np.arange(top) * 31) % vocabulary
    shares = np.array([0.5, 0.3, *[0.1 / (top - 2)] * (top - 2)])
    for name, number in (("train", max(4, tokens // length)), ("validation", max(2, tokens // length // 20))):
        sizes = random.integers(length // 2, length + 1, size=number)
        # All conversations grow together, a token at a time.
        ids = random.integers(vocabulary, size=(number, length))
        choices = random.choice(top + 1, size=(number, length), p=[*shares, 1 - shares.sum()])
        for place in range(1, length):
            known = follows[ids[:, place - 1], np.minimum(choices[:, place], top - 1)]
            ids[:, place] = np.where(choices[:, place] < top, known, ids[:, place])
        labels = ids.copy()
        labels[:, : length // 16] = -100
        write(folder / f"{name}-00000-of-00001", ids, labels, sizes, follows, np.log(shares).astype(np.float32))


def write(path: Path, ids: Any, labels: Any, sizes: Any, follows: Any, logprobs: Any) -> None:
    """Write Parquet where pyarrow is there, JSONL else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if find_spec("pyarrow") is None:
        with path.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
            for row, learnt, size in zip(ids.tolist(), labels.tolist(), sizes.tolist(), strict=True):
                tops = [[], *follows[row[: size - 1]].tolist()]
                shares = [[], *[logprobs.tolist()] * (size - 1)]
                told = {"input_ids": row[:size], "labels": learnt[:size], "top_ids": tops, "top_logprobs": shares}
                file.write(json.dumps(told) + "\n")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    inside = np.arange(ids.shape[1]) < sizes[:, None]
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    before = np.concatenate([ids[:, :1], ids[:, :-1]], axis=1)[inside]  # the first's own are never looked at
    marks = (np.arange(bounds[-1] + 1) * len(logprobs)).astype(np.int32)

    def lists(offsets: Any, values: Any) -> Any:
        return pa.ListArray.from_arrays(pa.array(offsets), values)

    columns = {
        "input_ids": lists(bounds, pa.array(ids[inside].astype(np.int32))),
        "labels": lists(bounds, pa.array(labels[inside].astype(np.int32))),
        "top_ids": lists(bounds, lists(marks, pa.array(follows[before].astype(np.int32).reshape(-1)))),
        "top_logprobs": lists(bounds, lists(marks, pa.array(np.tile(logprobs, bounds[-1])))),
    }
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"), row_group_size=500)


def student(size: dict, seed: int = 0) -> Student:
    """Make a student at random."""
    torch.manual_seed(seed)
    return Student(model=LlamaForCausalLM(LlamaConfig(**size)), name=f"random-{seed}")


def against_the_reference(device: torch.device, vocabulary: int) -> None:
    """Compare loss and gradients on the device, in float32 and bfloat16, with float64 on the CPU."""
    generator = torch.Generator().manual_seed(1)
    positions, width, top = 512, 64, 20
    hidden = torch.randn(positions, width, generator=generator, dtype=torch.float64)
    weights = torch.randn(width, vocabulary, generator=generator, dtype=torch.float64) / 4
    targets = torch.randint(vocabulary, (positions,), generator=generator)
    logprobs, ids = (2 * torch.randn(positions, vocabulary, generator=generator)).log_softmax(-1).topk(top)
    logprobs[::7, 5:] = -math.inf
    logprobs[::11] = -math.inf

    def worked(kind: torch.dtype, where: torch.device, chunk: int) -> tuple[torch.Tensor, torch.Tensor]:
        states, head = (each.detach().to(where, kind).clone().requires_grad_() for each in (hidden, weights))
        soft = Soft(ids=ids.to(where), logprobs=logprobs.to(where))
        sums = summed(states, lambda h: h @ head, targets.to(where), soft, alpha=0.3, temperature=2.0, chunk=chunk)
        (sums.total / positions).backward()
        gradients = torch.cat([states.grad.flatten(), head.grad.flatten()])
        return (sums.total / positions).detach().cpu().double(), gradients.cpu().double()

    loss, gradient = worked(torch.float64, torch.device("cpu"), 0)
    for kind, near, like in ((torch.float32, 1e-5, 1e-4), (torch.bfloat16, 2e-2, 3e-2)):
        for chunk in (0, 100):
            found, slope = worked(kind, device, chunk)
            name = f"{str(kind)[6:]} on {device.type}, {'whole' if chunk == 0 else 'chunks'}"
            check(f"loss, {name}, relative to float64 on the CPU", abs(found / loss - 1).item(), near)
            check(f"gradient, {name}, norm of the difference", ((slope - gradient).norm() / gradient.norm()).item(), like)
    # The same logits, rounded once: then all that differs is what the loss itself does.
    z = (hidden @ weights).bfloat16()
    parts = [
        pointwise(each, t, Soft(ids=i, logprobs=p), alpha=0.3, temperature=2.0)[0].cpu().double()
        for each, t, i, p in (
            (z.double(), targets, ids, logprobs),
            (z.to(device), targets.to(device), ids.to(device), logprobs.to(device)),
        )
    ]
    check(
        "loss of each position from bfloat16 logits, largest difference to float64",
        (parts[0] - parts[1]).abs().max().item(),
        1e-4,
    )


def memory(device: torch.device, vocabulary: int, positions: int) -> None:
    """Print what the loss takes beside its inputs, whole and in chunks."""
    if device.type != "cuda":
        return
    for size in (vocabulary, 128_000):
        hidden = torch.randn(positions, 768, device=device, dtype=torch.bfloat16, requires_grad=True)
        head = torch.randn(768, size, device=device, dtype=torch.bfloat16, requires_grad=True)
        targets = torch.randint(size, (positions,), device=device)
        ids = torch.arange(20, device=device).expand(positions, 20)
        soft = Soft(ids=ids, logprobs=torch.full((positions, 20), math.log(0.04), device=device))
        for name, chunk in (("whole", 0), ("chunks", None)):
            hidden.grad = head.grad = None
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before, began = torch.cuda.memory_allocated(), time.monotonic()
            summed(hidden, lambda h, head=head: h @ head, targets, soft, alpha=0.5, temperature=2.0, chunk=chunk).total.backward()
            torch.cuda.synchronize()
            took = time.monotonic() - began
            most = (torch.cuda.max_memory_allocated() - before) / 2**30
            print(
                f"      loss of {positions:,} positions over {size:,} tokens, {name}: {most:.2f} GiB more, {took * 1e3:.0f} ms",
                flush=True,
            )
        del hidden, head


def train(size: dict, source: Path, to: Path, recipe: Recipe, *, kill_at: int = 0) -> tuple[Training, list[dict], dict]:
    """Train, and end the process by SIGKILL behind a step where one is given."""
    training = Training(student(size), source, to, recipe)
    rows: list[dict] = []

    def tell(row: dict) -> None:
        rows.append(row)
        if kill_at and row["step"] == kill_at and "loss" in row:
            os.kill(os.getpid(), signal.SIGKILL)

    return training, rows, training.run(tell)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--part", choices=["loss", "speed", "resume"])
    parser.add_argument("--kill", nargs=2, metavar=("FOLDER", "STEP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    tiny = options.tiny
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vocabulary, top, length = (512, 8, 128) if tiny else (8192, 20, 1024)
    width, inner, layers, heads = (64, 128, 2, 4) if tiny else (1024, 2816, 12, 16)
    size = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    size |= {"num_attention_heads": heads, "max_position_embeddings": 2048, "attn_implementation": "sdpa"}
    some, few = (1024, 512) if tiny else (32768, 8192)
    # The tiny one learns too little in its few steps for an early stop to mean anything.
    long = Recipe(lr=1e-3, epochs=2, tokens_per_batch=some, accumulate=2, checkpoint_every=1000, evaluate_every=50, patience=0)
    short = Recipe(lr=1e-3, epochs=1, tokens_per_batch=few, accumulate=2, checkpoint_every=5, evaluate_every=8, patience=0)
    if options.kill:
        folder = Path(options.kill[0])
        train(size, folder / "small", folder / "killed", short, kill_at=int(options.kill[1]))
        return
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    arrow = "there" if find_spec("pyarrow") else "not there"
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, pyarrow {arrow}; {where}", flush=True)
    parts = {options.part} if options.part else {"loss", "speed", "resume"}
    if "loss" in parts:
        against_the_reference(device, vocabulary)
        memory(device, vocabulary, 8192)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        many, fewer = (60_000, 16_000) if tiny else (8_000_000, 600_000)
        if "speed" in parts:
            shards(folder / "large", vocabulary=vocabulary, tokens=many, length=length, top=top)
            speed_of(size, folder, long, device, where, tokens=length * 3 // 4, tiny=tiny)
        if "resume" in parts:
            shards(folder / "small", vocabulary=vocabulary, tokens=fewer, length=length // 2, top=top)
            goes_on(size, folder, short, device, tiny=tiny)
    print("all good" if not FAILED else f"failed: {', '.join(FAILED)}")
    sys.exit(bool(FAILED))


def speed_of(size: dict, folder: Path, recipe: Recipe, device: torch.device, where: str, *, tokens: int, tiny: bool) -> None:
    """Train for a while, and print how fast, in how much memory, and what is learnt. `tokens` is a conversation's mean."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    _, rows, found = train(size, folder / "large", folder / "trained", recipe)
    took = time.monotonic() - began
    steps = [row for row in rows if "loss" in row]
    late = sorted(row["tokens_per_s"] for row in steps[len(steps) // 4 :])
    speed = late[len(late) // 2]
    # 6 FLOP for each weight that is multiplied, and attention's own, half of it being masked (Chowdhery et al. 2022, appendix B).
    multiplied = found["parameters"] - size["vocab_size"] * size["hidden_size"]
    flop = 6 * multiplied + 6 * size["num_hidden_layers"] * size["hidden_size"] * tokens
    peak = next((value for name, value in PEAK.items() if name in where), 0.0)
    used = f"{speed * flop / peak:.1%} of {peak / 1e12:.0f} TFLOP/s" if peak else f"{speed * flop / 1e12:.3f} TFLOP/s"
    print(
        f"      {found['parameters'] / 1e6:.1f} M parameters, {found['steps']} steps of {found['of']} in {took:.0f} s, all told"
    )
    print(f"      {speed:,.0f} tokens/s with what fills up, the median of the later steps; model FLOP: {used}")
    if device.type == "cuda":
        print(f"      peak memory of training: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    before, after = found["held_out_before"], found["held_out"]
    parts = f"hard {after['hard']:.4f}, soft {after['soft']:.4f}"
    print(f"      held-out loss {before['loss']:.4f} before, {after['loss']:.4f} after ({parts})")
    check("held-out loss after over before", after["loss"] / before["loss"], 0.98 if tiny else 0.8)


def goes_on(size: dict, folder: Path, recipe: Recipe, device: torch.device, *, tiny: bool) -> None:
    """Kill a training in a process of its own, go on, and compare with one that never was."""
    _, whole, found = train(size, folder / "small", folder / "whole", recipe)
    kill = min(13, found["of"] - 2)
    command = [sys.executable, __file__, *(["--tiny"] if tiny else []), "--kill", str(folder), str(kill)]
    code = subprocess.run(command, check=False).returncode
    check("the other process was ended by SIGKILL (0: yes)", float(code != -signal.SIGKILL), 0)
    _, rest, again = train(size, folder / "small", folder / "killed", recipe)
    print(f"      killed behind step {kill}, went on from step {again['resumed_at']} of {again['of']}")
    # A step's row is told before its checkpoint is written.
    check("it went on from the last checkpoint (0: yes)", float(again["resumed_at"] != (kill - 1) // 5 * 5), 0)
    expected = {row["step"]: row["loss"] for row in whole if "loss" in row}
    differences = [abs(row["loss"] / expected[row["step"]] - 1) for row in rest if "loss" in row]
    # On a CPU each step is the same to the last bit; on a GPU, sums are made in no fixed order.
    first, later = (0, 0) if device.type == "cpu" else (1e-3, 1e-2)
    check("loss of the first step after the kill, relative", differences[0], first)
    check("loss of any later step, relative", max(differences), later)
    check("held-out loss at the end, relative", abs(again["held_out"]["loss"] / found["held_out"]["loss"] - 1), later)


if __name__ == "__main__":
    main()
