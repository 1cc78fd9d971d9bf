"""Samples that several slots of a build ask for: whoever comes first claims one and buys it, the others wait for what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from storage.identity import sample_id
from storage.records import Sample
from tasks.orders import Slot

Claim = asyncio.Future[Sample | str | None]
"""What came of a sample: itself, or why there is none. None: whoever claimed it gave up."""


class Shared:
    """The claims of the shards that one event loop works."""

    def __init__(self) -> None:
        """Nothing is claimed."""
        self._claims: dict[str, Claim] = {}
        self._left: dict[str, int] = {}
        """How many slots of shards to come share a sample."""

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._claims

    def __len__(self) -> int:
        return len(self._claims)

    def give(self, identifier: str, sample: Sample) -> None:
        """Have a sample that nobody has claimed, and that was bought already."""
        self._claims[identifier] = asyncio.get_running_loop().create_future()
        self._claims[identifier].set_result(sample)

    def claim(self, slots: Iterable[Slot]) -> tuple[dict[int, str], dict[int, Claim]]:
        """Claim what slots share and nobody has yet: return by index what is claimed now, and what to wait for."""
        claimed: dict[int, str] = {}
        waiting: dict[int, Claim] = {}
        for slot in slots:
            if slot.shared:
                identifier = sample_id(slot.key, slot.sample_index)
                if identifier in self._claims:
                    waiting[slot.sample_index] = self._claims[identifier]
                else:
                    self._claims[identifier] = asyncio.get_running_loop().create_future()
                    claimed[slot.sample_index] = identifier
        return claimed, waiting

    def settle(self, claimed: Mapping[int, str], got: Mapping[int, Sample | str]) -> None:
        """Say what came of claims. What didn't come is anybody's again."""
        for index, identifier in claimed.items():
            self._claims[identifier].set_result(got.get(index))
            if index not in got:
                del self._claims[identifier]

    def let_go(self, slots: Iterable[Slot]) -> None:
        """Forget what no slot behind these shares: texts that would pile up until the run ends."""
        for slot in slots:
            if slot.shared:
                identifier = sample_id(slot.key, slot.sample_index)
                left = self._left.pop(identifier, slot.shared) - 1
                if left:
                    self._left[identifier] = left
                else:
                    self._claims.pop(identifier, None)
