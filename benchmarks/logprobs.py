"""What storing soft distributions takes: bytes a token in a part and in the journal, and time for each response.

    .venv/bin/python benchmarks/logprobs.py

First with made distributions of a thousand tokens a response, as `provider: simulate` makes them, where processor time is taken
too; by number of alternatives, 0 being a response without. Then with the embedded model's own, of which each is checked against
the server's response: the sampled token's log-probability is the server's, and no position has more probability than one
but for the rounding of half precision.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pyarrow.parquet as pq

from storage.errors import StillhouseError
from storage.journal import Journal
from storage.logprobs import logprobs_of
from storage.records import Logprobs, Message, Sample
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.embedded import MODEL, EmbeddedServer
from tasks.teachers.plausible import distributions
from tasks.teachers.protocol import Completion, Request
from tasks.teachers.sampling import SamplingOptions

QUESTIONS = (
    "Why is the sky blue?",
    "Write a short story about a fox.",
    "What is 17 * 23? Explain.",
    "List five rivers of Europe.",
    "Explain recursion with Python code.",
    "Translate 'good morning' into French, German and Spanish.",
    "Give a recipe for pancakes, with emoji.",
    "Describe a rainy day.",
)
WORDS = ("so", "then", "we", "see", "that", "each", "of", "them")
EPSILON = 1e-3
"""Half precision's doing, over the alternatives of a position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of some samples."""

    tokens: int
    """In all of them."""
    journal: float
    """Bytes a token in the segment."""
    part: float
    """Bytes a token in the part's columns of distributions."""
    seconds: float
    """Of processor time for all of them, from the records to the part."""
    read: list[Logprobs]
    """As they stand in the part."""


def sample(number: int, logprobs: Logprobs | None) -> Sample:
    """Return a sample with these distributions."""
    return Sample(
        sample_id=f"{number:032x}",
        prompt_id=str(number),
        teacher="t",
        provider="local",
        model=MODEL,
        sample_index=0,
        messages=(Message(role="user", content="Why?"),),
        response="Because. " * 100,
        finish_reason="stop",
        tokens_in=10,
        tokens_out=1_000,
        latency_s=1.0,
        created_at=datetime.now(UTC),
        logprobs=logprobs,
    )


async def store(given: Sequence[Logprobs | None]) -> Stored:
    """Journal and land samples."""
    with tempfile.TemporaryDirectory(prefix="stillhouse-logprobs-") as folder:
        root = Path(folder)
        began = time.process_time()
        async with Journal(root, root / "parts", run="r") as journal:
            for number, each in enumerate(given):
                await journal.append([sample(number, each)])
            written, landed = _sizes(root)
        seconds = time.process_time() - began
        if landed:
            raise SystemExit("more than a segment holds")
        (path,) = (root / "parts").glob("*.parquet")
        metadata = pq.read_metadata(path)
        columns = [
            metadata.row_group(group).column(column)
            for group in range(metadata.num_row_groups)
            for column in range(metadata.num_columns)
        ]
        size = sum(column.total_compressed_size for column in columns if column.path_in_schema.startswith("logprobs."))
        read = pq.read_table(path, columns=["logprobs"])["logprobs"].to_pylist()
    tokens = sum(len(each) for each in given if each) or 1
    return Stored(
        tokens=tokens,
        journal=written / tokens,
        part=size / tokens,
        seconds=seconds,
        read=[logprobs_of(each) for each in read if each is not None],
    )


def _sizes(root: Path) -> tuple[int, bool]:
    """Return the bytes of the journal, and whether a segment of it has landed already."""
    return sum(path.stat().st_size for path in root.glob("*.jsonl")), any((root / "parts").glob("*.parquet"))


async def real(numbers: Sequence[int], tokens: int) -> None:
    """Print what the embedded model's distributions take, and check them."""
    async with EmbeddedServer(slots=4) as server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        teacher = OpenAITeacher(model=MODEL, base_url=server.base_url)
        for number in numbers:
            parameters = SamplingOptions(logprobs=number, temperature=0.8, max_tokens=tokens).parameters()
            asked = (_asked(http, teacher, question, parameters | {"seed": i}) for i, question in enumerate(QUESTIONS))
            raw = await asyncio.gather(*asked)  # as many at a time as the server has slots
            found = [_answer(teacher, each) for each in raw]
            stored = await store(found)
            gaps = sum(math.isnan(each) for one in stored.read for each in one.logprobs)
            most = max(_check(document, one) for document, one in zip(raw, stored.read, strict=True))
            print(
                f"embedded model, {number:>3} alternatives: {stored.part:6.1f} bytes a token in the part, {stored.journal:7.1f} "
                f"in the journal, of {stored.tokens:,} tokens ({gaps} gaps); the most probable position has {most:.6f}",
                flush=True,
            )
        await teacher.aclose()


