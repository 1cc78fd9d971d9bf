"""A server on loopback for tests that need real HTTP: what it answers is up to who makes one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Self


class Handler(BaseHTTPRequestHandler):
    """Answers on connections that stay open, and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def body(self) -> bytes:
        """Return what came with the request."""
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def told(self) -> dict[str, str]:
        """Return the request's headers by their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}

    def answer(self, status: int, content: Any = b"", headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Send a status, and bytes or what becomes JSON; headers, in lower case, go before those that it has by itself."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"content-type": "application/json", "content-length": str(len(raw))} | {**headers}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves from a free port for as long as it is entered."""

    request_queue_size = 512

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up, or are killed, are part of the tests."""
