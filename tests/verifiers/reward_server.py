"""A reward model's server on loopback: vLLM's and Text Embeddings Inference's formats over real HTTP, in this process."""

from __future__ import annotations

import functools
import http.server
import json
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Self

Reward = Callable[[str], float]
"""From a response to a raw reward."""


def believing(response: str) -> float:
    """Find exactly the responses good that say Paris."""
    return 2.0 if "Paris" in response else -2.0


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that gives up is part of these tests."""


class RewardServer:
    """Serves from a free port until it is left, and keeps what it was asked."""

    def __init__(self, reward: Reward = believing) -> None:
        self.reward = reward
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.script: list[tuple[int, bytes | Any, dict[str, str]]] = []
        """Status, body and headers that come first, in place of an answer."""
        self.delay_s = 0.0
        self.most = 0
        """Requests that were there at once, at most."""
        now = 0
        lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                nonlocal now
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    now += 1
                    outer.most = max(outer.most, now)
                    outer.asked.append((self.path, body))
                    outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                    status, answer, more = outer.script.pop(0) if outer.script else (200, outer.answer(self.path, body), {})
                if outer.delay_s:
                    time.sleep(outer.delay_s)
                with lock:
                    now -= 1
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(content))} | more).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        """Answer in the format of a path."""
        texts = {
            "/score": lambda: body["text_2"],
            "/classify": lambda: body["messages"][-1]["content"],
            "/pooling": lambda: body["messages"][-1]["content"],
            "/predict": lambda: body["inputs"][1],
            "/rerank": lambda: body["texts"][0],
        }
        raw = self.reward(texts[path]())
        score = raw if body.get("raw_scores") or body.get("use_activation") is False else 1 / (1 + math.exp(-raw))
        usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0}
        whole = {"id": "x", "object": "list", "created": 1, "model": body.get("model"), "usage": usage}
        return {
            "/score": whole | {"data": [{"index": 0, "object": "score", "score": score}]},
            "/classify": whole | {"data": [{"index": 0, "label": "LABEL_0", "probs": [score], "num_classes": 1}]},
            "/pooling": whole | {"data": [{"index": 0, "object": "pooling", "data": [[0.25], [score]]}]},
            "/predict": [{"score": score, "label": "LABEL_0"}],
            "/rerank": [{"index": 0, "score": score}],
        }[path]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@functools.cache
def shared() -> RewardServer:
    """Return a server that serves for as long as the process lives."""
    return RewardServer()
