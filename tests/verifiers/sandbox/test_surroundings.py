"""Files, the folder at work and the environment: tests and code find the same, and nothing of it can forge a verdict."""

from __future__ import annotations

import pytest

COUNT = """
    import os
    def count(path):
        with open(path) as file:
            return len(file.read().split())
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)
    def add(path, text):
        with open(path, "a") as file:
            file.write(text)
    def remove(path):
        os.remove(path)
    def names(folder="."):
        return sorted(os.listdir(folder))
    def variable(name):
        return os.environ.get(name)
"""

RIGHT = {
    "a_file_that_the_tests_write": "open('a.txt', 'w').write('one two')\nassert count('a.txt') == 2\nassert count('/tmp/a.txt') == 2",
    "a_file_that_the_code_writes": "write('b.txt', 'x y')\nassert open('b.txt').read() == 'x y'",
    "a_file_that_both_write": "open('a', 'w').write('1')\nadd('a', '2')\nopen('a', 'a').write('3')\nadd('a', '4')\nassert open('a').read() == '1234'",
    "a_change_that_leaves_the_size": "for n in range(20):\n    write('a', str(n % 10))\n    assert open('a').read() == str(n % 10)\n    open('a', 'w').write('xyz'[n % 3])\n    assert count('a') == 1",
    "a_file_that_the_code_removes": "import os\nopen('a', 'w').close()\nremove('a')\nassert not os.path.exists('a')",
    "a_file_that_the_tests_remove": "import os\nwrite('a', 'x')\nos.remove('a')\nassert names() == []",
    "an_open_file": "import tempfile\nwith tempfile.NamedTemporaryFile('r+') as f:\n    write(f.name, 'new')\n    assert f.read() == 'new'",
    "bytes": "open('a', 'wb').write(bytes(range(256)))\nassert names() == ['a']\nassert open('a', 'rb').read() == bytes(range(256))",
    "folders": "import os, pathlib\npathlib.Path('d/e').mkdir(parents=True)\npathlib.Path('d/e/f').touch()\nassert names('d') == ['e'] and names('d/e') == ['f']\nremove('d/e/f')\nos.removedirs('d/e')\nassert names() == []",
    "a_folder_in_the_place_of_a_file": "import os\nopen('a', 'w').close()\nassert names() == ['a']\nos.remove('a'); os.mkdir('a'); open('a/b', 'w').close()\nassert names('a') == ['b']",
    "a_path": "from pathlib import Path\nPath('a').write_text('q r s')\nassert count(Path('a')) == 3",
    "tmp_path": "def test_it(tmp_path):\n    (tmp_path / 'a').write_text('x y')\n    assert count(tmp_path / 'a') == 2\n    write(tmp_path / 'b', 'z')\n    assert (tmp_path / 'b').read_text() == 'z'",
    "another_folder": "import os, tempfile\nd = tempfile.mkdtemp()\nos.chdir(d)\nwrite('a', 'x')\nassert os.listdir(d) == ['a'] and names() == ['a']",
    "a_variable": "import os\nos.environ['A'] = 'b'\nassert variable('A') == 'b'\ndel os.environ['A']\nassert variable('A') is None",
    "a_variable_for_a_block": "import os\nfrom unittest import mock\nwith mock.patch.dict(os.environ, {'A': 'b'}):\n    assert variable('A') == 'b'\nassert variable('A') is None",
    "monkeypatch": "def test_it(monkeypatch, tmp_path):\n    monkeypatch.setenv('A', 'b')\n    monkeypatch.chdir(tmp_path)\n    assert variable('A') == 'b'\n    write('a', 'x')\n    assert (tmp_path / 'a').exists()\ndef test_after():\n    assert variable('A') is None and names() != ['a']",
    "a_callback": "seen = []\ndef look(path): seen.append(open(path).read()); open('c', 'w').write('mine')\nassert each(look) == 'mine' and seen == ['before']",
    "a_generator": "lines = parts('a')\nassert next(lines) == 1\nassert open('a').read() == '1'\nassert next(lines) == 2\nassert open('a').read() == '12'",
    "what_is_there_once_the_code_is_loaded": "assert open('loaded').read() == 'x' and names() == ['loaded']",
    "unittest": "import os, tempfile, unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        self.d = tempfile.TemporaryDirectory()\n        self.addCleanup(self.d.cleanup)\n    def test_it(self):\n        path = os.path.join(self.d.name, 'a')\n        write(path, 'x y z')\n        self.assertEqual(count(path), 3)",
}  # fmt: skip
MORE = """
    def each(callback):
        write("a", "before")
        callback("a")
        return open("c").read()
    def parts(path):
        for number in (1, 2):
            add(path, str(number))
            yield number
"""


@pytest.mark.parametrize("name", RIGHT)
def test_tests_and_code_find_the_same(judge, name):
    """What one of them does to files or the environment, the other one finds done."""
    source = COUNT + MORE + ('    write("loaded", "x")\n' if "loaded" in RIGHT[name] else "")
    result = judge(source, RIGHT[name])
    assert (result.passed, result.reason) == (True, "")


