"""Anthropic's Message Batches: requests go up in one body, and a day at most later their results come down as JSONL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import anthropic as official
import httpx2
import orjson
from anthropic.types.messages import MessageBatch
from anthropic.types.messages.batch_create_params import Request as Entry

from storage.errors import BadResponse, SetupError, StillhouseError, Unavailable
from tasks.teachers.anthropic import AnthropicTeacher
from tasks.teachers.anthropic import make as make_one
from tasks.teachers.batch_sdk import SdkBatchTeacher, understood
from tasks.teachers.batches import SLACK_S, BatchState, lines
from tasks.teachers.bodies import parsed, texts
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Completion, Request

PAGE = 100
"""Batches in one page of the list."""
FIRST_LOOK_S = 5.0
"""Until it is looked again whether a batch, which may be the one, has ended; it doubles."""
MOST_LOOK_S = 300.0
"""At most."""
LATE_S = SLACK_S + 4 * 3_600.0
"""A batch that was created so long after its note is another one."""
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


@dataclass(frozen=True, kw_only=True)
class AnthropicBatchTeacher(SdkBatchTeacher[AnthropicTeacher, official.AsyncAnthropic]):
    """Asks `POST {base_url}/messages/batches`."""

    most_requests: ClassVar[int] = 100_000
    most_bytes: ClassVar[int] = 256_000_000

    def _connected(self) -> official.AsyncAnthropic:
        # The SDK adds /v1 to these paths itself.
        root = self.one.base_url.removesuffix("/").removesuffix("/v1")
        return super()._connected().copy(base_url=root)

    def measure(self, request: Request) -> int:
        """Return the bytes of a request, with a custom id of the API's longest."""
        return len(orjson.dumps(self._entry("-" * 64, request))) + 1

    def _entry(self, custom_id: str, request: Request) -> Entry:
        return cast("Entry", {"custom_id": custom_id, "params": self.one.body(request)})

    async def submit(self, requests: Mapping[str, Request], *, key: str) -> str:
        """Send the batch. The API has no place for a key: it is in each custom id."""
        del key
        entries = [self._entry(custom_id, request) for custom_id, request in requests.items()]
        with understood(self.one):
            batch = await self._client.messages.batches.create(requests=entries)
            texts(id=batch.id)
        return batch.id

    async def find(self, key: str, *, requests: int, since: float, others: Collection[str]) -> str | None:
        """Look for the key in the results of batches that may be the one. Of those that haven't ended, wait for the end."""
        wait = FIRST_LOOK_S
        strangers = set(others)
        while True:
            unknown = False
            async for batch, state in self._listed(since):
                if batch.id in strangers or state.total != requests or batch.created_at.timestamp() > since + LATE_S:
                    continue
                if not state.ended:
                    unknown = True
                elif await self._has(batch, key):
                    return batch.id
                else:
                    strangers.add(batch.id)
            if not unknown:
                return None
            await asyncio.sleep(wait)
            wait = min(wait * 2, MOST_LOOK_S)

    async def _listed(self, since: float) -> AsyncIterator[tuple[MessageBatch, BatchState]]:
        with understood(self.one):
            first = await self._client.messages.batches.list(limit=PAGE)
            async for page in first.iter_pages():
                for batch in page.data:  # a page without any isn't one: it must not be taken for an empty one
                    if batch.created_at.timestamp() < since - SLACK_S:
                        return
                    yield batch, _state(batch)

    async def _has(self, batch: MessageBatch, key: str) -> bool:
        if batch.archived_at is not None:
            return False
        async with contextlib.aclosing(self.results(batch.id)) as results:
            async for custom_id, _ in results:
                return custom_id.startswith(f"{key}-")
        return False

    async def poll(self, batch_id: str) -> BatchState:
        """Return how it stands. The API counts what is done only once all of it is."""
        with understood(self.one):
            try:
                batch = await self._client.messages.batches.retrieve(batch_id)
            except official.NotFoundError:
                raise SetupError(f"{self.one.base_url} doesn't know it") from None
            state = _state(batch)
        if batch.archived_at is not None:
            raise SetupError(f"{self.one.base_url} doesn't keep its results any more")
        return state

    async def results(self, batch_id: str) -> AsyncGenerator[tuple[str, Completion | StillhouseError]]:
        """Read the results."""
        with understood(self.one):
            try:
                async with self._client.messages.batches.with_streaming_response.results(batch_id) as response:
                    async for line in lines(response.iter_bytes()):
                        yield self._result(line)
            except official.NotFoundError:
                raise SetupError(f"{self.one.base_url} has its results no more") from None

    def _result(self, raw: bytes) -> tuple[str, Completion | StillhouseError]:
        # A line that can't be read has no custom id either: the file was cut off on its way, and is read again.
        try:
            line = parsed(raw)
            custom_id, result = str(line["custom_id"]), line["result"]
            kind = result["type"]
        except (BadResponse, LookupError, TypeError):
            raise Unavailable(f"a line of the results can't be read: {self.one.beginning(raw)}") from None
        if kind == "succeeded":
            try:
                return custom_id, self.one.answered(result.get("message"))
            except BadResponse as bad:
                bad.args = (self.one.line(str(bad)),)
                return custom_id, bad.with_traceback(None)
        if kind == "errored":
            error = result.get("error") or {}
            inner = error.get("error") or {}
            status = _STATUSES.get(str(inner.get("type")), httpx2.codes.INTERNAL_SERVER_ERROR)
            return custom_id, self.one.refused(int(status), error)
        return custom_id, Unavailable(f"the request was {kind} before it was begun")

    async def cancel(self, batch_id: str) -> None:
        """End it early."""
        with understood(self.one):
            await self._client.messages.batches.cancel(batch_id)


def _state(batch: MessageBatch) -> BatchState:
    counts = batch.request_counts
    done = counts.succeeded + counts.errored + counts.canceled + counts.expired
    return BatchState(
        phase=batch.processing_status.replace("_", " "),
        total=counts.processing + done,
        done=done,
        ended=batch.processing_status == "ended",
        cancelled=batch.cancel_initiated_at is not None,
    )


def make(options: TeacherOptions, *, api_key: str | None) -> AnthropicBatchTeacher:
    """Return the teacher of a spec's options."""
    return AnthropicBatchTeacher(one=make_one(options, api_key=api_key))
