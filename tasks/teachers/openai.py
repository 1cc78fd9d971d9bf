"""The provider `openai`: any server that speaks one of OpenAI's two APIs."""

from __future__ import annotations

from typing import Any

from tasks.teachers.chat import DEFAULT_URL, OpenAITeacher
from tasks.teachers.options import TeacherOptions
from tasks.teachers.responses import ResponsesTeacher, refuse
from tasks.teachers.sdk import NO_KEY


def make(options: TeacherOptions, *, api_key: str | None) -> OpenAITeacher:
    """Return the teacher of a spec's options."""
    kind: type[OpenAITeacher] = OpenAITeacher
    if options.api == "responses":
        refuse(options)
        kind = ResponsesTeacher
    return kind(**connection(options, api_key=api_key))


def connection(options: TeacherOptions, *, api_key: str | None) -> dict[str, Any]:
    """Return whom a spec's options say to ask, and how."""
    return {
        "model": options.model,
        "base_url": options.base_url or DEFAULT_URL,
        "api_key": api_key or NO_KEY,
        "timeout_s": options.timeout_s,
        "concurrency": options.limits.most,
        "extra_body": options.extra_body,
    }
