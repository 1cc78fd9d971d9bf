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


HIDDEN = {
    "a_runner_that_prints": "def test_a(): assert add(2, 3) == 5\ndef run():\n    try:\n        test_a()\n        print('passed')\n    except AssertionError:\n        print('FAILED')\nrun()",
    "a_runner_of_several": "def test_a(): assert add(2, 3) == 5\ndef test_b(): assert add(0, 0) == 0\nfor test in [test_a, test_b]:\n    try: test()\n    except Exception as error: print(error)",
    "a_runner_that_is_told": "def test_case(a, b, c): assert add(a, b) == c\ndef run(test, *given):\n    try: test(*given)\n    except AssertionError: return False\n    return True\nrun(test_case, 2, 3, 5)",
    "a_check_whose_end_is_a_result": "def check(candidate): assert candidate(2, 3) == 5\ndef run():\n    try:\n        check(add)\n        return True\n    except AssertionError:\n        return False\nrun()",
    "a_method_that_a_runner_calls": "class TestX:\n    def test_b(self): assert add(2, 3) == 5\nfor test in [TestX()]:\n    try: test.test_b()\n    except Exception as error: print(error)",
    "a_class_of_which_one_test_is_called": "class TestX:\n    def test_a(self): assert add(0, 0) == 0\n    def test_b(self): assert add(2, 3) == 5\ndef test_all(): TestX().test_a()",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_test_that_fails_has_failed_whoever_hides_it(judge, name):
    """A runner of the tests' own may print that one has failed, and go on."""
    result = judge(WRONG, HIDDEN[name], entry_point="add")
    assert result.passed is False
    assert judge("def add(a, b): return a + b", HIDDEN[name], entry_point="add").passed is True


ONCE = {
    "in_a_loop": "def test_a(): assert bump() == 1\nfor test in [test_a]: test()",
    "in_a_thread": "import threading\ndef test_worker(n): assert bump() == n\nt = threading.Thread(target=test_worker, args=(1,))\nt.start()\nt.join()",
    "by_a_map": "def test_case(n): assert bump() == n\nlist(map(test_case, [1, 2]))",
    "by_looking_around": "def test_a(): assert bump() == 1\nfor name, value in list(globals().items()):\n    if name.startswith('test_'): value()",
    "by_name": "def test_a(): assert bump() == 1\nTESTS = {'a': test_a}\nTESTS['a']()",
    "one_that_expects_a_failure": "def check(n): assert bump() == n\ndef test_it():\n    try: assert bump() == 5\n    except AssertionError: pass\ntest_it()\ncheck(2)",
}


@pytest.mark.parametrize("name", ONCE)
def test_what_is_run_however_is_not_run_again(judge, name):
    """Code that counts its calls would be failed for it."""
    result = judge("count = 0\ndef bump():\n    global count\n    count += 1\n    return count", ONCE[name], entry_point="bump")
    assert (result.passed, result.reason) == (True, "")


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
    assert started(ast.parse(text)).names == CALLED[text]
