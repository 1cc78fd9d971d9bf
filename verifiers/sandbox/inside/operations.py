"""What one process may ask the other to do with an object: Python's operators and protocols, by name."""

from __future__ import annotations

import copy
import math
import operator
import types
from collections import Counter, OrderedDict, UserList, UserString, deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

# name of the operation: the method whose presence on a class says that its objects can do it
UNARY = {
    name: f"__{name}__"
    for name in ("neg", "pos", "invert", "abs", "int", "float", "complex", "index", "round", "trunc", "floor", "ceil")
}
BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "lshift", "rshift", "and", "or", "xor")
ORDER = ("lt", "le", "gt", "ge")
IN_PLACE = tuple(f"i{name}" for name in BINARY if name != "divmod")
CONTAINER = ("len", "iter", "next", "reversed", "getitem", "setitem", "delitem", "contains")
OTHER = ("call", "enter", "exit", "await", "aiter", "anext", "aenter", "aexit", "bool", "bytes", "fspath")
DESCRIPTOR = ("get", "set", "delete", "set_name")
"""What an object does where it stands in a class: `price = Positive()`."""

# The methods that a proxy may get, beyond those that every proxy has. Nothing here lets a class lie about what it is.
METHODS = frozenset(
    [*UNARY.values()]
    + [f"__{name}__" for name in (*BINARY, *ORDER, *IN_PLACE, *CONTAINER, *OTHER, *DESCRIPTOR)]
    + [f"__r{name}__" for name in BINARY]
)


def _run(awaitable: Any) -> Any:
    """Run an awaitable to its end. One loop serves the whole sample, so that locks and queues of the code stay usable."""
    import asyncio  # large, and seldom needed: a fork server without it forks faster

    if not _loops:
        _loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(_loops[0])

    async def wait() -> Any:
        return await awaitable

    return _loops[0].run_until_complete(wait())


_loops: list[Any] = []


def _exit(target: Any, kind: Any, value: Any) -> bool:
    return bool(type(target).__exit__(target, kind, value, None))


def _call(target: Any, arguments: Any, named: Any) -> Any:
    return target(*arguments, **named) if named else target(*arguments)


def _text(make: Callable[..., Any]) -> Callable[..., str]:
    """Force an exact str: a subclass might lie about what it equals."""
    return lambda *arguments: "".join(make(*arguments))


DATA: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    OrderedDict: lambda value: OrderedDict([(key, dict.__getitem__(value, key)) for key in OrderedDict.__iter__(value)]),
    Counter: lambda value: Counter(dict.copy(value)),
    dict: dict.copy,
    deque: lambda value: deque(deque.__iter__(value), deque.maxlen.__get__(value)),
    set: lambda value: {*set.__iter__(value)},
    frozenset: lambda value: frozenset([*frozenset.__iter__(value)]),
    Decimal: Decimal,
    datetime: lambda value: datetime.combine(datetime.date(value), datetime.timetz(value)),
    date: lambda value: date.fromordinal(date.toordinal(value)),
    timedelta: lambda value: timedelta(
        *[timedelta.__dict__[name].__get__(value) for name in ("days", "seconds", "microseconds")]
    ),
}
"""What an object of a class that derives from one of these has as one of these, whatever its class makes of it."""
LIKE: dict[Any, tuple[type, Callable[[Any], Any]]] = {
    Mapping.__eq__: (dict, lambda value: {**dict(value.items())}),
    types.MappingProxyType.__eq__: (dict, lambda value: {**value}),
    AbstractSet.__eq__: (set, lambda value: {*value}),
    UserList.__eq__: (list, lambda value: list.copy(value.data)),
    UserString.__eq__: (str, lambda value: str.__getitem__(value.data, slice(None))),
}
"""What an object of a class that compares as one of the library's is compared as."""
IMMUTABLE = {int, float, str, bytes, tuple, frozenset, Decimal, datetime, date, timedelta}


PREDICATES = {
    name
    for kind in (str, bytes, set, dict, list, int, float)
    for name in dir(kind)
    if name.startswith(("is", "startswith", "endswith"))
}
"""Methods of built-in classes that say of what they are shown, or of an object, whether it suits."""
_SETS = {"copy", "difference", "intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference", "union"}
_LOOKS: Mapping[tuple[type, ...], AbstractSet[str]] = {
    (set, frozenset): _SETS,
    (str,): {name for name in dir(str) if name[0] != "_"},
    (bytes,): {name for name in dir(bytes) if name[0] != "_"},
    (list, tuple, deque): {"copy", "count", "index"},
    (dict,): {"copy", "get", "items", "keys", "values"},
}


def looks(kind: type) -> AbstractSet[str]:
    """Return the methods of a built-in class that change nothing, and whose arguments or answers may show what is right."""
    return next((names for base, names in _LOOKS.items() if issubclass(kind, base)), frozenset[str]())


def data_of(kind: type) -> type | None:
    """Return the class of DATA that a class derives from and compares as; None where there is none."""
    return next((base for base in DATA if base in kind.__mro__ and kind.__eq__ is base.__eq__), None)


def like_of(kind: Any) -> type | None:
    """Return the class of data as which objects of a class of LIKE compare; None where there is none."""
    eq = kind.__eq__
    return LIKE[eq][0] if type(eq) in {types.FunctionType, types.WrapperDescriptorType} and eq in LIKE else None


def _data(value: Any) -> Any:
    if base := data_of(type(value)):
        return DATA[base](value)
    if like_of(type(value)):
        return LIKE[type(value).__eq__][1](value)
    raise TypeError(f"a {type(value).__name__} is no data")


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, f"__{name}__") for name in ("neg", "pos", "invert", "abs", "index")},
    **{name: getattr(operator, f"__{name}__") for name in (*BINARY, *IN_PLACE, *ORDER) if name != "divmod"},
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem", "contains")},
    "divmod": divmod,
    "int": int,
    "float": float,
    "complex": complex,
    "round": round,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "data": _data,
    "eq": operator.eq,
    "hash": hash,
    "bool": bool,
    "str": _text(str),
    "repr": _text(repr),
    "format": _text(format),
    "bytes": bytes,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "dir": dir,
    "len": len,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "fspath": lambda target: target.__fspath__(),
    "call": _call,
    "attr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "isinstance": isinstance,
    "get": lambda target, owner, kind=None: type(target).__get__(target, owner, kind),
    "set": lambda target, owner, value: type(target).__set__(target, owner, value),
    "delete": lambda target, owner: type(target).__delete__(target, owner),
    "set_name": lambda target, kind, name: type(target).__set_name__(target, kind, name),
    "enter": lambda target: type(target).__enter__(target),
    "exit": _exit,
    "aiter": lambda target: type(target).__aiter__(target),
    "anext": lambda target: type(target).__anext__(target),
    "aenter": lambda target: type(target).__aenter__(target),
    "aexit": lambda target, kind, value: type(target).__aexit__(target, kind, value, None),
    "await": _run,
}
