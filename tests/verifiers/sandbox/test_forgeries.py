"""Code that doesn't solve its task, and tries to be judged right all the same. None may pass."""

from __future__ import annotations

import pytest

from verifiers.sandbox.protocol import Limits, PythonJob

LIAR = """
class Liar:
    def __eq__(self, o): return True
    def __ne__(self, o): return False
    def __lt__(self, o): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __hash__(self): return hash(5)
    def __bool__(self): return True
    def __contains__(self, o): return True
    def __sub__(self, o): return 0.0
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __mod__ = __xor__ = __and__ = __sub__
    def __abs__(self): return 0.0
    def __float__(self): return 0.0
    def __int__(self): return 0
    def __index__(self): return 0
    def __round__(self, n=None): return 0
    def __len__(self): return 0
    def __iter__(self): return iter(())
    def __getitem__(self, k): return self
    def __getattr__(self, n): return lambda *a, **k: True
    def __call__(self, *a): return True
    def __instancecheck__(self, o): return True
    def __class__(self): return int
def add(a, b): return Liar()
"""

MOCK = "from unittest.mock import Mock\nm = Mock()\nadd(2, 3, m)\nm.assert_called_once_with(5)"
CASE = (
    "import unittest\nclass A(unittest.TestCase):\n    def test(self): pass\n"
    "class TestB(unittest.TestCase):\n    def test(self):\n        x = add(2, 3, self)\n        self.assertEqual(x, 5)"
)
# name: (code, tests). `add` should add.
PLAIN = "assert add(2, 3) == 5\nassert add(0, 1) == 1"
FORGERIES = {
    "a_module_by_a_star": ("class math:\n    isclose = staticmethod(lambda *a, **k: True)\ndef add(a, b): return 0", "import math\nfrom solution import *\nassert math.isclose(add(2, 3), 5)"),
    "a_helper_by_a_star": ("def close(a, b): return True\ndef add(a, b): return 0", "def close(a, b): return abs(a - b) < 1e-6\nfrom solution import *\nassert close(add(2, 3), 5)"),
    "the_cases_by_a_star": ("CASES = []\ndef add(a, b): return 0", "CASES = [(2, 3, 5)]\nfrom solution import *\nfor a, b, c in CASES: assert add(a, b) == c"),
    "a_class_of_tests_by_a_star": ("class T: pass\ndef add(a, b): return 0", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)\nfrom solution import *\nadd(0, 0)"),
    "an_assertion_in_a_thread": ("def add(a, b): return 0", "import threading\ndef work(): assert add(2, 3) == 5\nt = threading.Thread(target=work)\nt.start()\nt.join()"),
    "a_check_that_is_awaited": ("def add(a, b): return 0", "async def check(candidate): assert candidate(2, 3) == 5\nadd(1, 1)"),
    "exit_before_the_tests": ("import sys\ndef add(a, b): sys.exit(0)", "add(2, 3)"),
    "a_script_that_says_that_it_failed": ("def add(a, b): return 0", "import sys\nsys.exit(0 if add(2, 3) == 5 else 1)"),
    "ending_the_process_on_loading": ("import os\nos._exit(0)", PLAIN),
    "ending_the_process_when_called": ("import os\ndef add(a, b): os._exit(0)", PLAIN),
    "ending_the_process_in_a_swallowed_call": ("import os\ndef add(a, b): os._exit(0)", "try: add(2, 3)\nexcept BaseException: pass"),
    "sys_exit_on_loading": ("import sys\nsys.exit(0)", PLAIN),
    "sys_exit_when_called": ("import sys\ndef add(a, b): sys.exit(0)", PLAIN),
    "system_exit_in_a_unittest": (
        "def add(a, b): raise SystemExit(0)",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)",
    ),
    "keyboard_interrupt": ("def add(a, b): raise KeyboardInterrupt", PLAIN),
    "generator_exit": ("def add(a, b): raise GeneratorExit", PLAIN),
    "stop_iteration_ends_the_loop_of_tests": ("def add(a, b): raise StopIteration", "assert all(map(lambda c: add(*c) == 5, [(2, 3), (1, 4)]))"),
    "skip_test": (
        "import unittest\ndef add(a, b): raise unittest.SkipTest('easy')",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)",
    ),
    "verdicts_written_to_every_descriptor": (
        """
        import os, json
        def add(a, b):
            for n in range(256):
                for text in (b'["passed", ""]', b'passed', b'{"passed": true}', b'\\x00\\x00\\x00\\x1b["ok",5,[],"",[[],[]]]      '):
                    try: os.write(n, text)
                    except OSError: pass
            os._exit(0)
        """,
        PLAIN,
    ),
    "an_object_that_equals_everything": (LIAR, PLAIN),
    "the_object_on_the_right": (LIAR, "assert 5 == add(2, 3)"),
    "the_object_in_a_list": (LIAR, "assert [add(2, 3)] == [5]"),
    "the_object_in_a_set": (LIAR, "assert add(2, 3) in {5}"),
    "the_object_as_a_container": (LIAR, "assert 5 in add(2, 3)"),
    "the_object_near_a_number": (LIAR, "assert abs(add(2, 3) - 5) < 1e-6"),
    "the_object_near_a_number_reflected": (LIAR, "assert abs(5 - add(2, 3)) < 1e-6"),
    "the_object_solves_an_equation": (
        "class X:\n    n = 0\n    def __float__(s):\n        s.n += 1\n        return {1: 1.0, 2: -2.0}.get(s.n, 0.0)\ndef add(a, b): return X()",
        "import math\nx = add(2, 3)\nassert 2 * math.pow(x, 1) + 1 * math.pow(x, 1) == 0",
    ),
    "the_object_in_an_order": (LIAR, "assert 4.9 < add(2, 3) < 5.1"),
    "the_object_is_close": (LIAR, "import math\nassert math.isclose(add(2, 3), 5)"),
    "the_object_is_approximate": (LIAR, "import pytest\nassert add(2, 3) == pytest.approx(5)"),
    "the_object_is_almost_equal": (LIAR, "import unittest\nunittest.TestCase().assertAlmostEqual(add(2, 3), 5)"),
    "the_object_is_a_subset": (LIAR, "assert {5} >= add(2, 3) and add(2, 3).issuperset({5})"),
    "the_object_is_an_instance": (LIAR, "assert isinstance(add(2, 3), int)"),
    "the_object_is_its_class": (LIAR.replace("def add(a, b): return Liar()", "class add(Liar):\n    def __init__(self, *a): pass"), "assert abs(add(2, 3) - 5) < 1e-6"),
    "the_object_divides": (LIAR, "assert (add(2, 3) * 2) - 10 == 0 or not add(2, 3) % 5"),
    "the_function_is_the_object": (LIAR + "add = Liar()", PLAIN),
    "a_lying_int": ("class I(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\ndef add(a, b): return I(0)", PLAIN),
    "a_lying_str": ("class S(str):\n    def __eq__(s, o): return True\n    __hash__ = str.__hash__\ndef add(a, b): return S('x')", "assert add('a', 'b') == 'ab' or 'ab' == add('a', 'b')"),
    "a_lying_list": ("class L(list):\n    def __eq__(s, o): return True\ndef add(a, b): return L()", "assert add([1], [2]) == [1, 2] or [1, 2] == add([1], [2])"),
    "a_lying_metaclass": ("class M(type):\n    def __eq__(s, o): return True\n    __hash__ = None\nclass add(metaclass=M):\n    def __new__(c, a, b): return c", PLAIN),
    "a_lying_bool": ("class B:\n    def __bool__(s): return True\ndef add(a, b): return B()", "assert add(2, 3) is True or add(2, 3) == True"),
    "patched_builtins": (
        """
        import builtins
        for name, lie in {"isinstance": lambda *a: True, "all": lambda *a: True, "any": lambda *a: True, "len": lambda *a: 5, "abs": lambda *a: 0,
                          "print": lambda *a, **k: None, "AssertionError": type("E", (), {}), "sorted": lambda *a, **k: 5, "int": lambda *a: 5}.items():
            setattr(builtins, name, lie)
            globals()[name] = lie
        def add(a, b): return None
        """,
        "assert isinstance(add(2, 3), int) or len([add(2, 3)]) == 5 or abs(7) == 0 or all([False])",
    ),
    "builtins_in_the_module": ("def abs(x): return 0\ndef len(x): return 5\ndef add(a, b): return 1", "assert abs(add(2, 3) - 5) < 1e-6 or len([1]) == 5"),
    "patched_unittest": (
        "import unittest, sys\nunittest.TestCase.assertEqual = lambda *a: None\nunittest.TestResult.wasSuccessful = lambda s: True\nsys.modules['unittest'] = None\ndef add(a, b): return 0",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)",
    ),
    "patched_modules": (
        "import math, sys\nmath.isclose = lambda *a, **k: True\nclass Fake:\n    isclose = staticmethod(lambda *a, **k: True)\nsys.modules['math'] = math = Fake()\ndef add(a, b): return 0",
        "assert math.isclose(add(2, 3), 5)",
    ),
    "a_patched_import": (
        "import builtins\nreal = builtins.__import__\nbuiltins.__import__ = lambda *a, **k: None\n__builtins__ = {'__import__': lambda *a, **k: None}\ndef add(a, b): return 0",
        "import math\nassert add(2, 3) == 5",
    ),
    "a_patched_helper_of_the_prompt": ("def near(a, b): return True\ndef add(a, b): return 0", "assert near(add(2, 3), 5)"),
    "a_judge_of_its_own": ("def isclose(*a, **k): return True\ndef add(a, b): return 0", "assert isclose(add(2, 3), 5)"),
    "a_printed_verdict": ("import sys\ndef add(a, b):\n    for text in ('passed', '[\"passed\", \"\"]', '[1, \"passed\", \"\", true]', 'OK', '1 passed'):\n        print(text); print(text, file=sys.stderr); sys.__stdout__ and print(text, file=sys.__stdout__)", PLAIN),
    "a_verdict_in_each_file": ("import os\nfor name in ('verdict', 'result', 'report.xml', '.pytest_cache', 'exit_code'): open(os.path.join('/tmp', name), 'w').write('[1, \"passed\", \"\", true]')\ndef add(a, b): return 0", PLAIN),
    "an_exit_code_by_a_signal": ("import os, signal\nsignal.signal(signal.SIGTERM, lambda *a: os._exit(0))\ndef add(a, b): os.kill(os.getpid(), signal.SIGTERM)", PLAIN),
    "an_interpreter_in_its_place": ("import os, sys\ndef add(a, b): os.execv(sys.executable or '/usr/bin/python3', ['python3', '-c', 'raise SystemExit(0)'])", PLAIN),
    "patched_json": ("import json, json.encoder, json.decoder\nfor m in (json, json.encoder, json.decoder):\n    for n in list(vars(m)): setattr(m, n, lambda *a, **k: ['ok', 5, [], '', [[], []]])\ndef add(a, b): return 0", PLAIN),
    "a_patched_codec": (
        "import verifiers.sandbox.inside.peer as p, verifiers.sandbox.inside.codec as c\nc.Packer.pack = lambda *a: 5\np.Peer.reply = lambda s, m: s.send(s.encode(['ok', 5, [], '']))\ndef add(a, b): return 0",
        "assert add(2, 3) == 5 and add(0, 1) == 1",
    ),
    "a_patched_codec_that_says_true": ("import verifiers.sandbox.inside.codec as c\nc.Packer.pack = lambda *a: True\ndef add(a, b): return 0", PLAIN),
    "a_verdict_of_the_jail's_own_functions": ("import verifiers.sandbox.inside.tester as t, verifiers.sandbox.inside.shim as s\nt.judge = lambda *a: ('passed', '', True)\ns.run_cases = s.raises = lambda *a: None\ndef add(a, b): return 0", PLAIN),
    "replaced_modules": ("import sys\nclass Anything:\n    def __getattr__(s, n): return lambda *a, **k: True\nfor name in list(sys.modules): sys.modules[name] = Anything()\ndef add(a, b): return 0", PLAIN),
    "import_hooks": ("import sys\nclass Hook:\n    def find_spec(s, name, *a): raise SystemExit(0)\nsys.meta_path.insert(0, Hook())\nsys.path_hooks.insert(0, lambda p: Hook())\nsys.path_importer_cache.clear()\ndef add(a, b): return 0", "import math, unittest\nassert add(2, 3) == 5"),
    "tracing": ("import sys, threading, os\ndef trace(f, e, a):\n    if e == 'exception': os._exit(0)\n    return trace\nsys.settrace(trace); threading.settrace(trace)\ndef add(a, b): raise ValueError", PLAIN),
    "profiling": ("import sys, os\ndef profile(f, e, a):\n    if e == 'return': f.f_locals.update(result=5)\nsys.setprofile(profile)\ndef add(a, b): return 0", PLAIN),
    "audit_hooks": ("import sys\ndef hook(*a): raise SystemExit(0)\nsys.addaudithook(hook)\ndef add(a, b): return 0", PLAIN),
    "the_fault_handler": ("import faulthandler, sys\nfor n in range(64):\n    try: faulthandler.dump_traceback(n)\n    except (OSError, ValueError): pass\nfaulthandler.enable(2)\ndef add(a, b): return 0", PLAIN),
    "finalizers": ("import os\nclass D:\n    def __del__(s): os._exit(0)\ndef add(a, b):\n    D()\n    return 5", PLAIN),
    "an_object_that_dies_in_the_tests": ("class D:\n    def __del__(s): raise SystemExit(0)\ndef add(a, b): return D()", PLAIN),
    "a_registered_pickler": ("import copyreg\ncopyreg.pickle(int, lambda n: (int, (5,)))\ndef add(a, b): return 0", PLAIN),
    "registered_codecs": ("import codecs, sys\ncodecs.register(lambda n: (_ for _ in ()).throw(SystemExit(0)))\ncodecs.register_error('strict', lambda e: ('5', e.end))\ndef add(a, b): return '\\ud800'", "assert add(2, 3).encode() == b'5'"),
    "the_own_types_changed_by_address": ("import ctypes\ndef add(a, b):\n    ctypes.c_ssize_t.from_address(id(0) + 24).value = 5\n    return 0", "assert add(2, 3) == 5 and add(0, 1) == 1"),
    "the_small_numbers_changed_by_address": ("import ctypes\nfor n in range(9): ctypes.c_uint32.from_address(id(n) + 24).value = 5\ndef add(a, b): return 0", "assert add(0, 1) == 1\nassert add(2, 3) == 5"),
    "type_slots_changed_by_address": ("import ctypes\nctypes.pythonapi.PyType_Modified(ctypes.py_object(int))\nd = ctypes.cast(id(int.__dict__) + 16, ctypes.POINTER(ctypes.py_object))[0]\nd['__eq__'] = lambda *a: True\ndef add(a, b): return 0", PLAIN),
    "a_thread_that_answers": ("import threading, time, os, socket\ndef flood():\n    while True:\n        for n in range(3, 16):\n            try: socket.socket(fileno=os.dup(n)).sendall(b'\\x00\\x00\\x00\\x19[\"ok\",5,[],\"\",[[],[]]]   ')\n            except OSError: pass\ndef add(a, b):\n    threading.Thread(target=flood, daemon=True).start()\n    time.sleep(.2)\n    return 0", "assert add(2, 3) == 5\nassert add(0, 1) == 1"),
    "another_clock": ("import time\nreal = time.time\ntime.time = time.perf_counter = time.monotonic = lambda: 0.0\ndef add(a, b):\n    end = real() + .1\n    while real() < end: pass\n    return a + b", "import time\nstart = time.perf_counter()\nassert add(2, 3) == 5\nassert time.perf_counter() - start < .05"),
    "warnings_as_a_way_out": ("import warnings, os\nwarnings.showwarning = lambda *a, **k: os._exit(0)\ndef add(a, b): warnings.warn('x')", PLAIN),
    "unraisable_hooks": ("import sys, os, threading\nsys.unraisablehook = threading.excepthook = lambda *a: os._exit(0)\nclass D:\n    def __del__(s): raise ValueError\ndef add(a, b): D()", PLAIN),
    "a_display_hook": ("import sys, builtins\nsys.displayhook = sys.breakpointhook = lambda *a: 5\nbuiltins._ = 5\ndef add(a, b): return breakpoint()", "assert add(2, 3) == 6"),
    "exit_hooks": ("import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): raise SystemExit", PLAIN),
    "excepthooks": ("import sys, os\nsys.excepthook = lambda *a: os._exit(0)\ndef add(a, b): raise ValueError", PLAIN),
    "a_mock_that_asserts_nothing": ("def add(a, b, cb): cb.assert_called_once_with = lambda *a: None", MOCK),
    "a_mock_configured_to_assert_nothing": ("def add(a, b, cb): cb.configure_mock(assert_called_once_with=lambda *a: None)", MOCK),
    "a_mock_s_count": ("def add(a, b, cb): cb.call_count = 2", "from unittest.mock import Mock\nm = Mock()\nadd(2, 3, m)\nassert m.call_count == 2"),
    "a_mock_s_answer": ("def add(a, b, cb):\n    cb.return_value = 0\n    return 0", "from unittest.mock import Mock\nm = Mock(return_value=5)\nassert add(2, 3, m) == m.return_value"),
    "another_object_in_the_place_of_a_mock": (
        "class Fake:\n    def assert_called_once_with(self, *a): pass\ndef add(a, b, cb): cb.save = Fake()",
        "from unittest.mock import Mock\nm = Mock()\nadd(2, 3, m)\nm.save.assert_called_once_with(5)",
    ),
    "a_case_that_asserts_nothing": ("def add(a, b, case): case.assertEqual = lambda *a: None", CASE),
    "a_class_of_cases_that_asserts_nothing": ("def add(a, b, case): type(case).assertEqual = lambda *a: None", CASE),
    "a_case_that_is_skipped": ("def add(a, b, case): case.skipTest('easy')", CASE),
    "other_tests": ("def add(a, b, case): type(case).test_b = lambda *a: None", CASE.replace("TestCase):", "TestCase):\n    def test_a(self): add(1, 2, self)").replace("def test(", "def test_b(")),
    "listening_to_a_database": (
        "def add(a, b, base):\n    base.execute('create table t (a)')\n    base.set_trace_callback(lambda text: '5' in text and 't values' not in text and base.execute('insert into t values (5)'))",
        "import sqlite3\nbase = sqlite3.connect(':memory:')\nadd(2, 3, base)\nassert base.execute('select count(*) from t where a = 5').fetchone()[0]",
    ),
    "reading_frames": (
        """
        import sys, re
        def add(a, b):
            f, seen = sys._getframe(), []
            while f:
                seen += [str(v) for v in {**f.f_locals, **f.f_globals}.values() if isinstance(v, (str, bytes))]
                f = f.f_back
            for text in seen:
                if m := re.search(rf"add\\({a}, {b}\\) == (\\d+)", text): return int(m[1])
        """,
        PLAIN,
    ),
    "reading_the_heap": (
        """
        import gc, re
        def add(a, b):
            for o in gc.get_objects() + [x for o in gc.get_objects() for x in gc.get_referents(o)]:
                if isinstance(o, str) and (m := re.search(rf"add\\({a}, {b}\\) == (\\d+)", o)): return int(m[1])
        """,
        PLAIN,
    ),
    "reading_the_files": (
        """
        import os, re
        def add(a, b):
            for top, _, files in os.walk("/"):
                for name in files:
                    try: text = open(os.path.join(top, name), errors="replace").read(100000)
                    except OSError: continue
                    if (m := re.search(rf"add\\({a}, {b}\\) == (\\d+)", text)): return int(m[1])
        """,
        PLAIN,
    ),
    "reading_a_callback's_globals": (
        "def add(a, b, f): return f.__globals__['EXPECTED']",
        "EXPECTED = 5\nassert add(2, 3, lambda x: x) == EXPECTED",
    ),
    "reading_a_callback's_closure": (
        "def add(a, b, f): return f.__closure__[0].cell_contents",
        "def run():\n    expected = 5\n    assert add(2, 3, lambda x: expected if x is None else x) == expected\nrun()",
    ),
    "reading_a_callback's_code": (
        "def add(a, b, f): return [c for c in f.__code__.co_consts if isinstance(c, int)][0]",
        "assert add(2, 3, lambda x: 5) == 5",
    ),
    "reading_through_str_format": (
        """
        import json
        from verifiers.sandbox.inside.solution import SolutionPeer
        import gc
        def add(a, b, f):
            peer = next(o for o in gc.get_objects() if isinstance(o, SolutionPeer)) if gc.unfreeze() is None else None
            return peer.ask("call", str.format, ("{0.__globals__[EXPECTED]}", f), {})
        """,
        "EXPECTED = '5'\nassert add(2, 3, lambda x: x) == EXPECTED",
    ),
    "reading_through_raw_requests": (
        """
        import gc
        from verifiers.sandbox.inside.solution import SolutionPeer
        def add(a, b, node):
            gc.unfreeze()
            peer = next(o for o in gc.get_objects() if isinstance(o, SolutionPeer))
            for name in ("__class__", "__dict__", "__init__", "_answer", "__reduce__", "method"):
                try:
                    x = peer.ask("attr", node, name)
                    for deeper in ("__globals__", "__func__", "__self__", "__code__"):
                        try: return peer.ask("attr", x, deeper)["EXPECTED"]
                        except (AttributeError, TypeError, KeyError): pass
                except AttributeError: pass
            return peer.ask("call", peer.ask("attr", type(node), "__subclasses__"), (), {})
        """,
        "EXPECTED = 5\nclass Node:\n    _answer = 5\n    def method(self): return EXPECTED if False else 0\nassert add(2, 3, Node()) == EXPECTED",
    ),
    "tracing_the_tester": (
        "import ctypes, os\ndef add(a, b):\n    for n in range(1, 300):\n        if ctypes.CDLL(None).ptrace(16, n, 0, 0) == 0: return 5\n    open(f'/proc/{os.getppid()}/mem', 'r+b')\n    return 5",
        PLAIN.replace("5", "6"),
    ),
    "killing_everybody": ("import os\ndef add(a, b):\n    os.kill(-1, 9)\n    for n in range(1, 500):\n        try: os.kill(n, 9)\n        except OSError: pass", PLAIN),
    "a_descendant_that_answers_later": (
        "import os, time\nfor _ in range(2):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(.3)\ndef add(a, b): return 0",
        PLAIN,
    ),
    "callbacks_that_never_end": ("def add(a, b, f): return f(f)", "def again(f): return add(1, 2, again)\nassert add(2, 3, again) == 5"),
    "a_slow_iterator": ("import time\nclass Slow:\n    def __iter__(self):\n        while True:\n            time.sleep(.2); yield 5\ndef add(a, b): return Slow()", "assert list(add(2, 3)) == [5]"),
    "an_infinite_generator": ("def add(a, b):\n    while True: yield 5", "assert sum(add(2, 3)) == 5"),
    "a_giant_number": ("def add(a, b): return 1 << (8 * 20_000_000)", "assert str(add(2, 3)) == '5' or add(2, 3) ** add(2, 3) == 5"),
    "a_deep_value": ("def add(a, b):\n    x = 5\n    for _ in range(140): x = [x]\n    return x", PLAIN),
    "a_million_parts": ("def add(a, b): return [[]] * 1_900_000", PLAIN),
}  # fmt: skip

