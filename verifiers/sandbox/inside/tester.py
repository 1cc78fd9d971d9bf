"""The test process: runs the prompt's tests against proxies of what the code defines, and writes the verdict.

This is the only process that can say "passed". It runs none of the untrusted code.
"""

from __future__ import annotations

import base64
import functools
import inspect
import io
import json
import marshal
import os
import socket
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from verifiers.sandbox.inside import shim
from verifiers.sandbox.inside.blame import Missing, blame, one_line
from verifiers.sandbox.inside.codec import CodecError
from verifiers.sandbox.inside.guard import Guard
from verifiers.sandbox.inside.names import Names, SolutionModule
from verifiers.sandbox.inside.scoring import Tally, run_parts
from verifiers.sandbox.inside.uses import FILE, Uses


class Sink(io.TextIOBase):
    """The tests' standard output goes nowhere, unless they redirect it."""

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Drop a text."""
        return len(text)


def main(job: dict[str, Any], sock: socket.socket, verdict: int) -> NoReturn:
    """Judge one sample, write the verdict and end the process."""

    def end(kind: str, reason: str = "", score: float | None = None) -> NoReturn:
        os.write(verdict, json.dumps([kind, one_line(reason), score]).encode())
        os._exit(0)

    judge(job, sock, end)


def judge(job: dict[str, Any], sock: socket.socket, end: Callable[..., NoReturn]) -> NoReturn:
    """Judge one sample. `end` takes the verdict and doesn't come back."""
    sys.stdout = sys.stderr = Sink()
    tally = Tally(job["known"], end) if "parts" in job else None
    if tally:
        end = tally.end
    peer = Guard(sock, lambda reason: end("failed", reason), job["output_bytes"])
    uses = Uses(set(job["called"]), set(job["free"]))
    code = marshal.loads(base64.b85decode(job["code"]))  # noqa: S302 - the host's
    names, given = _meet(peer, job, uses)
    if "unittest" in job["tests"]:
        import unittest

        unittest.main = lambda *_arguments, **_named: None  # type: ignore[assignment]  # we run the cases ourselves
    try:
        names.fetch(given)
        peer.asked = 0
        if tally:
            run_parts(job, names, tally)
        else:
            exec(code, names)  # noqa: S102 - the prompt's tests
        for test in _tests(names, uses, job["entry_point"]):
            if tally:
                tally.run(test, names, job["tests"])
            else:
                test()
    except BaseException as error:  # noqa: BLE001 - tests raise anything
        end(*blame(error, names, job["tests"]))
    if not peer.asked and not (tally and tally.first):
        end("undecided", "the tests never used the code")
    end("passed")


def _meet(peer: Guard, job: dict[str, Any], uses: Uses) -> tuple[Names, dict[str, Any]]:
    """Wait until the code is loaded, and return the tests' global names, and the functions that came unasked."""
    greeting = peer.receive()
    try:
        kind, packed, printed = greeting
        if kind == "failed" and type(packed) is str:
            peer.fail(packed)
        if kind != "ready" or type(printed) is not str:
            raise CodecError("malformed")  # noqa: TRY301 - one way out for all that is malformed
        offered, module, given = peer.unpacker().unpack(packed)
        if any(type(name) is not str or type(meant) is not str for name, meant in offered.items()) or type(given) is not dict:
            raise CodecError("malformed")  # noqa: TRY301 - one way out for all that is malformed
    except (CodecError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        peer.broken("malformed")
    peer.show(printed)
    peer.module = module
    names = Names(peer, module, offered, job["entry_point"], uses)
    sys.modules["solution"] = SolutionModule(names)
    sys.modules["pytest"] = shim.as_module()
    if job["prelude"]:
        own: dict[str, Any] = {"__name__": "prelude"}
        exec(marshal.loads(base64.b85decode(job["prelude"])), own)  # noqa: S102, S302 - the prompt's own text, from the host
        names.update({name: value for name, value in own.items() if not name.startswith("__")})
    return names, given


def _tests(names: Names, uses: Uses, entry_point: str | None) -> Iterator[Callable[[], None]]:
    """Yield what the tests define and don't run themselves."""
    own = {name: value for name, value in names.items() if getattr(value, "__module__", None) == "__main__"}
    check = own.get("check")
    if isinstance(check, types.FunctionType) and "check" not in uses.called and inspect.signature(check).parameters:
        if entry_point is None:
            raise shim.Broken("the tests define check(candidate), but the prompt has no entry_point")
        if names.root not in names and names.root not in names.offered:
            raise Missing(names.root)
        yield lambda: check(eval(compile(entry_point, FILE, "eval"), names))  # noqa: S307 - the prompt's own text
    for name, value in own.items():
        if name.startswith("test") and isinstance(value, types.FunctionType) and name not in uses.called:
            yield functools.partial(_run_function, value)
    if "unittest" in sys.modules:
        kinds = [value for value in own.values() if isinstance(value, type)]
        if shim.cases_of(kinds):
            yield lambda: shim.run_cases(kinds)


def _run_function(function: types.FunctionType) -> None:
    for arguments in shim.arguments_of(function):
        made = function(**arguments)
        if inspect.iscoroutine(made):
            import asyncio

            asyncio.run(made)
