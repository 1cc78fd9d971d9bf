"""JSON that a schema accepts."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows import judging
from flows.spec import Spec
from storage.errors import SpecError
from tests.fakes import make_prompt, make_sample
from verifiers import running
from verifiers.json_schema import JsonSchema
from verifiers.making import make
from verifiers.protocol import Finding

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
MEGABYTE = 1_000_000
DRAFT_4, DRAFT_7 = "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#"


def found(response: str, schema: Any = CITY, where: str = "auto", **sample: Any) -> Finding:
    """Return what a build would store."""
    made = make("json_schema", {"schema": schema, "where": where})
    return running.run("json_schema", made, make_prompt(), make_sample(response=response, **sample))


@pytest.mark.parametrize(
    ("response", "passed", "reason"),
    [
        ('{"city": "Paris"}', True, "the schema accepts it"),
        (' \n{"city": "Paris"}\n', True, "the schema accepts it"),
        ('Here:\n```json\n{"city": "Paris"}\n```\nDone.', True, "the schema accepts it"),
        ('```\n{"city": "Paris"}\n```', True, "the schema accepts it"),
        ('```JSON\n{"city": "Paris"}', True, "the schema accepts it"),
        ('```json\n{"city": 1}\n```\n```json\n{"city": "Paris"}\n```', True, "the schema accepts it"),
        ('```json\n{"city": "Paris"}\n```\n```\nls\n```', True, "the schema accepts it"),
        ('```python\n{"city": "Paris"}\n```', False, "no JSON: Expecting value in line 1"),
        ('The answer is {"city": "Paris"}.', False, "no JSON: Expecting value in line 1"),
        ('{"city": 1}', False, "$.city: 1 is not of type 'string'"),
        ("{}", False, "$: 'city' is a required property"),
        ('{"city": "Paris", "x": 1}', False, "$: Additional properties are not allowed ('x' was unexpected)"),
        ("[]", False, "$: [] is not of type 'object'"),
        ('{"city": "London", "city": "Paris"}', False, "no JSON: the key 'city' stands twice"),
        ('{"city": NaN}', False, "no JSON: NaN is no JSON"),
        ('{"city": -Infinity}', False, "no JSON: -Infinity is no JSON"),
        ('{"city": 1e999}', None, "the number 1e999 is too large to be read"),
        ('{"city": 1e-999}', None, "the number 1e-999 is too small to be read"),
        ('{"city": 0e999}', False, "$.city: 0 is not of type 'string'"),
        ('{"city": 0.5}', False, "$.city: 0.5 is not of type 'string'"),
        ('{"city": 0.' + "7" * 5000 + "}", None, "a number of 5,002 digits is too long to be read"),
        ('{"city": ' + "7" * 5000 + "}", None, "a number of 5,000 digits is too long to be read"),
        ("[" * MEGABYTE, None, "the JSON is nested too deeply to be read"),
        ("", False, "no JSON: Expecting value in line 1"),
        ("7" * MEGABYTE, None, "a number of 1,000,000 digits is too long to be read"),
        ('{"city": "Par', False, "no JSON: Unterminated string starting at in line 1"),
        ("{" + ",".join(f'"{n}":0' for n in range(100_000)) + ',"0":1}', False, "no JSON: the key '0' stands twice"),
        ('{"city": "\ud800"}', True, "the schema accepts it"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_table(response: str, passed: bool | None, reason: str) -> None:
    """All of the response, or its last fenced block, is held to the schema, and read as the standard has it."""
    finding = found(response)
    assert (finding.passed, finding.reason) == (passed, reason)


@pytest.mark.parametrize(
    ("schema", "response", "passed"),
    [
        ({"multipleOf": 0.01}, "19.99", True),
        ({"multipleOf": 0.1}, "0.3", True),
        ({"multipleOf": 0.05}, "4.35", True),
        ({"multipleOf": 0.1}, "0.35", False),
        ({"multipleOf": 1e-7}, "1e300", True),
        ({"multipleOf": 2}, "9007199254740993", False),
        ({"multipleOf": 0.5}, '"x"', True),
        ({"multipleOf": 0.1}, "0.30000000000000001", False),
        ({"type": "integer"}, "1.0", True),
        ({"type": "integer"}, "1e3", True),
        ({"type": "integer"}, "1.5", False),
        ({"type": "integer"}, "1.0000000000000000001", False),
        ({"$schema": DRAFT_4, "type": "integer"}, "1.0", False),
        ({"type": "number"}, "-0.0", True),
        ({"type": "boolean"}, "1.0", False),
        ({"maximum": 1}, "1.00000000000000000001", False),
        ({"maximum": 0.1}, "0.1", True),
        ({"const": 0.1}, "1e-1", True),
        ({"const": [1]}, "[1.0]", True),
        ({"const": 9007199254740992}, "9007199254740993.0", False),
        ({"enum": [0.1, 0.2]}, "0.1", True),
        ({"enum": [0.1, 0.2]}, "0.10000000000000000001", False),
        ({"uniqueItems": True}, "[0.1, 0.10]", False),
        ({"uniqueItems": True}, "[0.1, 0.10000000000000000001]", True),
        ({"minItems": 2.0}, "[1]", False),
        ({"pattern": "^[a-z]+$"}, '"abc"', True),
        ({"pattern": "^[a-z]+$"}, '"abc\\n"', False),
        ({"pattern": r"^a\$[$]$"}, '"a$$"', True),
        ({"pattern": r"^\d{2}$"}, '"42"', True),
        ({"pattern": r"^\d{2}$"}, '"\u0664\u0662"', False),
        ({"pattern": r"^[\d.]+$"}, '"\u0664"', False),
        ({"pattern": r"^\w+$"}, '"\u00e9t\u00e9"', False),
        ({"pattern": r"^[^\W]+$"}, '"a_1"', True),
        ({"pattern": r"^[]x]$"}, '"]"', True),
        ({"pattern": "a|b$"}, '"xa"', True),
        ({"pattern": r"^[\D]$"}, '"\u0664"', True),
        ({"pattern": r"^[^\W_]$"}, '"\u00e9"', False),
        ({"pattern": r"^[^\D5]$"}, '"5"', False),
        ({"pattern": r"^\s[\s]\S[\S]$"}, '"\ufeff\u00a0\u0085\u0085"', True),
        ({"pattern": r"^.$"}, '"\u2028"', False),
        ({"pattern": r"^\B$"}, '""', True),
        ({"pattern": r"^\cJ\u{1F600}[[&&]$"}, '"\\n\U0001f600["', True),
        ({"pattern": r"^(?<year>\d)-\k<year>(?<!2)$"}, '"1-1"', True),
        ({"pattern": r"^(?<year>\d)-\k<year>(?<!2)$"}, '"2-2"', False),
        ({"pattern": r"^\p{L}[\p{Lu}\d]$"}, '"\u00e9\u00c9"', True),
        ({"pattern": r"^\p{L}[\p{Lu}\d]$"}, '"\u00e9\u00e9"', False),
        ({"patternProperties": {r"^\d$": {"type": "null"}}}, '{"\u0664": 1, "a": 2}', True),
        ({"patternProperties": {r"^\d$": {"type": "null"}}}, '{"4": 1}', False),
        ({"patternProperties": {"^a$": {}}, "additionalProperties": False}, '{"a\\n": 1}', False),
        ({"patternProperties": {"^a$": {}}, "additionalProperties": False, "properties": {"b": {}}}, '{"a": 1, "b": 2}', True),
        ({"patternProperties": {"^a$": {}}, "additionalProperties": {"type": "null"}}, '{"a": 1, "b": 2}', False),
        ({"patternProperties": {"^a$": {}}, "additionalProperties": False}, "[1]", True),
        ({"propertyNames": {"pattern": "^[a-z]$"}}, '{"a\\n": 1}', False),
        ({"pattern": "a"}, "5", True),
        ({"$schema": DRAFT_7, "pattern": "^a$", "items": {"$ref": "#"}}, '["a\\n"]', False),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_numbers_and_patterns_are_the_standards(schema: dict[str, Any], response: str, passed: bool) -> None:
    """Multiples go by what is written, and patterns by JavaScript: `$` is the very end, and digits are ASCII's."""
    assert found(response, schema).passed is passed


