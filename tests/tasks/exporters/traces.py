"""Traces as an export hands them to a form."""

from __future__ import annotations

from typing import Any

from storage.schemas import TRACES
from tests.fakes import NOON

SYSTEM = {"role": "system", "content": "Be brief."}


def user(text: str) -> dict[str, str]:
    """Return a user's turn."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    """Return an assistant's turn."""
    return {"role": "assistant", "content": text}


def make_trace(n: int = 0, **given: Any) -> dict[str, Any]:
    """Return a trace, with all columns."""
    own = {
        "sample_id": f"s{n}",
        "prompt_id": f"p{n}",
        "teacher": "smol",
        "model": "m-1",
        "prompt": f"What is {n}?",
        "messages": [SYSTEM, user(f"What is {n}?")],
        "response": f"It is {n}.",
        "reasoning": None if n % 2 else f"Think of {n}.",
        "score": 1.0,
        "license": "MIT",
        "split": "train",
        "created_at": NOON,
    }
    return dict.fromkeys([*TRACES.names, "revision"]) | own | given


def origin(n: int = 0) -> dict[str, Any]:
    """Return where a trace's row comes from."""
    return {"prompt_id": f"p{n}", "sample_id": f"s{n}", "teacher": "smol", "model": "m-1", "license": "MIT"}
