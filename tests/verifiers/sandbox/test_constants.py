"""What the code changes of the tests' own, in a call in which it didn't get it, counts where the tests compare with constants."""

from __future__ import annotations

import pytest

from verifiers.sandbox.constants import compares_with_constants

LOGGER = """
class Logger:
    def __init__(self, log): self.log = log
    def info(self, text): self.log.append(text)
"""
OFTEN_WRONG = """
class Logger:
    def __init__(self, log): self.log = list(log)
    def info(self, text): self.log.append(text)
"""
LOGGED = """
log = []
logger = Logger(log)
logger.info("a")
logger.info("b")
assert log == ["a", "b"]
"""
COPIED = """
log = ["a"]
logger = Logger(log)
logger.info("b")
assert log == ["a"]
"""


DECORATOR = """
def logged(log):
    def by(f):
        def w(*a):
            log.append(a)
            return f(*a)
        return w
    return by
"""
DECORATED = """
log = []
@logged(log)
def g(x): return x
g(3)
assert log == [(3,)]
"""
MANAGER = """
from contextlib import contextmanager
@contextmanager
def m(log):
    log.append(1)
    yield
    log.append(3)
"""
MANAGED = """
def test_it():
    log = []
    with m(log): log.append(2)
    assert log == [1, 2, 3]
"""
INDEX = """
class Index:
    def __init__(self, names, index): self.index = index
    def add(self, x): self.index[x] = x
"""
INDEXED = """
names, found = [1], {}
index = Index(names, index=found)
index.add("x")
assert found == {"x": "x"}
"""


@pytest.mark.parametrize(
    ("source", "tests"), [(DECORATOR, DECORATED), (MANAGER, MANAGED), (INDEX, INDEXED)], ids=["decorator", "block", "keyword"]
)
def test_what_code_writes_into_a_list_or_dict_of_the_tests_later_counts(judge, source, tests):
    """However it got it."""
    assert judge(source, tests).passed is True


@pytest.mark.parametrize(
    ("source", "tests", "passed"),
    [(LOGGER, LOGGED, True), (OFTEN_WRONG, LOGGED, False), (OFTEN_WRONG, COPIED, True), (LOGGER, COPIED, False)],
    ids=["appends", "appends to a copy", "leaves it", "changes it"],
)
def test_who_changes_a_list_of_the_tests_is_judged_as_in_one_process(judge, source, tests, passed):
    """Objects that write into what they were given are common, and as common are those that should have copied it."""
    assert judge(source, tests).passed is passed


@pytest.mark.parametrize(
    "tests",
    [
        "x = [1, 2]\nassert decode(encode(x)) == x",
        "x = [1, 2]\nassert decode(encode(x)) == x and len(x) == 2",
        "x = [1, 2]\nassert (decode(encode(x)) == x) is True",
        "x = [1, 2]\nassert len(set(decode(encode(x))) ^ set(x)) == 0",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        x = [1, 2]\n        self.assertEqual(decode(encode(x)), x)",
        "x = [1, 2]\nif decode(encode(x)) != x: raise AssertionError",
        "def same(a, b): return a == b\nx = [1, 2]\nassert same(decode(encode(x)), x)",
    ],
    ids=["assert", "and", "truth", "difference", "method", "raise", "call"],
)
def test_what_is_compared_with_something_else_is_not_believed(judge, tests):
    """Code that empties both would pass."""
    source = "K = []\ndef encode(x):\n    K.append(x)\n    return ''\ndef decode(s):\n    K[0].clear()\n    return []"
    result = judge(source, tests)
    assert result.passed is not True


@pytest.mark.parametrize(
    ("tests", "constant"),
    [
        ("assert f(1) == [1, {'a': -2}]", True),
        ("assert 2 < len(f(1)) <= 3 and not f(2) == 7", True),
        ("assert isinstance(f(1), list)\nassert f(1) == 'a'", True),
        ("class T:\n    def test(self): self.assertEqual(f(1), [5])", True),
        ("def check(candidate):\n    assert candidate(1) == 'a'", True),
        ("assert f(1) == x", False),
        ("assert 2 < f(1) < x", False),
        ("assert f(1)", False),
        ("assert (f(1) == x) == True", False),
        ("same = f(1) == x\nassert same is True", False),
        ("assert len(set(f(1)) ^ set(x)) == 0", False),
        ("assert ratio(f(1), x) == 1.0", False),
        ("assert diff(f(1), x) == []", False),
        ("assert f(1) is None", False),
        ("assert [a == b for a, b in zip(f(1), x)] == [True, True]", False),
        ("class T:\n    def test(self): self.assertEqual(f(1), x)", False),
        ("class T:\n    def test(self): self.assertTrue(f(2))", False),
        ("import pytest\nif f(1): pytest.fail('no')", False),
        ("assert f(1) == 5\nif f(2): raise ValueError", False),
        ("assert (", False),
    ],
)
def test_which_tests_compare_with_constants(tests, constant):
    """Only where every assertion does is it known that the code can't tell what it is compared with."""
    assert compares_with_constants(tests) is constant
