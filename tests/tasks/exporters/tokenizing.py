"""What tests of tokens share: templates that models come with, and rows that must be whole."""

from __future__ import annotations

import functools
from typing import Any

import pyarrow as pa

from tasks.exporters.making import make
from tests.tasks.exporters import students

TEMPLATES = {
    "chatml": students.CHATML,
    "thinking": students.THINKING,
    "opened": students.OPENED,
    "lead dropped": students.THINKING.replace(
        "message['content'] +", "message['content'].replace('</think>\n\n\n', '</think>\n\n') +"
    ),
    "system dropped": students.CHATML.replace(
        "{% for message in messages %}", "{% for message in messages if message.role != 'system' %}"
    ),
    "dated": students.DATED,
    "none": None,
    "no end": "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
    "trimming": "{% for message in messages %}{{ '<|im_start|>' + message['content'] | trim }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>' }}{% endif %}",
    "no system": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + students.CHATML,
    "otherwise": "{{ messages | length }} " + students.CHATML,
}


def rows(folder: str, *traces: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Return rows, which must be as the schema says."""
    made = make("tokenized", {"tokenizer": folder} | options)
    found = list(made.rows(traces))
    assert pa.RecordBatch.from_pylist(found, schema=made.schema).num_rows == len(found)
    assert all(row.keys() == set(made.schema.names) for row in found)
    assert all(len(row["input_ids"]) == len(row["labels"]) == row["length"] for row in found)
    assert all(label in {-100, token} for row in found for token, label in zip(row["input_ids"], row["labels"], strict=True))
    return found


@functools.cache
def loaded(folder: str) -> Any:
    """Return a tokenizer, as anybody else would load it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def decode(folder: str, tokens: list[int]) -> str:
    """Return the text of tokens."""
    return str(loaded(folder).decode(tokens))


def learnt(folder: str, row: dict[str, Any]) -> str:
    """Return the text of the tokens that have a label."""
    return decode(folder, [label for label in row["labels"] if label != -100])