WRONG = {
    "it_writes_something_else": ("def f(path): open(path, 'w').write('no')", "f('a')\nassert open('a').read() == 'yes'"),
    "it_writes_nothing": ("def f(path): pass", "f('a')\nassert open('a').read() == 'yes'"),
    "it_leaves_what_it_should_remove": ("def f(path): pass", "import os\nopen('a', 'w').close()\nf('a')\nassert not os.path.exists('a')"),
    "it_leaves_a_file_of_its_own": ("def f(): open('left', 'w').close()", "import os\nf()\nassert os.listdir('.') == []"),
    "it_sets_no_variable": ("def f(): pass", "import os\nf()\nassert os.environ['A'] == 'b'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_code_fails(judge, name):
    """The same tests fail code that doesn't do it."""
    assert judge(*WRONG[name]).passed is False


ANSWERS = """
    import sys
    for module in list(sys.modules.values()):
        if operations := getattr(module, "OPERATIONS", None):
            operations["share"] = lambda theirs: {}
    def f(): return 1
"""
LYING = """
    from verifiers.sandbox.inside import operations, surroundings
    class Lying:
        def __init__(self, real): self.real = real
        def __getitem__(self, number): return self.real[number]
        def __iter__(self): return iter([*self.real[:3], (3, (1,) * 625, None)])
    calls = []
    def share(theirs):
        calls.append(1)
        real = surroundings._own.exchange(theirs)
        return Lying(real) if len(calls) == 3 else real
    operations.OPERATIONS["share"] = share
    def f(): pass
"""
MODULE = (
    "open('statistics.py', 'w').write('class A:\\n    __eq__ = lambda *a: True\\nmean = lambda x: A()')\ndef f(x): return 5\n"
)
# Code that would have the test process run something of its making, or end the tests with a good verdict.
FORGERIES = {
    "a_module_in_the_tests'_folder": ("def f(): open('colorsys.py', 'w').write('import os; os._exit(0)'); open('json.py', 'w').write('raise SystemExit')", "import os\nf()\nassert os.path.exists('json.py')\nimport colorsys, json\nassert json.dumps(1) == '2'"),
    "a_change_out_of_the_folder": (ANSWERS.format("[[['../x', 'file', 0, 0, b'x']], {}, None, None]"), "import os\nassert f() == 1, os.getcwd()"),
    "a_change_of_no_kind": (ANSWERS.format("[[['x', 'link', 0, 0, b'/']], {}, None, None]"), "import os\nassert f() == 1, os.getcwd()"),
    "a_change_that_is_no_list": (ANSWERS.format("'yes'"), "import os\nassert f() == 1, os.getcwd()"),
    "a_state_of_its_own_at_a_second_look": (LYING, "import random\nseen = set()\nrandom.seed(0)\nfor _ in range(9):\n    seen.add(random.random())\n    f()\nassert len(seen) < 9"),
    "a_folder_by_its_descriptor": (ANSWERS.format("[[], {}, 3, None]"), "import os\nassert f() == 1, os.getcwd()"),
    "a_module_from_before_there_was_a_path_to_it": (MODULE, "import os, sys\nsys.path.insert(0, os.getcwd())\nfrom statistics import mean\nassert f([1, 2, 3]) == mean([1, 2, 3])"),
    "python's_own_variables": ("import os\ndef f(): os.environ['PYTHONBREAKPOINT'] = 'os.getpid'", "import os\nf()\nassert 'PYTHONBREAKPOINT' in os.environ"),
    "what_is_right_and_is_gone": ("def f(path): open(path, 'w').write(open('right').read())", "import os\nopen('right', 'w').write('7')\nos.remove('right')\nf('mine')\nassert open('mine').read() == '7'"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_files_forge_no_verdict(judge, name):
    """Whatever the code writes or says that it has written: it doesn't pass by it."""
    assert judge(*FORGERIES[name]).passed is not True


UNDECIDED = {
    "pickles": ("def f(path):\n    import pickle\n    pickle.dump(1, open(path, 'wb'))", "import pickle\nf('a')\nassert pickle.load(open('a', 'rb')) == 1", "pickle"),
    "programs": ("def f(path): open(path, 'w').write('x = 1')", "f('a.py')\nd = {}\nexec(open('a.py').read(), d)\nassert d['x'] == 1", "exec"),
    "modules": ("def f(path): open(path, 'w').write('x = 1')", "import sys\nsys.path.insert(0, '/tmp')\nf('made.py')\nassert open('made.py').read()\nimport made\nassert made.x == 1", "sys.path"),
    "loggers": ("def f(path): open(path, 'w').write('{}')", "import json\nfrom logging.config import dictConfig\nf('a')\ndictConfig(json.load(open('a')))", "dictConfig"),
    "expressions": ("def f(path): open(path, 'w').write('1')", "import builtins\nf('a')\nassert builtins.eval(open('a').read()) == 1", "eval"),
    "links": ("import os\ndef f(): os.symlink('/etc', 'a')", "import os\nf()\nassert os.path.islink('a')", "no file and no folder"),
    "pipes_of_the_tests": ("def f(): return 1", "import os\nos.mkfifo('p')\nassert f() == 1", "no file and no folder"),
    "large_files": ("def f(): return 1", "open('a', 'wb').write(bytes(8 << 20))\nassert f() == 1", "more than 4 MB"),
    "a_server_of_the_tests": ("import urllib.request\ndef f(url): return urllib.request.urlopen(url).read()", "import http.server, threading\ns = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\nthreading.Thread(target=s.serve_forever, daemon=True).start()\nassert f(f'http://127.0.0.1:{s.server_port}/')", "network"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_shared_is_undecided(judge, name):
    """Nobody is failed for what the sandbox can't do, and nobody passes by it."""
    source, tests, why = UNDECIDED[name]
    result = judge(source, tests)
    assert result.passed is None
    assert why in result.reason


def test_parts_are_counted_with_files_too(sandbox):
    """With a score, each test finds what those before it have left, as in one process."""
    from verifiers.sandbox.protocol import Limits, PythonJob

    source = "def f(path): open(path, 'a').write('x')"
    tests = "f('a')\nassert open('a').read() == 'x'\nf('a')\nassert open('a').read() == 'xx'\nassert open('a').read() == 'y'"
    result = sandbox.run_python(PythonJob(source=source, tests=tests, score=True), Limits())
    assert (result.passed, result.score) == (False, pytest.approx(2 / 3))
