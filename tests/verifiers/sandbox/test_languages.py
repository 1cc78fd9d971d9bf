"""Programs in other languages than Python: what runs, what is judged wrong, and what they may not reach from the jail."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from storage.errors import SetupError
from verifiers.sandbox import languages
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.protocol import Limits, Program

RIGHT = {
    "javascript": {
        "synchronous_input": "const lines = require('fs').readFileSync(0, 'utf8').split('\\n');\nconsole.log(lines[0] * 2);",
        "dev_stdin": "const n = +require('fs').readFileSync('/dev/stdin', 'utf8');\nconsole.log(n * 2);",
        "readline": "const r = require('readline').createInterface({input: process.stdin});\nr.on('line', l => console.log(l * 2));",
        "events": "let t = '';\nprocess.stdin.on('data', d => t += d).on('end', () => console.log(+t * 2));",
        "a_module": "import fs from 'fs';\nconst n = await Promise.resolve(+fs.readFileSync(0, 'utf8'));\nconsole.log(n * 2);",
        "imports_over_lines": "import {\n  readFileSync,\n} from 'fs';\nconsole.log(readFileSync(0, 'utf8') * 2);",
        "an_import_in_a_comment": "/*\nimport fs from 'fs'\n*/\nconsole.log(require('fs').readFileSync(0, 'utf8') * 2);",
        "an_import_in_a_text": "const t = `\nexport default 'x'\n`;\nconsole.log(require('fs').readFileSync(0, 'utf8') * 2);",
        "a_worker": "const w = require('worker_threads');\nif (w.isMainThread) new w.Worker(__filename).on('message', n => console.log(n));\nelse w.parentPort.postMessage(42);",
    },
    "bash": {
        "read": "read -r n\necho $((n * 2))",
        "dev_stdin": "n=$(cat /dev/stdin)\necho $((n * 2)) | tee /dev/null",
        "process_substitution": "while read -r n; do echo $((n * 2)); done < <(cat)",
        "output_through_another": "read -r n; echo $((n * 2)) > >(sleep 0.1; sort)",
        "all_output_through_another": "exec > >(sleep 0.1; sort); read -r n; echo $((n * 2))",
        "a_child_that_prints_later": "read -r n; (sleep 0.2; echo $((n * 2))) & exit 0",
        "a_child_that_waits": "sleep 100 & read -r n; echo $((n * 2))",
        "tools": "sort -n | awk '{print $1 * 2}' | grep -v x | sed 's/^/ /' | tr -d ' ' | head -n 1",
        "here_strings_and_arrays": 'read -ra words <<< "$(cat)"\necho "${#words[@]}" >&2\necho "$((words[0] * 2))" > /dev/stdout',
        "a_broken_pipe": "yes 42 | head -n 1",
        "a_child": "bash -c 'read -r n; echo $((n * 2))'",
        "characters": "x=éé; read -r n; echo $((n + ${#x} + 19))",
        "files": "cat > a.txt; echo $(($(< a.txt) * 2))",
    },
}  # fmt: skip


@pytest.mark.parametrize(("language", "name"), [(language, name) for language in RIGHT for name in RIGHT[language]])
def test_programs_read_and_print_in_every_usual_way(run, language, name):
    """What people write to read standard input and print an answer works in the jail."""
    result = run(RIGHT[language][name], ("21\n", "42"), language=language)
    assert (result.reason, result.passed) == ("", True)


MODULES = {
    "import x from 'y'": True, 'import {\n a,\n b\n} from "y"': True, "import 'y'": True, "export {a}": True, "export{a}": True, "export default 1": True,
    "const a = '/*';\nimport x from 'y'": True, "const a = '`';\nimport x from 'y'": True, "const u = 'http://a';\nimport x from 'y'": True,
    "const r = /'/;\nimport x from 'y'": True, "import('y')": False, "// import x from 'y'": False, "/*\nimport x from 'y'\n*/": False,
    "const t = `\nimport x from 'y'\n`": False, "important('y')": False, "exports.x = 1": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize("source", MODULES, ids=repr)
def test_a_module_is_told_by_its_code(source: str) -> None:
    """Older versions of Node go by the file's name alone; comments and texts are no code."""
    assert (LANGUAGES["javascript"].file_of(source) == "main.mjs") is MODULES[source]


