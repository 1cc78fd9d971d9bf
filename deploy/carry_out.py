"""Carry a Dockerfile's instructions out without Docker: debootstrap makes the base, bubblewrap runs each command in it.

What stands for `python:VERSION-slim-SUITE` is Debian's SUITE with Debian's own Python, linked to where the image has it. So what
is tried is the Dockerfile's commands, files, user and environment, on the same distribution; the image's own build of Python
isn't. Needs root, debootstrap and bubblewrap.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dockerfile_parse import DockerfileParser

BASE = re.compile(r"python:(?P<version>3\.\d+)-slim-(?P<suite>[a-z]+)")
TRUST = ("SSL_CERT_FILE", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""Of our environment, what a command needs to reach a registry from here. None of it stays in the image."""
NOTED = {"LABEL", "EXPOSE", "STOPSIGNAL", "VOLUME", "COMMENT"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(kw_only=True)
class Stage:
    """A stage: its root file system, and what later instructions and containers of it begin with."""

    root: Path
    """The folder that is its `/`."""
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    """ENV."""
    workdir: str = "/"
    """WORKDIR."""
    user: str = "0"
    """USER: numbers, `UID` or `UID:GID`."""
    entrypoint: list[str] = field(default_factory=list)
    """ENTRYPOINT."""
    command: list[str] = field(default_factory=list)
    """CMD."""

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[str] = (),
        read_only: bool = False,
        timeout_s: float = 1_800,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user, in its folder, with its environment. Without Docker's seccomp profile."""
        uid, _, gid = self.user.partition(":")
        drop = [] if uid in {"0", "root"} else ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups"]
        outer = {name: os.environ[name] for name in TRUST if name in os.environ}
        given = {"HOME": self.home(uid)} | outer | self.environment | dict(environment or {})
        bwrap = [
            "bwrap",
            "--ro-bind" if read_only else "--bind",
            str(self.root),
            "/",
            *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),  # noqa: S108 - in the jail
            *("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", "--ro-bind", "/etc/ssl/certs", "/etc/ssl/certs"),
            *mounts,
            *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-add", "ALL", "--clearenv"),
            *(part for name, value in given.items() for part in ("--setenv", name, value)),
            *("--chdir", self.workdir),
            *drop,
            *command,
        ]
        return subprocess.run(bwrap, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False)

    def home(self, uid: str) -> str:
        """Return a user's home folder, as the stage's own /etc/passwd has it."""
        rows = [line.split(":") for line in (self.root / "etc/passwd").read_text(encoding="utf-8").splitlines()]
        return next((row[5] for row in rows if uid in {row[0], row[2]}), "/")


