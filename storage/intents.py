"""Batches that were sent off, or may have been: a note is on disk before each, so that none is ever sent twice.

`journal/batches/KEY.json` is written before a batch is submitted, without the provider's id, and again once that is known. It
is removed when all samples that the batch may still give are in the lake, which is looked up there and nowhere else: so a note
outlives whoever wrote it, and what nobody asks for at the moment stays to be fetched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from storage.disk import write_text, writing
from storage.errors import StorageError
from storage.identity import sample_id
from storage.protocol import Keeper
from storage.workspace import Workspace


class Item(NamedTuple):
    """One request of a batch: what may still be fetched of it."""

    key: str
    """The request's address, `storage.identity.request_key`."""
    first: int
    """The first sample's."""
    n: int
    """Samples, as many as were asked for or, once that is known, as came."""

    @property
    def ids(self) -> list[str]:
        """Return the samples' ids."""
        return [sample_id(self.key, self.first + number) for number in range(self.n)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One batch."""

    key: str
    """Our own name for it; the provider is told it, and so can be asked for it."""
    teacher: str
    """The teacher's name in the spec that sent it."""
    provider: str
    """Who was asked."""
    model: str
    """Which model."""
    items: tuple[Item, ...]
    """What may still be fetched from it, by request."""
    requests: int
    """Requests in it."""
    created_at: float
    """When it was first noted, in seconds since 1970."""
    batch_id: str | None = None
    """The provider's id. None: it may or may not have been sent."""


class Intents:
    """The notes in one folder. The caller holds the lake's lock."""

    def __init__(self, folder: Path, *, keeper: Keeper | None = None) -> None:
        """Name the folder; it is made when there is something to note. `keeper`: where the notes are to be durable too."""
        self._folder = folder
        self._keeper = keeper

    def path(self, key: str) -> Path:
        """Return where a note is."""
        return self._folder / f"{key}.json"

    def write(self, intent: Intent) -> None:
        """Return once the note is on disk, in place of an earlier one of its key."""
        write_text(self.path(intent.key), json.dumps(asdict(intent), indent=0) + "\n")
        if self._keeper is not None:
            self._keeper.keep(self.path(intent.key))

    def remove(self, key: str) -> None:
        """Forget a batch."""
        with writing(self.path(key)):
            self.path(key).unlink(missing_ok=True)
        if self._keeper is not None:
            self._keeper.drop(self.path(key))

    def all(self) -> list[Intent]:
        """Return the notes, oldest first. Raise StorageError for one that can't be read: a batch must not be forgotten."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                given["items"] = tuple(Item(*item) for item in given["items"])
                found.append(Intent(**given))
            except FileNotFoundError:  # another process has settled it meanwhile
                continue
            except (ValueError, TypeError, LookupError, OSError) as error:
                raise StorageError(
                    f"{path}: damaged: {error}; move it out of the lake, and what its batch holds is bought again"
                ) from error
        return sorted(found, key=lambda intent: (intent.created_at, intent.key))


def new(*, key: str, teacher: str, provider: str, model: str, items: Iterable[Item]) -> Intent:
    """Return the note for a batch that is about to be sent."""
    listed = tuple(items)
    return Intent(
        key=key, teacher=teacher, provider=provider, model=model, items=listed, requests=len(listed), created_at=time.time()
    )


def settle(intents: Intents, workspace: Workspace) -> None:
    """Strike out what is in the lake with all of its samples, and remove the notes of which nothing is left."""
    for intent in intents.all():
        ids = {item: item.ids for item in intent.items}
        landed = _in_lake(workspace, [each for listed in ids.values() for each in listed])
        left = tuple(item for item, listed in ids.items() if not landed.issuperset(listed))
        if not left:
            intents.remove(intent.key)
        elif len(left) < len(intent.items):
            intents.write(replace(intent, items=left))


def _in_lake(workspace: Workspace, ids: list[str]) -> set[str]:
    """Return which of these samples the lake has."""
    rows = workspace.rows("SELECT sample_id FROM samples WHERE sample_id IN (SELECT unnest(?::VARCHAR[]))", [ids])
    return {identifier for (identifier,) in rows}
