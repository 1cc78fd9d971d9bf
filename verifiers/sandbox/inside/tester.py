"""The test process: runs the prompt's tests against proxies of what the code defines, and writes the verdict.

This is the only process that can say "passed". It runs none of the untrusted code.
"""

from __future__ import annotations

import functools
import inspect
import io
import itertools
import json
import marshal
import os
import random
import socket
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from verifiers.sandbox.inside import console, fixtures, patches, running, scoring, shim, standard
from verifiers.sandbox.inside.blame import Missing, blame, is_of_tests, one_line
from verifiers.sandbox.inside.codec import CodecError
from verifiers.sandbox.inside.guard import Guard
from verifiers.sandbox.inside.held import FILE
from verifiers.sandbox.inside.mirror import PLAIN, RemoteMeta
from verifiers.sandbox.inside.names import Names, SolutionModule
from verifiers.sandbox.inside.operations import OPERATIONS
from verifiers.sandbox.inside.orders import APART, INLINE
from verifiers.sandbox.inside.scoring import Tally, Verdict, run_parts
from verifiers.sandbox.inside.started import Catch, Started
from verifiers.sandbox.inside.surroundings import Surroundings
from verifiers.sandbox.inside.uses import Uses
from verifiers.sandbox.inside.watching import watching

SAMPLES = 500
"""A test process that has judged so many is replaced, whatever they were."""
CPU_S = 0.5
"""And one that has used so much, which counts against the next sample's limit."""
MESSAGE = INLINE + 64
"""Bytes of tests that come at once, and of their head."""
PLAIN_BYTES = 1 << 20
"""And one that has received so much of a single sample."""
RUN = ("test", "check", "setup", "setUp", "teardown", "tearDown")
"""How the names of what is run begin."""
PLAIN_CLASSES = {"function", "module"}
OPERATIONS[console.OPERATION] = console.answer


class NotLoaded(Exception):
    """The code raised while it was loaded."""


