"""Diverse: of a prompt's samples, those that are farthest from each other.

Begin with the best, and take the one whose nearest among the taken is farthest, again and again: the largest gap that is left is
at most twice the least that is possible (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"). The distance
is 1 less the Jaccard similarity of the sets of word trigrams, reasoning included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import regex  # type: ignore[import-untyped]

from storage.dealing import BUCKETS
from storage.parquet import PartWriter
from storage.sql import literal
from storage.workspace import Workspace
from tasks.ranked import deal_samples

NGRAM = 3
"""Words in an n-gram."""
BUCKET_ROWS = 10_000
"""Samples whose texts are in memory at a time."""
_BATCH = 1_000
_LEFT_OUT = pa.schema([("ord", pa.int64()), ("arm", pa.int16()), ("sample_index", pa.int32())])
_WORD = regex.compile(
    r"(?V1)[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    r"|[\w--\p{Han}--\p{Hiragana}--\p{Katakana}--\p{Thai}--\p{Lao}--\p{Khmer}--\p{Myanmar}]+"
)
"""A word, or a character of a script that puts no space between words."""
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
"""The same where there is nothing but ASCII, in a quarter of the time."""


def grams(text: str) -> AbstractSet[str]:
    """Return the word trigrams of a text, case aside; of a shorter one, its words as one."""
    words = (_ASCII_WORD if text.isascii() else _WORD).findall(text.lower())
    if len(words) < NGRAM:
        return {" ".join(words)} if words else set()
    return set(map(" ".join, zip(*(words[start:] for start in range(NGRAM)), strict=False)))


def farthest(texts: Sequence[str], many: int, *, settled: int = 0) -> list[int]:
    """Return which texts to take, in the order of taking. The first is taken first; of equals, the one that stands first.

    The first `settled` ones are taken in any case.
    """
    sets = [grams(text) for text in texts]
    gap = [2.0] * len(texts)
    chosen: list[int] = []
    while len(chosen) < min(many, len(texts)):
        furthest = max(range(len(texts)), key=lambda number: (gap[number], -number))
        last = len(chosen) if len(chosen) < settled else furthest
        chosen.append(last)
        gap = [min(old, _distance(sets[number], sets[last])) for number, old in enumerate(gap)]
        for number in chosen:
            gap[number] = -1.0
    return chosen


def _distance(one: AbstractSet[Any], other: AbstractSet[Any]) -> float:
    shared = len(one & other)
    either = len(one) + len(other) - shared
    return 1 - shared / either if either else 0.0


def keep_diverse(workspace: Workspace, per_prompt: int, reason: str) -> None:
    """Reject what is more than `per_prompt` among the `candidates` that are still in, for a reason.

    Only the texts of prompts with more are looked at: they are dealt into buckets of whole prompts as they stream by.
    """
    workspace.execute(
        f"""
        CREATE TABLE crowded AS
        SELECT ord, arm, sample_index, sample_id, returned, place, row_number() OVER (ORDER BY ord, place) - 1 AS rank
        FROM (
            SELECT ord, arm, sample_index, sample_id, returned, count(*) OVER (PARTITION BY ord) AS many,
                row_number() OVER (
                    PARTITION BY ord ORDER BY returned, score DESC NULLS LAST, length, sample_id, arm, sample_index
                ) AS place
            FROM candidates WHERE stage IS NULL
        )
        WHERE many > {per_prompt}
        """
    )
    ((total,),) = workspace.rows("SELECT count(*) FROM crowded")
    if total:
        _reject(workspace, per_prompt, total, reason)
    workspace.execute("DROP TABLE crowded")


def _reject(workspace: Workspace, per_prompt: int, total: int, reason: str) -> None:
    size = max(workspace.at_once(BUCKET_ROWS), -(-total // BUCKETS))
    workspace.make_room_for(at_once=size)
    workspace.execute(f"CREATE TABLE crowds AS SELECT ord, min(rank) // {size} AS bucket FROM crowded GROUP BY ord")
    ranks = "SELECT sample_id, rank, bucket FROM crowded JOIN crowds USING (ord)"
    deal_samples(workspace, "crowds", ["reasoning", "response", "created_at"], ranks)
    path = workspace.folder / "left-out.parquet"
    with PartWriter(path, _LEFT_OUT) as writer:
        for bucket in range(-(-total // size)):
            for rows in _prompts(workspace, bucket):
                stayed = sum(not row["returned"] for row in rows)
                # Where none came back, nothing was chosen before.
                settled = stayed if stayed < len(rows) else 0
                taken = set(farthest([row["text"] for row in rows], per_prompt, settled=settled))
                writer.extend([row for number, row in enumerate(rows) if number not in taken])
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'select', reason = {literal(reason)}
        FROM (SELECT ord, arm, sample_index FROM read_parquet({literal(path)})) AS gone
        WHERE candidates.ord = gone.ord AND candidates.arm = gone.arm AND candidates.sample_index = gone.sample_index
        """
    )
    workspace.execute("DROP TABLE crowds")


def _prompts(workspace: Workspace, bucket: int) -> Iterator[list[dict[str, Any]]]:
    """Yield each prompt's samples, the best first."""
    table = workspace.table(
        f"""
        SELECT ord, arm, sample_index, returned, text
        FROM (SELECT *, concat_ws(chr(10), reasoning, response) AS text FROM {workspace.dealt("crowds", bucket)})
        JOIN crowded USING (rank)
        QUALIFY row_number() OVER (PARTITION BY rank ORDER BY created_at, text) = 1
        ORDER BY rank
        """
    )
    rows = (row for batch in table.to_batches(max_chunksize=_BATCH) for row in batch.to_pylist())
    for _, group in groupby(rows, key=itemgetter("ord")):
        yield list(group)
