"""A caller's own flow that builds as a step: a real Prefect server, and the flow's process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

pytestmark = pytest.mark.server
CODE = """
import asyncio, os, signal, sys
from prefect import flow
from flows.build import build

@flow
async def night(spec: str, lake: str) -> None:
    found = await build(spec, lake=lake)
    print("kept", found["kept"], flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(1)
    print("deaf")

asyncio.run(night(*sys.argv[1:]))
"""


def test_it_hears_of_its_end(workplace: Workplace) -> None:
    """Once the build is done, SIGTERM ends the flow that called it, as it would any of Prefect's."""
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=3, k=1)
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(workplace.write()), str(workplace.lake)],
            cwd=workplace.folder,
            env=workplace.environment,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "kept 1\n"), done.stderr
