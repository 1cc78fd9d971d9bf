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
    "a_failure_that_leaves_a_block": "import contextlib\ndef test_a():\n    with contextlib.nullcontext(): assert add(2, 3) == 5\nfor test in [test_a]:\n    try: test()\n    except Exception as error: print(error)",
    "a_failure_before_finally": "def test_a():\n    try:\n        assert add(2, 3) == 5\n    finally:\n        print('done')\n        print('at last')\nfor test in [test_a]:\n    try: test()\n    except Exception as error: print(error)",
    "a_failure_that_is_raised_again": "def test_a():\n    try: assert add(2, 3) == 5\n    except AssertionError:\n        print('no')\n        raise\nfor test in [test_a]:\n    try: test()\n    except Exception as error: print(error)",
    "a_failure_while_output_is_redirected": "import contextlib, io\ndef test_a():\n    with contextlib.redirect_stdout(io.StringIO()):\n        x = add(2, 3)\n        assert x == 5\nfor test in [test_a]:\n    try: test()\n    except Exception as error: print(error)",
    "a_failure_in_a_loop_that_main_prints": "def test_a():\n    for a, b, c in [(2, 3, 5), (0, 0, 0)]:\n        try:\n            assert add(a, b) == c\n        finally:\n            print(a)\ndef main():\n    try:\n        test_a()\n    except AssertionError as error:\n        print(error)\nmain()",
    "a_failure_after_one_that_is_handled": "def test_a():\n    try: int('x')\n    except ValueError: pass\n    assert add(2, 3) == 5\nfor test in [test_a]:\n    try: test()\n    except Exception as error: print(error)",
    "a_failure_that_was_not_the_one_expected": "import pytest\ndef test_a():\n    assert add(2, 3) == 5\n    int('x')\ntry:\n    with pytest.raises(ValueError): test_a()\nexcept AssertionError as error: print(error)",
    "a_runner_that_counts": "passed = failed = 0\ndef test_a(): assert add(2, 3) == 5\nfor test in [test_a]:\n    try:\n        test()\n        passed += 1\n    except AssertionError: failed += 1",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_test_that_fails_has_failed_whoever_hides_it(judge, name):
    """A runner of the tests' own may print that one has failed, and go on."""
    result = judge(WRONG, HIDDEN[name], entry_point="add")
    assert result.passed is False
    assert judge("def add(a, b): return a + b", HIDDEN[name], entry_point="add").passed is True


HELD = {
    "a_test_that_raises_and_handles": "def test_a():\n    try: int('x')\n    except ValueError: pass\n    assert add(2, 3) == 5\nfor test in [test_a]:\n    try: test()\n    except Exception as error: print(error)",
    "a_test_that_is_a_generator": "def test_a():\n    try: int('x')\n    except ValueError: yield 1\n    assert add(2, 3) == 5\nfor test in [test_a]:\n    try: list(test())\n    except Exception as error: print(error)",
    "a_failure_that_else_expects": "def check(a, b, c): assert add(a, b) == c\ncheck(2, 3, 5)\ntry: check(1, 2, 4)\nexcept AssertionError: pass\nelse: raise AssertionError",
    "a_failure_that_raises_expects": "import pytest\ndef check(a, b, c): assert add(a, b) == c\ncheck(2, 3, 5)\nwith pytest.raises(AssertionError): check(1, 2, 4)\npytest.raises(AssertionError, check, 1, 2, 4)\ntry: check(0, 0, 0)\nexcept AssertionError as error: print(error)",
}


@pytest.mark.parametrize("name", HELD)
def test_what_the_tests_expect_to_fail_fails_nobody(judge, name):
    """What is raised and handled in a test is no failure, and one that the tests expect is none of the code's."""
    result = judge("def add(a, b): return a + b", HELD[name], entry_point="add")
    assert (result.passed, result.reason) == (True, "")
    assert judge(WRONG, HELD[name], entry_point="add").passed is False


UNCLEAR = {
    "a_flag_that_a_failure_sets": "def check(a, b, c): assert add(a, b) == c\ntry:\n    check(1, 2, 4)\n    ok = False\nexcept Exception: ok = True\nassert ok",
    "a_failure_that_is_raised_where_there_was_none": "def check(a, b, c): assert add(a, b) == c\ntry:\n    check(1, 2, 4)\n    raise AssertionError('should fail')\nexcept AssertionError: pass",
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_failure_that_may_be_expected_decides_nothing(judge, name):
    """A runner may set the same flags for what it counts as failed."""
    result = judge("def add(a, b): return a + b", UNCLEAR[name], entry_point="add")
    assert (result.passed, result.reason) == (None, "the tests may or may not expect that check fails")


NOTHING = {
    "a_runner_that_only_prints": "def run(name, ok): print(name, 'passed' if ok else 'FAILED')\nrun('a', add(2, 3) == 5)",
    "a_call": "print(add(2, 3))",
    "a_test_without_an_assertion": "def test_a(): add(2, 3) == 5",
}


@pytest.mark.parametrize("name", NOTHING)
def test_tests_that_assert_nothing_decide_nothing(judge, name):
    """Any code would pass them; code that raises fails them all the same."""
    assert judge(WRONG, NOTHING[name]).reason == "the tests assert nothing"
    assert judge("def add(a, b): raise ValueError", NOTHING[name]).passed is False


SOMETHING = {
    "by_its_end": ("import sys\nif add(2, 3) != 5: sys.exit(1)", ""),
    "in_a_helper_of_the_prompt": ("is_right(add(2, 3), 5)", "def is_right(a, b): assert a == b"),
    "by_a_case": ("import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(add(2, 3), 5)", ""),
    "by_an_exception": ("def run(ok):\n    if not ok: raise SystemError\nrun(add(2, 3) == 5)", ""),
}


@pytest.mark.parametrize("name", SOMETHING)
def test_tests_that_may_fail_decide(judge, name):
    """Whatever they fail by, and wherever that stands."""
    tests, prelude = SOMETHING[name]
    assert judge("def add(a, b): return a + b", tests, prelude=prelude).passed is True
    assert judge(WRONG, tests, prelude=prelude).passed is False


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
