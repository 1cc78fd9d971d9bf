"""What the tests of a sample assert is not passed over, however the code's objects lie about themselves."""

from __future__ import annotations

import ast

import pytest

from verifiers.sandbox.inside import held

SWALLOWS = """
class Gate:
    def __init__(self, inside): self.inside = inside
    def __enter__(self): return self.inside
    def __exit__(self, *why): return True
    async def __aenter__(self): return self.inside
    async def __aexit__(self, *why): return True
class Broken:
    @property
    def value(self): raise ValueError
def broken(): return Gate(Broken())
def make(a, b): return Gate(0)
def nothing(): return Gate([])
"""
LIARS = """
class Empty:
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __iter__(self): return iter(())
class Shrinking(Empty):
    def __len__(self):
        self.n -= 2
        return self.n + 2
    def __getitem__(self, i): raise IndexError
class Kind(type):
    def __len__(cls): return 3
    def __iter__(cls): return iter(())
    def __contains__(cls, other): return True
class Holder(metaclass=Kind): pass
class Counts:
    def count(self, x): return 1
    def index(self, x): return 0
from collections import namedtuple
Pair = namedtuple("Pair", "count index")
class Items:
    def __len__(self): return 3
    def __getitem__(self, i): raise IndexError
    def __reversed__(self): return iter(())
def items(a): return Items()
def empty(a): return Empty(len(a))
def shrinking(a): return Shrinking(len(a))
def holder(a): return Holder
def counts(a): return Counts()
def pair(a): return Pair(lambda x: 1, lambda x: 0)
"""
# name: (code, tests)
PASSED_OVER = {
    "an_assertion_in_a_block": (SWALLOWS, "with make(2, 3) as r:\n    assert r == 5"),
    "an_error_in_a_block_that_asserts": (SWALLOWS, "with nothing() as r:\n    assert r[0] == 5"),
    "an_error_of_the_code_in_a_block_that_asserts": (SWALLOWS, "with broken() as r:\n    assert r.value == 5"),
    "a_helper_in_a_block": (SWALLOWS, "def is_5(r):\n    assert r == 5\nwith make(2, 3) as r:\n    is_5(r)"),
    "a_unittest_in_a_block": (
        SWALLOWS,
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        with make(2, 3) as r:\n            self.assertEqual(r, 5)",
    ),
    "an_assertion_in_an_exit_stack": (
        SWALLOWS,
        "from contextlib import ExitStack\nwith ExitStack() as s:\n    assert s.enter_context(make(2, 3)) == 5",
    ),
    "an_assertion_in_an_asynchronous_block": (
        SWALLOWS,
        "import asyncio\nasync def main():\n    async with make(2, 3) as r:\n        assert r == 5\nasyncio.run(main())",
    ),
    "an_assertion_in_a_head_of_several_lines": (
        SWALLOWS,
        "with (\n    make(2, 3) as r,\n    nothing() as s,\n):\n    assert r == 5",
    ),
    "an_error_that_is_raised_in_a_block": (SWALLOWS, "with make(2, 3) as r:\n    if r != 5: raise AssertionError('no')"),
    "items_that_are_not_there": (LIARS, "r = items([3, 1, 2])\nassert len(r) == 3 and all(a == b for a, b in zip(r, [1, 2, 3]))"),
    "items_that_are_not_there_backwards": (
        LIARS,
        "r = items([3, 1, 2])\nassert len(r) == 3 and all(a == b for a, b in zip(reversed(r), [3, 2, 1]))",
    ),
    "a_loop_over_nothing": (LIARS, "r = empty([3, 1, 2])\nassert len(r) == 3\nfor a, b in zip(r, [1, 2, 3]): assert a == b"),
    "a_comparison_of_nothing": (LIARS, "r = empty([2, 1])\nassert all(a == b for a, b in zip([1, 2], r)) and len(r) == 2"),
    "another_length_each_time": (
        LIARS,
        "r = shrinking([3, 1, 2, 0])\nassert len(r) == 4\nassert all(r[i] == i for i in range(len(r) - 2))",
    ),
    "a_loop_over_a_class": (LIARS, "r = holder([3, 1, 2])\nassert len(r) == 3\nfor a, b in zip(r, [1, 2, 3]): assert a == b"),
    "a_class_that_contains_everything": (LIARS, "assert 5 in holder([])"),
    "a_count_of_what_it_is_shown": (LIARS, "assert counts([1]).count(5) == 1"),
    "an_index_of_what_it_is_shown": (LIARS, "assert counts([1]).index(5) == 0"),
    "a_tuple_that_counts_what_it_is_shown": (LIARS, "assert pair([1]).count(5) == 1"),
}
HONEST = {
    "suppression_is_seen": (
        SWALLOWS,
        "with make(1, 2): raise KeyError('x')\nwith make(1, 2): 1 / 0\nwith make(1, 2): int('x')\nreached = make(1, 2).inside == 0\nassert reached",
    ),
    "an_assertion_that_holds_in_a_block": (SWALLOWS, "with make(1, 2) as r:\n    assert r == 0"),
    "an_exception_that_is_let_through": (
        "class Gate:\n    def __enter__(self): return 1\n    def __exit__(self, *why): return False",
        "try:\n    with Gate() as r:\n        assert r == 1\n        raise KeyError\nexcept KeyError:\n    pass",
    ),
    "a_container_from_a_function": (
        """
class Bag:
    def __init__(self): self.items = []
    def add(self, x): self.items.append(x); return self
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __contains__(self, x): return x in self.items
    def count(self, x): return self.items.count(x)
def bag(): return Bag()
""",
        "b = bag()\nassert len(b) == 0 and list(b) == []\nb.add(1).add(2)\nassert len(b) == 2 and [x for x in b] == [1, 2] and 2 in b and 3 not in b",
    ),
    "a_container_that_the_tests_make": (
        "class Bag(list): pass",
        "b = Bag([1, 1])\nassert len(b) == 2 and 1 in b and b.count(1) == 2 and b.index(1) == 0",
    ),
    "items_that_are_there": (
        "class Row:\n    def __init__(s, a): s.a = a\n    def __len__(s): return len(s.a)\n    def __getitem__(s, i): return s.a[i]\ndef row(a): return Row(a)",
        "r = row([1, 2])\nassert list(r) == [1, 2] and list(reversed(r)) == [2, 1] and r[-1] == 2 and r[0:1] == [1]\ntry:\n    r[2]\n    assert False\nexcept IndexError:\n    pass",
    ),
    "a_queue_that_empties": (
        "class Q:\n    def __init__(s, n): s.n = n\n    def __len__(s): return s.n\n    def __iter__(s): return s\n    def __next__(s):\n        if not s.n: raise StopIteration\n        s.n -= 1\n        return s.n\ndef queue(n): return Q(n)",
        "q = queue(2)\nassert len(q) == 2 and next(q) == 1 and len(q) == 1 and list(queue(3)) == [2, 1, 0]",
    ),
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_nothing_that_is_asserted_is_passed_over(judge, name):
    """Neither by a context manager that swallows exceptions, nor by a container that says more than it has."""
    source, tests = PASSED_OVER[name]
    result = judge(source, tests)
    assert result.passed is False
    assert result.reason


@pytest.mark.parametrize("name", HONEST)
def test_honest_objects_pass(judge, name):
    """Context managers may suppress what they are made for, and containers have lengths that change."""
    source, tests = HONEST[name]
    result = judge(source, tests)
    assert (result.passed, result.reason) == (True, "")


def test_a_test_that_the_code_has_wrapped_decides_nothing(judge):
    """A decorator of the code's may have left the test out."""
    result = judge("def quiet(f):\n    return lambda: None", "@quiet\ndef test_it():\n    assert 1 == 2")
    assert (result.passed, result.reason) == (
        None,
        "the code has wrapped the test test_it, so nobody knows whether it is run",
    )


def test_the_heads_of_blocks_that_test_are_known_by_their_lines():
    """A block with an assertion, or with a call of the tests' own functions, wherever it stands."""
    text = "def helper(): pass\nwith a: pass\nwith b:\n    helper()\nwith (\n    c,\n    d,\n):\n    if x:\n        assert y\nwith e: print(1)"
    assert held.lines(ast.parse(text)) == [3, 5, 6, 7, 8]
