"""Blocks: some texts at a time, as the numbers by which items are found in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from tasks.heldout.index import Index, Words
from tasks.words import Hashes, Numbers, grams, hash_words, normal, of_each

BLOCK_CHARS = 200_000
"""Texts are looked at together up to so many characters, for which all numbers fit into a processor's cache."""
BLOCK_TEXTS = 1_000
SHOWN = 100
"""Characters of an overlap that a reason quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that items are looked for in."""

    key: int | str
    """The caller's own: whose text it is."""
    prompt: int | str
    """What it belongs to: texts of one prompt count once where it is told how common an n-gram is."""
    where: str
    """What it is: prompt, response, reasoning."""
    text: str
    """The text."""
    whole: bool = False
    """Whether an item with few words that is all of it is found in it: the user's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An item that a text has something of."""

    key: int | str
    """The text's."""
    prompt: int | str
    """The text's."""
    where: str
    """The text's."""
    item: int
    """The item's number in `Heldout.items`."""
    share: float
    """How much of the item's own words, or of its character n-grams, is there: 0 to 1."""
    how: str
    """What is the same, in words."""
    overlap: str
    """It, in normal form and shortened."""


class Block:
    """Some texts, as numbers. Words are counted over all of them."""

    def __init__(self, texts: Sequence[tuple[Text, str]]) -> None:
        """Take texts with their normal forms, none of which is empty."""
        self.texts = [text for text, _ in texts]
        self.normal = [normal_ for _, normal_ in texts]
        self.joined = " ".join(self.normal)
        self.hashes = hash_words(self.joined)
        counts = np.array([text.count(" ") + 1 for text in self.normal], np.int64)
        self.text_of = of_each(counts)
        self.first = np.concatenate(([0], np.cumsum(counts)))
        self._split: dict[int, list[str]] = {}

    @cached_property
    def begins(self) -> Numbers:
        """Where each text begins in `joined`."""
        lengths = np.array([len(text) + 1 for text in self.normal], np.int64)
        return np.asarray(np.cumsum(lengths) - lengths, np.int64)

    def look_up(self, words: Words) -> tuple[Numbers, Numbers]:
        """Return where in the block n-grams of the index stand within one text, and their numbers."""
        places, numbers = words.grams.look_up(grams(self.hashes, words.size))
        within = self.text_of[places] == self.text_of[places + words.size - 1]
        return places[within], numbers[within]

    def hashes_of(self, number: int) -> Hashes:
        """Return a text's words."""
        return self.hashes[int(self.first[number]) : int(self.first[number + 1])]

    def quote(self, number: int, words: slice) -> str:
        """Return some of a text's words, which are counted over the block."""
        if number not in self._split:
            self._split = {number: self.normal[number].split(" ")}
        first = int(self.first[number])
        return shortened(" ".join(self._split[number][max(words.start - first, 0) : max(words.stop - first, 0)][:SHOWN]))

    def hit(self, index: Index, number: int, part: int, *, share: float, how: str, words: slice) -> Hit:
        """Return a hit in a text that quotes these words of it."""
        text, row = self.texts[number], index.heldout.parts[part].row
        return Hit(
            key=text.key, prompt=text.prompt, where=text.where, item=row, share=share, how=how, overlap=self.quote(number, words)
        )


def blocks(texts: Iterable[Text]) -> Iterator[Block]:
    """Yield the texts in blocks, less those without a word."""
    source = iter(texts)
    while some := list(islice(source, BLOCK_TEXTS)):
        block: list[tuple[Text, str]] = []
        size = 0
        for text in some:
            if not (made := normal(text.text)):
                continue
            if block and size + len(made) > BLOCK_CHARS:
                yield Block(block)
                block, size = [], 0
            block.append((text, made))
            size += len(made)
        if block:
            yield Block(block)


def shortened(text: str) -> str:
    """Return a text, cut off where it is too long to be quoted."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1].rstrip()}…"
