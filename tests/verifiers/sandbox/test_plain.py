"""Which tests may share a test process with those of the next sample: only those that can leave nothing in it."""

from __future__ import annotations

import importlib
import types

import pytest

from verifiers.sandbox.inside.plain import ATTRIBUTES, MODULES
from verifiers.sandbox.inside.uses import prepare

PLAIN = {
    "asserts": "assert f(1) == 2\nassert not f([1, {'a': (2,)}]), 'why'",
    "a_check": "METADATA = {'author': 'x'}\n\ndef check(candidate):\n    assert candidate('a') == 'b'",
    "loops": "for n in range(3):\n    if n % 2:\n        continue\n    assert f(n) == sum(x * x for x in range(n))",
    "methods_of_data": "a = []\na.append(f(1))\na.sort()\nassert ''.join(map(str, a)).startswith('1')",
    "functions_of_modules": "import math\nfrom random import randint as r\nassert math.isclose(f(r(1, 2)), math.pi)",
    "copies": "import copy\na = [1]\nassert f(copy.deepcopy(a)) == a",
    "helpers": "def near(a, b=1e-6):\n    return abs(a) < b\nassert near(f(1)) and (lambda x: x)(f(2))",
    "a_main_guard": "if __name__ == '__main__':\n    assert f(1)",
    "annotations": "from typing import List\ndef g(x: List[int]) -> List[int]: return x\nassert f(g([1]))",
}
OTHER = {
    "setting_an_attribute": "f.x = 1",
    "deleting_an_attribute": "import math\ndel math.pi",
    "setting_an_attribute_by_name": "import math\nsetattr(math, 'pi', 3)",
    "setting_an_attribute_in_a_loop": "import math\nfor math.pi in [3]: pass",
    "setting_an_attribute_in_a_comprehension": "import math\n[0 for math.pi in [3]]",
    "private_attributes": "import random\nrandom._inst = None",
    "reading_private_attributes": "(lambda: 0).__globals__['x'] = 1",
    "a_format_that_reads_attributes": "'{0.__class__}'.format(f)",
    "a_format_of_a_mapping": "'{a.__class__}'.format_map({'a': f})",
    "frames_of_generators": "(x for x in [1]).gi_frame.f_builtins.clear()",
    "evaluation": "eval('1')",
    "execution": "exec('x = 1')",
    "imports_by_name": "__import__('sys')",
    "the_built_in_module": "__builtins__['len'] = f",
    "the_built_in_module_by_import": "import builtins",
    "the_built_in_module_under_another_name": "import math as __builtins__",
    "a_function_named_as_the_built_in_module": "def __builtins__(): pass",
    "a_parameter_named_as_the_built_in_module": "def g(__builtins__): pass",
    "sys": "import sys\nsys.setrecursionlimit(5)",
    "a_module_in_a_module": "import collections.abc",
    "a_module_of_a_module": "import random as r\nr.os",
    "typing's_own_modules": "import typing\ntyping.sys.modules.clear()",
    "state_of_a_module": "import copy\ncopy.dispatch_table.clear()",
    "registering_a_class": "from collections import UserDict\nUserDict.register(int)",
    "everything_of_a_module": "from math import *",
    "relative_imports": "from . import x",
    "wrapping": "from functools import wraps\n@wraps(f)\ndef g(): pass",
    "decorators": "@f\ndef g(): pass",
    "classes": "class A: pass",
    "try": "try:\n    f(1)\nexcept BaseException:\n    pass",
    "with": "with f(): pass",
    "globals": "globals()['x'] = 1",
    "files": "open('/tmp/x', 'w')",
    "types": "type('A', (), {})",
    "generators": "def g():\n    yield 1",
    "coroutines": "async def g(): pass",
    "input": "input()",
    "unittest": "import unittest",
    "threads": "import threading",
    "the_decimal_context": "import decimal\ndecimal.getcontext().prec = 1",
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_tests(name):
    """Tests that call the function and compare are plain."""
    assert prepare(PLAIN[name], "f", "").plain
    assert prepare("assert f(1)", "f", PLAIN[name]).plain


@pytest.mark.parametrize("name", OTHER)
def test_tests_that_have_a_process_to_themselves(name):
    """Whatever could change something that outlives the sample is not plain, in the tests or in the prompt's part."""
    assert not prepare(OTHER[name], "f", "").plain
    assert not prepare("assert f(1)", "f", OTHER[name]).plain


@pytest.mark.parametrize("name", MODULES)
def test_no_module_gives_more_than_functions_and_constants(name):
    """Whichever attribute plain tests may name, no module that they may import has there another module or what it works with."""
    module = importlib.import_module(name)
    for attribute in ATTRIBUTES | MODULES[name]:
        value = getattr(module, attribute, None)
        assert not isinstance(value, types.ModuleType | dict | list | set), attribute
