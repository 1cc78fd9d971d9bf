"""What distributions are like, against values worked by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pyarrow as pa
import pytest

from storage.logprobs import packed, unpacked
from storage.records import Logprobs
from storage.schemas import LOGPROBS
from tasks.positions import by_id
from tasks.score.fit import measure


def batch(*given: Logprobs | None) -> pa.RecordBatch:
    """Return rows with these distributions."""
    values = [pa.nulls(1, LOGPROBS) if each is None else unpacked(packed(each)) for each in given]
    return pa.RecordBatch.from_arrays([pa.concat_arrays(values)], names=["logprobs"])


def certain(length: int) -> Logprobs:
    """Return positions at which one token has all of the probability."""
    return by_id([1] * length, [0.0] * length, [[(1, 0.0)]] * length)


# Alternatives are stored in half precision.
HALF = math.log(0.5)
QUARTER = math.log(0.25)


def test_by_hand():
    """Half on the token and a quarter each on an alternative and the rest: 1.5 bits. Where it is certain: none."""
    open_ = by_id([7, 9], [HALF, QUARTER], [[(7, HALF), (8, QUARTER)], [(7, HALF)]])
    found = measure([batch(open_)])
    assert (found.responses, found.tokens) == (1, 2)
    assert found.outside == pytest.approx(0.25)
    assert found.nats == pytest.approx(-(HALF + QUARTER) / 2)
    bits = 1.5 * math.log(2)
    assert found.entropy == [pytest.approx(bits, abs=1e-3), *[None] * 4, pytest.approx(bits, abs=1e-3), *[None] * 4]


def test_deciles():
    """A token counts in the tenth of its response in which it stands, and each tenth has the mean of its tokens."""
    first = by_id([1], [HALF], [[(1, HALF), (2, HALF)]])
    found = measure([batch(certain(20), None), batch(first)])
    assert (found.responses, found.tokens) == (2, 21)
    assert found.entropy == [pytest.approx(math.log(2) / 3, abs=1e-3), *[pytest.approx(0.0)] * 9]
    assert found.outside == pytest.approx(0.0)


def test_a_probability_of_nothing():
    """A token that the model gives nothing adds nothing to the entropy, and is counted apart from the mean of the others."""
    found = measure([batch(by_id([5, 6], [-math.inf, HALF], [[(1, 0.0)], [(6, HALF)]]))])
    assert (found.tokens, found.never) == (2, 1)
    assert found.nats == pytest.approx(-HALF)
    assert found.entropy[0] == pytest.approx(0.0)
    (_, told), *_ = found.lines()
    assert told == "0.6931 nats a token, on 1 token of 1 response; 1 more have no probability that is told"
    alone = measure([batch(by_id([5], [-math.inf], [[(1, 0.0)]]))])
    assert (alone.nats, alone.outside) == (None, 0.0)
    assert alone.lines()[0][1].startswith("none, on 0 tokens")
    json.dumps(asdict(alone), allow_nan=False)


def test_gaps():
    """A position that a server left out is no token of which anything is known; the others keep their places."""
    gap = Logprobs(
        tokens=None,
        ids=(1, -1),
        logprobs=(0.0, math.nan),
        counts=(1, 0),
        top_tokens=None,
        top_ids=(1,),
        top_logprobs=(0.0,),
        rest=(0.0, 1.0),
    )
    found = measure([batch(gap)])
    assert (found.tokens, found.nats, found.outside) == (1, 0.0, 0.0)
    assert found.entropy == [0.0, *[None] * 9]


def test_nothing():
    """Without distributions nothing is said."""
    found = measure([batch(None)])
    assert (found.responses, found.nats, found.outside, found.entropy) == (0, None, None, [None] * 10)
    assert found.lines() == []
