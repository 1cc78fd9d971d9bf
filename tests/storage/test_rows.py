"""Records to rows, through Parquet, and back."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage import journal
from storage.parquet import write_rows
from storage.records import Message, Prompt, Sample, TokenLogprob, TopToken
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
        parents=("a", "b"),
        grown_by="smol: evolve/deepen",
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
        logprobs=(
            TokenLogprob(token=b"\xf0\x9f", logprob=-0.5, top=(TopToken(token=b"4", logprob=-0.25),)),
            TokenLogprob(token=b"", logprob=0.0),
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
