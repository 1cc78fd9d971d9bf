"""Distributions in each server's form, as one record."""

from __future__ import annotations

import math
from typing import Any

import pytest

from storage.records import Logprobs
from tasks.teachers.distribution import read

LOG = {share: math.log(share) for share in (0.5, 0.25, 0.125)}


def entry(token: str, share: float, **more: Any) -> dict[str, Any]:
    """Return a token as servers name it, with bytes unless `more` says otherwise."""
    found = {"token": token, "logprob": LOG[share], "bytes": list(token.encode())} | more
    return {name: value for name, value in found.items() if value is not ...}


def position(sampled: dict[str, Any], *top: dict[str, Any]) -> dict[str, Any]:
    """Return a position."""
    return sampled | {"top_logprobs": list(top)}


def test_bytes():
    """OpenAI's form: bytes, and what neither the alternatives nor the sampled token have is the rest."""
    found = read([position(entry("c", 0.125), entry("a", 0.5), entry("b", 0.25)), position(entry("a", 0.5), entry("a", 0.5))])
    assert found == Logprobs(
        tokens=(b"c", b"a"),
        ids=None,
        logprobs=(LOG[0.125], LOG[0.5]),
        counts=(2, 1),
        top_tokens=(b"a", b"b", b"a"),
        top_ids=None,
        top_logprobs=(LOG[0.5], LOG[0.25], LOG[0.5]),
        rest=(pytest.approx(0.125), pytest.approx(0.5)),
    )


def test_texts():
    """A server that gives no bytes gives texts."""
    found = read([position(entry("ä", 0.5, bytes=None), entry("é", 0.25, bytes=...))])
    assert (found.tokens, found.top_tokens) == (("ä".encode(),), ("é".encode(),))


def test_ids_and_bytes():
    """llama.cpp's form: both are kept, and the id alone says which alternative was sampled."""
    found = read([position(entry("x", 0.5, id=7), entry("x", 0.5, id=7), entry("x", 0.25, id=8))])
    assert (found.tokens, found.ids) == ((b"x",), (7,))
    assert (found.top_tokens, found.top_ids) == ((b"x", b"x"), (7, 8))
    assert found.rest == (pytest.approx(0.25),)


def test_ids_alone():
    """VLLM's form with `return_tokens_as_token_ids`: the bytes beside an id are those of its name, and mean nothing."""
    found = read([position(entry("token_id:5", 0.5), entry("token_id:5", 0.5), entry("token_id:9", 0.25))])
    assert (found.tokens, found.top_tokens) == (None, None)
    assert (found.ids, found.top_ids) == ((5,), (5, 9))
    assert found.rest == (pytest.approx(0.25),)


def test_some_ids():
    """Ids that not all tokens have are no ids."""
    found = read([position(entry("a", 0.5, id=1), entry("b", 0.25))])
    assert (found.ids, found.top_ids) == (None, None)


def test_best_first():
    """Alternatives are sorted within their position: vLLM has the sampled token first."""
    found = read(
        [
            position(entry("c", 0.125), entry("c", 0.125), entry("a", 0.5), entry("b", 0.25)),
            position(entry("a", 0.25), entry("b", 0.25), entry("a", 0.25)),
        ]
    )
    assert found.top_tokens == (b"a", b"b", b"c", b"b", b"a")
    assert found.rest == (pytest.approx(0.125), pytest.approx(0.5))


@pytest.mark.parametrize("tiny", [-9999.0, -9999, -3.4e38, -math.inf])
def test_no_probability(tiny: float):
    """What a server writes where a probability is too small to tell is none, and adds nothing."""
    found = read([position(entry("c", 0.5) | {"logprob": tiny}, entry("a", 0.5), entry("b", 0.5) | {"logprob": tiny})])
    assert (found.logprobs, found.top_logprobs) == ((-math.inf,), (LOG[0.5], -math.inf))
    assert found.rest == (pytest.approx(0.5),)


