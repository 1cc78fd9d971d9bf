"""A sandbox on another machine judges whole programs as ours does, and decides nothing where its server has trouble."""

from __future__ import annotations

import json
import socket

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.errors import SetupError, VerifierError
from tests.verifiers.sandbox.fusion import run_code, serving
from verifiers.sandbox import remote
from verifiers.sandbox.protocol import Case, Limits, Program, ProgramJob, PythonJob, Sandbox
from verifiers.sandbox.remote import RemoteSandbox, Server

DOUBLE = {
    "python": "print(int(input()) * 2)",
    "javascript": "console.log(require('fs').readFileSync(0, 'utf8') * 2)",
    "bash": "read -r n; echo $((n * 2))",
}
CASES = (Case(stdin="1\n", stdout="2\n"), Case(stdin="21\n", stdout="42"))


@pytest.fixture
def server(sandbox):
    """Return the address of a server that runs programs in our jails, and what it was asked."""
    with serving(lambda asked: (200, json.dumps(run_code(sandbox, asked)).encode())) as (url, asked):
        yield url, asked


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(remote, "WAIT_S", 0.01)


def at(url: str) -> RemoteSandbox:
    """Return the sandbox at an address."""
    return RemoteSandbox(Server(url=url))


def job_of(source: str, *, language: str = "python", cases: tuple[Case, ...] = CASES) -> ProgramJob:
    """Return a program with its cases."""
    return ProgramJob(program=Program(source=source, language=language), cases=cases)


def test_it_is_a_sandbox():
    """The class keeps the protocol."""
    assert isinstance(at("http://127.0.0.1:1"), Sandbox)


@pytest.mark.parametrize("language", DOUBLE)
def test_a_right_program_passes_and_a_wrong_one_fails(server, language):
    """The server runs the program for each case; what it printed is compared here."""
    box = at(server[0])
    assert box.run_program(job_of(DOUBLE[language], language=language), Limits(wall_s=5)).passed is True
    wrong = box.run_program(job_of(DOUBLE[language].replace("2", "3"), language=language), Limits(wall_s=5))
    assert (wrong.passed, wrong.reason) == (False, "test 1 of 2: expected '2', got '3'")


def test_what_the_server_is_sent(server):
    """The program, its standard input and its limits, by the protocol's names; the expected output stays here."""
    url, asked = server
    at(url).run_program(job_of(DOUBLE["javascript"], language="javascript", cases=CASES[:1]), Limits(wall_s=5))
    assert asked == [
        {
            "code": DOUBLE["javascript"],
            "language": "nodejs",
            "stdin": "1\n",
            "compile_timeout": 5,
            "run_timeout": 5,
            "memory_limit_MB": 512 + 2048,
            "files": {},
            "fetch_files": [],
        }
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise SystemExit(3)", "test 1 of 2: exit code 3"),
        ("1 / 0", "test 1 of 2: exit code 1: ZeroDivisionError: division by zero"),
        ("while True: pass", "test 1 of 2: time limit of 1 s"),
        ("import os; os.kill(os.getpid(), 9)", "test 1 of 2: exit code -9"),
        ("print('\ud800')", "test 1 of 2: expected '2', got '?'"),
    ],
)
def test_a_program_that_ends_badly_fails(server, source, reason):
    """The reasons are those of our own sandbox."""
    result = at(server[0]).run_program(job_of(source), Limits(wall_s=1))
    assert (result.passed, result.reason) == (False, reason)


def test_python_source_tests_are_refused(server):
    """Where code and tests share a process, the code can forge the verdict."""
    url, asked = server
    with pytest.raises(VerifierError, match="forge") as error:
        at(url).run_python(PythonJob(source="def f(): return 1", tests="assert f() == 1"), Limits())
    assert "\n" not in str(error.value)
    assert asked == []


def test_ready_runs_a_program(server):
    """A server that runs the language is ready."""
    for language in DOUBLE:
        at(server[0]).ready(language)


RAN = {"status": "Finished", "return_code": 0, "stdout": "2\n", "stderr": ""}
GOOD = {"status": "Success", "run_result": RAN}
UNDECIDED = {
    "no JSON": b"<html>",
    "deep JSON": b"[" * 100_000,
    "a list": [GOOD],
    "nothing": {},
    "an unknown status": {**GOOD, "status": "Passed"},
    "an error of its own": {"status": "SandboxError", "message": "no\nspace", "run_result": None},
    "an error of the run": {"status": "SandboxError", "run_result": {"status": "Error", "stderr": "no"}},
    "no run": {"status": "Success", "run_result": None},
    "no return code": {"status": "Success", "run_result": {**RAN, "return_code": None}},
    "a return code that is a text": {"status": "Success", "run_result": {**RAN, "return_code": "0"}},
    "success and a return code": {"status": "Success", "run_result": {**RAN, "return_code": 1}},
    "failure without a fault": {"status": "Failed", "run_result": RAN},
    "an output that was cut off": {"status": "Success", "run_result": {**RAN, "stdout": "x" * (1 << 20)}},
    "an endless answer": b" " * (40 << 20),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDECIDED)
