"""Decontaminate: what has items of held-out benchmarks in it is rejected, a prompt before anything is bought for it.

Prompts and responses stream by once each; what is joined afterwards is ids.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SpecError
from storage.parquet import PartWriter
from storage.records import Message, Prompt
from storage.rows import prompt_of
from storage.schemas import PROMPTS
from storage.sql import literal
from storage.wording import counted
from storage.workspace import Workspace
from tasks.barred import bar
from tasks.heldout.benchmarks import Benchmark, Heldout, read_heldout
from tasks.heldout.blocks import Hit, Text
from tasks.heldout.index import Index, make_index
from tasks.heldout.matching import Matching
from tasks.prepare import staged_files
from tasks.templates import Template

STAGE = "decontaminate"
HITS = pa.schema(
    [
        ("number", pa.int64()),
        ("ord", pa.int64()),
        ("sample_id", pa.string()),
        ("place", pa.int32()),
        ("item", pa.int64()),
        ("share", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""`ord` of a prompt's, `sample_id` of a response's. `number` tells them apart, and means nothing."""
ROWS = 1_000
"""Read at a time."""
PLACES = ("prompt", "response", "reasoning")
"""Where an item may be found: of two that are as large, the first is told."""
Check = Callable[[], None]


class Decontamination:
    """The benchmarks of a spec, in memory while a build lasts."""

    def __init__(
        self,
        benchmarks: Sequence[Benchmark],
        *,
        seed: int,
        check: Check = lambda: None,
        where: Callable[[int], str] | None = None,
    ) -> None:
        """Read the benchmarks. `check` may raise to stop what takes long. Raise SourceError where one can't be read.

        `where` names a benchmark by its number for messages, in place of its title.
        """
        self.heldout: Heldout = read_heldout(benchmarks, seed=seed, where=where)
        self.index: Index = make_index(self.heldout)
        self._check = check
        self._prompts: Matching = Matching(index=self.index)
        self._samples: Matching = self._prompts

    def lines(self) -> Iterator[str]:
        """Yield a line for each benchmark: how many items it has, and how many of them can't be found everywhere."""
        for number, benchmark in enumerate(self.heldout.benchmarks):
            items = sum(each == number for each, _ in self.heldout.items)
            asked = {part for parts in self.index.whole.values() for part in parts if part not in self.index.short}
            few = sum(self.index.heldout.parts[part].benchmark == number for part in asked)
            less = f"; {few:,} of them have so few words that only a prompt which is the item counts" if few else ""
            yield f"{benchmark.title}: {counted(items, 'held-out item')}{less}"

    def check_template(self, texts: Mapping[str, str], *, where: str) -> None:
        """Raise SpecError where a text that every prompt gets has an item in it."""
        named = (Text(key=name, prompt=name, where=name, text=text) for name, text in texts.items())
        for hit in Matching(index=self.index).find(named):
            raise SpecError(
                f"{where}: {hit.key}: every prompt would be contaminated, with {self.reason(hit)}; take it out, or the benchmark"
            )

    def reason(self, hit: Hit) -> str:
        """Return what an outcome says of a hit: the benchmark, the item, and what is the same."""
        number, name = self.heldout.items[hit.item]
        return f'{self.heldout.benchmarks[number].title}, item {name}: {hit.how} in the {hit.where}: "{hit.overlap}"'

    def bar(self, workspace: Workspace, exempt: Collection[str], template: Template | None = None) -> int:
        """Bar the contaminated prompts, but for those of the sources `exempt`; return how many. See `tasks.barred`.

        `template`: what they are sent by, where that may add something to them. What is common goes by these prompts alone,
        whatever others were looked at before.
        """
        listed = ", ".join(map(literal, exempt)) or "NULL"
        workspace.execute(f"CREATE TABLE exempt AS SELECT ord FROM prompts WHERE source IN ({listed}) ORDER BY ord")
        hits = workspace.folder / "contaminated-prompts.parquet"
        self._prompts = Matching(index=self.index)
        self._write(hits, self._prompts, self._staged(workspace, set(exempt), template), key="ord")
        return bar(workspace, STAGE, _largest(hits, "ord"))

    def reject(self, workspace: Workspace, *, again: bool = False) -> None:
        """Reject the `candidates` still in whose response or reasoning is contaminated; `again`: of those that came back."""
        hits = workspace.folder / "contaminated-responses.parquet"
        wanted = "SELECT sample_id FROM candidates ANTI JOIN exempt USING (ord) WHERE stage IS NULL"
        if again:  # what is common was found at first
            wanted += " AND returned"
            self._samples.counts = False
        else:
            self._samples = Matching(index=self.index, common=self._prompts.common)
        self._write(hits, self._samples, self._responses(workspace, wanted), key="sample_id")
        workspace.execute(f"CREATE TABLE contaminated AS {_largest(hits, 'sample_id')}")
        workspace.execute(
            f"UPDATE candidates SET stage = '{STAGE}', reason = contaminated.reason FROM contaminated "
            "WHERE candidates.sample_id = contaminated.sample_id AND stage IS NULL AND ord NOT IN (FROM exempt)"
        )
        workspace.execute("DROP TABLE contaminated")

    def clear(self, workspace: Workspace, slots: str) -> None:
        """Delete from a table of slots those whose sample is contaminated. What is common, `reject` has found before."""
        hits = workspace.folder / "contaminated-others.parquet"
        wanted = f"SELECT sample_id FROM {slots} ANTI JOIN exempt USING (ord)"
        self._samples.counts = False
        self._write(hits, self._samples, self._responses(workspace, wanted), key="sample_id")
        found = f"SELECT sample_id FROM read_parquet({literal(hits)})"
        workspace.execute(f"DELETE FROM {slots} WHERE sample_id IN ({found}) AND ord NOT IN (FROM exempt)")

    def contaminated(self, texts: Iterable[Text]) -> set[int | str]:
        """Return the keys of the texts that have an item in them, judged by these texts alone."""
        matching: Matching = Matching(index=self.index)
        return {hit.key for hits in (matching.find(texts), matching.finish()) for hit in hits}

    def _write(self, path: Path, matching: Matching, texts: Iterator[Text], *, key: str) -> None:
        with PartWriter(path, HITS) as writer:
            for hits in (matching.find(texts), matching.finish()):
                for hit in hits:
                    writer.write(
                        {
                            "number": writer.written,
                            key: hit.key,
                            "place": PLACES.index(hit.where),
                            "item": hit.item,
                            "share": hit.share,
                            "reason": self.reason(hit),
                        }
                    )

    def _staged(self, workspace: Workspace, exempt: set[str], template: Template | None) -> Iterator[Text]:
        adding = template if template is not None and template.adds else None
        columns = ["ord", "prompt_id", "messages", "source"] if adding is None else [*PROMPTS.names, "ord", "place"]
        for path in sorted(staged_files(workspace).iterdir()):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=ROWS, columns=columns):
                    self._check()
                    for row in batch.to_pylist():
                        if row["source"] in exempt:
                            continue
                        turns = row["messages"]
                        if adding is not None:
                            turns = _with_sent(turns, _sent(adding, prompt_of(row), row["place"]))
                        yield from prompt_texts(row["ord"], row["prompt_id"], turns)

    def _responses(self, workspace: Workspace, wanted: str) -> Iterator[Text]:
        columns = "sample_id, prompt_id, response, reasoning"
        for batch in workspace.stream(f"SELECT {columns} FROM samples WHERE sample_id IN ({wanted})", rows=ROWS):
            self._check()
            for row in batch.to_pylist():
                yield from response_texts(row["sample_id"], row["prompt_id"], row["response"], row["reasoning"])


