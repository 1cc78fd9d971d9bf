"""Content addresses: what makes two requests, two checks or two prompts the same.

An address is the first 128 bits of a SHA-256 over canonical JSON, in hex. It is a promise for the life of a lake: a change here
would buy every sample again. `tests/storage/test_identity.py` pins addresses by value.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import orjson

from storage.records import Message, Prompt

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def address(value: object) -> str:
    """Return the address of a JSON-like value: 32 hex digits. Key order doesn't count; everything else does."""
    return hashlib.sha256(orjson.dumps(value, option=_OPTIONS)).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it, where orjson would drop what tells it from another: infinities, hidden fields, sets."""
    match value:
        case float() if not math.isfinite(value):
            return {"float": str(value)}
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            found = [_plain(each) for each in value]
            return found if isinstance(value, list | tuple) else sorted(found, key=address)
        case PurePath():
            return str(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return value


def request_key(
    *,
    provider: str,
    model: str,
    messages: Sequence[Message],
    parameters: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> str:
    """Return the address of what is asked, apart from the sample index.

    `parameters` are the sampling parameters that are sent. `identity` is what else decides the answer: a teacher's `extra_body`,
    a replay file's checksum and, where that goes by the prompt's id, what it has under that. A server's address, limits, prices
    and names are no part of it.
    """
    return address(
        {
            "provider": provider,
            "model": model,
            "messages": [[m.role, m.content] for m in messages],
            "parameters": dict(parameters),
            "identity": dict(identity),
        }
    )


def sample_id(request: str, sample_index: int) -> str:
    """Return the id of the `sample_index`-th answer to a request (`request_key`)."""
    return hashlib.sha256(f"{request}/{sample_index}".encode()).hexdigest()[:32]


def prompt_id(
    *,
    messages: Sequence[Message],
    reference: str | None,
    tests: str | None,
    tags: Mapping[str, str],
    license: str | None,  # noqa: A002
) -> str:
    """Return the id of a prompt whose source gives none: of all that makes it another prompt."""
    return address([[[m.role, m.content] for m in messages], reference, tests, dict(tags), license])


def fingerprint(*, verifier: str, version: str, options: Mapping[str, Any]) -> str:
    """Return the address of a verifier as configured. Raise TypeError where an option is of a kind that has none."""
    return address([verifier, version, _plain(options)])


SCORED = 2
"""What of an answer is scored. 1: a response's tokens. 2: those of the reasoning that is shown too, and the end of the turn."""


def scorer(*, provider: str, model: str, identity: Mapping[str, Any], top: int) -> str:
    """Return the address of a scorer that is asked for so many alternatives, of answers without reasoning.

    The rest is as in `request_key`.
    """
    asked = {"top": top, "version": SCORED}
    return address({"scores": {"provider": provider, "model": model, "identity": dict(identity), **asked}})


def showing(scorer: str, reasoning: str) -> str:  # `scorer` is what the function of that name returns
    """Return the address of the same scorer, of answers whose reasoning is shown so."""
    return address({"scorer": scorer, "reasoning": reasoning})


VOTE_INPUTS = "left(sha256(any_value(inputs) || '/' || string_agg(sample_id, ',' ORDER BY sample_id)), 32)"
"""`vote_inputs` in SQL, as an aggregate over the samples that are judged together."""


def vote_inputs(inputs: str, sample_ids: Iterable[str]) -> str:
    """Return the address of what is judged together: the prompt's part in the check (`check_inputs`) and all samples."""
    return hashlib.sha256(f"{inputs}/{','.join(sorted(sample_ids))}".encode()).hexdigest()[:32]


def check_inputs(prompt: Prompt) -> str:
    """Return the address of what a prompt brings to a check, so that a corrected reference is judged anew."""
    return inputs_of(prompt.prompt, prompt.reference, prompt.tests, prompt.tags)


def inputs_of(prompt: str, reference: str | None, tests: str | None, tags: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Return the same of the prompt's columns in a table."""
    return address([prompt, reference, tests, dict(tags)])
