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
class Swallow:
    def __init__(self, *kinds): self.kinds, self.caught = kinds, None
    def __enter__(self): return self
    def __exit__(self, kind, value, trace):
        self.caught = value
        return kind is not None and issubclass(kind, self.kinds)
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
    def __iter__(self): return iter([])
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
    "an_error_that_is_raised_for_a_wrong_value": (SWALLOWS, "with make(2, 3) as r:\n    if r != 5: raise ValueError('bad')"),
    "an_error_that_a_helper_raises_for_a_wrong_value": (
        SWALLOWS,
        "def verify(r):\n    match r:\n        case 5: pass\n        case _: raise ValueError('bad')\nwith make(2, 3) as r: verify(r)",
    ),
    "an_error_before_the_last_test": (SWALLOWS, "with make(2, 3) as r:\n    r[0]; assert r == 5"),
    "an_error_in_a_loop_of_tests": (SWALLOWS, "with make(2, 3) as r:\n    for n in range(2):\n        assert n == 0; r[0]"),
    "another_exception_than_is_expected": (
        SWALLOWS,
        "import pytest\nwith make(2, 3) as r:\n    with pytest.raises(KeyError): r[0]",
    ),
    "no_exception_where_one_is_expected": (
        SWALLOWS,
        "import pytest\nwith make(2, 3) as r:\n    with pytest.raises(KeyError): pass",
    ),
    **{
        f"an_{kind}_in_{name}": (SWALLOWS, tests.format(wrong=wrong))
        for kind, wrong in {"assertion": "assert r == 5", "error": "assert r[0] == 5"}.items()
        for name, tests in {
            "a_method_of_a_case": (
                "import unittest\nclass T(unittest.TestCase):\n    def verify(self, r): {wrong}\n    def test(self):\n"
                "        with make(2, 3) as r: self.verify(r)"
            ),
            "a_method_of_an_object": "class C:\n    def same(self, r): {wrong}\nwith make(2, 3) as r: C().same(r)",
            "a_helper_of_a_helper": "def a(r): {wrong}\ndef b(r): a(r)\nwith make(2, 3) as r: b(r)",
            "a_list_of_helpers": "def a(r): {wrong}\nchecks = [a]\nfor x in checks:\n    with make(2, 3) as r: x(r)",
            "a_helper_that_is_passed": "def a(r): {wrong}\nwith make(2, 3) as r: list(map(a, [r]))",
            "a_parameter": "def a(r): {wrong}\ndef run(f):\n    with make(2, 3) as r: f(r)\nrun(a)",
            "a_partial": "import functools\ndef a(n, r): {wrong}\nok = functools.partial(a, 5)\nwith make(2, 3) as r: ok(r)",
            "a_lambda": "def a(r): {wrong}\nok = lambda r: a(r)\nwith make(2, 3) as r: ok(r)",
        }.items()
    },
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
    "a_helper_that_only_raises": (
        SWALLOWS,
        "def bad(): raise ValueError('boom')\nwith Swallow(ValueError) as s: bad()\nassert str(s.caught) == 'boom'",
    ),
    "an_exception_after_the_last_test": (
        SWALLOWS,
        "with Swallow(ValueError) as s: assert s.caught is None; raise ValueError('x')\nassert str(s.caught) == 'x'\nwith make(1, 2):\n    with make(1, 2) as r:\n        assert r == 0\n    int('x')",
    ),
    "an_argument_beside_a_helper": (
        SWALLOWS,
        "def same(r): assert r == 0\ndef run(f, r): f(r)\nrun(same, 0)\nr = {}\nwith Swallow(KeyError) as s: print(r, r['x'])\nassert s.caught",
    ),
    "an_exception_in_the_middle_of_a_loop": (
        SWALLOWS,
        "seen = []\nwith Swallow(ValueError) as s:\n    for n in range(3):\n        seen.append(n)\n        if n == 1: raise ValueError\nassert seen == [0, 1] and s.caught is not None",
    ),
    "what_a_function_that_asserts_has_returned": (
        SWALLOWS,
        "def ready():\n    d = {}\n    assert not d\n    return d\nd = ready()\nwith Swallow(KeyError) as s: print(d, d['x'])\nassert s.caught",
    ),
    "an_assertion_of_the_code": (
        SWALLOWS + "def refuse(): assert False\n",
        "with Swallow(AssertionError) as s: refuse()\nassert s.caught is not None",
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
    "searches_in_what_a_function_returns": (
        """
import array
class Many(list): pass
class Text(str): pass
class Raw(bytes): pass
class Row:
    def __init__(self, a): self.a = a
    def __len__(self): return len(self.a)
    def __getitem__(self, n): return self.a[n]
    def count(self, x): return self.a.count(x)
class Words:
    def __init__(self, text): self.text = text
    def count(self, word): return self.text.split().count(word)
class Query(list):
    def count(self, *tests): return sum(all(test(x) for test in tests) for x in self)
class Shelf:
    @classmethod
    def index(cls, x): return x + 1
def numbers(a): return array.array("i", a)
def many(a): return Many(a)
def text(a): return Text(a)
def raw(a): return Raw(a)
def row(a): return Row(a)
def words(a): return Words(a)
def query(a): return Query(a)
def shelf(): return Shelf
""",
        """
n, m, t = numbers([1, 2, 2]), many(["ab", "c", "ab"]), text("abcab")
assert n.count(2) == 2 and n.index(2) == 1 and m.count("ab") == 2 and m.index("ab", 1) == 2
assert t.count("ab") == 2 and t.count("a", 1) == 1 and t.index("bc") == 1 and raw(b"aab").count(b"a") == 2 and raw(b"aab").index(97) == 0
assert row([1, 1]).count(1) == 2 and words("a b a").count("a") == 2 and shelf().index(1) == 2
assert query([1, 2]).count() == 2 and query([1, 2]).count(lambda x: x > 1) == 1
try:
    n.index(7)
    assert False
except ValueError:
    pass
""",
    ),
    "lengths_that_count_something_else": (
        """
class Bag:
    def __init__(self, items): self.counts = {x: items.count(x) for x in items}
    def __len__(self): return sum(self.counts.values())
    def __iter__(self): return iter(self.counts)
class Document:
    def __init__(self, text): self.text = text
    def __len__(self): return len(self.text)
    def __iter__(self): return iter(self.text.splitlines())
def bag(items): return Bag(items)
def document(text): return Document(text)
""",
        "b, d = bag([1, 1, 2]), document('ab\\ncd')\nassert len(b) == 3 and list(b) == [1, 2] and len(d) == 5 and list(d) == ['ab', 'cd']",
    ),
    "parts_that_begin_with_1": (
        """
class Row:
    def __init__(self, items): self.items = items
    def __len__(self): return len(self.items)
    def __getitem__(self, n):
        if n < 1: raise IndexError
        return self.items[n - 1]
def row(items): return Row(items)
""",
        """
import unittest
import pytest
o = row([5, 6])
assert o[1] == 5 and o[2] == 6 and len(o) == 2
with pytest.raises(IndexError):
    o[0]
pytest.raises(IndexError, lambda: o[0])
try:
    o[0]
    assert False
except (KeyError, IndexError):
    pass
class T(unittest.TestCase):
    def look(self, n): o[n]
    def test(self):
        with self.assertRaises(IndexError): self.look(0)
""",
    ),
    "lengths_that_change_without_a_call": (
        """
class Stack:
    def __init__(self, items): self.items = items
    def __len__(self): return len(self.items)
    def __getitem__(self, n): return self.items.pop(n)
    @property
    def popped(self): return self.items.pop()
def stack(items): return Stack(items)
""",
        """
s = stack([1, 2, 3])
assert len(s) == 3 and s.popped == 3 and len(s) == 2 and s[0] == 1 and len(s) == 1
""",
    ),
    "lengths_that_time_changes": (
        "import time\nclass Cache:\n    def __init__(self, s): self.end = time.monotonic() + s\n    def __len__(self): return int(time.monotonic() < self.end)\ndef cache(s): return Cache(s)",
        "import time\nc = cache(0.5)\nassert len(c) == 1\ntime.sleep(0.6)\nassert len(c) == 0",
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
    result = judge("def quiet(f):\n    return lambda: None", "def test_it():\n    assert 1 == 2\ntest_it = quiet(test_it)")
    assert result.passed is None


def test_an_object_of_the_code_is_no_test_whatever_the_tests_call_it(judge):
    """A variable of the tests may begin with `test`, callable or not."""
    source = "class Stack:\n    def __init__(self): self.n = 0\n    def push(self, x): self.n += 1\n    def size(self): return self.n\ndef adder(n): return lambda x: x + n"
    tests = "test_stack = Stack()\ntest_stack.push(1)\nassert test_stack.size() == 1\ntest_add = adder(1)\nassert list(map(test_add, [1])) == [2]"
    result = judge(source, tests)
    assert (result.passed, result.reason) == (True, "")


def test_the_heads_of_blocks_that_test_are_known_by_their_lines():
    """A block with an assertion, or with a call of a function of the tests that asserts, wherever it stands."""
    text = "def helper(): assert z\nwith a: pass\nwith b:\n    helper()\nwith (\n    c,\n    d,\n):\n    if x:\n        assert y\nwith e: print(1)"
    assert list(held.blocks(ast.parse(text))) == [3, 5, 6, 7, 8]
