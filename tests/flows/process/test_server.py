"""Prefect's server: which one a build uses, and that a temporary one comes, is quiet, and goes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flows.process import server as servers
from flows.process.server import Server, configured_url
from storage.errors import Interrupted, SetupError
from tests.loopback import Handler
from tests.loopback import Server as ProxyServer

PROFILES = 'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "http://profile/api"\n[profiles.bare]\n'


@pytest.mark.parametrize(
    ("environment", "profiles", "url"),
    [
        ({}, None, None),
        ({"PREFECT_API_URL": "http://env/api"}, PROFILES, "http://env/api"),
        ({}, PROFILES, "http://profile/api"),
        ({"PREFECT_PROFILE": "bare"}, PROFILES, None),
        ({}, "not toml [", None),
    ],
    ids=["nothing set", "the environment wins", "the active profile", "a profile without one", "a broken file"],
)
def test_the_configured_server(
    environment: dict[str, str], profiles: str | None, url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API is the environment's, else that of Prefect's active profile, else none."""
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if profiles is not None:
        (tmp_path / "profiles.toml").write_text(profiles)
    assert configured_url() == url


CODE = """
import os, sys, time
from flows.process.server import Server
with Server() as server:
    server.wait()
    from prefect import flow, get_run_logger
    @flow
    def hello():
        get_run_logger().warning("hello")
    hello()
    print(server.temporary, os.environ["PREFECT_API_URL"], server._process.pid, flush=True)
    if sys.argv[1:] == ["die"]:
        os.kill(os.getpid(), 9)
"""


def run(tmp_path: Path, *arguments: str, **more: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run a flow on a temporary server in a child process; return it and the server's process id."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(tmp_path), "SECRET_KEY": "sk-canary"} | more
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], env=environment, text=True, capture_output=True, timeout=120, check=False
    )
    return done, int(done.stdout.split()[-1])


def gone(process: int) -> bool:
    """Wait a little for a process to end, and say whether it did."""
    for _ in range(100):
        if not Path(f"/proc/{process}").exists() or "Z" in Path(f"/proc/{process}/stat").read_text().split()[2]:
            return True
        subprocess.run(["sleep", "0.1"], check=True)
    return False


@pytest.mark.slow
def test_a_temporary_server_is_quiet_and_goes(tmp_path: Path) -> None:
    """Nothing of Prefect's reaches the terminal, not even a flow's own log, and the server ends with the run."""
    done, server = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True http://127.0.0.1:")
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")
    assert gone(server)


@pytest.mark.slow
def test_a_temporary_server_dies_with_its_killed_parent(tmp_path: Path) -> None:
    """A run that is killed leaves no server behind."""
    done, server = run(tmp_path, "die")
    assert done.returncode == -9
    assert gone(server)


@pytest.mark.slow
def test_a_proxy(tmp_path: Path) -> None:
    """A temporary server is asked without the proxy that the environment names for the world."""
    asked: list[str] = []

    class Proxy(Handler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.answer(502)

        do_POST = do_GET
        do_CONNECT = do_GET

    with ProxyServer(Proxy) as proxy:
        done, _ = run(tmp_path, http_proxy=proxy.url, https_proxy=proxy.url, all_proxy=proxy.url, NO_PROXY="", no_proxy="")
    assert (done.returncode, done.stderr, asked) == (0, "", [])


def test_a_socks_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect's client would end in a traceback: what it needs is said."""
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    monkeypatch.delitem(sys.modules, "prefect", raising=False)
    with pytest.raises(SetupError, match="pip install socksio"), Server():
        pass


def test_a_server_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of Prefect's client is one line: the temporary server ended, or the user's failed the run. Ours stay defects."""
    monkeypatch.setenv("PREFECT_API_URL", "http://there/api")
    server = Server()
    asked = httpx.ConnectError("no connection")
    assert "server at http://there/api failed the run (no connection)" in str(server.lost(asked))
    assert server.lost(AssertionError("a defect")) is None
    with subprocess.Popen(["sleep", "60"]) as server._process:
        server._process.kill()
        server._process.wait()
        assert "temporary server ended in mid-run (by SIGKILL; was memory short?)" in str(server.lost(asked))
        assert server.lost(AssertionError("a defect")) is None


def test_a_users_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at the user's address: a line that says so, but for somebody who has interrupted meanwhile, whose word it is."""

    def interrupted() -> None:
        raise Interrupted("SIGTERM")

    monkeypatch.setattr(servers, "START_S", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        with pytest.raises(SetupError, match="can't reach Prefect's API"):
            Server().wait()
        with pytest.raises(Interrupted):
            Server().wait(interrupted)


def test_a_temporary_server_that_cannot_start(tmp_path: Path) -> None:
    """What is said is the error, and not a frame or a warning that follows it."""
    (tmp_path / "uvicorn.py").write_text(
        "import sys\nsys.excepthook = lambda *error: (sys.__excepthook__(*error), print('<no frame>'))\n1 / 0\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment | {"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.strip().endswith("did not start: ZeroDivisionError: division by zero")


CERTIFICATES = """
import ssl
from flows.process.server import Server
with Server():
    from prefect.client.orchestration import get_client
    made = []
    default = ssl.create_default_context
    ssl.create_default_context = lambda *args, **given: made.append(default(*args, **given)) or made[-1]
    get_client()
    print(made[-1].verify_mode.name, len(made[-1].get_ca_certs()))
"""


@pytest.mark.parametrize(("url", "all_of_them"), [("http://127.0.0.1:1/api", False), ("https://127.0.0.1:1/api", True)])
def test_certificates_are_read_where_there_is_tls(url: str, all_of_them: bool, tmp_path: Path) -> None:
    """Prefect's clients read all certificates for a server with TLS, and one for another; either way they verify."""
    environment = os.environ | {"PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", CERTIFICATES], env=environment, text=True, capture_output=True, check=True
    ).stdout
    mode, number = said.split()
    assert mode == "CERT_REQUIRED"
    assert (int(number) > 1) is all_of_them
