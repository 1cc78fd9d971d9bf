"""Prefect's server for one run: the user's, or a temporary one of our own that is quiet.

Prefect's own temporary server is slow to start, and its services print errors when they are stopped in mid-flush. This one is the
same application in a child process whose output goes to a file, on a database of its own: so nothing of another version or
another build can disturb it, and it can simply be killed. Enter `Server` before `prefect` is imported, which reads its settings
then.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.process.leaving import forsake
from storage import proxies
from storage.errors import SetupError
from storage.memory import YOUNG

START_S = 120.0
DRAIN_S = 10.0
END_S, AWAY_S = 15.0, 600.0
"""A temporary server gets so long to hear how a run ended; and one of the user's, which may be away for a while."""
_GOES_ON = "what was paid for is in the lake, and a rerun goes on"
_LOGGING = """\
version: 1
disable_existing_loggers: false
filters:
  terminations: {"()": flows.process.signals.Terminations}
handlers:
  devnull: {class: logging.NullHandler}
  api: {level: 0, class: prefect.logging.handlers.APILogHandler}
  worker_api: {level: 0, class: prefect.logging.handlers.WorkerAPILogHandler}
loggers:
  prefect: {level: "${PREFECT_LOGGING_LEVEL}", handlers: [devnull], propagate: false}
  prefect.flow_runs: {level: NOTSET, handlers: [api]}
  prefect.task_runs: {level: NOTSET, handlers: [api]}
  prefect.workers: {level: NOTSET, handlers: [worker_api]}
  prefect._internal: {level: CRITICAL, handlers: [devnull], propagate: false}
  EventsWorker: {handlers: [devnull], propagate: false}
  APILogWorker: {handlers: [devnull], propagate: false}
  httpx: {handlers: [devnull], propagate: false}
  websockets: {handlers: [devnull], propagate: false}
  asyncio: {filters: [terminations]}
"""
"""Flow-run logs go to the API and nothing of Prefect's to the terminal, which is ours."""
_CHILD = f"""\
import gc, os, socket, sys, threading
gc.set_threshold({YOUNG})
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
import uvicorn
config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, lifespan="on", log_level="critical")
uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""
"""It ends when its standard input closes, and so with us however we end. To look for garbage among what it imports would take a
fifth of its start."""


def _cause(log: str) -> str:
    """Return the last error that a log tells of, which frames or warnings may follow; else its last line."""
    lines = log.strip().splitlines()
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (errors or lines or ["it says nothing"])[-1]


def configured_url() -> str | None:
    """Return the API that the user has set, in the environment or in Prefect's active profile."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    profiles = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "profiles.toml"
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
        content = tomllib.loads(profiles.read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE", content.get("active", ""))
        url = content.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
        return url if isinstance(url, str) and url else None
    return None


class Server:
    """Makes Prefect quiet, and gives it a server where the user has none. Call `wait` once the slow imports are done."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.temporary = configured_url() is None
        """Whether the server goes when the run ends."""
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = False

    def __enter__(self) -> Self:
        if "prefect" in sys.modules:
            raise AssertionError("prefect was imported before its settings were made")
        if proxies.by_socks() and find_spec("socksio") is None:
            raise SetupError(
                "the environment names a SOCKS proxy, for which Prefect's client lacks a package: pip install socksio"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="stillhouse-prefect-"))
        try:
            settings = self._folder / "logging.yml"
            settings.write_text(_LOGGING, encoding="utf-8")
            os.environ["PREFECT_LOGGING_SETTINGS_PATH"] = str(settings)
            os.environ["DO_NOT_TRACK"] = "1"
            self._spare_certificates()
            # Prefect's log handler writes to stderr, past every setting, when it can't reach the API.
            logging.raiseExceptions = False
            if self.temporary:
                self._spawn()
            else:
                # A server that is away when a build ends is waited for, 8 minutes in all, before its end is lost.
                os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "8")
        except BaseException:
            self.end()
            raise
        return self

    def _spare_certificates(self) -> None:
        """Have Prefect read one certificate for each of its half a dozen clients, and not all, where it needs none."""
        if not self.temporary and not (configured_url() or "").startswith("http://"):
            return
        import certifi  # which Prefect brings, and reads them from

        first, end, _ = Path(certifi.where()).read_text(encoding="ascii").partition("-----END CERTIFICATE-----")
        one = self._folder / "certificate.pem"
        one.write_text(f"{first}{end}\n", encoding="ascii")
        os.environ["PREFECT_API_SSL_CERT_FILE"] = str(one)

    def _spawn(self) -> None:
        environment = os.environ
        for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILE"):
            environment.pop(name, None)
        environment["PREFECT_HOME"] = str(self._folder)
        database = self._folder / "prefect.db"
        cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        # Migrating an empty database takes most of a start, so one that is migrated is kept for each version of Prefect.
        self._template = cache / "stillhouse" / f"prefect-{version('prefect')}.db"
        self._fresh = True
        with contextlib.suppress(OSError):
            shutil.copyfile(self._template, database)
            self._fresh = False
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._port = listening.getsockname()[1]
        own = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
            "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
            # Else it loads what is installed for Prefect, as Dask's and Kubernetes' clients, to see whether that has changed.
            "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
            "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",  # it has no automations
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_UI_ENABLED": "0",
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT__SERVER_FINAL": "1",
        }
        with listening, (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(listening.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_without_keys(environment) | own,
                pass_fds=[listening.fileno()],
                start_new_session=True,  # Ctrl-C is for us alone
            )
        environment["PREFECT_API_URL"] = f"http://127.0.0.1:{self._port}/api"
        proxies.spare(f"127.0.0.1:{self._port}")
        environment["PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"] = "false"

    def wait(self, check: Callable[[], None] = lambda: None) -> None:
        """Return once the server answers. `check` may raise to give up. Raise SetupError where it doesn't."""
        if self._process is None:
            self._reach(check)
            return
        until = time.monotonic() + START_S
        while not self._healthy():
            check()
            if self._process.poll() is not None or time.monotonic() > until:
                log = (self._folder / "server.log").read_text(errors="replace")
                raise SetupError(f"Prefect's temporary server did not start: {_cause(log)}")
            time.sleep(0.05)
        if self._fresh:
            self._keep_template()

    @property
    def patience_s(self) -> tuple[float | None, float]:
        """Return how long a flow may wait for the server at its beginning, and at its end, in seconds. None: as it will."""
        return (START_S, END_S) if self.temporary else (None, AWAY_S)

    def give_up(self) -> None:
        """Have nobody wait for the server any more. A temporary one ends at once, so that whatever still asks it hears that."""
        self._given_up = True
        forsake("server")
        if self._process is not None:
            self.end()

    def lost(self, error: BaseException) -> SetupError | None:
        """Return what to say of an error that comes of Prefect's server: it ended under the run, or failed it. Else None."""
        httpx = sys.modules.get("httpx")  # with which Prefect's client asks, and nothing of ours
        failed = httpx is not None and isinstance(error, httpx.HTTPError)
        ended = self._process.poll() if self._process is not None else None
        if ended is not None and (failed or type(error).__module__.startswith("prefect.")):
            return SetupError(f"Prefect's temporary server ended in mid-run ({how_ended(ended)}); {_GOES_ON}")
        if failed:
            why = " ".join(str(error).split()) or type(error).__name__
            return SetupError(f"Prefect's server at {configured_url()} failed the run ({why}); {_GOES_ON}")
        return None

    def _reach(self, check: Callable[[], None]) -> None:
        """Raise SetupError where nobody is at the user's own address: Prefect would try for long, and end in a traceback."""
        url = configured_url() or ""
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=START_S / 4):  # noqa: S310 - the user's own
                pass
        except urllib.error.HTTPError:
            pass  # somebody is there
        except (OSError, ValueError, http.client.HTTPException) as error:
            check()  # whoever waited no longer need not be told of the server
            why = getattr(error, "reason", error)
            raise SetupError(f"can't reach Prefect's API at {url} ({why}); check PREFECT_API_URL, or unset it") from error

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _keep_template(self) -> None:
        # A cache: where it can't be written, the next start is slow, and that is all.
        with contextlib.suppress(OSError, sqlite3.Error):
            self._template.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._template.with_suffix(f".{os.getpid()}")
            with (
                contextlib.closing(sqlite3.connect(self._folder / "prefect.db")) as source,
                contextlib.closing(sqlite3.connect(temporary)) as target,
            ):
                source.backup(target)
            temporary.replace(self._template)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if not self._given_up:  # what is still queued is sent while there is a server to take it
                _drain()
        finally:
            self.end()

    def end(self) -> None:
        """Kill the server, whatever is still queued for it, and remove its folder."""
        if self._process is not None:
            self._process.kill()  # not terminate: uvicorn would wait for services, and the database is thrown away
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _drain() -> None:
    for module, name in (("prefect.logging.handlers", "APILogWorker"), ("prefect.events.worker", "EventsWorker")):
        worker = getattr(sys.modules.get(module), name, None)
        if worker is not None:
            with contextlib.suppress(Exception):  # its own trouble: what it can't send is missing in the UI, and nowhere else
                _, unsent = worker.drain_all(timeout=DRAIN_S)
                if unsent:  # it would be waited for again at exit, for ever
                    forsake(name)


def how_ended(code: int) -> str:
    """Return how a process ended, for a person."""
    if code >= 0:
        return f"exit {code}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-code).name}" + ("; was memory short?" if -code == signal.SIGKILL else "")
    return f"by signal {-code}"


def _without_keys(environment: os._Environ[str]) -> dict[str, str]:
    """Return the environment less what looks like a credential: the server has no use for a teacher's key."""
    hints = ("KEY", "TOKEN", "SECRET", "PASSWORD")
    kept = {name: value for name, value in environment.items() if not any(hint in name.upper() for hint in hints)}
    kept.pop("PREFECT_API_URL", None)
    return kept