async def _asked(http: aiohttp.ClientSession, teacher: OpenAITeacher, question: str, parameters: dict[str, Any]) -> Any:
    request = Request(prompt_id=question, messages=(Message(role="user", content=question),), parameters=parameters)
    async with http.post(f"{teacher.base_url}{teacher.path}", json=teacher.body(request)) as response:
        return orjson.loads(await response.read())


def _answer(teacher: OpenAITeacher, document: Any) -> Logprobs:
    answer = teacher.answered(document)
    if isinstance(answer, StillhouseError):
        raise answer
    assert isinstance(answer, Completion)
    assert answer.choices[0].logprobs is not None
    return answer.choices[0].logprobs


def _check(document: Any, stored: Logprobs) -> float:
    """Compare what is stored with the server's response, and return the largest mass of a position."""
    said = [position["logprob"] for position in document["choices"][0]["logprobs"]["content"]]
    kept = [each for each in stored.logprobs if not math.isnan(each)]
    if not np.array_equal(np.float32(said), np.float32(kept)):
        raise SystemExit("a sampled token's log-probability isn't the server's")
    owners = np.repeat(np.arange(len(stored)), stored.counts)
    mass = np.bincount(owners, np.exp(np.array(stored.top_logprobs)), len(stored)) + np.array(stored.rest)
    if mass.max() > 1 + EPSILON:
        raise SystemExit(f"a position has a probability of {mass.max()}")
    return float(mass.max())


async def made(numbers: Sequence[int], responses: int, tokens: int) -> None:
    """Print what made distributions take."""
    words = [WORDS[number % len(WORDS)] for number in range(tokens)]
    await store([None])  # loads what is loaded once
    for number in numbers:
        given = [distributions(words, number, seed=seed) if number else None for seed in range(responses)]
        raw = [orjson.dumps(_document(" ".join(words), each)) for each in given]
        teacher = OpenAITeacher(model=MODEL)
        began = time.process_time()
        documents = [orjson.loads(one) for one in raw]
        parsed = time.process_time()
        for document in documents:
            teacher.answered(document)
        read = time.process_time() - parsed
        await teacher.aclose()
        stored = await store(given)
        size = f"{stored.part:6.1f} bytes a token in the part, {stored.journal:7.1f} in the journal; " if number else ""
        each = [seconds / responses * 1e3 for seconds in (parsed - began, read, stored.seconds)]
        print(
            f"made, {number:>3} alternatives: {size}{sum(map(len, raw)) / responses / 1e6:.2f} MB of JSON for {tokens:,} tokens; "
            f"ms of processor time: {each[0]:.1f} to parse it, {each[1]:.1f} to read it, {each[2]:.1f} from record to part",
            flush=True,
        )


def _document(text: str, given: Logprobs | None) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 10, "completion_tokens": 1_000, "total_tokens": 1_010}
    if given is not None:
        assert given.tokens is not None
        assert given.ids is not None
        assert given.top_tokens is not None
        assert given.top_ids is not None
        top = [
            {"id": number, "token": token.decode(), "bytes": list(token), "logprob": logprob}
            for number, token, logprob in zip(given.top_ids, given.top_tokens, given.top_logprobs, strict=True)
        ]
        sampled = zip(given.ids, given.tokens, given.logprobs, given.counts, strict=True)
        content, at = [], 0
        for number, token, logprob, count in sampled:
            own = {"id": number, "token": token.decode(), "bytes": list(token), "logprob": logprob}
            content.append(own | {"top_logprobs": top[at : at + count]})
            at += count
        choice["logprobs"] = {"content": content}
    return {"choices": [choice], "usage": usage}


async def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=120, help="most of a real response")
    parser.add_argument("--responses", type=int, default=20, help="made ones")
    arguments = parser.parse_args()
    await made((0, 5, 20, 50), arguments.responses, 1_000)
    await real((5, 20), arguments.tokens)


if __name__ == "__main__":
    asyncio.run(main())
