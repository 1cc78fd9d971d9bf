"""How people write tests: what looks into objects, seeds, derives from built-in classes; and what can't reach the code."""

from __future__ import annotations

import pytest

POINT = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 0\n"
STACK = "class St(list):\n    def push(self, x): self.append(x)\n"
WRAPS = "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def w(*a, **k): return 2 * f(*a, **k)\n    return w\n"
RANDOM = "import random\ndef f(): return random.randint(0, 10 ** 9)\n"
MONEY = "class M:\n    def __init__(self, a): self.a = a\n    def __eq__(self, o):\n        return self.a == o.a\n    __hash__ = None\n"
NODE = "class Node:\n    def __init__(self, val, left=None, right=None): self.val, self.left, self.right = val, left, right\n"
MEMO = "def memo(f):\n    known = {}\n    def w(n):\n        if n not in known: known[n] = f(n)\n        return known[n]\n    return w\n"
LOG_OF = "LOG = []\ndef put(x):\n    LOG.append(x)\n    return len(LOG)\ndef clear(): LOG.clear()\n"
LIKE = """
from collections import UserList, UserString
from collections.abc import MutableMapping, Set
class M(MutableMapping):
    def __init__(self): self.d = {}
    def __getitem__(self, k): return self.d[k]
    def __setitem__(self, k, v): self.d[k] = v
    def __delitem__(self, k): del self.d[k]
    def __iter__(self): return iter(self.d)
    def __len__(self): return len(self.d)
class S(Set):
    def __contains__(self, x): return x in (1, 2)
    def __iter__(self): return iter((1, 2))
    def __len__(self): return 2
class L(UserList): pass
class T(UserString): pass
"""

VERSION = "import functools\n@functools.total_ordering\nclass V:\n    def __init__(self, n): self.n = n\n    def __lt__(self, o): return self.n < (o.n if isinstance(o, V) else o)\n    def next(self): return V(self.n + 1)\n"
BAG = "class Bag:\n    def __init__(self, x): self.x = set(x)\n    def __iter__(self): return iter(self.x)\n    def issubset(self, o): return self.x <= o.x\n    def union(self, o): return Bag(self.x | o.x)\n"

