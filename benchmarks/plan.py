"""What a plan says a build will cost, against what it then costs, in three datasets.

    .venv/bin/python benchmarks/plan.py [first] [adaptive] [cascade]

`first` is `examples/first.yaml` on the embedded model, with a price made up for it; it takes a minute or two. The other two are
replayed: 400 problems of mixed difficulty, drawn with adaptive k, and by a cascade of two. For each, `stillhouse plan --probe`
asks a tenth to a quarter of the prompts and says what the rest will cost; `stillhouse build` buys the rest.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
COMMAND = str(Path(sys.executable).with_name("stillhouse"))
WORDS = ("time", "year", "people", "way", "day", "thing", "life", "child", "world", "school", "state", "group", "hand", "part")
PROMPTS, K = 400, 6


def text(rng: random.Random, words: float) -> str:
    """Return a text of about so many words, some far longer than others."""
    return " ".join(rng.choices(WORDS, k=max(3, round(rng.gauss(0, 0.5) * words / 2 + words))))


def first(_: Path) -> tuple[dict[str, Any], int]:
    """Return the first example's spec with a price."""
    spec = yaml.safe_load((ROOT / "examples" / "first.yaml").read_text())
    spec["teachers"][0]["price"] = {"input": 0.5, "output": 1.5}
    del spec["exports"]
    return spec, 10


def replayed(folder: Path, **strengths: float) -> dict[str, Any]:
    """Write problems, and answers of teachers that are so strong; return a spec without `sampling`."""
    rng = random.Random(7)
    problems = [(f"p{i}", text(rng, 40 + 80 * (i % 3)), rng.betavariate(0.7, 0.7)) for i in range(PROMPTS)]
    (folder / "prompts.jsonl").write_text(
        "".join(json.dumps({"id": name, "prompt": f"{words}?", "reference": "7"}) + "\n" for name, words, _ in problems)
    )
    teachers = []
    for number, (teacher, strength) in enumerate(strengths.items()):
        lines = []
        for name, words, ease in problems:
            answers = []
            for _ in range(K):
                right = rng.random() < min(1.0, ease * strength)
                response = f"{text(rng, 60 + 120 * (1 - ease))}. The answer is {7 if right else 8}."
                tokens = {"tokens_in": 20 + round(1.2 * len(words.split())), "tokens_out": round(1.3 * len(response.split()))}
                answers.append({"response": response, **tokens})
            lines.append(json.dumps({"prompt_id": name, "responses": answers}) + "\n")
        (folder / f"{teacher}.jsonl").write_text("".join(lines))
        entry = {
            "name": teacher,
            "provider": "replay",
            "model": teacher,
            "path": str(folder / f"{teacher}.jsonl"),
            "license": "MIT",
        }
        teachers.append(entry | {"price": {"input": 0.2 * 10**number, "output": 0.8 * 10**number}})
    return {
        "dataset": "problems",
        "prompts": [{"source": str(folder / "prompts.jsonl"), "license": "CC0-1.0"}],
        "teachers": teachers,
        "verify": [{"use": "exact_match", "kind": "number"}],
    }


def adaptive(folder: Path) -> tuple[dict[str, Any], int]:
    """Return a spec with one teacher and adaptive k."""
    return replayed(folder, cheap=1.0) | {"sampling": {"k": K, "max_tokens": 1024, "adaptive": {"accept": 2}}}, 40


def cascade(folder: Path) -> tuple[dict[str, Any], int]:
    """Return a spec with a cascade of two teachers and adaptive k."""
    sampling = {"k": K, "max_tokens": 1024, "adaptive": {"accept": 1}, "cascade": ["cheap", "strong"]}
    return replayed(folder, cheap=0.8, strong=1.6) | {"sampling": sampling}, 40


CASES = {"first": first, "adaptive": adaptive, "cascade": cascade}


def run(*arguments: str) -> dict[str, Any]:
    """Run a command and return what it printed."""
    done = subprocess.run([COMMAND, *arguments, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def main() -> int:
    """Plan, probe, plan and build each dataset."""
    print(f"{'dataset':<9} {'before the probe':<24} {'probe':>9} {'planned':>9} {'actual':>9} {'ratio':>6}", end="")
    print(f" {'planned and bought':>19} {'saved':>9}")
    for name in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            spec, prompts = CASES[name](folder)
            path = folder / "spec.json"
            path.write_text(json.dumps(spec))
            lake = ("--lake", str(folder / "lake"))
            blind = run("plan", str(path), *lake)
            plan = run("plan", str(path), *lake, "--probe", str(prompts))
            built = run("build", str(path), *lake)
            print(
                f"{name:<9} {'${:.5f} to ${:.5f}'.format(blind['least_usd'], blind['most_usd']):<24} "
                f"{plan['probe']['cost_usd']:>9.5f} {plan['cost_usd']:>9.5f} {built['cost_usd']:>9.5f} "
                f"{plan['cost_usd'] / built['cost_usd']:>6.2f} {plan['expected']:>9,} {built['paid']:>9,} "
                f"{built['saved']['usd'] if built['saved'] else 0:>9.5f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
