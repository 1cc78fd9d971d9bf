"""A server that gives scores over HTTP: asked with a time limit, again where that helps, and not by too many at once.

What it raises is what a judge's teacher raises: a `TeacherError` leaves the sample to the next build, and a server that stays
away for everybody ends the run, rather than leave a night's samples without a verdict.
"""

from __future__ import annotations

import asyncio
import functools
import io
import json
import math
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import aiohttp
import tenacity

from storage.errors import (
    BadResponse,
    Overloaded,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    TeacherDown,
    TeacherError,
    Unavailable,
    Unreachable,
    VerifierError,
)
from storage.variables import shown

T = TypeVar("T")
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""Between two attempts: exponential with full jitter; a server's Retry-After goes before it, up to `LONGEST_ASKED_S`."""
LONGEST_ASKED_S = 300.0
MAX_QUOTED = 200
"""Characters of a server's words that an error keeps."""
HIDDEN = "***"
_OVERLOADED = frozenset({503, 529})
_PASSING = frozenset({408, 409, 424, 425, 499})
"""424: Text Embeddings Inference's word for a model that failed at work."""
_NOT_HERE = frozenset({403, 404, 405})


@functools.cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()  # reading them takes longer than a request


@dataclass(slots=True, kw_only=True)
class ScoreServer:
    """One server. Connections are not kept: a model takes far longer than to open one, and nobody needs to close them."""

    url: str
    """Where its paths begin."""
    api_key_env: str | None
    """The environment variable with its key."""
    timeout_s: float
    """Seconds for one request."""
    attempts: int
    """For one request, at most."""
    concurrency: int
    """Requests side by side."""
    patience_s: float
    """Seconds for which it may fail for everybody."""
    first_wait_s: float = FIRST_WAIT_S
    """Before the second attempt, at most."""
    _failing_since: float | None = None
    _has_answered: bool = False
    _places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(default_factory=WeakKeyDictionary)

    def key(self) -> str | None:
        """Return its key. Raise SetupError where it isn't set."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "")
        if not key:
            raise SetupError(f"reward_model: the environment variable {shown(self.api_key_env)} is not set, or empty")
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise SetupError(f"reward_model: the key in {self.api_key_env} has a character that no key has")
        return key

    async def ask(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T], *, control: Mapping[str, Any]) -> T:
        """Return what `read` makes of the server's answer; it raises ValueError for one that isn't as promised.

        Raise TeacherError where this request gets none, TeacherDown where nobody has got one for `patience_s`, and SetupError
        where the server refuses us. `control` is a short body that it answers where it is well: what it refuses beside that, and
        what it gives no score for (VerifierError), is at fault itself.
        """
        key = self.key()
        places = self._places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.concurrency))
        jitter = tenacity.wait_random_exponential(multiplier=self.first_wait_s, max=LONGEST_WAIT_S)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after_s if isinstance(error, TeacherError) else None
            return min(asked, LONGEST_ASKED_S) if asked else jitter(state)

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TeacherError) and error.retryable),
            wait=wait,
            reraise=True,
        )
        async with places:
            try:
                async for attempt in retrying:
                    with attempt:
                        return await self._once(path, body, read, key)
            except TeacherError as error:
                if not isinstance(error, RequestRejected) or not self._has_answered:
                    await self._blame(error, path, control, read, key)
                raise
        raise AssertionError("tenacity returns or raises")

    async def _blame(
        self, error: TeacherError, path: str, control: Mapping[str, Any], read: Callable[[Any], T], key: str | None
    ) -> None:
        """Raise what it comes to that a request failed, where that isn't the error itself. A control tells whose fault it is."""
        failing_s = 0.0 if self._failing_since is None else time.monotonic() - self._failing_since
        lost = failing_s >= self.patience_s
        if not lost and not isinstance(error, RequestRejected | BadResponse):
            return
        try:
            await self._once(path, control, read, key)
        except RequestRejected as refused:
            if isinstance(error, RequestRejected):
                raise SetupError(
                    f"reward_model: {self.url} refuses whatever it is asked; check url, model and api. It says: {refused}"
                ) from None
        except TeacherError as other:
            if lost:
                raise TeacherDown(
                    f"reward_model: {self.url} stayed unavailable for {failing_s:.0f} s (the last error: {error}); "
                    "what was paid for is landed, and a rerun goes on"
                ) from None
            if isinstance(error, RequestRejected):
                raise other from None  # nothing is undecided for good by that
        else:
            if isinstance(error, BadResponse):
                raise VerifierError(f"the server gave no score: {error}") from None

    async def _once(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T], key: str | None) -> T:
        try:
            status, headers, content = await self._post(path, json.dumps(body).encode(), key)
            if status != 200:  # noqa: PLR2004 - HTTP's success
                raise self._refused(status, headers, _said(content, key))
            try:
                found = read(json.loads(content))
            except (ValueError, RecursionError) as error:
                why = "it is no JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError) else error
                raise BadResponse(f"{self.url}{path} didn't answer as it should: {why}: {_said(content, key)!r}") from None
        except RequestRejected:
            self._failing_since = None
            raise
        except TeacherError:
            self._failing_since = self._failing_since or time.monotonic()
            raise
        self._failing_since, self._has_answered = None, True
        return found

    async def _post(self, path: str, body: bytes, key: str | None) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        verified = _certificates() if self.url.startswith("https") else True
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    f"{self.url}{path}", data=io.BytesIO(body), headers=headers, ssl=verified, allow_redirects=False
                ) as response,
            ):
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise Unreachable(f"nobody answers at {self.url}") from None
        except TimeoutError:
            raise Unavailable(f"{self.url} gave no answer within {self.timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise Unavailable(f"the connection to {self.url} broke: {type(error).__name__}") from None

    def _refused(self, status: int, headers: Mapping[str, str], said: str) -> StillhouseError:
        told = f"{self.url} answers with status {status}: {said}"
        if status == 401:  # noqa: PLR2004 - HTTP's unauthorized
            return SetupError(f"reward_model: {told}; check api_key_env")
        # Once it has answered, the address is right: it is being replaced, or a firewall takes offence.
        if (status in _NOT_HERE or 300 <= status < 400) and not self._has_answered:  # noqa: PLR2004 - HTTP's redirections
            return SetupError(f"reward_model: {told}; check url, model, api and api_key_env")
        wait = _seconds(headers.get("Retry-After"))
        if status == 429:  # noqa: PLR2004 - HTTP's too many requests
            return RateLimited(told, retry_after_s=wait)
        if status >= 500 or status < 400 or status in _PASSING | _NOT_HERE:  # noqa: PLR2004 - HTTP's errors of servers
            return (Overloaded if status in _OVERLOADED else Unavailable)(told, retry_after_s=wait)
        return RequestRejected(told)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _said(content: bytes, key: str | None) -> str:
    """Return a server's words in a line, less the key that it may quote."""
    if key:
        content = content.replace(key.encode(), HIDDEN.encode())
    return " ".join(content[:10_000].decode("utf-8", "replace").split())[:MAX_QUOTED]
