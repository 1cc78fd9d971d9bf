"""A reward model's server on loopback: vLLM's and Text Embeddings Inference's formats over real HTTP, in this process."""

from __future__ import annotations

import functools
import json
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.loopback import Handler, Server

Reward = Callable[[str], float]
"""From a response to a raw reward."""


def believing(response: str) -> float:
    """Find exactly the responses good that say Paris."""
    return 2.0 if "Paris" in response else -2.0


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

        class Answering(Handler):
            def do_POST(self) -> None:
                nonlocal now
                body = json.loads(self.body())
                with lock:
                    now += 1
                    outer.most = max(outer.most, now)
                    outer.asked.append((self.path, body))
                    outer.headers.append(self.told())
                    status, answer, more = outer.script.pop(0) if outer.script else (200, outer.answer(self.path, body), {})
                if outer.delay_s:
                    time.sleep(outer.delay_s)
                with lock:
                    now -= 1
                self.answer(status, answer, {name.lower(): value for name, value in more.items()})

        self._server = Server(Answering).__enter__()
        self.url = self._server.url

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
        self._server.__exit__(*exc)


@functools.cache
def shared() -> RewardServer:
    """Return a server that serves for as long as the process lives."""
    return RewardServer()
