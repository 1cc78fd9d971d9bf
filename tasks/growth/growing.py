"""Growing prompts from one source: its seeds are staged, then each round asks, reads the answers and keeps what is new.

Texts lie in files, in the order in which they are staged, asked for and kept; what is joined and held in memory is numbers. So
the same spec on the same store gives the same prompts in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.errors import SourceError
from storage.parquet import PartWriter
from storage.records import Message, Prompt
from storage.rows import prompt_of, prompt_row
from storage.sql import literal, parquet_files
from storage.workspace import Workspace
from tasks.decontaminate import Decontamination, prompt_texts
from tasks.growth.counts import GrownCounts
from tasks.growth.files import REQUESTS, ROWS, STAGED, Files, batches, start
from tasks.growth.options import GrowOptions
from tasks.growth.reading import Reading
from tasks.growth.requests import WINDOW, Ask, asks, check_seed, generation, license_of
from tasks.license import LicenseOptions, refusal
from tasks.prepare import Asked
from tasks.sources import Found, PromptSource
from tasks.teachers.options import TeacherOptions
from tasks.tokens import estimate_messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Answers to one request that the lake hasn't got."""

    prompt_id: str
    """The seed's."""
    key: str
    """`storage.identity.request_key`."""
    messages: tuple[Message, ...]
    """What is sent."""
    indices: tuple[int, ...]
    """Of the samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How one round stands."""

    requests: int
    """That it has."""
    missing: int
    """Answers that the lake hadn't got when it was staged, each counted once."""
    unasked: int = 0
    """Requests that nobody had asked when it was read."""
    kept: int = 0
    """Prompts that came of it."""