def test_where() -> None:
    """The spec may say where the JSON is."""
    block = '```json\n{"city": "Paris"}\n```'
    assert [found(block, where=where).passed for where in ("auto", "block", "whole")] == [True, True, False]
    assert found('```json title="a.json"\n{"city": "Paris"}\n```').passed is True
    assert found('<think>{"city": 1}</think>{"city": "Paris"}').passed is True
    assert found('<think>```json\n{"city": "Paris"}\n```').passed is False
    assert found('{"city": "<think>"}').passed is True
    assert found('<think>Paris</think> <thinking>yes</thinking>{"city": "</think>"}').passed is True
    assert found('{"city": "Paris"}', where="block").reason == "no fenced block with JSON"


def test_cut_off() -> None:
    """The reason says that it may be the server's doing."""
    assert found('{"city": "Par', finish_reason="length").reason.startswith("no JSON (cut off): ")


@pytest.mark.parametrize("response", ["12", "1.5", "```json\n12", "```json\n[1]"])
def test_what_may_be_half_a_value_fails_where_the_server_broke_off(response: str) -> None:
    """Of 1234 the 12 may be left, and of a block its first lines."""
    verifier = JsonSchema(schema=True)
    whole, broken = (make_sample(response=response, finish_reason=reason) for reason in ("stop", "length"))
    assert (verifier.check(make_prompt(), whole).passed, verifier.check(make_prompt(), broken).passed) == (True, False)


@pytest.mark.parametrize("response", ['{"a": 12}', "```json\n12\n```", "```json\n12\n```\nThis is the num"])
def test_a_whole_value_counts_wherever_the_server_broke_off(response: str) -> None:
    """Its last bracket, or its fence, ends it."""
    assert JsonSchema(schema=True).check(make_prompt(), make_sample(response=response, finish_reason="length")).passed is True


