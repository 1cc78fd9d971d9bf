"""Records to rows, through Parquet, and back."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage import journal
from storage.parquet import write_rows
from storage.records import Logprobs, Message, Prompt, Sample
from storage.rows import prompt_of, prompt_row, sample_of
from storage.schemas import PROMPTS
from tests.fakes import make_prompt, make_sample

PROMPT_CASES = {
    "least": make_prompt(),
    "full": make_prompt(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="Ä\n✓\t\0")),
        reference="4",
        tests="assert True",
        tags={"topic": "sums", "": "nameless"},
        generation=2,
    ),
}
SAMPLE_CASES = {
    "least": make_sample(),
    "full": make_sample(
        strategy="brief",
        system="Be brief.",
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="2 + 2?")),
        response="\u2028line\nbreaks\r\n\0 and 👍",
        reasoning="two and two",
        reasoning_blocks='[{"type": "thinking", "signature": "s"}]',
        tokens_reasoning=7,
        tokens_cached=3,
        cost_usd=0.1,
        attempts=100,
        temperature=0.5,
        seed=2**31 + 1,
        logprobs=Logprobs(
            tokens=(b"\xf0\x9f", b""),
            ids=(2**31 - 1, 0),
            logprobs=(-0.5, 0.0),
            counts=(2, 0),
            top_tokens=(b"4", b""),
            top_ids=(7, 8),
            top_logprobs=(-0.25, -math.inf),
            rest=(0.125, 0.0),
        ),
    ),
}


@pytest.mark.parametrize("prompt", PROMPT_CASES.values(), ids=PROMPT_CASES)
def test_prompt_survives(tmp_path: Path, prompt: Prompt):
    """A prompt that was written to Parquet and read again is the same prompt."""
    write_rows(tmp_path / "prompts.parquet", PROMPTS, [prompt_row(prompt)])
    (row,) = pq.read_table(tmp_path / "prompts.parquet").to_pylist()
    assert prompt_of(row) == prompt


@pytest.mark.parametrize("sample", SAMPLE_CASES.values(), ids=SAMPLE_CASES)
async def test_sample_survives(tmp_path: Path, sample: Sample):
    """A sample that went through the journal into a part and was read again is the same sample."""
    async with journal.Journal(tmp_path, tmp_path / "parts", run="r") as log:
        await log.append([sample])
    (row,) = pq.read_table(tmp_path / "parts" / "r-000000.parquet").to_pylist()
    assert sample_of(row) == sample
