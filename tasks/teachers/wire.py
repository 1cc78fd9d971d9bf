"""HTTP for the hot path: aiohttp, whose pool doesn't get slower as more requests are in flight."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

from storage.errors import BadResponse, TimedOut, Unavailable, Unreachable
from tasks.teachers.protocol import FLIGHT

MOST_BYTES = 256 * 2**20
"""Of a body, decompressed: a few bytes may unpack to any size. A thousand tokens with 50 alternatives each take five million."""
CONNECT_S = 30.0
"""A server that doesn't take a connection for so long isn't there."""
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
"""Seconds: a model may think for minutes without a byte, and a NAT on the way forgets a connection that is silent for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole response."""

    status: int
    """HTTP's."""
    headers: Mapping[str, str]
    """By name, whatever its case."""
    content: bytes
    """The body, decompressed."""


class Wire:
    """Asks one server. Connections are opened as they are needed, and kept."""

    def __init__(self, *, connections: int, timeout_s: float) -> None:
        """Keep so many connections at most; give up on a response after `timeout_s`."""
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s))
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._proxy_headers: dict[str, str] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request, once.

        Raise Unreachable where nobody is there, TimedOut where no response came in time, Unavailable where none came whole,
        BadResponse where it is too large.
        """
        return await self._send("POST", url, headers, body)

    async def get(self, url: str) -> Reply:
        """Ask for what stands at an address, once. Raise what `post` raises."""
        return await self._send("GET", url, {}, None)

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        if (flight := FLIGHT.get(None)) is not None:
            flight.sent = False  # until it has a connection
        try:
            session = self._opened(url)
            # A proxy reads its password where it opens a tunnel, or else on the request itself.
            tunnel = self._proxy_headers if url.startswith("https") else None
            sent = headers if tunnel is not None else {**headers, **self._proxy_headers}
            async with session.request(method, url, data=body, headers=sent, proxy=self._proxy, proxy_headers=tunnel) as response:
                return Reply(status=response.status, headers=response.headers, content=await _whole(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from None
        except TimeoutError:
            raise TimedOut(f"no answer within {self._timeout.total:g} s") from None
        except aiohttp.ClientError as error:
            broken = Unavailable(f"the connection broke: {type(error).__name__}: {error}")
            broken.unanswered = True
            raise broken from None

    def _opened(self, url: str) -> aiohttp.ClientSession:
        if self._session is None:  # a session belongs to the event loop that runs when it is made
            _let_open(self._connections)
            # The certificates that the SDKs trust, and the proxy that the environment names, as they do. aiohttp would look for
            # the latter anew with each request, in a thread, which costs as much as the request.
            # They take a while to read, and a server without TLS may still send elsewhere: aiohttp has read the system's by now.
            server = urlsplit(url)
            context: ssl.SSLContext | bool = httpx2.create_ssl_context() if server.scheme == "https" else True
            bypassed = proxy_bypass(server.netloc)
            named = None if bypassed else getproxies().get(server.scheme)
            self._proxy, self._proxy_headers = _apart(named) if named else (None, {})
            connector = _Connector(limit=self._connections, ssl=context, ttl_dns_cache=60, socket_factory=_socket)
            # A load balancer's cookie would pin all requests to one of its servers.
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, cookie_jar=jar)
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)  # lets the transports close


class _Connector(aiohttp.TCPConnector):
    """Says of the request that is being sent when it has a connection: from there on it may have been billed."""

    async def connect(self, *given: Any, **named: Any) -> aiohttp.connector.Connection:
        """See aiohttp."""
        connection = await super().connect(*given, **named)
        if (flight := FLIGHT.get(None)) is not None:
            flight.sent = True
        return connection


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Return a body, whose memory is bounded: with many requests in flight, one that has no end would take the machine's."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            raise BadResponse(f"the response is larger than {MOST_BYTES >> 20} MiB")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _let_open(more: int) -> None:
    """Let this process have so many more files open, as far as the system lets it: 1,024 are usual, and others are in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    wanted = soft + more if hard == resource.RLIM_INFINITY else min(soft + more, hard)
    with contextlib.suppress(OSError, ValueError):  # a system with a limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose connection is kept alive by TCP."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


def _apart(proxy: str) -> tuple[str, dict[str, str]]:
    """Return a proxy's address without user and password, which errors would quote, and the header that says them."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.username is None:
        return address, {}
    login = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
    return address, {"Proxy-Authorization": login}
