"""Variables: a name is shown unless what stands in its place looks like a key, and a number must be one."""

from __future__ import annotations

import pytest

from storage.errors import StorageError
from storage.remote.lease import lease_seconds
from storage.remote.objects import Objects
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


def test_seconds(monkeypatch: pytest.MonkeyPatch):
    """A length of time is a number; an empty variable is as good as none."""
    for said, found in (("8", 8.0), ("0.5", 0.5), ("", 30.0)):
        monkeypatch.setenv("STILLHOUSE_LEASE_SECONDS", said)
        assert lease_seconds() == found


@pytest.mark.parametrize("said", ["30s", "0", "-1", "nan", "inf", "1e300", " "])
def test_no_seconds(monkeypatch: pytest.MonkeyPatch, said: str):
    """What is no length of time is one line that names the variable."""
    told = "_SECONDS: must be a number of seconds above 0, as in 30, and this is "
    for name in ("STILLHOUSE_LEASE_SECONDS", "STILLHOUSE_STORE_PATIENCE_SECONDS"):
        monkeypatch.setenv(name, said)
    with pytest.raises(StorageError, match=f"^STILLHOUSE_LEASE{told}{said!r}$"):
        lease_seconds()
    with pytest.raises(StorageError, match=f"^STILLHOUSE_STORE_PATIENCE{told}{said!r}$"):
        Objects.at("s3://bucket/lake")
