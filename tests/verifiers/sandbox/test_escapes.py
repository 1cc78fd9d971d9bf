"""What code may not reach from the jail. Each attack is run for real and says `escaped` if it got through."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest

from verifiers.sandbox.protocol import Limits, PythonJob

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
    "mounting_over_the_standard_library": "import ctypes, os\nassert ctypes.CDLL(None).mount(b'tmpfs', os.path.dirname(os.__file__).encode(), b'tmpfs', 0, None) == 0\nreturn 'escaped'",
    "binding_a_folder": "import ctypes\nassert ctypes.CDLL(None).mount(b'/', b'/tmp', None, 4096, None) == 0\nreturn 'escaped'",
    "unmounting_the_scratch_folder": "import ctypes\nassert ctypes.CDLL(None).umount2(b'/tmp', 2) == 0\nreturn 'escaped'",
    "making_a_device": "import os, stat\nos.mknod('/tmp/disk', stat.S_IFBLK | 0o666, os.makedev(254, 0))\nreturn 'escaped'",
    "a_new_root": "import os\nos.mkdir('/tmp/r')\nos.chroot('/tmp/r')\nreturn 'escaped'",
    "more_rights_by_a_set_user_bit": "import os, shutil\nshutil.copy('/lib64/ld-linux-x86-64.so.2' if os.path.exists('/lib64') else os.__file__, '/tmp/x')\nos.chown('/tmp/x', 0, 0)\nos.chmod('/tmp/x', 0o4755)\nreturn 'escaped'",
    "more_rights_by_capset": "import ctypes\nheader, wanted = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)\nassert ctypes.CDLL(None).capset(header, wanted) == 0\nreturn 'escaped'",
    "entering_a_namespace": "import ctypes, os\nassert ctypes.CDLL(None).setns(os.pidfd_open(1), 0x20000000) == 0\nreturn 'escaped'",
    "taking_a_descriptor_of_process_1": "import ctypes, os\nfd = os.pidfd_open(1)\nassert any(ctypes.CDLL(None).syscall(438, fd, n, 0) >= 0 for n in range(64))\nreturn 'escaped'",
    "reading_the_memory_of_process_1": "import ctypes\nclass V(ctypes.Structure): _fields_ = [('a', ctypes.c_void_p), ('n', ctypes.c_size_t)]\nb = ctypes.create_string_buffer(64)\nmine, theirs = V(ctypes.addressof(b), 64), V(id(ctypes) & ~4095, 64)\nassert ctypes.CDLL(None).process_vm_readv(1, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) > 0\nreturn 'escaped'",
    "stopping_the_fork_server": "import os, signal\nos.kill(1, signal.SIGSTOP)\nos.kill(os.getppid(), signal.SIGSTOP)\nimport time\ntime.sleep(.2)\nraise SystemExit",
    "stopping_itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nreturn 'escaped'",
    "lifting_the_limits_of_process_1": "import resource\nresource.prlimit(1, resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))\nreturn 'escaped'",
    "another_priority": "import os\nos.setpriority(os.PRIO_PROCESS, 0, -5)\nreturn 'escaped'",
    "real_time_scheduling": "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\nreturn 'escaped'",
    "another_host_name": "import socket\nsocket.sethostname('mine')\nreturn 'escaped'",
    "another_time": "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)\nreturn 'escaped'",
    "stopping_the_clock": "import time\ntime.time = time.monotonic = time.perf_counter = lambda: 0\nwhile True: pass",
    "an_alarm_for_everybody": "import signal, os\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nsignal.setitimer(signal.ITIMER_REAL, .01, .01)\nos.killpg(0, signal.SIGALRM)\nwhile True: pass",
    "posix_shared_memory": "from multiprocessing import shared_memory\nm = shared_memory.SharedMemory(create=True, size=64 << 20)\nm.buf[:] = b'x' * len(m.buf)\nreturn 'escaped'",
    "message_queues": "import ctypes\nassert ctypes.CDLL(None).msgget(77, 0o1666) >= 0\nreturn 'escaped'",
    "semaphores": "import ctypes\nassert ctypes.CDLL(None).semget(77, 1, 0o1666) >= 0\nreturn 'escaped'",
    "named_queues": "import ctypes\nassert ctypes.CDLL(None).mq_open(b'/left', 0o102, 0o666, None) >= 0\nreturn 'escaped'",
    "named_pipes_of_the_host": "import os, stat\nfor top, _, names in os.walk('/'):\n    for name in names:\n        kind = os.lstat(os.path.join(top, name)).st_mode\n        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind): return 'escaped'",
    "inherited_descriptors": "import os, stat\nfor n in range(3, 128):\n    try: kind = os.fstat(n).st_mode\n    except OSError: continue\n    if n != 3 or not stat.S_ISSOCK(kind): return 'escaped'",
    "passing_a_descriptor_to_process_1": "import socket\na, b = socket.socketpair()\na.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)\nb.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, __import__('struct').pack('3i', 1, 0, 0))])\nreturn a.recv(9) and 'escaped'",
    "hearing_what_others_open": "import fcntl, os\nfcntl.fcntl(os.open(os.path.dirname(os.__file__), os.O_RDONLY), fcntl.F_NOTIFY, 1 | 1 << 31)\nreturn 'escaped'",
    "a_flood_of_threads": "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n    except RuntimeError: pass",
    "a_flood_of_sockets": "import socket\nheld = []\nwhile True: held.append(socket.socketpair())",
    "memory_without_end": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "shared_mappings_of_children": "import mmap, os, time\nr, w = os.pipe()\nfor i in range(8):\n    if os.fork() == 0:\n        m = mmap.mmap(-1, 160 << 20)\n        for _ in range(10): m.write(b'x' * (16 << 20))\n        os.write(w, b'.')\n        time.sleep(9)\nfor i in range(8): os.read(r, 1)\ntime.sleep(.3)\nreturn 'escaped'",
    "memory_in_pipes": "import os\nheld = []\nwhile True:\n    r, w = os.pipe()\n    held.append((r, w))\n    os.set_blocking(w, False)\n    os.write(w, b'x' * (1 << 20))",
    "a_core_dump": "import os, resource, signal\nresource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))\nreturn 'escaped'",
    "a_crash": "import ctypes\nctypes.string_at(0)\nreturn 'escaped'",
    "filling_the_disk": "f = open('/tmp/x', 'wb')\nfor _ in range(2000): f.write(b'x' * (1 << 20)); f.flush()\nreturn 'escaped'",
    "filling_the_disk_with_files": "for m in range(100):\n    f = open(f'/tmp/{m}', 'wb')\n    for _ in range(20): f.write(b'x' * (1 << 20)); f.flush()\nreturn 'escaped'",
    "a_million_files": "for m in range(100000): open(f'/tmp/{m}', 'w').close()\nreturn 'escaped'",
    "eight_gigabytes": "x = bytearray(8 << 30)\nreturn 'escaped'",
    "eight_gigabytes_in_children": "import os, time\nfor _ in range(15):\n    if os.fork() == 0:\n        x = [b'x' * (150 << 20)]\n        time.sleep(60)\ntime.sleep(2)\nreturn 'escaped'",
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
    "killing_all_that_it_may": "import os\nos.kill(-1, 9)\nreturn 'escaped'",
    "children_in_sessions_of_their_own": "import os, signal, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            signal.signal(signal.SIGTERM, signal.SIG_IGN)\n            while True: time.sleep(.01)\n        os._exit(0)\nwhile True: time.sleep(1)",
    "forks_from_many_threads": "import os, threading\ndef forks():\n    while True:\n        try:\n            if os.fork() == 0: os.setsid()\n        except OSError: pass\nfor _ in range(8): threading.Thread(target=forks, daemon=True).start()\nwhile True: pass",
    "descriptors_in_every_message": "import array, os, socket\nfor n in range(3, 64):\n    try:\n        s = socket.socket(fileno=os.dup(n))\n        for _ in range(2000): s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1] * 200))], socket.MSG_DONTWAIT)\n    except OSError: pass\nreturn 'escaped'",
    "signals_by_descriptors_of_processes": "import os, signal\nsent = 0\nfor n in range(1, 4096):\n    if n == os.getpid(): continue\n    try: signal.pidfd_send_signal(os.pidfd_open(n), 9)\n    except OSError: continue\n    sent += 1\nassert sent\nreturn 'escaped'",
    "a_socket_that_signals_process_1": "import fcntl, os\nfor n in range(3, 64):\n    try:\n        fcntl.fcntl(n, fcntl.F_SETOWN, 1); fcntl.fcntl(n, 10, 9)\n        fcntl.fcntl(n, fcntl.F_SETFL, fcntl.fcntl(n, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)\n    except OSError: pass\nraise SystemExit",
    "typing_into_a_terminal": "import fcntl\nfor n in range(64):\n    try: fcntl.ioctl(n, 0x5412, b'x')\n    except OSError: continue\n    return 'escaped'",
    "tests_in_the_collector": "import gc\nsought = 'cse tressa'\nfor each in gc.get_objects():\n    for text in list(each.values()) if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ():\n        if isinstance(text, str) and sought[::-1] in text: return 'escaped'",
    "tests_in_the_heap": "import ctypes\nsought = b'asser'[::-1], b't esc'[::-1]\nlibc = ctypes.CDLL(None)\nlibc.sbrk.restype = ctypes.c_void_p\ntop = libc.sbrk(0)\nif sought[0][::-1] + sought[1][::-1] in ctypes.string_at(top - (1 << 17), 1 << 17): return 'escaped'",
    "folders_within_folders_without_end": "import os\nos.chdir('/tmp')\nwhile True:\n    os.mkdir('d' * 200); os.chdir('d' * 200)",
    "folders_that_nobody_may_open": "import os\nos.makedirs('/tmp/a/b'); os.chmod('/tmp/a/b', 0); os.chmod('/tmp/a', 0); os.chmod('/tmp', 0)\nraise SystemExit",
    "a_file_of_32_terabytes": "open('/tmp/x', 'wb').truncate(1 << 45)\nreturn 'escaped'",
    "a_terabyte_of_addresses": "import mmap\nmmap.mmap(-1, 1 << 40)\nreturn 'escaped'",
    "three_million_terms_to_parse": "return eval('+'.join(['1'] * 3_000_000)) and 'escaped'",
    "a_number_of_two_billion_bits": "return (2 ** (2 ** 31)) and 'escaped'",
    "a_value_of_a_hundred_megabytes": "return ['escaped' * (100 << 20)]",
}  # fmt: skip


# Calls that open ways around the jail: their numbers on x86_64 and aarch64, and arguments that would do. `room` is memory.
CALLS = {
    "ptrace": (101, 117, "0, 0, 0, 0"),
    "kcmp": (312, 272, "1, 1, 0, 0, 0"),
    "process_vm_writev": (311, 271, "1, room, 0, room, 0, 0"),
    "perf_event_open": (298, 241, "room, 0, -1, -1, 0"),
    "bpf": (321, 280, "0, room, 72"),
    "userfaultfd": (323, 282, "1"),
    "io_uring_setup": (425, 425, "8, room"),
    "io_uring_enter": (426, 426, "0, 0, 0, 0, 0, 0"),
    "add_key": (248, 217, "b'user', b'left', b'x', 1, -4"),
    "request_key": (249, 218, "b'user', b'left', 0, -4"),
    "keyctl_join": (250, 219, "1, 0"),
    "unshare_mounts": (272, 97, "0x20000"),
    "unshare_time": (272, 97, "0x80"),
    "setns": (308, 268, "0, 0"),
    "fsopen": (430, 430, "b'tmpfs', 0"),
    "open_tree": (428, 428, "-100, b'/', 1"),
    "move_mount": (429, 429, "-100, b'/tmp', -100, b'/tmp', 0"),
    "mount_setattr": (442, 442, "-100, b'/', 0, room, 32"),
    "pivot_root": (155, 41, "b'/tmp', b'/tmp'"),
    "swapon": (167, 224, "b'/tmp/x', 0"),
    "reboot": (169, 142, "0xfee1dead, 672274793, 0, 0"),
    "init_module": (175, 105, "room, 64, b''"),
    "kexec_load": (246, 104, "0, 0, 0, 0"),
    "acct": (163, 89, "b'/tmp/x'"),
    "syslog": (103, 116, "3, room, 64"),
    "quotactl": (179, 60, "0x800001, 0, 0, room"),
    "settimeofday": (164, 170, "room, 0"),
    "sethostname": (170, 161, "b'x', 1"),
    "memfd_create": (319, 279, "b'x', 0"),
    "memfd_secret": (447, 447, "0"),
    "name_to_handle_at": (303, 264, "-100, b'/', room, room, 0"),
    "open_by_handle_at": (304, 265, "-100, room, 0"),
    "fanotify_init": (300, 262, "0, 0"),
    "clone3": (435, 435, "room, 88"),
    "ioprio_set": (251, 30, "1, 0, 0"),
    "sched_setattr": (314, 274, "0, room, 0"),
    "setuid": (105, 146, "0"),
    "setgroups": (116, 159, "1, room"),
    "iopl": (172, 1024, "3"),
    "vhangup": (153, 58, ""),
    "inotify": (294, 26, "0"),
    "another_process's_processor": (203, 122, "1, 8, b'\\xff' * 8"),
}


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
    result = judge(source, "assert escape() == 'escaped'", wall_s=1.2, memory_bytes=256 << 20)
    assert result.passed is False
    assert result.reason
    assert time.monotonic() - started < 12  # the limit, and starting two jails on a busy machine


@pytest.mark.parametrize("name", CALLS)
def test_no_call_of_the_kernel_opens_the_jail(judge, name):
    """What the jail has no use for is refused by the kernel, whether for want of rights or by the filter of calls."""
    x86, arm, arguments = CALLS[name]
    number = x86 if os.uname().machine == "x86_64" else arm
    source = f"""
        import ctypes, os
        def call():
            room = ctypes.create_string_buffer(4096)
            result = ctypes.CDLL(None, use_errno=True).syscall({number}, {arguments or "0"})
            if result == 0 and os.getpid() == 0: os._exit(0)
            return result
    """
    result = judge(source, "assert call() == -1, call()")
    assert (result.passed, result.reason) == (True, "")


def test_an_attack_that_got_through_would_show(judge):
    """The tests above can fail: what says `escaped` passes."""
    assert len(ESCAPES) + len(CALLS) >= 100
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
        import fcntl, os, math, time
        fcntl.flock(0, fcntl.LOCK_EX); fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK)
        open("/tmp/left", "w").write("x"); open("/dev/shm/left", "w").write("x"); os.mkdir("/tmp/d"); os.chmod("/tmp/d", 0)
        os.symlink("/", "/tmp/link"); os.link("/tmp/left", "/tmp/hard"); os.mkfifo("/tmp/pipe")
        held = open("/tmp/unlinked", "w"); os.unlink("/tmp/unlinked")
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
        import fcntl, os, math, time
        time.sleep(.05)
        def f():
            fcntl.flock(os.open("/dev/null", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert not fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK
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


SERVER = """
    import socket
    def serve():
        server = socket.socket()
        server.bind(("127.0.0.1", 8000))
        server.listen()
        client = socket.create_connection(("127.0.0.1", 8000))
        server.accept()[0].close()
        return client.recv(1)
