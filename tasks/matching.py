"""Matching: texts stream by, and what they have in common with held-out items comes out.

An n-gram that turns up in more prompts than `COMMON` is a form of words of the dataset, and no evidence by itself, unless half of
the item is there with it. Whether it does is known when all texts have been seen; so what hangs on such n-grams alone is kept
until `finish`, and no verdict depends on the order of the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from tasks.overlap import CHAR_SHARE, COMMON, Index, Words
from tasks.words import CHARS, Numbers, grams, hash_chars, hash_words, normal, of_each

BLOCK_CHARS = 200_000
"""Texts are looked at together up to so many characters, for which all numbers fit into a processor's cache."""
BLOCK_TEXTS = 1_000
HALF = 0.5
"""Of an item's own words: where so many are there, it doesn't matter how common they are."""
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


@dataclass(frozen=True, slots=True)
class _Loose:
    """A hit that counts if one of its n-grams isn't common."""

    hit: Hit
    table: int
    grams: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Matching:
    """Looks for the items of an index in texts. Memory grows with the index and with what is in doubt, not with the texts."""

    index: Index
    """What is looked for."""
    common: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    """Which n-grams of each of the index's lengths are forms of words. Given at first: those that are known to be."""
    _prompts: list[dict[int, set[int | str]]] = field(default_factory=list)
    _loose: list[_Loose] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.common:
            self.common = [np.zeros(len(words.grams), np.bool_) for words in self.index.words]
        self.common = [known.copy() for known in self.common]
        self._prompts = [{} for _ in self.index.words]

    def find(self, texts: Iterable[Text]) -> Iterator[Hit]:
        """Yield the hits that are certain. Call `finish` at the end for the others."""
        for block in _blocks(texts):
            yield from self._find(block)

    def finish(self) -> Iterator[Hit]:
        """Yield the hits that no form of words accounts for, now that all texts are known."""
        for loose in self._loose:
            if not all(self.common[loose.table][gram] for gram in loose.grams):
                yield loose.hit
        self._loose.clear()

    def _find(self, block: _Block) -> Iterator[Hit]:
        index = self.index
        certain: set[tuple[int, int]] = set()
        for table, words in enumerate(index.words):
            yield from self._runs(block, table, words, certain)
        for words in index.seeds:
            yield from _near(index, block, words, certain)
        if index.chars is not None:
            yield from _short(index, block)
        yield from _whole(index, block)

    def _runs(self, block: _Block, table: int, words: Words, certain: set[tuple[int, int]]) -> Iterator[Hit]:
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
        begins = _begins(text, part)
        ends = np.append(begins[1:], len(text))
        # Each n-gram covers its words but for those that the next one begins with.
        covers = np.full(len(at), words.size, np.int64)
        covers[:-1] = np.minimum(covers[:-1], at[1:] - at[:-1])
        covers[ends - 1] = words.size
        shares = np.add.reduceat(covers, begins) / self.index.owned[part[begins]]
        rare = ~self.common[table][gram]
        for each in np.flatnonzero((shares >= HALF) | np.logical_or.reduceat(rare, begins)).tolist():
            first, last = int(begins[each]), int(ends[each])
            whose, share = int(part[first]), float(shares[each])
            which = int(text[first])
            begin, length = _longest(np.unique(place[first:last]))
            hit = block.hit(
                self.index,
                which,
                whose,
                share=share,
                how=f"{length + words.size - 1} words in a row",
                words=slice(begin, begin + length + words.size - 1),
            )
            if share >= HALF:
                certain.add((which, whose))
                yield hit
            else:
                mine = gram[first:last][rare[first:last]]
                self._loose.append(_Loose(hit, table, tuple(np.unique(mine).tolist())))

    def _count(self, block: _Block, table: int, places: Numbers, numbers: Numbers) -> None:
        """Note which prompts have n-grams that aren't known to be common yet."""
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


class _Block:
    """Some texts, as numbers."""

    def __init__(self, texts: Sequence[tuple[Text, str]]) -> None:
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

    def quote(self, number: int, words: slice) -> str:
        """Return some of a text's words, which are counted over the block."""
        if number not in self._split:
            self._split = {number: self.normal[number].split(" ")}
        first = int(self.first[number])
        return _shortened(" ".join(self._split[number][max(words.start - first, 0) : max(words.stop - first, 0)][:SHOWN]))

    def hit(self, index: Index, number: int, part: int, *, share: float, how: str, words: slice) -> Hit:
        """Return a hit in a text that quotes these words of it."""
        text, row = self.texts[number], index.heldout.parts[part].row
        return Hit(
            key=text.key, prompt=text.prompt, where=text.where, item=row, share=share, how=how, overlap=self.quote(number, words)
        )


def _blocks(texts: Iterable[Text]) -> Iterator[_Block]:
    source = iter(texts)
    while some := list(islice(source, BLOCK_TEXTS)):
        block: list[tuple[Text, str]] = []
        size = 0
        for text in some:
            if not (made := normal(text.text)):
                continue
            if block and size + len(made) > BLOCK_CHARS:
                yield _Block(block)
                block, size = [], 0
            block.append((text, made))
            size += len(made)
        if block:
            yield _Block(block)


