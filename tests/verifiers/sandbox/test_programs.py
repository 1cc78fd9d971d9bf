"""Whole programs are judged by what they print, outside of the jail."""

from __future__ import annotations

import pytest

from verifiers.sandbox.compare import difference

ECHO = "import sys\nsys.stdout.write(sys.stdin.read().upper())"


def test_every_pair_is_run(run):
    """A program gets each standard input in a process of its own, and must print each output."""
    result = run("n = int(input())\nprint(n * 2)", ("1\n", "2\n"), ("21", "42"))
    assert (result.passed, result.reason, result.score) == (True, "", 1)


def test_the_first_wrong_pair_is_named(run):
    """The reason names the first pair that failed, and the score is the part of the pairs that passed."""
    result = run("print(5)", ("", "5"), ("", "5"), ("", "6"), ("", "7"))
    assert (result.passed, result.score) == (False, 0.5)
    assert result.reason == "test 3 of 4: expected '6', got '5'"


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
    assert difference(expected, actual) == ""


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
    ],
)
def test_what_counts_as_different_output(expected, actual, reason):
    """Integers, words, order and the white space between words must be right."""
    assert difference(expected, actual) == reason