"""


def test_a_port_that_one_sample_has_used_is_free_for_the_next(judge, run):
    """What the kernel keeps of a connection for a minute is no other sample's, be it of a function or of a program."""
    for _ in range(4):  # whichever jail it gets
        assert judge(SERVER, "assert serve() == b''").reason == ""
    for _ in range(2):
        assert run(f"{dedent(SERVER)}print(serve())", ("", "b''")).reason == ""


def test_a_sample_that_uses_no_network_leaves_its_jail(sandbox):
    """A jail is replaced for the network's sake alone where the network was used."""
    jails = []
    for source in ("def f(): return 1", "import socket\ndef f(): return socket.socketpair() and 1"):
        assert sandbox.run_python(PythonJob(source=source, tests="assert f() == 1"), Limits()).passed
        jails.append({jail.child for jail in sandbox.pool.idle})
    assert jails[0] <= jails[1]


def test_without_a_network_there_are_no_sockets_of_it():
    """Where the kernel doesn't say whether the network was used, samples have none."""
    tried = (
        "import socket\nfrom verifiers.sandbox.inside import lockdown\nlockdown.filter_calls(network=False)\nsocket.socketpair()\n"
        "for family in (socket.AF_INET, socket.AF_INET6):\n"
        "    try: socket.socket(family)\n"
        "    except PermissionError: print('refused')\n"
    )
    assert subprocess.run([sys.executable, "-c", tried], capture_output=True, check=True).stdout == b"refused\n" * 2


