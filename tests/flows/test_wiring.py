"""From a spec to objects: keys, and what decides a verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from flows import judging, wiring
from flows.cluster.options import RunnerOptions
from flows.spec import Spec
from storage.errors import SetupError, SpecError
from storage.identity import fingerprint
from storage.intents import Intents
from storage.records import Prompt, Sample
from tasks.asking.ask import Desk
from tasks.draw import Budget
from tasks.stop import Stop
from tasks.teachers import embedded, transformers
from tasks.teachers.anthropic import AnthropicTeacher
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.discreet import Discreet
from tasks.teachers.protocol import Teacher
from verifiers.exact_match import ExactMatch
from verifiers.protocol import verifier
from verifiers.registry import VERIFIERS
from verifiers.unit_tests import UnitTests

PATH = Path("spec.yaml")


def spec(*, verify: tuple[Any, ...] = (), **teacher: Any) -> Spec:
    """Return a spec with one teacher."""
    return Spec.model_validate(
        {
            "dataset": "d",
            "prompts": [{"source": "p.jsonl"}],
            "teachers": [{"name": "t", "provider": "openai", "model": "m"} | teacher],
            "sampling": {"max_tokens": 9},
            "verify": verify,
        }
    )


def inner(teacher: Teacher) -> Teacher:
    """Return the teacher behind the one that hides its key."""
    return teacher.teacher if isinstance(teacher, Discreet) else teacher


@pytest.mark.parametrize(
    ("teacher", "missing", "message"),
    [
        (
            {"provider": "local", "model": "smollm2-135m-instruct"},
            (embedded, "xllamacpp"),
            "the local teacher needs the package xllamacpp: pip install 'stillhouse[local]'",
        ),
        (
            {"provider": "local", "path": "none.gguf"},
            (embedded, ""),
            "the local teacher's model file none.gguf doesn't exist: give the path of a GGUF file",
        ),
        (
            {"provider": "transformers"},
            (transformers, "torch"),
            "provider transformers needs torch: pip install 'stillhouse[train]'",
        ),
    ],
    ids=["llama.cpp", "a model's file", "torch"],
)
def test_what_a_machine_lacks(
    teacher: dict[str, Any], missing: tuple[ModuleType, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider whose package or file isn't there is refused before anything is read, unless nobody, or another machine, is to ask it."""
    module, package = missing
    there = SimpleNamespace(origin=__file__)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == package else there)
    with pytest.raises(SetupError) as caught:
        wiring.check_machine(spec(**teacher), PATH)
    assert str(caught.value) == f"{PATH}: teachers[0]: {message}"
    idle = tuple(each.model_copy(update={"draw": False}) for each in spec(**teacher).teachers)
    with pytest.raises(SetupError):
        wiring.check_machine(spec(**teacher).model_copy(update={"teachers": idle}), PATH, ["t"])
    wiring.check_machine(spec(**teacher).model_copy(update={"teachers": idle}), PATH)
    away = RunnerOptions(use="dask", address="tcp://far:8786")
    wiring.check_machine(spec(**teacher).model_copy(update={"runner": away}), PATH)


class TestKeys:
    """Where a teacher's key comes from."""

    @pytest.mark.parametrize(
        ("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")], ids=["openai", "anthropic"]
    )
    async def test_default(self, provider: str, variable: str, monkeypatch: pytest.MonkeyPatch):
        """At the provider's own address, its usual variable holds the key, and must."""
        monkeypatch.setenv(variable, "sk-1")
        async with wiring.open_teachers(spec(provider=provider), PATH, keys=True) as ((line,),):
            teacher = inner(line.teacher)
            assert isinstance(teacher, OpenAITeacher | AnthropicTeacher)
            assert teacher.api_key == "sk-1"
        monkeypatch.delenv(variable)
        with pytest.raises(SpecError, match=f"teachers\\[0\\].api_key_env: the environment variable {variable} is not set"):
            async with wiring.open_teachers(spec(provider=provider), PATH, keys=True):
                pass

    async def test_a_key_in_place_of_its_variable(self):
        """A key that could be a variable's name, and that somebody pasted there, isn't quoted."""
        with pytest.raises(SpecError, match="looks like a key itself") as told:
            async with wiring.open_teachers(spec(provider="openai", api_key_env="gsk_canary0123456789canary"), PATH, keys=True):
                pass
        assert "canary" not in str(told.value)

    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    async def test_another_server(self, provider: str, monkeypatch: pytest.MonkeyPatch):
        """A server of the spec's own gets the key that the spec names, and none where it names none."""
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
            monkeypatch.setenv(name, "sk-provider")
        monkeypatch.setenv("MY_KEY", "sk-mine")
        given: dict[str, Any] = {"provider": provider, "base_url": "http://server/v1"}
        for more, key in (({"api_key_env": "MY_KEY"}, "sk-mine"), ({}, "unused")):
            async with wiring.open_teachers(spec(**given, **more), PATH, keys=True) as ((line,),):
                teacher = inner(line.teacher)
                assert isinstance(teacher, OpenAITeacher | AnthropicTeacher)
                assert teacher.api_key == key


