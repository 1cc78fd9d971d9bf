"""A model on this machine: llama.cpp's server in a child process, started when the first request comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from storage.errors import SpecError
from tasks.teachers.chat import OpenAITeacher, refuse_budget
from tasks.teachers.embedded import MODEL, EmbeddedServer, find_model
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Completion, Request

SLOTS = 8
"""Sequences that are decoded together. More make a small model on a CPU slower, not faster."""


@dataclass(kw_only=True)
class LocalTeacher:
    """Asks a child process. Not frozen: it holds the process."""

    options: TeacherOptions
    """The spec's."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)
    _server: EmbeddedServer | None = field(default=None, init=False, repr=False)
    _client: OpenAITeacher | None = field(default=None, init=False, repr=False)

    @property
    def identity(self) -> Mapping[str, Any]:
        """A file and what is sent with each request decide the answer too."""
        chosen = {"path": self.options.path, "extra_body": self.options.extra_body}
        return {name: value for name, value in chosen.items() if value}

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where llama.cpp's chat completions have no way to say them."""
        refuse_budget(parameters)

    @property
    def capacity(self) -> int:
        """Return how many requests keep all slots of the server busy."""
        return 2 * SLOTS

    async def complete(self, request: Request) -> Completion:
        """Start the server where it isn't running yet, and ask it."""
        client = self._client or await self._start()
        completion = await client.complete(request)
        return completion if self._server is None else replace(completion, revision=self._server.revision)

    async def _start(self) -> OpenAITeacher:
        async with self._lock:
            if self._client is None:
                options = self.options
                slots = min(SLOTS, options.limits.most)
                server = EmbeddedServer(_model(options), alias=options.model, slots=slots)
                await server.start()
                self._server = server
                self._client = OpenAITeacher(
                    model=options.model,
                    base_url=server.base_url,
                    timeout_s=options.timeout_s,
                    concurrency=options.limits.most,
                    extra_body=options.extra_body,
                )
            return self._client

    async def aclose(self) -> None:
        """Stop the server."""
        if self._client is not None:
            await self._client.aclose()
        if self._server is not None:
            await self._server.aclose()
        self._client = self._server = None


def _model(options: TeacherOptions) -> Path | None:
    return Path(options.path).expanduser() if options.path else None


def ready(options: TeacherOptions) -> None:
    """Raise SetupError where llama.cpp, or the model's file, isn't on this machine."""
    find_model(_model(options))


def make(options: TeacherOptions, *, api_key: str | None) -> LocalTeacher:  # noqa: ARG001 - the protocol's
    """Return the teacher of a spec's options."""
    where = f"teacher {options.name!r}"
    if options.path is None and options.model != MODEL:
        raise SpecError(f"{where}: model: {options.model!r} isn't embedded; use {MODEL}, or give `path`, a GGUF file")
    if options.samples_per_request > 1:
        raise SpecError(f"{where}: samples_per_request: provider local gives one sample a request")
    if options.api != "chat":
        raise SpecError(f"{where}: api: only provider openai has `{options.api}`; leave it out")
    return LocalTeacher(options=options)
