"""Functions of the user's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows import judging
from flows.spec import Spec
from storage.errors import SpecError
from tests.fakes import make_prompt, make_sample
from verifiers import running
from verifiers.making import make
from verifiers.protocol import Finding, Verifier

HERE = "tests.verifiers.judges"


def judge(name: str = "say", response: str = "4", **options: Any) -> Finding:
    """Have a function judge a response, as a build would."""
    made = make("python", {"call": f"{HERE}:{name}"} | options)
    return running.run("python", made, make_prompt(), make_sample(response=response))


def fingerprint(**options: Any) -> str:
    """Return the fingerprint of a verifier in a spec."""
    teachers = [{"name": "t", "provider": "openai", "model": "m"}]
    entry = {"use": "python", "call": "mine:judge"} | options
    spec = Spec.model_validate({"dataset": "d", "prompts": [{"source": "p"}], "teachers": teachers, "verify": [entry]})
    return judging.make_verifiers(spec, Path("spec.yaml"))[0].fingerprint


@pytest.mark.parametrize(
    ("returned", "pass_at", "expected"),
    [
        (True, None, (True, None, "")),
        (False, 0.5, (False, None, "")),
        (None, None, (None, None, "")),
        (0.7, 0.7, (True, 0.7, "0.7 reaches 0.7")),
        (0.2, 0.7, (False, 0.2, "0.2 is below 0.7")),
        (1, 0.7, (True, 1.0, "1 reaches 0.7")),
        (0.7, None, (None, None, f"{HERE}:say returned the score 0.7, and no `pass_at` says which scores pass")),
        (7, 0.7, (None, None, f"{HERE}:say returned the score 7, which is not from 0 to 1")),
        (float("nan"), 0.7, (None, None, f"{HERE}:say returned the score nan, which is not from 0 to 1")),
        ("yes", None, (None, None, f"{HERE}:say returned a builtins.str; a bool, None, a score or a Finding is wanted")),
    ],
    ids=str,
)
def test_what_it_may_return(returned: Any, pass_at: float | None, expected: tuple[Any, ...]) -> None:
    """A bool, None, a score where the spec says which pass; anything else is undecided."""
    finding = judge(options={"what": returned}, **({} if pass_at is None else {"pass_at": pass_at}))
    assert (finding.passed, finding.score, finding.reason) == expected


def test_a_finding() -> None:
    """A Finding is taken as it is, unless its score is none."""
    assert judge("find", options={"score": 1}) == Finding(passed=True, score=1.0, reason="as asked", answer="4")
    assert judge("find", options={"score": 2}).passed is None


def test_a_function_of_pythons_own() -> None:
    """It may be anything that takes a prompt and a sample."""
    made = make("python", {"call": "operator:eq"})
    assert running.run("python", made, make_prompt(), make_sample()) == Finding(passed=False)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("raise", f"the verifier raised RuntimeError: {HERE}:trouble raised Unknown: why not"),
        ("can't tell", "no idea"),
        ("exit", "the check ended its process: exit code 3"),
        ("hang", "no verdict within 0.5 s"),
    ],
)
def test_trouble(response: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it does is undecided, within its own limit, and the next sample is judged."""
    caplog.set_level("CRITICAL")
    assert judge("trouble", response, limit_s=0.5) == Finding(passed=None, reason=reason)
    assert judge("trouble", "4", limit_s=30).passed is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"call": "no_such_module:judge"}, "call: there is no module 'no_such_module' among the installed packages or in "),
        ({"call": "no_such_package.x:judge"}, "call: No module named 'no_such_package'; looked among"),
        ({"call": f"{HERE}:judje"}, "has no 'judje'"),
        ({"call": f"{HERE}:NUMBER"}, "is a int, and can't be called"),
        ({"call": f"{HERE}:later"}, "is an `async def`; a plain function is wanted"),
        ({"call": f"{HERE}:lonely"}, "can't be called as (prompt, sample, **options): too many positional arguments"),
        ({"call": f"{HERE}:say", "options": {"waht": 1}}, "got an unexpected keyword argument 'waht'"),
        ({"call": f"{HERE}:find"}, "missing a required"),
        ({"call": "judge"}, "call: must be MODULE:FUNCTION"),
        ({"call": "os; x:judge"}, "call: must be MODULE:FUNCTION"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_of_the_spec(options: dict[str, Any], said: str) -> None:
    """What can't be called so is one line, when the spec is read."""
    with pytest.raises(SpecError) as error:
        fingerprint(**options)
    assert str(error.value).startswith("spec.yaml: verify[0]")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


class TestInAProject:
    """A module in the folder in which the command runs."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Work in a folder that has `mine.py`."""
        monkeypatch.chdir(tmp_path)
        self.write("return True")
        return tmp_path

    def write(self, body: str, name: str = "mine.py") -> None:
        """Write the module."""
        Path(name).write_text(f"def judge(prompt, sample):\n    {body}\n")

    def made(self) -> Verifier:
        """Return the verifier."""
        return make("python", {"call": "mine:judge"})

    def found(self, made: Verifier) -> Finding:
        """Have it judge."""
        return running.run("python", made, make_prompt(), make_sample())

    def test_is_found(self):
        """It is imported from there, in another process."""
        self.write(f"import os; return os.getpid() != {os.getpid()}")
        assert self.found(self.made()).passed is True

    def test_source(self):
        """Another source is another verifier, which judges by it, as often as it changes; what is the same is the same."""
        first = fingerprint()
        assert self.found(self.made()).passed is True
        self.write("return None")
        second = fingerprint()
        assert [self.found(self.made()).passed for _ in range(4)] == [None] * 4
        self.write("return True")
        assert fingerprint() == first != second
        assert [self.found(self.made()).passed for _ in range(4)] == [True] * 4

    def test_changed_under_a_build(self):
        """A verdict by another source than the fingerprint says is no verdict."""
        made = self.made()
        self.write("return True  # in another way")
        found = [self.found(made) for _ in range(4)]
        assert all("has changed since the build began" in each.reason or each.passed for each in found)
        self.write("return False")
        assert all(self.found(self.made()).passed is False for _ in range(4))

    def test_options(self):
        """Version, options and name of the function decide, too."""
        Path("mine.py").write_text("def judge(prompt, sample, **o):\n    return True\nother = judge\n")
        prints = [fingerprint(), fingerprint(version="2"), fingerprint(options={"a": 1}), fingerprint(call="mine:other")]
        assert len(set(prints)) == 4
        assert fingerprint() == prints[0]

    def test_named_in_a_package(self):
        """Where a package only names a function, the file that defines it counts."""
        Path("pack").mkdir()
        Path("pack/__init__.py").write_text("from pack.inner import judge\n")
        self.write("return True", "pack/inner.py")
        first = fingerprint(call="pack:judge")
        assert [self.found(make("python", {"call": "pack:judge"})).passed for _ in range(6)] == [True] * 6
        self.write("return False", "pack/inner.py")
        assert [self.found(make("python", {"call": "pack:judge"})).passed for _ in range(6)] == [False] * 6
        assert fingerprint(call="pack:judge") != first

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("def judge(:\n", "importing mine raised SyntaxError: invalid syntax (mine.py, line 1)"),
            ("import no_such_thing\n", "importing mine raised ModuleNotFoundError: No module named 'no_such_thing'"),
            ("raise SystemExit(3)\n", "importing mine raised SystemExit: 3"),
            ("import os; os._exit(3)\n", "call: mine:judge can't be had: the check ended its process: exit code 3"),
            ("def __getattr__(name): raise KeyError(name)\n", "call: mine:judge can't be had: 'judge'"),
        ],
        ids=["syntax", "import", "exit", "hard exit", "attribute"],
    )
    def test_broken(self, source: str, said: str):
        """A module that can't be imported is an error of the spec; mended, it is one no longer."""
        Path("mine.py").write_text(source)
        with pytest.raises(ValidationError) as error:
            self.made()
        assert said in str(error.value)
        self.write("return True")
        assert self.found(self.made()).passed is True

    def test_no_package_is_shadowed(self):
        """A file of the user's never takes the place of an installed package."""
        Path("regex.py").write_text("raise RuntimeError('shadowed')\n")
        self.write("import regex; return regex.match('a', 'a') is not None")
        assert self.found(self.made()).passed is True