def test_the_api_of_a_judge() -> None:
    """Which API a judge is asked by is a part of the verdict's identity, where it isn't the usual one."""
    verify = ({"use": "judge", "teacher": "t", "rubric": "r", "pass_at": 5},)
    chat, same, other = (
        judging.make_verifiers(spec(verify=verify, **more), PATH)[0].fingerprint
        for more in ({}, {"api": "chat"}, {"api": "responses"})
    )
    assert chat == same != other


def test_verdicts_of_unit_tests_outlive_its_new_options() -> None:
    """A spec that uses none of the options that came later has the fingerprint that it had before there were any."""
    options = {"timeout_s": 10, "memory_mb": 512, "entry_point": None, "prefix": "", "processes": 16, "output_kb": 1024}
    before = fingerprint(verifier="unit_tests", version=UnitTests.version, options=options)
    used = [
        {},
        {"sandbox": "bubblewrap", "runs": 1},
        {"sandbox": {"url": "http://a"}},
        {"sandbox": {"url": "http://b"}},
        {"score": True},
    ]
    found = [judging.make_verifiers(spec(verify=({"use": "unit_tests", **more},)), PATH)[0].fingerprint for more in used]
    assert found[0] == found[1] == before
    assert found[2] == found[3]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("sandbox", "message"),
    [
        ({"uri": "http://a"}, "verify[0].sandbox.uri: unknown key"),
        ({"url": "a"}, "verify[0].sandbox: 'a' is not the address of a server"),
        ("docker", "verify[0].sandbox: must be 'bubblewrap', and this is 'docker'"),
    ],
)
def test_a_mistake_in_an_option_with_options_names_its_place(sandbox: object, message: str) -> None:
    """The error is of the half of the union that was meant."""
    with pytest.raises(SpecError) as error:
        judging.make_verifiers(spec(verify=({"use": "unit_tests", "sandbox": sandbox},)), PATH)
    assert message in str(error.value)


async def test_a_teacher_that_only_judges_is_not_checked_for_drawing() -> None:
    """What `sampling` says is for those that draw."""
    teachers = [
        {"name": "t", "provider": "openai", "model": "m", "base_url": "http://a/v1"},
        {"name": "j", "provider": "anthropic", "model": "m", "base_url": "http://b/v1", "draw": False},
    ]
    given = spec().model_dump() | {"teachers": teachers, "sampling": {}}
    async with wiring.open_teachers(Spec.model_validate(given), PATH, keys=True) as made:
        assert len(made) == 2


async def test_replicas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each replica is a line with an address, a key and limits of its own; what it leaves out is the teacher's."""
    for name in ("A", "B"):
        monkeypatch.setenv(f"KEY_{name}", f"sk-{name}")
    replicas = [{"base_url": "http://a/v1", "api_key_env": "KEY_A", "limits": {"concurrency": 3}}, {"api_key_env": "KEY_B"}]
    given = spec(provider="openai", base_url="http://b/v1", limits={"concurrency": 5}, replicas=replicas)
    async with wiring.open_teachers(given, PATH, keys=True) as (lines,):
        desk = wiring.open_desk(
            given.teachers[0], lines, Stop(), intents=Intents(tmp_path), budget=Budget(None), say=print, board={}
        )
        assert isinstance(desk, Desk)
        wiring.answered_before([desk])
        assert all(line.breaker.answered_before for line in desk.lines)
        made = [(inner(line.teacher), line.options.limits.concurrency) for line in lines]
        found = [(teacher.base_url, teacher.api_key, places) for teacher, places in made if isinstance(teacher, OpenAITeacher)]
        assert found == [("http://a/v1", "sk-A", 3), ("http://b/v1", "sk-B", 5)]
        assert len({line.account for line in lines}) == 2
        assert desk.teacher is lines[0].teacher
        assert wiring.asked(given, [lines])[0].identity == {}


PANEL = {"use": "judge", "teachers": ["a", "b"], "rubric": "r", "pass_at": 5}


def panel(verify: dict[str, Any] = PANEL, **other: Any) -> Spec:
    """Return a spec whose teachers a and b judge; `other` is said of b."""
    given = spec().model_dump() | {
        "teachers": [
            {"name": "t", "provider": "openai", "model": "m"},
            {"name": "a", "provider": "openai", "model": "x", "draw": False},
            {"name": "b", "provider": "openai", "model": "y", "draw": False} | other,
        ],
        "verify": [verify],
    }
    return Spec.model_validate(given)


