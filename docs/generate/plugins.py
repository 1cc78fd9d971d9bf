"""The reference of what a spec names: verifiers, teachers and exporters, from their registries."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

from generate.describing import prose, table
from generate.spec_keys import HEADER, rows
from tasks.exporters.registry import EXPORTERS
from tasks.teachers.registry import KEYS, TEACHERS
from verifiers.registry import VERIFIERS

PLUGINS = "An installed package adds its own by an entry point of the group `{}`: see [the plug-in]({}) among the examples.\n"
EXAMPLE = "../../examples/plugin/README.md"


def verifiers() -> str:
    """Return the page of the verifiers."""
    parts = ["# Verifiers", f"Entries of `verify`: `{{use: NAME, …options}}`. {PLUGINS.format(VERIFIERS.group, EXAMPLE)}"]
    for name in sorted(VERIFIERS.built_in):
        kind: Any = VERIFIERS.find(name)
        own = "in a process of its own" if kind.isolated else "inside the build"
        where = "in a worker process, many checks at a time" if kind.pure else own
        parts += [f"## `{name}` {{: #{name} }}", f"{prose(kind.__doc__)}\n\nVersion {kind.version}; runs {where}."]
        parts += _options(kind)
    return "\n\n".join(parts) + "\n"


def exporters() -> str:
    """Return the page of the exporters."""
    parts = [
        "# Exporters",
        f"Forms of `exports`: `{{format: NAME, to: …, …options}}`. {PLUGINS.format(EXPORTERS.group, EXAMPLE)}",
    ]
    for name in sorted(EXPORTERS.built_in):
        kind: Any = EXPORTERS.find(name)
        parts += [f"## `{name}` {{: #{name} }}", prose(kind.__doc__), *_options(kind)]
    return "\n\n".join(parts) + "\n"


def teachers() -> str:
    """Return the page of the teachers' providers."""
    parts = [
        "# Teachers",
        f"What `provider` may be. Their keys are in [the spec's](spec.md#teachers). {PLUGINS.format(TEACHERS.group, EXAMPLE)}",
    ]
    for name in sorted(TEACHERS.built_in):
        module = importlib.import_module(TEACHERS.built_in[name].partition(":")[0])
        parts += [f"## `{name}` {{: #{name} }}", prose(inspect.getdoc(module))]
        key = KEYS.get(name.removesuffix("-batch"))
        if key is not None:
            parts.append(f"The key is in `{key}`, where the spec names neither another variable nor a server of its own.")
    return "\n\n".join(parts) + "\n"


def _options(kind: type) -> Iterable[str]:
    found = list(rows(kind, {}))
    return [table(HEADER, found)] if found else ["No options."]
