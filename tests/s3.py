"""A real S3 API on loopback: moto's server in a process of its own, and before it a proxy that is as strict as S3, and as unreliable.

moto looks at a condition and puts in two steps, and takes what arrives for what was sent. The proxy lets one conditional put through
at a time, and refuses a body whose checksum isn't the header's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import boto3

from tests.loopback import Handler, Server

KEY, SECRET = "AKIACANARY0000000000", "canary-secret-1234567890"
Fault = Callable[[str, str], "str | float | None"]
"""From a method and a path to what goes wrong: '500', '503', '403', 'reset', 'lost' (done, but the answer never comes), 'cut' (half
of the body arrives), or seconds that it takes."""
REFUSALS = {
    "403": f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>".encode(),
    "500": b"<Error><Code>InternalError</Code></Error>",
    "503": b"<Error><Code>SlowDown</Code></Error>",
}


def fine(method: str, path: str) -> None:
    """Let everything through."""


class Bucket:
    """An S3 API with one bucket, `lakes`. `fault` may be set at any time; `unsummed` is what was put without a checksum."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.fault: Fault = fine
        self.unsummed: list[str] = []

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.behind = probe.getsockname()[1]
        self._log = (self._folder / "moto.log").open("wb")
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.behind)]
        self._moto = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.behind), timeout=1):
                break
            time.sleep(0.1)
        self._proxy = Server(type("Handler", (_Handler,), {"bucket": self, "one": threading.Lock()})).__enter__()
        self.url = self._proxy.url
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.behind}",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket="lakes")
        return self

    def __exit__(self, *exc: object) -> None:
        self._proxy.__exit__(*exc)
        self.client.close()
        self._moto.terminate()
        self._moto.wait(timeout=30)
        self._log.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def keys(self, prefix: str = "") -> list[str]:
        """Return the names of all objects below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="lakes", Prefix=prefix)
        return sorted(each["Key"] for page in pages for each in page.get("Contents", ()))


class _Handler(Handler):
    """Hands a request on, or does not."""

    bucket: Bucket
    one: threading.Lock
    """Held while a condition is looked at and what it guards is put."""

    def _serve(self) -> None:
        body = self.body()
        sums = {"x-amz-checksum-sha256", "x-amz-copy-source"}  # a copy within the store has no body
        if self.command == "PUT" and not sums & {name.lower() for name in self.headers}:
            self.bucket.unsummed.append(self.path)
        fault = self.bucket.fault(self.command, self.path)
        if isinstance(fault, float):
            time.sleep(fault)
        if fault == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault in REFUSALS:
            self._answer(int(fault), {}, REFUSALS[fault])
        elif fault == "cut":
            self._answer(*self._forward(body[: len(body) // 2]))
        elif not self._whole(body):
            self._answer(400, {}, b"<Error><Code>BadDigest</Code></Error>")
        else:
            conditional = self.command == "PUT" and {"if-match", "if-none-match"} & {name.lower() for name in self.headers}
            with self.one if conditional else contextlib.nullcontext():
                answer = self._forward(body)
            if fault == "lost":
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self._answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _whole(self, body: bytes) -> bool:
        stated = self.headers.get("x-amz-checksum-sha256")
        return not stated or base64.b64encode(hashlib.sha256(body).digest()).decode() == stated

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        behind = http.client.HTTPConnection("127.0.0.1", self.bucket.behind, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        behind.request(self.command, self.path, body=body, headers=headers)
        got = behind.getresponse()
        answer = got.read()
        behind.close()
        return got.status, dict(got.getheaders()), answer

    def _answer(self, status: int, headers: dict[str, str], answer: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(answer))
        self.send_header("content-length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)


@contextlib.contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Change this process's environment for a while."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
