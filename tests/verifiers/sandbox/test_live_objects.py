"""Tests of live objects run as if the code were in the tests' own process."""

from __future__ import annotations

import pytest

RIGHT = {
    "plain_data_crosses_both_ways": (
        "def same(x): return x",
        """
        from decimal import Decimal
        from fractions import Fraction
        from datetime import date, datetime, timedelta, timezone
        from collections import Counter, OrderedDict, defaultdict, deque
        for value in (None, True, 0, -1, 2**70, -(2**70), 1.5, -0.0, float("inf"), 1j, "ä\\ud800", b"\\xff", bytearray(b"a"), [1, [2]], (1,),
                      {"a": {1: 2}}, {1, 2}, frozenset({(1, 2)}), range(3, 9, 2), Decimal("1.10"), Fraction(1, 3), date(2024, 1, 2),
                      datetime(2024, 1, 2, 3, 4, tzinfo=timezone.utc), timedelta(1, 2), deque([1], 3), Counter("aab"),
                      OrderedDict(a=1), defaultdict(int, a=1), int, ValueError, ..., slice(1, 2)):
            back = same(value)
            assert type(back) is type(value) and back == value and repr(back) == repr(value), value
        assert same(float("nan")) != same(float("nan"))
        """,
    ),
    "classes_are_made_and_used": (
        """
        class Stack:
            size = 3
            def __init__(self, items=()): self.items = list(items)
            def push(self, item): self.items.append(item); return self
            @property
            def top(self): return self.items[-1]
            @classmethod
            def of(cls, *items): return cls(items)
            @staticmethod
            def kind(): return "stack"
            def __len__(self): return len(self.items)
            def __iter__(self): return iter(self.items)
            def __contains__(self, item): return item in self.items
            def __getitem__(self, index): return self.items[index]
            def __setitem__(self, index, item): self.items[index] = item
            def __repr__(self): return f"Stack({self.items})"
            def __bool__(self): return bool(self.items)
        """,
        """
        s = Stack([1])
        assert s.push(2) is s and s.top == 2 and len(s) == 2 and list(s) == [1, 2] and 2 in s and 5 not in s and s[0] == 1
        s[0] = 7
        assert s.items == [7, 2] and repr(s) == "Stack([7, 2])" and f"{s}" == "Stack([7, 2])" and bool(s) and not Stack()
        assert isinstance(s, Stack) and type(s) is Stack and not isinstance(s, list) and not isinstance(5, Stack)
        assert Stack.of(1, 2).items == [1, 2] and Stack.kind() == "stack" and Stack.size == 3
        s.colour = "red"
        assert s.colour == "red" and hasattr(s, "colour") and not hasattr(s, "taste") and vars(s)["colour"] == "red"
        del s.colour
        assert not hasattr(s, "colour")
        """,
    ),
    "classes_inherit": (
        "class A:\n    def who(self): return 'A'\nclass B(A): pass\ndef make(): return B()",
        "assert isinstance(make(), A) and issubclass(B, A) and not issubclass(A, B) and B().who() == 'A' and not isinstance(A(), B)",
    ),
    "objects_compare_by_their_own_methods": (
        """
        from dataclasses import dataclass
        from functools import total_ordering
        @dataclass(frozen=True)
        class Point: x: int; y: int = 0
        @total_ordering
        class Size:
            def __init__(self, n): self.n = n
            def __eq__(self, other): return self.n == other.n
            def __lt__(self, other): return self.n < other.n
        """,
        """
        assert Point(1) == Point(1, 0) and Point(1) != Point(2) and len({Point(1), Point(1), Point(2)}) == 2 and {Point(1): 5}[Point(1)] == 5
        assert Size(1) < Size(2) and Size(2) >= Size(2) and max([Size(1), Size(3), Size(2)]).n == 3 and sorted([Size(2), Size(1)])[0].n == 1
        """,
    ),
    "objects_calculate": (
        """
        class Vector:
            def __init__(self, x, y): self.x, self.y = x, y
            def __add__(self, o): return Vector(self.x + o.x, self.y + o.y)
            def __mul__(self, n): return Vector(self.x * n, self.y * n)
            __rmul__ = __mul__
            def __neg__(self): return Vector(-self.x, -self.y)
            def __matmul__(self, o): return self.x * o.x + self.y * o.y
            def __abs__(self): return (self.x ** 2 + self.y ** 2) ** 0.5
            def __eq__(self, o): return (self.x, self.y) == (o.x, o.y)
            def __iadd__(self, o): self.x += o.x; self.y += o.y; return self
        """,
        """
        assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6) and Vector(1, 2) * 3 == Vector(3, 6) == 3 * Vector(1, 2)
        assert abs(Vector(3, 4)) == 5 and Vector(1, 2) @ Vector(3, 4) == 11 and -Vector(1, 2) == Vector(-1, -2)
        v = Vector(1, 1)
        v += Vector(1, 2)
        assert v == Vector(2, 3)
        """,
    ),
    "generators_are_lazy": (
        "def count():\n    n = 0\n    while True:\n        got = yield n\n        n = got if got is not None else n + 1",
        """
        g = count()
        assert next(g) == 0 and next(g) == 1 and g.send(10) == 10 and iter(g) is g
        import itertools
        assert list(itertools.islice(count(), 4)) == [0, 1, 2, 3]
        g.close()
        try:
            next(g)
        except StopIteration:
            ended = True
        assert ended and list(map(str, itertools.islice(count(), 2))) == ["0", "1"] and 3 in count()
        """,
    ),
    "context_managers_see_exceptions": (
        """
        from contextlib import contextmanager
        log = []
        class Swallow:
            def __enter__(self): log.append("in"); return self
            def __exit__(self, kind, value, trace): log.append(kind.__name__ if kind else None); return kind is KeyError
        @contextmanager
        def tag(name):
            log.append(name)
            try: yield name.upper()
            finally: log.append("/" + name)
        """,
        """
        with Swallow() as s: raise KeyError("x")
        with Swallow(): pass
        try:
            with Swallow(): raise ValueError
        except ValueError: pass
        with tag("b") as t: assert t == "B"
        assert log == ["in", "KeyError", "in", None, "in", "ValueError", "b", "/b"]
        """,
    ),
    "arguments_change_in_place": (
        """
        def work(a, d, s, grid):
            a.sort(); d["n"] = [1]; s.discard(1); grid[0][0] = 9; a.append(d)
            return a
        """,
        """
        a, d, s, row = [3, 1], {}, {1, 2}, [0, 0]
        grid = [row, row]
        back = work(a, d, s, grid=grid)
        assert a == [1, 3, {"n": [1]}] and d == {"n": [1]} and s == {2} and back is a and a[2] is d and grid == [[9, 0], [9, 0]] and grid[0] is row
        """,
    ),
    "callbacks_run_in_the_tests": (
        """
        import functools
        def apply(f, xs): return [f(x) for x in xs]
        def traced(f):
            @functools.wraps(f)
            def inner(*a, **k): return (f.__name__, f(*a, **k))
            return inner
        def compose(*fs): return lambda x: functools.reduce(lambda v, f: f(v), fs, x)
        def safely(f):
            try: return f()
            except ZeroDivisionError as e: return repr(e)
        def fill(f):
            xs = []
            f(xs)
            return xs
        """,
        """
        seen = []
        def note(x): seen.append(x); return x * 2
        assert apply(note, [1, 2]) == [2, 4] and seen == [1, 2] and apply(len, ["ab"]) == [2] and apply(lambda x: apply(note, [x]), [3]) == [[6]]
        assert traced(note)(5) == ("note", 10) and compose(note, str, len)(50) == 3 and safely(lambda: 1 / 0) == "ZeroDivisionError('division by zero')"
        assert fill(lambda xs: xs.extend([1, 2])) == [1, 2]
        @traced
        def shout(text): return text.upper()
        assert shout("a") == ("shout", "A") and shout.__name__ == "shout"
        """,
    ),
    "objects_of_the_tests_are_read": (
        "def total(node):\n    n = 0\n    while node: n += node.value; node.seen = True; node = node.next\n    return n",
        """
        class Node:
            def __init__(self, value, next=None): self.value, self.next = value, next
        last = Node(2)
        assert total(Node(1, last)) == 3 and last.seen is True
        """,
    ),
    "exceptions_are_caught_by_class": (
        """
        class Broke(ValueError):
            def __init__(self, missing): super().__init__(f"{missing} missing"); self.missing = missing
        def pay(n):
            if n > 5: raise Broke(n - 5)
            if n < 0: raise KeyError("negative")
            return open("/none")
        """,
        """
        import pytest
        try: pay(7)
        except Broke as e: assert e.missing == 2 and str(e) == "2 missing" and isinstance(e, ValueError) and e.args == ("2 missing",)
        else: assert False
        with pytest.raises(ValueError, match="3 missing") as info: pay(8)
        assert info.value.missing == 3
        with pytest.raises(KeyError): pay(-1)
        with pytest.raises(FileNotFoundError): pay(1)
        raised = False
        try: raise Broke(1)
        except Broke as e: raised = e.missing == 1
        assert raised and issubclass(Broke, ValueError)
        """,
    ),
    "standard_exceptions_are_the_standard_ones": (
        "import json\ndef load(t): return json.loads(t)",
        "import json\ntry: load('{')\nexcept json.JSONDecodeError: ok = True\nassert ok and load('[1]') == [1]",
    ),
    "coroutines_run_in_the_code": (
        """
        import asyncio
        async def slow(x): await asyncio.sleep(0); return x * 2
        async def numbers():
            for n in range(3): yield n
        class Lock:
            async def __aenter__(self): return "held"
            async def __aexit__(self, *why): return False
        async def bad(): raise ValueError("no")
        """,
        """
        import asyncio
        assert asyncio.run(slow(4)) == 8
        async def main():
            assert await asyncio.gather(slow(1), slow(2)) == [2, 4]
            assert [n async for n in numbers()] == [0, 1, 2]
            async with Lock() as held: assert held == "held"
            try: await bad()
            except ValueError as e: return str(e)
        assert asyncio.run(main()) == "no"
        """,
    ),
    "module_names_are_fresh": ("count = 0\ndef bump():\n    global count\n    count += 1", "bump(); bump()\nassert count == 2"),
    "enumerations_work": (
        "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\ndef mix(): return Color.RED",
        "assert mix() is Color.RED and Color.RED.value == 1 and [c.name for c in Color] == ['RED', 'BLUE'] and Color['BLUE'] == Color(2) != Color.RED and len(Color) == 2",
    ),
    "copies_are_made_in_the_code": (
        "class Box:\n    def __init__(self): self.items = [1]\n    def add(self): self.items.append(2)",
        "import copy\na = Box(); b = copy.deepcopy(a); b.add()\nassert a.items == [1] and b.items == [1, 2] and b is not a",
    ),
    "printed_text_can_be_captured": (
        "def greet(): print('hello')",
        "import io\nfrom contextlib import redirect_stdout\nout = io.StringIO()\nwith redirect_stdout(out): greet()\nassert out.getvalue() == 'hello\\n'",
    ),
    "pytest_functions_are_run": (
        "def add(a, b): return a + b",
        "import pytest\nfrom solution import add\n@pytest.mark.parametrize('a, b, c', [(1, 2, 3), (0, 0, 0)])\ndef test_add(a, b, c): assert add(a, b) == c\ndef test_approx(): assert add(.1, .2) == pytest.approx(.3)",
    ),
    "marks_are_names_and_params_have_ids": (
        "def add(a, b): return a + b",
        "import pytest\n@pytest.mark.slow\n@pytest.mark.parametrize('a', [1, pytest.param(2, id='two')])\ndef test_add(a): assert add(a, 1) == a + 1",
    ),
    "test_classes_are_run": (
        "def add(a, b): return a + b",
        "class TestAdd:\n    def setup_method(self): self.a = 1\n    def test_add(self): assert add(self.a, 2) == 3",
    ),
    "unittest_cases_are_run": (
        "def add(a, b): return a + b",
        "import unittest\nclass T(unittest.TestCase):\n    def test_add(self): self.assertEqual(add(1, 2), 3); self.assertAlmostEqual(add(.1, .2), .3)\nif __name__ == '__main__': unittest.main()",
    ),
    "named_tuples_are_tuples": (
        """
        from collections import namedtuple
        from typing import NamedTuple
        P = namedtuple('P', 'x y', defaults=[0])
        class Q(NamedTuple):
            a: int
        class R(NamedTuple):
            a: int
            def double(self): return self.a * 2
        def make(): return P(1, 2)
        def swap(p): return p._replace(x=p.y, y=p.x)
        """,
        """
        assert make() == (1, 2) == P(1, 2) and make().x == 1 and P(5) == (5, 0) and Q(3) == (3,) and R(2).double() == 4
        assert swap(make()) == (2, 1) and make()._fields == ('x', 'y')
        assert isinstance(make(), P) and not isinstance(make(), Q) and not isinstance((1, 2), P)
        """,
    ),
    "builtin_names_can_be_imported": ("def sum(xs): return -1", "from solution import sum\nassert sum([1]) == -1"),
    "tests_may_leave_children": ("def one(): return 1", "import os, time\nassert one() == 1\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)"),
    "modules_are_the_tests_own": ("import math\ndef half(x): return x / 2", "assert math.isclose(half(3), 1.5)"),
    "threads_of_the_code_call_back": (
        "from concurrent.futures import ThreadPoolExecutor\ndef par(f, xs):\n    with ThreadPoolExecutor(3) as p: return list(p.map(f, xs))",
        "assert par(lambda x: x + 1, [1, 2, 3, 4]) == [2, 3, 4, 5]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_passes(judge, name):
    """Right code passes, whatever kind of object its tests look at."""
    source, tests = RIGHT[name]
    result = judge(source, tests)
    assert (result.passed, result.reason) == (True, "")


WRONG = {
    "a_method": ("class S:\n    def top(self): return 1", "assert S().top() == 2", "AssertionError: assert S().top() == 2"),
    "an_unchanged_argument": (
        "def sort(a): a = sorted(a)",
        "a = [2, 1]\nsort(a)\nassert a == [1, 2]",
        "AssertionError: assert a == [1, 2]",
    ),
    "no_exception": ("def f(): pass", "import pytest\nwith pytest.raises(ValueError): f()", "AssertionError: did not raise"),
    "another_exception": ("def f(): raise KeyError('k')", "try: f()\nexcept ValueError: pass", "KeyError: 'k' in: f()"),
    "a_generator_for_a_list": ("def f(): yield 1", "assert f() == [1]", "AssertionError: assert f() == [1]"),
    "a_tuple_for_a_list": ("def f(): return (1,)", "assert f() == [1]", "AssertionError: assert f() == [1]"),
    "a_missing_name": ("def g(): pass", "assert f() == 1", "the code doesn't define f"),
    "a_missing_import": ("def g(): pass", "from solution import f", "the code lacks what the tests import"),
    "a_syntax_error": ("def f(:", "assert f() == 1", "SyntaxError: invalid syntax (line 1)"),
    "an_error_on_loading": ("x = 1\nx / 0", "assert x == 1", "ZeroDivisionError: division by zero (line 2)"),
    "a_test_function": ("def f(): return 1", "def test_f():\n    assert f() == 2", "AssertionError: assert f() == 2"),
    "a_test_class_beside_a_function": (
        "def f(): return 1",
        "def test_f():\n    assert f() == 1\nclass TestMore:\n    def test_g(self):\n        assert f() == 2",
        "AssertionError: assert f() == 2",
    ),
    "a_unittest_case": (
        "def f(): return 1",
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(), 2)",
        "AssertionError: 1 != 2 in: self.assertEqual(f(), 2)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_code_fails_with_the_assertion(judge, name):
    """Wrong code fails, and the reason quotes what it failed at, in one line."""
    source, tests, reason = WRONG[name]
    result = judge(source, tests)
    assert result.passed is False
    assert result.score == 0
    assert result.reason.startswith(reason)
    assert "\n" not in result.reason


UNDECIDED = {
    "a_value_in_itself": (
        "x = []\nx.append(x)\nassert f(x) == 1",
        "the tests hand the code what can't cross: a value contains itself",
    ),
    "syntax": ("assert f( == 1", "the tests are broken: SyntaxError"),
    "an_undefined_name": ("assert almost(f(), 1)", "the tests are broken: they use almost"),
    "an_unbound_local": ("def check():\n    x += f()\n    x = 1\ncheck()", "the tests are broken: UnboundLocalError"),
    "a_missing_module": ("import numpy\nassert f() == 1", "the tests import numpy"),
    "no_use_of_the_code": ("assert 1 + 1 == 2", "the tests never used the code"),
    "tests_that_are_never_called": ("def helper():\n    assert f() == 1", "the tests never used the code"),
    "a_fixture": ("def test_f(caplog):\n    assert f() == 1", "the test test_f wants fixtures"),
    "a_fixture_of_its_own": (
        "import pytest\n@pytest.fixture(scope='class')\ndef x(): return 1\ndef test_f(x): assert f() == x",
        "the tests want pytest.fixture(scope)",
    ),
    "a_skipped_test": ("import pytest\n@pytest.mark.skip\ndef test_f(): assert f() == 1", "the tests want pytest.mark.skip"),
    "a_class_in_a_class": (
        "class TestF:\n    class TestG:\n        def test_f(self): assert f() == 2\n    def test_f(self): assert f() == 1",
        "the class TestF has a class of tests in it",
    ),
    "a_generator": ("def test_f():\n    assert f() == 1\n    yield\n    assert f() == 2", "the test test_f is a generator"),
    "a_check_without_entry_point": ("def check(candidate):\n    assert candidate() == 1", "the tests define check(candidate)"),
    "only_skipped_cases": (
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.skip('')\n    def test_f(self): assert f() == 1",
        "the unittest cases were skipped",
    ),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_broken_tests_decide_nothing(judge, name):
    """Where the tests are at fault, the sample is undecided: it has neither passed nor failed."""
    tests, reason = UNDECIDED[name]
    result = judge("def f(*x): return 1", tests)
    assert (result.passed, result.score) == (None, None)
    assert result.reason.startswith(reason)


def test_deriving_from_a_class_of_the_code_is_undecided(judge):
    """A class of the tests can't derive from one of the code, across two processes; that is not the code's fault."""
    result = judge("class Base:\n    def f(self): return 1", "class Mine(Base):\n    pass\nassert Mine().f() == 1")
    assert result.passed is None
    assert "derive the class Mine" in result.reason


def test_check_gets_the_entry_point(judge):
    """Tests in HumanEval's form get the function that the entry point names, even where it shares a built-in's name."""
    tests = "def check(candidate):\n    assert candidate([1, 2]) == 3"
    assert judge("def sum(xs):\n    n = 0\n    for x in xs: n += x\n    return n", tests, entry_point="sum").passed is True
    assert judge("def sum(xs): return 4", tests, entry_point="sum").passed is False
    assert (
        judge("class Solution:\n    def total(self, xs): return xs[0] + xs[1]", tests, entry_point="Solution().total").passed
        is True
    )
    assert judge("def other(): pass", tests, entry_point="sum").reason == "the code doesn't define sum"


def test_verdicts_do_not_depend_on_the_run(judge):
    """Hash seeds and random numbers are the same in every run, so that a verdict is a function of its inputs."""
    source = "import random\ndef draw(): return [hash('a'), random.random()]"
    first = judge(source, "assert draw() == 0, draw()")
    assert first.passed is False
    tests = "import random\nassert draw() == [hash('a'), random.random()]"
    assert judge(source, tests).reason == ""
    assert [judge(source, tests).passed for _ in range(4)] == [True] * 4
