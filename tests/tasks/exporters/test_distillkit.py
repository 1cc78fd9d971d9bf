"""DistillKit's compressed form: its bytes are as published, and what is read back is what was kept."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.exporters.distillkit import BUDGET_K, FILLER, Codec, CodecOptions

BUDGET = CodecOptions(k=50, exact_k=1, exact_dtype="bfloat16", polynomial_terms=(0, 1, "sqrt"))


def distributions(number: int, k: int, size: int, seed: int = 0) -> tuple[Any, Any]:
    """Return ids and log-probabilities, best first, as a language model's are: a power of the rank."""
    random = np.random.default_rng(seed)
    ids = np.array([random.choice(size, k, replace=False) for _ in range(number)], np.int64)
    logits = -np.sort(random.exponential(1.0, (number, k)).cumsum(axis=1) ** 0.5, axis=1)
    return ids, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)) - 0.05


def taken(raw: bytes, kind: str) -> list[float]:
    """Return the floats of some bytes, little-endian."""
    if kind == "bfloat16":  # what float32 has in its upper half
        return [struct.unpack("<f", b"\0\0" + raw[at : at + 2])[0] for at in range(0, len(raw), 2)]
    return [value for (value,) in struct.iter_unpack({"float16": "<e", "float32": "<f", "float64": "<d"}[kind], raw)]


def whole_numbers(raw: bytes, bits: int, number: int) -> list[int]:
    """Return numbers of so many bits, the most significant first, from the first byte on."""
    stream = "".join(f"{byte:08b}" for byte in raw)
    return [int(stream[bits * place : bits * (place + 1)], 2) for place in range(number)]


def as_published(config: dict[str, Any], compressed: bytes, indices: bytes) -> tuple[list[int], list[float]]:
    """Read a token's two columns by what DistillKit publishes of its form, one after the other; floats aren't rounded between.

    First the exact ones, then a coefficient for each term, then each bin: its scale, and steps that are counted from the lowest.
    """
    sizes = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
    k, at = config["k"], sizes[config["exact_dtype"]] * config["exact_k"]
    exact, number = taken(compressed[:at], config["exact_dtype"]), k - config["exact_k"]
    others: list[float] = [0.0] * number
    if terms := config["polynomial_terms"]:
        end = at + len(terms) * sizes[config["term_dtype"]]
        coefficients, at = taken(compressed[at:end], config["term_dtype"]), end
        for rank in range(number):
            t = rank / (number - 1) if config["normalize_t"] else rank
            powers = {"sqrt": math.sqrt(t), "exp": math.exp(t)}
            values: list[float] = [powers[each] if isinstance(each, str) else t**each for each in terms]
            others[rank] = sum(a * b for a, b in zip(coefficients, values, strict=True))
    first = 0
    for each in config["residual_bins"]:
        end = at + sizes[each["scale_dtype"]]
        (scale,), at = taken(compressed[at:end], each["scale_dtype"]), end
        end = at + math.ceil(each["num_elements"] * each["element_bits"] / 8)
        steps, at = whole_numbers(compressed[at:end], each["element_bits"], each["num_elements"]), end
        for place, step in enumerate(steps):
            sign = 2 * step - 1 if each["element_bits"] == 1 else step - 2 ** (each["element_bits"] - 1)
            others[first + place] += scale * sign
        first += each["num_elements"]
    assert at == len(compressed)
    found = exact + others
    if config["delta_encoding"]:
        found = [math.fsum(found[: place + 1]) for place in range(k)]
    return whole_numbers(indices, math.ceil(math.log2(config["d"])), k), found


BINS = [
    {"scale_dtype": "float16", "element_bits": 8, "num_elements": 7},
    {"scale_dtype": "bfloat16", "element_bits": 3, "num_elements": 5},
    {"scale_dtype": "float32", "element_bits": 1, "num_elements": 3},
    {"scale_dtype": "float64", "element_bits": 11, "num_elements": 2},
]


