"""A strict teacher on loopback: OpenAI's chat completions, with limits that are enforced, faults on demand, and a full count.

    .venv/bin/python benchmarks/teacher.py --latency 0.05 --requests-per-minute 3000

It prints its address, serves until its standard input closes, and tells at `GET /stats` what it was asked and what it sold; a
`POST /set` with a JSON object changes its settings while it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

EMPTY = re.compile(rb'"messages": ?\[\]')
FAULTS = ("500", "503", "reset", "broken", "empty", "cut", "hang")


@dataclass(kw_only=True)
class Settings:
    """How it behaves. 0: no such limit."""

    latency: float = 0.05
    """Seconds that an answer takes."""
    spread: float = 0.0
    """An answer takes (1 ± this) times that."""
    tokens: int = 20
    """Completion tokens, on average."""
    tenfold: bool = False
    """Whether the number of tokens varies tenfold, and the latency with it."""
    requests_per_minute: float = 0
    """Refused beyond that, a burst aside."""
    tokens_per_minute: float = 0
    """Refused while more are used, in and out, than that, a burst aside."""
    burst: float = 1.0
    """Seconds of the allowance that may come at once."""
    places: int = 0
    """Requests served at a time."""
    queue: bool = True
    """Whether what comes on top waits; else it is refused with 503."""
    faults: float = 0.0
    """Share of the requests that get one of FAULTS in place of an answer."""
    kinds: str = ""
    """Which of them, with commas between; empty: all."""
    headers: bool = False
    """Whether `x-ratelimit-…` headers are sent."""


class Bucket:
    """A token bucket: what a strict server counts by."""

    def __init__(self) -> None:
        self.level: float | None = None
        self.at = 0.0

    def fill(self, per_minute: float, burst_s: float) -> float:
        """Return what is there now."""
        now, most = time.monotonic(), per_minute / 60 * burst_s
        self.level = most if self.level is None else min(most, self.level + (now - self.at) * per_minute / 60)
        self.at = now
        return self.level

    def take(self, amount: float) -> None:
        """Take it, below nothing where it must be."""
        self.level = (self.level or 0.0) - amount


class Teacher:
    """What all connections share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.requests, self.tokens = Bucket(), Bucket()
        self.busy = 0
        self.waiting: deque[Any] = deque()
        self.most_in_flight = self.in_flight = 0
        self.asked = self.refused = 0
        self.faults: Counter[str] = Counter()
        self.sold: Counter[bytes] = Counter()
        self.used_tokens = 0
        self.first_at = self.last_at = 0.0
        self.per_second: Counter[int] = Counter()
        self.random = random.Random(1)

    def stats(self) -> dict[str, Any]:
        """Return the count."""
        return {
            "asked": self.asked,
            "refused": self.refused,
            "faults": dict(self.faults),
            "sold": self.sold.total(),
            "distinct": len(self.sold),
            "tokens": self.used_tokens,
            "most_in_flight": self.most_in_flight,
            "seconds": self.last_at - self.first_at,
            "per_second": [self.per_second[second] for second in range(max(self.per_second, default=-1) + 1)],
        }

    def refuses(self) -> str | None:
        """Return why a request is refused now."""
        settings = self.settings
        if settings.requests_per_minute:
            if self.requests.fill(settings.requests_per_minute, settings.burst) < 1:
                return "requests"
            self.requests.take(1)
        if settings.tokens_per_minute and self.tokens.fill(settings.tokens_per_minute, settings.burst) < 0:
            return "tokens"
        return None


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as little of it as clients need: the teacher must cost less than who asks it."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.buffer = b""
        self.closes = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Read as many requests as are there."""
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.closes = b"connection: close" in lower
            self.request(head, rest[:length])

    def request(self, head: bytes, body: bytes) -> None:
        """Answer a request."""
        teacher = self.teacher
        if head.startswith(b"GET /stats"):
            self.send(200, orjson.dumps(teacher.stats()))
            return
        if head.startswith(b"POST /set"):
            for name, value in orjson.loads(body).items():
                setattr(teacher.settings, name, value)
            self.send(200, b"{}")
            return
        if head.startswith(b"GET /v1/models"):
            self.send(200, b'{"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "loopback"}]}')
            return
        self.ask(body)

    def ask(self, body: bytes) -> None:
        """Refuse a question, let it wait, or serve it."""
        teacher = self.teacher
        now = time.monotonic()
        teacher.asked += 1
        teacher.first_at = teacher.first_at or now
        if EMPTY.search(body):
            teacher.refused += 1
            self.send(400, b'{"error": {"message": "messages: an empty list", "type": "invalid_request_error"}}')
            return
        reason = teacher.refuses()
        if reason is not None:
            teacher.refused += 1
            self.send(429, orjson.dumps({"error": {"message": f"too many {reason}", "type": "rate_limit"}}))
            return
        settings = teacher.settings
        if settings.places and teacher.busy >= settings.places:
            if not settings.queue:
                teacher.refused += 1
                self.send(503, b'{"error": {"message": "overloaded"}}')
                return
            teacher.waiting.append((self, body))
            return
        self.serve(body)

    def serve(self, body: bytes) -> None:
        """Answer after a while."""
        teacher, settings = self.teacher, self.teacher.settings
        teacher.busy += 1
        teacher.most_in_flight = max(teacher.most_in_flight, teacher.busy)
        factor = teacher.random.uniform(0.18, 1.82) if settings.tenfold else 1.0
        latency = settings.latency * factor * (1 + settings.spread * teacher.random.uniform(-1, 1))
        kinds = settings.kinds.split(",") if settings.kinds else FAULTS
        fault = teacher.random.choice(kinds) if settings.faults and teacher.random.random() < settings.faults else None
        loop = asyncio.get_running_loop()
        loop.call_later(latency if fault != "hang" else 3_600, self.answer, body, round(settings.tokens * factor), fault)

    def answer(self, body: bytes, tokens: int, fault: str | None) -> None:
        """Answer, or fail."""
        teacher = self.teacher
        teacher.busy -= 1
        while teacher.waiting and teacher.busy < (teacher.settings.places or 1 << 30):
            connection, waiting = teacher.waiting.popleft()
            connection.serve(waiting)
        if fault is not None:
            teacher.faults[fault] += 1
            self.fail(fault)
            return
        now = time.monotonic()
        teacher.last_at = now
        teacher.per_second[int(now - teacher.first_at)] += 1
        teacher.sold[hashlib.md5(body, usedforsecurity=False).digest()] += 1
        teacher.used_tokens += 10 + tokens
        if teacher.settings.tokens_per_minute:
            teacher.tokens.take(10 + tokens)
        self.send(200, self.completion("I count. The answer is 7.", 10, tokens))

    @staticmethod
    def completion(text: str, tokens_in: int, tokens_out: int, reason: str = "stop") -> bytes:
        """Return a chat completion."""
        message = {"role": "assistant", "content": text}
        return orjson.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "finish_reason": reason, "message": message}],
                "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
            }
        )

    def fail(self, fault: str) -> None:
        """Send one of FAULTS."""
        assert self.transport is not None
        if fault in {"500", "503"}:
            self.send(int(fault), b'{"error": {"message": "a fault on demand"}}')
        elif fault == "broken":
            self.send(200, b'{"id": "chatcmpl-1", "choices": [{"index": 0, "mess')
        elif fault == "empty":
            self.send(200, self.completion("", 10, 0))
        elif fault == "cut":
            self.send(200, self.completion("I count. The ans", 10, 3, reason="length"))
        elif fault == "reset":
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
            self.transport.abort()

    def send(self, status: int, body: bytes) -> None:
        """Write a response."""
        assert self.transport is not None
        extra = b""
        settings = self.teacher.settings
        if settings.headers and settings.requests_per_minute:
            left = max(0, int(self.teacher.requests.level or 0))
            extra = (
                f"x-ratelimit-limit-requests: {settings.requests_per_minute:.0f}\r\n"
                f"x-ratelimit-remaining-requests: {left}\r\nx-ratelimit-reset-requests: 1s\r\n"
            ).encode()
        self.transport.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
            % (status, extra, len(body), body)
        )
        if self.closes:
            self.transport.close()


@dataclass(frozen=True, kw_only=True)
class Running:
    """A teacher in a process of its own."""

    url: str
    """Up to /v1."""

    def stats(self) -> dict[str, Any]:
        """Return its count."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats") as response:
            found: dict[str, Any] = json.load(response)
            return found

    def set(self, **settings: Any) -> None:
        """Change its settings."""
        address, body = self.url.removesuffix("/v1") + "/set", json.dumps(settings).encode()
        with urllib.request.urlopen(urllib.request.Request(address, data=body, method="POST")):
            pass


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[Running]:
    """Run a teacher with these settings in a process of its own, which counts as nobody's memory or time but its own."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items() if not isinstance(value, bool)]
    arguments += [f"--{'' if value else 'no-'}{name}" for name, value in settings.items() if isinstance(value, bool)]
    command = [sys.executable, str(Path(__file__)), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Running(url=process.stdout.readline().strip())
        finally:
            process.stdin.close()


async def serve(settings: Settings, port: int) -> None:
    """Serve until standard input closes."""
    teacher = Teacher(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(teacher), "127.0.0.1", port, backlog=4_096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    """Read the settings and serve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    for field in fields(Settings):
        name = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    given = vars(parser.parse_args())
    port = given.pop("port")
    asyncio.run(serve(Settings(**(asdict(Settings()) | given)), port))


if __name__ == "__main__":
    main()