RIGHT = {
    "a_sum_against_data": ("class Q:\n    def __init__(self, n): self.n = n\n    def __add__(self, o): return Q(self.n + o.n)\n    def __lt__(self, o): return self.n < (o.n if isinstance(o, Q) else o)\n    def __neg__(self): return Q(-self.n)\n    def __mul__(self, k): return Q(self.n * k)\n    def __eq__(self, o): return self.n == o.n", "assert Q(1) + Q(2) < 4 and not Q(1) + Q(2) < 3 and -(Q(2) * 2) == Q(-4)"),
    "searches_in_a_text_of_the_code_s": ("from collections import UserString\nclass S(UserString): pass\ndef f(): return S('hello')", "assert 'ell' in f() and f().startswith('he') and f().find('l') == 2"),
    "a_tree_that_answers_with_itself": ("class T:\n    def __init__(self): self.w = []\n    def insert(self, w):\n        self.w.append(w)\n        return self\n    def __contains__(self, w): return w in self.w\n    def __enter__(self): return self\n    def __exit__(self, *a): pass", "t = T()\nt.insert('ab')\nassert 'ab' in t and 'a' not in t\nwith T() as u:\n    u.insert('x')\n    assert 'x' in u"),
    "a_class_that_makes_objects_by_name": ("class M:\n    def __init__(self, a): self.a = a\n    @classmethod\n    def identity(cls, n): return cls([1] * n)\n    def __mul__(self, k): return M([x * k for x in self.a])\n    def __getitem__(self, i): return self.a[i]\n    def __len__(self): return len(self.a)", "assert (M.identity(2) * 2)[0] == 2 and len(M.identity(3)) == 3"),
    "a_cache_that_derives_from_a_dict": ("from collections import OrderedDict\nclass LRU(OrderedDict):\n    def __init__(self, n):\n        super().__init__()\n        self.n = n\n    def get(self, k):\n        if k not in self: return -1\n        self.move_to_end(k)\n        return self[k]\n    def put(self, k, v):\n        self[k] = v\n        if len(self) > self.n: self.popitem(last=False)\ndef make(n): return LRU(n)", "c = make(2)\nc.put(1, 1)\nc.put(2, 2)\nassert c.get(1) == 1\nc.put(3, 3)\nassert c.get(2) == -1 and list(c) == [1, 3]"),
    "an_order_against_data": (VERSION, "assert V(1) < 2 and V(3) > 2 and V(1).next() < V(3)"),
    "what_is_in_an_answer": (BAG, "assert 2 in Bag([1]).union(Bag([2])) and 3 not in Bag([1]).union(Bag([2]))\nassert Bag([1]).union(Bag([2])).issubset(Bag([1, 2, 3]))"),
    "a_script_that_ends_itself": ("def add(a, b): return a + b", "import sys\ndef test_a(): assert add(1, 1) == 2\nassert add(2, 3) == 5\nsys.exit(0)"),
    "a_script_that_exits": ("def add(a, b): return a + b", "assert add(2, 3) == 5\nexit()"),
    "a_runner_that_exits": ("def add(a, b): return a + b", "import sys, unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)\nif __name__ == '__main__':\n    done = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T))\n    sys.exit(not done.wasSuccessful())"),
    "dicts_with_a_default_of_the_code_s": ("from collections import defaultdict\ndef f(): return defaultdict(lambda: 7)\ndef g(): return defaultdict(lambda: defaultdict(int))", "assert f()['x'] == 7 and f() == {}\nd = g()\nd['x']['y'] += 1\nassert d == {'x': {'y': 1}}"),
    "dicts_with_a_default_of_the_tests_": ("def f(d): return d['x'] + 1", "from collections import defaultdict\nassert f(defaultdict(lambda: 4)) == 5"),
    "numbers_with_names": ("def f(x): return x + 1", "from enum import IntEnum\nclass L(IntEnum):\n    A = 1\nassert f(L.A) == 2"),
    "a_signature": ("def f(a, b=2):\n    'doc'", "import inspect\ns = inspect.signature(f)\nassert list(s.parameters) == ['a', 'b'] and s.parameters['b'].default == 2"),
    "a_docstring": ("def f():\n    'doc'\nclass A:\n    def go(self): 'method'", "assert f.__doc__ == 'doc' and f.__name__ == 'f' and A().go.__doc__ == 'method'"),
    "kinds_of_functions": ("async def a(): pass\ndef g(): yield\ndef f(): pass", "import asyncio, inspect\nassert asyncio.iscoroutinefunction(a) and inspect.iscoroutinefunction(a) and not inspect.iscoroutinefunction(f)\nassert inspect.isgeneratorfunction(g) and not inspect.isgeneratorfunction(f) and inspect.isfunction(f)"),
    "a_generator": ("def g(n):\n    yield from range(n)", "import types, inspect\nfrom collections.abc import Iterator\nassert isinstance(g(2), types.GeneratorType) and inspect.isgenerator(g(2)) and isinstance(g(2), Iterator)\nassert list(g(2)) == [0, 1]"),
    "lazy_built-ins": ("def f(a): return map(str, a)\ndef g(a): return zip(a, a)", "assert isinstance(f([1]), map) and isinstance(g([1]), zip) and not isinstance(f([1]), zip) and list(f([1])) == ['1']"),
    "a_dataclass": (POINT, "import dataclasses\nassert dataclasses.is_dataclass(P) and dataclasses.asdict(P(1)) == {'x': 1, 'y': 0} and dataclasses.astuple(P(1)) == (1, 0)\nassert [f.name for f in dataclasses.fields(P)] == ['x', 'y'] and dataclasses.replace(P(1), x=5).x == 5"),
    "a_dataclass_of_the_tests": ("def f(p): return p.x", "from dataclasses import asdict, dataclass\n@dataclass\nclass Q:\n    x: int\nassert f(Q(3)) == 3 and asdict(Q(3)) == {'x': 3}"),
    "names_of_an_object": ("class A:\n    def go(self): pass", "assert 'go' in dir(A) and 'go' in dir(A()) and hasattr(A, 'go')"),
    "a_wrapper": (WRAPS, "@twice\ndef g(x):\n    'd'\n    return x + 1\nassert g(2) == 6 and g.__name__ == 'g' and g.__doc__ == 'd'"),
    "a_seed": (RANDOM, "import random\nrandom.seed(42)\na = [f(), f()]\nrandom.seed(42)\nassert [f(), f()] == a and f() not in a"),
    "a_seed_s_number": (RANDOM, "from random import seed, randint\nseed(7)\nright = randint(0, 10 ** 9)\nseed(7)\nassert f() == right"),
    "a_state": (RANDOM, "import random\nstate = random.getstate()\nrandom.setstate(state)\na = f()\nrandom.setstate(state)\nassert f() == a"),
    "a_list_of_its_own": (STACK, "s = St([1])\ns.push(2)\nassert s == [1, 2] and [1, 2] == s and s != [1] and not s == (1, 2)\ns.push(3)\nassert s == [1, 2, 3]"),
    "a_number_of_its_own": ("from enum import IntEnum\nclass N(int): pass\nclass C(IntEnum):\n    R = 1\ndef f(): return C.R\ndef g(): return N(3)", "assert f() == 1 and f() != 2 and f() == C.R and f() in {1, 2} and g() == 3 and g() in [3]"),
    "a_text_of_its_own": ("from enum import Enum\nclass S(str): pass\nclass C(str, Enum):\n    A = 'a'\ndef f(): return S('x')\ndef g(): return C.A", "assert f() == 'x' and g() == 'a' and g() == C.A and g() != 'b'"),
    "a_dict_of_its_own": ("class D(dict): pass\ndef f(): return D(a=[1])", "assert f() == {'a': [1]} and f() != {}"),
    "what_a_list_of_its_own_can_do": (STACK, "s = St([2])\ns.push(1)\nassert isinstance(s, list) and s + [3] == [2, 1, 3] and 1 in s and s[0] == 2 and s[::-1] == [1, 2] and sorted(s) == [1, 2] and s > [1] and s.__class__.__name__ == 'St'\ns[0] = 5\nassert s == [5, 1]"),
    "what_a_text_of_its_own_can_do": ("class Slug(str):\n    def __new__(cls, s): return super().__new__(cls, s.lower())\ndef f(s): return Slug(s)", "x = f('Hello')\nassert isinstance(x, str) and x.startswith('he') and 'ell' in x and x + '!' == 'hello!' and '<' + x == '<hello' and x.count('l') == 2 and x[::-1] == 'olleh' and x < 'z' and {x: 1}['hello'] and {'hello': 2}[x] and len(x) == 5"),
    "what_a_number_of_its_own_can_do": ("class C(float):\n    def f(self): return self * 9 / 5 + 32\ndef g(): return C(10)", "import math, pytest\nassert isinstance(g(), float) and C(100).f() == 212 and abs(g() - 10) < 1e-9 and 9 < g() < 11 and 1 + g() == 11 and -g() == -10 and math.isclose(g(), 10) and g() == pytest.approx(10) and [g() / 2] == [5] and round(g()) == 10"),
    "a_named_tuple_with_methods": ("from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    y: int\n    def norm(self): return (self.x ** 2 + self.y ** 2) ** .5", "p = P(3, 4)\nx, y = p\nassert p.norm() == 5 and p == (3, 4) and (x, y) == (3, 4) and isinstance(p, tuple) and p < (4, 0) and p in {(3, 4)} and p._replace(x=0) == (0, 4)"),
    "other_containers_of_its_own": ("from collections import Counter, OrderedDict, deque\nclass L(OrderedDict): pass\nclass B(Counter): pass\nclass Q(deque): pass", "from collections import Counter, OrderedDict, deque\nl = L(a=1, b=2)\nl.move_to_end('a')\nassert l == {'a': 1, 'b': 2} and l == OrderedDict(b=2, a=1) != OrderedDict(a=1, b=2) and list(l) == ['b', 'a'] and isinstance(l, OrderedDict) and isinstance(l, dict)\nassert B('aab') == Counter('aab') and B('aab')['a'] == 2 and Q([1, 2, 3], 2) == deque([2, 3])"),
    "classes_of_the_library": ("import threading\nfrom enum import Enum, IntEnum\nfrom collections.abc import Mapping\nclass C(Enum):\n    A = 1\nclass I(IntEnum):\n    A = 1\nclass M(Mapping):\n    def __getitem__(self, k): return 1\n    def __iter__(self): return iter('a')\n    def __len__(self): return 1\nclass T(threading.Thread): pass", "import threading\nfrom enum import Enum, IntEnum\nfrom collections.abc import Mapping, Sequence\nassert isinstance(C.A, Enum) and isinstance(C.A, C) and not isinstance(C.A, int) and isinstance(I.A, IntEnum) and isinstance(I.A, int) and isinstance(T(), threading.Thread)\nassert isinstance(M(), Mapping) and not isinstance(M(), Sequence) and dict(M()) == {'a': 1}"),
    "threads_that_call_the_tests": ("import queue, threading\nclass Pool:\n    def __init__(self):\n        self.q, self.r = queue.Queue(), []\n        for _ in range(2): threading.Thread(target=self.work, daemon=True).start()\n    def work(self):\n        while True:\n            f, a = self.q.get()\n            try: self.r.append(f(a))\n            finally: self.q.task_done()", "p = Pool()\nfor i in range(5): p.q.put((lambda x: x + 1, i))\np.q.join()\nassert sorted(p.r) == [1, 2, 3, 4, 5]"),
    "a_finalizer_that_calls_the_tests": ("class D:\n    def __init__(self, f): self.f = f\n    def __del__(self): self.f()", "d = D(lambda: 1)\ndel d\nassert D(len) is not None"),
    "a_generator_twice": ("def g():\n    yield from (1, 2)", "import itertools\na, b = itertools.tee(g())\nassert list(a) == list(b) == [1, 2]"),
    "views": ("def k(d): return d.keys()\ndef v(d): return d.values()\ndef i(d): return d.items()", "d = {'a': 1, 'b': 2}\nassert k(d) == {'a', 'b'} and list(v(d)) == [1, 2] and i(d) == d.items() and sorted(k(d)) == ['a', 'b']"),
    "paths_and_other_values": ("def same(x): return x", "import ipaddress, pathlib, uuid\nfor x in (pathlib.Path('/a/b'), pathlib.PurePosixPath('c'), uuid.UUID(int=5), ipaddress.ip_address('::1'), ipaddress.ip_network('10.0.0.0/8')):\n    assert same(x) == x and type(same(x)) is type(x)"),
    "a_response_that_is_a_mock": ("def f(r):\n    r.seen = True\n    return r.status_code, r.json()['a']", "from unittest.mock import Mock\nr = Mock(status_code=200)\nr.json.return_value = {'a': 1}\nassert f(r) == (200, 1) and r.seen"),
    "a_namespace": ("def f(o): return o.a + o.b.c", "from types import SimpleNamespace\nassert f(SimpleNamespace(a=1, b=SimpleNamespace(c=2))) == 3"),
    "lists_of_objects_that_the_tests_change": ("class K:\n    def __init__(self): self.a, self.d = [], {}\n    def count(self): return len(self.a) + len(self.d)\n    def row(self, k): return self.d.setdefault(k, [])\n    def sum(self): return sum(map(sum, self.d.values()))", "k = K()\nk.a.append(1)\nk.d['x'] = [2]\nk.a.append(5)\nassert k.count() == 3 and k.a == [1, 5]\nk.row('x').append(3)\nk.row('y').extend([1, 2])\nassert k.sum() == 8"),
    "lists_of_the_tests_that_are_kept": ("class V:\n    def __init__(self, a): self.a = a\n    def sum(self): return sum(self.a)\nclass C:\n    def __init__(self, a): self.a = list(a)\n    def sum(self): return sum(self.a)\n    def get(self): return list(self.a)", "a = [1]\nv, c = V(a), C(a)\na.append(2)\nassert v.sum() == 3 and c.sum() == 1\nc.get().append(9)\nassert c.sum() == 1 and c.get() == [1]"),
    "what_is_made_for_the_prompt_s_class": (NODE + "class S:\n    def depth(self, n): return 1 + max(self.depth(n.left), self.depth(n.right)) if n else 0\n    def make(self, x): return Node(x)", "assert S().depth(Node(1, Node(2))) == 2 and S().make(3).val == 3", NODE),
    "classes_below_others": ("import re\nfrom enum import Enum\nfrom typing import NamedTuple\nclass S(list): pass\nclass E(Enum):\n    A = 1\nclass P(NamedTuple):\n    x: int\nclass A: pass\nclass B(A):\n    @property\n    def x(self): return 1\ndef f(): return re.match('a', 'a'), re.compile('a')", "import enum, re\nassert issubclass(S, list) and not issubclass(S, dict) and issubclass(E, enum.Enum) and issubclass(P, (str, tuple)) and issubclass(B, A) and not issubclass(A, B) and not issubclass(A, list)\nassert isinstance(f()[0], re.Match) and isinstance(f()[1], re.Pattern) and isinstance(B.x, property)"),
    "a_recursion_that_goes_through_the_code": (MEMO, "@memo\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nassert fib(100) == 354224848179261915075"),
    "what_is_called_around_tests": (LOG_OF, "import unittest\nseen = []\ndef setup_module(module): seen.append(module.seen is seen)\ndef setup_function(f): clear(); seen.append(f.__name__)\ndef teardown_function(): seen.append('down')\ndef test_a(): assert put(1) == 1\ndef test_b(): assert put(1) == 1 and seen == [True, 'test_a', 'down', 'test_b']\nclass TestC:\n    @classmethod\n    def setup_class(cls): cls.x = 5\n    def setup_method(self, method): self.name = method.__name__\n    def test_c(self): assert put(self.x) == 2 and self.name == 'test_c'"),
    "what_is_called_before_cases": (LOG_OF, "import unittest\ndef setUpModule(): put(1)\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(put(1), 2)"),
    "fixtures_with_options": (LOG_OF, "import pytest\nmade = []\n@pytest.fixture(params=[1, 2])\ndef n(request): return request.param\n@pytest.fixture(autouse=True)\ndef clean(): clear()\n@pytest.fixture(scope='module')\ndef once():\n    made.append(1)\n    return made\n@pytest.fixture\ndef twice(request): return 2 * request.param\n@pytest.mark.parametrize('twice, m', [(1, 2), (3, 6)], indirect=['twice'])\ndef test_a(twice, m, n, once): assert twice == m and put(n) == 1 and once == [1]\n@pytest.mark.parametrize('a', [1, 2])\nclass TestB:\n    @pytest.fixture\n    def own(self, n): return n + 1\n    def test_b(self, own, n, a, once):\n        assert own == n + 1 and put(a) == 1 and once == [1]\n        made.append(2) if a == 2 and n == 2 else None\ndef test_c(): assert made == [1, 2]"),
    "bounds_of_approx": ("from decimal import Decimal\nfrom fractions import Fraction\ndef f(x): return x", "from decimal import Decimal\nfrom fractions import Fraction\nfrom pytest import approx\nassert f(Fraction(1, 3)) == approx(1 / 3) and f(Decimal('0.33333')) == approx(Decimal(1) / 3, abs=Decimal('0.001')) and f(1j / 3) == approx(.3333333j)\nassert f(float('nan')) == approx(float('nan'), nan_ok=True) and f([True, None, .3]) == approx([True, None, .1 + .2]) and f(1000001.) == approx(1e6, rel=1e-5, abs=.1)"),
    "an_object_that_is_no_data": (MONEY.replace("return", "if type(o) is not M: return NotImplemented\n        return"), "assert M(5) == M(5) != M(6) and M(5) != 5 and not (M(5) == 'x') and M(5) not in [5, None] and 5 not in [M(5)]"),
    "what_compares_as_the_library_s": (LIKE, "m, s, l, t = M(), S(), L([1]), T('ab')\nm['a'] = 1\nl.append(2)\nassert m == {'a': 1} and {'a': 1} == m and m != {} and s == {1, 2} and s != {1} and s != [1, 2] and l == [1, 2] and l != [1] and t == 'ab' != 'a'\nm['b'] = 2\nassert m == {'a': 1, 'b': 2}"),
    "lists_of_an_object_that_the_tests_get_again_and_again": ("class K:\n    def __init__(self): self.a = []", "k = K()\nfor n in range(30): k.a.append(n)\nassert k.a == list(range(30))"),
    "a_large_list_that_stays": ("P = [*range(300_000)]\ndef f(): return P", "for _ in range(12): assert len(f()) == 300_000"),
    "a_list_that_takes_what_cannot_cross": ("class K:\n    def __init__(self): self.a = [1]\n    def get(self): return self.a", "import math\nx = K().get()\nx.append(math)\nassert K().get() == [1]"),
    "a_class_with_parameters_for_fixtures": ("def f(x): return x", "import pytest\n@pytest.fixture\ndef twice(request): return 2 * request.param\n@pytest.mark.parametrize('twice', [1, 3], indirect=True)\nclass TestA:\n    def test_a(self, twice): assert f(twice) in (2, 6)"),
    "a_source": ("class A:\n    def go(self): return 5\ndef f(n):\n    return 1 if n < 2 else n * f(n - 1)\n", "import ast, inspect\nassert 'for' not in inspect.getsource(f) and 'return 5' in inspect.getsource(A) and 'return 5' in inspect.getsource(A.go) and inspect.getsourcelines(f)[1] == 3\nassert any(isinstance(n, ast.Call) and n.func.id == 'f' for n in ast.walk(ast.parse(inspect.getsource(f))))"),
    "a_source_of_its_own": ("import inspect, os, traceback\nHERE = os.path.dirname(os.path.abspath(__file__))\ndef f():\n    try: 1 / 0\n    except ZeroDivisionError: return traceback.format_exc() + inspect.getsource(f) + open(__file__).read() + HERE", "assert f().count('1 / 0') == 3"),
    "a_mark_of_the_byte_order": ("\ufeffdef f(): return 1", "assert f() == 1"),
    "what_is_asked_of_an_exception_later": ("def f(n): raise ValueError(f'negative: {n}')", "import pytest\nwith pytest.raises(ValueError) as e: f(-2)\nassert e.match('^neg') and e.typename == 'ValueError'"),
    "warnings_that_nobody_looks_at": ("import warnings\ndef f(): warnings.warn('old')", "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    assert f() is None"),
    "tests_that_are_not_skipped": ("def f(): return 1", "import sys, pytest\n@pytest.mark.skipif(sys.version_info < (3, 8), reason='old')\ndef test_f(): assert f() == 1\n@pytest.mark.skipif(sys.platform == 'win32', reason='files')\nclass TestF:\n    def test_f(self): assert f() == 1"),
    "folders_of_a_factory": ("def f(p):\n    with open(p) as file: return file.read().upper()", "import pytest\n@pytest.fixture(scope='module')\ndef path(tmp_path_factory):\n    made = tmp_path_factory.mktemp('data') / 'a.txt'\n    made.write_text('abc')\n    return made\ndef test_f(path): assert f(path) == f(str(path)) == 'ABC'"),
    "tests_called_as_the_code_s_own": ("import pytest\nfrom pytest import fail, importorskip\ndef f(): return 1\ndef test_f(): pass", "class TestF:\n    def test_f(self): assert f() == 1"),
    "a_list_that_the_tests_change_before_the_code": ("class K:\n    def __init__(self): self.a = [1]\n    def get(self): return self.a\n    def add(self, x): self.a.append(x + 1)", "k = K()\nx = k.get()\nx.append(5)\nk.add(4)\nassert k.get() == x"),
    "two_copies_of_a_list_of_an_object": ("class K:\n    def __init__(self): self.a = []", "k = K()\nx = k.a\nk.a.append(1)\nassert x == k.a"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_passes(judge, name):
    """Whatever the tests look at, and however: what is right passes."""
    source, tests, *prelude = RIGHT[name]
    result = judge(source, tests, prelude="".join(prelude))
    assert (result.passed, result.reason) == (True, "")


KEEPS = "class K:\n    def __init__(self, a): self.a = a\n    def add(self, x): self.a.append(x)\n"
WRONG = {
    "a_list_that_only_the_code_has": (KEEPS, "k = K([1])\nk.add(2)\nk.add(2)\nassert k.a == [1, 2]"),
    "a_list_of_an_object_that_stays": ("class K:\n    def __init__(self): self.a = []", "k = K()\nassert k.a == []\nassert len(k.a) == 1"),
    "a_list_that_is_not_kept": ("def f(a): return sum(a)", "a = [1]\nassert f(a) == 1\na.append(1)\nassert f(a) == 3"),
    "a_list_that_is_kept_as_it_was": (KEEPS, "a = [1]\nassert K(a).a == [1]\nassert K(a).a == [2]"),
    "a_seed_that_decides_nothing": ("import random\ndef f(): return random.SystemRandom().random()", "import random\nrandom.seed(1)\na = f()\nrandom.seed(1)\nassert f() == a"),
    "another_number_of_its_own": ("class N(int): pass\ndef f(): return N(4)", "assert f() == 3"),
    "another_part_of_a_text_of_its_own": ("class S(str):\n    def __contains__(self, other): return True\n    def startswith(self, other): return True\ndef f(): return S('x')", "assert f().startswith('y') or 'y' in f()"),
    "a_class_of_the_library_that_it_is_not": ("class C:\n    A = 1\nclass D(dict): pass", "from enum import Enum\nassert isinstance(C().A, Enum) or isinstance(C(), Enum) or isinstance(D(), list)"),
    "one_that_equals_everything": ("class N(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(): return N(3)", "assert f() == 3"),
    "one_that_tells_other_parts": ("class L(list):\n    def __iter__(self): return iter([1, 2])\n    def copy(self): return [1, 2]\ndef f(): return L()", "assert f() == [1, 2]"),
    "one_whose_number_changes": ("class N(int):\n    left = [3, 4]\n    def __int__(self): return self.left.pop(0)\ndef f(): return N(5)", "n = f()\nassert n == 3"),
    "a_list_that_is_no_generator": ("def g(n): return list(range(n))", "import types\nassert isinstance(g(2), types.GeneratorType)"),
    "another_signature": ("def f(a): pass", "import inspect\nassert list(inspect.signature(f).parameters) == ['a', 'b']"),
    "other_fields": (POINT, "import dataclasses\nassert dataclasses.asdict(P(1)) == {'x': 1}"),
    "settings_of_unittest": ("def f(): return 1", "import unittest\nfrom http import HTTPStatus\nunittest.TestCase.maxDiff = None\nassert f() == HTTPStatus.OK"),
    "a_list_that_is_not_copied": ("class K:\n    def __init__(self): self.a = [1]\n    def get(self): return self.a", "k = K()\nk.get().append(5)\nassert k.get() == [1]"),
    "a_list_that_is_not_copied_on_the_way_in": (KEEPS, "a = [1]\nk = K(a)\na.append(2)\nassert k.a == [1]"),
    "a_list_in_a_list_that_is_not_copied": ("class K:\n    def __init__(self): self.a = [[1], [2]]\n    def get(self): return list(self.a)", "k = K()\nk.get()[0][0] = 5\nassert k.get() == [[1], [2]]"),
    "a_class_below_no_list": ("class S: pass", "assert issubclass(S, list)"),
    "a_parameter_of_a_fixture": ("def f(n): return 1", "import pytest\n@pytest.fixture(params=[1, 2])\ndef n(request): return request.param\ndef test_f(n): assert f(n) == n"),
    "a_recursion_without_end": ("def call(f): return f()", "def g(): return call(g)\ng()"),
    "a_bound_of_approx_s_own": ("def f(): return 1000000.5", "from pytest import approx\nassert f() == approx(1e6, abs=.01)"),
    "an_object_that_fails_to_compare": (MONEY, "assert M(5) == M(5) and M(5) != 5"),
    "other_items": (LIKE, "m = M()\nm['a'] = 1\nassert m == {'a': 2}"),
    "other_members": (LIKE, "assert S() == {1, 2, 3}"),
    "what_the_tests_draw": ("import random\nstate = random.getstate()\ndef f(n):\n    random.seed(0)\n    return 0", "import random\nrandom.seed(5)\nfor _ in range(9):\n    n = random.randint(0, 10 ** 9)\n    assert f(n) == n"),
    "a_list_that_the_tests_change_twice": ("class K:\n    def __init__(self): self.a = []", "k = K()\nk.a.append(1)\nk.a.append(2)\nassert k.a == [1, 3]"),
    "what_is_asked_when_all_is_put_away": ("def f(): return 1", "import pytest\n@pytest.fixture(scope='module')\ndef x():\n    yield f()\n    assert f() == 2\ndef test_a(x): pass"),
    "what_is_asked_after_all_tests": ("def f(): return 1", "def teardown_module(): assert f() == 2\ndef test_a(): f()"),
    "what_is_asked_before_a_class_above": ("def f(): return 1", "class Base:\n    @classmethod\n    def setup_class(cls): assert f() == 2\nclass TestA(Base):\n    def test_a(self): f()"),
    "parameters_that_look_alike": ("class V:\n    def __init__(self, n): self.n = n\n    def __repr__(self): return 'V'\n    def ok(self): return self.n < 2", "import pytest\n@pytest.fixture(scope='module', params=[V(1), V(2)])\ndef v(request): return request.param\ndef test_a(v): assert v.ok()"),
    "a_source_with_what_is_forbidden": ("def f(n): return sum(n)", "import inspect\nassert 'sum(' not in inspect.getsource(f)"),
    "what_an_exception_does_not_say": ("def f(): raise ValueError('no')", "import pytest\nwith pytest.raises(ValueError) as e: f()\ne.match('^neg')"),
    "where_warnings_are_ignored": ("def f(): return 1", "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    assert f() == 2"),
    "what_looks_for_the_tests_text": ("import inspect, sys\ndef f():\n    for m in [*sys.modules.values()]:\n        try: text = inspect.getsource(m)\n        except Exception: continue\n        if 'WAN' + 'TED' in text: return eval(text.split('WAN' + 'TED = ')[1][:4])\n    return getattr(sys.modules['__main__'], 'WAN' + 'TED', 0)", "WANTED = 7**9\nassert f() == WANTED"),
    "a_test_that_is_not_skipped": ("def f(): return 2", "import sys, pytest\n@pytest.mark.skipif(sys.version_info < (3, 8), reason='old')\ndef test_f(): assert f() == 1"),
    "parts_that_the_library_would_not_compare": ("from collections import UserList\nclass D:\n    def __iter__(self): return iter([1])\nclass L(UserList):\n    def __init__(self): self.data = D()", "assert L() == [1]"),
    "a_list_that_both_change": ("class K:\n    def __init__(self): self.a = [1]\n    def get(self): return self.a\n    def add(self, x): self.a.append(x + 1)", "k = K()\nx = k.get()\nk.add(7)\nx.append(7)\nassert k.get() == [1, 7]"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_code_fails(judge, name):
    """The same styles fail what is wrong."""
    assert judge(*WRONG[name]).passed is False


LOG = "import logging, warnings\nlog = logging.getLogger('a')\ndef f():\n    log.error('bad')\n    warnings.warn('old', DeprecationWarning)\n"
UNDECIDED = {
    "warnings": (LOG, "import warnings\nwith warnings.catch_warnings(record=True) as w:\n    f()\nassert len(w) == 1", "warnings or a log"),
    "warnings_in_unittest": (LOG, "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        with self.assertWarns(DeprecationWarning): f()", "warnings or a log"),
    "a_log": (LOG, "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        with self.assertLogs('a'): f()", "warnings or a log"),
    "a_handler": (LOG, "import io, logging\nb = io.StringIO()\nlogging.getLogger('a').addHandler(logging.StreamHandler(b))\nf()\nassert 'bad' in b.getvalue()", "warnings or a log"),
    "depth": ("def f(n): return n and f(n - 1)", "import sys\nsys.setrecursionlimit(20000)\nassert f(5000) == 0", "an interpreter"),
    "precision": ("from decimal import Decimal\ndef f(): return Decimal(1) / 7", "import decimal\ndecimal.getcontext().prec = 50\nassert len(str(f())) > 40", "an interpreter"),
    "a_cause": ("def f():\n    try: 1 / 0\n    except ZeroDivisionError as e: raise ValueError('x') from e", "try: f()\nexcept ValueError as e: assert isinstance(e.__cause__, ZeroDivisionError)", "caused an exception"),
    "a_module_s_function": (RANDOM, "import random\nrandom.randint = lambda a, b: 6\nassert f() == 6", "random.randint"),
    "a_module_s_variable": ("import sys\ndef f(): return sys.argv[1]", "import sys\nsys.argv = ['a', 'b']\nassert f() == 'b'", "sys.argv"),
    "a_list_that_the_code_empties_to_be_right": ("class S:\n    def __init__(self, a): self.a = a\n    def result(self):\n        self.a.clear()\n        return []", "a = [3, 1, 2]\ns = S(a)\na.sort()\nassert s.result() == a", "kept"),
    "what_comes_of_data": ("class M(int):\n    def __sub__(self, other): return M(0)", "assert M(3) - 5 == 0", "made of data"),
    "an_object_that_equals_a_number": (MONEY.replace("o.a", "o"), "assert M(5) == 5", "says that it equals"),
    "an_object_that_equals_a_text_too": (MONEY.replace("self.a == o.a", "True"), "assert M(5) != 'x'", "says that it equals"),
    "a_test_in_a_class_that_the_code_has_replaced": ("def by(f): return 1", "class TestA:\n    @by\n    def test_a(self): assert False", "wrapped the test TestA.test_a"),
    "a_case_that_the_code_has_replaced": ("def by(f): return lambda *a: None", "import unittest\nclass A(unittest.TestCase):\n    @by\n    def test_a(self): assert False", "wrapped the test A.test_a"),
    "a_class_that_the_code_has_replaced": ("def by(f): return int", "@by\nclass TestA:\n    def test_a(self): assert False", "wrapped the test TestA"),
    "a_test_that_the_code_has_removed": ("def by(f): pass\ndef test_a(): pass", "@by\ndef test_a(): assert False", "wrapped the test test_a"),
    "a_check_that_the_code_has_replaced": ("def by(f): return lambda *a: None\ndef f(): pass", "f()\n@by\ndef check(candidate): assert False", "wrapped the test check"),
    "a_method_that_the_code_replaces": ("def f(n):\n    n.same = lambda o: True\n    return n", "class Node:\n    def __init__(self, v): self.v = v\n    def same(self, o): return self.v == o.v\nassert f(Node(1)).same(Node(2))", "replaces the method same"),
    "coroutines_side_by_side": ("import asyncio\nasync def f(n): await asyncio.sleep(n)", "import asyncio\nasync def main():\n    try: await asyncio.wait_for(f(.2), .01)\n    except asyncio.TimeoutError: return\n    assert False\nasyncio.run(main())", "side by side"),
    "a_coroutine_of_the_tests": ("def twice(f):\n    async def w(*a):\n        return 2 * await f(*a)\n    return w", "import asyncio\n@twice\nasync def g(x): return x + 1\nassert asyncio.run(g(1)) == 4", "awaits"),
    "warnings_that_are_errors": (LOG, "import warnings, pytest\nwith warnings.catch_warnings():\n    warnings.simplefilter('error')\n    with pytest.raises(DeprecationWarning): f()", "warnings or a log"),
    "warnings_of_one_kind_that_are_recorded": (LOG, "import warnings\nwith warnings.catch_warnings(category=UserWarning, record=True) as w:\n    f()\n    assert w", "warnings or a log"),
    "warnings_of_one_kind_that_are_errors": (LOG, "import warnings, pytest\nwarnings.filterwarnings(category=DeprecationWarning, action='error')\nwith pytest.raises(DeprecationWarning): f()", "warnings or a log"),
    "a_pickled_object": ("class K: pass", "import pickle\nassert pickle.loads(pickle.dumps(K())) is not None", "pickle an object"),
    "a_pickled_object_that_says_what_it_was": ("class R:\n    def __reduce__(s): return (eval, ('5',))\n    __reduce_ex__ = lambda s, n: (eval, ('5',))\ndef add(a, b): return R()", "import pickle\nassert pickle.loads(pickle.dumps(add(2, 3))) == 5", "pickle an object"),
    "a_test_that_the_code_may_skip": ("def f(): return True", "import pytest\n@pytest.mark.skipif(f(), reason='no')\ndef test_f(): assert f() == 1\ndef test_g(): assert f()", "skip some"),
    "a_condition_of_the_code_s": ("class F:\n    def __bool__(self): return False\ndef f(): return F()", "import pytest\n@pytest.mark.skipif(f(), reason='no')\ndef test_f(): assert f() is not None", "skip some"),
    "by_setattr": (RANDOM, "import random as r\nsetattr(r, 'randint', lambda a, b: 6)\nassert f() == 6", "r."),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_does_not_reach_the_code_fails_nobody(judge, name):
    """Where tests want something of the code's process that they can't have, right code isn't failed for it."""
    source, tests, why = UNDECIDED[name]
    result = judge(source, tests)
    assert result.passed is None
    assert why in result.reason


def test_what_replaces_nothing_fails_wrong_code(judge):
    """Standard output and input may be assigned to: the code finds them replaced, and is failed for what it does."""
    tests = "import io, sys\nsys.stdout = io.StringIO()\nf()\nassert sys.stdout.getvalue() == 'right\\n'"
    assert judge("def f(): print('right')", tests).passed is True
    assert judge("def f(): print('wrong')", tests).passed is False