@pytest.mark.parametrize(
    ("draft", "passed"),
    [(DRAFT_4, True), (DRAFT_7, False), ("https://json-schema.org/draft/2020-12/schema", False), (None, False)],
    ids=str,
)
def test_drafts(draft: str | None, passed: bool) -> None:
    """`const` means something since draft 6, and `$schema` says which draft holds."""
    schema = {"const": 1} | ({"$schema": draft} if draft else {})
    assert found("2", schema).passed is passed


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "schema: $.type: 'objekt' is not valid under any of the given schemas"),
        ({"pattern": "("}, "schema: $.pattern: '(' is not a 'regex'"),
        (
            {"allOf": [{"patternProperties": {r"^\p{L}$": {}}}], "unevaluatedProperties": False},
            r"schema: beside unevaluatedProperties, '^\\p{L}$' must be a pattern of Python's",
        ),
        ({"$schema": "https://example.org/mine"}, "schema: its draft is unknown"),
        ({"$ref": "https://example.org/other.json"}, "leads to nothing in the schema, and nothing is fetched"),
        ({"properties": {"a": {"items": {"$ref": "#/$defs/gone"}}}}, "'#/$defs/gone' leads to nothing"),
        ({"$ref": "other.json"}, "'other.json' leads to nothing"),
        ({"$ref": "#gone"}, "'#gone' leads to nothing"),
        ({"$ref": "#"}, "schema: a `$ref` leads to itself"),
        ({1: {}, "a": {}}, "schema"),
        ({"const": float("nan")}, "schema: has what JSON doesn't"),
        (7, "schema"),
        ("gone.json", "schema: gone.json: can't be read: No such file or directory (looked in "),
    ],
    ids=str,
)
def test_no_schema(schema: Any, said: str) -> None:
    """A schema that is wrong, or leads elsewhere, is an error of the spec."""
    with pytest.raises(ValidationError) as error:
        make("json_schema", {"schema": schema})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}}, "[1]", '["a"]'),
        (
            {"properties": {"next": {"$ref": "#"}}, "additionalProperties": False},
            '{"next": {"next": {}}}',
            '{"next": {"other": 1}}',
        ),
        ({"$ref": DRAFT_7}, '{"type": "object"}', '{"type": 7}'),
        ({"$id": "https://example.org/a", "$defs": {"b": {"$id": "b", "type": "null"}}, "items": {"$ref": "b"}}, "[null]", "[1]"),
        ({"properties": {"$ref": {"type": "string"}}}, '{"$ref": "elsewhere"}', '{"$ref": 1}'),
        ({"const": {"$ref": "elsewhere"}}, '{"$ref": "elsewhere"}', "{}"),
        (False, None, "1"),
    ],
    ids=str,
)
def test_references(schema: Any, good: str | None, bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lead into the schema itself or to a draft's own, and what only looks like one is data; no socket is ever opened."""
    monkeypatch.setattr(socket.socket, "connect", None)
    checking = make("json_schema", {"schema": schema})
    for response, passed in ((good, True), (bad, False)):
        if response is not None:
            finding = checking.check(make_prompt(), make_sample(response=response))
            assert isinstance(finding, Finding)
            assert finding.passed is passed


def test_a_schema_that_never_ends() -> None:
    """Branches that lead into themselves, and values that are too deep for Python, are undecided."""
    tree = {"properties": {"n": {"$ref": "#"}}}
    assert found('{"n":' * 5000 + "{}" + "}" * 5000, tree).passed is None


def test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is the same as what stands in the file: the fingerprint goes by that."""
    monkeypatch.chdir(tmp_path)
    Path("city.json").write_text(json.dumps(CITY))
    assert found('{"city": 1}', "city.json").reason == "$.city: 1 is not of type 'string'"

    def fingerprint(schema: Any) -> str:
        teachers = [{"name": "t", "provider": "openai", "model": "m"}]
        verify = [{"use": "json_schema", "schema": schema}]
        spec = Spec.model_validate({"dataset": "d", "prompts": [{"source": "p"}], "teachers": teachers, "verify": verify})
        return judging.make_verifiers(spec, Path("spec.yaml"))[0].fingerprint

    first = fingerprint("city.json")
    assert first == fingerprint(CITY)
    Path("city.json").write_text('{"type": "object", "type": "array"}')
    with pytest.raises(SpecError, match="the key 'type' stands twice"):
        fingerprint("city.json")
    Path("city.json").write_text("{}")
    assert fingerprint("city.json") == fingerprint({}) != first
    Path("city.json").write_text('{"maximum": 0.50}')
    assert fingerprint("city.json") == fingerprint({"maximum": 0.5})


def test_a_pattern_that_hangs() -> None:
    """It is ended from outside, and undecided."""
    made = make("json_schema", {"schema": {"pattern": "^(a+)+$"}})
    object.__setattr__(made, "limit_s", 0.5)
    finding = running.run("json_schema", made, make_prompt(), make_sample(response='"' + "a" * 60 + '!"'))
    assert finding == Finding(passed=None, reason="no verdict within 0.5 s")
