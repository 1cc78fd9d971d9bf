"""What every built-in verifier must do, whatever it verifies. A new one needs a row in `CASES`, or the first test fails."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.errors import VerifierError
from storage.records import Message, Prompt, Sample
from tests.verifiers import reward_server
from verifiers.protocol import Finding, NeedsTeacher, Together, Verifier
from verifiers.registry import VERIFIERS

MEGABYTE = 1_000_000
THREADS = 8


class Believer:
    """A judge's teacher that finds exactly the responses good that say Paris."""

    async def ask(self, messages: Sequence[Message], *, schema: dict[str, Any]) -> str:
        """Return a verdict."""
        if "first_bad_step" in schema["properties"]:
            return json.dumps({"reason": "as asked", "first_bad_step": 0 if "is Paris" in messages[1].content else 1})
        response = messages[1].content.partition("response begins]")[2].partition("response ends]")[0]
        return json.dumps({"reason": "as asked", "score": 10 if "Paris" in response else 1})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """How to try one verifier."""

    options: dict[str, Any]
    """The least that a spec must say."""
    prompt: dict[str, Any]
    """What the prompt brings: reference, tests, tags."""
    good: str
    """A response that passes."""
    bad: str
    """A response that fails."""
    harmless: frozenset[str] = frozenset()
    """Those of `HOSTILE` that are good by what this verifier looks at."""


HOSTILE = {
    "empty": "",
    "blank": " \n\t",
    "a megabyte": "7" * MEGABYTE,
    "a megabyte of lines": "x\n" * (MEGABYTE // 2),
    "NULs": "\0" * 1000,
    "lone surrogates": "\ud800\udfff" * 1000,
    "surrogates in a block": "```python\nx = '\ud800'\n```",
}
NUMBER = {"use": "exact_match", "kind": "number"}
CASES = {
    "all": Case(options={"of": [NUMBER]}, prompt={"reference": "#### 72"}, good="The answer is 72.", bad="The answer is 27."),
    "any": Case(options={"of": [NUMBER]}, prompt={"reference": "#### 72"}, good="The answer is 72.", bad="The answer is 27."),
    "calculation_check": Case(options={}, prompt={}, good="6 × 12 = 72", bad="6 × 12 = 27"),
    "cascade": Case(options={"of": [NUMBER]}, prompt={"reference": "#### 72"}, good="The answer is 72.", bad="The answer is 27."),
    "contains": Case(options={"texts": ["Paris"]}, prompt={}, good="It is Paris.", bad="It is London."),
    "exact_match": Case(
        options={"kind": "number"}, prompt={"reference": "#### 72"}, good="The answer is 72.", bad="The answer is 27."
    ),
    "json_schema": Case(
        options={"schema": {"type": "object", "required": ["city"]}}, prompt={}, good='{"city": "Paris"}', bad='{"town": "Paris"}'
    ),
    "judge": Case(
        options={"teacher": "big", "rubric": "Is it right?", "pass_at": 7, "reference": True},
        prompt={"reference": "Paris"},
        good="The answer is Paris.",
        bad="The answer is London.",
    ),
    "language": Case(
        options={"expect": ["en"], "candidates": ["de", "fr"]},
        prompt={},
        good="The answer is London, because it is the largest city of the country.",
        bad="Die Antwort ist London, denn es ist die größte Stadt des Landes.",
    ),
    "length": Case(options={"min_words": 2, "max_chars": 20}, prompt={}, good="It is Paris.", bad="Paris"),
    "program_answer": Case(
        options={"kind": "number"},
        prompt={"reference": "#### 72"},
        good="```python\nprint(6 * 12)\n```",
        bad="```python\nprint(6 + 12)\n```",
    ),
    "python": Case(options={"call": "tests.verifiers.judges:is_paris"}, prompt={}, good="It is Paris.", bad="It is London."),
    "refusal": Case(
        options={},
        prompt={},
        good="The answer is Paris.",
        bad="I'm sorry, but I can't help with that.",
        harmless=frozenset(HOSTILE) - {"empty", "blank"},
    ),
    "regex": Case(options={"pattern": "^It is (?P<answer>P.*s)"}, prompt={}, good="It is Paris.", bad="It is London."),
    "repetition": Case(
        options={},
        prompt={},
        good="The answer is Paris.",
        bad="Let me see. " + "Wait, I should check that again. " * 40,
        harmless=frozenset({"surrogates in a block"}),
    ),
    "truncation": Case(
        options={"sentence": True},
        prompt={},
        good="The answer is Paris, which is in France.",
        bad="The answer is Paris, which is in",
        harmless=frozenset(HOSTILE) - {"empty", "blank"},
    ),
    "reward_model": Case(
        options={"url": reward_server.shared().url, "model": "rm", "pass_at": 0.5},
        prompt={},
        good="The answer is Paris.",
        bad="The answer is London.",
    ),
    "step_check": Case(
        options={"teacher": "big"},
        prompt={},
        good="The answer is Paris.",
        bad="The answer is London.",
    ),
    "self_consistency": Case(options={"kind": "number"}, prompt={}, good="The answer is 72.", bad="The answer is 27."),
    "unit_tests": Case(
        options={},
        prompt={"tests": "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"},
        good="```python\ndef add(a, b):\n    return a + b\n```",
        bad="```python\ndef add(a, b):\n    return a - b\n```",
    ),
    "weighted": Case(
        options={"of": [NUMBER], "pass_at": 1}, prompt={"reference": "#### 72"}, good="The answer is 72.", bad="The answer is 27."
    ),
}
every = pytest.mark.parametrize("name", sorted(VERIFIERS.built_in))


def prompt(**brought: Any) -> Prompt:
    """Return a prompt that brings this."""
    return Prompt(prompt_id="p", messages=(), prompt="What is it?", source="test", license="CC0-1.0", **brought)


def sample(response: str) -> Sample:
    """Return a sample with this response."""
    return Sample(
        sample_id="s", prompt_id="p", teacher="t", provider="p", model="m", sample_index=0, messages=(), response=response, finish_reason="stop",
        tokens_in=1, tokens_out=1, latency_s=0.1, created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def built(name: str) -> Verifier:
    """Return a verifier as a spec makes it, with a teacher where it needs one."""
    made: Verifier = TypeAdapter(VERIFIERS.find(name)).validate_python(CASES[name].options)
    return made.asking({name: Believer() for name in made.asks}) if isinstance(made, NeedsTeacher) else made


def check(verifier: Verifier, asked: Prompt, response: str) -> Finding:
    """Check one response, in whichever way the verifier checks."""
    if isinstance(verifier, Together):  # with two others that are good
        good = CASES["self_consistency"].good
        return verifier.check_together(asked, [sample(each) for each in (response, good, good)])[0]
    checked = verifier.check(asked, sample(response))
    if isinstance(checked, Awaitable):

        async def wait() -> Any:
            return await checked

        checked = asyncio.run(wait())
    return checked if isinstance(checked, Finding) else Finding(passed=checked)


def test_every_built_in_verifier_is_tried_here() -> None:
    """The table has a row for each, and for nothing else."""
    assert set(CASES) == set(VERIFIERS.built_in)


@every
def test_it_is_a_frozen_dataclass_with_a_version(name: str) -> None:
    """Its identity can't change under a run."""
    verifier = built(name)
    assert isinstance(verifier, Verifier)
    assert dataclasses.is_dataclass(verifier)
    assert isinstance(type(verifier).version, str)
    assert type(verifier).version
    field = dataclasses.fields(verifier)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(verifier, field, getattr(verifier, field))


@every
def test_it_refuses_an_option_that_it_does_not_have(name: str) -> None:
    """A mistyped option must not change nothing in silence."""
    with pytest.raises(ValidationError, match="no_such_option"):
        TypeAdapter(VERIFIERS.find(name)).validate_python(CASES[name].options | {"no_such_option": 1})


@every
def test_its_options_survive_a_round_trip(name: str) -> None:
    """Options to JSON and back give the same verifier, so a fingerprint can be recomputed."""
    adapter: TypeAdapter[Any] = TypeAdapter(VERIFIERS.find(name))
    made = adapter.validate_python(CASES[name].options)
    assert adapter.validate_json(adapter.dump_json(made)) == made
    assert adapter.validate_python(dataclasses.asdict(made)) == made


@every
def test_it_passes_the_good_and_fails_the_bad(name: str) -> None:
    """And says why."""
    verifier, asked = built(name), prompt(**CASES[name].prompt)
    good, bad = (check(verifier, asked, response) for response in (CASES[name].good, CASES[name].bad))
    assert (good.passed, bad.passed) == (True, False), (good, bad)
    assert bad.reason


@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if case.prompt))
def test_it_decides_nothing_without_what_it_needs(name: str) -> None:
    """A prompt without a reference or tests says nothing of the response."""
    finding = check(built(name), prompt(), CASES[name].good)
    assert finding.passed is None
    assert finding.reason


