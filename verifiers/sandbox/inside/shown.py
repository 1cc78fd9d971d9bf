"""What the code may see of functions, classes and objects of the tests by introspection: `inspect.signature`, `vars`, `fields`.

It goes as data, and real objects are made of it at the code's end: a function of the same parameters without a body, fields of a
dataclass, a dict. None of that leads back to the tests, so it shows nothing that the object itself wouldn't.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Collection
from typing import Any

from verifiers.sandbox.inside import mirror
from verifiers.sandbox.inside.containers import Snapshot
from verifiers.sandbox.inside.operations import METHODS, OPERATIONS

OPERATION, STORE, REMOVE = "shown", "store", "remove"
FLAGS = (
    inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)  # fmt: skip
OF_FUNCTIONS = {
    "__code__",
    "__defaults__",
    "__kwdefaults__",
    "__annotations__",
    "__signature__",
    "__type_params__",
    "__globals__",
}
OF_CLASSES = {"__signature__", "__dataclass_fields__", "__annotations__"}
OF_OBJECTS = {"__dict__", "__dataclass_fields__"}
CLASS_OWN = {"__annotations__", "__doc__", "__module__", "__slots__", "__match_args__"}
PARTS = ("default", "default_factory")
SETTINGS = ("init", "repr", "hash", "compare", "kw_only")
PSEUDO = ("_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR")
Ask = Callable[..., Any]


# At the tests' end.


def shown(target: Any, name: str, hidden: Collection[str] = ()) -> Any:
    """Return the data of which the code's end makes an attribute. Raise AttributeError where the object hasn't got it."""
    if name == "__dataclass_fields__":
        return [_field(field) for field in getattr(target, name).values()]
    if name == "__dict__":
        values = {name: each for name, each in _own(target).items() if name not in hidden}
        return values if isinstance(target, type) else Snapshot(values, own(target))
    if name == "__annotations__" and isinstance(target, type):
        return _annotations(target)
    return _function(target)


def _annotations(target: Any) -> Any:
    """Return the dict itself, so that it is changed there as well."""
    known = own(target).get("__annotations__") if isinstance(target, type) else target.__annotations__
    return known if type(known) is dict else dict(inspect.get_annotations(target))


def _store(target: Any, name: str, value: Any) -> None:
    vars(target)[name] = value


def _remove(target: Any, name: str) -> None:
    del vars(target)[name]


def _field(field: Any) -> list[Any]:
    dataclasses = sys.modules["dataclasses"]
    given = {part: getattr(field, part) for part in PARTS if getattr(field, part) is not dataclasses.MISSING}
    kind = next((name for name in PSEUDO if getattr(dataclasses, name) is field._field_type), PSEUDO[0])  # noqa: SLF001
    settings = {name: getattr(field, name) for name in SETTINGS}
    return [field.name, field.type, kind, {**given, **settings, "metadata": dict(field.metadata)}]


def own(target: Any) -> Any:
    """Return the `__dict__` of an object or a class; an empty one where there is none."""
    try:
        return object.__getattribute__(target, "__dict__")  # a bound method would ask its function, which may be the code's
    except AttributeError:
        return {}


def _own(target: Any) -> dict[str, Any]:
    if isinstance(target, type):
        skipped = (types.GetSetDescriptorType, types.MemberDescriptorType)
        known = own(target).items()
        return {name: each for name, each in known if (name[:2] != "__" or name in CLASS_OWN) and not isinstance(each, skipped)}
    return dict(own(target))


def _function(target: Any) -> list[Any]:
    """Return what a function has of a signature; of a class, its `__init__`."""
    if isinstance(target, type):
        init = next((vars(kind)["__init__"] for kind in target.__mro__ if "__init__" in vars(kind)), None)
        bound, function = True, init if isinstance(init, types.FunctionType) else lambda self: None  # noqa: ARG005
    else:
        bound, function = isinstance(target, types.MethodType), getattr(target, "__func__", target)
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount]
    values = [function.__defaults__, function.__kwdefaults__, _annotations(function)]
    return [bound, code.co_name, code.co_flags & FLAGS, list(code.co_varnames[:count]), counts, values]


# At the code's end.


class Attributes(dict[str, Any]):
    """What `__dict__` of an object of the tests holds. What is changed in it is changed there, past any descriptor."""

    def __init__(self, ask: Ask, owner: Any, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.values_there = values  # one that is kept holds it, which tells at the end that it doesn't follow
        self.ask = ask
        self.owner = owner

    def __setitem__(self, name: str, value: Any) -> None:
        self.ask(STORE, self.owner, name, value)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.ask(REMOVE, self.owner, name)

    def update(self, *given: Any, **named: Any) -> None:
        """Set several."""
        for name, value in dict(*given, **named).items():
            self[name] = value

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def setdefault(self, name: str, value: Any = None) -> Any:
        """Set one that isn't there."""
        if name not in self:
            self[name] = value
        return self[name]

    def pop(self, name: str, *default: Any) -> Any:
        """Remove one."""
        if name not in self and default:
            return default[0]
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last one."""
        if not self:
            raise KeyError("popitem(): dictionary is empty")
        name = next(reversed(self))
        return name, self.pop(name)

    def clear(self) -> None:
        """Remove all."""
        for name in [*self]:
            del self[name]

    __hash__ = None


def see(ask: Ask, target: Any, name: str) -> Any:
    """Return an attribute of something of the tests, made here of what their end says of it."""
    if name == "__dict__":
        found = ask(OPERATION, target, name)
        return {**_special(target), **found} if isinstance(target, type) else Attributes(ask, target, found)
    if name == "__dataclass_fields__":
        return {each[0]: _made_field(*each) for each in ask(OPERATION, target, name)}
    if name == "__annotations__" and isinstance(target, type):
        return ask(OPERATION, target, name)
    bound, *about = ask(OPERATION, target, name)
    function = _made_function(*about)
    if name == "__signature__":
        return inspect.signature(types.MethodType(function, target) if bound else function)
    if name == "__globals__" and any(type(each) is str for each in function.__annotations__.values()):
        return ask("attr", target, name)  # what they mean is known there alone
    return getattr(function, name)


def _special(kind: Any) -> dict[str, Any]:
    """Return the special methods of a class of the tests: those that its mirror has."""
    return {name: each for name, each in mirror.own_dict(kind).items() if name in METHODS or name == "__hash__"}


def _made_field(name: str, kind: Any, pseudo: str, given: dict[str, Any]) -> Any:
    import dataclasses

    made: Any = dataclasses.field(**given)
    made.name, made.type, made._field_type = name, kind, getattr(dataclasses, pseudo)  # noqa: SLF001
    return made


def _made_function(name: str, flags: int, names: list[str], counts: list[int], values: list[Any]) -> types.FunctionType:
    empty = (lambda: None).__code__
    positional, only, keywords = counts
    code = empty.replace(
        co_argcount=positional, co_posonlyargcount=only, co_kwonlyargcount=keywords, co_nlocals=len(names),
        co_varnames=tuple(names), co_flags=empty.co_flags | flags, co_name=name,
    )  # fmt: skip
    made = types.FunctionType(code, {}, name, values[0])
    made.__kwdefaults__, made.__annotations__ = values[1], values[2]
    return made


def is_seen(target: Any, name: Any) -> bool:
    """Whether an attribute of something of the tests is made at the code's end."""
    if isinstance(target, type):
        return name in OF_CLASSES
    return name in {"__dict__", "__dataclass_fields__"} or (
        name in OF_FUNCTIONS and type(target).__name__ in {"function", "method"}
    )


OPERATIONS |= {OPERATION: shown, STORE: _store, REMOVE: _remove}
