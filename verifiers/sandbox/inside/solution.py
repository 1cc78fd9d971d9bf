"""The solution process: runs the untrusted code, then answers the test process. Nothing in here is trusted by anybody."""

from __future__ import annotations

import builtins
import io
import os
import socket
import sys
import types
from collections.abc import Sequence
from typing import Any, NoReturn

from verifiers.sandbox.inside import limits, shim, shown, written
from verifiers.sandbox.inside.approximate import Approx
from verifiers.sandbox.inside.borrowed import Borrowed
from verifiers.sandbox.inside.codec import ANSWERED, CodecError, Packer
from verifiers.sandbox.inside.console import Keyboard
from verifiers.sandbox.inside.containers import Met
from verifiers.sandbox.inside.operations import OPERATIONS
from verifiers.sandbox.inside.peer import Closed, Peer
from verifiers.sandbox.inside.shared import SETTLE, held

NAME = "solution"
FILE = "solution.py"
KEPT = 1 << 16
OF_ALL = {*vars(object)}
"""Methods of Python's own that all objects have, and that are functions of ours in what stands for one of the tests."""
CROSS = "what the code hands the tests can't cross: "


class Captured(io.StringIO):
    """Standard output: what is printed goes along with the next answer. Too much goes to the pipe, whose reader counts it."""

    def write(self, text: str) -> int:
        """Keep a text, or pass it on."""
        size = super().write(text)
        if self.tell() > KEPT:
            os.write(1, self.take().encode(errors="replace"))
        return size

    def take(self) -> str:
        """Return what is kept, once."""
        text = self.getvalue()
        if text:
            self.seek(0)
            self.truncate()
        return text


class SolutionPeer(Peer):
    """The solution's end."""

    functions_out = False
    """The tests take no function for a built-in one on the word of the code."""

    def __init__(self, output: Captured) -> None:
        super().__init__()
        self.output = output
        self.shared = self.borrowed = Borrowed()
        OPERATIONS[SETTLE] = self.borrowed.settle
        self.world.of_class = self.of_class
        self.world.pinned = []
        self.world.cannot = self.cannot  # type: ignore[method-assign]

    def request(self, operation: str, *arguments: Any) -> Any:
        """Ask on behalf of a proxy. What shows how something of the tests is made is made here."""
        if operation == "attr" and shown.is_seen(arguments[0], arguments[1]):
            return shown.see(self.ask, *arguments)
        found = self.ask(operation, *arguments)
        return [name for name in found if name not in OF_ALL] if operation == "dir" else found

    def of_class(self, kind: Any, mirrored: Any) -> Any:
        """Return what a class of the tests has in it."""
        return shown.see(self.ask, kind, "__dict__") if kind.__module__ in {shim.TESTS, shim.PRELUDE} else mirrored

    def refer(self, value: Any, packer: Packer) -> list[Any]:
        """Pack a value that the code answers with, or calls the tests with."""
        if type(value) is shown.Attributes:
            plain: list[Any] = packer.pack(dict(value))
            return plain
        write = ANSWERED.get(type(value))
        if write is not None:
            packed: list[Any] = write(packer, value, 1)
            return packed
        return super().refer(value, packer)

    def unanswered(self, error: Exception) -> None:
        """Tell the tests' end that an answer can't be sent, which is nobody's fault."""
        if isinstance(error, CodecError | TypeError | ValueError):  # the code's classes may raise, as where one can't be hashed
            self.ask(limits.OPERATION, CROSS + str(error))

    def unsent(self, error: CodecError) -> BaseException:
        """Tell the tests' end that the code can't ask, which is nobody's fault."""
        self.ask(limits.OPERATION, CROSS + str(error))
        return TypeError(str(error))

    def cannot(self, what: str, of: str) -> NoReturn:
        """Tell the tests' end what can't be done across two processes."""
        self.ask(limits.OPERATION, f"the code can't {what} {of} of the tests")
        raise TypeError(f"can't {what} {of} of the tests")

    def packer(self, containers: Sequence[Any] = ()) -> Packer:
        """Return a packer that shows the tests all of a dict of which the code hands them a view."""
        packer = super().packer(containers)
        packer.views = True
        return packer

    def introduce(self, module: types.ModuleType) -> list[Any]:
        """Pack the names of a module, the module, and its functions, which go unasked since the tests will most likely want them.

        What `Packer` makes of them, made without it: in a new process, whatever runs first is slow.
        """
        self.objects[0] = module
        self.numbers[id(module)] = 0
        offered: list[Any] = ["d"]
        functions: list[Any] = ["d"]
        number = 0
        for name, value in vars(module).items():
            kind = type(value)
            offered += name, value.__name__ if kind is types.ModuleType else ""
            if kind is types.FunctionType and id(value) not in self.numbers:
                number += 1
                self.objects[number] = value
                self.numbers[id(value)] = number
                functions += name, ["R", number, 1]
        self.next_number = number
        return ["l", offered, ["R", 0, 0], functions]

    def offer(self, packer: Packer) -> Sequence[int]:
        """Offer all: what the code doesn't hold then is dropped before the next message."""
        packer.containers.lasting = range(len(packer.containers.copied))
        return range(len(packer.containers))

    def keep(self, result: Any, containers: Met, before: Sequence[list[Any]], packer: Packer) -> Sequence[int]:
        """Return what is kept of the arguments, and held of the answer."""
        holds = held(packer.containers, len(containers), result)
        return [*self.borrowed.kept(containers, before, result, packer.containers), *holds]

    def printed(self) -> str:
        """Return what the code has printed."""
        return self.output.take()


class Stage:
    """What a sample's process needs, made by the fork server: a child that makes it would write to a hundred pages more."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock`: with the number of the descriptor that the sample will bring."""
        self.peer = SolutionPeer(Captured())
        self.peer.sock = sock
        self.keyboard = Keyboard(self.peer)
        self.module = types.ModuleType(NAME)
        for kind in (types.ModuleType, types.FunctionType):
            self.peer.class_number(kind)


def set_up(sock: socket.socket) -> Stage:
    """Return a stage; standard error then goes to its descriptor."""
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    return Stage(sock)


def main(source: str, stage: Stage) -> None:
    """Run the code and serve its names."""
    peer, module = stage.peer, stage.module
    sys.stdout, sys.stdin, builtins.input = peer.output, stage.keyboard, stage.keyboard.input
    sys.modules[NAME] = module
    if "pytest" in source:
        sys.modules["pytest"] = as_pytest()
    names = vars(module)
    source = source.removeprefix("\ufeff")
    try:
        try:
            written.show(module, FILE, source)
            exec(compile(source, FILE, "exec", dont_inherit=True), names)  # noqa: S102 - what all this is for
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - the code may raise anything
            peer.send(peer.encode(["failed", _told(error), peer.printed()]))
            return
        peer.send(peer.encode(["ready", peer.introduce(module), peer.printed()]))
        peer.serve()
    except Closed:
        pass


class Mark:
    """What tests of the code's own write in front of a function, which nobody runs here."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return a decorated function, or what decorates one."""
        return given[0] if len(given) == 1 and not named and isinstance(given[0], types.FunctionType | type) else self

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)
        return self


def as_pytest() -> types.ModuleType:
    """Return what code finds as `pytest` that brings tests of its own along."""
    made = types.ModuleType("pytest")
    vars(made).update(raises=shim.raises, approx=Approx, fail=shim.fail, __getattr__=Mark().__getattr__)
    return made


def _told(error: BaseException) -> str:
    where = ""
    trace = error.__traceback__
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            where = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"