class Sink(io.TextIOBase):
    """The tests' standard output goes nowhere, unless they redirect it."""

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Drop a text."""
        return len(text)


def main(line: socket.socket) -> NoReturn:
    """Judge samples, one after the other, for as long as they leave no trace here. Then end the process."""
    sock: socket.socket | None = None  # open until the code is gone, which would otherwise wake up to find it closed
    for count in itertools.count(1):
        message, descriptors, _, _ = socket.recv_fds(line, MESSAGE, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            break
        head, _, packed = message.partition(b"\n")
        number, output_bytes, seed, whole = map(int, head.split())
        talk, *file = descriptors
        if sock:
            sock.close()
        sock = socket.socket(fileno=talk)
        job = marshal.loads(read(*file) if file else packed)  # noqa: S302 - the host's
        tally = Tally(job["known"]) if "parts" in job else None

        def fail(reason: str, kind: str = "failed", number: int = number, tally: Tally | None = tally) -> NoReturn:
            line.send(_verdict(number, *_counted(tally, kind, reason), again=False))
            os._exit(0)

        random.seed(seed)  # the same for all runs of a seed: a verdict is a function of its inputs
        peer = Guard(sock, fail, output_bytes)
        peer.lent.whole = bool(whole)
        kind, reason, score, again = judge(job, peer, tally)
        kind += APART * (peer.lent.parted and kind != "undecided")
        again = again and count < SAMPLES and time.process_time() < CPU_S
        line.send(_verdict(number, kind, reason, score, again=again))
        if not again:
            break
    os._exit(0)


def _verdict(number: int, kind: str, reason: str, score: float | None, *, again: bool) -> bytes:
    return json.dumps([number, kind, one_line(reason), score, again]).encode()


def _counted(tally: Tally | None, kind: str, reason: str = "") -> Verdict:
    """Return a verdict, with the part of the tests that passed where they are counted."""
    return tally.verdict(kind, reason) if tally else (kind, reason, None)


def judge(job: dict[str, Any], peer: Guard, tally: Tally | None) -> tuple[str, str, float | None, bool]:
    """Judge one sample. Return the verdict, its reason and score, and whether this process may judge another."""
    sys.stdout = sys.stderr = Sink()
    uses = Uses(job["attributes"], job["free"], job["functions"], job["bound"], Started(*job["run"]), job["replaced"])
    peer.held, peer.expecting = job["held"], frozenset(job["expecting"])
    peer.waits = "sleep" in job["tests"]
    code = marshal.loads(job["code"])  # noqa: S302 - the host's
    peer.surroundings, peer.risk = Surroundings() if job["shares"] else None, job["risk"]
    if not job["plain"]:  # plain tests have no way to run a text
        heads = [marshal.loads(job["prelude"])] if job["prelude"] else []  # noqa: S302 - the host's
        running.watch([code, *heads], [globals(), vars(scoring)], functools.partial(peer.fail, kind="undecided"))
    try:
        names, given = _meet(peer, job, uses)
    except NotLoaded as error:
        return *_counted(tally, "failed", str(error)), _leaves_no_trace(job, peer)
    lost: list[BaseException] = []
    _set_up(peer, job, lost)
    try:
        peer.share()
        names.fetch(given)
        peer.asked = 0
        unclear = _run(job, code, names, tally, lost)
        if lost:
            raise lost[0]  # noqa: TRY301 - as if it had been raised here
    except BaseException as error:  # noqa: BLE001 - tests raise anything
        apart = peer.lent.copies and not peer.trouble and peer.apart()
        if peer.trouble or apart:
            return "undecided", peer.trouble or f"the tests {apart}", None, False
        again = isinstance(error, Exception) and not isinstance(error, MemoryError | RecursionError)
        return *_counted(tally, *blame(error, names, job["tests"])), again and _leaves_no_trace(job, peer)
    if peer.trouble or (not peer.asked and not (tally and tally.first)):
        return "undecided", peer.trouble or "the tests never used the code", None, False
    apart = peer.apart() or (f"may or may not expect that {unclear[0]} fails" if unclear else "")
    if apart or not job["may_fail"]:
        return "undecided", f"the tests {apart or 'assert nothing'}", None, False
    return *_counted(tally, "passed"), _leaves_no_trace(job, peer)


def _run(job: dict[str, Any], code: types.CodeType, names: Names, tally: Tally | None, lost: list[BaseException]) -> list[str]:
    """Run the text of the tests, and then what tests it defines and hasn't run itself.

    Return the tests that have failed where it isn't clear whether they should.
    """
    unclear: list[str] = []
    try:
        with watching(names.uses.watched, names.uses.started, [Catch(*each) for each in job["caught"]], lost, unclear):
            if tally:
                run_parts(job, names, tally)
            else:
                exec(code, names)  # noqa: S102 - the prompt's tests
    except SystemExit as end:  # sys.exit(0) at the end of a script; with anything else it says that they have failed
        if end.code or not is_of_tests(end):
            raise
    for test in _tests(names, names.uses, job["entry_point"]):
        if tally:
            tally.run(test, names, job["tests"])
        else:
            test()
    return unclear


def _set_up(peer: Guard, job: dict[str, Any], lost: list[BaseException]) -> None:
    """Have what the tests do to their own process reach the code, or be refused; note what their threads raise."""
    patches.watch(job["tests"])
    if "hread" in job["tests"]:  # Thread, threading
        import threading

        def note(raised: Any) -> None:
            lost.append(raised.exc_value)

        threading.excepthook = note
    if not job["plain"]:
        standard.reach(peer, job["tests"])
    if peer.surroundings:
        peer.surroundings.watch_seeds()
        peer.surroundings.watch_imports()
    if "unittest" in job["tests"]:
        import unittest

        unittest.main = lambda *_arguments, **_named: None  # type: ignore[assignment]  # we run the cases ourselves


def _leaves_no_trace(job: dict[str, Any], peer: Guard) -> bool:
    """Whether the tests are plain, and the code has sent nothing but data and the functions that it defines."""
    known = all(kind.__name__ in PLAIN_CLASSES for kind in peer.world.classes)
    return job["plain"] and known and peer.received < PLAIN_BYTES


def read(descriptor: int) -> bytes:
    """Read all of a file, and close it."""
    with open(descriptor, "rb", buffering=0) as file:
        return file.read()


def _meet(peer: Guard, job: dict[str, Any], uses: Uses) -> tuple[Names, dict[str, Any]]:
    """Wait until the code is loaded, and return the tests' global names, and the functions that came unasked."""
    greeting = peer.receive()
    try:
        kind, packed, printed = greeting
        if kind == "failed" and type(packed) is str:
            raise NotLoaded(packed)
        if kind != "ready" or type(printed) is not str:
            raise CodecError("malformed")  # noqa: TRY301 - one way out for all that is malformed
        offered, module, given = peer.unpacker().unpack(packed)
        if any(type(name) is not str or type(meant) is not str for name, meant in offered.items()) or type(given) is not dict:
            raise CodecError("malformed")  # noqa: TRY301 - one way out for all that is malformed
    except (CodecError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError):
        peer.broken("malformed")
    peer.show(printed)
    peer.module = module
    names = Names(peer, module, offered, job["entry_point"], uses)
    sys.modules["solution"] = SolutionModule(names)
    sys.modules["pytest"] = shim.as_module(fixture=fixtures.fixture)
    if job["prelude"]:
        own: dict[str, Any] = {"__name__": shim.PRELUDE}
        exec(marshal.loads(job["prelude"]), own)  # noqa: S102, S302 - the prompt's own text, from the host
        names.update({name: value for name, value in own.items() if not name.startswith("__")})
    return names, given


