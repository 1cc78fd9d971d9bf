"""OpenAI's Batch API: a file of requests goes up, and a day at most later a file of answers and one of errors come down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import openai as official
import orjson

from storage.errors import BadResponse, RateLimited, SetupError, StillhouseError, Unavailable
from tasks.teachers.batch_sdk import SdkBatchTeacher, understood
from tasks.teachers.batches import SLACK_S, BatchState, lines
from tasks.teachers.bodies import parsed, texts
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.openai import make as make_one
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Completion, Request

KEY = "stillhouse_key"
"""The name under which a batch's metadata has our key."""
PAGE = 100
"""Batches in one page of the list: the API's most."""
_PASSING = frozenset({"token_limit_exceeded", "rate_limit_exceeded", "server_error"})
"""Codes of a batch that was refused for now: others are under way, or the server failed."""
_UNBEGUN = frozenset({"batch_expired", "batch_cancelled", "request_timeout"})
"""Codes of requests that got no answer, and may be sent again."""
_ENDED = frozenset({"completed", "expired", "cancelled", "failed"})


@dataclass(frozen=True, kw_only=True)
class OpenAIBatchTeacher(SdkBatchTeacher[OpenAITeacher, official.AsyncOpenAI]):
    """Asks `POST {base_url}/files` and `{base_url}/batches`."""

    most_requests: ClassVar[int] = 50_000
    most_bytes: ClassVar[int] = 200_000_000

    def measure(self, request: Request) -> int:
        """Return the bytes of a request's line, with a custom id of the API's longest."""
        return len(self._line("-" * 64, request))

    def _line(self, custom_id: str, request: Request) -> bytes:
        line = {"custom_id": custom_id, "method": "POST", "url": f"/v1{self.one.path}", "body": self.one.body(request)}
        return orjson.dumps(line) + b"\n"

    async def submit(self, requests: Mapping[str, Request], *, key: str) -> str:
        """Upload the requests and start the batch."""
        content = b"".join(self._line(custom_id, request) for custom_id, request in requests.items())
        with understood(self.one):
            file = await self._client.files.create(file=(f"{key}.jsonl", content, "application/jsonl"), purpose="batch")
            texts(id=file.id)
            batch = await self._client.batches.create(
                completion_window="24h",
                endpoint=cast("Literal['/v1/chat/completions', '/v1/responses']", f"/v1{self.one.path}"),
                input_file_id=file.id,
                metadata={KEY: key},
            )
            texts(id=batch.id)
        return batch.id

    async def find(self, key: str, *, requests: int, since: float, others: Collection[str]) -> str | None:
        """Look for the key in the metadata of batches, from the newest on."""
        del requests, others  # the key says it all
        with understood(self.one):
            first = await self._client.batches.list(limit=PAGE)
            async for page in first.iter_pages():
                for batch in page.data:  # a page without any isn't one: it must not be taken for an empty one
                    if (batch.metadata or {}).get(KEY) == key:
                        return batch.id
                    if batch.created_at < since - SLACK_S:
                        return None
        return None

    async def poll(self, batch_id: str) -> BatchState:
        """Return how it stands."""
        batch = await self._retrieve(batch_id)
        with understood(self.one):
            counts = batch.request_counts
            return BatchState(
                phase=batch.status.replace("_", " "),
                total=counts.total if counts else 0,
                done=counts.completed + counts.failed if counts else 0,
                ended=batch.status in _ENDED,
                cancelled=batch.status == "cancelled",
                refused=self._refusal(batch) if batch.status == "failed" else None,
            )

    async def _retrieve(self, batch_id: str) -> official.types.Batch:
        with understood(self.one):
            try:
                batch = await self._client.batches.retrieve(batch_id)
            except official.NotFoundError:
                raise SetupError(f"{self.one.base_url} doesn't know it") from None
            texts(id=batch.id, status=batch.status)
        return batch

    def _refusal(self, batch: official.types.Batch) -> StillhouseError:
        errors = (batch.errors.data if batch.errors else None) or []
        first = errors[0] if errors else None
        said = self.one.line(f"{(first.message if first else None) or 'no reason given'} ({first.code if first else 'failed'})")
        if first and first.code in _PASSING:
            return RateLimited(f"the batch was refused for now: {said}")
        place = f"request {first.line} of it: " if first and first.line else ""
        return SetupError(f"{self.one.base_url} refuses batch {batch.id}: {place}{said}")

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Completion | StillhouseError]]:
        """Read the file of answers, and then that of errors."""
        batch = await self._retrieve(batch_id)
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is None:
                continue
            with understood(self.one):
                try:
                    async with self._client.files.with_streaming_response.content(file_id) as response:
                        async for line in lines(response.iter_bytes()):
                            yield self._result(line)
                except official.NotFoundError:
                    raise SetupError(f"{self.one.base_url} has {file_id} no more, where its results were") from None

    def _result(self, raw: bytes) -> tuple[str, Completion | StillhouseError]:
        # A line that can't be read has no custom id either: the file was cut off on its way, and is read again.
        try:
            line = parsed(raw)
            custom_id, response, error = str(line["custom_id"]), line.get("response"), line.get("error")
        except (BadResponse, LookupError, TypeError, AttributeError):
            raise Unavailable(f"a line of the results can't be read: {self.one.beginning(raw)}") from None
        try:
            return custom_id, self._outcome(response, error)
        except BadResponse as bad:
            bad.args = (self.one.line(str(bad)),)
            return custom_id, bad.with_traceback(None)

    def _outcome(self, response: dict[str, Any] | None, error: dict[str, Any] | None) -> Completion | StillhouseError:
        if response is not None and response.get("status_code") == 200:  # noqa: PLR2004
            return self.one.answered(response.get("body"))
        if response is not None and response.get("status_code"):
            return self.one.refused(int(response["status_code"]), response.get("body") or {})
        code = (error or {}).get("code")
        said = self.one.line(f"{(error or {}).get('message') or 'no answer'} ({code})")
        return Unavailable(said) if code in _UNBEGUN else BadResponse(said)

    async def cancel(self, batch_id: str) -> None:
        """End it early."""
        with understood(self.one):
            await self._client.batches.cancel(batch_id)


def make(options: TeacherOptions, *, api_key: str | None) -> OpenAIBatchTeacher:
    """Return the teacher of a spec's options."""
    return OpenAIBatchTeacher(one=make_one(options, api_key=api_key))
