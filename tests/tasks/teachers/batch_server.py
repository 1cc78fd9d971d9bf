"""A server on the loopback interface with the batches of OpenAI and of Anthropic, as their references describe them.

It counts what it sells by content, so that a test can see whether anything was bought twice.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.loopback import Handler, Server

Fate = Callable[[dict[str, Any]], str | tuple[int, dict[str, Any]]]
"""From a request's body to `ok`, `expired`, or the status and the body of an error."""
TOKENS_IN, TOKENS_OUT = 10, 6
"""Of each answer."""


def fine(body: dict[str, Any]) -> str:
    """Let every request have its answer."""
    return "ok"


class Batch:
    """One batch."""

    def __init__(self, name: str, entries: list[tuple[str, dict[str, Any]]], metadata: dict[str, str] | None = None) -> None:
        self.name = name
        self.entries = entries
        """Custom ids and bodies."""
        self.metadata = metadata
        self.created = time.time()
        self.looks = 0
        self.phase = "in_progress"
        self.cancelled = False
        self.errors: list[dict[str, Any]] = []
        self.fates: list[str | tuple[int, dict[str, Any]]] = []


class BatchServer:
    """Serves from a free port until it is left."""

    def __init__(self, *, fate: Fate = fine, looks: int = 1) -> None:
        self.fate = fate
        self.looks = looks
        """Looks at a batch after which it has ended."""
        self.holding = False
        """Whether no batch ends."""
        self.created: Callable[[], bool] = lambda: True
        """Called when a batch is there and before that is told; False: the connection is dropped."""
        self.fetched: Callable[[], None] = lambda: None
        """Called when results have been sent."""
        self.torn = 0
        """Downloads that are cut off in the middle."""
        self.emptied = False
        """Whether results are kept no more."""
        self.strange: bytes | None = None
        """What all but uploads are answered with, by a proxy: HTML, an empty object or nothing. It is done all the same."""
        self.reply: tuple[int, dict[str, str]] | None = None
        """Status and headers with which a proxy answers a creation that has been done."""
        self.invalid: dict[str, Any] | None = None
        """The error of OpenAI's that the next batches fail validation with."""
        self.sold: Counter[str] = Counter()
        """How often each body was bought."""
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, bytes] = {}
        self.paths: list[str] = []
        self.keys: set[str | None] = set()
        lock = threading.Lock()
        outer = self

        class Answering(Handler):
            def do_GET(self) -> None:
                """Answer."""
                self._serve(b"")

            def do_POST(self) -> None:
                """Answer."""
                self._serve(self.body())

            def _serve(self, body: bytes) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                with lock:
                    outer.paths.append(f"{self.command} {url.path}")
                    outer.keys.add(self.headers["authorization"] or self.headers["x-api-key"])
                    answer = outer.route(self.command, url.path, query, body, self.headers["content-type"] or "")
                if answer is None:
                    self.close_connection = True
                    return
                status, content, headers = outer._instead(self.command, url.path, *answer)
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                cut = isinstance(content, bytes) and outer.torn > 0
                self.send_response(status)
                self.send_header("content-type", _kind(content))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                if cut:
                    outer.torn -= 1
                    raw = raw[: len(raw) // 2]
                    self.close_connection = True
                self.wfile.write(raw)
                if isinstance(content, bytes):
                    outer.fetched()

        self._server = Server(Answering)
        self.url = f"{self._server.url}/v1"

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)

    def route(self, method: str, path: str, query: dict[str, str], body: bytes, kind: str) -> tuple[int, Any] | None:
        """Return status and content; None drops the connection."""
        routes: list[tuple[str, str, Callable[..., tuple[int, Any] | None]]] = [
            ("POST", r"/v1/files", lambda: self._upload(body, kind)),
            ("GET", r"/v1/files/([^/]+)/content", lambda name: (200, self.files[name])),
            ("POST", r"/v1/batches", lambda: self._create_openai(json.loads(body))),
            ("GET", r"/v1/batches", lambda: self._list(query, "after", self._openai)),
            ("GET", r"/v1/batches/([^/]+)", lambda name: self._look(name, self._openai)),
            ("POST", r"/v1/batches/([^/]+)/cancel", lambda name: self._cancel(name, self._openai)),
            ("POST", r"/v1/messages/batches", lambda: self._create_anthropic(json.loads(body))),
            ("GET", r"/v1/messages/batches", lambda: self._list(query, "after_id", self._anthropic)),
            ("GET", r"/v1/messages/batches/([^/]+)", lambda name: self._look(name, self._anthropic)),
            ("GET", r"/v1/messages/batches/([^/]+)/results", lambda name: (200, self._anthropic_results(name))),
            ("POST", r"/v1/messages/batches/([^/]+)/cancel", lambda name: self._cancel(name, self._anthropic)),
        ]
        if self.emptied and path.endswith(("/content", "/results")):
            return 404, {"type": "error", "error": {"type": "not_found_error", "message": "deleted"}}
        for wanted, pattern, answer in routes:
            if method == wanted and (found := re.fullmatch(pattern, path)):
                try:
                    return answer(*found.groups())
                except KeyError as missing:
                    return 404, {"type": "error", "error": {"type": "not_found_error", "message": f"no {missing}"}}
        return 404, {"error": {"message": f"no such path: {path}"}}

    def _instead(self, method: str, path: str, status: int, content: Any) -> tuple[int, Any, dict[str, str]]:
        """Return what a proxy makes of an answer."""
        if self.reply is not None and method == "POST" and path.endswith("/batches"):
            return self.reply[0], {"error": {"message": "gateway"}}, self.reply[1]
        if self.strange is not None and path != "/v1/files":
            return status, self.strange, {}
        return status, content, {}

    # Both

    def _new(self, entries: list[tuple[str, dict[str, Any]]], metadata: dict[str, str] | None = None) -> Batch:
        batch = Batch(f"batch_{len(self.batches)}", entries, metadata)
        assert len({custom_id for custom_id, _ in entries}) == len(entries)
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", custom_id) for custom_id, _ in entries)
        self.batches[batch.name] = batch
        return batch

    def _sell(self, batch: Batch) -> None:
        self.sold.update(json.dumps(body, sort_keys=True) for _, body in batch.entries)

    def _look(self, name: str, shape: Callable[[Batch], dict[str, Any]]) -> tuple[int, Any]:
        batch = self.batches[name]
        batch.looks += 1
        if batch.phase == "in_progress" and batch.looks >= self.looks and not self.holding:
            self._finish(batch)
        return 200, shape(batch)

    def _finish(self, batch: Batch) -> None:
        batch.fates = [self.fate(body) for _, body in batch.entries]
        batch.phase = "expired" if "expired" in batch.fates else "completed"

    def _cancel(self, name: str, shape: Callable[[Batch], dict[str, Any]]) -> tuple[int, Any]:
        """End it with the first half answered."""
        batch = self.batches[name]
        half = len(batch.entries) // 2
        batch.fates = ["ok" if number < half else "cancelled" for number in range(len(batch.entries))]
        batch.phase, batch.cancelled = "cancelled", True
        return 200, shape(batch)

    def _list(self, query: dict[str, str], cursor: str, shape: Callable[[Batch], dict[str, Any]]) -> tuple[int, Any]:
        newest = [*reversed(self.batches.values())]
        names = [batch.name for batch in newest]
        start = names.index(query[cursor]) + 1 if cursor in query else 0
        page = newest[start : start + min(int(query.get("limit", 20)), 2)]  # small pages: there must be several
        return 200, {
            "object": "list",
            "data": [shape(batch) for batch in page],
            "has_more": start + len(page) < len(newest),
            "first_id": page[0].name if page else None,
            "last_id": page[-1].name if page else None,
        }

    # OpenAI

    def _upload(self, body: bytes, kind: str) -> tuple[int, Any]:
        message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
        parts = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in message.iter_parts()
        }
        assert parts["purpose"] == b"batch"
        name = f"file-{len(self.files)}"
        self.files[name] = parts["file"]
        return 200, {
            "id": name,
            "object": "file",
            "bytes": len(parts["file"]),
            "created_at": 1,
            "filename": "f",
            "purpose": "batch",
        }

    def _create_openai(self, given: dict[str, Any]) -> tuple[int, Any] | None:
        assert given["completion_window"] == "24h"
        lines = [json.loads(line) for line in self.files[given["input_file_id"]].splitlines()]
        assert all(line["method"] == "POST" and line["url"] == given["endpoint"] for line in lines)
        batch = self._new([(line["custom_id"], line["body"]) for line in lines], given.get("metadata"))
        if self.invalid is not None:
            batch.phase, batch.errors = "failed", [self.invalid]
        else:
            self._sell(batch)
        return (200, self._openai(batch)) if self.created() else None

    def _openai(self, batch: Batch) -> dict[str, Any]:
        output, errors = [], []
        for (custom_id, body), fate in zip(batch.entries, batch.fates, strict=False):
            line: dict[str, Any] = {"id": f"r-{custom_id}", "custom_id": custom_id, "response": None, "error": None}
            if fate == "ok":
                output.append(line | {"response": {"status_code": 200, "request_id": "q", "body": self._chat(body)}})
            elif isinstance(fate, tuple):
                errors.append(line | {"response": {"status_code": fate[0], "request_id": "q", "body": fate[1]}})
            else:
                errors.append(line | {"error": {"code": f"batch_{fate}", "message": f"This request is {fate}."}})
        files = {}
        for kind, rows in (("output_file_id", output), ("error_file_id", errors)):
            files[kind] = f"{kind}-{batch.name}" if rows else None
            if rows:
                self.files[f"{kind}-{batch.name}"] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        ended = bool(batch.fates)
        return {
            "id": batch.name,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "f",
            "completion_window": "24h",
            "created_at": int(batch.created),
            "status": batch.phase,
            "metadata": batch.metadata,
            "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
            "request_counts": {
                "total": len(batch.entries),
                "completed": len(output) if ended else 0,
                "failed": len(errors) if ended else 0,
            },
            **files,
        }

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        choices = [
            {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": _text(body, n)}}
            for n in range(body.get("n", 1))
        ]
        usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT * len(choices)}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}

    # Anthropic

    def _create_anthropic(self, given: dict[str, Any]) -> tuple[int, Any] | None:
        batch = self._new([(entry["custom_id"], entry["params"]) for entry in given["requests"]])
        self._sell(batch)
        return (200, self._anthropic(batch)) if self.created() else None

    def _anthropic(self, batch: Batch) -> dict[str, Any]:
        names = [fate if isinstance(fate, str) else "errored" for fate in batch.fates]
        created = datetime.fromtimestamp(batch.created, UTC)
        return {
            "id": batch.name,
            "type": "message_batch",
            "processing_status": "ended" if batch.fates else "in_progress",
            "request_counts": {
                "processing": 0 if batch.fates else len(batch.entries),
                "succeeded": names.count("ok"),
                "errored": names.count("errored"),
                "canceled": names.count("cancelled"),
                "expired": names.count("expired"),
            },
            "created_at": created.isoformat(),
            "expires_at": created.isoformat(),
            "ended_at": created.isoformat() if batch.fates else None,
            "archived_at": None,
            "cancel_initiated_at": created.isoformat() if batch.cancelled else None,
            "results_url": f"{self.url}/messages/batches/{batch.name}/results" if batch.fates else None,
        }

    def _anthropic_results(self, name: str) -> bytes:
        batch = self.batches[name]
        rows = []
        for (custom_id, body), fate in zip(batch.entries, batch.fates, strict=True):
            result: dict[str, Any] = {"type": {"cancelled": "canceled"}.get(str(fate), fate)}
            if fate == "ok":
                result = {"type": "succeeded", "message": _message(body)}
            elif isinstance(fate, tuple):
                result = {"type": "errored", "error": fate[1]}
            rows.append({"custom_id": custom_id, "result": result})
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in reversed(rows)).encode()


def _kind(content: object) -> str:
    if isinstance(content, bytes) and content.startswith(b"<"):
        return "text/html"
    return "application/octet-stream" if isinstance(content, bytes) and content not in {b"", b"{}"} else "application/json"


def _text(body: dict[str, Any], n: int = 0) -> str:
    # Another line separator in the text: only a line feed ends a row of JSONL.
    return f"{body['messages'][-1]['content']}\u2028The answer is {(body.get('seed', 0) + n) % 3}."


def _message(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": _text(body)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT},
    }
