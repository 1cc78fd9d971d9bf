"""Prompt erasing: rows that show a prompt without what told the teacher how to answer it.

A student that is shown the answer and not the instruction that called it forth has to learn when to answer so (Orca 2: Mitra et
al. 2023, arXiv:2311.11045). What is erased is all that the spec's `template` put there: its system text or a strategy's, and
what a strategy made of the user's text. A system text of the prompt's own that was sent stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from storage.lake import Lake, Manifest
from storage.parquet import read_batches
from storage.records import Prompt
from storage.rows import prompt_of
from tasks.publishing.refuted import PromptSamples
from tasks.templates import Template, TemplateOptions

PROMPTS = 1_000
"""Prompts that are read at a time."""
Row = Mapping[str, Any]


def erased(source: Iterable[Any], lake: Lake, build: Manifest, *, neutral: str | bool) -> Iterator[Any]:
    """Yield a build's traces, or `PromptSamples`, as rows are to show them.

    `neutral` is the text that every row without a system text gets; True: none. Rows come in the snapshot's order, as its prompts
    do, so that one of them is held at a time. A row that was mixed in, which no teacher wrote, shows what it showed.
    """
    found = _Erasing(lake, build, neutral if isinstance(neutral, str) else None)
    for each in source:
        if isinstance(each, PromptSamples):
            kept, refuted = (tuple(map(found.of, rows)) for rows in (each.kept, each.refuted))
            yield replace(each, kept=kept, refuted=refuted)
        else:
            yield found.of(each)


class _Erasing:
    def __init__(self, lake: Lake, build: Manifest, neutral: str | None) -> None:
        options = TemplateOptions.model_validate(build.get("spec", {}).get("template", {}))
        self._template = Template(options.plain, where=build["dataset"])
        self._neutral = neutral
        self._prompts = _prompts(lake, build)
        self._prompt: Prompt | None = None

    def of(self, row: Row) -> Row:
        """Return a row as it is to be shown."""
        turns = row["messages"] if row["teacher"] is None else self._asked(row)
        if self._neutral is not None and not any(turn["role"] == "system" for turn in turns):
            turns = [{"role": "system", "content": self._neutral}, *turns]
        system = next((turn["content"] for turn in turns if turn["role"] == "system"), None)
        return {**row, "messages": turns, "system": system}

    def _asked(self, row: Row) -> list[dict[str, str]]:
        """Return the turns that were sent, less what the template had them say."""
        while self._prompt is None or self._prompt.prompt_id != row["prompt_id"]:
            self._prompt = next(self._prompts)
        own = self._template.render(self._prompt, place=self._prompt.prompt_id)
        sent = [turn["content"] for turn in row["messages"] if turn["role"] == "system"]
        stays = sent == [message.content for message in own if message.role == "system"]
        return [{"role": each.role, "content": each.content} for each in own if stays or each.role != "system"]


def _prompts(lake: Lake, build: Manifest) -> Iterator[Prompt]:
    for path in sorted(lake.snapshot("prompts", build["dataset"], build["build_id"]).glob("*.parquet")):
        for batch in read_batches(path, rows=PROMPTS):
            yield from map(prompt_of, batch.to_pylist())
