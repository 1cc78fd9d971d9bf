"""The exporters by the name of their form."""

from __future__ import annotations

from collections.abc import Callable

from storage.plugins import Registry
from tasks.exporters.protocol import Exporter

EXPORTERS: Registry[Callable[[], Exporter]] = Registry("stillhouse.exporters", {"messages": "tasks.exporters.messages:Messages"})
