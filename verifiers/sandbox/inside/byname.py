"""What both processes have, and crosses by its name: built-in classes and functions, classes whose values a text says whole."""

from __future__ import annotations

import builtins
import sys
import typing
from collections import Counter, OrderedDict, deque
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

# The only classes that a name from the other side may stand for.
CLASSES: dict[str, type] = {
    **{name: value for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)},
    **{kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)},
    **{
        kind.__name__: kind for kind in (range, object, Decimal, Fraction, deque, Counter, OrderedDict, date, datetime, timedelta)
    },
    "NoneType": type(None),
}
CLASS_NAMES = {kind: name for name, kind in CLASSES.items()}
FUNCTIONS = {
    name: value for name, value in vars(builtins).items() if callable(value) and not isinstance(value, type) and name[0] != "_"
}
FUNCTION_NAMES = {id(value): name for name, value in FUNCTIONS.items()}

FORMS = {name: value for name, value in vars(typing).items() if type(value).__name__ in {"_SpecialForm", "_AnyMeta"}}
FORM_NAMES = {id(value): name for name, value in FORMS.items()}
"""What annotations are made of: `Union`."""

TEXTS = {
    "pathlib": {"PosixPath", "PurePosixPath"},
    "uuid": {"UUID"},
    "ipaddress": {"IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"},
    "zoneinfo": {"ZoneInfo"},
}
"""Classes of values that a text says whole, by module."""
ZONE = ["zoneinfo", "ZoneInfo"]


def named(kind: type) -> list[str] | None:
    """Return the module and the name of a class in TEXTS. Nobody has one who hasn't imported its module, which may be large."""
    module = kind.__module__.partition(".")[0] if type(kind.__module__) is str else ""
    if kind.__name__ not in TEXTS.get(module, ()) or vars(sys.modules[module]).get(kind.__name__) is not kind:
        return None
    return [module, kind.__name__]
