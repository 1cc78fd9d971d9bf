"""Where an export goes: a folder here (`folder.py`), a folder behind any of fsspec's URLs (`remote.py`), or the Hub (`hub.py`).

Files are made in a folder of this machine, one after another, and given away as each is whole. What an earlier export left is
replaced, what somebody else left is never touched, and shards of two exports never lie side by side under their final names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from storage.errors import SpecError
from storage.lake import Lake
from tasks.destinations.folder import Folder
from tasks.destinations.place import Destination


def destination_at(to: str) -> Destination:
    """Return what a spec's `to` names. Raise SpecError where it names nothing that can be."""
    scheme, colon, rest = to.partition("://")
    if not colon:
        return Folder(to)
    if not rest.strip("/"):
        raise SpecError(f"exports: {to}: names no folder; a URL is such as s3://BUCKET/FOLDER")
    if scheme in {"file", "local"}:
        return Folder(rest)
    address = urlsplit(to)
    if address.password or address.query or address.fragment:
        raise SpecError(f"exports: {scheme}://…: has a password or a query in it; credentials belong into the environment")
    if scheme == "hf":
        from tasks.destinations.hub import Hub

        return Hub(to)
    from tasks.destinations.remote import Remote

    return Remote(to)


_SAME = {"s3a": "s3", "gcs": "gs", "abfss": "abfs"}
"""Protocols that are another's under another name."""


def check_apart(targets: Sequence[str], lake: Lake) -> None:
    """Raise SpecError where an export and the lake, or two exports, lie in one another: one would replace the other.

    Of a lake on an object store, both it and its working copy count.
    """
    places = [("the lake", _spot(each)) for each in dict.fromkeys((str(lake.root), lake.where))]
    for number, to in enumerate(targets):
        place = _spot(to)
        for name, other in places:
            if f"{place}/".startswith(f"{other}/") or f"{other}/".startswith(f"{place}/"):
                raise SpecError(f"exports[{number}].to: {to} and {name} ({other}) lie in one another; keep them apart")
        places.append((f"exports[{number}]", place))


def _spot(to: str) -> str:
    scheme, colon, rest = to.partition("://")
    if colon and scheme not in {"file", "local"}:
        return f"{_SAME.get(scheme, scheme)}://{'/'.join(filter(None, rest.split('/')))}"
    place = str(Path(rest if colon else to).expanduser().resolve())
    return place.rstrip("/")
