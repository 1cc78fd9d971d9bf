"""A judge's way to its teacher: through the same limits and retries as any request, and on the same bill."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from storage.answers import Answers
from storage.checks import Check
from storage.errors import (
    BadResponse,
    EmptyResponse,
    QuotaSpent,
    RequestRejected,
    StillhouseError,
    TeacherError,
    VerifierError,
    Withheld,
)
from storage.identity import request_key
from storage.records import Message
from tasks.asking.ask import Desk
from tasks.asking.conditions import Conditions
from tasks.draw import Budget, Spending
from tasks.lapsed import Lapsed
from tasks.stop import Stop
from tasks.teachers.protocol import NoChoices, Request, Usage
from tasks.verify import CHECK

logger = logging.getLogger(__name__)
RECENT = 4_096
"""Answers that are kept for whoever asks the very same: responses that are alike come close together, from one prompt."""


class DeskAsker:
    """Asks one teacher. What has the same address is asked once, and what was answered with nothing isn't asked again."""

    def __init__(self, desk: Desk, spending: Spending, budget: Budget, stop: Stop, answers: Answers, *, waits: bool) -> None:
        """Ask at a desk. What is among the `answers` isn't asked for.

        `waits`: where the teacher may not be asked any more today, what it was to judge waits, and the run goes on.
        """
        self._desk, self._spending, self._budget, self._stop = desk, spending, budget, stop
        self._answers, self._waits = answers, waits
        self._recent: dict[str, asyncio.Future[str]] = {}
        self._lapsed = Lapsed()

    async def ask(self, messages: Sequence[Message], *, schema: dict[str, Any]) -> str:
        """Ask at temperature 0 for JSON by the schema. Raise VerifierError where what was paid for is of no use."""
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
        parameters = {"temperature": 0, "response_format": form}
        request = Request(prompt_id="judge", messages=tuple(messages), parameters=parameters)
        options = self._desk.options
        key = request_key(
            provider=options.provider,
            model=options.model,
            messages=request.messages,
            parameters=parameters,
            identity={"extra_body": options.extra_body, "api": options.api, "path": options.path},
        )
        if (known := self._answers.get(key)) is None:
            known = await self._once(key, request)
            self._answers.add(CHECK.get(), key, known)
        return known

    async def _once(self, key: str, request: Request) -> str:
        """Ask, unless that was asked just now, or is being asked: who asks pays, and who waits for that gets it too."""
        while (under_way := self._recent.get(key)) is not None:
            try:
                return await asyncio.shield(under_way)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not under_way.cancelled() or (task is not None and task.cancelling()):
                    raise  # who waits was cancelled, and not who asks
        mine = self._recent[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await self._wanted(key, request)
        except VerifierError as error:
            mine.set_exception(error)
            mine.exception()  # perhaps nobody else waits for it
            raise
        except BaseException:
            del self._recent[key]  # whoever waits asks for itself
            mine.cancel()
            raise
        mine.set_result(answer)
        if len(self._recent) > RECENT:
            self._forget()
        return answer

    def _forget(self) -> None:
        """Let go of the older half of what is answered."""
        for key, asked in list(self._recent.items())[: RECENT // 2]:
            if asked.done():
                del self._recent[key]

    async def _wanted(self, key: str, request: Request) -> str:
        """Ask, but not for what got no answer in an earlier build where asking for the like is in vain."""
        name = self._desk.options.name
        if (error := self._answers.failed.get(key)) is None:
            return await self._noted(key, request)
        again = self._lapsed.of(name, error)
        if not await again.worth():
            if not self._stop and again.first_told():
                logger.warning("teacher %r: %s", name, again.said(error))
            raise Withheld(error)
        came = False
        try:
            answer = await self._noted(key, request, again.helps)
            came = True
        except VerifierError:
            came = True
            raise
        finally:
            again.settled(came=came)
        return answer

    async def _noted(self, key: str, request: Request, may_repeat: Callable[[], bool] = lambda: True) -> str:
        try:
            return await self._asked(request, may_repeat)
        except Withheld:
            raise
        except TeacherError as error:
            if not self._stop:
                self._answers.fail(key, str(error))
            raise

    def _lost(self, check: Check, usage: Usage, given_up: bool) -> None:
        self._answers.bill(check, self._spending.lose(usage, self._desk.options, self._budget, given_up=given_up))
        self._answers.spent(check)

    def _left(self) -> bool:
        return self._budget.left

    async def _asked(self, request: Request, may_repeat: Callable[[], bool]) -> str:
        check = CHECK.get()  # a control that is asked in the end is asked outside of it, when it is over

        def bill(usage: Usage) -> None:
            self._answers.bill(check, self._spending.bill(usage, self._desk.options, self._budget))

        conditions = Conditions(
            may_send=self._left,
            unanswered=partial(self._lost, check),
            billed=bill,
            in_vain=lambda _: self._answers.spent(check),
            may_repeat=may_repeat,
            certain=True,
        )
        try:
            answer = await self._desk.ask(request, conditions)
        except Withheld:
            if not self._stop:
                self._stop.set(self._budget.exhausted())
            raise
        except QuotaSpent as error:
            if not self._waits:
                raise
            if self._stop.put_off(error):
                logger.warning("%s; what it was to judge waits, and the rest goes on", error)
            raise Withheld(str(error)) from error
        except (RequestRejected, BadResponse) as error:
            if (meant := _meant(error)) is error:
                raise
            raise meant from error
        choice = answer.completion.choices[0]
        if not choice.response:
            raise VerifierError(f"the judge gave no answer (finish_reason {choice.finish_reason})")
        return choice.response


def _meant(error: RequestRejected | BadResponse) -> StillhouseError:
    """Return what it comes to that a judge refused a request, or gave no response to it."""
    if isinstance(error, RequestRejected):
        # One that refuses whatever it is asked is mended one day: nothing is undecided for good by that.
        return error if error.by_itself else TeacherError(str(error), attempts=error.attempts)
    # At temperature 0 the next build would pay for the same again, whether or not anybody knows how much.
    if isinstance(error, EmptyResponse | NoChoices) or error.by_itself:
        return VerifierError(f"the judge gave no answer ({error.attempts} attempts, the last: {error})")
    return error