def _sent(template: Template, prompt: Prompt, place: str) -> list[Message]:
    """Return all that is sent of a prompt, by whichever strategy."""
    by_strategy = (template.render(prompt, place=place, strategy=strategy) for strategy in template.strategies(prompt))
    return list(dict.fromkeys(message for messages in by_strategy for message in messages))


def _with_sent(turns: Sequence[Mapping[str, str]], sent: Sequence[Message]) -> list[Mapping[str, str]]:
    """Return what is sent of a prompt beside its own turns, and then these."""
    own = {turn["content"] for turn in turns}
    return [*({"content": message.content} for message in sent if message.content not in own), *turns]


def prompt_texts(key: int | str, prompt_id: str, messages: Sequence[Mapping[str, str]]) -> Iterator[Text]:
    """Yield the texts of a prompt: all of its turns, of which the last is what the user asks."""
    last = len(messages) - 1
    for number, message in enumerate(messages):
        yield Text(key=key, prompt=prompt_id, where="prompt", text=message["content"], whole=number == last)


def response_texts(key: str, prompt_id: str, response: str, reasoning: str | None) -> Iterator[Text]:
    """Yield the texts of a sample."""
    yield Text(key=key, prompt=prompt_id, where="response", text=response)
    if reasoning:
        yield Text(key=key, prompt=prompt_id, where="reasoning", text=reasoning)


def _largest(hits: Path, key: str) -> str:
    """Return the query for the reason of each prompt's or sample's largest hit; texts only stream through it."""
    order = "(-share, item, place, md5_number(reason))"
    best = f"SELECT arg_min(number, {order}) AS number FROM read_parquet({literal(hits)}) GROUP BY {key}"
    return f"SELECT {key}, reason FROM read_parquet({literal(hits)}) WHERE number IN ({best})"