def _takes_any(function: types.FunctionType) -> bool:
    """Whether a function has parameters."""
    code = function.__code__  # inspect.signature takes longer than most tests
    return bool(code.co_argcount or code.co_kwonlyargcount or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))


def _tests(names: Names, uses: Uses, entry_point: str | None) -> Iterator[Callable[[], None]]:
    """Yield what the tests define and don't run themselves."""
    own = {name: value for name, value in names.items() if getattr(value, "__module__", None) == "__main__"}
    check = own.get("check")
    if isinstance(check, types.FunctionType) and "check" not in uses.started and _takes_any(check):
        if entry_point is None:
            raise shim.Broken("the tests define check(candidate), but the prompt has no entry_point")
        if names.root not in names and names.root not in names.offered:
            raise Missing(names.root)
        yield lambda: _finish(
            check,
            check(names[entry_point] if entry_point in names else eval(compile(entry_point, FILE, "eval"), names)),  # noqa: S307 - the prompt's own text
        )
    yield from _collected(own, names, uses)


def _collected(own: dict[str, Any], names: Names, uses: Uses) -> Iterator[Callable[[], None]]:
    """Yield what pytest and unittest would run, in their order."""
    for name in ("setup_module", "setUpModule"):
        shim.around(own.get(name), types.SimpleNamespace(**names))
    kinds = [value for value in own.values() if isinstance(value, type)]
    if wrapped := next(_wrapped(names, uses, kinds), None):
        raise shim.Broken(f"the code has wrapped the test {wrapped}, so nobody knows whether it is run")
    cases = shim.cases_of(kinds) if "unittest" in sys.modules else []
    for name, value in [(name, value) for name, value in own.items() if name not in uses.started]:
        if name.startswith("test") and isinstance(value, types.FunctionType):
            yield functools.partial(_run_between, value, own)
        elif isinstance(value, type) and value.__name__.startswith("Test") and value not in cases:
            yield from shim.methods_of(value, _run_function)
    if cases:
        yield lambda: shim.run_cases(kinds)
    fixtures.end()
    for name in ("teardown_module", "tearDownModule"):
        shim.around(own.get(name), types.SimpleNamespace(**names))


def _wrapped(names: Names, uses: Uses, kinds: list[type]) -> Iterator[str]:
    """Yield what of the tests a decorator of the code's has put something else in the place of."""
    for name in sorted(uses.functions - uses.started):
        owner, _, method = name.rpartition(".")
        known = vars(names[owner]) if owner and names.get(owner) in kinds else names
        value = known.get(method if owner else name, _wrapped)
        data = isinstance(type(value), RemoteMeta) or type(value) in PLAIN
        no_class = method.startswith("Test") and not owner and value not in (*kinds, _wrapped)
        if no_class or (data and method.startswith(RUN)):
            yield name


def _run_between(function: types.FunctionType, own: dict[str, Any]) -> None:
    """Run a test between what is to be called before and after each."""
    shim.around(own.get("setup_function"), function)
    _run_function(function)
    shim.around(own.get("teardown_function"), function)


def _run_function(function: Callable[..., Any]) -> None:
    for made in fixtures.call(function):
        _finish(function, made)


def _finish(function: Callable[..., Any], made: Any) -> None:
    """Do what a test has returned that isn't done yet."""
    if inspect.isgenerator(made) or inspect.isasyncgen(made):
        raise shim.Broken(f"the test {function.__name__} is a generator, which nobody runs")
    if inspect.iscoroutine(made):
        import asyncio

        asyncio.run(made)
