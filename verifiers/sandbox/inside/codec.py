"""How a value crosses between the two processes of a sample: as JSON, decoded into exact built-in types and nothing else.

The other side may be hostile, so decoding never runs code that it names: there is no pickle here, no import, no class by path.
Plain data crosses by value; whatever isn't plain becomes a reference, which `export` and `resolve` deal with (`peer.py`).

A scalar is itself; anything else is a list whose head says what follows, such as ["t", 1, 2] for (1, 2). Mutable containers
are numbered in the order in which they start, so that ["k", n] is the n-th once more: a list that is passed twice stays one list.
["h", n] is one that both ends hold (`shared.py`).
"""

from __future__ import annotations

import importlib
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from verifiers.sandbox.inside.byname import CLASS_NAMES, CLASSES, FORM_NAMES, FORMS, FUNCTION_NAMES, FUNCTIONS, TEXTS, ZONE, named
from verifiers.sandbox.inside.containers import MAPPINGS, MUTABLE, VIEWS, Met, Snapshot, is_viewed, refill, viewed
from verifiers.sandbox.inside.scalars import SCALARS, WORD, are_scalars

DEPTH = 150
NODES = 2_000_000
SHOWN = 512
"""A view of a larger dict crosses without it, as a copy."""

Export = Callable[[Any, "Packer"], list[Any]]
Resolve = Callable[[list[Any], "Unpacker"], Any]


class CodecError(Exception):
    """A value that can't cross, or bytes that aren't ours."""


class Packer:
    """Turns values into what JSON can hold."""

    def __init__(
        self, export: Export, containers: Iterable[Any] = (), shared: Mapping[int, int] | None = None, *, functions: bool = False
    ) -> None:
        self.export = export
        self.functions = functions
        self.views = False
        """Whether a view shows the other side all of a dict."""
        self.shared = {} if shared is None else shared
        """The numbers of what both ends hold (`shared.py`), by their addresses."""
        self.given: list[int] = []
        """Those of which were packed."""
        self.containers = Met(containers)
        self.numbers = {id(container): number for number, container in enumerate(self.containers)}
        self.open: set[int] = set()
        self.nodes = 0
        self.again = 0
        """How often one was met once more."""

    def pack(self, value: Any, depth: int = 0) -> Any:
        """Return what JSON can hold of a value."""
        kind = type(value)
        if value is None or kind is str or kind is bool or kind is float:
            return value
        if kind is int:
            return value if -WORD <= value < WORD else ["I", hex(value)]
        write = WRITE.get(kind)
        if write is None:
            return self.other(value)
        if depth > DEPTH:
            raise CodecError(f"a value is nested more than {DEPTH} deep")
        if kind in MUTABLE:
            if (number := self.shared.get(id(value))) is not None:
                self.given.append(number)
                return ["h", number]
            if id(value) in self.numbers and id(value) not in self.open:
                self.again += 1
                return ["k", self.numbers[id(value)]]
            self.start(value)
        elif id(value) in self.open:
            raise CodecError("a value contains itself")
        self.open.add(id(value))
        packed = write(self, value, depth + 1)
        self.open.discard(id(value))
        return packed

    def start(self, value: Any) -> None:
        """Give a container its number, before its parts are packed."""
        if id(value) in self.open:
            raise CodecError("a value contains itself")
        self.numbers[id(value)] = len(self.containers)
        self.containers.append(value)

    def content(self, value: Any) -> Any:
        """Pack what a container that the other side knows holds now."""
        self.open.add(id(value))
        packed = WRITE[type(value)](self, value, 1)
        self.open.discard(id(value))
        return packed

    def attempt(self, value: Any) -> Any:
        """Do so, or else return None and have packed nothing."""
        first = len(self.containers)
        try:
            return self.content(value)
        except (CodecError, TypeError, ValueError, RecursionError):
            self.open.clear()
            for container in self.containers[first:]:
                del self.numbers[id(container)]
            del self.containers[first:]
            return None

    def all(self, tag: str, values: Iterable[Any], depth: int) -> list[Any]:
        """Pack parts one after the other."""
        values, pack = [*values], self.pack
        packed = [tag, *(values if are_scalars(values) else [pack(value, depth) for value in values])]
        self.nodes += len(packed)
        if self.nodes > NODES:
            raise CodecError(f"a value has more than {NODES} parts")
        return packed

    def wrapped(self, tag: str, value: Any, parts: Iterable[Any], depth: int) -> list[Any]:
        """Pack the parts of a tuple or an exception, and note whether there are containers among them."""
        first, again = len(self.containers), self.again
        packed = self.all(tag, parts, depth)
        if len(self.containers) > first or self.again > again:
            self.containers.wraps.append(value)
        return packed

    def view(self, value: Any, depth: int) -> list[Any]:
        """Pack a view, with its dict where both ends hold that, or may, and else as a copy."""
        tag = VIEWS[type(value)]
        is_shown = self.views and len(value) <= SHOWN and is_viewed(value)
        mapping = viewed(value)
        if type(mapping) in MAPPINGS and (is_shown or id(mapping) in self.shared):
            return ["v" + tag, self.pack(mapping, depth)]
        packed = self.all("d" + tag, value, depth)
        self.containers.copied.append(value)
        return packed

    def pairs(self, tag: str, value: Any, depth: int) -> list[Any]:
        """Pack a mapping as keys and values in turn."""
        return self.all(tag, [part for pair in list(value.items()) for part in pair], depth)

    def other(self, value: Any) -> list[Any]:
        """Pack what is neither a scalar nor a container."""
        if value is Ellipsis or value is NotImplemented:
            return ["e" if value is Ellipsis else "n"]
        if isinstance(value, type) and value in CLASS_NAMES:
            return ["T", CLASS_NAMES[value]]
        if id(value) in FORM_NAMES:
            return ["ty", FORM_NAMES[id(value)]]
        if (found := named(type(value))) is not None:
            return ["V", *found, str(value)]
        if self.functions and id(value) in FUNCTION_NAMES:
            return ["F", FUNCTION_NAMES[id(value)]]
        return self.export(value, self)


