"""What stands here for an object whose home is the other process: a proxy, of a class that mirrors the object's class.

A mirrored class is a real class, so that `isinstance`, `except` and `type(x) is C` work as the tests expect; it has exactly
those special methods that the original has, and each one asks. Two things are decided here: a proxy is never equal to anything
but another proxy, whatever it says, and its type is what it is. One of a class that derives from a built-in one, such as a list,
is equal to what that is equal to, as long as the class has no other notion of it.
"""

from __future__ import annotations

import contextlib
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from verifiers.sandbox.inside.codec import WRITE
from verifiers.sandbox.inside.errors import exception_named
from verifiers.sandbox.inside.operations import DATA, IMMUTABLE
from verifiers.sandbox.inside.special import Initial, bind, special
from verifiers.sandbox.inside.tuples import Tuples

PLAIN = {type(None), bool, int, float, str, *WRITE}
"""Classes of values that cross whole."""


class Unsupported(BaseException):
    """The tests do something that can't be done across two processes: nobody's fault, so the sample stays undecided."""


class RemoteMeta(type):
    """The class of mirrored classes."""

    _world_: World
    _class_number_: int

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], *, mirrored: bool = False) -> RemoteMeta:
        """Refuse to derive from a mirrored class."""
        if not mirrored:
            base = next(kind for kind in bases if isinstance(kind, RemoteMeta))
            base._world_.cannot("derive", f"the class {name} from a class")
        return super().__new__(cls, name, bases, body)

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], *, mirrored: bool = False) -> None:  # noqa: ARG002 - for __new__
        """Accept the keyword."""
        super().__init__(name, bases, body)

    @property  # type: ignore[misc]
    def __dict__(cls) -> Any:  # type: ignore[override]
        """Of a class of the tests, as the code sees it, what it has over there."""
        own = own_dict(cls)
        return own if cls is Remote or cls._world_.of_class is None else cls._world_.of_class(cls, own)

    @property
    def __annotations__(cls) -> Any:  # type: ignore[override]
        if cls is Remote:
            raise AttributeError("__annotations__")
        return cls._world_.request("attr", cls, "__annotations__")

    @property
    def __doc__(cls) -> Any:  # type: ignore[override]
        return None if cls is Remote else cls._world_.request("attr", cls, "__doc__")

    def __subclasses__(cls) -> Any:
        return cls._world_.request("attr", cls, "__subclasses__")()

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        """Make an object, over there."""
        return cls._world_.request("call", cls, arguments, named or None)

    def __getattr__(cls, name: str) -> Any:
        if cls is Remote:
            raise AttributeError(name)
        return cls._world_.request("attr", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        cls._world_.request("setattr", cls, name, value)

    def __instancecheck__(cls, value: Any) -> bool:
        if super().__instancecheck__(value) or cls is Remote:
            return isinstance(type(value), RemoteMeta)
        known = isinstance(type(value), RemoteMeta) or type(value) in cls._world_.tuples.classes.values()
        return known and cls._world_.request("isinstance", value, cls) is True

    def __dir__(cls) -> Any:
        return cls._world_.request("dir", cls)

    def __iter__(cls) -> Any:
        return cls._world_.request("iter", cls)

    def __len__(cls) -> int:
        return cls._world_.count(cls)

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: Any) -> Any:
        return cls._world_.request("getitem", cls, key)

    def __contains__(cls, value: Any) -> bool:
        return cls._world_.request("contains", cls, value) is True


own_dict: Callable[[type], Any] = vars(type)["__dict__"].__get__


