"""`stillhouse init`: a spec and a few prompts that run as they are, on the embedded model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from storage.disk import write_text
from storage.errors import SpecError
from tasks.teachers.options import Name

SPEC = """\
# A stillhouse spec. Look at it with `stillhouse plan {spec}`, carry it out with `stillhouse build {spec}`.
dataset: {dataset}
seed: 7
prompts:
  - source: {prompts}                # .jsonl, .csv or .parquet
    fields: {{prompt: question, reference: answer}}
    license: CC0-1.0                 # an SPDX expression: without one, nothing is built
template:
  system: "Work the problem out in a sentence or two. End with 'The answer is N.'"
  user: "{{{{ prompt }}}}"
teachers:
  - name: smol
    provider: local                  # a small model on this machine; `openai` is any OpenAI-compatible server:
    model: smollm2-135m-instruct
    license: Apache-2.0
    # provider: openai
    # base_url: http://127.0.0.1:8000/v1
    # api_key_env: MY_KEY            # the variable's name, never the key
    limits: {{concurrency: 8}}
    price: {{input: 0, output: 0}}     # USD per million tokens
sampling: {{k: 4, temperature: 0.7, top_p: 0.95, max_tokens: 200, seed: 7}}
verify:
  - {{use: exact_match, kind: number}}
select: {{require: all, per_prompt: 2, prefer: shortest}}
exports:
  - {{format: messages, to: out/{folder}, shards: 1}}
"""
PROMPTS = """\
{"id": "pencils", "question": "A box has 6 pencils. How many pencils are in 3 boxes?", "answer": "18"}
{"id": "birds", "question": "There are 9 birds on a tree and 4 fly away. How many birds are left?", "answer": "5"}
{"id": "coins", "question": "Mia has 7 coins and finds 5 more. How many coins does she have?", "answer": "12"}
{"id": "cake", "question": "A cake is cut into 8 pieces and 3 are eaten. How many pieces are left?", "answer": "5"}
"""


def write(folder: Path, dataset: str) -> tuple[Path, Path]:
    """Write spec and prompts and return their paths. Raise SpecError where either is there already."""
    try:
        TypeAdapter(Name).validate_python(dataset)
    except ValidationError:
        raise SpecError(f"--dataset: {dataset!r} is no name: letters, digits, dots, dashes and underscores") from None
    spec, prompts = folder / f"{dataset}.yaml", folder / f"{dataset}.jsonl"
    for path in (spec, prompts):
        if path.exists():
            raise SpecError(f"{path}: is there already; choose another --dataset or folder")
    write_text(prompts, PROMPTS)
    write_text(spec, SPEC.format(spec=typed(spec), dataset=_scalar(dataset), folder=dataset, prompts=_scalar(str(prompts))))
    return spec, prompts


def typed(path: Path) -> str:
    """Return a path as a shell takes it for one word."""
    return shlex.quote(str(path))


def _scalar(text: str) -> str:
    """Return a text as YAML has it, in quotes where it would be something else without: a number, a list, a comment."""
    try:
        plain = yaml.safe_load(f"key: {text} # a comment") == {"key": text} and yaml.safe_load(f"[{text}]") == [text]
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)
