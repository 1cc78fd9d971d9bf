"""What a spec says of teachers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.problems import problem
from tests.fakes import make_options


@pytest.mark.parametrize("limits", [{"concurrency": 1}, {"requests_per_minute": 1}, {"tokens_per_day": 1}], ids=repr)
def test_limits_of_batches(limits: dict[str, Any]) -> None:
    """Limits are for what is asked one by one: where they would be ignored, they are refused."""
    with pytest.raises(ValidationError, match=r"limits: .*batch\.requests"):
        make_options(provider="openai-batch", limits=limits)
    assert make_options(provider="openai-batch", limits={}).limits.concurrency == 0


def test_how_many_are_ready() -> None:
    """Twice what may be asked one by one, and as many as all batches hold that may be gathered side by side."""
    assert make_options(limits={"concurrency": 8}).side_by_side == 16
    assert make_options(provider="openai-batch").side_by_side == 20_000
    assert make_options(provider="openai-batch", batch={"requests": 50_000, "side_by_side": 20}).side_by_side == 1_000_000


@pytest.mark.parametrize(
    "given",
    [
        {"api_key_env": "sk-proj-canary"},
        {"base_url": "sk-proj-canary@host/v1"},
        {"replicas": [{"api_key_env": "sk-proj-canary"}]},
    ],
    ids=repr,
)
def test_a_key_in_the_wrong_place(given: dict[str, Any]) -> None:
    """What was given in place of a variable's name, or of an address, is quoted nowhere: it may be the key itself."""
    with pytest.raises(ValidationError) as caught:
        make_options(provider="openai", **given)
    _, message = problem(caught.value, lambda _: ())
    assert "canary" not in message
