"""Which texts are compared, and which of them stay."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.duplicates import candidates
from tasks.duplicates.candidates import EFFORT, Candidates, similar
from tasks.duplicates.greedy import DROPPED, Numbers
from tasks.duplicates.jaccard import Grams
from tasks.duplicates.minhash import band_hashes, shape, shingles, signatures


def search(folder: Path, texts: list[str], *, settled: int = 0, threshold: float = 0.8, n: int = 3) -> tuple[set[int], int]:
    """Return which texts are dropped, in their order, and how many pairs were compared."""
    cut = shape(threshold, 128)
    assert cut is not None
    hashes, offsets = shingles(texts, n)
    bands = band_hashes(signatures(hashes, offsets, cut.bands * cut.rows), cut)
    compared = 0

    with Grams(folder / "grams", len(texts)) as grams:

        def compare(later: Numbers, earlier: Numbers) -> np.ndarray:
            nonlocal compared
            compared += len(later)
            assert (later > earlier).all()
            assert (later >= settled).all()
            return grams.similarities(later, earlier)

        grams.add(np.arange(len(texts)), hashes, offsets)
        one = Candidates(lambda number: bands[number], cut.bands, len(texts), settled)
        _, state = one.resolve(similar(one.find(), threshold, compare), threshold, compare)
    return set(np.flatnonzero(state == DROPPED).tolist()), compared


def by_brute_force(texts: list[str], *, settled: int, threshold: float = 0.8, n: int = 3) -> set[int]:
    """Compare each text with all that are kept before it."""
    sets = []
    for text in texts:
        words = text.split()
        sets.append({tuple(words[place : place + n]) for place in range(max(1, len(words) - n + 1))})
    kept: list[int] = []
    for number, each in enumerate(sets):
        if number < settled or all(len(each & sets[other]) / len(each | sets[other]) < threshold for other in kept):
            kept.append(number)
    return set(range(len(texts))) - set(kept)


def variants(rng: random.Random, number: int, *, words: int = 60, edits: int = 3, bases: int = 5) -> list[str]:
    """Return texts that are a few, with a few words changed."""
    known = [rng.choices("abcdefgh", k=rng.randint(1, words)) for _ in range(bases)]
    found = []
    for _ in range(number):
        text = list(rng.choice(known))
        for _ in range(rng.randint(0, edits)):
            text[rng.randrange(len(text))] = rng.choice("abcdefgh")
        found.append(" ".join(text))
    return found


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    number=st.integers(1, 100),
    small=st.sampled_from([2, 4, 32]),
    threshold=st.sampled_from([0.5, 0.8, 1.0]),
    settled=st.sampled_from([0.0, 0.4]),
)
def test_as_by_brute_force(
    tmp_path_factory: pytest.TempPathFactory, seed: int, number: int, small: int, threshold: float, settled: float
):
    """What is dropped is what comparing everything would drop, whatever counts as a large group."""
    texts = variants(random.Random(seed), number)
    first = int(number * settled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "SMALL", small)
        patch.setattr(candidates, "EFFORT", 10_000)
        found, _ = search(tmp_path_factory.getbasetemp(), texts, settled=first, threshold=threshold)
    expected = by_brute_force(texts, settled=first, threshold=threshold)
    assert len(found ^ expected) <= len(expected) // 50  # a pair at the threshold shares no band once in five hundred times


def boilerplate(number: int, *, edits: int) -> list[str]:
    """Return texts of the same 200 words, a few of them changed."""
    rng = random.Random(number)
    found = []
    for _ in range(number):
        words = [f"w{place}" for place in range(200)]
        for place in rng.sample(range(200), edits):
            words[place] = f"x{rng.randrange(10**9)}"
        found.append(" ".join(words))
    return found


def test_boilerplate(tmp_path: Path):
    """Texts that are all near to each other take a few comparisons each, however many there are."""
    for number in (500, 3_000):
        dropped, compared = search(tmp_path, boilerplate(number, edits=1), n=5)
        assert dropped == set(range(1, number))
        assert compared < 16 * number


def test_boilerplate_below_the_threshold(tmp_path: Path):
    """Texts that share bands and are not near are given up on after some comparisons each."""
    number = 600
    dropped, compared = search(tmp_path, boilerplate(number, edits=5), n=5)
    assert len(dropped) < number // 20
    assert compared < 8 * EFFORT * number


def test_settled_boilerplate(tmp_path: Path):
    """A new text is compared with settled ones alone, and these never among themselves."""
    dropped, compared = search(tmp_path, boilerplate(1_001, edits=1), settled=1_000, n=5)
    assert dropped == {1_000}
    assert compared <= 1_000


@pytest.mark.parametrize("settled", [0, 1])
def test_nothing(tmp_path: Path, settled: int):
    """No text, or one, is near to none."""
    assert search(tmp_path, ["a b c"][:settled], settled=settled) == (set(), 0)
