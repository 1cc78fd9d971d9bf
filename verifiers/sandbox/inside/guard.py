"""The test process's end of the conversation: it trusts nothing that comes from the solution's end.

A solution may answer a call with an object of its own making. Three ways to cheat with one are closed here:

* *Answers that are made to fit.* `abs(candidate(x) - 0.5) < 1e-6` shows the 0.5 to whatever `candidate` returned. So no data of
  the tests is shown to an object of the code in an operation whose outcome is data: an order, `in`, arithmetic, `.startswith(…)`.
  Objects of a class whose name the tests themselves spell as a class (`Vector(1, 2) * 3`) may do arithmetic, but what comes of it
  must be an object again, and is then not turned into a number. One that the tests have made themselves may be ordered and asked
  (`Version("1.2") < "1.3"`); one that the code has answered with decides nothing by that.
* *An assertion that is passed over.* A context manager of the code's can't swallow an assertion, nor what is raised in a block
  that tests something (`held.py`), and an object whose class the tests don't name isn't empty while it says that it has parts.
* *Reading the tests through an object of theirs.* A callback may be called, and its signature seen: `callback.__globals__` is
  refused (`gate.py`).

Right code may meet with that. So what is refused here is a `Limit`, which leaves the sample undecided, and no error of the code.
"""

from __future__ import annotations

import functools
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from verifiers.sandbox.inside import attributes, held, parts
from verifiers.sandbox.inside.codec import CodecError
from verifiers.sandbox.inside.gate import ARITHMETIC, Gate
from verifiers.sandbox.inside.limits import Limit
from verifiers.sandbox.inside.mirror import RemoteMeta, is_remote
from verifiers.sandbox.inside.operations import IMMUTABLE, IN_PLACE, ORDER, PREDICATES, UNARY, looks
from verifiers.sandbox.inside.peer import Peer
from verifiers.sandbox.inside.shared import SETTLE, Lent
from verifiers.sandbox.inside.shim import Broken
from verifiers.sandbox.inside.surroundings import OPERATION, Surroundings

LOOKS = {"bool", "len", "iter", "reversed", "contains", "getitem"}
"""What looks into an object."""
CHANGES = {
    "call", "attr", "setattr", "delattr", "getitem", "setitem", "delitem", "next", "enter", "exit", "aexit", "get", "set",
    "delete", *IN_PLACE,
}  # fmt: skip
"""After which an object may be another number, or have another length."""
CALLS = CHANGES - {"attr", "getitem", "next"}
"""Those by which one may do so that is honest, in the midst of a loop over its parts."""
ABSENT = object()


