"""How unlike one another texts are."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import SetupError
from tasks.duplicates.embedding import load
from tasks.measures import diversity as measures
from tasks.measures.diversity import SIZES, diversity, entropy, falls, hashed, ngrams, opening, similarity, vendi
from tests.tasks.embedding import save_model


def measured(*texts: str) -> dict:
    """Return the measures of texts."""
    return diversity(texts, [len(text) for text in texts])


def written(number: int, *, words: int = 1_000, seed: int = 0, length: int = 40) -> list[str]:
    """Return texts of random words."""
    rng = Random(seed)
    return [" ".join(f"w{rng.randrange(words)}" for _ in range(length)) for _ in range(number)]


def test_distinct_n():
    """Distinct n-grams of words by all of them, over all texts together; none crosses from one text into the next."""
    found = measured("a b a b", "A b!", "c")
    assert found["distinct_1"] == pytest.approx(3 / 7, abs=1e-6)
    assert found["distinct_2"] == pytest.approx(2 / 4, abs=1e-6)
    assert found["distinct_3"] == 1.0


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=8), min_size=1, max_size=8))
def test_distinct_n_by_counting(texts: list[list[str]]):
    """It is what counting tuples gives."""
    found = measured(*map(" ".join, texts))
    for n in (1, 2, 3):
        grams = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
        expected = round(len(set(grams)) / len(grams), 6) if grams else None
        assert found[f"distinct_{n}"] == expected


def test_compression_ratio():
    """Bytes by compressed bytes: what repeats itself compresses well."""
    texts = written(50)
    raw = "\n".join(texts).encode()
    assert measured(*texts)["compression_ratio"] == pytest.approx(len(raw) / len(zlib.compress(raw, 6)), abs=1e-6)
    assert measured(*["the same thing again"] * 50)["compression_ratio"] > 10 > measured(*texts)["compression_ratio"]


def test_entropies():
    """Bits: of four openings that are equally frequent, two; lengths count in bins of a quarter of a doubling."""
    texts = [f"{name} and then {n}" for name in ("one", "two", "three", "four") for n in range(8)]
    assert measured(*texts)["opening_entropy"] == 2.0
    assert opening("  Sure!  Here's the plan") == "sure here s"
    found = diversity(["x"] * 4, [100, 101, 1_000, 1_001])
    assert found["length_entropy"] == 1.0
    assert entropy(Counter()) is None


def test_openings():
    """The most frequent openings are named, those that stand once are not."""
    found = measured("Sure, here it is", "sure here it goes", "something else altogether")
    assert found["openings"] == [{"opening": "sure here it", "share": pytest.approx(2 / 3, abs=1e-6)}]


def test_vendi():
    """As many as there are of texts without a common word; one of texts that are the same."""
    different = ["a b c", "d e f", "g h i", "j k l"]
    assert measured(*different)["vendi"] == pytest.approx(4, abs=0.1)
    assert measured(*["a b c"] * 4)["vendi"] == pytest.approx(1, abs=1e-4)
    assert vendi(np.eye(5, dtype=np.float32)) == pytest.approx(5)
    assert vendi(np.zeros((3, 4), dtype=np.float32)) == pytest.approx(3)


def test_similarity():
    """The mean cosine of all pairs; one text has none."""
    vectors = hashed([np.arange(n, n + 20, dtype=np.uint64) for n in (0, 5, 10)])
    pairs = [float(vectors[i] @ vectors[j]) for i in range(3) for j in range(i)]
    assert similarity(vectors) == pytest.approx(np.mean(pairs), abs=1e-6)
    assert similarity(vectors[:1]) is None
    assert measured("a b c", "a b c")["self_similarity"] == pytest.approx(1, abs=1e-4)


def test_hashing_keeps_cosines():
    """Vectors hashed with signs have about the cosines of those that aren't."""
    texts = [np.arange(n * 50, n * 50 + 100, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) for n in range(4)]
    vectors = hashed(texts)
    assert vectors[0] @ vectors[1] > 0.2
    assert abs(vectors[0] @ vectors[2]) < 0.1


@pytest.mark.parametrize("texts", [[], [""], ["", "!?"], ["a"], ["\ud800 lone"]], ids=repr)
def test_next_to_nothing(texts: list[str]):
    """No texts, texts without a word, and texts that aren't Unicode have measures too, or none."""
    found = measured(*texts)
    assert found["sample"] == len(texts)
    assert found["distinct_3"] is None


