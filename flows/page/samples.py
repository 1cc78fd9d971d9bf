"""Samples: those that a page embeds, as an index for lists and filters and as chunks of texts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import orjson

from flows.page.embed import packed
from tasks.browse.entries import Entry

CHUNK_BYTES = 400_000
"""Of texts that are packed together: little enough for a browser to unpack and look through in one frame or two."""
TITLE = 140
"""Characters of a prompt that a list shows."""
TEXT = 60_000
"""Characters of one text that are embedded; of longer ones the page says how many more there are."""

_COLUMNS = ("place", "id", "title", "source", "tagged", "first", "teacher", "strategy", "end", "failed")
_NAMED = ("sources", "tags", "teachers", "strategies", "ends", "verifiers", "failures")


class Names:
    """Numbers for what occurs, in the order of first occurrence."""

    def __init__(self, known: Sequence[Hashable] = ()) -> None:
        """Give what is known the first numbers."""
        self._numbers: dict[Hashable, int] = {each: number for number, each in enumerate(known)}

    def of(self, name: Hashable) -> int:
        """Return a name's number."""
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def listed(self) -> list[Hashable]:
        """All names, by number."""
        return list(self._numbers)


@dataclass(kw_only=True)
class Index:
    """What lists and filters need, by column."""

    verifiers: Sequence[str]
    """The build's, by name."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """What to call a source instead, by source."""
    prompts: int = 0
    """So far."""
    samples: int = 0
    """So far."""
    _columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    _names: dict[str, Names] = field(default_factory=lambda: {name: Names() for name in _NAMED})

    def __post_init__(self) -> None:
        self._names["verifiers"] = Names(list(dict.fromkeys(self.verifiers)))

    def add(self, entry: Entry) -> dict[str, Any]:
        """Note a prompt with its samples, and return its texts for a chunk."""
        columns, names, prompt = self._columns, self._names, entry.prompt
        columns["place"].append(entry.place)
        columns["id"].append(prompt.prompt_id)
        columns["title"].append(" ".join(prompt.prompt[: 4 * TITLE].split())[:TITLE])
        columns["source"].append(names["sources"].of(self.addresses.get(prompt.source, prompt.source)))
        columns["tagged"].append([names["tags"].of(tag) for tag in prompt.tags.items()])
        columns["first"].append(self.samples)
        for sample in entry.samples:
            columns["teacher"].append(names["teachers"].of(sample["teacher"]))
            columns["strategy"].append(names["strategies"].of(sample["strategy"]))
            columns["end"].append(names["ends"].of((sample["outcome"], sample["stage"], sample["kind"])))
            failed = sorted({names["verifiers"].of(each["verifier"]) for each in sample["verdicts"] if each["passed"] is False})
            columns["failed"].append(names["failures"].of(tuple(failed)))
        self.prompts += 1
        self.samples += len(entry.samples)
        return texts_of(entry, names["verifiers"])

    def columns(self) -> dict[str, Any]:
        """Return all of it, and what its numbers stand for."""
        return {**self._columns, **{name: each.listed for name, each in self._names.items()}}


def texts_of(entry: Entry, verifiers: Names) -> dict[str, Any]:
    """Return what a reader shows of a prompt, without what is null."""
    prompt = entry.prompt
    sent: list[Any] = []
    samples = []
    for sample in entry.samples:
        told = _told(sample, verifiers)
        if sample["messages"] is not None:
            if sample["messages"] not in sent:
                sent.append(sample["messages"])
            told["sent"] = sent.index(sample["messages"])
        samples.append(told)
    whole = {
        "prompt": _cut(prompt.prompt),
        "reference": _cut(prompt.reference),
        "tests": _cut(prompt.tests),
        "license": prompt.license,
        "grown_by": prompt.grown_by,
        "sent": [[[turn["role"], _cut(turn["content"])] for turn in messages] for messages in sent],
        "samples": samples,
    }
    return _without_nulls(whole)


_TOLD = (
    *("sample_index", "sample_id", "model", "reason", "score", "finish_reason", "tokens_in", "tokens_out", "tokens_reasoning"),
    *("cost_usd", "latency_s", "temperature"),
)


def _told(sample: Mapping[str, Any], verifiers: Names) -> dict[str, Any]:
    verdicts = [
        [verifiers.of(each["verifier"]), each["passed"], each["score"], _cut(each["reason"])] for each in sample["verdicts"]
    ]
    texts = {"response": _cut(sample["response"]), "reasoning": _cut(sample["reasoning"]), "verdicts": verdicts}
    return _without_nulls({name: sample[name] for name in _TOLD} | texts)


def _cut(text: str | None) -> str | list[Any] | None:
    """Return a text or, where it is too long, its beginning with the number of characters that are left out."""
    return text if text is None or len(text) <= TEXT else [text[:TEXT], len(text) - TEXT]


def _without_nulls(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if value is not None and value != []}


class Chunks:
    """Writes texts, so many bytes packed together, as elements of a page."""

    def __init__(self, file: IO[str]) -> None:
        """Write to a file."""
        self._file = file
        self._held: list[bytes] = []
        self._bytes = 0
        self._first = 0

    def add(self, number: int, texts: Mapping[str, Any]) -> None:
        """Add a prompt's texts. Numbers rise by one."""
        if not self._held:
            self._first = number
        self._held.append(orjson.dumps(texts))
        self._bytes += len(self._held[-1])
        if self._bytes >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            data = packed(b"[" + b",".join(self._held) + b"]")
            self._file.write(f'<script type="text/plain" class="texts" data-first="{self._first}">{data}</script>\n')
            self._held, self._bytes = [], 0
