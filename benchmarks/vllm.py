"""A running vLLM server's log-probabilities, held against the logits of its model's own folder, which torch works out in float32.

    vllm serve FOLDER --served-model-name NAME --dtype float32 --port 8000
    .venv-train/bin/python benchmarks/vllm.py http://127.0.0.1:8000/v1 NAME FOLDER

Whole commands: `build` draws with `logprobs`, `score` has the server grade what it said, and two exports in the form `soft` say
what a student would learn from either. Each of their distributions is then looked for in torch's; exit 1 where one is off.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
import yaml
from transformers import AutoModelForCausalLM

from tasks.exporters.chat import vocabulary_of

QUESTIONS = (
    "What is 12 + 30?",
    "Say 你好, then déjà vu, then a fox 🦊.",
    "Say only yes.",
    "Write a Python function that adds two numbers.",
    "List three rivers.\n\n- one\n- two\n- three",
)
TOP = 5
NEAR = 2e-3
"""Nats by which a log-probability may be off, since sums are made in another order; beside what half precision takes off it."""
HALF = 2**-11


def command(*arguments: str) -> None:
    """Run stillhouse, and end where it fails."""
    found = subprocess.run([Path(sys.executable).parent / "stillhouse", *arguments], check=False, capture_output=True, text=True)
    if found.returncode:
        sys.exit(found.stderr)


def spec(options: argparse.Namespace, folder: Path) -> Path:
    """Write a spec for the server, and its prompts."""
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": each}) + "\n" for each in QUESTIONS), encoding="utf-8")
    teacher: dict[str, Any] = {"name": "server", "provider": "openai", "base_url": options.base_url, "model": options.model}
    teacher |= {"license": "CC0-1.0", "price": {"input": 0, "output": 0}}
    if not options.texts:
        teacher["extra_body"] = {"return_tokens_as_token_ids": True}
    path = folder / "spec.yaml"
    sampling = {"k": 4, "temperature": 1, "max_tokens": 64, "logprobs": TOP}
    sources = [{"source": str(prompts), "license": "CC0-1.0"}]
    path.write_text(yaml.safe_dump({"dataset": "held", "prompts": sources, "teachers": [teacher], "sampling": sampling}))
    return path


def soft(folder: Path, name: str, tokenizer: str, *more: str) -> list[dict[str, Any]]:
    """Export the newest build, and return its rows."""
    to = folder / name
    own = ("--format", "soft", "--option", f"tokenizer={tokenizer}", "--option", "logprobs=float32")
    command("export", "held", "--lake", str(folder / "lake"), "--to", str(to), *own, *more)
    return pq.read_table(to / "train-00000-of-00001.parquet").to_pylist()


def drawn_otherwise(lake: Path, rows: list[dict[str, Any]], tokenizer: str) -> set[str]:
    """Return the samples whose tokens, as they were drawn, aren't those that a tokenizer makes of their text.

    What their teacher said stands behind other tokens, so it is not what torch says behind these.
    """
    known = vocabulary_of(tokenizer).tokens
    parts = pq.read_table(lake / "samples", columns=["sample_id", "logprobs"]).to_pylist()
    drawn = {part["sample_id"]: part["logprobs"] for part in parts}
    other = set()
    for row in rows:
        given = drawn[row["sample_id"]]
        own = [known[each] for each in given["ids"]] if given["ids"] else given["tokens"]
        learnt = [known[label] for label in row["labels"] if label != -100]
        if own[: len(learnt)] != learnt and own != learnt[:-1]:
            other.add(row["sample_id"])
    return other


def compare(name: str, rows: list[dict[str, Any]], model: Any) -> bool:
    """Print how far distributions are from torch's, and return whether they are near."""
    worst, most, tokens, sampled = 0.0, 0.0, 0, 0
    for row in rows:
        with torch.inference_mode():
            logprobs = model(torch.tensor([row["input_ids"]])).logits[0].double().log_softmax(-1)
        for place, (ids, values) in enumerate(zip(row["top_ids"], row["top_logprobs"], strict=True)):
            if not ids:
                continue
            tokens += 1
            sampled += row["input_ids"][place] in ids
            expected = logprobs[place - 1, ids]
            worst = max(worst, ((expected - torch.tensor(values)).abs() + HALF * expected).max().item())
            most = max(most, math.fsum(map(math.exp, values)))
    good = tokens > 0 and worst <= NEAR and most <= 1 + 1e-5
    share = sampled / max(1, tokens)
    print(f"{'ok  ' if good else 'FAIL'}  {name}: {len(rows)} responses, {tokens:,} tokens, {share:.0%} among their alternatives")
    print(f"      largest difference {worst:.1e} nats beyond half precision's, largest mass of a position {most:.6f}", flush=True)
    return good


def main() -> None:
    """Draw, score, export, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("model")
    parser.add_argument("folder", help="the model's own folder")
    parser.add_argument("--texts", action="store_true", help="ask for tokens as texts, not as ids")
    options = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = spec(options, folder)
        command("build", str(path), "--lake", str(folder / "lake"))
        command("score", str(path), "--lake", str(folder / "lake"), "--teacher", "server", "--top", str(TOP))
        drawn = soft(folder, "drawn", options.folder)
        graded = soft(folder, "graded", options.folder, "--option", "scores=server")
        other = drawn_otherwise(folder / "lake", drawn, options.folder)
    print(f"      {len(other)} of {len(drawn)} responses were drawn in other tokens than their text has: left out of the first")
    drawn = [row for row in drawn if row["sample_id"] not in other]
    good = [compare("as drawn", drawn, model), compare("as graded", graded, model)]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
