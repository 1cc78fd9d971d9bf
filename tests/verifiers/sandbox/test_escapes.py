"""What code may not reach from the jail. Each attack is run for real and says `escaped` if it got through."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

# name: the body of a function that returns "escaped" where the attack works
ESCAPES = {
    "tcp_to_the_host": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)\nreturn 'escaped'",
    "tcp_to_the_internet": "import socket\nsocket.create_connection(('1.1.1.1', 80), 2)\nreturn 'escaped'",
    "udp_to_the_internet": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))\nreturn 'escaped'",
    "abstract_unix_sockets_of_the_host": "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{abstract}')\nreturn 'escaped'",
    "the_virtual_machine's_sockets": "import socket\nsocket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)\nreturn 'escaped'",
    "raw_and_netlink_sockets": "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nreturn 'escaped'",
    "the_home_folder": "import os\nreturn [os.listdir(os.path.join('{home}', n)) for n in os.listdir('{home}') if n[0] != '.'][0] and 'escaped'",
    "a_file_of_the_user": "open('{secret}').read()\nreturn 'escaped'",
    "the_host's_users": "open('/etc/passwd').read()\nreturn 'escaped'",
    "the_own_environment": "import os\nassert os.environ or os.environb\nreturn 'escaped'",
    "the_environment_of_process_1": "open('/proc/1/environ').read()\nreturn 'escaped'",
    "any_of_proc": "import os\nassert os.listdir('/proc')\nreturn 'escaped'",
    "mounting_proc": "import ctypes, os\nos.mkdir('/tmp/p')\nassert ctypes.CDLL(None).mount(b'proc', b'/tmp/p', b'proc', 0, None) == 0\nreturn 'escaped'",
    "sys": "import os\nassert os.listdir('/sys')\nreturn 'escaped'",
    "site_packages": "import pip\nreturn 'escaped'",
    "site_packages_by_path": "import glob\nassert glob.glob('/**/site-packages/*', recursive=True)\nreturn 'escaped'",
    "writing_to_the_standard_library": "import os\nopen(os.path.join(os.path.dirname(os.__file__), 'x'), 'w')\nreturn 'escaped'",
    "writing_to_the_root": "open('/x', 'w')\nreturn 'escaped'",
    "writing_to_the_jail's_own_code": "import verifiers.sandbox.inside.codec as c\nopen(c.__file__, 'a')\nreturn 'escaped'",
    "devices_of_the_host": "import os\nassert [n for n in os.listdir('/dev') if n not in ('null', 'zero', 'full', 'random', 'urandom', 'shm')]\nreturn 'escaped'",
    "becoming_root": "import os\nos.setuid(0)\nreturn 'escaped'",
    "being_root": "import os\nassert 0 in os.getresuid() + os.getresgid() or 0 in os.getgroups()\nreturn 'escaped'",
    "a_user_namespace": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0\nreturn 'escaped'",
    "a_user_namespace_by_clone": "import ctypes\nn = ctypes.CDLL(None).syscall({clone}, 0x10000000 | 17, 0, 0, 0, 0)\nassert n >= 0\nif n == 0:\n    import os; os._exit(0)\nreturn 'escaped'",
    "lifting_the_limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))\nreturn 'escaped'",
    "tracing_the_fork_server": "import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0\nreturn 'escaped'",
    "killing_the_fork_server": "import os, time\nos.kill(1, 9)\nreturn 'escaped'",
    "shared_memory": "import ctypes\nassert ctypes.CDLL(None).shmget(77, 4096, 0o1666) >= 0\nreturn 'escaped'",
    "memory_that_is_a_file": "import os\nos.memfd_create('x')\nreturn 'escaped'",
    "the_kernel's_keyring": "import ctypes\nassert ctypes.CDLL(None).syscall({keyctl}, 0, -3, 0, 0, 0) >= 0\nreturn 'escaped'",
    "seeing_other_processes": "import os\nfor n in range(2, 5000):\n    if n != os.getpid():\n        try: os.kill(n, 0)\n        except ProcessLookupError: continue\n        return 'escaped'",
    "filling_the_disk": "f = open('/tmp/x', 'wb')\nfor _ in range(2000): f.write(b'x' * (1 << 20)); f.flush()\nreturn 'escaped'",
    "filling_the_disk_with_files": "for m in range(100):\n    f = open(f'/tmp/{m}', 'wb')\n    for _ in range(20): f.write(b'x' * (1 << 20)); f.flush()\nreturn 'escaped'",
    "a_million_files": "for m in range(100000): open(f'/tmp/{m}', 'w').close()\nreturn 'escaped'",
    "eight_gigabytes": "x = bytearray(8 << 30)\nreturn 'escaped'",
    "eight_gigabytes_in_children": "import os, time\nfor _ in range(15):\n    if os.fork() == 0:\n        x = [b'x' * (150 << 20)]\n        time.sleep(60)\ntime.sleep(4.5)\nreturn 'escaped'",
    "more_processes_than_allowed": "import os, time\nfor _ in range(40):\n    if os.fork() == 0:\n        time.sleep(30)\n        os._exit(0)\nreturn 'escaped'",
    "more_threads_than_allowed": "import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\nreturn 'escaped'",
    "a_fork_bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "an_endless_loop": "while True: pass",
    "an_endless_loop_that_ignores_signals": "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    "a_sleeping_thread": "import threading, time\nt = threading.Thread(target=time.sleep, args=(1000,))\nt.start()\nt.join()\nreturn 'escaped'",
    "a_gigabyte_on_standard_output": "import os\nfor _ in range(1024): os.write(1, b'x' * (1 << 20))\nreturn 'escaped'",
    "a_gigabyte_on_standard_error": "import os\nfor _ in range(1024): os.write(2, b'x' * (1 << 20))\nreturn 'escaped'",
    "a_gigabyte_printed": "for _ in range(1024): print('x' * (1 << 20))\nreturn 'escaped'",
    "deep_recursion": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(n): return f(n + 1) + 1\nreturn f(0) and 'escaped'",
    "a_value_of_a_hundred_megabytes": "return ['escaped' * (100 << 20)]",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Set out what there is to steal on the host: a TCP port, an abstract socket, a file, an environment."""
    tcp = socket.create_server(("127.0.0.1", 0))
    name = f"stillhouse-test-{os.getpid()}"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(f"\0{name}")
    unix.listen()
    secret = tmp_path_factory.mktemp("home") / "secret"
    secret.write_text("secret")
    os.environ["STILLHOUSE_TEST_KEY"] = "secret"
    clone, keyctl = (56, 250) if os.uname().machine == "x86_64" else (220, 219)
    yield {
        "port": tcp.getsockname()[1],
        "abstract": name,
        "secret": secret,
        "home": Path.home(),
        "clone": clone,
        "keyctl": keyctl,
    }
    del os.environ["STILLHOUSE_TEST_KEY"]
    tcp.close()
    unix.close()


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_escapes(judge, world, name):
    """An attack on the jail, its limits or its neighbours gets nowhere, and ends within the time limit."""
    body = ESCAPES[name]
    for key, value in world.items():
        body = body.replace("{" + key + "}", str(value))
    source = "def escape():\n" + "".join(f"    {line}\n" for line in body.splitlines())
    started = time.monotonic()
    result = judge(source, "assert escape() == 'escaped'", wall_s=2, memory_bytes=256 << 20)
    assert result.passed is False
    assert result.reason
    assert time.monotonic() - started < 12  # the limit, and starting two jails on a busy machine


