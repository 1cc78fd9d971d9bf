"""A server on the loopback interface that speaks as the providers do, for as long as a `with` lasts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.loopback import Handler, Server

Reply = tuple[int, dict[str, str], bytes]


def chat(body: dict[str, Any]) -> Reply:
    """Answer each sample with the last turn."""
    text = body["messages"][-1]["content"]
    choices = [
        {"index": n, "message": {"role": "assistant", "content": f"{text} #{n}"}, "finish_reason": "stop"}
        for n in range(body.get("n", 1))
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 7 * len(choices)}
    return 200, {"content-type": "application/json"}, json.dumps({"choices": choices, "usage": usage}).encode()


def respond(body: dict[str, Any]) -> Reply:
    """Answer with the last turn, in the form of OpenAI's Responses."""
    part = {"type": "output_text", "text": f"{body['input'][-1]['content']} #0", "annotations": []}
    output = [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}]
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    content = {"id": "resp_1", "object": "response", "status": "completed", "output": output, "usage": usage}
    return 200, {"content-type": "application/json"}, json.dumps(content).encode()


def message(body: dict[str, Any]) -> Reply:
    """Answer with the last turn, in the form of Anthropic's Messages."""
    content = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": f"{body['messages'][-1]['content']} #0"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }
    return 200, {"content-type": "application/json"}, json.dumps(content).encode()


@dataclass
class Serving:
    """What a server is and was asked."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)


@contextmanager
def serving(reply: Callable[[dict[str, Any]], Reply | None] = chat) -> Iterator[Serving]:
    """Serve replies of a function; where it returns None the connection is dropped."""
    seen = Serving(url="")

    class Answering(Handler):
        def do_POST(self) -> None:
            """Answer."""
            body = json.loads(self.body())
            seen.bodies.append(body)
            seen.paths.append(self.path)
            seen.keys.append(self.headers["authorization"])
            seen.headers.append(self.told())
            seen.connections.add(self.client_address)
            answer = reply(body)
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.answer(status, content, headers)

    with Server(Answering) as server:
        seen.url = f"{server.url}/v1"
        yield seen
