"""A teacher on loopback: OpenAI's chat completions over real HTTP, in this process, counting what it sells."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Self

Reply = Callable[[dict[str, Any], int], tuple[int, dict[str, Any]]]
"""From a request's body and the number of samples sold so far to a status and a document."""


def counting(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer "The answer is 0", 1, 2, 0, … by the seed, or else in turn."""
    first = body.get("seed", sold)
    return 200, completion([f"I count. The answer is {(first + i) % 3}." for i in range(body.get("n") or 1)])


def completion(texts: list[str], **message: Any) -> dict[str, Any]:
    """Return a chat completion with these texts as its choices."""
    choices = [
        {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 6 * len(texts), "total_tokens": 10 + 6 * len(texts)}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that was killed is part of these tests."""


class LoopbackTeacher:
    """Serves from a free port until it is left. `sold` counts samples, `bodies` keeps what was asked."""

    def __init__(self, reply: Reply = counting, *, delay_s: float = 0.0) -> None:
        self.sold = 0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                time.sleep(delay_s)
                with lock:
                    status, document = reply(body, outer.sold)
                    outer.bodies.append(body)
                    outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                    outer.sold += len(document.get("choices", ()))
                raw = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