@pytest.mark.parametrize(
    "given",
    [
        {"exact_k": 20, "exact_dtype": "float16"},
        {"exact_k": 20, "exact_dtype": "float64", "delta_encoding": True},
        {"exact_k": 1, "exact_dtype": "bfloat16", "polynomial_terms": [0, 1, "sqrt"]},
        {"exact_k": 0, "exact_dtype": "bfloat16", "polynomial_terms": [0, 1, 2, 3, 4, "sqrt"]},
        {"exact_k": 3, "polynomial_terms": [0, "exp"], "normalize_t": True, "term_dtype": "float64"},
        {"exact_k": 3, "polynomial_terms": [0, 1], "residual_bins": BINS},
        {"exact_k": 3, "residual_bins": BINS},
        {"exact_k": 2, "polynomial_terms": [0, 1], "delta_encoding": True, "residual_bins": BINS},
    ],
    ids=str,
)
def test_as_it_is_published(given: dict[str, Any]):
    """A reader that knows nothing but the published form reads what `decode` reads, at an odd number of bits an id as well."""
    codec = Codec(options=CodecOptions.model_validate({"k": 20} | given), size=128_256)
    compressed, indices = codec.encode(*distributions(20, 20, 128_256))
    ids, values = codec.decode(compressed, indices)
    for row in range(20):
        read = as_published(codec.config(), compressed[row].tobytes(), indices[row].tobytes())
        assert read[0] == ids[row].tolist()
        assert read[1] == pytest.approx(values[row].tolist(), abs=1e-4)


def test_by_hand():
    """Two alternatives of eight tokens: two float32, little-endian, and two ids of three bits, the most significant first."""
    codec = Codec(options=CodecOptions(k=2, exact_k=2), size=8)
    values, indices = codec.encode(np.array([[5, 3]]), np.array([[-0.5, -1.25]]))
    assert values.tobytes() == struct.pack("<2f", -0.5, -1.25)
    assert indices.tobytes() == bytes([0b10101100])


def test_differences_by_hand():
    """With delta_encoding, the first and what each is lower than the one before."""
    codec = Codec(options=CodecOptions(k=3, exact_k=3, delta_encoding=True), size=8)
    values, indices = codec.encode(np.array([[5, 3, 0]]), np.array([[-0.5, -1.25, -3.25]]))
    assert values.tobytes() == struct.pack("<3f", -0.5, -0.75, -2.0)
    assert codec.decode(values, indices)[1].tolist() == [[-0.5, -1.25, -3.25]]


def test_a_polynomial_by_hand():
    """One value as bfloat16, the upper half of a float32, then the coefficients of what lies on a line: -2 - 0.5 t."""
    codec = Codec(options=CodecOptions(k=4, exact_k=1, exact_dtype="bfloat16", polynomial_terms=(0, 1)), size=16)
    values, _ = codec.encode(np.array([[1, 2, 3, 4]]), np.array([[-1.0, -2.0, -2.5, -3.0]]))
    assert values[0, :2].tobytes() == struct.pack("<f", -1.0)[2:]
    assert np.allclose(struct.unpack("<2f", values[0, 2:].tobytes()), [-2.0, -0.5])


def test_residuals_by_hand():
    """A scale, and steps of it above the lowest: 1 and -0.5 of two bits are 1 and -1 steps of 0.5, which the highest step cuts."""
    bins = [{"scale_dtype": "float32", "element_bits": 2, "num_elements": 2}]
    codec = Codec(options=CodecOptions.model_validate({"k": 2, "exact_k": 0, "residual_bins": bins}), size=4)
    values, indices = codec.encode(np.array([[1, 2]]), np.array([[1.0, -0.5]]))
    assert values.tobytes() == struct.pack("<f", 0.5) + bytes([0b11010000])
    assert codec.decode(values, indices)[1].tolist() == [[0.5, -0.5]]


def test_the_published_size():
    """The budget pick takes 114 bytes a token of a vocabulary of 65,536, and 121 of Llama 3's."""
    for size, expected in ((65_536, 114), (128_256, 121)):
        values, indices = Codec(options=BUDGET, size=size).encode(*distributions(3, 50, size))
        assert values.shape[1] + indices.shape[1] == expected


@given(
    k=st.integers(1, 20),
    size=st.integers(40, 200_000),
    kind=st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    delta=st.booleans(),
    seed=st.integers(0, 99),
)
def test_exact_is_exact(k: int, size: int, kind: Any, delta: bool, seed: int):
    """Ids come back as they were, and values to the precision of their kind."""
    ids, values = distributions(4, k, size, seed)
    codec = Codec(options=CodecOptions(k=k, exact_k=k, exact_dtype=kind, delta_encoding=delta), size=size)
    back, read = codec.decode(*codec.encode(ids, values))
    assert np.array_equal(back, ids)
    digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 24}[kind]
    assert np.allclose(read, values, rtol=(k + 2) * 2.0**-digits if delta else 2.0**-digits)


