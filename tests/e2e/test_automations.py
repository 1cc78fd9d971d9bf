"""`deploy/automations.yaml` on a real Prefect server: real builds make each of its automations act."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import api, eventually, named
from tests.loopback import Handler, Server

pytestmark = [pytest.mark.server, pytest.mark.slow]
FILE = Path(__file__).parents[2] / "deploy" / "automations.yaml"
BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
fields = {"subject": "{{subject}}", "body": "{{body}}"}
print(Block(name="test", url=sys.argv[1], json_data=fields).save("stillhouse", overwrite=True))
"""


class Webhook(Server):
    """Keeps what is posted to it."""

    heard: list[dict[str, Any]]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """Serve a webhook on loopback."""

    class Hearing(Handler):
        def do_POST(self) -> None:
            server.heard.append(json.loads(self.body()))
            self.answer(200)

    with Webhook(Hearing) as server:
        server.heard = []
        yield server


def ran(workplace: Workplace, *command: str) -> str:
    """Run a program as the head of the file says, and return what it prints."""
    done = subprocess.run(
        command, cwd=workplace.folder, env=workplace.environment, text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_automations_act(workplace: Workplace, webhook: Webhook) -> None:
    """A spent budget, a teacher that is down and a low pass rate are notified; a landed build starts the next deployment."""
    flow = api(workplace, "/flows/", {"name": "next"})
    deployment = api(workplace, "/deployments/", {"name": "after-a-build", "flow_id": flow["id"]})
    block = ran(workplace, sys.executable, "-c", BLOCK, f"{webhook.url}/")
    filled = FILE.read_text().replace("NOTIFY_BLOCK_ID", block).replace("NEXT_DEPLOYMENT_ID", deployment["id"])
    (workplace.folder / "automations.yaml").write_text(filled)
    prefect = str(Path(sys.executable).with_name("prefect"))
    ran(workplace, prefect, "automation", "create", "--from-file", "automations.yaml")
    made = api(workplace, "/automations/filter", {})
    try:
        assert len(made) == filled.count("- name: stillhouse")
        with LoopbackTeacher() as teacher:
            spec(workplace, teacher.url, prompts=30, k=1, limits={"concurrency": 1})
            named(workplace, "automated")
            workplace.spec["watch"] = {"min_pass_rate": 0.9}
            workplace.spec["budget"] = {"usd": 0.0003}
            workplace.build(4)
            workplace.spec["budget"] = {"usd": 1}
            workplace.build()
        with LoopbackTeacher(lambda body, sold: (503, {})) as teacher:
            spec(workplace, teacher.url, prompts=5)
            named(workplace, "automated-down")
            workplace.build(5)

        wanted = {
            "stillhouse: the budget of automated is spent",
            "stillhouse: few samples of automated pass",
            "stillhouse: a teacher of automated-down is down",
        }
        eventually(lambda: wanted <= {each["subject"] for each in webhook.heard})
        bodies = {each["subject"]: each["body"] for each in webhook.heard}
        assert "what was paid for is landed" in bodies["stillhouse: the budget of automated is spent"]
        assert "at least 0.9 should" in bodies["stillhouse: few samples of automated pass"]
        own = {"deployments": {"id": {"any_": [deployment["id"]]}}}
        (started,) = eventually(lambda: api(workplace, "/flow_runs/filter", own))
        assert started["state_type"] in {"SCHEDULED", "PENDING"}
    finally:
        for each in made:
            ran(workplace, prefect, "automation", "delete", "--id", each["id"])
