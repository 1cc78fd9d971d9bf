"""deploy/Dockerfile: linted, and carried out as Docker would; `make check-image` carries out all of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"


def carry_out() -> ModuleType:
    """Import deploy/carry_out.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("carry_out", DEPLOY / "carry_out.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["carry_out"] = module
    spec.loader.exec_module(module)
    return module


def test_hadolint() -> None:
    """Hadolint finds nothing."""
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_what_hadolint_would_find_is_found(tmp_path: Path) -> None:
    """An image without a tag: else the test above would say nothing."""
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp\n")
    command = [Path(sys.executable).parent / "hadolint", str(tmp_path / "Dockerfile")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_shell_scripts() -> None:
    """Shellcheck finds nothing in what is started by a shell."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not on this machine")
    done = subprocess.run(["shellcheck", *map(str, DEPLOY.glob("*.sh"))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_target_is_built_of_the_stages_that_it_needs(tmp_path: Path) -> None:
    """The small image needs none of the cluster's packages, and every stage that is copied from is there."""
    builder = carry_out().Builder(DOCKERFILE, DEPLOY.parent, tmp_path)
    assert builder._needed("stillhouse") == {"build", "base", "stillhouse"}
    assert builder._needed("cluster") == {"build", "build-cluster", "base", "cluster"}
    targets = [value.split()[-1] for instruction, value in builder.steps if instruction == "FROM"]
    assert targets[-1] == "stillhouse", "the last stage is what `docker build` makes"


def test_instructions_are_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are copied as Docker copies them, variables expand, and a command sees folder, user and environment."""
    if os.geteuid() != 0 or shutil.which("bwrap") is None:
        pytest.skip("needs root and bubblewrap")
    module = carry_out()
    context = tmp_path / "context"
    (context / "folder/inner").mkdir(parents=True)
    (context / "folder/inner/a.txt").write_text("a")
    (context / "b.txt").write_text("b")
    (context / ".gitignore").write_text("c.txt\n")
    (context / "folder/c.txt").write_text("ignored")
    subprocess.run(["git", "init", "-q"], cwd=context, check=True)
    (context / "Dockerfile").write_text(
        "FROM python:3.11-slim-bookworm AS one\n"
        "ENV A=1 PATH=/mine:$PATH\n"
        "WORKDIR /there\n"
        "COPY folder folder\n"
        "COPY b.txt ./\n"
        "RUN cat folder/inner/a.txt b.txt > joined \\\n    && echo $A:$PATH:$PWD >> joined\n"
        "FROM python:3.11-slim-bookworm AS two\n"
        "COPY --from=one /there/joined /kept\n"
        "USER 1000:1000\n"
        'ENTRYPOINT ["cat"]\n'
        'CMD ["/kept"]\n'
    )
    busybox = tmp_path / "base"
    _tiny_root(busybox)
    monkeypatch.setattr(module.Builder, "_base", lambda self, image: busybox)
    stage = module.Builder(context / "Dockerfile", context, tmp_path / "build").build("two")
    assert (stage.root / "kept").read_text().startswith("ab1:/mine:/")
    assert not (tmp_path / "build/one/there/folder/c.txt").exists()
    done = stage.run([*stage.entrypoint, *stage.command])
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith(":/there\n")
    assert stage.run(["sh", "-c", "id -u"]).stdout == "1000\n"
    assert stage.run(["sh", "-c", "echo x > /kept"]).returncode != 0


def test_a_command_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command and what it said; an instruction that nobody knows is one too."""
    if os.geteuid() != 0 or shutil.which("bwrap") is None:
        pytest.skip("needs root and bubblewrap")
    module = carry_out()
    base = tmp_path / "base"
    _tiny_root(base)
    monkeypatch.setattr(module.Builder, "_base", lambda self, image: base)
    for line, said in (("RUN echo oh no; exit 3", "ends with 3:\noh no"), ("HEALTHCHECK NONE", "HEALTHCHECK")):
        (tmp_path / "Dockerfile").write_text(f"FROM python:3.11-slim-bookworm AS one\n{line}\n")
        with pytest.raises(RuntimeError, match=said):
            module.Builder(tmp_path / "Dockerfile", tmp_path, tmp_path / line[:3]).build("one")


def _tiny_root(root: Path) -> None:
    """Make a root file system of this machine's own shell and the few commands that a test needs, with their libraries."""
    for name in ("etc/ssl/certs", "proc", "dev", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n")
    (root / "etc/resolv.conf").touch()
    for command in ("sh", "cat", "id", "setpriv"):
        program = Path(shutil.which(command) or "").resolve()
        libraries = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
        wanted = [Path(word) for word in libraries.split() if word.startswith("/")]
        for path, to in [(program, root / "bin" / command), *((path, root / str(path).lstrip("/")) for path in wanted)]:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)
