"""What stands in place of a variable's name is shown, unless it looks like a key."""

from __future__ import annotations

import pytest

from storage.variables import looks_like_a_key, shown


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "my_key", "MY_KEY_2", "KEY", "_x1", "HF_TOKEN", "OPENROUTERAPIKEY", "Sk_key", "hf_token", "key2026"],
)
def test_a_name(name: str):
    """A variable's name is shown as it is."""
    assert not looks_like_a_key(name)
    assert shown(name) == name


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-canary",
        "gsk_Canary0123456789canary",
        "hf_CanaryCanaryCanary",
        "AIzaSyCanary-canary_canary",
        "sk_live_51Canary0123456789canary",
        "canary0123456789abcdef0123456789",
        "CANARY0123456789ABCDEF",
        "canary key",
        "",
    ],
)
def test_a_key(key: str):
    """What looks like a key is not, whether or not a variable could be called so."""
    assert looks_like_a_key(key)
    assert "anary" not in shown(key).lower()
    assert "looks like a key itself" in shown(key)