@every
def test_it_may_be_called_from_several_threads(name: str) -> None:
    """The good and the bad, all at once, are told apart."""
    verifier, asked, case = built(name), prompt(**CASES[name].prompt), CASES[name]
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda response: check(verifier, asked, response).passed, [case.good, case.bad] * THREADS))
    assert found == [True, False] * THREADS


@every
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_response_never_passes_and_never_breaks_it(name: str, hostile: str) -> None:
    """Nothing but VerifierError is raised, and reason and answer can be stored."""
    try:
        finding = check(built(name), prompt(**CASES[name].prompt), HOSTILE[hostile])
    except VerifierError:
        return
    assert (finding.passed is True) == (hostile in CASES[name].harmless), finding
    assert finding.score is None or 0 <= finding.score <= 1


def tree_of(cls: type) -> ast.ClassDef:
    """Return a class as it is written."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    return tree


def documented_in(tree: ast.ClassDef) -> set[str]:
    """Return the fields of a class that have a docstring."""
    return {
        line.target.id
        for line, below in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


@every
def test_it_documents_itself_and_every_option(name: str) -> None:
    """The class and each of its fields carry a docstring: `stillhouse` prints them."""
    cls = VERIFIERS.find(name)
    assert ast.get_docstring(tree_of(cls))
    documented = {name for base in cls.__mro__ if dataclasses.is_dataclass(base) for name in documented_in(tree_of(base))}
    assert {field.name for field in dataclasses.fields(cls)} <= documented


def test_an_unknown_name_is_no_verifier() -> None:
    """The registry says so with a KeyError."""
    with pytest.raises(KeyError):
        VERIFIERS.find("no_such_verifier")
    assert set(VERIFIERS.built_in) <= set(VERIFIERS.names())
