"""A small server that speaks as much of the Hub's API as one commit to a dataset needs."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass
class Hub:
    """What it holds, and was asked."""

    url: str = ""
    files: dict[str, bytes] | None = None
    """Of the one repository; None: there is none."""
    private: bool | None = None
    commits: list[dict[str, list[str]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refuse: int = 0
    """The status with which commits are refused."""


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if self.hub.files is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif "/tree/main" in self.path:
            self._answer(
                200, [{"type": "file", "path": name, "oid": "0", "size": len(data)} for name, data in self.hub.files.items()]
            )
        elif "/resolve/" in self.path:
            self._file(self.hub.files[self.path.rpartition("/")[2]])
        else:
            self._answer(200, {"id": "me/sums", "sha": "0" * 40, "siblings": [{"rfilename": name} for name in self.hub.files]})

    do_HEAD = do_GET  # noqa: N815 - http.server's own name

    def do_POST(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            if self.hub.files is None:
                self.hub.files = {".gitattributes": b""}
                self.hub.private = asked.get("private") or asked.get("visibility") == "private"
            self._answer(200, {"url": f"{self.hub.url}/datasets/me/sums", "name": "me/sums"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._answer(404, {"error": f"nothing at {self.path}"})

    def _commit(self, body: bytes) -> None:
        if self.hub.refuse:
            self._answer(self.hub.refuse, {"error": "You may not write here"})
            return
        assert self.hub.files is not None
        done: dict[str, list[str]] = {"added": [], "deleted": []}
        for line in body.splitlines():
            said = json.loads(line)
            value = said["value"]
            if said["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
                done["added"].append(value["path"])
            elif said["key"] == "deletedFile":
                del self.hub.files[value["path"]]
                done["deleted"].append(value["path"])
        self.hub.commits.append(done)
        url = f"{self.hub.url}/datasets/me/sums/commit/{'1' * 40}"
        self._answer(200, {"success": True, "commitOid": "1" * 40, "commitUrl": url, "hookOutput": ""})

    def _file(self, data: bytes) -> None:
        self.send_response(200)
        for name, value in {"ETag": '"1"', "X-Repo-Commit": "0" * 40, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _answer(self, status: int, said: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve on loopback."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