class Remote(metaclass=RemoteMeta, mirrored=True):
    """The base of all proxies."""

    _world_: World
    _number_: int
    _trusted_ = False
    _tainted_ = False
    _made_ = False
    """Whether the tests have made this object themselves, and the code hasn't answered with it since."""
    _ours_ = False
    """Whether they have made it, whatever came since."""
    _answers_: Any = None
    _makes_: Any = None
    """Of a class's own method: that class, where by its name it makes an object of it."""
    _own_: frozenset[str] = frozenset()
    """Of a class that derives from one of DATA: the methods of that one which look into it, and are its own here."""
    _told_: Any = None
    """Its length when somebody last asked for its first part, and how many calls there had been."""
    _data_: Any = None
    """Of DATA, the class that this one's derives from and compares as."""
    _like_: Any = None
    """The class of data as which this one compares, without deriving from it."""
    _derived_ = False
    """Whether its objects are of a built-in class for functions that are written in C."""
    _kept_: Any = None

    def __getattr__(self, name: str) -> Any:
        return self._world_.request("attr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in RAISED and isinstance(self, BaseException):  # where it was raised here
            object.__setattr__(self, name, value)
        else:
            self._world_.request("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._world_.request("delattr", self, name)

    def __eq__(self, other: object) -> bool:
        if isinstance(type(other), RemoteMeta):
            return self._world_.truth("eq", self, other)
        if (self._data_ is not None and type(other) in DATA) or (self._like_ is not None and type(other) in PLAIN):
            return bool(self._world_.data(self) == other)
        return self._world_.request("eq", self, other) if type(other) in PLAIN else NotImplemented

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        if self._data_ in IMMUTABLE:
            return hash(self._world_.data(self))
        number = self._world_.request("hash", self)
        if type(number) is not int:
            raise TypeError("not a hash")
        return hash(number)

    def __str__(self) -> str:
        return self._world_.text("str", self)

    def __repr__(self) -> str:
        return self._world_.text("repr", self)

    def __format__(self, form: str) -> str:
        return self._world_.text("format", self, form)

    def __dir__(self) -> Any:
        return self._world_.request("dir", self)

    def __deepcopy__(self, _memo: Any) -> Any:
        return self._world_.request("deepcopy", self)

    def __reduce_ex__(self, _protocol: Any) -> Any:
        self._world_.cannot("pickle", "an object")

    def __del__(self) -> None:
        if self._world_.pinned is not None and weakref.getweakrefcount(self) > 1:  # beside ours
            self._world_.pinned.append(self)
        else:
            self._world_.dropped.append(self._number_)

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        return self._world_.request("attr", self, "__dict__")


with contextlib.suppress(AttributeError, KeyError):  # else they would be taken for those of what a proxy stands for
    vars(type)["__annotations__"].__delete__(Remote)


def is_remote(value: Any) -> bool:
    """Whether a value stands for something of the solution process."""
    return isinstance(type(value), RemoteMeta) or isinstance(value, RemoteMeta)


def _shown(kind: Any) -> type:
    """Return a class for `isinstance(x, list)` and `isinstance(x, Enum)`: of the bases that both processes have."""
    if "_shown_" not in own_dict(kind):
        bases: list[type] = []
        for up in kind.__mro__:
            here = getattr(sys.modules.get(up.__module__), up.__name__, None) if up.__module__ in LIBRARY else None
            bases += [here] if isinstance(here, type) and not any(issubclass(known, here) for known in bases) else []
        if kind._data_ and not any(issubclass(known, kind._data_) for known in bases):
            bases.append(kind._data_)
        try:
            made: Any = types.new_class(kind.__name__, tuple(bases))
            made.__module__ = kind.__module__
        except TypeError:  # bases that go together there but not here, or one that nothing derives from
            made = bases[0] if (bases[0].__module__, bases[0].__name__) == (kind.__module__, kind.__name__) else kind
        type.__setattr__(kind, "_shown_", made)
    shown: type = own_dict(kind)["_shown_"]
    return shown


_issubclass = issubclass


def is_subclass(kind: Any, of: Any) -> bool:
    """Return what `issubclass` says, in whose place this is put; of a mirrored class, by what it derives from over there."""
    return _issubclass(kind, of) or (isinstance(kind, RemoteMeta) and _issubclass(_shown(kind), of))


ITERATORS: dict[str, type] = {
    kind.__name__: kind
    for kind in (types.GeneratorType, types.AsyncGeneratorType, types.MappingProxyType, map, zip, filter, enumerate, property)
}
"""Built-in classes for whose objects a proxy may pass: what it gives is looked at all the same."""
DOCUMENTED = {"function", "method", "builtin_function_or_method"}
TESTS = {"__main__", "prelude"}
"""The modules of what the tests define."""
RAISED = {"__traceback__", "__context__", "__cause__", "__suppress_context__"}
LIBRARY = {*sys.stdlib_module_names, "collections.abc"} - {"builtins", "unittest"}


def _of_tests(name: str, module: str) -> dict[str, Any]:
    """Return what a class of the tests' has at the code's end beside."""
    if module in TESTS:
        return {"__init__": Initial()}
    kind = {"function": types.FunctionType, "method": types.MethodType}.get(name) if module == "builtins" else None
    return {"__class__": property(lambda _self: kind)} if kind else {}


class World:
    """The mirrored classes and live proxies of one conversation."""

    def __init__(self, request: Callable[..., Any], tuples: Tuples) -> None:
        self.request = request
        self.tuples = tuples
        self.classes: list[RemoteMeta] = []
        self.alive: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.of_class: Callable[[type, Any], Any] | None = None
        """At the code's end: what a class of the tests has in it, beside what its mirror has."""
        self.pinned: list[Any] | None = None
        """At the code's end: what the code has weak references to, and which lives with the tests."""
        self.dropped: list[int] = []

    def cannot(self, what: str, of: str) -> NoReturn:
        """Give up what can't be done across two processes."""
        raise Unsupported(f"the tests {what} {of} of the code, which the sandbox can't do")

    def truth(self, operation: str, *arguments: Any) -> bool:
        """Ask for an exact bool."""
        answer = self.request(operation, *arguments)
        return answer if type(answer) is bool else bool(answer)

    def data(self, target: Any) -> Any:
        """Ask for a value of an exact built-in class."""
        answer = self.request("data", target)
        if type(answer) is not (target._data_ or target._like_):
            raise TypeError("no data")
        return answer

    def given(self, value: Any) -> Any:
        """Return what a proxy has as one of a built-in class, and anything else as it is."""
        return self.data(value) if isinstance(type(value), RemoteMeta) and value._data_ else value

    def text(self, operation: str, *arguments: Any) -> str:
        """Ask for an exact str."""
        answer = self.request(operation, *arguments)
        if type(answer) is not str:
            raise TypeError("not a text")
        return answer

    def count(self, target: Any) -> int:
        """Ask for an exact int."""
        answer = self.request("len", target)
        if type(answer) is not int:
            raise TypeError("not a number")
        return answer

    def take_dropped(self) -> list[int]:
        """Return the references that nobody here holds any more."""
        dropped, self.dropped = self.dropped, []
        return [number for number in dropped if number not in self.alive]

    def learn(self, description: Any) -> None:
        """Mirror a class that the other side describes."""
        number, name, module, bases, methods = description
        if type(name) is not str or type(module) is not str or number != len(self.classes):
            raise ValueError("malformed")
        parents = [exception_named(base) if type(base) is str else self.classes[base] for base in bases]
        body = special({*methods}) | {"__module__": module, "_world_": self, "_class_number_": number, "__doc__": None}
        if "_data_" in body or module in LIBRARY or any(kind.__module__ in LIBRARY for up in parents for kind in up.__mro__):
            body["__class__"] = property(lambda self: _shown(type(self)))
        if module == "builtins" and name in DOCUMENTED:
            body["__doc__"] = property(lambda self: self._world_.request("attr", self, "__doc__"))
        if module == "builtins" and name == "function":
            body["__get__"] = bind
        if self.of_class is not None:
            body |= _of_tests(name, module)
        if module == "builtins" and name in ITERATORS:
            body["__class__"] = property(lambda _self: ITERATORS[name])
        for chosen in (parents, [Remote, Exception] if any(issubclass(kind, Exception) for kind in parents) else [Remote]):
            try:
                bases_here = tuple(chosen) if any(isinstance(kind, RemoteMeta) for kind in chosen) else (Remote, *chosen)
                self.classes.append(RemoteMeta(name, bases_here, dict(body), mirrored=True))
            except TypeError:  # bases that go together there but not here
                continue
            return
        raise ValueError("malformed")

    def proxy(self, number: Any, class_number: Any, arguments: list[Any]) -> Any:
        """Return the proxy of a reference: the same one as long as it lives, so that `is` works."""
        kind = self.classes[class_number]
        known = self.alive.get(number)
        if known is not None and type(known) is kind:
            object.__setattr__(known, "_made_", False)
            return known
        if type(number) is not int:
            raise ValueError("malformed")
        made = kind.__new__(kind)
        object.__setattr__(made, "_number_", number)
        if isinstance(made, BaseException):
            BaseException.args.__set__(made, arguments)  # type: ignore[attr-defined]
        self.alive[number] = made
        return made

    @staticmethod
    def home_of(value: Any) -> list[Any] | None:
        """Pack a proxy on its way home; None for anything else."""
        if isinstance(value, RemoteMeta):
            return ["HK", value._class_number_]
        return ["H", value._number_] if isinstance(type(value), RemoteMeta) else None