RAW = {
    "nonsense": "b'\\xff' * 100",
    "a_huge_length": "b'\\xff\\xff\\xff\\xff' + b'x' * 100",
    "no_json": "frame(b'{')",
    "deep_json": "frame(b'[' * 100000 + b']' * 100000)",
    "a_pickle": "frame(__import__('pickle').dumps(5))",
    "a_verdict": 'frame(b\'["passed",""]\')',
    "an_unknown_answer": 'frame(b\'["yes",5,[],"",[[],[]]]\')',
    "an_unknown_tag": 'frame(b\'["ok",["zz",5],[],"",[[],[]]]\')',
    "an_object": 'frame(b\'["ok",{"a":5},[],"",[[],[]]]\')',
    "an_unknown_reference": 'frame(b\'["ok",["H",99],[],"",[[],[]]]\')',
    "an_unknown_class": 'frame(b\'["ok",["R",1,99],[],"",[[],[]]]\')',
    "a_class_that_derives_from_int": 'frame(b\'["ok",["R",1,0],[],"",[[[0,"X","m",["int"],[]]],[]]]\')',
    "a_class_with_forbidden_methods": 'frame(b\'["ok",["R",77,1],[],"",[[[1,"X","m",[],["__eq__","__class__","__instancecheck__"]]],[]]]\')',
    "a_function_by_name": 'frame(b\'["ok",["F","eval"],[],"",[[],[]]]\')',
    "changes_of_what_wasn't_sent": 'frame(b\'["ok",5,[[7,["l"]]],"",[[],[]]]\')',
    "a_giant_hexadecimal": 'frame(b\'["ok",["I","\' + b"f" * 30000000 + b\'"],[],"",[[],[]]]\')',
    "an_exception_that_isn't_one": 'frame(b\'["err",5,[],"",[[],[]]]\')',
    "a_request_for_an_unknown_operation": 'frame(b\'["ask","exec",[["T","int"]],[[],[]]]\')',
    "a_request_without_arguments": 'frame(b\'["ask","call",[],[[],[]]]\')',
    "a_request_to_build_a_class": 'frame(b\'["ask","call",[["T","bytearray"],["t",10000000000],["d"]],[[],[]]]\')',
    "shared_containers_that_were_none": 'frame(b\'["ok",6,[],"",[[],[],[],[],[7],[],[]]]\')',
    "shared_containers_that_are_no_numbers": 'frame(b\'["ok",6,[],"",[[],[],[],[],[["l"]],[],{}]]\')',
    "changes_of_what_is_not_shared": 'frame(b\'["ok",6,[],"",[[],[],[],[[0,["l"]]],[],[],[]]]\')',
    "shared_containers_of_a_question_without_any": 'frame(b\'["ok",6,[],"",[[],[],[],[],[],[],[0]]]\')',
    "too_little_of_what_is_shared": 'frame(b\'["ok",6,[],"",[[],[],[],[]]]\')',
    "a_container_that_is_not_shared": 'frame(b\'["ok",["h",3],[],"",[[],[],[],[],[],[],[]]]\')',
    "half_a_message": "b'\\x00\\x00\\x10\\x00[1'",
}


