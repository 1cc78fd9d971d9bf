"""Held-out items without files, and a look for them in texts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from tasks.heldout.benchmarks import Benchmark, Heldout, Part
from tasks.heldout.blocks import Hit, Text
from tasks.heldout.index import make_index
from tasks.heldout.matching import Matching

WORDS = [
    a + b + c
    for a in ("ba", "ko", "li", "ru", "se", "ta")
    for b in ("d", "m", "n", "r", "s")
    for c in ("a", "en", "il", "o", "u")
]


def prose(seed: object, words: int) -> str:
    """Return a text of random words: two of them have no long run in common."""
    return " ".join(random.Random(str(seed)).choices(WORDS, k=words))


def heldout(*items: str | tuple[str, str], **options: Any) -> Heldout:
    """Return a benchmark of questions, or of questions and answers."""
    parts = []
    for row, item in enumerate(items):
        question, answer = item if isinstance(item, tuple) else (item, None)
        parts.append(Part(benchmark=0, row=row, text=question, question=True))
        if answer is not None:
            parts.append(Part(benchmark=0, row=row, text=answer, question=False))
    names = [(0, f"item {row}") for row in range(len(items))]
    return Heldout(benchmarks=[Benchmark(source="exam.jsonl", **options)], items=names, parts=parts)


def look(held: Heldout, texts: Iterable[str], *, where: str = "prompt") -> list[Hit]:
    """Return what is found in texts, of which each is another prompt's; keys are their numbers."""
    matching = Matching(index=make_index(held))
    given = [Text(key=n, prompt=n, where=where, text=text, whole=where == "prompt") for n, text in enumerate(texts)]
    return [*matching.find(given), *matching.finish()]


def found(held: Heldout, texts: Sequence[str], *, where: str = "prompt") -> list[tuple[int, int]]:
    """Return the numbers of texts and items that were found, in order, each once."""
    return sorted({(int(hit.key), hit.item) for hit in look(held, texts, where=where)})
