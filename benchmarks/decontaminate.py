"""Decontamination: planted items by kind, recall and precision, and how fast it is.

    .venv/bin/python benchmarks/decontaminate.py                      # generated word problems
    .venv/bin/python benchmarks/decontaminate.py gsm8k.jsonl          # lines of {question, answer}: half held out, half clean
    .venv/bin/python benchmarks/decontaminate.py --rows 200000        # how many responses the speed is measured on

Every other item is held out. The others are clean, with the same instruction before them; so are a held-out item's bare answer
and long texts. Each kind plants each held-out item once. Precision is of all texts in which an item was found: those in which
that very item was planted.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from storage.lake import Lake
from storage.parquet import PartWriter
from storage.schemas import SAMPLES
from storage.workspace import Workspace
from tasks.decontaminate import Decontamination
from tasks.heldout.benchmarks import Benchmark
from tasks.heldout.matching import Matching, Text

SYLLABLES = ("ba", "con", "der", "el", "fir", "gan", "hol", "in", "jor", "kel", "lum", "men", "nor", "os", "per", "qua")
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("", "t", "s", *SYLLABLES[:5])]
"""A vocabulary of two thousand, of which few make up most of a text, as in any language."""
WEIGHTS = [1 / (place + 3) for place in range(len(WORDS))]
INSTRUCTION = "Think step by step about the following problem, and end with a line that gives the answer alone and nothing else. "
SHORT = "Who wrote the {} of the {} {}?"


def generated(rng: random.Random, number: int) -> Iterator[dict[str, str]]:
    """Yield word problems that share no template, with worked answers."""
    for _ in range(number):
        question = " ".join(rng.choices(WORDS, WEIGHTS, k=rng.randrange(18, 60))).capitalize() + f" {rng.randrange(1000)}?"
        answer = " ".join(rng.choices(WORDS, WEIGHTS, k=40)) + f".\n#### {rng.randrange(1000)}"
        yield {"question": question, "answer": answer}


def prose(rng: random.Random, words: int) -> str:
    """Return a text that has nothing to do with any item."""
    return " ".join(rng.choices(WORDS, WEIGHTS, k=words))


def changed(rng: random.Random, text: str) -> str:
    """Replace one word in twenty, numbers included."""
    words = text.split()
    for place in rng.sample(range(len(words)), max(1, len(words) // 20)):
        words[place] = rng.choice([word for word in WORDS if word != words[place].lower()])
    return " ".join(words)


def wrapped(text: str) -> str:
    """Break a text into short quoted lines."""
    words = text.split()
    return "\n".join("> " + "  ".join(words[i : i + 5]) for i in range(0, len(words), 5))


def other_unicode(text: str) -> str:
    """Return a text with full-width digits, curly quotes, soft hyphens and joiners."""
    wide = "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in text.replace("'", "\u2019"))
    return unicodedata.normalize("NFD", wide.replace("the", "t\u00adhe").replace(" a ", " \u200ba\u00a0"))


Item = dict[str, str]
Kind = Callable[[random.Random, Item], tuple[str, str]]
PLANTED: dict[str, Kind] = {
    "verbatim": lambda _, item: ("prompt", item["question"]),
    "behind an instruction": lambda _, item: ("prompt", INSTRUCTION + item["question"]),
    "re-cased": lambda _, item: ("prompt", item["question"].swapcase()),
    "re-wrapped": lambda _, item: ("prompt", wrapped(item["question"])),
    "other punctuation": lambda _, item: ("prompt", re.sub(r"[.,;:?!()'\"$](?=\D|$)", "", item["question"]).replace(" ", " - ")),
    "other Unicode forms": lambda _, item: ("prompt", other_unicode(item["question"])),
    "a word changed in 20": lambda rng, item: ("prompt", changed(rng, item["question"])),
    "its first half": lambda _, item: ("prompt", item["question"][: len(item["question"]) // 2]),
    "inside a long response": lambda rng, item: ("response", f"{prose(rng, 300)} {item['question']} {prose(rng, 300)}"),
    "its worked answer": lambda rng, item: ("response", f"{prose(rng, 100)}\n{item['answer']}"),
    "few words": lambda _, item: ("prompt", INSTRUCTION + item["short"]),
    "few words, inside a long response": lambda rng, item: ("response", f"{prose(rng, 300)} {item['short']} {prose(rng, 300)}"),
}
CLEAN: dict[str, Kind] = {
    "the answer alone": lambda _, item: ("response", f"The answer is {item['answer'].rpartition('#### ')[2]}."),
    "other items": lambda _, item: ("prompt", item["clean"]),
    "other items behind the instruction": lambda _, item: ("prompt", INSTRUCTION + item["clean"]),
    "other worked answers": lambda _, item: ("response", item["clean_answer"]),
    "another short question": lambda _, item: ("prompt", INSTRUCTION + item["clean_short"]),
    "long texts": lambda rng, _: ("response", prose(rng, 600)),
}


def quality(items: list[Item], heldout: Decontamination) -> None:
    """Print recall and precision by kind, and how many clean texts are flagged."""
    texts: list[Text] = []
    for kind, plant in (PLANTED | CLEAN).items():
        rng = random.Random(kind)
        for number, item in enumerate(items):
            where, text = plant(rng, item)
            key = f"{kind}/{number}"
            texts.append(Text(key=key, prompt=key, where=where, text=text, whole=where == "prompt"))
    found: dict[str, set[int]] = {}
    for where in ("prompt", "response"):
        matching = Matching(index=heldout.index)
        mine = [text for text in texts if text.where == where]
        for hit in [*matching.find(mine), *matching.finish()]:
            found.setdefault(str(hit.key), set()).add(hit.item // 2)  # an item's question and its short one are two rows
    print(f"{'planted':36} {'recall':>8} {'precision':>10}")
    for kind in PLANTED:
        right = sum(number in found.get(f"{kind}/{number}", ()) for number in range(len(items)))
        any_ = sum(f"{kind}/{number}" in found for number in range(len(items)))
        print(f"{kind:36} {right / len(items):>8.4f} {right / max(any_, 1):>10.4f}")
    wrong = 0
    print(f"\n{'clean':36} {'flagged':>8} {'of':>10}")
    for kind in CLEAN:
        flagged = sum(f"{kind}/{number}" in found for number in range(len(items)))
        wrong += flagged
        print(f"{kind:36} {flagged:>8} {len(items):>10,}")
    print(f"\nprecision over all: {1 - wrong / max(len(found), 1):.4f}")


def speed(heldout: Decontamination, rows: int, items: list[Item]) -> None:
    """Print how many responses a second are read from Parquet, looked at and decided; one in a hundred has an item in it."""
    rng = random.Random(0)
    pool = [prose(rng, rng.randrange(50, 350)) for _ in range(2_000)]
    with tempfile.TemporaryDirectory() as name:
        lake = Lake(Path(name) / "lake")
        lake.mend()
        now = datetime(2026, 1, 1, tzinfo=UTC)
        with PartWriter(lake.root / "samples" / "part.parquet", SAMPLES, row_group=2_000) as writer:
            for number in range(rows):
                item = f" {items[number % len(items)]['question']}" if number % 100 == 0 else ""
                response = f"{pool[number % len(pool)]} {number}{item}"
                writer.write({"sample_id": f"{number:032x}", "prompt_id": f"p{number}", "response": response, "created_at": now})
        with Workspace(lake, Path(name) / "work") as workspace:
            workspace.execute("CREATE TABLE exempt (ord BIGINT)")
            workspace.execute(
                "CREATE TABLE candidates AS SELECT row_number() OVER () AS ord, sample_id, NULL::VARCHAR AS stage, "
                "NULL::VARCHAR AS reason FROM samples"
            )
            began, used = time.monotonic(), time.process_time()
            heldout.reject(workspace)
            took, used = time.monotonic() - began, time.process_time() - used
            ((rejected,),) = workspace.rows("SELECT count(*) FROM candidates WHERE stage = 'decontaminate'")
    words = sum(len(text.split()) for text in pool) / len(pool)
    print(
        f"speed: {rows:,} responses of {words:.0f} words on average, {rejected:,} of {-(-rows // 100):,} planted ones rejected\n"
        f"by the clock {rows / took:,.0f}/s, ten million in {10_000_000 / (rows / took) / 3600:.1f} h; "
        f"by processor time {rows / used:,.0f}/s, {10_000_000 / (rows / used) / 3600:.1f} h"
    )


def main() -> None:
    """Plant, look, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("items", nargs="?", type=Path, help="JSONL with question and answer; left out: generated")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--generate", type=int, default=2_000, help="how many items to generate")
    given = parser.parse_args()
    rng = random.Random(1)
    if given.items:
        rows = [json.loads(line) for line in given.items.read_text().splitlines()]
    else:
        rows = list(generated(rng, given.generate))
    shorts = [SHORT.format(*rng.sample(WORDS, 3)) for _ in rows]
    held, clean = rows[::2], rows[1::2]
    items = [
        {
            **row,
            "short": shorts[2 * n],
            "clean": other["question"],
            "clean_answer": other["answer"],
            "clean_short": shorts[2 * n + 1],
        }
        for n, (row, other) in enumerate(zip(held, clean, strict=False))
    ]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "heldout.jsonl"
        with path.open("w") as file:
            for item in items:
                file.write(json.dumps({"prompt": item["question"], "reference": item["answer"]}) + "\n")
                file.write(json.dumps({"prompt": item["short"]}) + "\n")
        began = time.monotonic()
        heldout = Decontamination([Benchmark(source=str(path))], seed=0)
        print(f"index: {2 * len(items):,} items in {time.monotonic() - began:.1f} s\n")
        quality(items, heldout)
        speed(heldout, given.rows, items)


if __name__ == "__main__":
    main()