@pytest.mark.parametrize(
    "options",
    [
        BUDGET,
        CodecOptions(k=50, exact_k=8, exact_dtype="bfloat16", polynomial_terms=(0, 1, 2, 3, 4, "sqrt")),
        CodecOptions(k=50, exact_k=4, polynomial_terms=(0, 1, 2), normalize_t=True, term_dtype="float64"),
        CodecOptions.model_validate(
            {
                "k": 50,
                "exact_k": 2,
                "polynomial_terms": [0, 1],
                "residual_bins": [
                    {"scale_dtype": "float16", "element_bits": 8, "num_elements": 16},
                    {"scale_dtype": "bfloat16", "element_bits": 3, "num_elements": 16},
                    {"scale_dtype": "float32", "element_bits": 1, "num_elements": 4},
                ],
            }
        ),
    ],
    ids=["budget", "recommended terms", "normalised", "residuals"],
)
def test_fitted_is_near(options: CodecOptions):
    """What is fitted is off by little, and ids by nothing."""
    ids, values = distributions(200, 50, 49_152)
    codec = Codec(options=options, size=49_152)
    back, read = codec.decode(*codec.encode(ids, values))
    assert np.array_equal(back, ids)
    assert np.abs(np.exp(read) - np.exp(values)).sum(axis=1).mean() < 0.25


def test_what_is_missing():
    """A token with fewer alternatives than k is filled up with others of no probability, none of them twice."""
    codec = Codec(options=CodecOptions(k=4, exact_k=4), size=400)
    ids, values = codec.filled(np.array([2, 0, 6]), np.array([0, 2, 9, 8, 7, 6, 5, 4], np.int32), np.full(8, -2.0, np.float32))
    assert ids.tolist() == [[0, 2, 1, 3], [0, 1, 2, 3], [9, 8, 7, 6]]
    assert values.tolist() == [[-2, -2, FILLER, FILLER], [FILLER] * 4, [-2] * 4]
    assert math.exp(FILLER) < 1e-40


def test_chosen_by_what_there_is():
    """The budget pick where nearly all tokens have as many alternatives; else as many as there are at most, as they are."""
    many, few = np.array([0, *[BUDGET_K] * 19, 3]), np.array([0, 5, 4, 3])
    assert Codec.choose(None, 9, many, most=50).options == BUDGET
    assert Codec.choose(None, 9, few, most=5).options == CodecOptions(k=5, exact_k=5, exact_dtype="float16")
    assert Codec.choose(None, 9, np.zeros(0, np.int64), most=0).options.k == 1
    assert Codec.choose(BUDGET, 9, few, most=5).options == BUDGET


def test_what_the_trainer_is_told():
    """The config has the keys of DistillKit's, as its README lists them."""
    told = yaml.safe_load(Codec(options=BUDGET, size=49_152).yaml())
    assert told == {
        "d": 49_152,
        "k": 50,
        "exact_k": 1,
        "exact_dtype": "bfloat16",
        "polynomial_terms": [0, 1, "sqrt"],
        "term_dtype": "float32",
        "residual_bins": [],
        "delta_encoding": False,
        "error_diffusion": False,
        "normalize_t": False,
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 2, "exact_k": 3}, "at most k"),
        ({"k": 3, "exact_k": 2}, "need polynomial_terms or residual_bins"),
        (
            {"k": 3, "exact_k": 2, "residual_bins": [{"scale_dtype": "float32", "element_bits": 2, "num_elements": 2}]},
            "at most k -",
        ),
        ({"k": 3, "exact_k": 3, "error_diffusion": True}, "error_diffusion"),
        (
            {"k": 4, "exact_k": 1, "residual_bins": [{"scale_dtype": "float32", "element_bits": 2, "num_elements": 2}]},
            "without polynomial_terms, together they have k -",
        ),
        (
            {"k": 50, "exact_k": 1, "polynomial_terms": [0, 3], "term_dtype": "float16"},
            "3 of 49 ranks is no number in float16; take a wider term_dtype, or normalize_t",
        ),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str):
    """They are refused: by DistillKit too, or since it would read them as numbers that are no probabilities."""
    with pytest.raises(ValidationError, match=said):
        CodecOptions.model_validate(options)
