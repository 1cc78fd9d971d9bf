# /// script
# requires-python = ">=3.11"
# dependencies = ["bespokelabs-curator==0.1.31"]
# ///
"""Ask a teacher for one response a prompt with Curator, as its guide to online processing says.

    python with_curator.py PROMPTS.jsonl FOLDER URL

The folder keeps what a second start goes on from. The rate's limits are set beyond reach: where none are given, Curator takes 200
requests a minute.
"""

import json
import sys
from pathlib import Path

from bespokelabs import curator
from datasets import Dataset

NO_LIMIT = 1_000_000_000_000


class Teacher(curator.LLM):
    """Asks the prompt as it is."""

    def prompt(self, row: dict) -> str:
        """Return the user's message."""
        return row["prompt"]

    def parse(self, row: dict, response: str) -> dict:
        """Return a row of the data set."""
        return {"id": row["id"], "prompt": row["prompt"], "response": response}


def main() -> None:
    """Ask, and check that every prompt has its response."""
    prompts, folder, url = sys.argv[1:]
    rows = [json.loads(line) for line in Path(prompts).read_text().splitlines()]
    teacher = Teacher(
        model_name="m",
        backend="openai",
        backend_params={
            "base_url": url,
            "api_key": "unused",
            "max_concurrent_requests": 256,
            "max_requests_per_minute": NO_LIMIT,
            "max_tokens_per_minute": NO_LIMIT,
        },
    )
    found = teacher(Dataset.from_list(rows), working_dir=folder).dataset
    whole = {row["id"] for row in found if row["response"]}
    assert whole == {row["id"] for row in rows}
    assert len(found) == len(rows)
    print(json.dumps({"samples": len(whole)}))


if __name__ == "__main__":
    main()
