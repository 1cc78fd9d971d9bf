"""The tables' columns: a promise to users."""

from __future__ import annotations

from dataclasses import fields

import pyarrow as pa
import pytest

from storage.records import Grown, Outcome, Prompt, Sample, Score, Verdict
from storage.schemas import SNAPSHOTS, STORES, TABLES

PROMISED = {
    "samples": "sample_id prompt_id teacher provider model sample_index strategy system messages response reasoning finish_reason "
    "tokens_in tokens_out tokens_reasoning cost_usd latency_s attempts temperature seed logprobs created_at",
    "verdicts": "sample_id verifier version fingerprint passed score reason elapsed_s",
    "scores": "sample_id scorer provider model fingerprint logprobs created_at",
    "outcomes": "prompt_id teacher sample_index sample_id outcome stage reason",
    "traces": "sample_id prompt_id dataset build_id teacher model strategy system prompt messages response reasoning answer score "
    "pass_rate tokens_in tokens_out prompt_source prompt_license teacher_license license train_use terms generation split "
    "created_at",
    "prompts": "prompt_id messages prompt reference tests tags source license generation",
    "grown": "source method operation round teacher parents sample_id place prompt prompt_id outcome reason",
}
RECORDS = {
    "samples": Sample,
    "verdicts": Verdict,
    "scores": Score,
    "outcomes": Outcome,
    "prompts": Prompt,
    "grown": Grown,
}
TYPES = {
    ("samples", "sample_index"): pa.int32(),
    ("samples", "tokens_in"): pa.int32(),
    ("samples", "cost_usd"): pa.float64(),
    ("samples", "latency_s"): pa.float32(),
    ("samples", "attempts"): pa.int16(),
    ("samples", "temperature"): pa.float32(),
    ("samples", "seed"): pa.int64(),
    ("samples", "created_at"): pa.timestamp("us", tz="UTC"),
    ("verdicts", "passed"): pa.bool_(),
    ("traces", "generation"): pa.int16(),
    ("traces", "created_at"): pa.timestamp("us", tz="UTC"),
    ("prompts", "generation"): pa.int16(),
    ("prompts", "tags"): pa.map_(pa.string(), pa.string()),
}


def test_every_table_is_promised():
    """There are the six tables, each either shared by all datasets or a snapshot of one build."""
    assert set(TABLES) == set(PROMISED) == {*STORES, *SNAPSHOTS}


@pytest.mark.parametrize("table", PROMISED)
def test_promised_columns_are_there(table: str):
    """No column that was promised is renamed or dropped."""
    missing = set(PROMISED[table].split()) - set(TABLES[table].names)
    assert not missing


@pytest.mark.parametrize("column", TYPES, ids=".".join)
def test_promised_types(column: tuple[str, str]):
    """No column that was promised is retyped."""
    table, name = column
    assert TABLES[table].field(name).type == TYPES[column]


@pytest.mark.parametrize("table", RECORDS)
def test_record_and_table_agree(table: str):
    """A table has a column for each field of its record, in the same order."""
    assert TABLES[table].names == [field.name for field in fields(RECORDS[table])]
