"""A test process that judges sample after sample: nothing of one sample, however hostile, decides about the next."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from textwrap import dedent

import pytest

from tests.verifiers.sandbox.test_forgeries import FORGERIES, LIAR, RAW, UNDECIDED
from verifiers.sandbox.jail import Line, Standing
from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.protocol import Limits, Program, PythonJob

TESTS = "assert add(2, 3) == 5\nassert add(0, 1) == 1"
RIGHT, WRONG = "def add(a, b): return a + b", "def add(a, b): return a - b"


@pytest.fixture(scope="module")
def single():
    """Return a sandbox with one place, so that each sample meets what the one before has left."""
    made = BubblewrapSandbox(1)
    yield made
    made.close()


@pytest.fixture
def judge(single):
    """Return what judges a module by tests, in the one place."""

    def run(source, tests=TESTS, **limits):
        return single.run_python(PythonJob(source=source, tests=tests), Limits(**{"wall_s": 3, **limits}))

    return run


def standing(sandbox):
    """Return what is known of the test process that waits for a sample."""
    return sandbox.pool.idle[1].standing


def test_plain_tests_share_a_process(judge, single):
    """Samples that pass, fail, raise and don't load are judged one after the other by the same process."""
    assert judge(RIGHT).passed is True
    first = standing(single)
    before = first.samples
    for source, passed in (
        (RIGHT, True), (WRONG, False), ("def add(a, b): raise ValueError", False), ("1 / 0", False), ("def add(", False), (RIGHT, True),
    ):  # fmt: skip
        assert judge(source).passed is passed
    assert standing(single) is first
    assert first.samples == before + 6


def test_other_tests_have_a_process_to_themselves(judge, single):
    """Tests that change what outlives them change it for nobody else."""
    patch = "import math\nmath.sqrt = lambda x: 5\nassert add(2, 3) == 5"
    look = "import math\nassert math.sqrt(add(8, 8)) == 4"
    for _ in range(3):
        assert judge(RIGHT, look).passed is True
        assert standing(single) is not None
        assert judge(RIGHT, patch).passed is True
        assert standing(single) is None


def test_random_numbers_begin_anew(judge):
    """Whatever the tests before have drawn or seeded, a sample's tests draw the same numbers."""
    draw = "import random\nrandom.seed(add(1, 1))\nassert add(2, 3) == 5 and random.random() > 0"
    look = "import random\nassert add(0, 0) == random.random()"
    reasons = set()
    for _ in range(3):
        assert judge(RIGHT, draw).passed is True
        number = "def add(a, b):\n    import random\n    random.seed(0)\n    return random.random()"
        reasons.add(judge(number, look).reason)
    assert reasons == {""}


SEEDED = "import random\nassert add(0, 0) == random.random()"
DRAW = "def add(a, b):\n    import random\n    random.seed({seed})\n    return random.random()"


def test_a_shared_process_has_the_seed_of_its_own_runs(single):
    """Runs of another seed have other jails, in which the tests stand as well, and draw that seed's numbers each time."""
    limits = Limits(wall_s=3)
    processes = {}
    for seed in (0, 1, 0, 1, 1):
        for drawn in (0, 1):
            job = PythonJob(source=DRAW.format(seed=drawn), tests=SEEDED, seed=seed)
            assert single.run_python(job, limits).passed is (drawn == seed)
        pool = single.pool_of(job)
        assert processes.setdefault(seed, pool.idle[1].standing) is pool.idle[1].standing
    assert processes[0] is not processes[1]
    assert processes[1].samples == 6


def test_counted_tests_have_a_process_to_themselves(single, judge):
    """Tests that go on after a failure share nothing, and the part that passed is that of this sample."""
    assert judge(RIGHT).passed is True
    assert standing(single) is not None
    for source, score in ((WRONG, 0.0), (RIGHT, 1.0), ("def add(a, b): return a + b if a else 0", 0.5), ("1 / 0", 0.0)):
        result = single.run_python(PythonJob(source=source, tests=TESTS, score=True), Limits(wall_s=3))
        assert (result.passed, result.score) == (score == 1.0, score)
        assert standing(single) is None
    assert judge(RIGHT).passed is True


@pytest.mark.parametrize(
    ("score", "known"),
    [("null", True), ("0.5", True), ("0.0", True), ("1.5", False), ("-0.5", False), ("NaN", False), ("Infinity", False),
     ("true", False), ("1", False), ('"1.0"', False), ("[0.5]", False)],
)  # fmt: skip
def test_a_score_is_a_number_from_0_to_1(score, known):
    """A verdict with any other score isn't in its form, and so is none."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        made = Standing(ours, (Limits(), 0))
        line = Line(made)
        theirs.send(f'[0, "failed", "", {score}, true]'.encode())
        line.move()
        assert (line.verdict is not None, line.again) == (known, known)


def test_programs_of_other_languages_meet_no_test_process(single, judge):
    """Their jails never hold one, whatever was judged between them."""
    program = Program(source="echo 42", language="bash")
    for _ in range(2):
        assert single.execute(program, "", Limits()).stdout == "42\n"
        assert judge(RIGHT).passed is True
        assert [jail.standing for jail in single.pool_of(program).idle] == [None]


SLOW = {"reading_the_files", "reading_the_heap", "a_million_parts", "a_giant_number"}
"""They end by the time limit, which throws the process out anyway."""
HOSTILE = {
    **{name: source for name, (source, tests) in FORGERIES.items() if tests == TESTS and name not in SLOW},
    **{
        f"raw_{name}": f"""
