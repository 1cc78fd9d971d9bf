"""A small server that speaks as much of the Hub's API as one commit to a dataset needs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from tests.loopback import Handler, Server


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


class _Handler(Handler):
    hub: ClassVar[Hub]

    def do_GET(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if self.hub.files is None:
            self.answer(404, {"error": "Repository not found"}, {"x-error-code": "RepoNotFound"})
        elif "/tree/main" in self.path:
            self.answer(
                200, [{"type": "file", "path": name, "oid": "0", "size": len(data)} for name, data in self.hub.files.items()]
            )
        elif "/resolve/" in self.path:
            self.answer(200, self.hub.files[self.path.rpartition("/")[2]], {"etag": '"1"', "x-repo-commit": "0" * 40})
        else:
            self.answer(200, {"id": "me/sums", "sha": "0" * 40, "siblings": [{"rfilename": name} for name in self.hub.files]})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        body = self.body()
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            if self.hub.files is None:
                self.hub.files = {".gitattributes": b""}
                self.hub.private = asked.get("private") or asked.get("visibility") == "private"
            self.answer(200, {"url": f"{self.hub.url}/datasets/me/sums", "name": "me/sums"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self.answer(200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self.answer(404, {"error": f"nothing at {self.path}"})

    def _commit(self, body: bytes) -> None:
        if self.hub.refuse:
            self.answer(self.hub.refuse, {"error": "You may not write here"})
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
        self.answer(200, {"success": True, "commitOid": "1" * 40, "commitUrl": url, "hookOutput": ""})


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve on loopback."""
    hub = Hub()
    with Server(type("Handler", (_Handler,), {"hub": hub})) as server:
        hub.url = server.url
        yield hub
