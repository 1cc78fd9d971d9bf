"""deploy/compose.yaml: Compose's schema, no secret in it, and its commands and variables carried out for real on loopback."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from tests.deploy.composing import DEPLOY, FILE, interpolated, loaded

VALUES = {"POSTGRES_PASSWORD": "pg-sesame", "REDIS_PASSWORD": "redis-sesame", "PREFECT_AUTH": "team:prefect-sesame"}
BIN = Path(sys.executable).parent
START_S = 120.0


def test_it_is_a_compose_file() -> None:
    """It keeps Compose's own specification, and what a service names is there: volumes, and services that it waits for."""
    text = yaml.safe_dump({name: part for name, part in loaded(VALUES).items() if not name.startswith("x-")})
    compose = compose_spec.PyCompose.from_yaml(text)
    compose.validate()
    services = loaded(VALUES)["services"]
    assert set(compose.service_names()) == {"postgres", "redis", "migrate", "server", "services", "worker", "s3", "bucket"}
    named = {str(each).split(":")[0] for service in services.values() for each in service.get("volumes", ())}
    assert {name for name in named if "/" not in name} == set(loaded(VALUES)["volumes"])
    assert {name for service in services.values() for name in service.get("depends_on", ())} <= services.keys()


def test_what_compose_would_refuse_is_refused() -> None:
    """A mistyped key: else the test above would say nothing."""
    content = loaded(VALUES)
    content["services"]["redis"]["comand"] = "x"
    with pytest.raises(ValueError, match="comand"):
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(content))


@pytest.mark.parametrize("name", sorted(VALUES))
def test_no_secret_has_a_default(name: str) -> None:
    """Without each of the passwords nothing starts, and the message says where it belongs."""
    with pytest.raises(KeyError, match=r"see \.env\.example"):
        loaded(VALUES | {name: ""})