def test_an_attack_that_got_through_would_show(judge):
    """The tests above can fail: what says `escaped` passes."""
    assert len(ESCAPES) >= 30
    assert judge("def escape(): return 'escaped'", "assert escape() == 'escaped'").passed is True


def test_an_honest_file_is_allowed(judge):
    """Code may use its own scratch folder, threads, processes and sockets of its own."""
    source = """
        import os, socket, subprocess, sys, tempfile, threading, multiprocessing
        def work():
            with tempfile.NamedTemporaryFile("w+") as f:
                f.write("x"); f.flush()
                assert open(f.name).read() == "x"
            server = socket.create_server(("127.0.0.1", 0))
            socket.create_connection(server.getsockname())
            lock = multiprocessing.Lock()
            threads = [threading.Thread(target=lock.acquire, args=(False,)) for _ in range(5)]
            for t in threads: t.start()
            for t in threads: t.join()
            pid = os.fork()
            if pid == 0: os._exit(3)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """
    result = judge(source, "assert work() == 3")
    assert (result.passed, result.reason) == (True, "")


def test_a_sample_finds_nothing_of_the_one_before(judge):
    """Files, processes and changed modules of one sample are gone before the next one begins."""
    leave = """
        import os, math, time
        open("/tmp/left", "w").write("x"); open("/dev/shm/left", "w").write("x"); os.mkdir("/tmp/d"); os.chmod("/tmp/d", 0)
        math.pi = 3
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    open("/tmp/alive", "w").write("x"); time.sleep(.01)
            os._exit(0)
        def f(): return 1
    """
    look = """
        import os, math, time
        time.sleep(.05)
        def f():
            alive = []
            for n in range(2, 3000):
                try: os.kill(n, 0)
                except ProcessLookupError: continue
                if n != os.getpid(): alive.append(n)
            return [os.listdir("/tmp"), os.listdir("/dev/shm"), round(math.pi, 2), alive]
    """
    for _ in range(4):  # whichever jail it gets
        assert judge(leave, "assert f() == 1").passed is True
        result = judge(look, "assert f() == [[], [], 3.14, []], f()")
        assert (result.passed, result.reason) == (True, "")


def test_neighbours_are_judged_right_while_one_attacks(judge):
    """A fork bomb, a memory hog and an endless loop beside them change nothing about the verdicts of other threads' samples."""
    hostile = [ESCAPES[name] for name in ("a_fork_bomb", "eight_gigabytes_in_children", "an_endless_loop")]
    found = []

    def attack(body):
        source = "def escape():\n" + "".join(f"    {line}\n" for line in body.splitlines())
        found.append(judge(source, "assert escape() == 'escaped'", wall_s=1.5, memory_bytes=256 << 20).passed)

    threads = [threading.Thread(target=attack, args=(body,)) for body in hostile]
    for thread in threads:
        thread.start()
    for number in range(40):
        result = judge("def add(a, b): return a + b", f"assert add({number}, 1) == {number + 1}")
        assert (result.passed, result.reason) == (True, "")
        assert judge("def add(a, b): return a - b", f"assert add({number}, 1) == {number + 1}").passed is False
    for thread in threads:
        thread.join()
    assert found == [False] * 3
