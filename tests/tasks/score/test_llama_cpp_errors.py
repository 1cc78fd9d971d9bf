"""What llama.cpp's server says where it refuses."""

from __future__ import annotations

import pytest

from storage.errors import RequestRejected
from tasks.score.llama_cpp import make
from tasks.teachers.embedded import MODEL
from tasks.teachers.wire import Reply
from tests.fakes import make_options

KEY = "sk-canary"


def test_a_refusal_that_quotes_the_key() -> None:
    """It is quoted in part, and none of the key is in that part, wherever the server has it."""
    scorer = make(make_options(provider="local", model=MODEL), api_key=KEY)
    for before in range(290, 302):
        with pytest.raises(RequestRejected, match="refuses /tokenize: x") as raised:
            scorer._read("/tokenize", Reply(status=400, headers={}, content=b"x" * before + KEY.encode()))
        assert "s" not in str(raised.value).partition("xx")[2]
