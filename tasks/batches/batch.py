"""Asking one teacher through batches: hours later, at a lower price.

Requests are gathered until a batch is full or nothing new comes, noted on disk, and sent as one. A request that a noted batch
already has waits for that one, whichever run sent it. What is fetched counts as bought once it is in the lake: see
`storage.intents`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from types import TracebackType
from typing import Self

from storage import intents as notes
from storage.errors import BadResponse, RequestRejected, SetupError, TeacherDown, TeacherError, UserError, Withheld
from storage.intents import Intents, Item
from storage.wording import counted
from tasks.asking.ask import Answer
from tasks.asking.conditions import UNCONDITIONAL, Conditions
from tasks.asking.counts import Counts
from tasks.asking.usable import Distributions
from tasks.batches.patience import Patience
from tasks.batches.pending import KEY_BYTES, Pending
from tasks.batches.reservations import Reservations
from tasks.batches.waiting import Around, Place, Slot
from tasks.draw import Budget
from tasks.stop import Stop
from tasks.teachers.batches import BatchTeacher
from tasks.teachers.options import BatchOptions, TeacherOptions
from tasks.teachers.protocol import Request, Usage

LOOK_S = 1.0
"""Between two looks at a budget that is reserved as a whole."""
CLOSE_S = 5.0
"""What is being sent when a run ends gets so long to become known."""


@dataclass(slots=True)
class _Gathered:
    """What waits to be sent."""

    slots: dict[Place, list[Slot]] = field(default_factory=dict)
    """By request."""
    sizes: dict[Place, int] = field(default_factory=dict)
    """Bytes of each."""
    size: int = 0
    """Bytes of all."""
    since: float = float("-inf")
    """When the last one came."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there is any."""
    full: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there is enough for a batch."""


class BatchDesk:
    """Where requests to one teacher are gathered. An async context manager: leaving it forgets nobody's batch."""

    def __init__(
        self,
        options: TeacherOptions,
        teacher: BatchTeacher,
        stop: Stop,
        *,
        intents: Intents,
        budget: Budget,
        say: Callable[[str], None] = lambda _: None,
        board: dict[str, str] | None = None,
    ) -> None:
        """Read which batches are open; nothing is asked of the provider yet."""
        self.options = options.model_copy(update={"price": options.paid})
        self.teacher = teacher
        self._batch = options.batch or BatchOptions()
        self._stop = stop
        self._intents = intents
        self._say = say
        self._gathered = _Gathered()
        self._open: dict[Place, Pending] = {}
        self._widest = 1
        self._following: dict[Pending, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._reservations = Reservations(budget, self.options.price)
        self._failed: Exception | None = None
        self.known = False
        """Whether it has answered, in this run or an earlier one."""
        self._useless: TeacherError | None = None
        self._most = min(self._batch.requests, teacher.most_requests)
        self._around = Around(
            options=options,
            linger_s=self._batch.linger_s,
            timeout_s=self._batch.timeout_s,
            teacher=teacher,
            patience=Patience(options.name, options.retry),
            distributions=Distributions(),
            counts=Counts(options.name),
            intents=intents,
            say=say,
            board={} if board is None else board,
            others=lambda: {pending.intent.batch_id or "" for pending in self._open.values()},
            alone=self._alone,
            shrink=self._shrink,
            gather=self._place,
            ended=self._reservations.release,
        )
        for intent in intents.all():
            if (intent.provider, intent.model) == (options.provider, options.model):
                pending = Pending(intent, self._around)
                self._list(pending)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._gather()), asyncio.create_task(self._stopped())]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        tasks = [*self._tasks, *(task for pending, task in self._following.items() if not pending.sending)]
        sending = [task for pending, task in self._following.items() if pending.sending]
        for task in tasks:
            task.cancel()
        if sending:
            await asyncio.wait(sending, timeout=CLOSE_S)
            for task in sending:
                task.cancel()
        await asyncio.gather(*tasks, *sending, return_exceptions=True)

    async def ask(self, request: Request, conditions: Conditions = UNCONDITIONAL) -> Answer:
        """Return the answer to one request, which may take a day. Raise as `tasks.asking.ask.Desk.ask` does.

        `may_send` is asked when a batch is about to be sent. What is in a batch already is waited for, whatever it says. No place
        is kept: a batch is fetched again for nothing.
        """
        if not request.key:
            raise RequestRejected("only samples are asked for through a batch")
        wasted: list[Usage] = []
        for attempt in count(1):
            if self._stop:
                raise Withheld("the run stops")
            bills: list[Usage] = []

            def bill(usage: Usage, bills: list[Usage] = bills) -> None:
                bills.append(usage)
                conditions.billed(usage)

            slot = Slot(
                place=(request.key, request.sample_index),
                request=request,
                may_send=conditions.may_send,
                billed=bill,
                future=asyncio.get_running_loop().create_future(),
            )
            self._place(slot)
            try:
                completion, latency_s = await slot.future
                self.known = True
                vain = tuple(wasted)
                return Answer(completion=completion, attempts=attempt, latency_s=latency_s, wasted=vain, told=vain)
            except TeacherError as error:
                wasted += bills  # an answer that says nothing
                for usage in bills:
                    conditions.in_vain(usage)
                error.attempts = attempt
                if isinstance(error, BadResponse | RequestRejected):
                    self._useless = error
                if (
                    not self.options.retry.again(error)
                    or attempt >= self.options.retry.attempts
                    or self._stop
                    or not conditions.may_repeat()
                ):
                    raise
        raise AssertionError("one attempt is the last")

    async def conclude(self) -> None:
        """Hear that all was asked for. Raise TeacherDown or SetupError where nothing got an answer, as `Desk.conclude` does."""
        if self._useless is not None and not self.known and not self._stop:
            raise self._of_no_use(self._useless)

    def _of_no_use(self, last: TeacherError) -> UserError:
        if isinstance(last, RequestRejected):
            how = "refuses whatever it is asked; check model, sampling and extra_body"
            return SetupError(f"teacher {self.options.name!r}: {how}. It says: {last}")
        how = f"gives no usable answer, whatever it is asked (the last: {last})"
        return TeacherDown(f"teacher {self.options.name!r} {how}; what was paid for is landed, and a rerun goes on")

    def _place(self, slot: Slot) -> None:
        """Let a caller wait: for a batch that has what is asked, or for one that is still to be sent."""
        if self._failed is not None:
            slot.fail(self._failed)
            return
        request = slot.request
        slot.place, pending = self._covering(request)
        if pending is not None:
            self._reservations.reserve(slot.place, request)  # an earlier run sent it, and it isn't billed yet
            pending.join(slot)
            self._follow(pending)
            return
        free = next((n for n in range(1, request.n) if self._comes((request.key, request.sample_index + n))), request.n)
        slot.request = replace(request, n=free)  # the caller comes back for what is in a batch already
        gathered = self._gathered
        if slot.place not in gathered.sizes:
            gathered.sizes[slot.place] = self.teacher.measure(slot.request)
            gathered.size += gathered.sizes[slot.place]
        gathered.slots.setdefault(slot.place, []).append(slot)
        gathered.since = asyncio.get_running_loop().time()
        gathered.came.set()
        if len(gathered.slots) >= self._most or gathered.size >= self.teacher.most_bytes:
            gathered.full.set()

    def _list(self, pending: Pending) -> None:
        """Note what a batch has. Of several that have the same, the last one counts."""
        self._open.update(dict.fromkeys(pending.items, pending))
        self._widest = max((self._widest, *pending.items.values()))

    def _comes(self, place: Place) -> int:
        """Return how many samples an open batch has from here on, by the request that begins here."""
        pending = self._open.get(place)
        return 0 if pending is None else pending.items.get(place, 0)

    def _covering(self, request: Request) -> tuple[Place, Pending | None]:
        """Return the place of the request in an open batch that has the first of these samples, and that batch."""
        for skipped in range(min(self._widest, request.sample_index + 1)):
            place = request.key, request.sample_index - skipped
            if self._comes(place) > skipped:
                return place, self._open[place]
        return (request.key, request.sample_index), None

    def _alone(self, key: str) -> bool:
        """Whether no other batch of ours is in the way of this one. Of several that were refused, the first one isn't."""
        others = [other for other in self._following if other.intent.key != key]
        first = next((each.intent.key for each in self._following if each.refused), key)
        return first == key and not any(other.under_way for other in others)

    def _shrink(self, requests: int) -> int:
        """Let no batch have more requests than the provider takes, and return how many they may have now."""
        self._most = min(self._most, requests)
        return self._most

    # Gathering

    async def _gather(self) -> None:
        gathered, clock = self._gathered, asyncio.get_running_loop().time
        while True:
            await gathered.came.wait()
            while not gathered.full.is_set() and (left := gathered.since + self._batch.linger_s - clock()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await gathered.full.wait()
            try:
                sent = await self._send()
            except Exception as error:  # noqa: BLE001 - a full disk, or a defect: raised where it is waited for
                self._end(error)
                sent = False
            if not gathered.slots:
                gathered.came.clear()
            elif not sent:
                await asyncio.sleep(LOOK_S)
            if len(gathered.slots) < self._most:
                gathered.full.clear()

    async def _send(self) -> bool:
        """Send a batch of what waits, as far as the budget goes; return whether there was one."""
        if self._useless is not None and not self.known and not self._following:
            self._end(self._of_no_use(self._useless))  # what was in batches so far would be billed again in vain
        taken = self._take()
        if not taken:
            return False
        options = self.options
        intent = notes.new(
            key=secrets.token_hex(KEY_BYTES),
            teacher=options.name,
            provider=options.provider,
            model=options.model,
            items=[Item(*place, slots[0].request.n) for place, slots in taken.items()],
        )
        try:
            await asyncio.to_thread(self._intents.write, intent)
        except Exception as error:
            for place, slots in taken.items():
                self._reservations.release(place, None)
                for slot in slots:
                    slot.fail(error)
            raise
        pending = Pending(intent, self._around, requests={place: slots[0].request for place, slots in taken.items()})
        self._list(pending)
        for slots in taken.values():
            for slot in slots:
                pending.join(slot)
        self._follow(pending)
        return True

    def _take(self) -> dict[Place, list[Slot]]:
        gathered = self._gathered
        taken: dict[Place, list[Slot]] = {}
        size = 0
        for place in list(gathered.slots):
            slots = [slot for slot in gathered.slots[place] if not slot.future.done()]
            if slots and (self._stop or not slots[0].may_send()):
                for slot in slots:
                    slot.fail(Withheld("the run stops"))
                slots = []
            if slots:
                size += gathered.sizes[place]
                if taken and (len(taken) >= self._most or size > self.teacher.most_bytes):
                    break
                if not self._reservations.covers(slots[0].request, first=not taken):
                    break
                self._reservations.reserve(place, slots[0].request)
                taken[place] = slots
            del gathered.slots[place]
            gathered.size -= gathered.sizes.pop(place)
        return taken

    # Following

    def _follow(self, pending: Pending) -> None:
        if pending not in self._following:
            self._following[pending] = asyncio.create_task(self._followed(pending))

    async def _followed(self, pending: Pending) -> None:
        """Follow a batch for as long as somebody waits for what is in it."""
        try:
            while len(pending):
                await pending.follow()
        except UserError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - a defect is raised where it is waited for
            pending.fail(error)
        finally:
            del self._following[pending]

    def _waiting(self) -> Iterable[Slot]:
        for slots in self._gathered.slots.values():
            yield from slots
        for pending in set(self._open.values()):
            for slots in pending.waiting.values():
                yield from slots

    def _end(self, error: Exception) -> None:
        """Raise an error to all who wait, and to whoever comes."""
        self._failed = error
        for slot in list(self._waiting()):
            slot.fail(error)

    async def _stopped(self) -> None:
        """When the run stops, let nobody wait: what is at the provider goes on there."""
        await self._stop.wait()
        left = [pending for pending in set(self._open.values()) if len(pending)]
        if left:
            requests = counted(sum(pending.intent.requests for pending in left), "request")
            self._say(
                f"teacher {self.options.name!r}: batches at the provider go on ({len(left):,}, of {requests} in all); "
                "a rerun picks them up"
            )
        for slot in list(self._waiting()):
            slot.fail(Withheld("the run stops"))
