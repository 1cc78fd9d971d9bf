"""Reading one round's answers: the prompts in them, those that are like others, and what is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.dealing import BUCKETS
from storage.identity import prompt_id
from storage.parquet import PartWriter
from storage.records import Message
from storage.schemas import GROWN
from storage.sql import parquet_files
from storage.workspace import Workspace
from tasks.growth.alike import alike
from tasks.growth.candidates import candidates
from tasks.growth.files import CANDIDATES, REQUESTS, STAGED, Files, batches
from tasks.growth.options import GrowOptions
from tasks.ranked import deal_samples, dealt_once

ANSWERS = 10_000
"""That are held in memory at a time, or more where there are very many."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """One round. Call `answers`, `alike` and `decide`."""

    workspace: Workspace
    """Of the build."""
    files: Files
    """Of the source."""
    options: GrowOptions
    """Likewise."""
    source: str
    """Where the seeds come from."""
    round: int
    """From 1 on."""
    _fresh: int = 0
    """Texts of which nothing is wrong by themselves."""

    def answers(self, requests: int, failed: Path | None) -> int:
        """Write the round's candidates, and return how many of its requests have neither an answer nor an error."""
        path = self.files.requests(self.round)
        size = max(ANSWERS, -(-requests // BUCKETS))
        deal_samples(
            self.workspace,
            "grown_answers",
            ["sample_id", "response", "finish_reason", "created_at"],
            f"SELECT sample_id, ord AS rank, (ord // {size})::INTEGER AS bucket FROM {parquet_files([path])}",
        )
        unasked, bucket = 0, -1
        answers: dict[int, tuple[str, str]] = {}
        errors: dict[int, str] = {}
        with PartWriter(self.files.candidates(self.round), CANDIDATES) as writer:
            for rows in batches(path, [name for name in REQUESTS.names if name not in {"key", "messages", "tokens"}]):
                for row in rows:
                    if row["ord"] // size != bucket:
                        bucket = row["ord"] // size
                        answers, errors = self._bucket(bucket), self._errors(failed, bucket * size, size)
                    if (answer := answers.get(row["ord"])) is not None:
                        writer.extend(list(self._given(row, *answer)))
                    elif (error := errors.get(row["ord"])) is not None:
                        writer.extend(list(self._failures(row, error)))
                    else:
                        unasked += 1
        return unasked

    def _bucket(self, bucket: int) -> dict[int, tuple[str, str]]:
        rows = self.workspace.rows(
            f"SELECT rank, response, finish_reason FROM {dealt_once(self.workspace, 'grown_answers', bucket)}"
        )
        return {rank: (response, finish_reason) for rank, response, finish_reason in rows}

    def _errors(self, failed: Path | None, first: int, size: int) -> dict[int, str]:
        if failed is None:
            return {}
        own = parquet_files([self.files.requests(self.round)])
        rows = self.workspace.rows(
            f"SELECT ord, error FROM {parquet_files([failed])} "
            f"JOIN (SELECT ord, sample_id FROM {own} WHERE ord BETWEEN {first} AND {first + size - 1}) USING (sample_id)"
        )
        return dict(rows)

    def _given(self, row: Mapping[str, Any], response: str, finish_reason: str) -> Iterator[dict[str, Any]]:
        for each in candidates(response, finish_reason, count=self.options.per_request):
            made = self._candidate(row, each.place) | {"prompt": each.text, "reason": each.reason}
            if each.reason is None:
                made |= {"outcome": "kept", "fresh": self._fresh}
                self._fresh += 1
            yield made

    def _failures(self, row: Mapping[str, Any], error: str) -> Iterator[dict[str, Any]]:
        for place in range(self.options.per_request):
            yield self._candidate(row, place) | {"outcome": "failed", "reason": f"failed: {error}"}

    def _candidate(self, row: Mapping[str, Any], place: int) -> dict[str, Any]:
        given = ("operation", "parents", "sample_id", "license", "generation", "tags", "before")
        return {name: row[name] for name in given} | {
            "source": self.source,
            "method": self.options.method,
            "round": self.round,
            "teacher": self.options.teacher,
            "place": place,
            "outcome": "rejected",
        }

    def alike(self, staged: Sequence[int]) -> None:
        """Make `grow_alike`: the fresh texts that are like a prompt that is there, or an earlier one of the round.

        `staged`: how many prompts the source and each of those rounds have.
        """
        settled = sum(staged)
        files = [self.files.prompts(number) for number in range(len(staged))]

        def texts() -> Iterator[str]:
            for file in files:
                for rows in batches(file, ["prompt"]):
                    yield from (row["prompt"] for row in rows)
            for rows in batches(self.files.candidates(self.round), ["prompt", "fresh"]):
                yield from (row["prompt"] for row in rows if row["fresh"] is not None)

        found = alike(texts, settled + self._fresh, settled=settled, near=self.options.near, folder=self.files.folder)
        named = {
            "fresh": found.numbers - settled,
            "other": found.others,
            "similarity": pa.array(found.similarity, from_pandas=True),
        }
        self.workspace.load("grow_named", pa.table(named))
        # Of the fresh ones, the id is made of what will be kept; the place in the answers tells which it is.
        before = [0, *(sum(staged[: number + 1]) for number in range(len(staged)))]
        ids = " UNION ALL ".join(
            f"SELECT ord + {first} AS other, prompt_id AS name FROM {parquet_files([file])}"
            for first, file in zip(before, files, strict=False)
        )
        mine = parquet_files([self.files.candidates(self.round)])
        ids += f" UNION ALL SELECT fresh + {settled}, sample_id || '#' || place FROM {mine} WHERE fresh IS NOT NULL"
        self.workspace.execute(
            f"CREATE OR REPLACE TABLE grow_alike AS SELECT fresh, similarity, name FROM grow_named JOIN ({ids}) USING (other) "
            "ORDER BY fresh"
        )

    def decide(self, name: str) -> tuple[int, Counter[str], int]:
        """Write what the round keeps and what became of every prompt that it asked for.

        `name` is the source of what is kept. Return how many are kept, how many aren't by kind of reason, and how many failed.
        """
        rejected: Counter[str] = Counter()
        failures = 0
        with (
            PartWriter(self.files.grown(self.round), GROWN) as grown,
            PartWriter(self.files.prompts(self.round), STAGED) as kept,
        ):
            for rows in batches(self.files.candidates(self.round)):
                gone = self._alike(rows)
                for row in rows:
                    if row["fresh"] in gone:
                        row |= {"outcome": "rejected", "reason": _said(*gone[row["fresh"]], row["parents"])}
                    if row["outcome"] == "kept":
                        made = self._prompt(row, name)
                        row["prompt_id"] = made["prompt_id"]
                        kept.write(made | {"ord": kept.written})
                    elif row["outcome"] == "failed":
                        failures += 1
                    else:
                        rejected[row["reason"].partition(":")[0]] += 1
                    grown.write({column: row[column] for column in GROWN.names})
        return kept.written, rejected, failures

    def _alike(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, tuple[float | None, str]]:
        fresh = [row["fresh"] for row in rows if row["fresh"] is not None]
        if not fresh:
            return {}
        within = f"SELECT fresh, similarity, name FROM grow_alike WHERE fresh BETWEEN {fresh[0]} AND {fresh[-1]}"
        return {number: (similarity, name) for number, similarity, name in self.workspace.rows(within)}

    def _prompt(self, row: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return a candidate as a row of `STAGED`."""
        messages = [*row["before"], {"role": "user", "content": row["prompt"]}]
        identifier = prompt_id(
            messages=[Message(**turn) for turn in messages],
            reference=None,
            tests=None,
            tags=dict(row["tags"]),
            license=row["license"],
        )
        return {
            "prompt_id": identifier,
            "messages": messages,
            "prompt": row["prompt"],
            "tags": row["tags"],
            "source": name,
            "license": row["license"],
            "generation": row["generation"],
            "parents": row["parents"],
            "grown_by": self.options.grown_by(row["operation"]),
            "place": f"{name}: prompt {row['place']} of sample {row['sample_id']}",
            "given": False,
        }


def _said(similarity: float | None, name: str, parents: Sequence[str]) -> str:
    """Return why a text is rejected that is like another one."""
    whose = "its parent " if name in parents else ""
    return f"duplicate: of {whose}{name}" if similarity is None else f"near-duplicate: of {whose}{name} ({similarity:.3f})"
