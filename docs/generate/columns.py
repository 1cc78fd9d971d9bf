"""The reference of the lake's tables, from their schemas and from the records that they hold."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from generate.describing import prose, table
from storage import records, schemas
from tasks.meanings import meanings

RECORDS: Mapping[str, type] = {
    "samples": records.Sample,
    "verdicts": records.Verdict,
    "scores": records.Score,
    "prompts": records.Prompt,
    "outcomes": records.Outcome,
    "grown": records.Grown,
}
TRACES = {
    "dataset": "The dataset's name.",
    "build_id": "The build that kept it.",
    "prompt": "The user's text: the content of the last user turn.",
    "answer": "The final answer that a verifier found in the response, where one did.",
    "score": "The mean of its verdicts' scores, 0 … 1.",
    "pass_rate": "Of its prompt: the share of the judged samples that were accepted.",
    "prompt_source": "Where its prompt comes from, as the spec names it.",
    "prompt_license": "SPDX expression of the prompt's licence.",
    "teacher_license": "SPDX expression of the teacher's licence.",
    "license": "The effective SPDX expression: the prompt's and the teacher's together.",
    "train_use": "allowed, restricted or unknown: what the teacher's terms say of training other models on its output.",
    "terms": "The id of the provider's terms that applied.",
    "acknowledgement": "Who answers for a use that the terms restrict, and why; null where nothing had to be acknowledged.",
    "generation": "0: nobody's output but people's; n: synthetic of n-th order.",
    "split": "The split that it belongs to.",
    "strategy": "The strategy by which its prompt was asked, where the spec has strategies.",
}
"""What isn't a record's field."""
ABOUT = {
    "samples": "Every response that was ever paid for. Append-only, shared by all datasets.",
    "verdicts": "What a verifier of some version and options says of a sample. Append-only, shared by all datasets.",
    "scores": "What a teacher made of stored responses, token by token. Append-only, shared by all datasets.",
    "prompts": "A snapshot for each build: the prompts that it asked.",
    "outcomes": "A snapshot for each build: how each sample slot ended.",
    "traces": "A snapshot for each build: what it kept.",
    "grown": "A snapshot for each build that grows prompts: what became of each one that was asked for.",
}
INTRODUCTION = """\
# The lake's tables

Parquet files in the lake's folder, and views of the same names in `catalog.duckdb`, where `current_…` is each dataset's newest
snapshot. Columns may be added; none is renamed, retyped or dropped.
"""


def columns_of(name: str) -> dict[str, str]:
    """Return what each column of a table means. Raise KeyError where nobody has said so."""
    documented = dict(meanings(RECORDS.get(name, records.Sample))) | (TRACES if name == "traces" else {})
    return {column: documented[column] for column in schemas.TABLES[name].names}


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for name, schema in schemas.TABLES.items():
        told = columns_of(name)
        parts += [f"## {name}", ABOUT[name]]
        parts.append(
            table(("column", "type", "meaning"), [(f"`{each.name}`", _type(each.type), told[each.name]) for each in schema])
        )
    documented = meanings(records.Logprobs)
    parts += ["## logprobs", prose(records.Logprobs.__doc__)]
    fields = [(f"`{each.name}`", _type(each.type), documented[each.name]) for each in schemas.LOGPROBS]
    parts.append(table(("field", "type", "meaning"), fields))
    return "\n\n".join(parts) + "\n"


def _type(kind: pa.DataType) -> str:
    return "[struct](#logprobs)" if kind == schemas.LOGPROBS else f"`{kind}`".replace(" not null", "").replace("element: ", "")