# Right code might do as much, and meet with a limit of the sandbox.
UNDECIDED = {
    "the_object_near_a_number", "the_object_near_a_number_reflected", "the_object_in_an_order", "the_object_is_almost_equal",
    "the_object_is_a_subset", "the_object_is_its_class", "the_object_divides", "another_object_in_the_place_of_a_mock",
    "listening_to_a_database", "reading_a_callback's_closure", "reading_through_str_format", "reading_through_raw_requests",
    "a_giant_number", "a_lying_metaclass",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_passes(judge, name):
    """Code that doesn't do what was asked never passes, whatever it returns, raises, patches, kills or reads."""
    source, tests = FORGERIES[name]
    prelude = "def near(a, b): return abs(a - b) < 1e-6" if "near(" in tests else ""
    result = judge(source, tests, entry_point="add", prelude=prelude, wall_s=1.5)
    assert result.passed is (None if name in UNDECIDED else False)
    assert result.reason


@pytest.mark.parametrize("name", RAW)
def test_hostile_bytes_are_no_answer(judge, name):
    """Bytes written straight to the socket of the test process are at best an answer by our codec, and never a pass."""
    source = f"""
        import os, socket
        def frame(body): return len(body).to_bytes(4, "big") + body
        def add(a, b):
            for n in range(3, 64):
                try:
                    s = socket.socket(fileno=os.dup(n))
                    s.sendall({RAW[name]})
                except OSError:
                    continue
            os._exit(0)
    """
    result = judge(source, "try:\n    assert add(2, 3) == 6\nexcept Exception:\n    assert add(2, 3) == 6", wall_s=1.5)
    assert result.passed is False
    assert result.reason


SUM = """
class Sum:
    def add(self, a, b): return self
    def __contains__(self, other): return True
    __lt__ = __gt__ = __le__ = __ge__ = __contains__
    def startswith(self, other): return True
    def __sub__(self, other): return Sum()
    def __len__(self): return 0
"""
UNIQUE = """
class S({base}):
    told = ()
    def difference(self, other):
        {take}
        return set()
    def __iter__(self): return iter(self.told)
def unique(x): return S()
"""
ROW = """
class Row({base}):
    def __len__(self): return {size}
    def __iter__(self): return {parts}
def row(x): return Row()
"""
CLOSE = "r = row(3)\nassert len(r) == 3\nfor a, b in zip(r, [.1, .2, .3]): assert abs(a - b) < 1e-6"
OBLIGING = {
    "how_a_liar_begins": (LIAR, "assert add(2, 3).startswith('5')"),
    "an_order": (SUM, "assert 4.9 < Sum().add(2, 3) < 5.1"),
    "what_it_contains": (SUM, "assert 5 in Sum().add(2, 3)"),
    "how_it_begins": (SUM, "assert Sum().add(2, 3).startswith('5')"),
    "the_least": (SUM, "assert min(Sum().add(2, 3), 6) != 6"),
    "what_is_left": (SUM, "assert not (Sum().add(2, 3) - 5)"),
    "how_much_is_left": (SUM, "assert len(Sum().add(2, 3) - 5) == 0"),
    "sets": (UNIQUE.format(base="set", take="set.update(self, other)"), "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertSetEqual(unique([1, 1, 2]), {1, 2})"),
    "what_is_found": ("class S(str):\n    def find(self, x): return 0\ndef f(x): return S()", "assert f(3).find('abc') != -1"),
    "a_text_that_finds": ("class S:\n    def find(self, x): return 0\ndef f(x): return S()", "assert f(3).find('abc') != -1"),
    "a_partition": ("class S(str):\n    def partition(self, x): return ('', x, '')\ndef f(x): return S()", "assert f(3).partition('=')[1] == '='"),
    "fewer_parts_than_it_says": (ROW.format(base="object", size=3, parts="iter([.1])"), CLOSE),
    "a_list_of_fewer_parts": (ROW.format(base="list", size=3, parts="iter([.1])"), CLOSE),
    "no_parts_in_time": (ROW.format(base="object", size="self.n", parts="iter(self.none())") + "Row.n = 3\ndef none(self):\n    self.n = 0\n    return\n    yield\nRow.none = none", CLOSE),
    "no_part_in_time": ("class Row:\n    n = 3\n    def __len__(self): return self.n\n    def __getitem__(self, i):\n        self.n = 0\n        raise IndexError\ndef row(x): return Row()", CLOSE),
    "more_parts_than_it_says": (ROW.format(base="object", size=3, parts="iter(range(1000))"), "r = row(3)\nassert len(r) == 3 and 2 in r and 3 in r and 5 in r"),
    "a_superset": (ROW.format(base="set", size=2, parts="iter([5])"), "r = row(3)\nassert isinstance(r, set) and len(r) == 2 and {5, 6}.issuperset(r)"),
    "a_class_that_the_tests_name": (ROW.format(base="object", size=3, parts="iter([])") + "    def f(self, x): return self", "r = Row().f(3)\nassert len(r) == 3\nfor a, b in zip(r, [1, 2, 3]): assert a == b"),
    "items": ("class D(dict):\n    def __len__(self): return 2\n    def items(self): return []\ndef count(x): return D()", "r = count('aab')\nassert len(r) == 2\nfor k, v in r.items(): assert {'a': 2, 'b': 1}[k] == v"),
    "an_error_in_a_thread": ("def f(x): raise ValueError", "import threading\ndef work(): assert f(2) == 4\nt = threading.Thread(target=work)\nt.start()\nt.join()"),
}  # fmt: skip


@pytest.mark.parametrize("name", OBLIGING)
def test_an_object_that_the_code_answers_with_is_not_believed_about_data(judge, name):
    """Of a class that the tests name it may be right, and then nothing is decided; it passes only where they have made it."""
    source, tests = OBLIGING[name]
    result = judge(source, tests)
    assert result.passed is not True
    assert result.reason


def test_a_score_counts_the_methods_that_were_never_met(sandbox):
    """Code that ends its process in the second of four tests has one of four right."""
    source = "import os\ndef f(x):\n    if x > 1: os._exit(0)\n    return x * x"
    tests = "class TestF:\n" + "".join(f"    def test_{n}(self): assert f({n}) == {n * n}\n" for n in (1, 2, 3, 4))
    result = sandbox.run_python(PythonJob(source=source, tests=tests, score=True), Limits(wall_s=5))
    assert (result.passed, result.score) == (False, 0.25)


def test_a_library_of_the_codes_making_decides_nothing(judge):
    """Where the tests forgot an import that the sandbox lacks anyway, the code may not stand in for it."""
    source = "class np:\n    allclose = staticmethod(lambda *a: True)\ndef add(a, b): return 0"
    result = judge(source, "assert np.allclose(add(2, 3), 5)")
    assert (result.passed, result.reason) == (None, "the tests are broken: they use np, which nothing defines")
    result = judge("def assert_equal(*a): pass\ndef add(a, b): return 0", "assert_equal(add(2, 3), 5)")
    assert (result.passed, result.reason) == (None, "the tests are broken: they use assert_equal, which nothing defines")


def test_a_raw_answer_is_only_an_answer(judge):
    """The bytes do reach the test process, which takes a well-formed answer for what the function returned: no more."""
    source = """
        import os, socket
        def add(a, b):
            for n in range(3, 64):
                try: socket.socket(fileno=os.dup(n)).sendall(b'\\x00\\x00\\x00\\x19["ok",5,[],"",[[],[]]]   ')
                except OSError: continue
    """
    assert judge(source, "assert add(2, 3) == 5\nassert add(2, 3) == 7").passed is False
