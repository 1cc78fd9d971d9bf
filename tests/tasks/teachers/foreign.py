"""Finds every error class of an SDK, wherever in it the class is hidden."""

from __future__ import annotations

import contextlib
import importlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_DEFINES_ERRORS = re.compile(r"^class \w+\([^)]*(Error|Exception)\b", re.MULTILINE)


def error_classes(sdk: ModuleType, root: type[Exception]) -> set[type[Any]]:
    """Import whatever of the SDK defines errors and is installed, and return the root and all classes below it."""
    assert sdk.__file__
    folder = Path(sdk.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        if _DEFINES_ERRORS.search(file.read_text(encoding="utf-8")):
            name = ".".join([sdk.__name__, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
            with contextlib.suppress(ImportError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)
    return {kind for kind in _below(root) if kind.__module__.split(".")[0] == sdk.__name__}


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _below(each)
