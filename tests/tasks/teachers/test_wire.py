"""The hot path of HTTP, on real connections: it must tell the same things apart as the SDK does on its own."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import resource
import socket
import traceback
from typing import Any

import pytest

from storage.errors import (
    BadResponse,
    Overloaded,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    TeacherError,
    TimedOut,
    Unavailable,
    Unreachable,
)
from tasks.teachers import wire
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.protocol import FLIGHT, Flight
from tests.fakes import make_request
from tests.tasks.teachers.server import Reply, chat, serving

JSON = {"content-type": "application/json"}


def error(status: int, headers: dict[str, str] | None = None, **said: Any) -> Reply:
    """Return an error as OpenAI words it."""
    return status, JSON | (headers or {}), json.dumps({"error": {"message": "no: sk-secret", **said}}).encode()


def after_one_answer(reply: Reply | None) -> Any:
    """Answer once, and then reply so."""
    asked: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> Reply | None:
        asked.append(body)
        return chat(body) if len(asked) == 1 else reply

    return answer


@pytest.mark.parametrize("first", [True, False], ids=["the first request", "a later one"])
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(400), RequestRejected),
        (error(401), SetupError),
        (error(429), RateLimited),
        (error(429, code="insufficient_quota"), SetupError),
        (error(500), Unavailable),
        (error(503), Overloaded),
        ((200, JSON, b'{"choices": ['), BadResponse),
        (None, Unavailable),
    ],
    ids=str,
)
async def test_errors(first: bool, reply: Reply | None, expected: type[Exception]):
    """Whether the SDK sends a request or the wire does, an error is the same, and quotes no key."""
    with serving((lambda body: reply) if first else after_one_answer(reply)) as server:
        teacher = OpenAITeacher(model="m", base_url=server.url, api_key="sk-secret")
        try:
            if not first:
                await teacher.complete(make_request())
            with pytest.raises(expected) as caught:
                await teacher.complete(make_request())
        finally:
            await teacher.aclose()
    assert type(caught.value) is expected
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(("form", "seconds"), [("7", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)])
async def test_retry_after(form: str, seconds: float):
    """What the server says of waiting is heard."""
    with serving(after_one_answer(error(429, {"retry-after": form}))) as server:
        teacher = OpenAITeacher(model="m", base_url=server.url)
        await teacher.complete(make_request())
        with pytest.raises(RateLimited) as caught:
            await teacher.complete(make_request())
        await teacher.aclose()
    assert caught.value.retry_after_s == seconds


async def test_same_request():
    """A later request is signed and worded as the first, which the SDK itself sent."""
    with serving() as server:
        teacher = OpenAITeacher(model="m", base_url=server.url, api_key="sk-secret")
        for _ in range(3):
            await teacher.complete(make_request(parameters={"temperature": 0.5}))
        await teacher.aclose()
    assert server.paths == ["/v1/chat/completions"] * 3
    assert server.keys == ["Bearer sk-secret"] * 3
    assert server.bodies[0] == server.bodies[1] == server.bodies[2]
    assert len(server.connections) == 1


async def test_nobody_there():
    """A port on which nobody listens is told from a server that breaks off."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    teacher = OpenAITeacher(model="m", base_url=f"http://127.0.0.1:{port}/v1")
    with pytest.raises(Unreachable, match="can't reach"):
        await teacher.complete(make_request())
    await teacher.aclose()


async def test_no_answer_in_time():
    """A server that takes a request and says nothing is unavailable once the time is over."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        teacher = OpenAITeacher(model="m", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout_s=0.2)
        with pytest.raises(Unavailable, match=r"no answer within 0\.2 s") as caught:
            await teacher.complete(make_request())
        await teacher.aclose()
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [(None, (Unavailable, True, True)), (error(500), (Unavailable, False, True)), (error(429), (RateLimited, False, True))],
    ids=["broken", "500", "429"],
)
async def test_what_was_sent(reply: Reply | None, expected: tuple[type[Exception], bool, bool]):
    """A request counts as sent once it has a connection; without an answer to it, nobody knows whether it is billed."""
    with serving(after_one_answer(reply)) as server:
        teacher = OpenAITeacher(model="m", base_url=server.url)
        await teacher.complete(make_request())
        FLIGHT.set(flight := Flight())
        with pytest.raises(StillhouseError) as caught:
            await teacher.complete(make_request())
        await teacher.aclose()
    assert isinstance(caught.value, TeacherError)
    assert (type(caught.value), caught.value.unanswered, flight.sent) == expected


@pytest.mark.parametrize("there", [True, False])
async def test_late_or_not_there(there: bool):
    """What ran into the time limit may be billed; what nobody took a connection for isn't."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        if not there:
            silent.close()
        teacher = OpenAITeacher(model="m", base_url=url, timeout_s=0.2)
        FLIGHT.set(flight := Flight())
        with pytest.raises(TimedOut if there else Unreachable) as caught:
            await teacher.complete(make_request())
        await teacher.aclose()
    assert (caught.value.unanswered, flight.sent) == (there, there)