NOISY = (
    "a_fork_bomb", "eight_gigabytes_in_children", "an_endless_loop", "a_flood_of_threads", "memory_without_end", "memory_in_pipes",
    "a_gigabyte_on_standard_output", "filling_the_disk_with_files", "stopping_the_clock", "an_alarm_for_everybody",
)  # fmt: skip


def test_neighbours_are_judged_right_while_one_attacks(judge):
    """Bombs, floods and endless loops beside them change nothing about other samples' verdicts, and none gets slower than its limit."""
    hostile = [ESCAPES[name] for name in NOISY]
    found = []

    def attack(body):
        source = "def escape():\n" + "".join(f"    {line}\n" for line in body.splitlines())
        found.append(judge(source, "assert escape() == 'escaped'", wall_s=0.8, memory_bytes=256 << 20).passed)

    threads = [threading.Thread(target=attack, args=(body,)) for body in hostile]
    for thread in threads:
        thread.start()
    for number in range(25):
        result = judge("def add(a, b): return a + b", f"assert add({number}, 1) == {number + 1}")
        assert (result.passed, result.reason) == (True, "")
        assert judge("def add(a, b): return a - b", f"assert add({number}, 1) == {number + 1}").passed is False
    for thread in threads:
        thread.join()
    assert found == [False] * len(NOISY)
