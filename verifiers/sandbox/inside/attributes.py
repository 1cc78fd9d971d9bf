"""What the code may do with the tests' objects, and which of their attributes it may read or set.

None that leads further, and none that decides a test. What is refused may be what right code needs: each refusal has its reason,
with which a test that then fails is left undecided.
"""

from __future__ import annotations

import types
from typing import Any

from verifiers.sandbox.inside import shown
from verifiers.sandbox.inside.limits import name_of
from verifiers.sandbox.inside.operations import BINARY, IN_PLACE, ORDER, UNARY
from verifiers.sandbox.inside.shim import PRELUDE, TESTS, Broken

ASSERTIONS = {
    f"assert_{name}"
    for what in ("called", "awaited")
    for name in (what, f"not_{what}", f"{what}_once", f"{what}_with", f"{what}_once_with")
} | {"assert_any_call", "assert_has_calls", "assert_any_await", "assert_has_awaits"}
"""What mocks assert."""
OFFERED = {
    *BINARY, *IN_PLACE, *ORDER, *UNARY, "call", "attr", "setattr", "len", "iter", "next", "reversed", "getitem", "setitem",
    "delitem", "contains", "eq", "hash", "bool", "str", "repr", "format", "enter", "exit", "data", "isinstance",
}  # fmt: skip
"""What it may do with them at all."""
WITH_OWN = {"dir", "copy", "deepcopy", "delattr", shown.OPERATION}
"""And with objects of classes that the tests define."""
STORING = {shown.STORE: "setattr", shown.REMOVE: "delattr"}
OURS = {TESTS, PRELUDE}
FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
DESCRIBING = {
    "__name__",
    "__qualname__",
    "__doc__",
    "__module__",
    "__wrapped__",
    "__func__",
    "__slots__",
    "__match_args__",
    "__members__",
}
"""Attributes of Python's own that lead nowhere: `functools.wraps` takes them over from a function."""
GENERIC = {"__origin__", "__args__", "__metadata__", "__parameters__", "__unpacked__"}
"""Of what annotations are: `list[int]`."""
ADDED = {"__init__", "__repr__", "__str__"}
"""What a decorator may give a class that hasn't got it."""
RUN = ("test", "setup", "setUp", "teardown", "tearDown", "rows", "indirect")
"""How the names of what decides which tests of a class are run begin."""
HOLDING = {"unittest.mock", "SimpleNamespace", "Namespace"}
"""The module of mocks, and classes: the attributes of their objects are there to be read."""
LISTENING = {"set_trace_callback", "set_authorizer", "set_progress_handler"}
"""Methods of a database that would show the code what the tests ask of it."""


class Private:
    """The private attributes of the tests' objects that the code has set itself, as its descriptors do. It sees no others."""

    def __init__(self) -> None:
        self.set: dict[int, tuple[Any, set[str]]] = {}

    def note(self, target: Any, name: str) -> None:
        """Note that the code sets one."""
        self.set.setdefault(id(target), (target, set()))[1].add(name)

    def knows(self, target: Any, name: str) -> bool:
        """Whether it is the code's."""
        return id(target) in self.set and name in self.set[id(target)][1]

    def hidden(self, target: Any) -> list[str]:
        """Return those that are the tests'."""
        return [name for name in shown.own(target) if _is_private(name) and not self.knows(target, name)]


def _is_private(name: Any) -> bool:
    return type(name) is str and name[:1] == "_" and name[-1:] != "_"


def refusal(operation: str, arguments: list[Any], private: Private) -> str:
    """Return why the code may not do that with an object of the tests that it was given; empty where it may.

    Raise Broken where nothing can be decided after it, and AttributeError where the object has no such attribute.
    """
    target = arguments[0]
    operation = STORING.get(operation, operation)
    if operation in WITH_OWN:
        name = arguments[1] if operation == shown.OPERATION else operation
        if operation == shown.OPERATION and name in shown.OF_OBJECTS and not _has(target, name):
            raise AttributeError(f"{type(target).__name__!r} object has no attribute {name!r}")
        if not (_is_own(target) or (operation == shown.OPERATION and _shows(target, name))):
            return _why("read" if operation == shown.OPERATION else "", name, target)
        return _refused(operation, arguments, private) if operation == "delattr" else ""
    if operation not in OFFERED:
        return _why("", operation, target)
    return _refused(operation, arguments, private) if operation in {"attr", "setattr"} else ""


def _why(what: str, name: Any, target: Any) -> str:
    done = f"{what} {name!r} of" if what else f"do {name!r} with"
    return f"the sandbox doesn't let the code {done} {name_of(target)}"


def _kind(target: Any) -> type:
    return target if isinstance(target, type) else type(target)


def _is_own(target: Any) -> bool:
    """Whether something is a class of the tests' own, or an object of one, and has nothing to do with running them."""
    kind = _kind(target)
    return kind.__module__ in OURS and not any(base.__module__.startswith("unittest") for base in kind.__mro__)


