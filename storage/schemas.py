"""The lake's tables as Arrow schemas.

Columns may be added; none is renamed, retyped or dropped. Parts of an earlier version have `generation` as int32.
"""

from __future__ import annotations

import pyarrow as pa

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_TIME = pa.timestamp("us", tz="UTC")
LOGPROBS = pa.struct(
    [
        ("tokens", pa.list_(pa.binary())),
        ("ids", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float32())),
        ("counts", pa.list_(pa.int16())),
        ("top_tokens", pa.list_(pa.binary())),
        ("top_ids", pa.list_(pa.int32())),
        ("top_logprobs", pa.list_(pa.float32())),
        ("rest", pa.list_(pa.float32())),
    ]
)
"""`storage.records.Logprobs`."""

SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("sample_index", pa.int32()),
        ("strategy", pa.string()),
        ("system", pa.string()),
        ("messages", _MESSAGES),
        ("response", pa.string()),
        ("reasoning", pa.string()),
        ("reasoning_blocks", pa.string()),
        ("finish_reason", pa.string()),
        ("tokens_in", pa.int32()),
        ("tokens_out", pa.int32()),
        ("tokens_reasoning", pa.int32()),
        ("tokens_cached", pa.int32()),
        ("cost_usd", pa.float64()),
        ("latency_s", pa.float32()),
        ("attempts", pa.int16()),
        ("temperature", pa.float32()),
        ("seed", pa.int64()),
        ("revision", pa.string()),
        ("logprobs", LOGPROBS),
        ("created_at", _TIME),
    ]
)

VERDICTS = pa.schema(
    [
        ("sample_id", pa.string()),
        ("verifier", pa.string()),
        ("version", pa.string()),
        ("fingerprint", pa.string()),
        ("inputs", pa.string()),
        ("passed", pa.bool_()),
        ("score", pa.float32()),
        ("reason", pa.string()),
        ("answer", pa.string()),
        ("elapsed_s", pa.float32()),
        ("cost_usd", pa.float64()),
    ]
)

SCORES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("scorer", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("fingerprint", pa.string()),
        ("top", pa.int32()),
        ("reasoning", pa.string()),
        ("logprobs", LOGPROBS),
        ("ended", pa.bool_()),
        ("reason", pa.string()),
        ("tokens_in", pa.int32()),
        ("cost_usd", pa.float64()),
        ("created_at", _TIME),
    ]
)

PROMPTS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("messages", _MESSAGES),
        ("prompt", pa.string()),
        ("reference", pa.string()),
        ("tests", pa.string()),
        ("tags", pa.map_(pa.string(), pa.string())),
        ("source", pa.string()),
        ("license", pa.string()),
        ("generation", pa.int16()),
        ("parents", pa.list_(pa.string())),
        ("grown_by", pa.string()),
    ]
)

OUTCOMES = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("sample_index", pa.int32()),
        ("sample_id", pa.string()),
        ("outcome", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("refuted_by", pa.string()),
        ("score", pa.float32()),
        ("strategy", pa.string()),
        ("asked_id", pa.string()),
    ]
)

TRACES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("prompt_id", pa.string()),
        ("dataset", pa.string()),
        ("build_id", pa.string()),
        ("teacher", pa.string()),
        ("model", pa.string()),
        ("strategy", pa.string()),
        ("system", pa.string()),
        ("prompt", pa.string()),
        ("messages", _MESSAGES),
        ("response", pa.string()),
        ("reasoning", pa.string()),
        ("finish_reason", pa.string()),
        ("answer", pa.string()),
        ("score", pa.float32()),
        ("pass_rate", pa.float32()),
        ("tokens_in", pa.int32()),
        ("tokens_out", pa.int32()),
        ("prompt_source", pa.string()),
        ("prompt_license", pa.string()),
        ("teacher_license", pa.string()),
        ("license", pa.string()),
        ("train_use", pa.string()),
        ("terms", pa.string()),
        ("acknowledgement", pa.string()),
        ("generation", pa.int16()),
        ("split", pa.string()),
        ("created_at", _TIME),
    ]
)

GROWN = pa.schema(
    [
        ("source", pa.string()),
        ("method", pa.string()),
        ("operation", pa.string()),
        ("round", pa.int16()),
        ("teacher", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("sample_id", pa.string()),
        ("place", pa.int32()),
        ("prompt", pa.string()),
        ("prompt_id", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
    ]
)

TABLES = {
    "samples": SAMPLES,
    "verdicts": VERDICTS,
    "scores": SCORES,
    "prompts": PROMPTS,
    "outcomes": OUTCOMES,
    "traces": TRACES,
    "grown": GROWN,
}
STORES = ("samples", "verdicts", "scores")
"""Shared by all datasets, append-only."""
LATER = frozenset({"scores"})
"""Of these, what lakes of an earlier version lack until somebody writes to them."""
SNAPSHOTS = ("prompts", "outcomes", "traces", "grown")
"""One folder a build. Of `grown` only where the spec grows prompts."""
KEYS = {
    "samples": ("sample_id",),
    "verdicts": ("sample_id", "fingerprint", "inputs"),
    "scores": ("sample_id", "fingerprint"),
}
"""What makes two rows of a table that all datasets share the same."""
EMPTY = "_empty.parquet"
"""A file without rows, by which a folder is known as a lake and a query finds a table's columns."""
