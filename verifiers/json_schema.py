"""Holds the JSON in a response to a JSON schema."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import jsonschema_specifications  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, best_match  # type: ignore[import-untyped]
from jsonschema.protocols import Validator  # type: ignore[import-untyped]
from jsonschema.validators import Draft202012Validator, validator_for  # type: ignore[import-untyped]
from referencing import Resource
from referencing.exceptions import NoSuchAnchor, Unresolvable
from referencing.jsonschema import DRAFT202012

from storage.errors import VerifierError
from storage.records import CUT_OFF, Prompt, Sample
from verifiers.ecma_patterns import ERRORS
from verifiers.protocol import Finding, verifier
from verifiers.reading.pieces import pieces
from verifiers.reading.strict_json import NoJson, no_constant
from verifiers.reading.thinking import spoken
from verifiers.schema_words import Decimal, formats, standard

_INFO = re.compile(r"[\s{,:]")
"""Behind the language in a block's info string."""
MAX_DIGITS = 4300
"""Of a number: Python's own bound for integers."""
MAX_REASON = 300
"""Characters of what is wrong that a verdict keeps."""


@verifier(version="6", limit_s=10, pure=True)
class JsonSchema:
    """Passes a response whose JSON a JSON schema accepts.

    The schema's draft is what its `$schema` says, or else 2020-12. `format` says nothing of validity, as the standard has it by
    default. Nothing is ever fetched: a `$ref` must lead into the schema itself, or to a draft's own. NaN, Infinity, and an object
    with a key twice are no JSON. Numbers are compared as they are written, not as binary fractions.
    """

    schema: dict[str, Any] | bool | str
    """The schema, or the path of a JSON file with it."""
    where: Literal["auto", "whole", "block"] = "auto"
    """Where the JSON is. whole: it is all of the response; block: the last fenced block that is marked json, or else the last
    that is marked as nothing; auto: all of the response or, where it has such a block, that."""

    def __post_init__(self) -> None:
        """Refuse what is no schema."""
        schema = _read(self.schema) if isinstance(self.schema, str) else self.schema
        try:
            text = json.dumps(schema, sort_keys=True, allow_nan=False, default=_double)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"schema: has what JSON doesn't: {error}") from None
        _check_schema(json.loads(text))
        object.__setattr__(self, "_text", text)  # no option, and so no part of the fingerprint

    def identity(self) -> dict[str, str]:
        """Return the schema's checksum: wherever it stands, it is the same."""
        return {"schema": hashlib.sha256(self._schema.encode()).hexdigest()}

    @property
    def _schema(self) -> str:
        return cast("str", vars(self)["_text"])

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Find the JSON, read it and compare it with the schema."""
        cut_off = " (cut off)" if sample.finish_reason in CUT_OFF else ""
        response = spoken(sample.response)
        if response is None:
            return Finding(passed=False, reason=f"the chain of thought never ends{cut_off}")
        text, whole = _find(response, self.where)
        if text is None or (cut_off and not whole):
            lacking = f"no fenced block with JSON{cut_off}" if text is None else f"cut off at {text[-40:]}"
            return Finding(passed=False, reason=_short(lacking))
        try:
            value = load(text)
        except json.JSONDecodeError as error:
            return Finding(passed=False, reason=f"no JSON{cut_off}: {error.msg} in line {error.lineno}")
        except NoJson as error:
            return Finding(passed=False, reason=f"no JSON: {error}")
        try:
            fault = best_match(_validator(self._schema).iter_errors(value))
        except RecursionError:
            raise VerifierError("the JSON, or the schema, leads too deep") from None
        if fault is None:
            return Finding(passed=True, reason="the schema accepts it", answer=text)
        return Finding(passed=False, reason=_short(f"{fault.json_path}: {fault.message}"), answer=text)


def load(text: str) -> Any:
    """Return what a JSON text says. Raise ValueError where it isn't JSON, VerifierError where it can't be read by us."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=no_constant, parse_float=_decimal, parse_int=_integer)
    except RecursionError:
        raise VerifierError("the JSON is nested too deeply to be read") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise NoJson(f"the key {_short(repr(twice))} stands twice")
    return found


