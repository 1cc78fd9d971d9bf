"""Which tests are run: each that the text of the tests doesn't run itself, whatever else is called by its name."""

from __future__ import annotations

import ast

import pytest

from verifiers.sandbox.inside.started import started

WRONG = "def add(a, b): return 0"
RUN = {
    "a_function_in_a_test_is_called_check": "def check(candidate): assert candidate(2, 3) == 5\ndef test_x():\n    def check(v): assert v is not None\n    check(add(1, 1))",
    "a_test_that_calls_itself": "def test_a(n=3):\n    assert add(n, 1) == n + 1\n    if n: test_a(n - 1)\ndef test_b(): assert add(0, 0) == 0",
    "what_would_call_it_is_never_called": "def test_a(): assert add(2, 3) == 5\nadd(0, 0)\ndef run_all(): test_a()",
    "what_would_make_the_class_is_never_called": "class TestX:\n    def test_a(self): assert add(2, 3) == 5\nadd(0, 0)\ndef helper(): return TestX()",
    "two_tests_that_call_each_other": "def test_a(n=2):\n    assert add(n, 1) == n + 1\n    if n: test_b(n - 1)\ndef test_b(n=2):\n    if n: test_a(n - 1)",
    "an_argument_is_called_as_a_test": "def test_a(): assert add(2, 3) == 5\ndef call(test_a): test_a()\ncall(lambda: add(0, 0))",
}  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_a_test_that_nobody_calls_is_run(judge, name):
    """A call counts where it is reached, and is of that very test."""
    result = judge(WRONG, RUN[name], entry_point="add")
    assert result.passed is False
    assert result.reason.startswith("AssertionError")


CALLED = {
    "def test_a(x): pass\ntest_a(1)": {"test_a"},
    "def test_one(x): pass\ndef test_all(): test_one(1)": {"test_one"},
    "def test_one(x): pass\ndef all_of_them(): test_one(1)\nif __name__ == '__main__': all_of_them()": {
        "test_one",
        "all_of_them",
    },
    "def test_one(x): pass\ndef worker(): test_one(1)\nThread(target=worker)": {"test_one", "Thread"},
    "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): check_one(1)\ndef check_one(x): pass": {"check_one"},
    "def setup_module():\n    global made\n    made = test_it(1)\ndef test_it(x): pass": {"test_it"},
}


@pytest.mark.parametrize("text", CALLED)
def test_what_the_tests_call_themselves_is_started(text):
    """By the text of the tests, by one of them, or around them: not to be run again, maybe without what it is to be given."""
    assert started(ast.parse(text)) == CALLED[text]
