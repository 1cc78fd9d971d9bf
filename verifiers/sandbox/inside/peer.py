"""One end of the conversation between the two processes of a sample: ask, answer, and the objects that stay at home.

Both ends run the same protocol, since either may call the other while it is being called (callbacks). A message is a length
and JSON: ["ask", operation, arguments, news], ["ok", value, changes, printed, news] or the same with "err" and an exception.
`changes` is the new content of the mutable arguments, so that a function may change its arguments in place. `news` describes
the classes that the message mentions for the first time, names the references that the sender has dropped, and says what it has
changed in containers that both ends hold (`shared.py`).

The test process's end (`guard.py`) allows the solution much less than the solution's end allows the tests.
"""

from __future__ import annotations

import functools
import json
import socket
import sys
import threading
import time
from collections.abc import Sequence
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any, NoReturn

from verifiers.sandbox.inside import described, errors, mirror
from verifiers.sandbox.inside.codec import CodecError, Packer, Unpacker
from verifiers.sandbox.inside.containers import parts_of, refill
from verifiers.sandbox.inside.operations import OPERATIONS
from verifiers.sandbox.inside.shared import Shared, held
from verifiers.sandbox.inside.tuples import Tuples

MESSAGE_BYTES = 32 << 20
NESTING = 900
"""Calls of one another in the midst of a call: about where Python itself would have had enough."""
PLUMBING = 24
"""Frames of ours for each of them, which count for nobody."""
PAUSE_S = 0.005
CHUNK = 1 << 16
"""Memory for twice as much would be mapped anew for each message."""


def _no_json(value: object) -> NoReturn:
    raise CodecError(f"a {type(value).__name__} isn't packed")


# Without what json.dumps and json.loads do around these, which costs a small message twice as much as its text.
_encode = c_make_encoder(None, _no_json, encode_basestring_ascii, None, ":", ",", False, False, True)
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _changes(packer: Packer, containers: Sequence[Any], before: Sequence[list[Any]]) -> list[list[Any]]:
    """Return the new content of the containers that have changed, by their numbers, unless both ends hold them anyway."""
    changes = []
    for number, (container, parts) in enumerate(zip(containers, before, strict=True)):
        if id(container) in packer.shared:
            continue
        now = parts_of(container)
        if len(now) != len(parts) or any(a is not b for a, b in zip(now, parts, strict=True)):
            changes.append([number, packer.content(container)])
    return changes


class Closed(BaseException):
    """The other process is gone, or speaks nonsense: there is no way to go on. No `except Exception` may hide it."""


