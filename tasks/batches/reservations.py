"""What batches under way may cost: reserved in the budget until they come to their end."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.batches.waiting import Place
from tasks.draw import Budget
from tasks.teachers.options import PriceOptions
from tasks.teachers.protocol import Request, Usage

_NOTHING = 1e-9
"""USD: what is left of sums and differences of reservations."""


@dataclass(frozen=True, slots=True)
class _Reserved:
    """What a request under way may cost, in USD."""

    usd: float
    """As it is reserved."""
    most: float
    """At most, by `max_tokens`."""


class Reservations:
    """One teacher's, by request."""

    def __init__(self, budget: Budget, price: PriceOptions | None) -> None:
        """Reserve nothing yet."""
        self._budget = budget
        self._price = price
        self._reserved: dict[Place, _Reserved] = {}
        self._expected = self._billed = 0.0

    def covers(self, request: Request, *, first: bool) -> bool:
        """Whether the budget has so much left. The first one of a batch goes where nothing else is reserved.

        It may cost more than is left, but rarely does.
        """
        return self._budget.covers(self._estimate(request)) or (first and self._budget.reserved <= _NOTHING)

    def reserve(self, place: Place, request: Request) -> None:
        """Count on what a request may cost."""
        if place not in self._reserved:
            reserved = _Reserved(self._estimate(request), self._most(request))
            self._reserved[place] = reserved
            self._budget.reserved += reserved.usd

    def release(self, place: Place, usage: Usage | None) -> None:
        """Let go of what was reserved for a request that has come to its end, and learn from what it cost."""
        reserved = self._reserved.pop(place, None)
        if reserved is None:
            return
        self._budget.reserved -= reserved.usd
        if usage is not None and self._price is not None:
            self._expected += reserved.most
            self._billed += self._price.cost(usage)

    def _estimate(self, request: Request) -> float:
        """Return what a request may cost: the most at first, and then what such an estimate came to so far."""
        return self._most(request) * (min(self._billed / self._expected, 1.0) if self._expected else 1.0)

    def _most(self, request: Request) -> float:
        if self._price is None:
            return 0.0
        return self._price.cost(Usage(tokens_in=request.about_in, tokens_out=request.n * request.most_out))
