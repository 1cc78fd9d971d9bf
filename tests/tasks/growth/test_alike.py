"""Grown prompts that are like others, against every pair compared by hand."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from tasks.growth.alike import alike
from tasks.growth.options import GrownNear
from tasks.words import normal


def jaccard(first: str, second: str, n: int) -> float:
    """Compare two texts' sets of n-grams."""
    one, other = (
        {" ".join(words[i : i + n]) for i in range(max(len(words) - n + 1, 1))}
        for words in (normal(first).split(), normal(second).split())
    )
    return len(one & other) / len(one | other)


def test_as_by_hand(tmp_path: Path):
    """Seeds are all kept; of the rest, in order, each is kept unless it is like one that is."""
    chance = random.Random(4)
    words = [f"w{i}" for i in range(60)]
    texts = [" ".join(chance.choices(words, k=chance.randint(1, 25))) for _ in range(150)]
    for _ in range(250):
        changed = chance.choice(texts).split()
        if chance.random() < 0.7:
            changed[chance.randrange(len(changed))] = chance.choice(words)
        texts.append(" ".join(changed) + chance.choice(["", "!", "  ?"]))
    near, settled = GrownNear(threshold=0.7), 100
    expected, kept = {}, list(range(settled))
    for number in range(settled, len(texts)):
        best = max(kept, key=lambda other: (jaccard(texts[number], texts[other], near.ngram), -other))
        if jaccard(texts[number], texts[best], near.ngram) >= near.threshold:
            expected[number] = jaccard(texts[number], texts[best], near.ngram)
        else:
            kept.append(number)
    found = alike(lambda: iter(texts), len(texts), settled=settled, near=near, folder=tmp_path)
    assert list(found.numbers) == sorted(expected)
    for number, other, similarity in zip(*found, strict=True):
        exact = normal(texts[number]) == normal(texts[other])
        assert np.isnan(similarity) if exact else similarity == expected[number]
        assert other not in expected
    assert not list(tmp_path.iterdir())


def test_nothing(tmp_path: Path):
    """Without texts, and with seeds alone, nothing is dropped."""
    near = GrownNear()
    assert not len(alike(lambda: iter(()), 0, settled=0, near=near, folder=tmp_path).numbers)
    assert not len(alike(lambda: iter(["a", "a"]), 2, settled=2, near=near, folder=tmp_path).numbers)
    assert list(alike(lambda: iter(["a", "A."]), 2, settled=0, near=near, folder=tmp_path).numbers) == [1]
