"""One batch at the provider: sent once, waited for, and fetched as often as somebody asks for what is in it."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import TypeVar

from storage.errors import (
    BadResponse,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    TeacherDown,
    TeacherError,
    Unavailable,
    UserError,
)
from storage.identity import sample_id
from storage.intents import Intent, Item
from tasks.asking.shares import divided, total
from tasks.asking.usable import billable, usable
from tasks.batches.waiting import Around, Place, Slot
from tasks.teachers.batches import BatchState
from tasks.teachers.protocol import Completion, InVain, Request

T = TypeVar("T")
SETTLE_S = 30.0
"""So long after a batch may have been sent, the provider lists it if it was."""
FIRST_POLL_S = 1.0
"""Between the first two looks; it grows."""
MOST_POLL_S = 180.0
"""Between two looks at most, but for the jitter."""

REFUSALS = 100
"""Times that one batch is refused for now, which costs nothing: a day and more."""
FIRST_PAUSE_S = 30.0
"""After the first of them; it doubles."""
MOST_PAUSE_S = 900.0
"""At most."""
KEY_BYTES = 8
"""Of randomness in a key."""


class Pending:
    """One batch, by its note."""

    def __init__(self, intent: Intent, around: Around, *, requests: Mapping[Place, Request] | None = None) -> None:
        """Follow a batch. `requests`: those of one that is still to be sent."""
        self.intent = intent
        self.waiting: dict[Place, list[Slot]] = {}
        self.items: dict[Place, int] = {(item.key, item.first): item.n for item in intent.items}
        """How many samples may still come, by request."""
        self.sending = False
        """Whether the provider may have got it, and we don't know its id yet."""
        self.under_way = False
        """Whether it is being sent or worked on, as far as this run knows."""
        self.refused = False
        """Whether it was refused before."""
        self._given_up = False
        self._sent_alone = False
        self._refusals = 0
        self._around = around
        self._requests = requests
        self._phase = ""
        self._joined = float("-inf")

    def __len__(self) -> int:
        return sum(any(not slot.future.done() for slot in slots) for slots in self.waiting.values())

    def join(self, slot: Slot) -> None:
        """Let a caller wait for what is in it."""
        self.waiting.setdefault(slot.place, []).append(slot)
        self._joined = asyncio.get_running_loop().time()

    def fail(self, error: BaseException) -> None:
        """Raise an error to all who wait."""
        for slots in self.waiting.values():
            for slot in slots:
                slot.fail(error)
        self.waiting.clear()

    async def follow(self) -> None:
        """Send it, where that is still to be done; wait for its end; deliver what is waited for."""
        try:
            self.under_way = True
            if self.intent.batch_id is None:
                await self._locate()
            state = await self._ended()
            self.under_way = False
            if state.refused is not None:
                await self._refused(state.refused)
                return
            await self._quiet()
            await self._deliver(state)
        finally:
            self.under_way = False
            self._around.board.pop(self.intent.key, None)

    # Sending

    async def _locate(self) -> None:
        """Find out the id: by sending the batch, or by asking for one that may have been sent."""
        self._show("looking for it" if self._requests is None else "being sent", f"0/{self.intent.requests:,}")
        self.sending = True
        try:
            found = await (self._found() if self._requests is None else self._sent(self._requests))
            if found is None:
                await asyncio.to_thread(self._around.intents.remove, self.intent.key)
                self._give_back(Unavailable("the batch was never sent"))
                return
            self.intent = replace(self.intent, batch_id=found)
            await asyncio.to_thread(self._around.intents.write, self.intent)
        finally:
            self.sending = False
        self._requests = None
        self._sent_alone = self._around.alone(self.intent.key)

    async def _sent(self, requests: Mapping[Place, Request]) -> str:
        key, teacher = self.intent.key, self._around.teacher
        named = {f"{key}-{sample_id(*place)}": request for place, request in requests.items()}
        uncertain = False

        async def once() -> str:
            nonlocal uncertain
            if uncertain and (found := await self._found()) is not None:
                return found
            try:
                return await teacher.submit(named, key=key)
            except RateLimited:
                uncertain = False
                raise
            except RequestRejected as error:
                raise SetupError(f"the provider refuses the batch: {error}") from None
            except TeacherError:
                uncertain = True  # it may have arrived: it is looked for before it is sent again
                raise

        try:
            return await self._patiently(once)
        except UserError:
            if not uncertain:
                await asyncio.to_thread(self._around.intents.remove, key)
            raise

    async def _found(self) -> str | None:
        """Ask the provider for it. What was sent a moment ago may not be listed yet: none is the answer only after a while.

        The while begins now. When the note was made says little: the batch may have been sent long after.
        """

        async def once() -> str | None:
            intent = self.intent
            return await self._around.teacher.find(
                intent.key, requests=intent.requests, since=intent.created_at, others=self._around.others()
            )

        clock = asyncio.get_running_loop().time
        settled = clock() + SETTLE_S
        found = await self._patiently(once)
        if found is None and (left := settled - clock()) > 0:
            await asyncio.sleep(left)
            found = await self._patiently(once)
        return found

    # Waiting

    async def _ended(self) -> BatchState:
        """Look now and then until it has ended."""
        if self.intent.batch_id is None:
            return BatchState(phase="never sent", total=0, ended=True)
        teacher, batch_id = self._around.teacher, self.intent.batch_id
        wait, cancelled = FIRST_POLL_S, False
        while True:
            try:
                state = await self._patiently(lambda: teacher.poll(batch_id))
            except SetupError as error:
                raise self._out_of_reach("looked at", error) from error
            self._show(state.phase, f"{state.done:,}/{state.total:,}")
            if state.ended:
                return state
            if self._overdue and not cancelled:
                cancelled = await self._cancelled(batch_id)
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))  # noqa: S311
            wait = min(wait * 1.5, MOST_POLL_S)

    async def _cancelled(self, batch_id: str) -> bool:
        """Try to end it early; return whether there is no need to try again at the next look."""
        if not self._given_up:
            self._given_up = True
            self._around.say(f"{self._name}: not done in time; what is done by now is fetched, the rest is asked again")
        try:
            await self._around.teacher.cancel(batch_id)
        except RequestRejected:
            return True  # it has just ended, or is being cancelled already
        except (TeacherError, SetupError):
            return False  # the next look tells what is wrong, if anything is
        return True

    async def _quiet(self) -> None:
        """Wait until nobody has come for a while: each fetching reads all there is."""
        clock = asyncio.get_running_loop().time
        while (left := self._joined + self._around.linger_s - clock()) > 0:  # noqa: ASYNC110 - more may come meanwhile
            await asyncio.sleep(left)

    @property
    def _overdue(self) -> bool:
        return time.time() - self.intent.created_at > self._around.timeout_s

    # Fetching

    async def _deliver(self, state: BatchState) -> None:
        if self.intent.batch_id is None:
            return
        known = dict(self.items)
        wanted = set(self.waiting)
        failed: dict[Place, StillhouseError] = {}
        try:
            await self._patiently(lambda: self._fetch(state, wanted, failed))
        except SetupError as gone:
            raise self._out_of_reach("fetched", gone) from gone
        for place in wanted - failed.keys():
            failed[place] = Unavailable(f"{self._name} has no result for it")
        for place, error in failed.items():
            if isinstance(error, InVain):
                self._bill(place, error)
            if state.cancelled and not self._overdue and isinstance(error, Unavailable):
                failed[place] = RequestRejected(f"{self._name} was cancelled at the provider; a rerun asks again")
            self._around.ended(place, None)
            self.items.pop(place, None)
        if self.items != known:
            await self._note()  # what will never come
        for place, error in failed.items():
            for slot in self.waiting.pop(place, ()):
                slot.fail(error)

    async def _fetch(self, state: BatchState, wanted: set[Place], failed: dict[Place, StillhouseError]) -> None:
        """Read all results once. `wanted` loses what was delivered, `failed` gets what has no answer."""
        come: set[str] = set()
        places = {f"{self.intent.key}-{sample_id(*place)}": place for place in self.items}
        async for custom_id, result in self._around.teacher.results(self.intent.batch_id or ""):
            if not custom_id.startswith(f"{self.intent.key}-"):
                continue  # a stranger's
            twice = custom_id in come
            come.add(custom_id)
            place = places.get(custom_id)
            if place is None:
                continue  # struck out, since it is in the lake
            if not isinstance(result, Completion):
                if not twice:
                    failed[place] = result
            elif place in wanted:
                failed.pop(place, None)  # where both stand there, it is the answer that was sold
                try:
                    self._answer(place, result)
                except (BadResponse, SetupError) as error:
                    failed[place] = error
                wanted.discard(place)
        if len(come) < state.done:  # what was cut off on its way must not be bought again
            raise Unavailable(
                f"{self._name}: {len(come):,} of {state.done:,} results could be fetched; where it stays so, remove "
                f"{self._around.intents.path(self.intent.key)} to buy the others again"
            )

    def _answer(self, place: Place, completion: Completion) -> None:
        """Give everybody who waits the part that is wanted; it is billed once. Raise BadResponse where it is of no use."""
        slots = [slot for slot in self.waiting.get(place, ()) if not slot.future.done()]
        if not slots:
            self.waiting.pop(place, None)
            return
        completion = self._around.counts.checked(completion, slots[0].request)
        if not completion.tokens_in:  # whoever read the file doesn't know what was asked
            completion = replace(completion, tokens_in=slots[0].request.about_in)
        try:
            answer = self._around.distributions.check(usable(completion, self.items[place]), slots[0].request)
        except (BadResponse, SetupError):
            slots[0].billed(billable(completion))
            self._around.ended(place, billable(completion))
            raise
        self.items[place] = len(answer.choices)
        usages = divided(answer, answer.choices)
        unbilled = dict(enumerate(usages))
        latency_s = max(time.time() - self.intent.created_at, 0.0)
        for slot in slots:
            choices, usage = answer.choices[slot.part], total(usages[slot.part])
            if not choices:
                slot.fail(Unavailable(f"{self._name} gave fewer samples than it was asked for"))
                continue
            if new := [unbilled.pop(number) for number in range(len(usages))[slot.part] if number in unbilled]:
                slot.billed(total(new))
            slot.future.set_result((replace(answer, choices=choices, **asdict(usage)), latency_s))
        self._around.ended(place, total(usage for number, usage in enumerate(usages) if number not in unbilled))
        self.waiting.pop(place)

    def _bill(self, place: Place, error: InVain) -> None:
        """Bill what is no answer to whoever waits for one."""
        for slot in self.waiting.get(place, ())[:1]:
            usage = self._around.counts.checked(error.usage, slot.request)
            slot.billed(usage)
            self._around.ended(place, usage)

    async def _refused(self, error: StillhouseError) -> None:
        """Nothing of it was begun. Where that will pass, send it again after a while, under a new key."""
        self.refused = True
        # With nothing else of ours under way, neither then nor now, it must be too large by itself.
        alone = self._sent_alone and self._around.alone(self.intent.key)
        halved = alone and isinstance(error, RateLimited) and len(self) > 1
        await asyncio.to_thread(self._around.intents.remove, self.intent.key)
        if not isinstance(error, TeacherError):
            raise error
        self._refusals += 1
        if self._refusals > REFUSALS:
            raise TeacherDown(f"{self._name}: {error}; what was paid for is landed, and a rerun goes on")
        pause = min(FIRST_PAUSE_S * 2 ** (self._refusals - 1), MOST_PAUSE_S)
        how = "in parts" if halved else "again"
        self._around.say(f"{self._name}: {error}; it is sent {how} in {pause:.0f} s")
        await asyncio.sleep(pause)
        if requests := self._left(halved=halved):
            self.intent = replace(
                self.intent, key=secrets.token_hex(KEY_BYTES), requests=len(requests), created_at=time.time(), batch_id=None
            )
            await self._note()
            self._requests = requests

    def _left(self, *, halved: bool) -> dict[Place, Request]:
        """Return what is to be sent again: what is waited for, or a half of it at most. Others are left to later batches."""
        waiting = {place: [slot for slot in slots if not slot.future.done()] for place, slots in self.waiting.items()}
        # Where an earlier run had asked for more samples, a slot may want but the last of them.
        own = {place: [slot for slot in slots if not slot.part.start] for place, slots in waiting.items()}
        requests = {place: max((slot.request for slot in slots), key=lambda one: one.n) for place, slots in own.items() if slots}
        if halved:
            kept = self._around.shrink(-(-len(requests) // 2))
            requests = dict(list(requests.items())[:kept])
        for place in self.items.keys() - requests.keys():
            self._around.ended(place, None)
        self.items = {place: request.n for place, request in requests.items()}
        self.waiting = {place: own[place] for place in requests}
        kept_slots = {slot for slots in self.waiting.values() for slot in slots}
        for slot in (slot for slots in waiting.values() for slot in slots if slot not in kept_slots):
            self._around.gather(slot)
        return requests

    def _give_back(self, error: TeacherError) -> None:
        """Nothing of it was begun: whoever waits may ask again."""
        for place in self.items:
            self._around.ended(place, None)
        self.items.clear()
        self.fail(error)

    async def _note(self) -> None:
        """Write down what may still come."""
        self.intent = replace(self.intent, items=tuple(Item(*place, n) for place, n in self.items.items()))
        if self.items:
            await asyncio.to_thread(self._around.intents.write, self.intent)
        else:
            await asyncio.to_thread(self._around.intents.remove, self.intent.key)

    # Helpers

    @property
    def _name(self) -> str:
        return f"teacher {self._around.options.name!r}: batch {self.intent.batch_id or self.intent.key}"

    def _show(self, phase: str, counts: str) -> None:
        self._around.board[self.intent.key] = f"{self._name}: {phase} {counts}"
        if phase != self._phase:
            self._phase = phase
            self._around.say(self._around.board[self.intent.key])

    def _out_of_reach(self, what: str, error: SetupError) -> SetupError:
        return SetupError(
            f"{self._around.intents.path(self.intent.key)}: {self._name} can't be {what}: {error}; "
            "use the key that it was sent with, or remove this file to buy its samples again"
        )

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._around.patience.ask(call, has_ours=self.intent.batch_id is not None)