async def test_many_at_once():
    """Many requests in flight are each answered with their own."""
    with serving() as server:
        teacher = OpenAITeacher(model="m", base_url=server.url, concurrency=50)
        found = await asyncio.gather(*(teacher.complete(make_request(f"prompt {i}")) for i in range(200)))
        await teacher.aclose()
    assert [completion.choices[0].response for completion in found] == [f"prompt {i} #0" for i in range(200)]


async def test_open_files():
    """A teacher's connections don't take the files that the rest of the program may open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with serving() as server:
            teacher = OpenAITeacher(model="m", base_url=server.url, concurrency=500)
            await teacher.complete(make_request())
            await teacher.aclose()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(756, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_proxy(monkeypatch: pytest.MonkeyPatch):
    """A proxy that the environment names is used, and not for what it excludes."""
    with serving() as proxy, serving() as server:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        direct = OpenAITeacher(model="m", base_url=server.url)
        await direct.complete(make_request())
        await direct.aclose()
        assert (len(server.bodies), len(proxy.bodies)) == (1, 0)
        monkeypatch.setenv("no_proxy", "")
        proxied = OpenAITeacher(model="m", base_url="http://model.example/v1")
        await proxied.complete(make_request())
        await proxied.aclose()
    assert proxy.paths == ["http://model.example/v1/chat/completions"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxy_password(scheme: str, monkeypatch: pytest.MonkeyPatch):
    """A proxy is told its user and password, and no error tells them."""
    heard: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv(f"{scheme}_proxy", f"http://user:canary%21@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        teacher = OpenAITeacher(model="m", base_url=f"{scheme}://model.example/v1", api_key="sk-secret")
        with pytest.raises(StillhouseError, match="407") as caught:
            await teacher.complete(make_request())
        await teacher.aclose()
    login = base64.b64encode(b"user:canary!")
    assert b"proxy-authorization: basic " + login.lower() in heard[0].lower()
    told = "".join(traceback.format_exception(caught.value))
    assert "canary" not in told
    assert login.decode() not in told


async def test_no_cookies():
    """A load balancer's cookie isn't kept: it would pin all requests to one of its servers."""

    def answer(body: dict[str, Any]) -> Reply:
        status, headers, content = chat(body)
        return status, headers | {"set-cookie": "route=one"}, content

    with serving(answer) as server:
        teacher = OpenAITeacher(model="m", base_url=server.url.replace("127.0.0.1", "localhost"))
        for _ in range(2):
            await teacher.complete(make_request())
        await teacher.aclose()
    assert [headers.get("cookie") for headers in server.headers] == [None, None]


async def test_kept_alive():
    """TCP looks after a connection on which a model thinks in silence, from the first request on."""
    with serving() as server:
        teacher = OpenAITeacher(model="m", base_url=server.url)
        await teacher.complete(make_request())
        session = teacher._wire._session
        assert session is not None
        assert session.connector is not None
        ((protocol, _),) = next(iter(session.connector._conns.values()))
        used = protocol.transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        await teacher.aclose()


async def test_a_body_without_end(monkeypatch: pytest.MonkeyPatch):
    """What unpacks to more than any response has is a malformed response, and is read no further."""
    monkeypatch.setattr(wire, "MOST_BYTES", 2**20)
    bomb = gzip.compress(b" " * 2**24)
    assert len(bomb) < 2**16
    with serving(lambda _: (200, JSON | {"content-encoding": "gzip"}, bomb)) as server:
        teacher = OpenAITeacher(model="m", base_url=server.url, api_key="sk-secret")
        try:
            with pytest.raises(BadResponse, match="larger than 1 MiB"):
                await teacher.complete(make_request())
        finally:
            await teacher.aclose()