def test_ngrams_of_a_short_text():
    """A text of fewer words has none."""
    assert len(ngrams(np.arange(2, dtype=np.uint64), 3)) == 0


def test_sizes(monkeypatch: pytest.MonkeyPatch):
    """Each nested sample is measured by itself: as if there were no more texts."""
    texts = written(150)
    found = measured(*texts)
    assert list(found["sizes"]) == ["32", "128"]
    alone = measured(*texts[:32])
    assert found["sizes"]["32"] == alone["sizes"]["32"]
    monkeypatch.setattr(measures, "SAMPLE", 128)
    assert measured(*texts)["sample"] == 128


def test_the_same_in_another_process():
    """No hash of Python's own has a part in it, nor has the processor, or how many threads it is given."""
    texts = [f"text {n} of words that {n % 7} never repeat" for n in range(40)]
    code = f"from tasks.measures.diversity import diversity; print(diversity({texts!r}, [1] * 40))"
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for environment in (
            {"PYTHONHASHSEED": "1"},
            {"PYTHONHASHSEED": "2", "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem"},
        )
    ]
    assert said[0] == said[1] == f"{diversity(texts, [1] * 40)}\n"


def test_a_fall():
    """A build that says less new than the one before has fallen; one that is larger, and like it, has not."""
    varied, dull = measured(*written(140)), measured(*written(140, words=20))
    fallen = falls(varied, dull)
    assert {"distinct_1", "distinct_2", "compression_ratio", "vendi", "self_similarity"} <= fallen.keys()
    assert fallen["distinct_2"]["fall"] > 0.5
    assert fallen["distinct_2"]["sample"] == 128
    assert all(each["fall"] < 0.1 for each in falls(varied, measured(*written(200))).values())
    assert not falls(varied, varied)
    assert not falls(dull, measured(*written(10)))


def test_a_fall_of_what_is_less(monkeypatch: pytest.MonkeyPatch):
    """Where less is more, the loss is that of the inverse, or of what is lacking to 1."""
    sizes = [{"32": {"compression_ratio": a, "self_similarity": b}} for a, b in ((2.0, 0.5), (4.0, 0.75))]
    before, after = ({"sizes": each, "chars": 1, "kernel": "k"} for each in sizes)
    assert {name: each["fall"] for name, each in falls(before, after).items()} == {
        "compression_ratio": 0.5,
        "self_similarity": 0.5,
    }
    assert "self_similarity" not in falls(before, after | {"kernel": "another"})
    assert not falls(before, after | {"chars": 2})
    assert SIZES[0] == 32


def test_with_a_model(tmp_path: Path):
    """With static embeddings similarity goes by meaning: synonyms count as alike."""
    words = ["big", "large", "red", "blue", "cat", "car"]
    vectors = np.eye(6)
    vectors[1] = vectors[0]
    embedder = load(save_model(tmp_path / "model", words, vectors), what="guard")
    found = diversity(["big", "large"], [3, 5], embedder)
    assert found["self_similarity"] == pytest.approx(1)
    assert found["vendi"] == pytest.approx(1, abs=1e-5)
    assert embedder.digest in found["kernel"]
    unknown = diversity(["big", "nothing known"], [3, 5], embedder)
    assert (unknown["vendi"], unknown["unknown"]) == (pytest.approx(2), 1)


@pytest.mark.parametrize("name", ["no/such/folder", "./here", "word"])
def test_a_model_that_is_not_there(name: str):
    """A folder that isn't there is one line that names the place in the spec."""
    with pytest.raises(SetupError, match=r"guard\.min_diversity\.model: .*no such folder"):
        load(name, what="guard.min_diversity.model")


def test_a_model_without_numbers(tmp_path: Path):
    """A model of which a vector is no number is refused before it is used."""
    with pytest.raises(SetupError, match="has vectors that are no numbers"):
        load(save_model(tmp_path / "model", ["a", "b"], np.array([[1.0, np.nan], [0.0, 1.0]])), what="guard")


def test_a_folder_that_is_no_model(tmp_path: Path):
    """So is a folder that holds something else."""
    with pytest.raises(SetupError, match="can't be loaded as a model2vec model") as caught:
        load(str(tmp_path), what="guard.min_diversity.model")
    assert "\n" not in str(caught.value)