def test_rounded_up():
    """Probabilities that sum to a little more than one leave nothing, and none is above one."""
    found = read([position(entry("a", 0.5) | {"logprob": 1e-4}, entry("a", 0.5) | {"logprob": 1e-4})])
    assert (found.logprobs, found.rest) == ((0.0,), (0.0,))


def test_same_bytes():
    """Of two tokens with the same bytes, the sampled one is that with its probability."""
    replaced = "\N{REPLACEMENT CHARACTER}"
    found = read([position(entry(replaced, 0.125), entry(replaced, 0.5), entry(replaced, 0.25))])
    assert found.rest == (pytest.approx(0.125),)


@pytest.mark.parametrize("ids", [True, False])
def test_half_characters(ids: bool):
    """Where llama.cpp leaves out the first part of a character, that part is a gap, and the second has its own bytes."""

    def named(text: bytes, share: float, number: int) -> dict[str, Any]:
        return entry("", share, bytes=list(text)) | ({"id": number} if ids else {})

    found = read(
        [
            position(named(b",", 0.25, 1), named(b".", 0.5, 2)),
            position(named(b" \xc3\xa7", 0.5, 3), named(b"\xa7", 0.5, 3), named(b"\xa9", 0.25, 4)),
            position(named(b"!", 0.5, 5), named(b"!", 0.5, 5)),
        ]
    )
    assert found.tokens == (b",", b" \xc3", b"\xa7", b"!")
    assert found.ids == ((1, -1, 3, 5) if ids else None)
    assert (found.counts, found.top_tokens) == ((1, 0, 2, 1), (b".", b"\xa7", b"\xa9", b"!"))
    assert math.isnan(found.logprobs[1])
    assert found.rest == (pytest.approx(0.25), 1.0, pytest.approx(0.25), pytest.approx(0.5))


def test_half_characters_of_no_alternative():
    """A token within a character that is none of the alternatives joins the gap: nobody knows its own bytes."""
    emoji = "👍".encode()
    found = read(
        [position(entry("👍", 0.125, id=3), entry("", 0.5, bytes=[0x98], id=4)), position(entry("a", 0.5, id=5))],
    )
    assert (found.tokens, found.ids, found.counts) == ((emoji, b"a"), (-1, 5), (0, 0))


def test_held_back():
    """What llama.cpp held back since it might have begun a stop text is where it was generated."""
    found = read(
        [
            position(entry("", 0.5, id=1), entry("Ob", 0.5, id=1)),
            position(entry("Obst", 0.5, id=2), entry("st", 0.5, id=2)),
        ]
    )
    assert (found.tokens, found.ids, found.counts) == ((b"Ob", b"st"), (1, 2), (1, 1))


MALFORMED = {
    "a text": (["a"], "form of chat completions"),
    "no logprob": ([{"token": "a"}], "KeyError: 'logprob'"),
    "a null": ([{"token": "a", "logprob": None}], "no number"),
    "a positive one": ([{"token": "a", "logprob": 0.7}], "no logarithm"),
    "probabilities of 1 each": ([position(entry("c", 0.5), entry("a", 0.5), entry("b", 0.25))], "natural logarithms"),
    "no token": ([{"logprob": -1.0}], "KeyError: 'token'"),
    "a byte that isn't one": ([entry("a", 0.5, bytes=[256])], "range"),
    "an id that is a fraction": ([entry("a", 0.5, id=1.5)], "whole number"),
    "an id that no table holds": ([entry("a", 0.5, id=2**31)], "whole number"),
    "a negative id": ([entry("a", 0.5, id=-1)], "whole number"),
    "an id that is no number": ([entry("token_id:x", 0.5)], "invalid literal"),
    "a number beyond all": ([{"token": "a", "logprob": -(10**400)}], "OverflowError"),
}


@pytest.mark.parametrize(("given", "said"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(given: Any, said: str):
    """Whatever isn't in the form is a ValueError that says why."""
    with pytest.raises(ValueError, match=said):
        read(given)
