"""Matching: texts stream by, and what they have in common with held-out items comes out.

What more prompts than `COMMON` have is a form of words of the dataset, and no evidence. So it is with an n-gram, unless half of
the item and all of its numbers are there with it; and with an item that has other numbers in it, of which a dataset made of the
same templates is full. Whether they have it is known when all texts have been seen; so what hangs on that alone is kept until
`finish`, and no verdict depends on the order of the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tasks.heldout.blocks import Block, Hit, Text, blocks
from tasks.heldout.index import COMMON, Index, Words
from tasks.heldout.nearly import begins_of, near, short, whole
from tasks.words import Numbers

HALF = 0.5
"""Of an item's own words: where so many are there, it doesn't matter how common they are."""
_VARIED = -1
"""In the place of a table's number, of items with other numbers in them."""


@dataclass(frozen=True, slots=True)
class _Loose:
    """A hit that counts if something of it isn't common: one of a table's n-grams, or its item with other numbers."""

    hit: Hit
    table: int
    evidence: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Matching:
    """Looks for the items of an index in texts. Memory grows with the index and with what is in doubt, not with the texts."""

    index: Index
    """What is looked for."""
    common: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    """Which n-grams of each of the index's lengths are forms of words. Given at first: those that are known to be."""
    counts: bool = True
    """Whether what it sees decides what is common. Else that alone is which was found to be so far: in doubt it is a hit."""
    _prompts: list[dict[int, set[int | str]]] = field(default_factory=list)
    _varied: dict[int, set[int | str]] = field(default_factory=dict)
    _loose: list[_Loose] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.common:
            self.common = [np.zeros(len(words.grams), np.bool_) for words in self.index.words]
        self.common = [known.copy() for known in self.common]
        self._prompts = [{} for _ in self.index.words]

    def find(self, texts: Iterable[Text]) -> Iterator[Hit]:
        """Yield the hits that are certain. Call `finish` at the end for the others."""
        for block in blocks(texts):
            yield from self._find(block)

    def finish(self) -> Iterator[Hit]:
        """Yield the hits that no form of words accounts for, now that all texts are known."""
        for loose in self._loose:
            if not all(self._is_common(loose.table, each) for each in loose.evidence):
                yield loose.hit
        self._loose.clear()

    def _is_common(self, table: int, evidence: int) -> bool:
        if table == _VARIED:
            return len(self._varied[evidence]) > COMMON
        return bool(self.common[table][evidence])

    def _find(self, block: Block) -> Iterator[Hit]:
        index = self.index
        certain: set[tuple[int, int]] = set()
        for table, words in enumerate(index.words):
            yield from self._runs(block, table, words, certain)
        for words in index.seeds:
            for hit, whose, same_numbers in near(index, block, words, certain):
                if same_numbers:
                    yield hit
                    continue
                varied = self._varied.setdefault(whose, set())
                if len(varied) <= COMMON:
                    if self.counts:
                        varied.add(hit.prompt)
                    self._loose.append(_Loose(hit, _VARIED, (whose,)))
        yield from short(index, block)
        yield from whole(index, block)

    def _runs(self, block: Block, table: int, words: Words, certain: set[tuple[int, int]]) -> Iterator[Hit]:
        """Yield the pairs of a text and a part that have n-grams in common which are evidence."""
        places, numbers = block.look_up(words)
        if not len(places):
            return
        self._count(block, table, places, numbers)
        found = words.grams.expand(places, numbers)
        text = block.text_of[found.place]
        order = np.lexsort((found.at, found.part, text))
        text, part, at = text[order], found.part[order], found.at[order]
        place, gram = found.place[order], found.gram[order]
        begins = begins_of(text, part)
        ends = np.append(begins[1:], len(text))
        # Each n-gram covers its words but for those that the next one begins with.
        covers = np.full(len(at), words.size, np.int64)
        covers[:-1] = np.minimum(covers[:-1], at[1:] - at[:-1])
        covers[ends - 1] = words.size
        shares = np.add.reduceat(covers, begins) / self.index.owned[part[begins]]
        rare = ~self.common[table][gram]
        for each in np.flatnonzero((shares >= HALF) | np.logical_or.reduceat(rare, begins)).tolist():
            first, last = int(begins[each]), int(ends[each])
            which, whose, share = int(text[first]), int(part[first]), float(shares[each])
            half = share >= HALF and self.index.has_numbers(whose, block.hashes_of(which))
            mine = np.unique(gram[first:last][rare[first:last]])
            if not half and not len(mine):
                continue
            begin, length = _longest(np.unique(place[first:last]))
            length += words.size - 1
            hit = block.hit(
                self.index,
                which,
                whose,
                share=share,
                how=f"{length} words in a row",
                words=slice(begin, begin + length),
            )
            if half:
                certain.add((which, whose))
                yield hit
            else:
                self._loose.append(_Loose(hit, table, tuple(mine.tolist())))

    def _count(self, block: Block, table: int, places: Numbers, numbers: Numbers) -> None:
        """Note which prompts have n-grams that aren't known to be common yet."""
        if not self.counts:
            return
        common, prompts = self.common[table], self._prompts[table]
        open_ = ~common[numbers]
        for place, number in zip(block.text_of[places[open_]].tolist(), numbers[open_].tolist(), strict=True):
            if common[number]:
                continue
            mine = prompts.setdefault(number, set())
            mine.add(block.texts[place].prompt)
            if len(mine) > COMMON:
                common[number] = True
                del prompts[number]


def _longest(places: Numbers) -> tuple[int, int]:
    """Return where the longest run of consecutive places begins, and how many there are in it."""
    begins = np.flatnonzero(np.concatenate(([True], np.diff(places) != 1)))
    lengths = np.diff(np.append(begins, len(places)))
    best = int(np.argmax(lengths))
    return int(places[begins[best]]), int(lengths[best])
