"""Bytes per token of soft labels as they are exported, by alternatives and layout, and how fast an export makes them.

    PYTHONPATH=. .venv/bin/python benchmarks/soft.py 200

Responses are of SmolLM2's own tokens, each with n alternatives whose probabilities fall as a power of their rank, as a language
model's do; the student is SmolLM2, or a small SentencePiece tokenizer, to which they are aligned by bytes. Prints for each
export: bytes a learnt token in zstd's Parquet, and what `format: tokenized` takes of that; the share of tokens that are aligned;
the probability that compression moved; and learnt tokens a second of the processor's time.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.schemas import LOGPROBS
from tasks.exporters import protocol
from tasks.exporters.chat import vocabulary_of
from tasks.exporters.making import make
from tests.tasks.exporters import students
from tests.tasks.exporters.traces import make_trace

TOKENS = 200
WAYS: tuple[dict[str, Any], ...] = (
    {"logprobs": "float32"},
    {"logprobs": "float16"},
    {"layout": "distillkit"},
)


def trace(n: int, top: int, folder: str) -> dict[str, Any]:
    """Return a trace of so many tokens with n alternatives each."""
    from transformers import AutoTokenizer

    known, tokenizer = vocabulary_of(folder), AutoTokenizer.from_pretrained(folder)
    random = np.random.default_rng(n)
    words = [
        "the",
        "train",
        "leaves",
        "at",
        "four",
        "and",
        "each",
        "of",
        "seven",
        "coaches",
        "has",
        "sixty",
        "seats",
        "so",
        "1",
        "2",
        "3",
    ]
    text = "The " + " ".join(random.choice(words, TOKENS)) + "."
    tokens = np.array([*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id], np.int32)
    number = len(tokens)
    ids = np.empty((number, top), np.int32)
    ids[:] = random.integers(20, known.size, (number, top))
    ids[:, 0] = tokens
    logits = -random.lognormal(0.6, 0.5, (number, 1)) * np.log1p(np.arange(top)) - random.exponential(0.15, (number, top)).cumsum(
        axis=1
    )
    logprobs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True) * 1.03)).astype(np.float32)
    row = {
        "tokens": [known.tokens[each] for each in tokens.tolist()],
        "ids": tokens,
        "logprobs": logprobs[:, 0],
        "counts": [top] * number,
        "top_tokens": [known.tokens[each] or b"" for each in ids.ravel().tolist()],
        "top_ids": ids.ravel(),
        "top_logprobs": logprobs.ravel(),
        "rest": [0.03] * number,
    }
    return make_trace(n, sample_id=f"{n:032x}", response=text) | {"logprobs": pa.array([row], LOGPROBS)[0]}


def size(schema: pa.Schema, rows: list[dict[str, Any]]) -> int:
    """Return the bytes of a Parquet file of rows."""
    sink = io.BytesIO()
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="zstd", compression_level=3)
    return sink.tell()


def main() -> int:
    """Export so many responses in each way."""
    number = int((sys.argv[1:] or ["200"])[0])
    print(" top  student       form bytes/token hard alone  aligned  moved  tokens/s")
    with tempfile.TemporaryDirectory() as root:
        teacher = students.smollm(Path(root) / "smollm")
        others = {"smollm2": teacher, "pieces": students.sentencepiece(Path(root) / "pieces")}
        for top in (5, 20, 50):
            traces = [trace(n, top, teacher) for n in range(number)]
            for name, student in others.items():
                plain = make("tokenized", {"tokenizer": student})
                hard = size(plain.schema, list(plain.rows(traces)))
                for way in WAYS:
                    made = make("soft", {"tokenizer": student, "min_aligned": 0.0} | way)
                    began = time.process_time()
                    rows = list(made.rows(traces))
                    elapsed = time.process_time() - began
                    told = protocol.facts(made)
                    learnt = told["trained_tokens"]
                    moved = f"{told['mean_moved']:.1%}" if told.get("mean_moved") is not None else ""
                    form, each = way.get("layout", way.get("logprobs")), size(made.schema, rows) / learnt
                    print(
                        f"{top:>4} {name:>8} {form:>10} {each:>11.1f} {hard / learnt:>10.1f} "
                        f"{told['aligned_tokens'] / learnt:>8.1%} {moved:>6} {learnt / elapsed:>9,.0f}",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
