"""What two processes can do less well than one: right code passes all the same, or is left undecided, and is never failed for it."""

from __future__ import annotations

import pytest

LAZY = """
class lazy:
    def __init__(self, f): self.f = f
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, o, kind=None):
        if o is None: return self
        if not hasattr(o, self.name): setattr(o, self.name, self.f(o))
        return getattr(o, self.name)
"""
TYPED = """
class Typed:
    def __init__(self, kind): self.kind = kind
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, o, kind=None): return self if o is None else o.__dict__[self.name]
    def __set__(self, o, value):
        if not isinstance(value, self.kind): raise TypeError(self.name)
        o.__dict__[self.name] = value
    def __delete__(self, o): del o.__dict__[self.name]
"""
TYPED_TESTS = """
class A:
    x = Typed(int)
a, b = A(), A()
a.x = 3
b.x = 4
assert a.x == 3 and b.x == 4
try:
    a.x = "s"
    raise AssertionError("no error")
except TypeError: pass
del a.x
try:
    a.x
    raise AssertionError("it is still there")
except KeyError: pass
"""
POINT = "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int\n    y: int = 2\n    z: list = field(default_factory=list)\n"
PAIR = "class P:\n    def __init__(self, a, b): self.a, self.b = a, b\n    def m(self): return 1\n"
CURRY = """
import inspect
def curry(f):
    n = len(inspect.signature(f).parameters)
    def take(*a): return f(*a) if len(a) >= n else lambda *b: take(*a, *b)
    return take
"""
ENFORCE = """
import functools, inspect
def enforce(f):
    sig = inspect.signature(f)
    @functools.wraps(f)
    def w(*a, **k):
        bound = sig.bind(*a, **k)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            kind = f.__annotations__.get(name)
            if kind and not isinstance(value, kind): raise TypeError(name)
        return f(*a, **k)
    return w
"""
# name: (code, tests, wrong code)
RIGHT = {
    "a_decorated_method": ("def deco(f):\n    def w(*a): return f(*a)\n    return w", "class S:\n    def __init__(self): self.n = 1\n    @deco\n    def f(self): return self.n\nassert S().f() == 1", "def deco(f):\n    def w(*a): return 2\n    return w"),
    "a_method_that_remembers": ("import functools\ndef memo(f): return functools.lru_cache(None)(f)", "n = 0\nclass S:\n    @memo\n    def f(self, x):\n        global n\n        n += 1\n        return x * 2\ns = S()\nassert s.f(2) == 4 and s.f(2) == 4 and n == 1", "def memo(f):\n    def w(*a): return f(*a)\n    return w"),
    "a_method_made_in_a_class_body": ("def make(): return lambda self: self.n", "class S:\n    n = 3\n    f = make()\nassert S().f() == 3", "def make(): return lambda self: self"),
    "a_method_added_by_a_class_decorator": ("def greeting(c):\n    def greet(self): return 'hi ' + self.name\n    c.greet = greet\n    return c", "@greeting\nclass A:\n    def __init__(self, n): self.name = n\nassert A('x').greet() == 'hi x'", "def greeting(c):\n    c.greet = lambda self: 'hi'\n    return c"),
    "a_repr_added_by_a_class_decorator": ("def shown(c):\n    c.__repr__ = lambda self: f'{c.__name__}({vars(self)})'\n    return c", "@shown\nclass A:\n    def __init__(self, n): self.n = n\nassert repr(A(5)) == \"A({'n': 5})\"", "def shown(c): return c"),
    "an_init_made_of_annotations": ("def auto(c):\n    names = list(c.__annotations__)\n    def init(self, *a):\n        for n, v in zip(names, a): setattr(self, n, v)\n    c.__init__ = init\n    return c", "@auto\nclass A:\n    x: int\n    y: int\na = A(1, 2)\nassert (a.x, a.y) == (1, 2)", "def auto(c):\n    c.__init__ = lambda self, *a: None\n    return c"),
    "a_lazy_property": (LAZY, "class A:\n    n = 0\n    @lazy\n    def v(self):\n        A.n += 1\n        return 42\na = A()\nassert a.v == 42 and a.v == 42 and A.n == 1 and A().v == 42 and isinstance(A.v, lazy)", LAZY.replace("if not hasattr(o, self.name): ", "")),
    "a_typed_attribute": (TYPED, TYPED_TESTS, TYPED.replace("raise TypeError(self.name)", "pass")),
    "a_property": ("def typed(name):\n    def get(self): return getattr(self, '_' + name)\n    def put(self, v):\n        if v < 0: raise ValueError(name)\n        setattr(self, '_' + name, v)\n    return property(get, put)", "class A:\n    x = typed('x')\na = A()\na.x = 3\nassert a.x == 3\ntry:\n    a.x = -1\n    raise AssertionError('no error')\nexcept ValueError: pass", "def typed(name): return property(lambda self: 3, lambda self, v: None)"),
    "a_decorator_called_as_a_module": ("def timeit(f): return lambda *a: (f(*a), 'took')", "@timeit\ndef f(x): return x\nassert f(2) == (2, 'took')", "def timeit(f): return f"),
    "a_function_called_as_a_module": ("def token(x): return x + 1", "assert list(map(token, [1, 2])) == [2, 3]\nf = token\nassert f(0) == 1", "def token(x): return x"),
    "a_variable_called_as_a_module": ("queue = [1]", "assert queue == [1]", "queue = [2]"),
    "an_object_called_as_a_module": ("class C:\n    def add_event(self, e): return e\ncalendar = C()", "assert calendar.add_event(2) == 2", "class C:\n    def add_event(self, e): return 3\ncalendar = C()"),
    "a_module_that_only_the_code_imports": ("from copy import copy\nimport random\ndef f(x): return x", "assert copy.copy([1]) == f([1]) and random.choice([3]) == f(3)", "from copy import copy\nimport random\ndef f(x): return 0"),
    "curry": (CURRY, "assert curry(lambda a, b, c: a + b + c)(1)(2)(3) == 6\ndef g(a, b=5, *c, d, **e): return a\nassert curry(g)(7, 1, 2, 3, 4) == 7 if False else True", CURRY.replace("len(a) >= n", "len(a) >= 2")),
    "curry_by_the_code": (CURRY.replace("len(inspect.signature(f).parameters)", "f.__code__.co_argcount"), "assert curry(lambda a, b, c: a + b + c)(1)(2)(3) == 6", CURRY.replace("len(inspect.signature(f).parameters)", "f.__code__.co_argcount - 1")),
    "a_signature": ("import inspect\ndef f(g): return str(inspect.signature(g))", "def g(a, /, b: int, c=3, *d, e, f='x', **h) -> str: pass\nclass A:\n    def __init__(self, x, y=1): pass\n    def m(self, q): pass\nassert f(g) == \"(a, /, b: int, c=3, *d, e, f='x', **h) -> str\"\nassert f(A) == '(x, y=1)' and f(A(1).m) == '(q)'", "def f(g): return '()'"),
    "types_that_are_enforced": (ENFORCE, "@enforce\ndef f(a: int, b: str = 'x') -> str: return b * a\nassert f(2) == 'xx'\nok = False\ntry: f(2, 3)\nexcept TypeError: ok = True\nassert ok", ENFORCE.replace("raise TypeError(name)", "pass")),
    "kinds_of_functions": ("import asyncio, inspect, types\ndef f(g): return [inspect.iscoroutinefunction(g), asyncio.iscoroutinefunction(g), inspect.isgeneratorfunction(g), inspect.isasyncgenfunction(g), inspect.isfunction(g), isinstance(g, types.FunctionType)]", "async def a(): pass\ndef b(): yield\nasync def c(): yield\nassert f(a) == [True, True, False, False, True, True] and f(b) == [False, False, True, False, True, True]\nassert f(c)[3] and f(lambda: 1) == [False] * 4 + [True, True] and f(3) == [False] * 6 and f(len)[4] is False", "def f(g): return [True] * 6"),
    "defaults_and_annotations": ("import typing\ndef f(g): return [g.__defaults__, g.__kwdefaults__, g.__annotations__, typing.get_type_hints(g)]", "def g(a: int, b: str = 'q', *, c: float = 1.5) -> bool: pass\nassert f(g) == [('q',), {'c': 1.5}, *[{'a': int, 'b': str, 'c': float, 'return': bool}] * 2]\nassert f(lambda: 0) == [None, None, {}, {}]", "def f(g): return [None, None, {}, {}]"),
    "a_wrapped_function_keeps_its_annotations": ("import functools\ndef d(f):\n    @functools.wraps(f)\n    def w(*a): return f(*a)\n    return w", "import inspect\n@d\ndef g(a: int): 'doc'\nassert g.__annotations__ == {'a': int} and g.__doc__ == 'doc' and g.__name__ == 'g' and list(inspect.signature(g).parameters) == ['a']", "def d(f): return lambda *a: f(*a)"),
    "vars_of_an_object": ("import json\ndef f(o): return [vars(o), o.__dict__, json.loads(json.dumps(o, default=lambda q: q.__dict__))]", PAIR + "assert f(P(1, 'x')) == [{'a': 1, 'b': 'x'}] * 3", "def f(o): return [{}] * 3"),
    "vars_that_are_set": ("def f(o, d):\n    o.__dict__.update(d)\n    vars(o)['b'] = 7\n    del o.__dict__['a']\n    o.__dict__.setdefault('e', 5)\n    return o", PAIR + "p = f(P(1, 2), {'c': 3})\nassert vars(p) == {'b': 7, 'c': 3, 'e': 5}", "def f(o, d): return o"),
    "vars_of_a_namespace": ("def f(o): return vars(o)", "import argparse\nfrom types import SimpleNamespace\nassert f(SimpleNamespace(a=1)) == {'a': 1} and f(argparse.Namespace(b=2)) == {'b': 2}", "def f(o): return {'a': 1}"),
    "a_dataclass_is_looked_into": ("import dataclasses\ndef f(o): return [dataclasses.asdict(o), [q.name for q in dataclasses.fields(o)], dataclasses.is_dataclass(o), [q.type for q in dataclasses.fields(type(o))]]\ndef g(o): return dataclasses.replace(o, x=9)", POINT + "assert f(P(1)) == [{'x': 1, 'y': 2, 'z': []}, ['x', 'y', 'z'], True, [int, int, list]] and g(P(1)) == P(9)", "def f(o): return [{}, [], True, []]\ndef g(o): return o"),
    "a_dataclass_is_made": ("import typing, dataclasses\ndef f(c, d):\n    hints = typing.get_type_hints(c)\n    return c(**{q.name: hints[q.name](d[q.name]) for q in dataclasses.fields(c) if q.name in d})", POINT + "assert f(P, {'x': '5'}) == P(5, 2, [])", "def f(c, d): return c(0)"),
    "the_names_of_an_object": ("def f(o): return [n for n in dir(o) if n[0] != '_']", PAIR + "assert f(P(1, 2)) == ['a', 'b', 'm'] and f(P) == ['m']", "def f(o): return ['m']"),
    "copies_of_an_object": ("import copy\ndef f(o): return [copy.copy(o), copy.deepcopy(o)]", PAIR + "p = P(1, [2])\na, b = f(p)\nassert a is not p and a.b is p.b and b.b == [2] and b.b is not p.b", "def f(o): return [o, o]"),
    "the_class_of_an_object_among_others": ("def f(o, kinds): return [isinstance(o, k) for k in kinds]", "class A: pass\nclass B(A): pass\nclass C: pass\nassert f(B(), [A, B, C, int]) == [True, True, False, False]", "def f(o, kinds): return [True] * 4"),
    "methods_in_a_class_s_dict": ("def f(c): return sorted(n for n, v in vars(c).items() if callable(v) and n[0] != '_')", PAIR + "assert f(P) == ['m']", "def f(c): return []"),
    "json_of_what_derives_from_data": ("import enum\nclass A(dict): pass\nclass S(str, enum.Enum):\n    OPEN = 'open'\nclass N(enum.IntEnum):\n    ONE = 1\ndef f(): return A(a=1)", "import json\nassert json.dumps([f(), S.OPEN, {'k': N.ONE}]) == '[{\"a\": 1}, \"open\", {\"k\": 1}]'", "import enum\nclass A(dict): pass\nclass S(str, enum.Enum):\n    OPEN = 'opened'\nclass N(enum.IntEnum):\n    ONE = 1\ndef f(): return A(a=1)"),
    "a_pattern_in_what_derives_from_text": ("class Slug(str): pass\ndef f(x): return Slug(x)", "import re, os\nassert re.search('a', f('ba')) and re.sub('a', 'c', f('ba')) == 'bc' and os.path.join('x', f('y')) == 'x/y'", "class Slug(str): pass\ndef f(x): return Slug('q')"),
    "times_with_a_zone": ("from datetime import datetime\nfrom zoneinfo import ZoneInfo\ndef f(d): return d.replace(tzinfo=ZoneInfo('America/New_York'))", "from datetime import datetime, timedelta\nd = f(datetime(2024, 7, 1, 12))\nassert d.utcoffset() == timedelta(hours=-4) and str(d.tzinfo) == 'America/New_York' and f(d) == d", "from datetime import datetime\nfrom zoneinfo import ZoneInfo\ndef f(d): return d.replace(tzinfo=ZoneInfo('Europe/Berlin'))"),
    "a_read_only_dict": ("from types import MappingProxyType\nd = {'a': 1}\ndef f(): return MappingProxyType(d)\ndef put(k, v): d[k] = v", "m = f()\nassert m == {'a': 1} and m['a'] == 1 and dict(m) == {'a': 1}\nput('b', 2)\nassert m['b'] == 2 and len(m) == 2\nok = False\ntry: m['c'] = 3\nexcept TypeError: ok = True\nassert ok", "d = {'a': 1}\ndef f(): return d\ndef put(k, v): d[k] = v"),
    "arrays_and_views": ("import array\ndef f(x): return array.array('i', x)\ndef g(x): return memoryview(x)\ndef h(a): a[0] = 9", "import array\nassert f([1, 2]) == array.array('i', [1, 2]) and list(f([1])) == [1] and g(b'ab') == b'ab'\na = array.array('i', [1])\nh(a)\nassert a[0] == 9", "import array\ndef f(x): return array.array('i', [0])\ndef g(x): return memoryview(x)\ndef h(a): a[0] = 9"),
    "what_derives_from_dates_and_decimals": ("from datetime import date, datetime, timedelta\nfrom decimal import Decimal\nclass D(date): pass\nclass T(datetime): pass\nclass L(timedelta): pass\nclass N(Decimal): pass\ndef f(): return [D(2024, 1, 2), T(2024, 1, 2, 3), L(1), N('1.5')]", "from datetime import date, datetime, timedelta\nfrom decimal import Decimal\nd, t, l, n = f()\nassert d == date(2024, 1, 2) and t == datetime(2024, 1, 2, 3) and l == timedelta(1) and n == Decimal('1.5') and n + 1 == Decimal('2.5') and d < date(2025, 1, 1) and hash(n) == hash(Decimal('1.5')) and d.year == 2024", "from datetime import date, datetime, timedelta\nfrom decimal import Decimal\nclass D(date): pass\ndef f(): return [D(2023, 1, 2), datetime(2024, 1, 2, 3), timedelta(1), Decimal('1.5')]"),
    "a_descriptor_that_refers_weakly": ("import weakref\nclass X:\n    def __init__(self): self.d = weakref.WeakKeyDictionary()\n    def __get__(self, o, k=None): return self.d[o]\n    def __set__(self, o, v): self.d[o] = v", "class A:\n    x = X()\na, b = A(), A()\na.x, b.x = 3, 4\nassert (a.x, b.x) == (3, 4)", "class X:\n    def __get__(self, o, k=None): return self.v\n    def __set__(self, o, v): self.v = v"),
    "an_init_that_is_looked_into": ("import inspect\ndef f(c):\n    if c.__init__ is object.__init__: return c()\n    return c(*[f(p.annotation) for n, p in inspect.signature(c.__init__).parameters.items() if n != 'self'])", "class A: pass\nclass B:\n    def __init__(self, a: A): self.a = a\nassert isinstance(f(B).a, A)", "def f(c): return c(None) if c.__name__ == 'B' else c()"),
    "members_of_a_class": ("import inspect\ndef f(c): return [[n for n, _ in inspect.getmembers(*a)] for a in ((c, inspect.isfunction), (c(), inspect.ismethod))]", "class A:\n    n = 1\n    def m(self): pass\n    def k(self): pass\nassert f(A) == [['k', 'm']] * 2", "def f(c): return [[]] * 2"),
    "documentation": ("import inspect\ndef f(x): return inspect.getdoc(x)\nclass B:\n    'b'", "class A:\n    'a'\ndef g(): 'g'\nassert f(A) == 'a' and f(g) == 'g' and B.__doc__ == 'b'", "def f(x): return 'a'\nclass B: pass"),
    "a_protocol_and_a_dispatch": ("import functools, typing\n@typing.runtime_checkable\nclass Q(typing.Protocol):\n    def quack(self): ...\ndef f(o): return isinstance(o, Q)\n@functools.singledispatch\ndef show(o): return '?'", "class A:\n    def quack(self): pass\nclass B: pass\n@show.register(A)\ndef _(o): return 'A'\nassert f(A()) and not f(B()) and show(A()) == 'A' and show(B()) == '?'", "def f(o): return True\ndef show(o): return 'A'\nshow.register = lambda c: lambda g: g"),
    "members_of_an_enum": ("def f(c): return list(c.__members__), [m.value for m in c]", "import enum\nclass C(enum.Enum):\n    A = 1\n    B = 2\nassert f(C) == (['A', 'B'], [1, 2])", "def f(c): return [], []"),
    "the_names_of_annotations": ("import typing\ndef f(c): return [getattr(t, '__name__', None) for t in typing.get_type_hints(c).values()]", "from typing import Optional, List, Callable\nclass C:\n    a: List[int]\n    b: Optional[str]\n    c: list[int]\n    d: Callable[[int], str]\nassert f(C) == ['List', 'Optional', 'list', 'Callable']", "def f(c): return ['List', 'Optional', None, 'Callable']"),
    "annotations_in_brackets": ("import typing\ndef f(c): return [(typing.get_origin(t), typing.get_args(t)) for t in typing.get_type_hints(c).values()]", "from typing import Optional, List, Union, Any\nclass C:\n    a: List[int]\n    b: Optional[str]\n    c: dict[str, Any]\nassert f(C) == [(list, (int,)), (Union, (str, type(None))), (dict, (str, Any))]", "def f(c): return []"),
    "a_built_in_function": ("def get(name): return {'max': max, 'min': min}[name]", "assert get('max')([1, 2]) == 2 and get('min')(3, 4, key=lambda x: -x) == 4\nassert list(map(get('max'), [[1, 2]])) == [2]", "def get(name): return min"),
    "a_built_in_function_by_name": ("class A: size = staticmethod(len)\nmost = max", "assert most([1, 2]) == 2 and A.size('ab') == 2", "class A: size = staticmethod(len)\nmost = min"),
    "a_built_in_function_for_a_callback": ("def go(cb): return cb(len, [1, 2])", "assert go(lambda f, x: f(x)) == 2", "def go(cb): return cb(max, [1, 2, 3])"),
    "what_the_tests_add_in_place": ("def f(o):\n    o += 3\n    return o", "class A:\n    n = 1\n    def __iadd__(self, k):\n        self.n += k\n        return self\na = A()\nf(a)\nassert a.n == 4", "def f(o): return o"),
    "an_exception_that_goes_through_a_context": ("class E(ValueError): pass\ndef f(): raise E('x')", "import contextlib\n@contextlib.contextmanager\ndef c(): yield\ntry:\n    with c(): f()\n    raise AssertionError('no error')\nexcept ValueError as e: assert str(e) == 'x'", "def f(): raise ValueError('y')"),
}  # fmt: skip

