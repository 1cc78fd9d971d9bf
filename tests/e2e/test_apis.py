"""The whole way with the APIs beside chat completions: what was thought and what was cached lands too, and is paid for once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher

pytestmark = pytest.mark.slow


def message(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer as Anthropic's Messages would, with thinking and a cached system text; sometimes by a refusal without a text."""
    number = int(body["messages"][-1]["content"].split()[-1][:-1])
    thoughts = [{"type": "thinking", "thinking": f"Case {number}.", "signature": "c2ln"}]
    refused = {"content": [], "stop_reason": "refusal"}
    answered = {"content": [*thoughts, {"type": "text", "text": f"The answer is {number % 3}"}], "stop_reason": "end_turn"}
    usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 6}
    return 200, {"type": "message", "role": "assistant", "usage": usage} | (refused if number == 0 else answered)


def response(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer as OpenAI's Responses would, with the same in it."""
    number = int(body["input"][-1]["content"].split()[-1][:-1])
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": f"Case {number}."}], "encrypted_content": "c2ln"}
    parts = [{"type": "output_text", "text": f"The answer is {number % 3}"}]
    output = [thought, {"type": "message", "role": "assistant", "content": parts}]
    if number == 0:
        output = [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}]
    cached = {"cached_tokens": 5, "cache_write_tokens": 2}
    usage = {"input_tokens": 17, "input_tokens_details": cached, "output_tokens": 6}
    return 200, {"object": "response", "status": "completed", "output": output, "usage": usage}


@pytest.mark.parametrize(
    ("reply", "given"),
    [(message, {"provider": "anthropic"}), (response, {"provider": "openai", "api": "responses"})],
    ids=["Messages", "Responses"],
)
def test_whole_way(workplace: Workplace, reply: Any, given: dict[str, Any]) -> None:
    """Reasoning, its signed blocks and cached tokens land; the bill is right; a refusal is a sample; a rerun buys nothing."""
    price = {"input": 1.0, "output": 2.0, "cached_input": 0.1, "cache_write": 1.25}
    with LoopbackTeacher(reply) as teacher:
        workplace.spec = {
            "dataset": "sums",
            "prompts": [{"source": workplace.prompts(12), "license": "MIT"}],
            "template": {"system": "Think."},
            "teachers": [workplace.teacher(teacher.url, price=price, **given)],
            "sampling": {"max_tokens": 4096, "thinking": {"effort": "low"}},
            "verify": [{"use": "exact_match", "kind": "number"}],
            "dedup": {"exact": False},
        }
        first, again = workplace.build(), workplace.build()
        assert len(teacher.bodies) == 12
    assert (first["paid"], first["kept"], first["failed"]) == (12, 11, 0)
    assert first["cost_usd"] == pytest.approx(12 * (10 * 1.0 + 5 * 0.1 + 2 * 1.25 + 6 * 2.0) / 1e6)
    assert (again["paid"], again["reused"], again["kept"]) == (0, 12, 11)
    rows = workplace.query(
        "SELECT reasoning, reasoning_blocks, tokens_in, tokens_cached FROM samples WHERE finish_reason = 'stop'"
    )
    assert len(rows) == 11
    for thought, blocks, tokens_in, cached in rows:
        assert thought.startswith("Case ")
        assert thought in json.dumps(json.loads(blocks))
        assert "c2ln" in blocks
        assert (tokens_in, cached) == (17, 5)
    assert workplace.query("SELECT count(*) FROM samples WHERE finish_reason = 'refusal'") == [(1,)]