def test_an_answer_that_is_none_decides_nothing(name):
    """Whatever isn't exactly as the protocol says raises VerifierError, in one line; never a pass."""
    answer = UNDECIDED[name]
    text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with serving(lambda _asked: (200, text)) as (url, _), pytest.raises(VerifierError) as error:
        at(url).run_program(job_of("print(2)", cases=CASES[:1]), Limits(output_bytes=2 << 20))
    assert "\n" not in str(error.value)


def test_that_answer_would_pass_if_it_were_whole():
    """The test above can fail: the answer from which its cases are made passes."""
    with serving(lambda _asked: (200, json.dumps(GOOD).encode())) as (url, _):
        assert at(url).run_program(job_of("print(2)", cases=CASES[:1]), Limits()).passed is True


def test_a_compiler_that_fails_fails_the_program():
    """In languages that are compiled, what the compiler says is the reason."""
    compiled = {"status": "Finished", "return_code": 1, "stdout": "", "stderr": "main.c:1: error"}
    with serving(lambda _asked: (200, json.dumps({"status": "Failed", "compile_result": compiled}).encode())) as (url, _):
        result = at(url).run_program(job_of("print(2)", cases=CASES[:1]), Limits())
    assert (result.passed, result.reason) == (False, "test 1 of 1: compiler: exit code 1: main.c:1: error")


def test_an_output_over_the_limit_fails():
    """Our own limit holds for what a server answers."""
    answer = {"status": "Success", "run_result": {**RAN, "stdout": "x" * 2048}}
    with serving(lambda _asked: (200, json.dumps(answer).encode())) as (url, _):
        result = at(url).run_program(job_of("print(2)"), Limits(output_bytes=1024))
    assert (result.passed, result.reason) == (False, "test 1 of 2: output limit of 1 kB")


@pytest.mark.parametrize(("status", "error"), [(500, VerifierError), (422, VerifierError), (404, SetupError), (403, SetupError)])
def test_an_http_error_stops_the_run_where_no_sample_can_be_judged(status, error):
    """Where the server wants none of our requests, the user can mend it; other errors are the sample's."""
    with serving(lambda _asked: (status, b"")) as (url, _), pytest.raises(error, match=f"HTTP {status}"):
        at(url).run_program(job_of("print(2)"), Limits())


def test_a_busy_server_is_asked_again():
    """A 429 or 503 is asked again, a few times."""
    answers = iter([(503, b""), (429, b""), (200, json.dumps(GOOD).encode())])
    with serving(lambda _asked: next(answers)) as (url, asked):
        assert at(url).run_program(job_of("print(2)", cases=CASES[:1]), Limits()).passed is True
        assert len(asked) == 3
    with serving(lambda _asked: (503, b"")) as (url, asked), pytest.raises(VerifierError, match="busy: HTTP 503"):
        at(url).run_program(job_of("print(2)"), Limits())
    assert len(asked) == remote.ATTEMPTS


def test_a_server_that_can_not_be_reached_stops_the_run():
    """Nobody at the address is one line for the user."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SetupError, match="can't be reached") as error:
        at(f"http://127.0.0.1:{port}").ready()
    assert "\n" not in str(error.value)


def test_a_connection_that_breaks_off_decides_nothing():
    """A server that hangs up in the middle is asked again, and then it is the sample's trouble."""
    with serving(lambda _asked: (0, b"")) as (url, asked), pytest.raises(VerifierError, match="broke off"):
        at(url).run_program(job_of("print(2)"), Limits())
    assert len(asked) == remote.ATTEMPTS


def test_a_server_that_is_silent_decides_nothing(monkeypatch):
    """There is a time limit on the answer."""
    monkeypatch.setattr(remote, "SLACK_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(VerifierError, match="no answer in time"):
        at(f"http://127.0.0.1:{silent.getsockname()[1]}").run_program(job_of("print(2)"), Limits(wall_s=0.3))


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://host", "http://", "http://host:x", "http://me:key@host", "http://host?key=1", "http://a b"],
)
def test_what_is_no_address_is_refused(url):
    """An address with a password or a query in it, or none at all, is an error of the spec."""
    with pytest.raises(ValidationError, match="address"):
        TypeAdapter(Server).validate_python({"url": url})