class Builder:
    """Carries a Dockerfile out, instruction by instruction."""

    def __init__(self, dockerfile: Path, context: Path, folder: Path, *, bases: Path | None = None) -> None:
        """Build in a folder, on bases in another. `context` is a git work tree: what git ignores isn't copied."""
        self.context, self.folder, self.bases = context, folder, bases or folder
        self.stages: dict[str, Stage] = {}
        parser = DockerfileParser(path=str(dockerfile), cache_content=True)
        self.steps: list[tuple[str, str]] = [(each["instruction"], each["value"]) for each in parser.structure]

    def build(self, target: str) -> Stage:
        """Return a stage, after carrying out all those that it needs. Raise RuntimeError at an instruction that fails."""
        needed = self._needed(target)
        current: Stage | None = None
        for instruction, value in self.steps:
            if instruction == "FROM":
                image, name = _from(value)
                current = self._begin(image, name) if name in needed and name not in self.stages else None
                if current is not None:
                    self.stages[name] = current
            elif current is not None:
                if instruction not in NOTED:
                    print(f"{instruction} {' '.join(value.split())[:150]}", flush=True)
                self._carry_out(current, instruction, value)
        return self.stages[target]

    def _needed(self, target: str) -> set[str]:
        """Return the stages that a target is made of, itself among them."""
        found, waiting = set(), [target]
        needs: dict[str, set[str]] = {}
        name = ""
        for instruction, value in self.steps:
            if instruction == "FROM":
                image, name = _from(value)
                needs[name] = {image} & needs.keys()
            elif instruction == "COPY" and value.startswith("--from="):
                needs[name].add(value.split()[0].removeprefix("--from="))
        while waiting:
            found.add(waiting[0])
            waiting += needs[waiting.pop(0)] - found
        return found

    def _begin(self, image: str, name: str) -> Stage:
        root = self.folder / name
        before = self.stages.get(image)
        _copy_tree(before.root if before else self._base(image), root)
        if before is None:
            return Stage(root=root)
        return Stage(
            root=root,
            environment=dict(before.environment),
            workdir=before.workdir,
            user=before.user,
            entrypoint=list(before.entrypoint),
            command=list(before.command),
        )

    def _base(self, image: str) -> Path:
        match = BASE.fullmatch(image)
        if match is None:
            raise RuntimeError(f"FROM {image}: only python:3.N-slim-SUITE is known here")
        root = self.bases / f"debian-{match['suite']}"
        if not (root / "usr/local/bin/python").is_symlink():
            print(f"debootstrap {match['suite']}", flush=True)
            make = [
                "debootstrap",
                "--variant=minbase",
                "--include=python3,python3-venv,ca-certificates",
                match["suite"],
                str(root),
            ]
            subprocess.run(make, stdout=subprocess.DEVNULL, check=True)
            found = (root / "usr/bin/python3").readlink().name
            if found != f"python{match['version']}":
                raise RuntimeError(f"FROM {image}: Debian's {match['suite']} has {found}")
            for alias in ("python", "python3"):
                (root / "usr/local/bin" / alias).symlink_to(f"/usr/bin/{found}")
        return root

    def _carry_out(self, stage: Stage, instruction: str, value: str) -> None:
        match instruction:
            case "RUN":
                done = stage.run(["/bin/sh", "-c", value])
                if done.returncode != 0:
                    raise RuntimeError(f"RUN {value}\nends with {done.returncode}:\n{done.stdout[-3000:]}")
            case "COPY":
                self._copy(stage, shlex.split(value))
            case "ENV":
                for word in shlex.split(value):
                    name, _, given = word.partition("=")
                    stage.environment[name] = re.sub(r"\$\{?(\w+)\}?", lambda at: stage.environment.get(at[1], ""), given)
            case "WORKDIR":
                stage.workdir = value
                _inside(stage.root, value).mkdir(parents=True, exist_ok=True)
            case _:
                _note(stage, instruction, value)

    def _copy(self, stage: Stage, words: list[str]) -> None:
        if words[0].startswith("--from="):
            source, target = words[1:]
            _copy_tree(_inside(self.stages[words[0].removeprefix("--from=")].root, source), _inside(stage.root, target))
            return
        *sources, target = words
        folder = _inside(stage.root, str(PurePosixPath(stage.workdir) / target))
        for source in sources:
            tracked = subprocess.run(
                ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", source],
                cwd=self.context,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split("\0")[:-1]
            if not tracked:
                raise RuntimeError(f"COPY {source}: isn't in the repository")
            whole = (self.context / source).is_dir()
            for name in tracked:
                to = folder / (Path(name).relative_to(source) if whole else Path(name).name)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.context / name, to)


def _from(value: str) -> tuple[str, str]:
    image, _, name = value.split()
    return image, name


def _note(stage: Stage, instruction: str, value: str) -> None:
    """Keep what a container of a stage begins with."""
    match instruction:
        case "USER":
            stage.user = value
        case "ENTRYPOINT":
            stage.entrypoint, stage.command = json.loads(value), []
        case "CMD":
            stage.command = json.loads(value)
        case _ if instruction not in NOTED:
            raise RuntimeError(f"{instruction}: nobody has told what it does")


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _copy_tree(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--no-target-directory", "--reflink=auto", str(source), str(target)], check=True)