def _write_zone(zone: Any) -> Any:
    if zone is None:
        return None
    if named(type(zone)) == ZONE and zone.key:
        return zone.key
    if type(zone) is not timezone:
        raise CodecError("a time with a zone that is neither a fixed offset nor a ZoneInfo")
    return zone.utcoffset(None).total_seconds()


def _write_view(_packer: Packer, value: memoryview, _depth: int) -> list[Any]:
    if not value.readonly or value.ndim != 1 or value.format != "B":
        raise CodecError("a memoryview that may be written to, or isn't one of bytes")
    return ["mv", value.tobytes().decode("latin-1")]


def _write_array(packer: Packer, value: Any, depth: int) -> list[Any]:
    packer.containers.copied.append(value)
    return ["ar", value.typecode, packer.all("l", value, depth)]


def _write_snapshot(packer: Packer, value: Snapshot, depth: int) -> list[Any]:
    packed = packer.pairs("sn", value.values, depth)
    packer.containers.copied.append(value.owner)
    return packed


def _write_default(packer: Packer, value: defaultdict[Any, Any], depth: int) -> list[Any]:
    return ["dd", packer.pack(value.default_factory, depth), packer.pairs("d", value, depth)]


WRITE: dict[type, Callable[[Packer, Any, int], list[Any]]] = {
    list: lambda p, v, d: p.all("l", v, d),
    tuple: lambda p, v, d: p.wrapped("t", v, v, d),
    set: lambda p, v, d: p.all("s", v, d),
    frozenset: lambda p, v, d: p.all("f", v, d),
    dict: lambda p, v, d: p.pairs("d", v, d),
    OrderedDict: lambda p, v, d: p.pairs("o", v, d),
    Counter: lambda p, v, d: p.pairs("C", v, d),
    defaultdict: _write_default,
    deque: lambda p, v, d: ["q", v.maxlen, p.all("l", v, d)],
    **dict.fromkeys(VIEWS, Packer.view),
    Snapshot: _write_snapshot,
    bytes: lambda _p, v, _d: ["b", v.decode("latin-1")],
    bytearray: lambda _p, v, _d: ["a", v.decode("latin-1")],
    complex: lambda _p, v, _d: ["c", v.real, v.imag],
    range: lambda p, v, d: p.all("r", (v.start, v.stop, v.step), d),
    slice: lambda p, v, d: p.all("sl", (v.start, v.stop, v.step), d),
    Decimal: lambda _p, v, _d: ["D", str(v)],
    Fraction: lambda p, v, d: p.all("Q", (v.numerator, v.denominator), d),
    timedelta: lambda _p, v, _d: ["td", v.days, v.seconds, v.microseconds],
    date: lambda _p, v, _d: ["da", v.isoformat()],
    time: lambda _p, v, _d: ["ti", v.replace(tzinfo=None).isoformat(), _write_zone(v.tzinfo), v.fold],
    datetime: lambda _p, v, _d: ["dt", v.replace(tzinfo=None).isoformat(), _write_zone(v.tzinfo), v.fold],
}
ANSWERED: dict[type, Callable[[Packer, Any, int], list[Any]]] = {
    memoryview: _write_view,
    array: _write_array,
}
"""What crosses whole from the code to the tests alone, which compare it with theirs. Their own may be changed in place there."""