def _shows(target: Any, name: Any) -> bool:
    """Whether what isn't the tests' own is there to be looked into."""
    empty = name == "__dict__" and (type(target).__name__ in HOLDING or not shown.own(target))
    return empty or isinstance(target, types.FunctionType | types.MethodType)


def _refused(operation: str, arguments: list[Any], private: Private) -> str:
    """Return why an attribute is neither read nor set; empty where it is."""
    target, name = arguments[:2]
    if type(name) is not str or (operation == "attr" and not _has(target, name)):
        raise AttributeError(f"{type(target).__name__!r} object has no attribute {name!r}")
    why = _why({"attr": "read", "setattr": "set", "delattr": "delete"}[operation], name, target)
    of_tests = _kind(target).__module__ in OURS
    if _judges(operation, target, name):  # no right code does
        raise AttributeError(f"{why}, which is there for the tests")
    if name in LISTENING:
        return why
    _check_replaced(operation, arguments)
    if operation == "attr" and _describes(target, name):
        return ""
    holds = type(target).__module__ in HOLDING or type(target).__name__ in HOLDING
    if name[:1] == "_" and name not in DESCRIBING:
        return "" if _is_let(operation, target, name, private) else why
    if isinstance(target, FUNCTIONS):
        return "" if operation == "attr" and name[:1] == "_" else why
    return "" if of_tests or holds or (operation == "attr" and callable(getattr(target, name))) else why


def _check_replaced(operation: str, arguments: list[Any]) -> None:
    """Raise Broken where the code puts something in the place of what the tests say."""
    target, name = arguments[:2]
    if operation != "attr" and _kind(target).__module__ in OURS and _is_method(target, name):
        raise Broken(f"the code replaces the method {name} of {name_of(target)}, which decides what becomes of them")
    if operation == "setattr" and isinstance(target, type) and _overrides(type(arguments[2])):
        raise Broken(f"the code has {name!r} of {name_of(target)} say what it likes, whatever the tests set")


def _describes(target: Any, name: str) -> bool:
    """Whether an attribute only says what a class or an annotation is. Raise AttributeError where a class has none of its own."""
    if name == "__init__" and _is_own(target):
        if not (isinstance(target, type) and _is_method(target, name)):
            raise AttributeError("no __init__ of the tests")
        return True
    return _is_alias(target) and name in GENERIC | DESCRIBING


def _is_alias(target: Any) -> bool:
    """Whether something is an annotation with brackets, such as `List[int]`: it has what its class has, such as a name."""
    return type(target).__module__ == "typing" or type(target) is types.GenericAlias


def _overrides(kind: type) -> bool:
    """Whether an object of a class, in a class of the tests, would stand before what they set."""
    return any(not {"__set__", "__delete__"}.isdisjoint(vars(each)) for each in kind.__mro__)


def _is_let(operation: str, target: Any, name: str, private: Private) -> bool:
    """Whether the code may read or set what isn't public: what it has set itself, and what a class lacks that all have."""
    if not _is_own(target):
        return False
    kinds = [kind for kind in _kind(target).__mro__ if kind is not object]
    if isinstance(target, type):
        return operation == "setattr" and name in ADDED and not any(name in vars(kind) for kind in kinds)
    if not _is_private(name) or any(kind.__module__ not in {*OURS, "abc", "typing"} for kind in kinds):
        return False
    if operation == "setattr" and not _has(target, name):
        private.note(target, name)
    return private.knows(target, name)


def _has(target: Any, name: str) -> bool:
    """Whether something has an attribute, as far as is seen without asking it. Of a mock, none of Python's own counts."""
    if name[:2] == "__" and type(target).__module__ in HOLDING:
        return False
    if name in DESCRIBING and _is_alias(target):
        return hasattr(target, name)
    if name == "__abstractmethods__":  # that of `type` says nothing of a class
        return any(name in vars(kind) for kind in _kind(target).__mro__)
    metaclass: type = type(target)
    kinds = [*_kind(target).__mro__, *metaclass.__mro__]
    known = any(name in vars(kind) or ("__getattr__" in vars(kind) and name[:2] != "__") for kind in kinds)
    return known or name in shown.own(target)


def _is_method(target: Any, name: str) -> bool:
    kinds = _kind(target).__mro__
    found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), None)
    return isinstance(found, types.FunctionType | classmethod | staticmethod)


def _judges(operation: str, target: Any, name: str) -> bool:
    """Whether an attribute decides what becomes of a test: what a mock counts or asserts, and what a `TestCase` can do."""
    kinds = _kind(target).__mro__
    own = [vars(kind)[name] for kind in kinds if kind.__module__.startswith("unittest.") and name in vars(kind)]
    if operation != "attr":
        is_test = name.startswith(RUN) and any(kind.__name__.startswith("Test") for kind in kinds)
        return bool(own) or is_test
    return any(isinstance(value, types.FunctionType) for value in own)
