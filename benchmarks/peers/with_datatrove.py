# /// script
# requires-python = ">=3.11"
# dependencies = ["datatrove[io]==0.10.1", "aiofiles", "aiosqlite", "httpx", "xxhash"]
# ///
"""Ask a teacher for one response a prompt with datatrove's InferenceRunner, as its examples of inference do.

    python with_datatrove.py PROMPTS.jsonl FOLDER URL [--no-checkpoints] [--tasks 4]

The folder keeps what a second start goes on from. datatrove's way to go faster is more tasks, each a process that has its share
of the input's files, of the 256 requests and of the checkpoints. Its extra `inference` brings vLLM and SGLang, 9 GB that an
endpoint doesn't need: the dependencies above are what it uses of that extra.
"""

import argparse
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceResult, InferenceRunner
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


async def rollout(document: Document, generate: Callable[[dict[str, Any]], Awaitable[InferenceResult]]) -> InferenceResult:
    """Ask the prompt as it is."""
    return await generate({"messages": [{"role": "user", "content": document.text}]})


def main() -> None:
    """Ask, and check that every prompt has its response."""
    parser = argparse.ArgumentParser()
    parser.add_argument("prompts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("url")
    parser.add_argument("--checkpoints", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--tasks", type=int, default=1)
    given = parser.parse_args()
    lines = given.prompts.read_text().splitlines(keepends=True)
    shards = given.folder / "shards"
    shards.mkdir(exist_ok=True)
    for task in range(given.tasks):
        (shards / f"{task:03}.jsonl").write_text("".join(lines[task :: given.tasks]))
    config = InferenceConfig(
        server_type="endpoint",
        endpoint_url=given.url.removesuffix("/v1"),
        model_name_or_path="m",
        max_concurrent_generations=256 // given.tasks,
    )
    runner = InferenceRunner(
        rollout_fn=rollout,
        config=config,
        output_writer=JsonlWriter(str(given.folder / "output"), output_filename="${rank}_${chunk_index}.jsonl", compression=None),
        checkpoints_local_dir=str(given.folder / "checkpoints") if given.checkpoints else None,
        records_per_chunk=500,
    )
    reader = JsonlReader(str(shards), text_key="prompt", id_key="id")
    LocalPipelineExecutor([reader, runner], tasks=given.tasks, logging_dir=str(given.folder / "logs")).run()
    wanted = [json.loads(line)["id"] for line in lines]
    found = [json.loads(line) for part in given.folder.glob("output/*.jsonl") for line in part.read_text().splitlines()]
    whole = {document["id"] for document in found if document["metadata"]["rollout_results"][0]["text"]}
    assert whole == set(wanted)
    assert len(found) == len(wanted)
    print(json.dumps({"samples": len(whole)}))


if __name__ == "__main__":
    main()