class Unpacker:
    """Turns what JSON held into values. Raises CodecError, ValueError, TypeError, … on anything malformed."""

    def __init__(
        self,
        resolve: Resolve,
        containers: Iterable[Any] = (),
        shared: Mapping[int, Any] | None = None,
        *,
        functions: bool = False,
    ) -> None:
        self.resolve = resolve
        self.functions = functions
        self.shared = {} if shared is None else shared
        """What both ends hold, by its numbers."""
        self.containers = Met(containers)
        self.again = 0

    def unpack(self, packed: Any) -> Any:
        """Return the value that was packed."""
        if type(packed) is not list:
            if type(packed) is dict:
                raise CodecError("malformed")
            return packed
        if not packed or type(packed[0]) is not str:
            raise CodecError("malformed")
        read = READ.get(packed[0])
        return self.resolve(packed, self) if read is None else read(self, packed)

    def all(self, packed: list[Any]) -> list[Any]:
        """Unpack the parts that follow a tag."""
        unpack = self.unpack
        return packed[1:] if SCALARS.issuperset(map(type, packed)) else [unpack(part) for part in packed[1:]]

    def wrap(self, make: Callable[[list[Any]], Any], packed: list[Any]) -> Any:
        """Unpack a tuple or an exception, and note whether there are containers in it."""
        first, again = len(self.containers), self.again
        made = make(self.all(packed))
        if len(self.containers) > first or self.again > again:
            self.containers.wraps.append(made)
        return made

    def copy(self, made: Any) -> Any:
        """Note that something is a copy."""
        self.containers.copied.append(made)
        return made

    def fill(self, empty: Any, packed: list[Any]) -> Any:
        """Read a container, which gets its number before its parts do, as it did in the packer."""
        self.containers.append(empty)
        return refill(empty, self.all(packed))

    def known(self, packed: list[Any]) -> Any:
        """Return a container that was numbered before."""
        number = packed[1]
        if type(number) is not int or not 0 <= number < len(self.containers):
            raise CodecError("malformed")
        self.again += 1
        return self.containers[number]

    def content(self, packed: Any) -> list[Any]:
        """Unpack what `Packer.content` packed, as the flat list of parts."""
        if type(packed) is not list or not packed:
            raise CodecError("malformed")
        if packed[0] == "a":
            return list(_text(packed[1]).encode("latin-1"))
        if packed[0] == "dd":
            factory = self.unpack(packed[1])
            return [*self.all(packed[2]), factory]
        if packed[0] == "q":
            packed = packed[2]
        return self.all(packed)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise CodecError("malformed")
    return value


