"""Build deploy/Dockerfile's targets without Docker, and try what is in them: `make check-image`.

    python deploy/check_image.py [stillhouse] [cluster] [--folder FOLDER]

Each instruction is carried out in a clean root file system (deploy/carry_out.py). Then the image's own entry point runs in it, as
its own user: `--help`, `doctor`, and a build whose answers are run in the sandbox; once more with a root file system that can't
be written to, as Kubernetes has it. Exit 0 where all of it holds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from carry_out import Builder, Stage

ROOT = Path(__file__).parents[1]
PROMPTS = [
    {"id": "square", "prompt": "Write square(n).", "tests": "assert square(3) == 9"},
    {"id": "negate", "prompt": "Write negate(n).", "tests": "assert negate(3) == -3"},
]
ANSWERS = [
    {"prompt_id": "square", "responses": ["```python\ndef square(n):\n    return n * n\n```"]},
    {"prompt_id": "negate", "responses": ["```python\ndef negate(n):\n    return n\n```"]},
]
SPEC = """\
dataset: image
prompts: [{source: prompts.jsonl, license: CC0-1.0}]
teachers:
  - {name: recorded, provider: replay, path: answers.jsonl, model: by-hand, license: CC0-1.0, price: {input: 0, output: 0}}
  - {name: made-up, provider: simulate, model: none, license: CC0-1.0, price: {input: 0, output: 0}, simulate: {latency_s: 0.01}}
verify: [{use: unit_tests}]
exports: [{format: messages, to: out/image}]
"""
CLUSTER = "import obstore, prefect_dask, prefect_kubernetes, prefect_ray, prefect_redis.messaging, transformers"


class Wrong(Exception):
    """What an image doesn't do."""


def main() -> int:
    """Build, and try. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=["stillhouse"], help="stages of the Dockerfile")
    parser.add_argument("--folder", type=Path, help="where to build; what debootstrap made stays there for the next time")
    arguments = parser.parse_args()
    lacking = [name for name in ("debootstrap", "bwrap") if shutil.which(name) is None]
    if lacking:
        print(f"error: needs {', '.join(lacking)}: apt-get install debootstrap bubblewrap", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("error: must be root: it makes root file systems, in which files belong to several users", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="stillhouse-image-") as temporary:
        folder = arguments.folder or Path(temporary)
        # Of a folder that was given, only what an earlier call left in there is removed.
        shutil.rmtree(folder / "stages", ignore_errors=True)
        builder = Builder(ROOT / "deploy/Dockerfile", ROOT, folder / "stages", bases=folder)
        for target in arguments.targets:
            began = time.monotonic()
            try:
                stage = builder.build(target)
                print(
                    f"{target}: built in {time.monotonic() - began:.0f} s; {_megabytes(stage.root):,} MB, "
                    f"of which packages {_megabytes(stage.root / 'opt/stillhouse'):,} MB"
                )
                check(stage, target)
            except (RuntimeError, Wrong) as error:
                print(f"error: {target}: {error}", file=sys.stderr)
                return 1
            print(f"{target}: all of it holds, {time.monotonic() - began:.0f} s")
    return 0


def check(stage: Stage, target: str) -> None:
    """Try an image. Raise Wrong at what it doesn't do."""
    uid = _run(stage, ["id", "-u"]).strip()
    if uid == "0":
        raise Wrong("it runs as root")
    if "Usage" not in _run(stage, [*stage.entrypoint, *stage.command]):
        raise Wrong("its entry point doesn't say how it is used")
    for tool in ("gcc", "cc", "uv", "git"):
        if _found(stage, tool):
            raise Wrong(f"it has {tool}, and nothing to build with it")
    if target == "cluster":
        _run(stage, ["python", "-c", CLUSTER])
        _run(stage, ["prefect", "worker", "start", "--help"])
    for read_only in (False, True):
        with tempfile.TemporaryDirectory(prefix="stillhouse-work-") as work:
            _build(stage, Path(work), read_only=read_only)


def _build(stage: Stage, work: Path, *, read_only: bool) -> None:
    """Let the image's user build a small dataset in a mounted folder."""
    work.chmod(0o777)
    (work / "spec.yaml").write_text(SPEC, encoding="utf-8")
    for name, rows in (("prompts", PROMPTS), ("answers", ANSWERS)):
        (work / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    mounts = ["--bind", str(work), stage.workdir]
    if read_only:
        mounts += ["--perms", "1777", "--tmpfs", "/home/stillhouse"]
    doctor = stage.run([*stage.entrypoint, "doctor", "--json"], mounts=mounts, read_only=read_only)
    try:
        sandbox = json.loads(doctor.stdout[doctor.stdout.index("{") :])["sandbox (unit_tests)"]
    except ValueError:
        raise Wrong(f"doctor says no JSON:\n{doctor.stdout[-2000:]}") from None
    if sandbox["state"] != "ok":
        raise Wrong(f"its sandbox doesn't work: {sandbox['detail']}")
    # Not --json: progress is on stderr, which is one with stdout here.
    shown = _run(stage, [*stage.entrypoint, "build", "spec.yaml"], mounts=mounts, read_only=read_only)
    for line in ("4 requested: 0 reused, 4 paid, 0 failed", "1 kept + 3 rejected + 0 failed = 4", "exported 1 row in"):
        if line not in " ".join(shown.split()):
            raise Wrong(f"a build doesn't say {line!r}, but\n{shown}")
    if not list(work.glob("out/image/*.parquet")):
        raise Wrong("a build exported nothing")
    print(f"a build as user {stage.user}{', on a read-only root' if read_only else ''}: ok; sandbox: {sandbox['detail']}")


def _run(stage: Stage, command: Sequence[str], *, mounts: Sequence[str] = (), read_only: bool = False) -> str:
    done = stage.run(command, mounts=mounts, read_only=read_only, timeout_s=300)
    if done.returncode != 0:
        raise Wrong(f"`{' '.join(command)}` ends with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def _found(stage: Stage, tool: str) -> bool:
    return stage.run(["sh", "-c", f"command -v {tool}"]).returncode == 0


def _megabytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink() and path.is_file()) // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