@dataclass(slots=True, kw_only=True)
class Growing:
    """One growing source. Call `stage`, then for each round `ask`, get what is `wanted`, and `read`."""

    workspace: Workspace
    """Of the build."""
    number: int
    """The source's, in the spec."""
    source: PromptSource
    """With `grow`."""
    teacher: TeacherOptions
    """Whom it asks."""
    asked: Asked
    """What that teacher adds to a request's address."""
    seed: int
    """The spec's."""
    licenses: LicenseOptions
    """Of which prompts may be seeds."""
    heldout: Decontamination | None = None
    """What no seed may have in it."""
    rounds: list[Round] = field(default_factory=list)
    """Those that were staged so far."""
    _staged: list[int] = field(default_factory=list)
    """How many prompts the source has, and each round has kept."""
    _left_out: Counter[str] = field(default_factory=Counter)
    _rejected: Counter[str] = field(default_factory=Counter)
    _failed: int = 0

    @property
    def options(self) -> GrowOptions:
        """What the spec says of it."""
        if self.source.grow is None:
            raise AssertionError("the source grows nothing")
        return self.source.grow

    @property
    def files(self) -> Files:
        """Where its files are."""
        folder = self.workspace.folder / "growing" / str(self.number)
        folder.mkdir(parents=True, exist_ok=True)
        return Files(folder)

    def stage(self, prompts: Iterable[Found]) -> None:
        """Take the source's prompts. Raise SourceError where one can't be a seed."""
        start(self.workspace)
        with PartWriter(self.files.prompts(0), STAGED) as writer:
            for found in prompts:
                check_seed(found.prompt, found.place)
                own = {"ord": writer.written, "place": found.place, "given": found.given}
                try:
                    writer.write(prompt_row(found.prompt) | own)
                except (UnicodeEncodeError, TypeError) as error:
                    raise SourceError(f"{found.place}: has a text that isn't Unicode (a lone surrogate): {error}") from error
        self._staged.append(writer.written)

    def ask(self) -> int:
        """Go on to the next round, stage its requests, and return how many answers the lake hasn't got."""
        number = len(self.rounds) + 1
        # What later rounds show beside what was grown is the source's own, so that they don't drift away from it.
        own = list(islice(self._parents(0), WINDOW)) if number > 1 and self.options.shown > 1 else []
        self._leave_out(number - 1)
        parents = self._parents(number - 1)
        path = self.files.requests(number)
        with PartWriter(path, REQUESTS, row_group=ROWS) as writer:
            for ask in asks(parents, self.options, self.asked, seed=self.seed, human=own):
                writer.write({"ord": writer.written} | self._row(ask))
        table = parquet_files([path])
        self.workspace.make_room(writer.written)
        self.workspace.execute(
            "CREATE OR REPLACE TABLE grow_missing AS SELECT min(ord) AS ord FROM "
            f"(SELECT ord, sample_id FROM {table} WHERE sample_id NOT IN (SELECT sample_id FROM samples)) GROUP BY sample_id"
        )
        self.workspace.execute(
            f"INSERT INTO grown_samples SELECT sample_id, {self.number}, {number}, tokens, "
            f"sample_id IN (SELECT sample_id FROM samples) FROM {table}"
        )
        ((missing,),) = self.workspace.rows("SELECT count(*) FROM grow_missing")
        self.rounds.append(Round(requests=writer.written, missing=missing))
        return int(missing)

    def _row(self, ask: Ask) -> dict[str, Any]:
        return {
            "key": ask.key,
            "sample_index": ask.sample_index,
            "sample_id": ask.sample_id,
            "tokens": estimate_messages(ask.messages),
            "messages": [{"role": each.role, "content": each.content} for each in ask.messages],
            "operation": ask.operation,
            "before": [{"role": each.role, "content": each.content} for each in ask.before],
            "parents": [each.prompt_id for each in ask.parents],
            "license": license_of(ask.parents, str(self.teacher.license)),
            "generation": generation(ask.parents, self.teacher.generation),
            "tags": list(ask.tags.items()),
        }

    def _leave_out(self, number: int) -> None:
        """Note from which prompts of a round nothing is grown: those that repeat others, and those that will be barred."""
        table = parquet_files([self.files.prompts(number)])
        name = f"left_out_{self.number}_{number}"
        self.workspace.execute(
            f"CREATE TABLE {name} AS SELECT ord, 'repeated' AS stage FROM "
            f"(SELECT ord, min(ord) OVER (PARTITION BY prompt_id) AS first FROM {table}) WHERE ord <> first"
        )
        listed = [license_ for (license_,) in self.workspace.rows(f"SELECT DISTINCT license FROM {table}")]
        refused = ", ".join(
            "(NULL)" if license_ is None else f"({literal(license_)})"
            for license_ in listed
            if refusal(license_, self.licenses) is not None
        )
        if refused:
            self.workspace.execute(
                f"INSERT INTO {name} SELECT ord, 'license' FROM {table} AS prompts JOIN (VALUES {refused}) AS refused(license) "
                f"ON prompts.license IS NOT DISTINCT FROM refused.license WHERE ord NOT IN (SELECT ord FROM {name})"
            )
        if self.heldout is not None and self.source.decontaminate:
            texts = (
                text
                for rows in batches(self.files.prompts(number), ["ord", "prompt_id", "messages"])
                for row in rows
                for text in prompt_texts(row["ord"], row["prompt_id"], row["messages"])
            )
            hits = sorted(map(int, self.heldout.contaminated(texts)))
            self.workspace.load("grow_hits", pa.table({"ord": pa.array(hits, pa.int64())}))
            self.workspace.execute(f"INSERT INTO {name} SELECT ord, 'decontaminate' FROM grow_hits ANTI JOIN {name} USING (ord)")
        self._left_out.update(dict(self.workspace.rows(f"SELECT stage, count(*) FROM {name} GROUP BY stage ORDER BY stage")))

    def _parents(self, number: int) -> Iterator[Prompt]:
        """Yield the prompts of a round from which others are grown. `_leave_out` must have noted the others."""
        for rows in batches(self.files.prompts(number)):
            gone = self._numbers(f"SELECT ord FROM left_out_{self.number}_{number}", rows)
            yield from (prompt_of(row) for row in rows if row["ord"] not in gone)

    def _numbers(self, query: str, rows: list[dict[str, Any]]) -> set[int]:
        if not rows:
            return set()
        within = f"{query} WHERE ord BETWEEN {rows[0]['ord']} AND {rows[-1]['ord']}"
        return {number for (number,) in self.workspace.rows(within)}

    def latest(self) -> int:
        """Return the latest generation of the seeds from which others are grown."""
        seeds, gone = parquet_files([self.files.prompts(0)]), f"SELECT ord FROM left_out_{self.number}_0"
        ((found,),) = self.workspace.rows(f"SELECT coalesce(max(generation), 0) FROM {seeds} WHERE ord NOT IN ({gone})")
        return int(found)

    def wanted(self) -> Iterator[Wanted]:
        """Yield what the round is missing; answers to one request that stand beside each other are wanted together."""

        def missing() -> Iterator[dict[str, Any]]:
            columns = ["ord", "key", "sample_index", "messages", "parents"]
            for rows in batches(self.files.requests(len(self.rounds)), columns):
                here = self._numbers("SELECT ord FROM grow_missing", rows)
                yield from (row for row in rows if row["ord"] in here)

        for key, group in groupby(missing(), key=lambda row: row["key"]):
            rows = list(group)
            yield Wanted(
                prompt_id=rows[0]["parents"][0],
                key=key,
                messages=tuple(Message(**each) for each in rows[0]["messages"]),
                indices=tuple(row["sample_index"] for row in rows),
            )

    def read(self, failed: Path | None = None) -> int:
        """Read the round's answers, and keep what is new. Return how many requests nobody has asked.

        `failed`: a file of `FAILED`, of those that got no answer.
        """
        number, now = len(self.rounds), self.rounds[-1]
        reading = Reading(
            workspace=self.workspace, files=self.files, options=self.options, source=self.source.source, round=number
        )
        unasked = reading.answers(now.requests, failed)
        reading.alike(self._staged)
        kept, rejected, failures = reading.decide(self.options.name(self.source.source))
        self._staged.append(kept)
        self._rejected.update(rejected)
        self._failed += failures
        self.rounds[-1] = Round(requests=now.requests, missing=now.missing, unasked=unasked, kept=kept)
        return unasked

    def found(self) -> Iterator[Found]:
        """Yield the source's prompts, unless the seeds aren't kept, and then what was grown, round by round."""
        for number in range(0 if self.options.keep_seeds else 1, len(self._staged)):
            for rows in batches(self.files.prompts(number)):
                for row in rows:
                    yield Found(prompt=prompt_of(row), place=row["place"], given=row["given"])

    def counts(self, paid: int = 0) -> GrownCounts:
        """Return what came of it. `paid`: answers that this run bought."""
        requests, missing = sum(each.requests for each in self.rounds), sum(each.missing for each in self.rounds)
        kept, rejected = sum(each.kept for each in self.rounds), dict(sorted(self._rejected.items()))
        return GrownCounts(
            source=self.source.source,
            method=self.options.method,
            teacher=self.options.teacher,
            seeds=self.rounds[0].requests // self.options.requests if self.rounds else 0,
            left_out=dict(sorted(self._left_out.items())),
            requests=requests,
            reused=requests - missing,
            paid=paid,
            asked=kept + sum(rejected.values()) + self._failed,
            kept=kept,
            rejected=rejected,
            failed=self._failed,
        )