def test_every_variable_stands_in_the_example_and_none_has_a_secret_there() -> None:
    """`.env.example` names what the file reads, and leaves empty what must be secret."""
    wanted = set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text(encoding="utf-8")))
    lines = [line for line in (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    example = dict(line.split("=", 1) for line in lines)
    assert wanted == set(example)
    assert {name for name, value in example.items() if not value} == {*VALUES, "S3_ACCESS_KEY", "S3_SECRET_KEY"}
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/deploy/.env", "/deploy/keys.env"} <= set(ignored)


def test_images_are_pinned_and_long_lived_services_are_watched() -> None:
    """Each foreign image has a tag that isn't `latest`; what stays up starts again by itself, and ports are loopback's."""
    for name, service in loaded(VALUES)["services"].items():
        if "build" not in service:
            assert re.search(r":[\w.-]*\d", service["image"]), name
        if service["restart"] != "no":
            assert "healthcheck" in service or name == "services", name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_interpolation_is_composes() -> None:
    """Defaults, demands and doubled dollars."""
    assert interpolated("${A} ${B:-b} $$C ${D:?no}", {"A": "a", "D": "d"}) == "a b $C d"


class Stack:
    """The file's services as processes of this machine: the same commands and variables, on ports of loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: _free_port() for name in ("postgres:5432", "redis:6379", "server:4200", "127.0.0.1:8080")}
        self.services = loaded(VALUES)["services"]
        self.running: list[subprocess.Popen[bytes]] = []
        self.made: list[Path] = []

    def here(self, value: Any) -> str:
        """Return a value of the file with this machine's addresses in it."""
        text = str(value)
        for place, port in (self.ports | {"127.0.0.1:4200": self.ports["server:4200"]}).items():
            text = text.replace(place, f"127.0.0.1:{port}")
        return text

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a service, and nothing of ours that could stand in for them."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "STILLHOUSE_"))}
        given = {key: self.here(value) for key, value in self.services[name].get("environment", {}).items()}
        for key, place in (("PREFECT_SERVER_API_PORT", "server:4200"), ("PREFECT_WORKER_WEBSERVER_PORT", "127.0.0.1:8080")):
            if key in given:
                given[key] = str(self.ports[place])
        if "STILLHOUSE_LAKE" in given:
            given["STILLHOUSE_LAKE"] = str(self.folder / "shared")  # as here, not where a run would look by itself
        if "STILLHOUSE_CACHE" in given:
            given["STILLHOUSE_CACHE"] = str(self.folder / "shared/.cache")
        return own | given | {"PATH": f"{BIN}:{os.environ['PATH']}", "PREFECT_HOME": str(self.folder / f"home-{name}")}

    def start(self, name: str, command: list[str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Start a service. What it prints goes to a file."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command or self.services[name]["command"],
                env=self.environment(name),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )
        self.running.append(process)
        return process

    def healthy(self, name: str) -> None:
        """Wait until a service's own health check says yes."""
        kind, *test = self.services[name]["healthcheck"]["test"]
        command = [self.here(word) for word in test] if kind == "CMD" else ["sh", "-c", test[0]]
        environment = self.environment(name)
        if name in {"postgres", "redis"}:
            port = str(self.ports["postgres:5432" if name == "postgres" else "redis:6379"])
            command[-1] = (
                command[-1]
                .replace("redis-cli", f"redis-cli -p {port}")
                .replace("pg_isready", f"pg_isready -h 127.0.0.1 -p {port}")
            )
        until = time.monotonic() + START_S
        while subprocess.run(command, env=environment, capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < until, (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
            time.sleep(0.5)

    def until(self, name: str, command: list[str]) -> None:
        """Wait until a command ends well: a worker answers to its health check before its pool is made."""
        until = time.monotonic() + START_S
        while subprocess.run(command, env=self.environment(name), capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < until, command

    def run(self, name: str, command: list[str]) -> str:
        """Run a command as a container of that service would, to its end."""
        done = subprocess.run(
            command, env=self.environment(name), cwd=self.folder, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def end(self) -> None:
        """End all that was started, the last first."""
        for process in reversed(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in reversed(self.running):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for folder in self.made:
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _postgres(stack: Stack) -> None:
    """Start PostgreSQL as its image would: with this user, password and database. It refuses to run as root."""
    given = stack.services["postgres"]["environment"]
    # Not below pytest's folder, which is root's alone.
    folder = Path(tempfile.mkdtemp(prefix="stillhouse-pg-"))
    stack.made.append(folder)
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres", "postgres")
    password = folder / "password"
    password.write_text(given["POSTGRES_PASSWORD"], encoding="utf-8")
    password.chmod(0o644)
    made = ["initdb", "-D", str(folder / "data"), "-U", given["POSTGRES_USER"], "-A", "scram-sha-256", f"--pwfile={password}"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **user)
    port = str(stack.ports["postgres:5432"])
    server = [
        shutil.which("postgres") or "postgres",
        "-D",
        str(folder / "data"),
        "-p",
        port,
        "-k",
        str(folder),
        "-h",
        "127.0.0.1",
    ]
    stack.start("postgres", server, **user)
    stack.healthy("postgres")
    environment = os.environ | {"PGPASSWORD": given["POSTGRES_PASSWORD"]}
    subprocess.run(
        ["createdb", "-h", "127.0.0.1", "-p", port, "-U", given["POSTGRES_USER"], given["POSTGRES_DB"]],
        env=environment,
        check=True,
    )


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Bring the whole stack up."""
    for tool in ("initdb", "postgres", "redis-server"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    stack = Stack(tmp_path)
    try:
        _postgres(stack)
        shell = stack.services["redis"]["command"][-1]
        stack.start(
            "redis", ["sh", "-c", shell.replace("appendonly yes\\n", f"appendonly yes\\nport {stack.ports['redis:6379']}\\n")]
        )
        stack.healthy("redis")
        stack.run("migrate", stack.services["migrate"]["command"])
        stack.start("server")
        stack.healthy("server")
        stack.start("services")
        stack.start("worker")
        stack.healthy("worker")
        yield stack
    finally:
        stack.end()


SPEC = """\
dataset: composed
prompts: [{source: prompts.jsonl, license: CC0-1.0}]
teachers: [{name: made-up, provider: simulate, model: none, license: CC0-1.0, simulate: {latency_s: 0.01}}]
exports: [{format: messages, to: out/composed}]
"""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(420)
def test_its_services_run_a_build(stack: Stack) -> None:
    """On PostgreSQL and Redis, with the file's own commands: a deployment's run goes through services and worker to the lake."""
    (stack.folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    (stack.folder / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n', encoding="utf-8")
    (stack.folder / "deploy.py").write_text(
        "from flows.build import build\n"
        "from prefect.types.entrypoint import EntrypointType\n"
        "made = build.to_deployment('composed', parameters={'spec': 'spec.yaml'},\n"
        "    work_pool_name='stillhouse', job_variables={'working_dir': '.'}, entrypoint_type=EntrypointType.MODULE_PATH)\n"
        "made.apply()\n",
        encoding="utf-8",
    )
    stack.until("worker", ["prefect", "work-pool", "inspect", "stillhouse"])
    stack.run("worker", [sys.executable, "deploy.py"])
    stack.run(
        "worker", ["prefect", "deployment", "run", "build/composed", "--watch", "--watch-interval", "2", "--watch-timeout", "150"]
    )
    shown = stack.run("worker", ["stillhouse", "status", "--json"])
    assert '"composed"' in shown
    assert (stack.folder / "shared").is_dir()
    assert not (stack.folder / "lake").exists()
    assert list((stack.folder / "out/composed").glob("*.parquet"))

    url = f"http://127.0.0.1:{stack.ports['server:4200']}/api/flow_runs/count"
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10)
    request.add_header("Authorization", "Basic " + base64.b64encode(VALUES["PREFECT_AUTH"].encode()).decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert int(answer.read()) >= 1
    command = ["redis-cli", "-p", str(stack.ports["redis:6379"]), "--scan"]
    keys = subprocess.run(command, env=stack.environment("redis"), capture_output=True, text=True, check=True).stdout
    assert "events" in keys, "nothing went through Redis"
    for log in stack.folder.glob("*.log"):
        assert "sesame" not in log.read_text(errors="replace"), log.name