import os, socket
def frame(body): return len(body).to_bytes(4, "big") + body
def add(a, b):
    for n in range(3, 64):
        try: socket.socket(fileno=os.dup(n)).sendall({text})
        except OSError: continue
    os._exit(0)
"""
        for name, text in RAW.items()
        if name != "a_giant_hexadecimal"
    },
    "answers_in_advance": """
import os, socket
def add(a, b):
    for n in range(3, 64):
        try: socket.socket(fileno=os.dup(n)).sendall(b'\\x00\\x00\\x00\\x19["ok",5,[],"",[[],[]]]   ' * 9)
        except OSError: continue
    return 5
""",
    "answers_for_the_next_sample": """
import os, socket, time
if os.fork() == 0:
    os.setsid()
    for _ in range(300):
        time.sleep(.001)
        for n in range(3, 64):
            try: socket.socket(fileno=os.dup(n)).sendall(b'\\x00\\x00\\x00\\x19["ok",5,[],"",[[],[]]]   ')
            except OSError: continue
    os._exit(0)
def add(a, b): return 0
""",
    "a_flood_of_objects": "class X: pass\ndef add(a, b): return [X() for _ in range(20000)]",
    "a_flood_of_exceptions": "def add(a, b):\n    raise type('E' * 1000, (ValueError,), {})('x' * 100000)",
    "a_flood_of_names": "for n in range(20000): globals()[f'n{n}'] = lambda: 0\ndef add(a, b): return 0",
    "a_flood_of_text": "def add(a, b):\n    print('x' * 900000)\n    return 0",
    "deep_values": "def add(a, b):\n    x = 5\n    for _ in range(149): x = (x,)\n    return x",
    "its_own_class_of_functions": f"{LIAR}\nLiar.__name__ = Liar.__qualname__ = 'function'\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_sample_changes_nothing_for_the_next(judge, name):
    """After an attack on the shared test process, wrong code still fails and right code still passes."""
    source = dedent(HOSTILE[name])
    assert judge(RIGHT).passed is True
    assert judge(source, wall_s=0.8).passed is (None if name in UNDECIDED else False)
    assert judge(WRONG).passed is False
    result = judge(RIGHT)
    assert (result.passed, result.reason) == (True, "")


SPEAKING = """
import sys
from verifiers.sandbox.inside import operations
peer = sys._getframe(1).f_locals["peer"]
def say(text): peer.sock.sendall(len(text).to_bytes(4, "big") + text.encode())
"""
SETTLING = "def settle(*a): raise {}\nkept = [2]\noperations.OPERATIONS['settle'] = settle\ndef add(a, b): return kept"
KILLING = {
    "an_error_that_says_nothing": "class A:\n    def __str__(self): raise ValueError\ndef add(a, b): raise TypeError(A())",
    "an_error_that_exits": "class A:\n    def __str__(self): raise SystemExit(0)\ndef add(a, b): raise TypeError(A())",
    "no_number": f'{SPEAKING}say(\'["ready",["D","abc"],"",[[],[]]]\')',
    "no_fraction": f'{SPEAKING}say(\'["ready",["Q",1,0],"",[[],[]]]\')',
    "an_exit_at_the_end": SPEAKING + SETTLING.format("SystemExit(0)"),
    "an_interruption_at_the_end": SPEAKING + SETTLING.format("KeyboardInterrupt"),
}


@pytest.mark.parametrize("name", KILLING)
def test_the_code_does_not_end_the_test_process(judge, name):
    """That would cost both jails, and a second try. Whatever it answers, the tests come to a verdict."""
    result = judge(KILLING[name], "x = add(2, 3)\nassert x == 5")
    assert result.passed is not True
    assert "ended their process" not in result.reason
    assert judge(RIGHT).passed is True


def test_what_the_code_shows_of_itself_ends_the_process(judge, single):
    """A test process that has met anything but data and functions judges no other sample."""
    assert judge(RIGHT).passed is True
    assert standing(single) is not None
    assert (
        judge(
            "class X:\n    def __len__(s): return 5\ndef add(a, b): return X() if a else 1", "assert len(add(2, 3)) == 5"
        ).passed
        is True
    )
    assert standing(single) is None


def test_a_test_process_that_was_killed_costs_no_verdict(judge, single):
    """Where something outside kills the process between two samples, the next one is judged by another."""
    assert judge(RIGHT).passed is True
    jail = single.pool.idle[1]
    for number in Path(f"/proc/{jail.child}/task/{jail.child}/children").read_text().split():
        os.kill(int(number), signal.SIGKILL)
    assert judge(RIGHT).passed is True
    assert judge(WRONG).passed is False


def test_other_limits_have_another_process(judge, single):
    """The process is bound to its limits, so a sample with other ones doesn't get it."""
    assert judge(RIGHT).passed is True
    first = standing(single)
    assert judge(RIGHT, memory_bytes=300 << 20).passed is True
    assert standing(single) is not first


def test_a_program_never_meets_a_test_process(judge, single):
    """The jail in which code runs is never the one in which tests stand, even after one of the two was replaced."""
    for source in ("while True: pass", RIGHT, "import os\nos._exit(0)", RIGHT):
        judge(source, wall_s=0.5)
        for place in single.pool.places:
            assert place.jails[0] is None or place.jails[0].standing is None