def _number(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise CodecError("malformed")
    return value


def _read_zone(value: Any) -> tzinfo | None:
    if type(value) is str:
        zone: tzinfo = _read_text(ZONE[0], ZONE[1], value)
        return zone
    return None if value is None else timezone(timedelta(seconds=_number(value, float)))


def _read_class(_u: Unpacker, packed: list[Any]) -> type:
    return CLASSES[_text(packed[1])]


def _read_named(_u: Unpacker, packed: list[Any]) -> Any:
    module, name, text = map(_text, packed[1:])
    if name not in TEXTS[module]:
        raise CodecError("malformed")
    return _read_text(module, name, text)


def _read_text(module: str, name: str, text: str) -> Any:
    return getattr(importlib.import_module(module), name)(text)


def _read_function(unpacker: Unpacker, packed: list[Any]) -> Any:
    if not unpacker.functions:
        raise CodecError("malformed")
    return FUNCTIONS[_text(packed[1])]


def _read_deque(unpacker: Unpacker, packed: list[Any]) -> Any:
    return unpacker.fill(deque(maxlen=packed[1]), packed[2])


def _read_default(unpacker: Unpacker, packed: list[Any]) -> Any:
    return unpacker.fill(defaultdict(unpacker.unpack(packed[1])), packed[2])


def _mapping(unpacker: Unpacker, packed: list[Any]) -> Any:
    mapping = unpacker.unpack(packed[1])
    if type(mapping) not in MAPPINGS:
        raise CodecError("malformed")
    return mapping


def _read_bytearray(unpacker: Unpacker, packed: list[Any]) -> bytearray:
    made = bytearray(_text(packed[1]).encode("latin-1"))
    unpacker.containers.append(made)
    return made


READ: dict[str, Callable[[Unpacker, list[Any]], Any]] = {
    "l": lambda u, p: u.fill([], p),
    "t": lambda u, p: u.wrap(tuple, p),
    "s": lambda u, p: u.fill(set(), p),
    "f": lambda u, p: frozenset(u.all(p)),
    "d": lambda u, p: u.fill({}, p),
    "o": lambda u, p: u.fill(OrderedDict(), p),
    "C": lambda u, p: u.fill(Counter(), p),
    "dd": _read_default,
    "q": _read_deque,
    "mv": lambda _u, p: memoryview(_text(p[1]).encode("latin-1")),
    "ar": lambda u, p: u.copy(array(_text(p[1]), u.all(p[2]))),
    "k": Unpacker.known,
    "h": lambda u, p: u.shared[p[1]].container,
    "b": lambda _u, p: _text(p[1]).encode("latin-1"),
    "a": _read_bytearray,
    "I": lambda _u, p: int(_text(p[1]), 16),
    "c": lambda _u, p: complex(_number(p[1], float), _number(p[2], float)),
    "r": lambda u, p: range(*u.all(p)),
    "sl": lambda u, p: slice(*u.all(p)),
    "D": lambda _u, p: Decimal(_text(p[1])),
    "Q": lambda u, p: Fraction(*[_number(part, int) for part in u.all(p)]),
    "td": lambda _u, p: timedelta(*[_number(part, int) for part in p[1:]]),
    "da": lambda _u, p: date.fromisoformat(_text(p[1])),
    "ti": lambda _u, p: time.fromisoformat(_text(p[1])).replace(tzinfo=_read_zone(p[2]), fold=p[3]),
    "dt": lambda _u, p: datetime.fromisoformat(_text(p[1])).replace(tzinfo=_read_zone(p[2]), fold=p[3]),
    "e": lambda _u, _p: Ellipsis,
    "n": lambda _u, _p: NotImplemented,
    "T": _read_class,
    "F": _read_function,
    "ty": lambda _u, p: FORMS[_text(p[1])],
    "V": _read_named,
    "dk": lambda u, p: u.copy(dict.fromkeys(u.all(p)).keys()),
    "dv": lambda u, p: u.copy(dict(enumerate(u.all(p))).values()),
    "di": lambda u, p: u.copy(dict(u.all(p)).items()),
    "sn": lambda u, p: u.copy(refill({}, u.all(p))),
    "vk": lambda u, p: _mapping(u, p).keys(),
    "vv": lambda u, p: _mapping(u, p).values(),
    "vi": lambda u, p: _mapping(u, p).items(),
}