class Peer:
    """One end. At most one thread at a time has the floor; a thread that has it may be called back."""

    functions_in = functions_out = True

    sock: socket.socket

    def __init__(self) -> None:
        self.floor = threading.RLock()
        self.serving = 0
        """The thread that answers the other side, at the code's end."""
        self.busy = False
        self.depth = 0
        self.asked = 0
        self.received = 0
        self.arrived = bytearray()
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.next_number = 0
        self.classes: list[type] = []
        self.class_numbers: dict[type, int] = {}
        self.offered: set[type] = set()
        self.tuples = Tuples()
        self.news: list[Any] = []
        self.shared: Shared
        self.told: list[Any] = []
        """What the last message has said of what both ends hold, where that is something."""
        self.world = mirror.World(self.request, self.tuples)

    # What a subclass decides.

    def allow(self, operation: str, arguments: list[Any]) -> None:
        """Raise where the other side may not do that."""

    def export(self, value: Any) -> None:
        """Raise where a value may not be referred to from the other side."""

    def broken(self, why: str) -> NoReturn:
        """Give up the conversation."""
        raise Closed(why)

    def printed(self) -> str:
        """Return what was printed here since the last message."""
        return ""

    def show(self, text: str) -> None:
        """Print what was printed there."""

    def offer(self, packer: Packer) -> Sequence[int]:  # noqa: ARG002
        """Return which containers of a question are still held here, or may be. What is kept there is told by the answer."""
        return ()

    def keep(self, result: Any, containers: Any, _before: Sequence[list[Any]], packer: Packer) -> Sequence[int]:
        """Return which containers of an answer are held here."""
        return held(packer.containers, len(containers), result)

    def unsent(self, error: CodecError) -> BaseException:
        """Return what to raise where a question can't be sent."""
        return error

    def unanswered(self, error: Exception) -> None:
        """Note that an answer can't be sent."""

    # Messages.

    def encode(self, message: list[Any], told: Sequence[Any] = ()) -> bytes:
        """Return a message's bytes. Raise CodecError where it is too large."""
        body = "".join(_encode([*message, [self.news, self.world.take_dropped(), *told]], 0)).encode()
        if len(body) > MESSAGE_BYTES:
            raise CodecError("a value is too large to cross")
        return len(body).to_bytes(4, "big") + body

    def send(self, body: bytes) -> None:
        """Send a message's bytes."""
        self.news = []
        try:
            self.sock.sendall(body)
        except OSError as error:
            self.broken(f"gone: {error}")

    def receive(self) -> list[Any]:
        """Return the next message."""
        size = int.from_bytes(self.read(4), "big")
        if size > MESSAGE_BYTES:
            self.broken("malformed: a message that is too large")
        body = self.read(size)
        try:
            text = body.decode()
            message, end = _scan(text, 0)
            if end != len(text) or type(message) is not list or not message[1:]:
                raise CodecError("malformed")  # noqa: TRY301 - one way out for all that is malformed
            classes, dropped, *self.told = message.pop()
            for description in classes:
                self.world.learn(description)
            for number in dropped:
                if (gone := self.objects.pop(number, None)) is not None:
                    self.numbers.pop(id(gone), None)
        except (
            ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError, CodecError, StopIteration
        ) as error:  # fmt: skip
            self.broken(f"malformed: {type(error).__name__}")
        return message

    def read(self, size: int) -> bytes:
        """Read exactly so many bytes."""
        while len(self.arrived) < size:
            try:
                chunk = self.sock.recv(CHUNK)
            except OSError as error:
                self.broken(f"gone: {error}")
            if not chunk:
                self.broken("gone")
            self.arrived += chunk
            self.received += len(chunk)
        found = bytes(self.arrived[:size])
        del self.arrived[:size]
        return found

    # Asking.

    def request(self, operation: str, *arguments: Any) -> Any:
        """Ask on behalf of a proxy."""
        return self.ask(operation, *arguments)

    def ask(self, operation: str, *arguments: Any) -> Any:
        """Have the other side do something, and return what comes of it or raise what it raised."""
        with self.floor:
            if self.serving and not self.busy:
                self.wait()
            if self.depth >= NESTING:
                raise RecursionError("the two processes call each other too deeply")
            self.shared.begin(self.depth)
            packer = self.packer()
            try:
                packed = [packer.pack(argument) for argument in arguments]
                self.shared.give(packer.given)
                body = self.encode(["ask", operation, packed], self.shared.tell(packer, self.offer(packer)))
            except CodecError as error:
                raise self.unsent(error) from None
            self.shared.commit()
            self.depth += 1
            self.asked += 1
            settled = False
            if not self.serving:
                self.shared.exchanges.append((packer.containers, ()))
            try:
                self.send(body)
                while (message := self.receive())[0] == "ask":
                    self.answer(message)
                result = self.conclude(operation, message, packer)
                settled = True
            finally:
                self.depth -= 1
                if not self.serving:
                    self.shared.exchanges.pop()
                if not settled:  # out of memory or stack, say: half a message is still in the socket
                    self.broken("malformed, or too large")
            kind, value = result
            if kind == "err":
                raise value
            return value

    def wait(self) -> None:
        """Let others have the floor until the tests wait again: this is a thread that the code has started."""
        while not self.busy:
            if threading.get_ident() == self.serving:
                raise RuntimeError("nobody waits for the code, so it can't call the tests")
            self.floor.release()
            try:
                time.sleep(PAUSE_S)
            finally:
                self.floor.acquire()

    def conclude(self, operation: str, message: list[Any], packer: Packer) -> tuple[str, Any]:
        """Read an answer: its kind, and the value or the exception to raise."""
        told, self.told = self.told, []
        try:
            if told:
                self.shared.hear_upper(told)
            kind, value, changes, printed = message
            unpacker = self.unpacker(packer.containers)
            result = unpacker.unpack(value)
            for number, content in changes:
                refill(packer.containers[number], unpacker.content(content))
            if type(printed) is not str or kind not in {"ok", "err"} or (kind == "err" and not isinstance(result, BaseException)):
                raise CodecError("malformed")  # noqa: TRY301 - one way out for all that is malformed
            if told:
                self.shared.hear(told, unpacker, len(packer.containers))
        except (Exception, RecursionError) as error:  # noqa: BLE001 - whatever goes wrong in reading it, it was no answer
            self.broken(f"malformed: {type(error).__name__}")
        if printed:
            self.show(printed)
        return kind, self.sober(operation, result) if kind == "err" else result

    @staticmethod
    def sober(operation: str, error: BaseException) -> BaseException:
        """Return the exception to raise here.

        A StopIteration that doesn't come from an iterator would end a loop of the tests early, as if all were well:
        `all(map(check_one, cases))` is True when `check_one` raises it.
        """
        if isinstance(error, StopIteration) and operation != "next":
            return RuntimeError("the code raised StopIteration")
        if isinstance(error, StopAsyncIteration) and operation != "await":
            return RuntimeError("the code raised StopAsyncIteration")
        if isinstance(error, GeneratorExit | KeyboardInterrupt):
            return RuntimeError(f"the code raised {type(error).__name__}")
        return error

    # Answering.

    def serve(self) -> None:
        """Answer until the other side is gone."""
        self.serving = threading.get_ident()
        while True:
            self.reply(self.receive())

    def answer(self, message: list[Any]) -> None:
        """Answer while an answer is waited for here."""
        self.depth += 1
        sys.setrecursionlimit(sys.getrecursionlimit() + PLUMBING)
        try:
            self.reply(message)
        finally:
            self.depth -= 1
            sys.setrecursionlimit(sys.getrecursionlimit() - PLUMBING)

    def reply(self, message: list[Any]) -> None:
        """Do what is asked for and say what came of it."""
        with self.floor:
            # From now on, threads that the code starts may call the tests while they wait for this answer.
            self.busy = True
            told, self.told = self.told, []
            try:
                _, operation, packed = message
                if told:
                    self.shared.hear_upper(told)
                unpacker = self.unpacker()
                arguments = [unpacker.unpack(argument) for argument in packed]
                perform = OPERATIONS[operation]
                if told:
                    self.shared.hear(told, unpacker, 0)
            except (
                ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, CodecError
            ) as error:  # fmt: skip
                self.broken(f"malformed: {type(error).__name__}")
            before = [parts_of(container) for container in unpacker.containers]
            if self.serving:
                self.shared.exchanges.append((unpacker.containers, before))
        kind = "ok"
        try:
            self.allow(operation, arguments)
            result = perform(*arguments)
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            kind, result = "err", error
        try:
            with self.floor:
                if self.serving:
                    self.shared.exchanges.pop()
                self.respond(kind, result, unpacker.containers, before)
        except (CodecError, ValueError, TypeError, RecursionError, MemoryError) as error:
            self.unanswered(error)
            with self.floor:
                self.respond("err", TypeError(str(error)), [], [])

    def respond(self, kind: str, result: Any, containers: Sequence[Any], before: Sequence[list[Any]]) -> None:
        """Send an answer, with the new content of the containers that have changed."""
        packer = self.packer(containers)
        packed = packer.pack(result)
        changes = _changes(packer, containers, before) if containers else []
        self.shared.give(packer.given)
        new = self.keep(result, containers, before, packer) if packer.containers or packer.containers.copied else ()
        body = self.encode([kind, packed, changes, self.printed()], self.shared.tell(packer, new))
        self.shared.commit()
        self.busy = self.depth > 0
        self.send(body)

    # Objects that stay at home, and those whose home is there.

    def packer(self, containers: Sequence[Any] = ()) -> Packer:
        """Return a packer that knows this end's objects."""
        return Packer(self.refer, containers, self.shared.numbers, functions=self.functions_out)

    def unpacker(self, containers: Sequence[Any] = ()) -> Unpacker:
        """Return an unpacker that knows this end's objects."""
        return Unpacker(self.resolve, containers, self.shared.entries, functions=self.functions_in)

    def refer(self, value: Any, packer: Packer) -> list[Any]:
        """Pack a value that doesn't cross."""
        if (home := self.world.home_of(value)) is not None:
            return home
        if isinstance(value, BaseException) and (name := errors.exception_name(type(value))):
            return ["X", name, *packer.wrapped("", value, value.args, 1)[1:]]
        if isinstance(value, tuple) and (key := self.tuples.key_of(value)):
            return ["nt", key[0], list(key[1]), packer.wrapped("t", value, value, 1)]
        self.export(value)
        if isinstance(value, type):
            self.offered.add(value)
            return ["K", self.class_number(value)]
        number = self.numbers.get(id(value))
        if number is None:
            number = self.next_number = self.next_number + 1
            self.objects[number] = value
            self.numbers[id(value)] = number
        arguments = packer.wrapped("", value, value.args, 1)[1:] if isinstance(value, BaseException) else []
        return ["R", number, self.class_number(type(value)), *arguments]

    def class_number(self, kind: type) -> int:
        """Return a class's number; the first time, it goes into the news."""
        if kind not in self.class_numbers:
            bases = [errors.exception_name(base) or self.class_number(base) for base in kind.__bases__ if described.is_told(base)]
            self.class_numbers[kind] = len(self.classes)
            self.classes.append(kind)
            self.news.append(described.describe(self.class_numbers[kind], kind, bases))
        return self.class_numbers[kind]

    def resolve(self, packed: list[Any], unpacker: Unpacker) -> Any:
        """Unpack what `refer` packed, on the other side."""
        tag, number = packed[0], packed[1]
        if tag == "H":
            return self.objects[number]
        if tag == "HK":
            return self.classes[number]
        if tag == "K":
            return self.world.classes[number]
        if tag == "R":
            return unpacker.wrap(functools.partial(self.world.proxy, number, packed[2]), packed[2:])
        if tag == "nt":
            return unpacker.wrap(functools.partial(self.tuples.make, number, packed[2]), packed[3])
        if tag == "X":
            return unpacker.wrap(functools.partial(errors.make_exception, number), packed[1:])
        raise CodecError("malformed")
