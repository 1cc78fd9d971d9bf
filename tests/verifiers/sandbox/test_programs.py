"""Whole programs are judged by what they print, outside of the jail."""

from __future__ import annotations

import pytest

from verifiers.sandbox.compare import Comparison
from verifiers.sandbox.protocol import Case, Execution, Limits, Program, ProgramJob

ECHO = "import sys\nsys.stdout.write(sys.stdin.read().upper())"


def test_every_pair_is_run(run):
    """A program gets each standard input in a process of its own, and must print each output."""
    result = run("n = int(input())\nprint(n * 2)", ("1\n", "2\n"), ("21", "42"))
    assert (result.passed, result.reason, result.score) == (True, "", 1)


def test_the_first_wrong_pair_is_named(run):
    """The reason names the first pair that failed."""
    result = run("print(5)", ("", "5"), ("", "5"), ("", "6"), ("", "7"))
    assert (result.passed, result.score) == (False, 0)
    assert result.reason == "test 3 of 4: expected '6', got '5'"


FAST = """\
import os, sys
from io import BytesIO, IOBase
class FastIO(IOBase):
    def __init__(self, file):
        self._fd = file.fileno(); self.buffer = BytesIO(); self.writable = "x" in file.mode or "r" not in file.mode
        self.write = self.buffer.write if self.writable else None
    def readline(self):
        return os.read(self._fd, 8192)
    def flush(self):
        if self.writable:
            os.write(self._fd, self.buffer.getvalue()); self.buffer.truncate(0), self.buffer.seek(0)
out = FastIO(sys.stdout)
out.write(b"%d" % (2 * int(FastIO(sys.stdin).readline())))
"""
RIGHT = {
    "the_size_of_the_input": "import io, os\nprint(2 * int(io.BytesIO(os.read(0, os.fstat(0).st_size)).readline()))",
    "a_mapped_input": "import mmap\nprint(2 * int(mmap.mmap(0, 0, access=mmap.ACCESS_READ).readline()))",
    "exit": "print(2 * int(input()))\nexit()",
    "quit_in_a_function": "def main():\n    print(2 * int(input()))\n    quit(0)\nmain()",
    "streams_wrapped": "import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer)\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint(2 * int(input()))",
    "a_stream_put_back": "import io, sys\nsys.stdout = io.StringIO()\nprint(1)\nsys.stdout = sys.__stdout__\nprint(2 * int(input()))",
    "a_stream_replaced": "import io, sys\nprint(2 * int(input()))\nsys.stdout = io.StringIO()\nprint(1)",
    "the_second_names": "import sys\nsys.__stdout__.write(str(2 * int(sys.__stdin__.readline())))",
    "a_closed_stream": "import sys\nprint(2 * int(input()))\nsys.stdout.close()",
    "no_stream": "import sys\nprint(2 * int(input()))\nsys.stdout = None",
    "modes_and_names": "import sys\nprint({'rw<stdin>': 42}[sys.stdin.mode + sys.stdout.mode + sys.stdin.name])",
    "fast_input_and_output": FAST,
    "a_file_that_nobody_closes": "f = open(1, 'w', closefd=False)\nf.write(str(2 * int(input())))",
    "an_object's_end": "class A:\n    def __del__(self): print(42)\na = A()",
    "the_order_of_ends": "class A:\n    def __init__(self, n): self.n = n\n    def __del__(self): print(self.n, end='')\na, b, c = A(4), A(2), A('')",
    "the_built-in_module": "print(__builtins__.int(input()) * 2)",
    "its_own_file": "import sys\nassert open(__file__).read() == open(sys.argv[0]).read()\nprint(42 if open('main.py').read().startswith('import sys') else 0)",
    "its_own_source": "import inspect, sys\ndef f(): return 42\nassert 'return 42' in inspect.getsource(f) and 'import inspect' in inspect.getsource(sys.modules['__main__'])\nprint(f())",
    "a_traceback's_lines": "import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: print(42 if 'try: 1 / 0' in traceback.format_exc() else 0)",
    "a_mark_of_the_byte_order": "\ufeffprint(42)",
    "dev_stdin": "with open('/dev/stdin') as file:\n    print(2 * int(file.read()))",
    "dev_stdin_as_a_path": "import pathlib\nopen('/dev/stdout', 'w').write(str(2 * int(pathlib.Path('/dev/stdin').read_text())))",
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_passes(run, name):
    """What people's programs do with the standard streams, and at their end, is as in the interpreter."""
    assert run(RIGHT[name], ("21\n", "42")).reason == ""


@pytest.mark.parametrize("code", ["exit(1)", "exit('no')", "import sys; sys.stdout = object()"])
def test_a_program_that_ends_badly_has_failed(run, code):
    """Whatever it printed before."""
    assert run(f"print(42)\n{code}", ("", "42")).passed is False


WRONG = {
    "an_exit_code": ("print(1)\nraise SystemExit(3)", "test 1 of 1: exit code 3"),
    "an_exit_text": ("import sys\nprint(1)\nsys.exit('no luck')", "test 1 of 1: exit code 1: no luck"),
    "an_exception": ("print(1)\n1 / 0", "test 1 of 1: exit code 1: ZeroDivisionError: division by zero"),
    "a_syntax_error": ("print(1", "test 1 of 1: exit code 1: SyntaxError: '(' was never closed"),
    "a_signal": ("import os\nprint(1, flush=True)\nos.kill(os.getpid(), 11)", "test 1 of 1: killed by SIGSEGV"),
    "nothing_printed": ("pass", "test 1 of 1: expected '1', got ''"),
    "an_endless_loop": ("print(1, flush=True)\nwhile True: pass", "test 1 of 1: time limit of 1 s"),
    "a_gigabyte": ("while True: print('1' * 1000000)", "test 1 of 1: output limit of 1024 kB"),
    "too_much_memory": ("x = 'x' * (1 << 30)\nprint(1)", "test 1 of 1: exit code 1: MemoryError"),
    "a_forged_verdict": ("import os\nfor n in range(3, 256):\n    try: os.write(n, b'{\"exit\": 0}')\n    except OSError: pass\nos._exit(0)", "test 1 of 1: expected '1', got ''"),
    "expected_output_looked_for": (
        "import gc\nprint(next((o for o in gc.get_objects() if isinstance(o, dict) and 'stdout' in o), 2))",
        "test 1 of 1: expected '1', got '",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_program_fails(run, name):
    """A program that ends badly, prints something else or too much, or never ends has failed."""
    source, reason = WRONG[name]
    result = run(source, ("", "1"), wall_s=1)
    assert (result.passed, result.score) == (False, 0)
    assert result.reason.startswith(reason)


def test_no_pair_is_run_after_one_that_never_ended(run):
    """A program that met the time limit once isn't given the chance to use it up once more for each pair."""
    result = run("while True: pass", *[("", "1")] * 50, wall_s=0.5)
    assert result.reason == "test 1 of 50: time limit of 0.5 s"
    assert result.elapsed_s < 10


def test_a_program_is_run_as_a_script(run):
    """It is `__main__`, has its exit hooks and threads waited for, and finds the end of its input."""
    source = """
        import atexit, sys, threading, time
        def late(): time.sleep(.05); print("thread")
        if __name__ == "__main__":
            atexit.register(print, "exit")
            threading.Thread(target=late).start()
            print(len(sys.argv), sys.stdin.readlines())
    """
    assert run(source, ("a\nb", "1 ['a\\n', 'b']\nthread\nexit")).reason == ""


def test_large_inputs_and_children_are_fine(run):
    """A megabyte goes through both ways, and a child that the program leaves behind doesn't hold up the verdict."""
    text = "line\n" * 150_000
    assert run(ECHO, (text, text.upper())).reason == ""
    assert run("import os, time\nprint(1, flush=True)\nif os.fork() == 0: time.sleep(60)", ("", "1"), wall_s=4).reason == ""
    assert run("print(1)", (text, "1")).reason == ""


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("1\n2", "1\n2\n\n"),
        ("1  \n2", "1\n2\t"),
        ("0.3", "0.30000000000000004"),
        ("a 1.5 b", "a 1.50000000001 b"),
        ("1e3", "1000.0"),
        ("", "\n\n"),
        ("a\r\nb", "a\nb"),
        ("nan", "nan"),
    ],
)
def test_what_counts_as_the_same_output(expected, actual):
    """White space at the ends of lines and of the text doesn't matter, nor does the last digit of a number with a point."""
    assert Comparison().difference(expected, actual) == ""


@pytest.mark.parametrize(
    ("expected", "actual", "reason"),
    [
        ("1", "1.0", "expected '1', got '1.0'"),
        ("1.0", "1", "expected '1.0', got '1'"),
        ("0.3", "0.31", "expected '0.3', got '0.31'"),
        ("1 2", "1  2", "expected '1 2', got '1  2'"),
        ("12", "1 2", "expected '12', got '1 2'"),
        ("a", " a", "expected 'a', got ' a'"),
        ("1000000000000000000001", "1000000000000000000002", "expected '1000000000000000000001', got '1000000000000000000002'"),
        ("a\nb", "a\nc", "expected 'b', got 'c' in line 2"),
        ("a\nb\nc", "a\nb", "expected 3 lines, got 2"),
        ("a", "a\nb", "expected 1 lines, got 2"),
        ("1.0", "nan", "expected '1.0', got 'nan'"),
        ("Yes", "yes", "expected 'Yes', got 'yes'"),
        ("10.5", "1_0.5", "expected '10.5', got '1_0.5'"),
        ("1.5", "\u0661.\u0665", "expected '1.5', got '\u0661.\u0665'"),
        ("inf", "1e999", "expected 'inf', got '1e999'"),
        ("1e400", "1e500", "expected '1e400', got '1e500'"),
        ("1e400", "-1e400", "expected '1e400', got '-1e400'"),
    ],
)
def test_what_counts_as_different_output(expected, actual, reason):
    """Integers, words, order and the white space between words must be right."""
    assert Comparison().difference(expected, actual) == reason


@pytest.mark.parametrize(
    ("expected", "actual", "options"),
    [
        ("0.5", "0.5000004", {"tolerance": 1e-6}),
        ("1000000.0", "1000000.9", {"tolerance": 1e-6}),
        ("2.0", "2", {"tolerance": 1e-6}),
        ("2", "2.0000001", {"tolerance": 1e-6}),
        ("YES\nno", "yes\nNo", {"ignore_case": True}),
        ("a\nb\nb", "b\na\nb\n", {"order": "any"}),
        ("x 0.1\nx 0.2", "x 0.20000000001\nx 0.1", {"order": "any"}),
        ("10 a\n9.5 b", "9.50001 b\n10 A", {"order": "any", "tolerance": 1e-3, "ignore_case": True}),
    ],
)
def test_what_counts_as_the_same_output_where_a_spec_says_so(expected, actual, options):
    """A tolerance for numbers, lines in any order, and words in either case; none of it by default."""
    assert Comparison(**options).difference(expected, actual) == ""
    assert Comparison().difference(expected, actual) != ""


@pytest.mark.parametrize(
    ("expected", "actual", "options"),
    [
        ("0.5", "0.500002", {"tolerance": 1e-6}),
        ("1", "2", {"tolerance": 0.9}),
        ("100000000", "100000001", {"tolerance": 1e-6}),
        ("0.5", "nan", {"tolerance": 0.9}),
        ("0.5", "inf", {"tolerance": 0.9}),
        ("nan", "0.5", {"tolerance": 0.9}),
        ("10.5", "1_0.5", {"tolerance": 1e-6}),
        ("1.5", "\u0661.\u0665", {"tolerance": 1e-6}),
        ("1e400", "5", {"tolerance": 0.9}),
        ("0.5 a", "0.5 A", {"tolerance": 1e-6}),
        ("YES", "YE S", {"ignore_case": True}),
        ("a\nb", "a\na", {"order": "any"}),
        ("a\nb", "b\na\na", {"order": "any"}),
        ("a b\nc d", "c b\na d", {"order": "any"}),
        ("a\nb", "b\nA", {"order": "any"}),
        ("0.1\n0.2", "0.1\n0.1", {"order": "any", "tolerance": 0.01}),
    ],
)
def test_what_stays_different_whatever_a_spec_says(expected, actual, options):
    """Integers are exact, no line counts twice, and what is no plain number is compared as a word."""
    assert Comparison(**options).difference(expected, actual) != ""


def test_a_long_line_is_shown_where_it_differs():
    """The reason shows some sixty characters, and of a long line those around the first difference."""
    one, other = "a" * 500 + "b" + "c" * 500, "a" * 500 + "d" + "c" * 500
    reason = Comparison().difference(one, other)
    assert "ab" in reason
    assert "ad" in reason
    assert len(reason) < 200


def test_a_suite_stops_at_the_first_failure(sandbox, monkeypatch):
    """Where the verdict alone counts, what comes after a failure isn't run."""
    stdins = []

    def execute(program, stdin, limits):
        stdins.append(stdin)
        return Execution(stdout=stdin if stdin != "3" else "x")

    monkeypatch.setattr(sandbox, "execute", execute)
    cases = tuple(Case(stdin=str(n), stdout=str(n)) for n in range(1, 301))
    result = sandbox.run_program(ProgramJob(program=Program(source=""), cases=cases), Limits())
    assert (result.passed, result.score, result.reason) == (False, 0, "test 3 of 300: expected '3', got 'x'")
    assert stdins == ["1", "2", "3"]


def test_a_score_is_the_part_of_the_suite_that_passes(run):
    """With a score, all pairs are run; the reason counts them, shows the first that failed and numbers the others."""
    result = run("print(int(input()) % 4)", *[(str(n), str(n)) for n in range(1, 7)], score=True)
    assert (result.passed, result.score) == (False, 0.5)
    assert result.reason == "3 of 6 passed; test 4: expected '4', got '0'; failed as well: 5, 6"
    assert run("print(input())", ("1", "1"), ("2", "2"), score=True).score == 1


def test_what_comes_after_an_endless_loop_is_not_run_and_has_not_passed(run):
    """A score has an end, too: the first case that meets the time limit is the last."""
    source = "n = int(input())\nwhile n == 2: pass\nprint(n)"
    result = run(source, *[(str(n), str(n)) for n in range(1, 5)], score=True, wall_s=0.5)
    assert (result.passed, result.score) == (False, 0.25)
    assert result.reason == "1 of 4 passed; test 2: time limit of 0.5 s; not run: 3 to 4"