def test_the_fingerprint_of_a_judge_of_old() -> None:
    """It is the one that verdicts in lakes have: options that came later don't make anybody pay again."""
    (named,) = judging.make_verifiers(spec(verify=({"use": "judge", "teacher": "t", "rubric": "r", "pass_at": 5},)), PATH)
    options = {"teacher": ["openai", "m", {}], "rubric": "r", "scale": (1, 10), "pass_at": 5.0, "reference": False}
    assert named.fingerprint == fingerprint(verifier="judge", version="1", options=options)


def test_a_folder_of_a_model_is_no_judge() -> None:
    """Nothing holds what torch generates to a judge's form: that is said before anything is drawn."""
    with pytest.raises(SpecError, match="'b' can't be held to a judge's form"):
        judging.make_verifiers(panel(provider="transformers", model="students/taught"), PATH)


def test_the_fingerprint_of_a_panel() -> None:
    """Who judges decides the verdict; in which order the spec names them doesn't."""
    same, swapped, other = (
        judging.make_verifiers(each, PATH)[0].fingerprint
        for each in (panel(), panel(PANEL | {"teachers": ["b", "a"]}), panel(model="z"))
    )
    assert same == swapped != other


def test_a_panel_with_a_member_that_is_not_there() -> None:
    """The error names its place in the list."""
    with pytest.raises(SpecError, match=r"verify\[0\]\.teachers\[1\]: no teacher is named 'c'"):
        judging.make_verifiers(panel(PANEL | {"teachers": ["a", "c"]}), PATH)


@pytest.mark.parametrize(
    ("verify", "model", "said"),
    [
        (PANEL, "y", []),
        (PANEL, "m", ["verify[0] (judge): 'b' (the model of 't'), 1 of a panel of 2, would judge"]),
        (
            {"use": "judge", "teacher": "b", "rubric": "r", "pass_at": 5},
            "m",
            ["verify[0] (judge): 'b' (the model of 't') would judge"],
        ),
        (
            {"use": "judge", "teacher": "t", "rubric": "r", "pass_at": 5},
            "y",
            ["verify[0] (judge): 't' (the model of 't') would judge"],
        ),
        ({"use": "exact_match"}, "m", []),
    ],
    ids=["others", "a panel", "the same model", "the same teacher", "no judge"],
)
def test_a_judge_of_its_own_responses(verify: dict[str, Any], model: str, said: list[str]) -> None:
    """Is warned of in a line each."""
    given = panel(verify, model=model)
    found = list(judging.biased(given, judging.make_verifiers(given, PATH)))
    assert [line.split(" what the same")[0] for line in found] == said
    assert all("\n" not in line for line in found)


def test_a_judge_of_its_own_responses_at_another_server() -> None:
    """Is warned of too: a model prefers what it wrote, whoever serves it."""
    given = panel(model="openai/gpt-4o", base_url="http://router.example/v1").model_dump()
    given["teachers"][0]["model"] = "gpt-4o-2024-08-06"
    found = Spec.model_validate(given)
    (line,) = judging.biased(found, judging.make_verifiers(found, PATH))
    assert line.startswith("verify[0] (judge): 'b' (the model of 't'), 1 of a panel of 2, would judge what the same model draws")


def test_the_version_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part's version is raised, the verifier that has it judges anew."""
    listed = spec(verify=({"use": "all", "of": [{"use": "any", "of": [{"use": "exact_match"}]}]},))
    (before,) = judging.make_verifiers(listed, PATH)
    monkeypatch.setattr(ExactMatch, "version", "next")
    (after,) = judging.make_verifiers(listed, PATH)
    assert before.fingerprint != after.fingerprint


@verifier(version="1", isolated=False)
class Asking:
    """Asks a teacher by an option of a name of its own."""

    judge: str

    @property
    def asks(self) -> tuple[str, ...]:
        """Return whom."""
        return (self.judge,)

    def asking(self, askers: Any) -> Asking:
        """Return itself."""
        return self

    async def check(self, prompt: Prompt, sample: Sample) -> bool:
        """Pass."""
        return True


def test_whoever_is_asked_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model behind the same name is another judge, whatever the option is called that names it."""
    registry = dataclasses.replace(VERIFIERS, built_in={**VERIFIERS.built_in, "asking": f"{__name__}:Asking"})
    monkeypatch.setattr("verifiers.making.VERIFIERS", registry)
    listed = ({"use": "asking", "judge": "t"},)
    found = {judging.make_verifiers(spec(verify=listed, model=model), PATH)[0].fingerprint for model in ("m", "n")}
    assert len(found) == 2