class Guard(Gate):
    """The test process's end."""

    functions_in = False

    def __init__(self, sock: socket.socket, fail: Callable[..., NoReturn], output_bytes: int) -> None:
        super().__init__()
        self.sock = sock
        self.fail = fail
        self.output_left = output_bytes
        self.module: Any = None
        self.changes = 0
        self.calls = 0
        self.lengths = 0
        self.shared = self.lent = Lent()
        self.held: dict[int, held.Place] = {}
        """Lines on which a `with` of the tests begins whose block tests something, and where the last test in it ends."""
        self.expecting: frozenset[int] = frozenset()
        """Lines on which the tests expect that an object has no such part."""
        self.waits = False
        """Whether the tests let time pass, which may change an object as well."""
        self.surroundings: Surroundings | None = None
        """Where the tests use files or the environment: what the code knows of them."""
        self.risk = ""
        """What of the tests might run what is in a file."""

    def broken(self, why: str) -> NoReturn:
        """End the tests here and now."""
        # Not an exception: the tests might swallow it and go on without the code.
        self.fail(
            "the code ended its process during the tests" if why.startswith("gone") else f"the code's process sent what is {why}"
        )

    def show(self, text: str) -> None:
        """Print what the code printed, up to a limit."""
        self.output_left -= len(text)
        if self.output_left < 0:
            self.fail("output limit")
        sys.stdout.write(text)

    # What the tests may ask.

    def ask(self, operation: str, *arguments: Any) -> Any:
        """Have the code do something, in surroundings that are the tests' own."""
        self.changes += self.lent.is_dirty()
        if self.surroundings is None or (operation == "attr" and arguments[0] is self.module):
            return super().ask(operation, *arguments)
        with self.floor:
            self.share(asking=False)
            try:
                return super().ask(operation, *arguments)
            finally:
                self.share()

    def unsent(self, error: CodecError) -> BaseException:
        """Return that the tests can't ask: nobody is wrong."""
        return Broken(f"the tests hand the code what can't cross: {error}")

    def write_back(self) -> None:
        """Have the code find changed what the tests have changed of its own."""
        if self.lent.is_dirty():
            self.changes += 1
            super().ask(SETTLE, [], [])

    def apart(self) -> str:
        """Return what the tests do with containers that differs from one process; empty where there is nothing."""
        try:
            differs = self.lent.differs(super().ask)
        except BaseException:  # noqa: BLE001 - the code answers with whatever it likes: nobody knows
            differs = True
        return "share a list, dict or set with the code that doesn't stay the same in both processes" if differs else ""

    def answer(self, message: list[Any]) -> None:
        """Answer the code in the middle of that."""
        self.share()
        super().answer(message)

    def respond(self, kind: str, result: Any, containers: Sequence[Any], before: Sequence[list[Any]]) -> None:
        """Send the answer."""
        self.share(asking=False)
        super().respond(kind, result, containers, before)

    def share(self, *, asking: bool = True) -> None:
        """Tell the code what has changed around the tests and, where that is asked or there is something, hear the same of it.

        Raise Broken where it can't be shared.
        """
        if self.surroundings is None:
            return
        try:
            changes = self.surroundings.changes()
            if asking or any(changes):
                theirs = super().ask(OPERATION, changes)
                self.surroundings.take(theirs, self.risk)
        except (TypeError, ValueError, LookupError, AttributeError):
            self.broken("malformed: no files")
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing can be decided
            self.surroundings = None  # the error may be the code's own object, which is asked what it says
            self.trouble = str(error)  # the tests may go on, and the code may hide it from a callback
            raise Broken(self.trouble) from None

    def request(self, operation: str, *arguments: Any) -> Any:
        """Ask on behalf of a proxy, unless the question would give away what the answer should be."""
        subject = next(filter(is_remote, arguments))
        self.changes += operation in CHANGES
        self.calls += operation in CALLS
        shows_data = not all(map(is_remote, arguments))
        if operation == "attr" and arguments[1] in attributes.ASSERTIONS:  # the code may have put its own object where a mock was
            raise Limit(
                f"the sandbox doesn't ask .{arguments[1]} of the code's {type(subject).__name__}, which is no mock of the tests"
            )
        if subject._tainted_ and not subject._made_ and operation in LOOKS:
            raise Broken(f"the tests look into what a {type(subject).__name__} that the code has answered with made of data")
        answer = self.refused(operation, arguments, subject) if shows_data else ABSENT
        if answer is ABSENT and not (subject._made_ or (subject._trusted_ and isinstance(subject, RemoteMeta))):
            answer = self.of_a_stranger(operation, arguments, subject)
        if answer is not ABSENT:
            return answer
        if operation in {"exit", "aexit"}:
            return self.left(operation, arguments)
        if operation in UNARY and not isinstance(subject, RemoteMeta):
            result = self.made(operation, arguments, self.steady(operation, arguments))
            if not subject._tainted_:
                return result
            if not is_remote(result):
                raise Broken(f"an object that came of data isn't turned into a number by {operation}")
            object.__setattr__(result, "_tainted_", True)
            return result
        if operation == "data":
            return self.data(subject)
        return self.made(operation, arguments, self.ask(operation, *arguments))

    @staticmethod
    def made(operation: str, arguments: tuple[Any, ...], result: Any) -> Any:
        """Return a result, marked where the tests have made it: by a class, or by arithmetic of what they had made.

        So it stays where a method answers with its own object and nobody looks: `tree.insert(3)`, `with Store() as store`.
        """
        if is_remote(result) and not isinstance(result, RemoteMeta):
            subject = arguments[0]
            if operation == "attr" and isinstance(subject, RemoteMeta) and arguments[1].startswith(parts.MAKERS):
                object.__setattr__(result, "_makes_", subject)
            by_class = operation == "call" and (isinstance(subject, RemoteMeta) or type(result) is subject._makes_)
            computed = operation in ARITHMETIC or operation in UNARY
            again = result._ours_ and (operation == "enter" or held.drops())
            if by_class or again or (computed and all(each._made_ for each in arguments if is_remote(each))):
                object.__setattr__(result, "_made_", True)
                object.__setattr__(result, "_ours_", True)
        return result

    def refused(self, operation: str, arguments: tuple[Any, ...], subject: Any) -> Any:
        """Return what comes of an operation with data; ABSENT: it may be asked. Raise Limit where data isn't shown."""
        trusted = subject._trusted_ and not isinstance(subject, RemoteMeta)
        if operation in ARITHMETIC:
            if not trusted:
                raise self.not_shown(operation, subject)
            result = self.made(operation, arguments, self.ask(operation, *arguments))
            if not is_remote(result):
                kind = type(subject).__name__
                raise Limit(f"the sandbox doesn't believe the data that {operation!r} makes of data and the code's {kind}")
            object.__setattr__(result, "_tainted_", True)
            return result
        if operation == "eq":
            return self.unequal(subject, arguments)
        if operation in ORDER and not (trusted and (subject._made_ or not subject._tainted_)):
            raise self.not_shown(operation, subject)
        if operation in ORDER and (subject._tainted_ or not subject._made_):
            made = "made of data" if subject._made_ else "has answered with"
            raise Broken(f"the tests order data against a {type(subject).__name__} that the code {made}")
        if operation == "contains" and (not subject._trusted_ or (trusted and not subject._made_)):
            return self.holds(subject, arguments[1])
        return ABSENT

    @staticmethod
    def not_shown(operation: str, subject: Any) -> Limit:
        """Return that an object of the code's isn't shown what it may be expected to be."""
        return Limit(f"the sandbox doesn't show an object of the code's class {type(subject).__name__} data for {operation!r}")

    def holds(self, subject: Any, item: Any) -> bool:
        """Return whether data is among the parts of an object. Raise Broken where it says so and gives others, or gives none."""
        instance = not isinstance(subject, RemoteMeta)
        if instance and (subject._like_ or subject._data_ in IMMUTABLE):
            return bool(item in self.data(subject))
        says = instance and parts.has(subject, "__contains__")
        given = found = False
        if not says or parts.has(subject, "__iter__"):
            for part in iter(subject):
                given, found = True, bool(part is item or part == item)
                if found:
                    break
            if not says or not given:
                return found
        if not given or bool(self.ask("contains", subject, item)) != found:
            raise Broken(f"the tests look for data in a {type(subject).__name__} that the code has answered with")
        return found

    def unequal(self, subject: Any, arguments: tuple[Any, ...]) -> Any:
        """Return that an object isn't equal to data. One whose class the tests name is asked, for it may fail at that.

        That it says yes decides nothing: neither that it is right, nor that `x != 5` is false.
        """
        if subject._trusted_ and not isinstance(subject, RemoteMeta) and self.ask("eq", *arguments) is not False:
            raise Broken(f"the tests compare data with a {type(subject).__name__} of the code, which says that it equals them")
        return NotImplemented

    def of_a_stranger(self, operation: str, arguments: tuple[Any, ...], subject: Any) -> Any:
        """Return what an object says that the tests haven't made, as far as it isn't believed; ABSENT: it is."""
        if operation in {"iter", "reversed"} and parts.has(subject, "__len__"):
            return self.counted(operation, subject)
        if operation == "getitem" and parts.has(subject, "__len__") and type(arguments[1]) is int:
            return self.part(subject, arguments[1])
        if operation == "len" and not isinstance(subject, RemoteMeta):
            self.lengths += 1
            return self.steady(operation, arguments)
        if operation == "attr" and subject is not self.module:
            return self.method(subject, arguments[1])
        return ABSENT

    def method(self, subject: Any, name: str) -> Any:
        """Return a method that is shown what the answer should be, so that the code isn't; ABSENT: it is none of these."""
        kind = None if isinstance(subject, RemoteMeta) else subject._data_ or subject._like_
        asked = name in subject._own_ or (name == "get" and not subject._data_)
        if kind and not asked and (name in looks(kind) or (name in PREDICATES and hasattr(kind, name))):
            return parts.here(name, kind, lambda: self.content(subject), functools.partial(self.ask, "attr", subject, name))
        shown = parts.SHOWN if subject._trusted_ else {**parts.SHOWN, **parts.UNUSUAL}
        if (name not in shown and name not in subject._own_) or not is_remote(found := self.ask("attr", subject, name)):
            return ABSENT
        if name in parts.SEARCHES and not kind:
            return parts.searching(name, subject, found) if parts.has_parts(subject) else found

        def say(*given: Any, **named: Any) -> Any:
            known = [each for each in (*given, *named.values()) if not (is_remote(each) or callable(each))]
            suspects = known[name == "get" :]  # a key isn't what is found there
            unasked = not (given or named) and (name in parts.CONTENT or (name in PREDICATES and not subject._trusted_))
            if not unasked and not any(isinstance(each, shown.get(name, object)) for each in suspects):
                return found(*given, **named)
            sets = name in parts.DIFFERENCES and not kind and not subject._trusted_ and parts.has_parts(subject)
            if sets and len(given) == 1:
                return getattr({*subject}, name)(*given)
            raise Broken(f"the tests ask .{name} of a {type(subject).__name__} that the code has answered with")

        return say

    def content(self, subject: Any) -> Any:
        """Return what an object has as one of a built-in class. Raise Broken where it says that it has more or less."""
        data = self.data(subject)
        if parts.has(subject, "__len__") and parts.length(subject) != len(data):
            raise Broken(
                f"a {type(subject).__name__} of the code says that it has {parts.length(subject)} parts, and has {len(data)}"
            )
        return data

    def part(self, subject: Any, number: int) -> Any:
        """Return a part of an object. Raise TypeError where it says that it has one of that number, and hasn't."""
        if number == 0:  # a loop may begin here
            object.__setattr__(subject, "_told_", (self.calls, parts.length(subject)))
        try:
            part = self.ask("getitem", subject, number)
        except IndexError:
            calls, told = subject._told_ or (None, None)
            most = told if calls == self.calls else parts.length(subject)
            if 0 <= number < (most or 0) and self.expecting.isdisjoint(held.lines()):
                raise TypeError(f"{type(subject).__name__} has no part {number}, and says that it has more") from None
            raise
        self.changes += 1  # since it told its length
        return part

    def counted(self, operation: str, subject: Any) -> Iterator[Any]:
        """Return what an object consists of. Raise TypeError where that is nothing, and it says that it has parts.

        `len(x) == 3 and all(a == b for a, b in zip(x, right))` would be true of one that says 3 and has less in it. A length may
        count something else, such as the letters of a document that consists of lines: then nothing is decided, but for
        what makes a list of all of it, and asks for the length to do so.
        """
        asked = self.lengths

        def given() -> Iterator[Any]:
            whole = self.lengths > asked
            iterator, most, number = self.ask(operation, subject), parts.length(subject), 0
            for part in iter(functools.partial(next, iterator, ABSENT), ABSENT):
                number += 1
                if most is not None and number > most and not whole:
                    raise Broken(f"a {type(subject).__name__} of the code says that it has {most} parts, and gives more")
                yield part
            if most and not number:
                raise TypeError(f"{type(subject).__name__} says that it has {most} parts, and has none")
            if most is not None and number < most and not whole:
                raise Broken(f"a {type(subject).__name__} of the code says that it has {most} parts, and gives {number}")

        return given()

    def left(self, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Tell a context manager of the code's that its block is left. What it hides is no test that has failed."""
        answer = self.ask(operation, *arguments)
        if not isinstance(arguments[2], BaseException) or self.may_hide(arguments[2]):
            return answer
        return False if operation == "exit" else held.only_awaited(answer)

    def may_hide(self, error: BaseException) -> bool:
        """Whether an exception says nothing of the code: no assertion, and raised outside of tests or when all have held."""
        if isinstance(error, Broken):
            return False
        end = self.held.get(next(held.lines(), 0))
        if isinstance(error, AssertionError):
            return end is None and held.raised_by(error) in {None, Peer.ask.__code__}
        return end is None or held.raised_at(error) >= end

    def data(self, subject: Any) -> Any:
        """Ask what an object is as one of a built-in class, once where that can't change."""
        if subject._tainted_:
            raise Broken(f"the tests compare data with what a {type(subject).__name__} of the code made of data")
        if subject._data_ not in IMMUTABLE:
            return self.steady("data", (subject,))
        if subject._kept_ is None:
            object.__setattr__(subject, "_kept_", self.ask("data", subject))
        return subject._kept_

    def steady(self, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Ask what number an object is, once until the next call.

        An object that is another number each time it is asked could satisfy an equation without solving it.
        """
        if self.waits:
            return self.ask(operation, *arguments)
        self.write_back()
        answers = object.__getattribute__(arguments[0], "_answers_") or {}
        key = (self.changes, operation, repr(arguments[1:]))
        if key not in answers:
            kept = {known: answer for known, answer in answers.items() if known[0] == self.changes}
            answers = kept | {key: self.ask(operation, *arguments)}
            object.__setattr__(arguments[0], "_answers_", answers)
        return answers[key]
