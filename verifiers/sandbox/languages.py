"""The languages of whole programs, a row each. To add one, add a row: jails, responses and `stillhouse doctor` go by it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from storage.errors import SetupError

MEGABYTE = 1 << 20
LOOK_S = 10
# What shell scripts call: coreutils, grep, sed, awk, findutils, diffutils, bc. Whichever of them the machine has.
TOOLS = (
    "awk", "base64", "basename", "bc", "cat", "chmod", "cksum", "cmp", "comm", "cp", "csplit", "cut", "date", "dc", "dd",
    "diff", "dirname", "egrep", "env", "expand", "expr", "factor", "false", "fgrep", "find", "fmt", "fold", "gawk",
    "getopt", "grep", "head", "join", "ln", "ls", "mawk", "md5sum", "mkdir", "mktemp", "mv", "nl", "nproc", "numfmt", "od",
    "paste", "pr", "printf", "pwd", "readlink", "realpath", "rev", "rm", "rmdir", "sed", "seq", "sh", "sha1sum",
    "sha256sum", "shuf", "sleep", "sort", "split", "stat", "sum", "tac", "tail", "tee", "test", "timeout", "touch", "tr",
    "true", "truncate", "tsort", "uname", "unexpand", "uniq", "wc", "xargs", "yes",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How the programs of one language are found in a response, and run in a jail."""

    name: str
    """What a spec calls it."""
    title: str
    """What people call it."""
    fences: frozenset[str]
    """The names that mark its blocks, in lower case."""
    remote: str
    """What a remote sandbox that speaks SandboxFusion calls it."""
    probe: str
    """A program that prints 42."""
    command: tuple[str, ...] = ()
    """How a file is run, with {memory_mb}, {seed} and {file}; empty: by the jail's own interpreter, which is warm."""
    file: str = ""
    """The name of the program's file."""
    module: re.Pattern[str] | None = None
    """A program in which this is found is a module of the newer kind, `file` with an m before its ending's first letter."""
    unread: re.Pattern[str] | None = None
    """Comments, and texts of several lines, in which that isn't looked for; what matches as `kept` is neither."""
    needs: str = ""
    """The interpreter, which the jail has at /usr/bin."""
    package: str = ""
    """What to install where the interpreter is missing."""
    tools: tuple[str, ...] = ()
    """Other programs that the jail has at /usr/bin, where the machine has them."""
    paths: tuple[str, ...] = ()
    """Files and folders that the jail has read-only, where the machine has them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All that there is of an environment."""
    reserve_bytes: int = 0
    """Address space that the interpreter reserves and doesn't use. Where it is given, the limit is on writable memory instead."""
    data_bytes: int = 0
    """Writable memory that the interpreter itself needs."""
    threads: int = 0
    """Threads of the interpreter's own."""
    fault: re.Pattern[str] | None = None
    """Which line of the standard error says what went wrong; None: the last one."""

    def file_of(self, source: str) -> str:
        """Return the name of the file that holds this program."""
        if self.module is None or not self.module.search(self.unread.sub(r"\g<kept>", source) if self.unread else source):
            return self.file
        stem, ending = self.file.rsplit(".", 1)
        return f"{stem}.m{ending}"

    def line_of(self, errors: str) -> str:
        """Return the line of the standard error that says what went wrong."""
        lines = errors.strip().splitlines()
        if self.fault is not None:
            lines = [line for line in lines if self.fault.match(line)] or lines
        return lines[-1][:200] if lines else ""


_ROWS = (
    Language(
        name="python",
        title="Python",
        fences=frozenset({"py", "py3", "python", "python2", "python3", "ipython", "ipython3"}),
        remote="python",
        probe="print(6 * 7)",
    ),
    Language(
        name="javascript",
        title="JavaScript",
        fences=frozenset({"javascript", "js", "node", "node.js", "nodejs", "mjs", "cjs"}),
        remote="nodejs",
        probe="console.log(6 * 7)",
        command=("/usr/bin/node", "--max-old-space-size={memory_mb}", "--random-seed={seed}", "{file}"),
        file="main.js",
        module=re.compile(r"^(?:import\b[^(;'\"]{0,200}['\"]|export[ \t{*])", re.MULTILINE),
        # One that nothing closes goes to the end: looking for its end from each place would take forever.
        unread=re.compile(
            r"(?P<kept>'(?:\\.|[^'\\\n])*'?|\"(?:\\.|[^\"\\\n])*\"?)|//[^\n]*|/\*.*?(?:\*/|\Z)|`(?:\\.|[^`\\])*(?:`|\Z)",
            re.DOTALL,
        ),
        needs="node",
        package="nodejs",
        paths=("/usr/share/nodejs",),
        # V8 reserves 700 MB before it runs a line, and as much again for each worker thread; of that it uses 50 MB.
        reserve_bytes=2048 * MEGABYTE,
        data_bytes=128 * MEGABYTE,
        threads=12,
        fault=re.compile(r"(?:Uncaught )?(?:[A-Z]\w*)?Error\b|FATAL ERROR"),
    ),
    Language(
        name="bash",
        title="Bash",
        fences=frozenset({"bash", "sh", "shell"}),
        remote="bash",
        probe="echo $((6 * 7))",
        command=("/usr/bin/bash", "{file}"),
        file="main.sh",
        needs="bash",
        package="bash",
        tools=TOOLS,
        paths=("/usr/lib/locale/C.utf8",),
        environment={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    ),
)
LANGUAGES = {row.name: row for row in _ROWS}
PYTHON = LANGUAGES["python"]


def find(program: str) -> str | None:
    """Return where a program is on this machine, behind all links."""
    found = shutil.which(program)
    return os.path.realpath(found) if found else None


def binds(language: Language) -> list[tuple[str, str]]:
    """Return what a jail for this language has beside the usual: paths of the machine, and where they are in the jail.

    Raise SetupError where the interpreter is missing.
    """
    if not language.needs:
        return []
    program = find(language.needs)
    if program is None:
        raise SetupError(
            f"{language.needs}, which runs {language.title}, is not on this machine: install the package {language.package} "
            f"(Debian, Ubuntu: apt install {language.package}; Fedora: dnf install {language.package})"
        )
    tools = ((find(name), f"/usr/bin/{name}") for name in language.tools)
    kept = [(path, path) for path in language.paths if Path(path).exists()]
    return [(program, f"/usr/bin/{language.needs}"), *((at, to) for at, to in tools if at), *kept]


def examine() -> str:
    """Return one line on the languages that this machine can run."""
    return ", ".join(_version(language) for language in _ROWS)


def _version(language: Language) -> str:
    if not language.needs:
        return f"{language.name} {platform.python_version()}"
    program = find(language.needs)
    if program is None:
        return f"no {language.name} (install the package {language.package})"
    try:
        told = subprocess.run([program, "--version"], env={}, capture_output=True, text=True, check=False, timeout=LOOK_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    number = re.search(r"\d+(?:\.\d+)+", told)
    return f"{language.name} {number[0] if number else 'of an unknown version'}"
