"""A teacher on loopback: OpenAI's chat completions over real HTTP, in this process, counting what it sells."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.loopback import Handler, Server

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


class LoopbackTeacher:
    """Serves from a free port until it is left. `sold` counts samples, `bodies` keeps what was asked."""

    def __init__(self, reply: Reply = counting, *, delay_s: float = 0.0) -> None:
        self.sold = 0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        lock = threading.Lock()
        outer = self

        class Answering(Handler):
            def do_POST(self) -> None:
                body = json.loads(self.body())
                time.sleep(delay_s)
                with lock:
                    status, document = reply(body, outer.sold)
                    outer.bodies.append(body)
                    outer.headers.append(self.told())
                    outer.sold += len(document.get("choices", ()))
                self.answer(status, document)

        self._server = Server(Answering)
        self.url = f"{self._server.url}/v1"

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)