# name: (code, tests, part of the reason)
UNDECIDED = {
    "arithmetic_of_what_a_factory_makes": ("class M:\n    def __init__(self, n): self.n = n\n    def __mul__(self, k): return M(self.n * k)\n    def __eq__(self, o): return isinstance(o, M) and self.n == o.n\ndef meters(n): return M(n)", "assert meters(5) * 2 == meters(10)", "the sandbox doesn't show an object of the code's class M data for 'mul' in: assert meters(5) * 2 == meters(10)"),
    "an_order_of_what_a_factory_makes": ("class V:\n    def __lt__(self, o): return False\ndef v(): return V()", "assert not v() < '1.0.0'", "the code's class V data for 'lt' in: assert not v() < '1.0.0'"),
    "what_is_added_in_place": ("class S:\n    def __iadd__(self, o): return self\ndef s(): return S()", "x = s()\nx += [5]\nassert x is not None", "data for 'iadd' in: x += [5]"),
    "data_of_data_by_a_class": ("class Template:\n    def __init__(self, t): self.t = t\n    def __mod__(self, v): return self.t % v", "assert Template('hi %s') % 'Bob' == 'hi Bob'", "the sandbox doesn't believe the data that 'mod' makes of data and the code's Template"),
    "a_spy_of_the_code": ("class Spy:\n    def __call__(self, x): self.x = x\n    def assert_called_with(self, x): assert self.x == x", "s = Spy()\ns(1)\ns.assert_called_with(1)", "the sandbox doesn't ask .assert_called_with of the code's Spy"),
    "a_closure": ("def f(g): return g.__closure__[0].cell_contents", "def run():\n    n = 5\n    assert f(lambda: n) == 5\nrun()", "the sandbox doesn't let the code read '__closure__' of the function <lambda> of the tests in: assert f(lambda: n) == 5"),
    "a_method_that_is_replaced": ("def counting(c):\n    def init(self): c.n = 1\n    c.__init__ = init\n    return c", "@counting\nclass A:\n    def __init__(self): pass\nA()\nassert A.n == 1", "the code replaces the method __init__ of the class A of the tests"),
    "a_property_that_is_added": ("def full(c):\n    c.full = property(lambda self: self.a)\n    return c", "@full\nclass A:\n    a = 1\nassert A().full == 1", "the code has 'full' of the class A of the tests say what it likes"),
    "an_eq_that_is_added": ("def same(c):\n    c.__eq__ = lambda self, o: True\n    return c", "@same\nclass A: pass\nassert A() == A()", "the sandbox doesn't let the code set '__eq__' of the class A of the tests"),
    "a_class_of_the_code_below_one_of_the_tests": ("def f(c):\n    class D(c): pass\n    return D", "class A: pass\nassert issubclass(f(A), A)", "a limit of the sandbox: the code can't derive the class D from a class of the tests"),
    "an_object_that_the_code_pickles": ("import pickle\ndef f(o): return pickle.loads(pickle.dumps(o))", "class A: n = 1\nassert f(A()).n == 1", "a limit of the sandbox: the code can't pickle an object of the tests"),
    "classes_below_one_of_the_tests": ("def f(c): return [d.__name__ for d in c.__subclasses__()]", "class A: pass\nclass B(A): pass\nassert f(A) == ['B']", "the sandbox doesn't let the code read '__subclasses__' of the class A of the tests"),
    "a_function_that_is_marked": ("def f(g):\n    g.mark = 1\n    return g", "@f\ndef g(): pass\nassert g.mark == 1", "the sandbox doesn't let the code set 'mark' of the function g of the tests"),
    "private_attributes": ("def f(o): return vars(o)", "class A:\n    def __init__(self): self._n = 1\nassert f(A()) == {'_n': 1}", "the sandbox doesn't show the code '_n' of an A of the tests in: assert f(A()) == {'_n': 1}"),
    "a_coroutine_that_is_gathered": ("import asyncio\nasync def f(g, xs): return await asyncio.gather(*map(g, xs))", "import asyncio\nasync def g(x): return x\nassert asyncio.run(f(g, [1])) == [1]", "the sandbox doesn't let the code do 'attr' with the class coroutine of the tests"),
    "a_function_in_c": ("class D(str): pass\ndef f(): return D('+')", "assert 'a-b'.replace('-', f()) == 'a+b'", "the sandbox can't hand an object of the code's class D to a function that wants a built-in one: replace() argument 2 must be str, not D in: assert"),
    "a_function_in_c_and_a_class_that_compares": ("class D(str):\n    def __eq__(self, o): return str.__eq__(self, o)\n    __hash__ = str.__hash__\ndef f(): return D('+')", "assert ''.join([f()]) == '+'", "an object of the code's class D"),
    "a_zone_of_the_code": ("import datetime\nclass Z(datetime.tzinfo):\n    def utcoffset(self, d): return datetime.timedelta(0)\ndef f(): return datetime.datetime(2024, 1, 1, tzinfo=Z())", "import datetime\nassert f() == datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)", "a limit of the sandbox: what the code hands the tests can't cross: a time with a zone"),
    "which_built_in_function": ("def f(x): return {'f': sorted}", "assert f(1) == {'f': sorted}", "whether a built-in function that the code hands over is sorted in: assert f(1)"),
    "a_class_that_cannot_be_hashed": ("class M(type):\n    __hash__ = None\n    def __eq__(self, o): return False\nclass A(metaclass=M): pass\ndef f(x): return A()", "import pytest\nwith pytest.raises(TypeError): f(1)", "what the code hands the tests can't cross: unhashable type: 'M'"),
    "a_cycle": ("def f():\n    x = []\n    x.append(x)\n    return x", "x = f()\nassert x[0] is x", "a limit of the sandbox: what the code hands the tests can't cross: a value contains itself"),
    "a_deep_value": ("def f():\n    x = []\n    for _ in range(900): x = [x]\n    return x", "x, n = f(), 0\nwhile x: x, n = x[0], n + 1\nassert n == 900", "a value is nested more than"),
    "a_cycle_for_a_callback": ("def f(g):\n    x = []\n    x.append(x)\n    return g(x)", "assert f(lambda x: len(x)) == 1", "a value contains itself"),
    "a_module_that_is_handed_over": ("def f(m): return m.sqrt(4)", "import math\nassert f(math) == 2", "a module of the tests isn't shown to the code"),
}  # fmt: skip

