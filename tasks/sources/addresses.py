"""Prompts' sources as others are told them, on a page or in an export: without the query of a URL, where a token may stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.sources.shown import shown

_KEYS = ("source", "attribution")


def named(sources: Iterable[str]) -> dict[str, str]:
    """Return what to call those sources that have a query. Of those that differ in it alone, all but the first have a number."""
    names: dict[str, str] = {}
    times: dict[str, int] = {}
    for source in dict.fromkeys(sources):
        if (name := shown(source)) != source:
            times[name] = times.get(name, 0) + 1
            names[source] = name if times[name] == 1 else f"{name} ({times[name]})"
    return names


def put_in(names: Mapping[str, str], node: Any) -> Any:
    """Return a tree of lists and mappings with those names in place of the sources, among its keys too."""
    if isinstance(node, str):
        return names.get(node, node)
    if isinstance(node, Mapping):
        return {put_in(names, key): put_in(names, value) for key, value in node.items()}
    return [put_in(names, each) for each in node] if isinstance(node, list | tuple) else node


def sources_in(node: Any) -> Iterator[str]:
    """Yield what a spec, or a manifest, reads from, wherever it stands, and who is credited for it, which may be the same."""
    if isinstance(node, Mapping):
        yield from (node[key] for key in _KEYS if isinstance(node.get(key), str))
        node = list(node.values())
    if isinstance(node, list | tuple):
        for each in node:
            yield from sources_in(each)
