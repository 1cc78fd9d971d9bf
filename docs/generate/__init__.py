"""The reference pages of the site: made from the code when the site is built, so that they can't fall behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from generate import columns, commands, plugins, spec_keys

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/spec.md": spec_keys.page,
    "reference/cli.md": commands.page,
    "reference/lake.md": columns.page,
    "reference/verifiers.md": plugins.verifiers,
    "reference/teachers.md": plugins.teachers,
    "reference/exporters.md": plugins.exporters,
}
"""A page's text by its place in the site."""