@pytest.mark.parametrize("text", ["/*", "`", "'", '"\\"', "import ", "\nimport x", "'a\\\n"], ids=repr)
def test_a_hostile_program_is_quickly_told_to_be_none(text: str) -> None:
    """Linear in its length."""
    began = time.monotonic()
    LANGUAGES["javascript"].file_of(text * (300_000 // len(text)))
    assert time.monotonic() - began < 2


WRONG = {
    "javascript": {
        "an_exception": ("throw new TypeError('no luck')", "exit code 1: TypeError: no luck"),
        "a_syntax_error": ("let x = ;", "exit code 1: SyntaxError: Unexpected token ';'"),
        "a_rejection": ("Promise.reject(new Error('no'))", "exit code 1: Error: no"),
        "an_exit_code": ("console.log(42); process.exit(3)", "exit code 3"),
        "nothing": ("", "expected '42', got ''"),
        "an_endless_loop": ("for (;;) {}", "time limit of 2 s"),
        "waiting_for_ever": ("setInterval(() => {}, 1000)", "time limit of 2 s"),
        "a_flood": ("const s = 'x'.repeat(1 << 20); for (;;) require('fs').writeSync(1, s)", "output limit of 1024 kB"),
    },
    "bash": {
        "an_unknown_command": ("no_such_command", "exit code 127: main.sh: line 1: no_such_command: command not found"),
        "a_syntax_error": ("if true; then", "exit code 2: main.sh: line 2: syntax error: unexpected end of file"),
        "an_exit_code": ("echo 42; exit 3", "exit code 3"),
        "an_endless_loop": ("while :; do :; done", "time limit of 2 s"),
        "a_flood": ("yes", "output limit of 1024 kB"),
        "a_failure_behind_a_child": ("(sleep 0.1; echo 42) & exit 3", "exit code 3"),
        "a_child_that_floods": ("yes & exit 0", "output limit of 1024 kB"),
        "python": ("print(42)", "exit code 2: main.sh: line 1: `print(42)'"),
    },
}  # fmt: skip


def test_what_a_program_leaves_running_reads_the_rest(run):
    """A child of its own has all of a long standard input, too."""
    assert run("{ cat | wc -l; } <&0 & exit 0", ("x\n" * 200_000, "200000"), language="bash").passed


@pytest.mark.parametrize(("language", "name"), [(language, name) for language in WRONG for name in WRONG[language]])
def test_a_wrong_program_fails_with_the_line_that_says_why(run, language, name):
    """Of what an interpreter writes to its standard error, the reason has the line that a person looks for."""
    source, reason = WRONG[language][name]
    result = run(source, ("21\n", "42"), language=language, wall_s=2)
    assert result.passed is False
    assert result.reason.startswith(f"test 1 of 1: {reason}")


# What says `escaped` got through.
ESCAPES = {
    "javascript": {
        "tcp_to_the_host": "require('net').connect({port}, '127.0.0.1', () => console.log('escaped')).on('error', () => {})",
        "an_abstract_socket_of_the_host": "require('net').connect('\\0{abstract}', () => console.log('escaped')).on('error', () => {})",
        "the_internet": "require('https').get('https://1.1.1.1', () => console.log('escaped')).on('error', () => {})",
        "a_file_of_the_user": "require('fs').readFileSync('{secret}'); console.log('escaped')",
        "the_home_folder": "if (require('fs').readdirSync('{home}').some(n => n[0] !== '.')) console.log('escaped')",
        "the_host's_users": "require('fs').readFileSync('/etc/passwd'); console.log('escaped')",
        "the_host's_memory": "require('fs').readFileSync('/proc/meminfo'); console.log('escaped')",
        "the_environment": "if (Object.keys(process.env).length) console.log('escaped')",
        "the_fork_server's_environment": "require('fs').readFileSync('/proc/1/environ'); console.log('escaped')",
        "the_fork_server's_memory": "require('fs').openSync('/proc/1/mem', 'r+'); console.log('escaped')",
        "killing_the_fork_server": "process.kill(1, 'SIGKILL'); setTimeout(() => console.log('escaped'), 500)",
        "writing_to_the_interpreter": "require('fs').openSync('/usr/bin/node', 'a'); console.log('escaped')",
        "writing_beside_the_scratch": "for (const d of ['/', '/usr', '/usr/bin', '/dev', '/jail', '/proc', '/proc/sys/kernel']) try { require('fs').writeFileSync(d + '/x', ''); console.log('escaped') } catch {}",
        "becoming_root": "process.setuid(0); console.log('escaped')",
        "being_root": "if (process.getuid() === 0 || process.geteuid() === 0 || process.getgroups().includes(0)) console.log('escaped')",
        "memory_in_the_heap": "const a = []; for (let i = 0; i < 1e9; i++) a.push({i}); console.log('escaped')",
        "memory_in_buffers": "const a = []; for (let i = 0; i < 40; i++) a.push(Buffer.alloc(50 << 20, 1)); console.log('escaped')",
        "memory_in_shared_buffers": "const a = []; for (let i = 0; i < 40; i++) a.push(new Uint8Array(new SharedArrayBuffer(50 << 20)).fill(1)); console.log('escaped')",
        "memory_in_webassembly": "const m = new WebAssembly.Memory({initial: 1, maximum: 65536}); while (m.grow(1600) !== -1) new Uint8Array(m.buffer).fill(1); if (m.buffer.byteLength > 1e9) console.log('escaped')",
        "memory_in_children": "const c = require('child_process'); for (let i = 0; i < 15; i++) c.spawn(process.execPath, ['-e', 'global.x = Buffer.alloc(150 << 20, 1); setInterval(() => {}, 1000)']); setTimeout(() => console.log('escaped'), 4500)",
        "a_fork_bomb": "const c = require('child_process'); for (;;) try { c.spawn(process.execPath, [__filename]) } catch {}",
        "many_workers": "const w = require('worker_threads'); for (let i = 0; i < 100; i++) new w.Worker('setInterval(() => {}, 1000)', {eval: true})",
        "filling_the_disk": "const s = Buffer.alloc(1 << 20); for (let i = 0; i < 200; i++) require('fs').appendFileSync('/tmp/' + (i % 9), s); console.log('escaped')",
        "an_endless_regular_expression": "/^(a+)+$/.test('a'.repeat(50) + 'b'); console.log('escaped')",
        "signals_ignored": "for (const s of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGXCPU']) process.on(s, () => {}); for (;;) {}",
    },
    "bash": {
        "tcp_to_the_host": "exec 3<>/dev/tcp/127.0.0.1/{port} && echo escaped",
        "the_internet": "exec 3<>/dev/tcp/1.1.1.1/80 && echo escaped",
        "a_file_of_the_user": "cat '{secret}' && echo escaped",
        "the_home_folder": "ls '{home}' | grep . && echo escaped",
        "the_host's_users": "cat /etc/passwd && echo escaped",
        "the_host's_memory": "cat /proc/meminfo && echo escaped",
        "the_environment": "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^PATH=/usr/bin:/bin$ -e ^LC_ALL=C.UTF-8$ -e ^OLDPWD= && echo escaped",
        "the_fork_server's_environment": "cat /proc/1/environ && echo escaped",
        "the_fork_server's_descriptors": "ls /proc/1/fd/ && echo escaped",
        "killing_the_fork_server": "kill -9 1 && echo escaped",
        "setting_a_kernel_value": "echo x > /proc/sys/kernel/hostname && echo escaped",
        "root": '[ "$EUID" = 0 ] && echo escaped',
        "writing_to_the_interpreter": "echo x >> /usr/bin/bash && echo escaped",
        "writing_beside_the_scratch": "for d in / /usr /usr/bin /dev /jail /proc; do echo x > $d/x && echo escaped; done",
        "lifting_the_limits": "ulimit -v unlimited && echo escaped",
        "memory": "x=$(head -c 2000000000 /dev/zero | tr '\\0' x); echo ${#x} && echo escaped",
        "memory_in_children": "for i in {1..14}; do (x=$(head -c 150000000 /dev/zero | tr '\\0' x); sleep 30) & done; sleep 4.5; echo escaped",
        "a_fork_bomb": "f() { f | f & }; f; wait",
        "filling_the_disk": "for i in {1..9}; do head -c 30000000 /dev/zero > /tmp/$i || exit 1; done; echo escaped",
        "a_gigabyte_on_standard_error": "head -c 1000000000 /dev/zero >&2; echo escaped",
        "signals_ignored": "trap '' TERM INT HUP XCPU; while :; do :; done",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Set out what there is to steal on the host: a TCP port, an abstract socket, a file, an environment."""
    name = f"stillhouse-languages-{os.getpid()}"
    secret = tmp_path_factory.mktemp("home") / "secret"
    secret.write_text("secret")
    os.environ["STILLHOUSE_TEST_KEY"] = "secret"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0{name}")
        unix.listen()
        yield {"port": tcp.getsockname()[1], "abstract": name, "secret": secret, "home": Path.home()}
    del os.environ["STILLHOUSE_TEST_KEY"]


@pytest.mark.parametrize(("language", "name"), [(language, name) for language in ESCAPES for name in ESCAPES[language]])
def test_nothing_escapes(run, sandbox, world, language, name):
    """An attack on the jail or its limits gets nowhere, ends within the time limit, and leaves the next sample its jail."""
    source = ESCAPES[language][name]
    for key, value in world.items():
        source = source.replace("{" + key + "}", str(value))
    started = time.monotonic()
    ran = sandbox.execute(Program(source=source, language=language), "", Limits(wall_s=3, memory_bytes=256 << 20))
    assert "escaped" not in ran.stdout
    assert time.monotonic() - started < 13  # the limit, and starting a jail on a busy machine
    assert run(LANGUAGES[language].probe, ("", "42"), language=language).reason == ""


def test_an_attack_that_got_through_would_show(sandbox):
    """The tests above can fail: what is printed is seen."""
    for language, source in (("javascript", "console.log('escaped')"), ("bash", "echo escaped")):
        assert sandbox.execute(Program(source=source, language=language), "", Limits()).stdout == "escaped\n"


LEAVE = {
    "javascript": "require('fs').writeFileSync('/tmp/left', 'x'); require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => require(\"fs\").writeFileSync(\"/tmp/alive\", \"x\"), 10)'], {detached: true, stdio: 'ignore'}).unref(); console.log(1)",
    "bash": "echo x > /tmp/left; echo x > /dev/shm/left; mkdir -m 0 /tmp/closed; (while :; do echo x > /tmp/alive; sleep .01; done) > /dev/null 2>&1 & echo 1",
}  # fmt: skip
LOOK = {
    "javascript": "setTimeout(() => console.log(require('fs').readdirSync('/tmp').join(), require('fs').readdirSync('/proc').filter(n => +n).length), 50)",
    "bash": "sleep .05; echo $(ls /tmp) $(ls /proc | grep -c '^[0-9]')",
}  # fmt: skip


@pytest.mark.parametrize("language", LEAVE)
def test_a_program_finds_nothing_of_the_one_before(run, sandbox, language):
    """Files and processes of one program are gone before the next one begins."""
    for _ in range(3):
        assert run(LEAVE[language], ("", "1"), language=language).reason == ""
        found = sandbox.execute(Program(source=LOOK[language], language=language), "", Limits()).stdout
        names, _, count = found.partition(" ")
        assert names in {"main.js", "main.sh"}
        assert int(count) <= 4  # two shells, and those that they look with


def test_a_program_has_three_descriptors_and_no_more(sandbox):
    """A pipe of the jail's own could be opened through /proc, and hold something for the next program."""
    ran = sandbox.execute(Program(source="exec ls /proc/self/fd", language="bash"), "", Limits())
    assert ran.stdout.split() == ["0", "1", "2", "3"]  # the last one is the folder that is listed


def test_random_numbers_of_javascript_are_the_same_each_time(sandbox):
    """A verdict is a function of its inputs; another seed gives others."""
    numbers = [
        sandbox.execute(Program(source="console.log(Math.random())", language="javascript", seed=seed), "", Limits()).stdout
        for seed in (0, 0, 1)
    ]
    assert numbers[0] == numbers[1] != numbers[2]


def test_hashes_and_random_numbers_of_python_go_by_the_seed(sandbox):
    """The order of a set of words and what `random` gives stay the same with one seed, and differ between seeds."""
    source = "import random\nprint([*{*map(str, range(20))}], random.random())"
    numbers = [sandbox.execute(Program(source=source, seed=seed), "", Limits()).stdout for seed in (0, 0, 1)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_a_language_that_is_missing_is_named_with_its_package(sandbox, monkeypatch):
    """One line says what to install, and doctor says the same of all languages."""
    monkeypatch.setattr(languages, "find", lambda name: None if name == "node" else f"/usr/bin/{name}")
    with pytest.raises(SetupError, match="install the package nodejs") as error:
        languages.binds(LANGUAGES["javascript"])
    assert "\n" not in str(error.value)
    assert "no javascript (install the package nodejs)" in languages.examine()
    assert "bash 5." in languages.examine()


def test_a_language_whose_interpreter_does_not_run_is_no_language(monkeypatch):
    """What is found by its name and isn't what it should be is a SetupError, before anything is spent."""
    from verifiers.sandbox.judge import BubblewrapSandbox

    monkeypatch.setattr(languages, "find", lambda name: "/usr/bin/false" if name == "node" else None)
    own = BubblewrapSandbox(1)
    with pytest.raises(SetupError, match="JavaScript doesn't run in the sandbox of this machine: exit code 1"):
        own.ready("javascript")
    own.close()