def _near(index: Index, block: _Block, words: Words, certain: set[tuple[int, int]]) -> Iterator[Hit]:
    """Yield the pairs of a text and a part of which most words stand in the same order in a stretch of the text."""
    places, numbers = block.look_up(words)
    if not len(places):
        return
    found = words.grams.expand(places, numbers)
    text = block.text_of[found.place]
    order = np.lexsort((found.gram, found.part, text))
    text, part, gram = text[order], found.part[order], found.gram[order]
    lag = (found.place - found.at)[order]
    begins = _begins(text, part)
    new = np.ones(len(gram), np.int64)
    new[1:] = gram[1:] != gram[:-1]
    new[begins] = 1
    kinds = np.add.reduceat(new, begins)
    needed = np.array([words.needed[whose] for whose in part[begins].tolist()], np.int64)
    ends = np.append(begins[1:], len(text))
    for each in np.flatnonzero(kinds >= needed).tolist():
        first, last = int(begins[each]), int(ends[each])
        which, whose = int(text[first]), int(part[first])
        if (which, whose) in certain:
            continue
        length = index.length(whose)
        slack = 2 + length // 10
        start = _crowded(lag[first:last], slack)
        low = max(start - slack, int(block.first[which]))
        high = min(start + length + 2 * slack, int(block.first[which + 1]))
        counted = int(index.owned[whose])
        same = index.in_order(whose, block.hashes[low:high])
        near = index.heldout.benchmarks[index.heldout.parts[whose].benchmark].near
        if same >= near * counted - 1e-9:
            how = f"{same} of {counted} words in their order"
            yield block.hit(index, which, whose, share=same / counted, how=how, words=slice(max(start, low), start + length))


def _short(index: Index, block: _Block) -> Iterator[Hit]:
    """Yield the pairs of a text and an item with few words that have most character n-grams in common, close together."""
    if index.chars is None:
        return
    places, numbers = index.chars.look_up(hash_chars(f" {block.joined} "))
    found = index.chars.expand(places, numbers)
    text = np.maximum(np.searchsorted(block.begins, found.place, side="right") - 1, 0)
    lag = found.place - block.begins[text] - found.at
    tried: dict[tuple[int, int], set[int]] = {}
    for which, whose, shift in zip(text.tolist(), found.part.tolist(), lag.tolist(), strict=True):
        tried.setdefault((which, whose), set()).add(shift)
    for (which, whose), shifts in tried.items():
        short, padded = index.short[whose], f" {block.normal[which]} "
        best, shown = 0.0, ""
        for shift in sorted(shifts):
            # `at` counts from the part's first word, of which forms of words may stand before its own.
            window = _window(padded, shift, short.span, whose, index)
            share = len(short.grams & {window[i : i + CHARS] for i in range(len(window) - CHARS + 1)}) / len(short.grams)
            if share > best and short.numbers <= set(window.split()):
                best, shown = share, window
        if best >= CHAR_SHARE:
            row = index.heldout.parts[whose].row
            how = f"{best:.0%} of its characters' {CHARS}-grams"
            yield Hit(
                key=block.texts[which].key,
                prompt=block.texts[which].prompt,
                where=block.texts[which].where,
                item=row,
                share=best,
                how=how,
                overlap=_shortened(shown.strip()),
            )


def _window(padded: str, shift: int, span: int, whose: int, index: Index) -> str:
    """Return the stretch of a text in which an item's own words would stand, cut between words."""
    begin = shift + index.short[whose].begin
    slack = CHARS + span // 10
    low, high = max(begin - slack, 0), min(begin + span + 2 + slack, len(padded))
    low = padded.rfind(" ", 0, low + 1)
    high = padded.find(" ", max(high - 1, 0))
    return padded[max(low, 0) : high + 1 if high >= 0 else len(padded)]


def _whole(index: Index, block: _Block) -> Iterator[Hit]:
    """Yield the prompts that are an item with few words and nothing else."""
    for number, text in enumerate(block.texts):
        if text.whole:
            for part in index.whole.get(block.normal[number], ()):
                words = slice(int(block.first[number]), int(block.first[number + 1]))
                yield block.hit(index, number, part, share=1.0, how="all of it", words=words)


def _begins(text: Numbers, part: Numbers) -> Numbers:
    """Return where a new pair begins among sorted ones."""
    new = np.ones(len(text), np.bool_)
    new[1:] = (text[1:] != text[:-1]) | (part[1:] != part[:-1])
    return np.flatnonzero(new)


def _longest(places: Numbers) -> tuple[int, int]:
    """Return where the longest run of consecutive places begins, and how many there are in it."""
    begins = np.flatnonzero(np.concatenate(([True], np.diff(places) != 1)))
    lengths = np.diff(np.append(begins, len(places)))
    best = int(np.argmax(lengths))
    return int(places[begins[best]]), int(lengths[best])


def _crowded(lags: Numbers, slack: int) -> int:
    """Return where most of a part's n-grams say that it begins in the text."""
    lags = np.sort(lags)
    behind = np.searchsorted(lags, lags + slack, side="right") - np.arange(len(lags))
    return int(lags[int(np.argmax(behind))])


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1].rstrip()}…"
