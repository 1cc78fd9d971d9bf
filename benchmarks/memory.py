"""Peak memory of a build through `replay`, by number of prompts.

    .venv/bin/python benchmarks/memory.py 100000 200000

Prints, for each number: seconds of the whole command, the peak resident memory of its largest process, and samples a second.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ("time", "year", "people", "way", "day", "thing", "life", "child", "world", "school", "state", "group", "hand", "part")


def text(rng: random.Random, words: int) -> str:
    """Return a text of so many words."""
    return " ".join(rng.choices(WORDS, k=words))


def write_inputs(folder: Path, number: int) -> Path:
    """Write prompts, recorded answers and a spec; return the spec's path."""
    rng = random.Random(number)
    with (folder / "prompts.jsonl").open("w") as prompts, (folder / "answers.jsonl").open("w") as answers:
        for i in range(number):
            prompts.write(json.dumps({"id": f"p{i}", "prompt": f"Case {i}: {text(rng, 60)}?", "reference": str(i % 7)}) + "\n")
            response = f"{text(rng, 150)}. The answer is {i % 7 if rng.random() < 0.7 else 99}."
            answers.write(json.dumps({"prompt_id": f"p{i}", "responses": [response]}) + "\n")
    spec = {
        "dataset": "memory",
        "prompts": [{"source": str(folder / "prompts.jsonl"), "license": "CC0-1.0"}],
        "teachers": [
            {"name": "r", "provider": "replay", "model": "recorded", "path": str(folder / "answers.jsonl"), "license": "CC0-1.0"}
        ],
        "verify": [{"use": "exact_match", "kind": "number"}],
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def peak(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process and return the peak resident bytes of itself, read from the kernel as it runs."""
    highest = 0
    while process.poll() is None:
        try:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    highest = max(highest, int(line.split()[1]) * 1024)
        except OSError:
            break
        time.sleep(0.05)
    process.wait()
    return highest


def main() -> int:
    """Build once for each number on the command line."""
    print(f"{'prompts':>10} {'seconds':>8} {'MB':>6} {'samples/s':>10}")
    for number in map(int, sys.argv[1:] or ["100000", "200000"]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            spec = write_inputs(folder, number)
            began = time.monotonic()
            command = [
                str(Path(sys.executable).with_name("stillhouse")),
                "build",
                str(spec),
                "--lake",
                str(folder / "lake"),
                "--json",
            ]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if not os.environ.get("LOUD") else None
            ) as process:
                highest = peak(process)
                summary = json.loads(process.stdout.read() if process.stdout else b"{}")
            seconds = time.monotonic() - began
            if process.returncode or summary["requested"] != number:
                print(f"failed: exit {process.returncode}, {summary}", file=sys.stderr)
                return 1
            print(f"{number:>10,} {seconds:>8.1f} {highest / 1e6:>6.0f} {number / seconds:>10,.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