def _decimal(text: str) -> Decimal:
    """Return a number as it is written: the nearest double of 1.0000000000000000001 is an integer."""
    if len(text) > MAX_DIGITS:
        raise VerifierError(f"a number of {len(text):,} digits is too long to be read")
    number = float(text)
    if not math.isfinite(number):
        raise VerifierError(f"the number {_short(text)} is too large to be read")
    if not number and text.lower().partition("e")[0].strip("-0."):
        raise VerifierError(f"the number {_short(text)} is too small to be read")
    return Decimal(text if number else "0")


def _double(value: object) -> float:
    """Return a decimal number of a schema's file for `json.dumps`, which has no others than doubles."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return float(value)


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python's own bound of digits
        raise VerifierError(f"a number of {len(text):,} digits is too long to be read") from None


def _find(response: str, where: str) -> tuple[str | None, bool]:
    """Return the JSON text, and whether it is whole, cut off or not: what ends in a digit may be half a number."""
    if where != "whole":
        blocks = [piece for piece in pieces(response) if piece.info is not None]
        for language in ("json", ""):
            fitting = [piece for piece in blocks if _INFO.split(cast("str", piece.info).lower(), maxsplit=1)[0] == language]
            if fitting:
                return fitting[-1].text.strip(), fitting[-1].closed
        if where == "block":
            return None, True
    return response.strip(), not response.rstrip()[-1:].isdecimal()


def _read(path: str) -> Any:
    try:
        return load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"schema: {path}: can't be read: {error.strerror} (looked in {Path.cwd()})") from None
    except (ValueError, VerifierError) as error:
        raise ValueError(f"schema: {path}: {error}") from None


def _kind(schema: Any) -> type[Validator]:
    if isinstance(schema, dict) and "$schema" in schema:
        kind: type[Validator] | None = validator_for(schema, default=cast("Any", None))
        if kind is None:
            raise ValueError(f"schema: its draft is unknown: $schema is {schema['$schema']!r}")
        return standard(kind)
    return standard(Draft202012Validator)


def _check_schema(schema: Any) -> None:
    if not isinstance(schema, dict | bool):
        raise ValueError("schema: must be an object, true or false")  # noqa: TRY004 - pydantic wants a ValueError
    kind = cast("Any", _kind(schema))
    try:
        kind.check_schema(schema, format_checker=formats(kind))
    except SchemaError as error:
        raise ValueError(_short(f"schema: {error.json_path}: {error.message}")) from None
    _check_unevaluated(schema)
    _check_references(schema)
    try:
        list(kind(schema, registry=jsonschema_specifications.REGISTRY).iter_errors(None))
    except RecursionError:
        raise ValueError("schema: a `$ref` leads to itself") from None


def _check_unevaluated(schema: Any) -> None:
    """Raise ValueError where the library itself will read a pattern that only JavaScript knows, and fail on every response."""
    resources = [Resource.from_contents(schema, default_specification=DRAFT202012)]
    for each in resources:
        resources += each.subresources()
    contents = [each.contents for each in resources if isinstance(each.contents, dict)]
    if not any("unevaluatedProperties" in each for each in contents):
        return
    for pattern in (pattern for each in contents for pattern in each.get("patternProperties", {})):
        try:
            re.compile(pattern)
        except ERRORS:
            raise ValueError(f"schema: beside unevaluatedProperties, {pattern!r} must be a pattern of Python's") from None


def _check_references(schema: Any) -> None:
    """Raise ValueError at the first reference that leads out of the schema."""
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    registry = jsonschema_specifications.REGISTRY.with_resource(resource.id() or "", resource)
    todo = [(resource, registry.resolver_with_root(resource))]
    while todo:
        each, resolver = todo.pop()
        resolver = resolver.in_subresource(each)
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = each.contents.get(key) if isinstance(each.contents, dict) else None
            if isinstance(target, str):
                try:
                    resolver.lookup(target)
                except (Unresolvable, NoSuchAnchor):
                    raise ValueError(f"schema: {key} {target!r} leads to nothing in the schema, and nothing is fetched") from None
        todo += [(below, resolver) for below in each.subresources()]


@lru_cache(maxsize=64)
def _validator(text: str) -> Validator:
    schema = json.loads(text, parse_float=Decimal)
    kind = _kind(schema)
    if isinstance(schema, dict):
        schema.pop("$schema", None)  # or what refers back to the whole would be read by the library's own kind
    return kind(schema, registry=jsonschema_specifications.REGISTRY)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
