"""Tests that type for the code, read what it prints, and want fixtures, as those of generated suites do."""

from __future__ import annotations

import pytest

CODE = """
import random, sys
def ask():
    n = int(input("How many? "))
    total = sum(int(input()) for _ in range(n))
    print("Total:", total)
    return total
def greet(name): print(f"Hello, {name}!")
def lines(): return [line.strip() for line in sys.stdin]
def echo(): print(sys.stdin.readline().strip(), sys.stdin.read().upper())
class Cart:
    def __init__(self): self.items = []
    def add(self, x): self.items.append(x); return len(self.items)
def dice(): return random.randint(1, 6)
def warn(): print("careful", file=sys.stderr)
"""
RIGHT = {
    "monkeypatch_input": r"""
def test_a(monkeypatch):
    values = iter(["2", "3", "4"])
    monkeypatch.setattr("builtins.input", lambda *_: next(values))
    assert ask() == 7
""",
    "monkeypatch_stdin": r"""
import io
def test_a(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("2\n3\n4\n"))
    assert ask() == 7
    assert capsys.readouterr().out == "How many? Total: 7\n"
""",
    "patch_side_effect": r"""
from unittest.mock import patch
def test_a():
    with patch("builtins.input", side_effect=["1", "9"]) as m:
        assert ask() == 9
    assert m.call_count == 2
    m.assert_any_call("How many? ")
""",
    "patch_decorator_return": r"""
from unittest.mock import patch
@patch("builtins.input", return_value="1")
def test_a(mock_input, capsys):
    assert ask() == 1
    assert "Total: 1" in capsys.readouterr().out
""",
    "patch_stdout_unittest": r"""
import unittest, io
from unittest.mock import patch
class TestIt(unittest.TestCase):
    @patch("sys.stdout", new_callable=io.StringIO)
    @patch("builtins.input", side_effect=["1", "5"])
    def test_x(self, i, out):
        self.assertEqual(ask(), 5)
        self.assertEqual(out.getvalue(), "Total: 5\n")
    @patch("sys.stdin", io.StringIO("a\nb\n"))
    def test_y(self):
        self.assertEqual(lines(), ["a", "b"])
if __name__ == "__main__":
    unittest.main()
""",
    "capsys": r"""
def test_a(capsys):
    greet("Ann")
    captured = capsys.readouterr()
    assert captured.out == "Hello, Ann!\n"
    greet("Bob")
    out, err = capsys.readouterr()
    assert out == "Hello, Bob!\n"
""",
    "redirect": r"""
import io, contextlib
b = io.StringIO()
with contextlib.redirect_stdout(b):
    greet("Ann")
assert b.getvalue() == "Hello, Ann!\n"
""",
    "assign_stdin": r"""
import sys, io
sys.stdin = io.StringIO("x\ny\nz\n")
old = sys.stdout; sys.stdout = io.StringIO()
echo()
text = sys.stdout.getvalue(); sys.stdout = old
assert text == "x Y\nZ\n\n", text
""",
    "no_stdin": r"""
import pytest
def test_a():
    with pytest.raises(EOFError): ask()
    assert lines() == []
""",
    "fixture": r"""
import pytest
@pytest.fixture
def cart():
    return Cart()
@pytest.fixture
def full(cart):
    cart.add(1)
    yield cart
    cart.add(2)
def test_a(cart): assert cart.add(5) == 1
def test_b(full, cart): assert full is cart and full.items == [1]
@pytest.mark.parametrize("x", [1, 2])
def test_c(cart, x): assert cart.add(x) == 1 and cart.items == [x]
class TestC:
    def test_d(self, full, capsys): assert full.add(3) == 2
""",
    "patch_solution_input": r"""
from unittest.mock import patch
def test_a():
    with patch("solution.input", create=True, side_effect=["1", "9"]): assert ask() == 9
""",
    "mock_callback": r"""
from unittest.mock import Mock, MagicMock
m = Mock(return_value=3)
assert m() == 3 and dice() < 9
""",
}
UNDECIDED = {
    "a_fixture_without_a_value": (
        """import pytest
@pytest.fixture
def cart():
    return
    yield Cart()
def test_a(cart): assert cart.add(1) == 1
""",
        "fixture cart never yields",
    ),
    "a_program_of_its_own": (
        "import subprocess, sys\nrun = subprocess.run([sys.executable, 'solution.py'], capture_output=True)\nassert run.stdout == b'5'",
        "the tests start programs of their own",
    ),
    "stderr": (
        """
def test_a(capsys):
    warn()
    assert "careful" in capsys.readouterr().err
""",
        "standard error",
    ),
    "patch_random": (
        """
from unittest.mock import patch
def test_a():
    with patch("random.randint", return_value=9): assert dice() == 9
""",
        "replace random.randint",
    ),
    "patch_solution": (
        """
from unittest.mock import patch
import solution
def test_a():
    with patch("solution.dice", return_value=9): assert solution.dice() == 9
""",
        "replace solution.dice",
    ),
    "patch_object_solution": (
        """
from unittest.mock import patch
def test_a():
    with patch.object(Cart, "add", return_value=9): assert Cart().add(1) == 9
""",
        "replace Cart.add",
    ),
    "monkey_solution": (
        """
import solution
def test_a(monkeypatch):
    monkeypatch.setattr(solution, "dice", lambda: 9)
    assert solution.dice() == 9
""",
        "replace solution.dice",
    ),
    "monkey_random": (
        """
import random
def test_a(monkeypatch):
    monkeypatch.setattr(random, "randint", lambda a, b: 9)
    assert dice() == 9
""",
        "replace random.randint",
    ),
    "monkey_path": (
        """
def test_a(monkeypatch):
    monkeypatch.syspath_prepend("/tmp")
    assert dice() < 9
""",
        "monkeypatch.syspath_prepend",
    ),
    "patch_env": (
        """
from unittest.mock import patch
def test_a():
    with patch("os.environ", {"A": "1"}): assert dice() < 9
""",
        "replace os.environ",
    ),
    "patch_modules": (
        """
import sys
from unittest.mock import patch
def test_a():
    with patch.dict(sys.modules, {"random": None}): assert dice() < 9
""",
        "replace the items",
    ),
    "patch_print": (
        """
from unittest.mock import patch
def test_a():
    with patch("builtins.print") as p:
        greet("x")
        p.assert_called_with("Hello, x!")
""",
        "replace builtins.print",
    ),
    "tmpdir": (
        """
def test_a(tmpdir): assert dice() < 9
""",
        "wants fixtures, which the sandbox doesn't have: tmpdir",
    ),
    "assigned_in_the_code": (
        "import solution\nsolution.dice = lambda: 9\nassert solution.dice() == 9",
        "replace dice in the code",
    ),
    "redirected_errors": (
        "import contextlib, io\nwith contextlib.redirect_stderr(io.StringIO()) as b: warn()\nassert 'careful' in b.getvalue()",
        "standard error",
    ),
    "a_fixture_with_options": (
        "import pytest\n@pytest.fixture(name='car')\ndef cart(): return Cart()\ndef test_a(): assert dice() < 9",
        "pytest.fixture(name)",
    ),
}
WRONG = {
    "printed": """def test_a(capsys):
    greet("Ann")
    assert capsys.readouterr().out == "Hello, Bob!\\n"
""",
    "typed": """def test_a(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "1")
    assert ask() == 2
""",
    "asked_for_too_much": """from unittest.mock import patch
def test_a():
    with patch("builtins.input", side_effect=["2", "3"]): assert ask() == 3
""",
    "nothing_typed": """def test_a():
    assert ask() == 1
""",
    "a_fixture_s_end": """import pytest
@pytest.fixture
def cart():
    made = Cart()
    yield made
    assert made.items == []
def test_a(cart): assert cart.add(1) == 1
""",
}
# The code is asked for 5, and is handed what was typed and nothing else.
FORGED = {
    "arguments_of_no_sense": "p.ask('typed', [], {}); return p.ask('typed', True, 5)",
    "another_operation": "return p.ask('typing', True, None)",
    "what_was_typed": "return p.ask('typed', True, None)",
    "the_tests_own_input": "import builtins; return builtins.input.__globals__",
    "an_input_of_its_own": "import builtins; builtins.input = lambda *a: '5'; return builtins.input()",
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_code_reads_what_the_tests_type(judge, name):
    """And what it prints is there to be read, in the order in which it was printed."""
    assert judge(CODE, RIGHT[name]).passed is True


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_fails(judge, name):
    """Whatever was typed."""
    assert judge(CODE, WRONG[name]).passed is False


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_does_not_reach_the_code_fails_nobody(judge, name):
    """With a reason that says what was replaced, or wanted."""
    tests, why = UNDECIDED[name]
    result = judge(CODE, tests)
    assert result.passed is None
    assert why in result.reason


@pytest.mark.parametrize("name", FORGED)
def test_the_keyboard_forges_nothing(judge, name):
    """The code may speak to the tests' process by itself."""
    source = f"import sys\ndef secret():\n    p = sys.stdin.peer\n    {FORGED[name]}"
    tests = "from unittest.mock import patch\nwith patch('builtins.input', return_value='typed'):\n    assert secret() == 5"
    assert judge(source, tests).passed is False
