"""What the environment's proxy is not asked for."""

from __future__ import annotations

import os

import httpx
import httpx2
import pytest
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from storage import proxies


def asked(url: str) -> set[bool]:
    """Return whether clients go through a proxy: Prefect's two, and that of the teachers."""
    plain = parse_uri(url.replace("http", "ws", 1))
    clients = ((module, module.Client()) for module in (httpx, httpx2))
    found = {client._transport_for_url(module.URL(url)) is not client._transport for module, client in clients}
    return found | {get_proxy(plain) is not None}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "")  # so that it is taken back
    monkeypatch.delenv("no_proxy")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("spared", ["NO_PROXY", "no_proxy"])
def test_one_place(name: str, spared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is spared, and what was; its neighbours and the world aren't."""
    monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.setenv(spared, "intern.example")
    assert True in asked("http://127.0.0.1:4201/api")  # not all clients know all names
    proxies.spare("127.0.0.1:4201")
    proxies.spare("127.0.0.1:4202")
    assert asked("http://127.0.0.1:4201/api") == asked("http://127.0.0.1:4202/api") == {False}
    assert asked("http://intern.example/") == {False}
    assert True in asked("http://127.0.0.1:8000/v1") & asked("http://model.example/")


def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, or none for anything, nothing is said: a system's own settings hold where the environment has none."""
    proxies.spare("127.0.0.1:4201")
    assert "no_proxy" not in os.environ
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "*")
    proxies.spare("127.0.0.1:4201")
    assert "no_proxy" not in os.environ