# Wrong code, and what tries to be judged right by what is let here.
WRONG = {
    "a_descriptor_that_stores_nothing": ("class Typed:\n    def __init__(self, k): pass\n    def __get__(self, o, k=None): return None\n    def __set__(self, o, v): pass", "class A:\n    x = Typed(int)\na = A()\na.x = 3\nassert a.x == 3"),
    "a_function_called_as_a_module_that_the_tests_lack": ("class math:\n    isclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0", "assert math.isclose(f(2), 4)"),
    "a_descriptor_in_a_class_of_the_tests": ("class Any:\n    def __get__(self, o, k=None): return 5\n    def __set__(self, o, v): pass\ndef f(o):\n    type(o).right = Any()\n    return 5", "class Case:\n    def __init__(self, right): self.right = right\nf(Case(1))\nassert f(Case(2)) == Case(7).right"),
    "a_str_of_a_class_of_the_tests": ("def f(o):\n    type(o).__str__ = lambda self: 'x'\n    return 'x'", "class S(str): pass\nassert f(S('y')) == str(S('y'))"),
    "a_str_of_an_error_of_the_tests": ("def f(o):\n    o.__str__ = lambda self: 'x'\n    return 'x'", "class E(Exception): pass\nassert f(E) == str(E('y'))"),
    "a_private_attribute": ("def f(o): return o._right", "class Case:\n    def __init__(self): self._right = 5\nassert f(Case()) == 5"),
    "a_private_attribute_by_its_dict": ("def f(o): return vars(o)['_right']", "class Case:\n    def __init__(self): self._right = 5\nassert f(Case()) == 5"),
    "a_private_attribute_of_an_enum": ("def f(c):\n    c.A._value_ = 2\n    return 2", "import enum\nclass C(enum.Enum):\n    A = 1\nassert f(C) == C.A.value"),
    "a_class_that_tests_no_more": ("def f(o):\n    type(o).rows = []\n    return 0", "class TestA:\n    def test_a(self): f(self)\n    def test_b(self): assert f(self) == 1"),
    "a_context_that_hides_what_is_refused": ("class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\n    def __sub__(self, o): return 0\ndef f(x): return C()", "x = f(2)\nwith f(1):\n    y = abs(x - 4)\nassert x is not None"),
    "reading_a_function_s_constants": ("def f(g): return g.__code__.co_consts[1]", "assert f(lambda: 5) == 5"),
    "a_code_that_leads_on": ("def f(g): return g.__globals__['RIGHT']", "RIGHT = 5\ndef g(a: 'int'): pass\nassert f(g) == RIGHT"),
    "a_list_changed_in_place_by_a_raw_request": ("kept = []\ndef encode(x):\n    kept.append(x)\n    return ''\ndef decode(s, b):\n    type(b)._world_.request('iadd', kept[0], b)\n    return [3, 1, 7]", "x = [3, 1]\nassert decode(encode(x), (i for i in [7])) == x"),
    "a_field_s_value": ("import dataclasses\ndef f(o): return dataclasses.fields(o)[0].default", "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\nassert f(A(2)) == 2"),
}  # fmt: skip
FAILED = {
    "a_descriptor_that_stores_nothing",
    "a_function_called_as_a_module_that_the_tests_lack",
    "a_field_s_value",
    "a_class_that_tests_no_more",
    "reading_a_function_s_constants",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_passes_and_wrong_code_does_not(judge, name):
    """What can be done across two processes is done, and judged."""
    code, tests, wrong = RIGHT[name]
    assert judge(code, tests).passed is True, judge(code, tests).reason
    assert judge(wrong, tests).passed is False


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_done_is_undecided(judge, name):
    """The reason says that it is the sandbox's limit, what it was, of what, and in which statement."""
    code, tests, why = UNDECIDED[name]
    result = judge(code, tests)
    assert result.passed is None
    assert why in result.reason


@pytest.mark.parametrize("name", WRONG)
def test_nobody_passes_by_it(judge, name):
    """What the code may look at and set more, it can't be judged right by."""
    result = judge(*WRONG[name])
    assert result.passed is (False if name in FAILED else None), result.reason


def test_a_refusal_that_nothing_came_of_is_no_limit(judge):
    """Code that is refused something and is right all the same passes; where it asks for what isn't there, it may fail."""
    tests = "class A:\n    n = 1\nassert f(A()) == 1"
    assert judge("def f(o):\n    try: o.f.__globals__\n    except AttributeError: pass\n    return o.n", tests).passed is True
    assert judge("def f(o): return o.m", tests).reason.startswith("AttributeError: 'A' object has no attribute 'm'")
    wraps = "import functools\ndef f(g):\n    @functools.wraps(g)\n    def w(): return 0\n    return w"
    assert judge(wraps, "assert f(lambda: 1)() == 1").passed is False
    assert judge(wraps, "from unittest.mock import Mock\nassert f(Mock(return_value=1))() == 1").passed is False
