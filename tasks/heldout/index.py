"""Overlap: the index by which texts that have something of a benchmark's items in them are found.

An n-gram that stands in many items says nothing of any: it is a form of words, such as an instruction. Words that such n-grams
cover are no part of an item here; the others are its own. What is evidence, by how many words of its own an item has:

    ngram or more    n-grams of words, and a stretch that has most of its words in their order
    fewer            n-grams of characters, most of which stand close together
    next to none     all of it, its forms of words included
    no more in all   a prompt that is the item and nothing else
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tasks.heldout.benchmarks import Heldout, Part
from tasks.heldout.grams import Grams
from tasks.words import CHARS, Hashes, Numbers, grams, hash_chars, hash_words, normal, of_each

FORM = 6
"""Words of the n-grams by which forms of words are told."""
COMMON = 10
"""An n-gram that stands in more items, or in more prompts, is a form of words (Brown et al. 2020 draw the line there as well)."""
COMMON_SHARE = 5
"""So is one that stands in more than one of so many items, and in more than two, of a small benchmark."""
SEEDS = 100
"""Short n-grams that stand in more items than this find none of them: they only cost time."""
CHAR_SHARE = 0.9
"""Of a short item's character n-grams, the part that must stand close together."""
MORE = 12
"""Character n-grams that must be found beyond the first before a short item and a text are compared: a long word has several."""
FEWEST_WORDS, FEWEST_CHARS = 5, 24
"""An item with less of its own is found only where all of it is there and, where it isn't longer even so, where it is a whole
prompt: "42" stands in many texts."""

KNOWN = 10_000
"""Parts of which it is kept what was worked out when a text came near them: some megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The parts of benchmarks that share a length of n-gram, and where n-grams of that length stand in them."""

    size: int
    """Words in an n-gram."""
    grams: Grams
    """Its places are words before it in its part."""
    needed: Numbers
    """By part: how many different n-grams must be found in a text before the two are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """What an item is found by that has few words."""

    grams: frozenset[str]
    """Its character n-grams."""
    numbers: frozenset[str]
    """Its words that have digits in them: with another number it is another question."""
    begin: int
    """Characters of the part before its first own word."""
    span: int
    """Characters from there to the end of its last one."""
    share: float
    """The part of its n-grams that must be there."""


@dataclass(slots=True, kw_only=True)
class Index:
    """What benchmarks are found by. Its own words of each part are counted from the part's first word."""

    heldout: Heldout
    """The benchmarks and their items."""
    texts: Sequence[str]
    """The parts in normal form."""
    hashes: Hashes
    """Of the words of all parts."""
    own: npt.NDArray[np.bool_]
    """Which of them aren't a form of words."""
    first: Numbers
    """Where each part begins among them, and where the last one ends."""
    owned: Numbers
    """How many words each part has of its own."""
    words: list[Words] = field(default_factory=list)
    """By length of n-gram: each is evidence."""
    seeds: list[Words] = field(default_factory=list)
    """Shorter ones, which find what may be nearly the same."""
    short: dict[int, Short] = field(default_factory=dict)
    """By part: what is found by its characters."""
    chars: Words | None = None
    """Character n-grams that find these."""
    whole: dict[str, list[int]] = field(default_factory=dict)
    """By normal form: parts that a whole prompt is compared with."""
    _masks: dict[int, dict[int, int]] = field(default_factory=dict)
    _numbers: dict[int, set[int]] = field(default_factory=dict)

    def length(self, part: int) -> int:
        """Return how many words a part has."""
        return int(self.first[part + 1] - self.first[part])

    def has_numbers(self, part: int, words: Hashes) -> bool:
        """Whether all numbers of a part that are its own are among some words."""
        if part not in self._numbers:
            if len(self._numbers) >= KNOWN:
                self._numbers.clear()
            own = self.own[self.first[part] : self.first[part + 1]].tolist()
            kept = zip(
                self.texts[part].split(" "), self.hashes[self.first[part] : self.first[part + 1]].tolist(), own, strict=True
            )
            self._numbers[part] = {hash_ for word, hash_, mine in kept if mine and any(map(str.isdigit, word))}
        return self._numbers[part] <= set(words.tolist())

    def in_order(self, part: int, words: Hashes) -> int:
        """Return how many of a part's own words stand among some words in their order.

        That is the longest common subsequence, by bits (Hyyrö 2004).
        """
        masks = self._masks.get(part)
        if masks is None:
            if len(self._masks) >= KNOWN:
                self._masks.clear()
            masks = self._masks[part] = {}
            first, last = self.first[part], self.first[part + 1]
            for place, word in enumerate(self.hashes[first:last][self.own[first:last]].tolist()):
                masks[word] = masks.get(word, 0) | 1 << place
        full = (1 << int(self.owned[part])) - 1
        row = full
        for word in words.tolist():
            if mask := masks.get(word):
                hit = row & mask
                row = ((row + hit) | (row - hit)) & full
        return (full ^ row).bit_count()


def make_index(heldout: Heldout) -> Index:
    """Return the index of the benchmarks' items."""
    texts = [normal(part.text) for part in heldout.parts]
    kept = [number for number, text in enumerate(texts) if text]
    parts, texts = [heldout.parts[number] for number in kept], [texts[number] for number in kept]
    heldout = Heldout(benchmarks=heldout.benchmarks, items=heldout.items, parts=parts)
    counts = np.array([text.count(" ") + 1 for text in texts], np.int64)
    first = np.concatenate(([0], np.cumsum(counts)))
    hashes = hash_words(" ".join(texts))
    index = Index(heldout=heldout, texts=texts, hashes=hashes, own=np.ones(len(hashes), np.bool_), first=first, owned=counts)
    spread = _Spread(index, of_each(counts), np.fromiter(_documents(parts, texts), np.int64, len(parts)))
    sizes = np.array([benchmark.ngram for benchmark in heldout.benchmarks], np.int64)[spread.benchmark]
    spread.strip(FORM)
    if parts:
        index.owned = np.add.reduceat(index.own, first[:-1], dtype=np.int64)
    long = index.owned >= sizes
    for size in sorted(set(sizes[long].tolist())):
        index.words.append(Words(size=size, grams=spread.grams(size, long & (sizes == size)), needed=np.ones(0, np.int64)))
    near = np.array([float(benchmark.near) for benchmark in heldout.benchmarks])[spread.benchmark]
    shorter = np.array([_seed(benchmark.near) for benchmark in heldout.benchmarks], np.int64)[spread.benchmark]
    for size in sorted(set(shorter[long & (near > 0)].tolist())):
        index.seeds.append(spread.seeds(size, long & (near > 0) & (shorter == size), near))
    _short(index, parts, texts, np.flatnonzero(~long).tolist())
    return index


def _documents(parts: Sequence[Part], texts: Sequence[str]) -> Iterator[int]:
    """Yield, for each part, a number that rows with the same question share: an item that stands twice is one item."""
    known: dict[str, int] = {}
    asked: dict[int, int] = {}
    for part, text in zip(parts, texts, strict=True):
        if part.question:
            asked[part.row] = known.setdefault(text, part.row)
        yield asked.get(part.row, part.row)


def _seed(near: float | bool) -> int:
    """Return how many words in a row are left at least somewhere in an item of which the part `near` is left.

    With c changes among m words a run of (m - c) / (c + 1) or more is untouched: 6 words for m from 13 on, and near = 0.9.
    """
    return min(max(int(near / (1 - near)), 3), 6) if near < 1 else 6


@dataclass(slots=True)
class _Spread:
    """The words of all parts, side by side with whose they are."""

    index: Index
    part: Numbers
    """By word."""
    document: Numbers
    """By part."""
    benchmark: Numbers = field(init=False)
    """By part."""

    def __post_init__(self) -> None:
        self.benchmark = np.array([part.benchmark for part in self.index.heldout.parts], np.int64)

    def _grams(self, size: int, among: npt.NDArray[np.bool_], *, own: bool) -> tuple[Hashes, Numbers]:
        """Return hashes and places of the n-grams that lie within one of the parts; of `own` words alone."""
        made = grams(self.index.hashes, size)
        last = self.part[size - 1 :][: len(made)]
        there = (self.part[: len(made)] == last) & among[last]
        if own:
            counted = np.concatenate(([0], np.cumsum(self.index.own)))
            there &= counted[size:] - counted[: len(made)] == size
        places = np.flatnonzero(there)
        return made[places], places

    def strip(self, size: int) -> None:
        """Mark words that n-grams cover which stand in many documents as nobody's own."""
        made, places = self._grams(size, np.ones(len(self.document), np.bool_), own=False)
        documents = self.document[self.part[places]]
        common = [_in_many(made, documents, COMMON)]
        for number in range(len(self.index.heldout.benchmarks)):
            mine = self.benchmark[self.part[places]] == number
            many = len(np.unique(documents[mine]))
            limit = min(max(many // COMMON_SHARE, 2), COMMON)
            common.append(_in_many(made[mine], documents[mine], limit))
        where = places[np.isin(made, np.concatenate(common))]
        edges = np.zeros(len(self.part) + 1, np.int64)
        np.add.at(edges, where, 1)
        np.add.at(edges, where + size, -1)
        self.index.own &= np.cumsum(edges)[:-1] == 0

    def grams(self, size: int, among: npt.NDArray[np.bool_]) -> Grams:
        """Return the index of own n-grams."""
        made, places = self._grams(size, among, own=True)
        part = self.part[places]
        return Grams.of(made, part, places - self.index.first[part])

    def seeds(self, size: int, among: npt.NDArray[np.bool_], near: npt.NDArray[np.float64]) -> Words:
        """Return the index of n-grams that find what may be nearly the same.

        A change touches `size` n-grams at most, so all but that many for each change that is allowed must still be there (the
        q-gram lemma: Jokinen and Ukkonen 1991).
        """
        made, places = self._grams(size, among, own=True)
        part = self.part[places]
        few = ~np.isin(made, _in_many(made, self.document[part], SEEDS))
        made, places, part = made[few], places[few], part[few]
        kinds = np.bincount(_once(made, part)[1], minlength=len(among))
        changes = np.floor(self.index.owned * (1 - near) + 1e-9).astype(np.int64)
        needed = np.maximum(kinds - size * changes, 1)
        return Words(size=size, grams=Grams.of(made, part, places - self.index.first[part]), needed=needed)


def _in_many(hashes: Hashes, documents: Numbers, limit: int) -> Hashes:
    """Return the n-grams that stand in more documents than `limit`."""
    keys, counts = np.unique(_once(hashes, documents)[0], return_counts=True)
    return keys[counts > limit]


def _once(hashes: Hashes, whose: Numbers) -> tuple[Hashes, Numbers]:
    """Return each n-gram once for each of those that have it."""
    order = np.lexsort((whose, hashes))
    hashes, whose = hashes[order], whose[order]
    new = np.ones(len(hashes), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (whose[1:] != whose[:-1])
    return hashes[new], whose[new]


def _short(index: Index, parts: Sequence[Part], texts: Sequence[str], numbers: Sequence[int]) -> None:
    """Index the questions that have few words of their own."""
    hashes, part, at = [], [], []
    for number in numbers:
        if not parts[number].question:
            continue
        text = texts[number]
        index.whole.setdefault(text, []).append(number)
        own = index.own[index.first[number] : index.first[number + 1]]
        # What has few words as it is has no form that could be told from it.
        whole = len(own) < index.heldout.benchmarks[parts[number].benchmark].ngram
        runs, share = [(0, text)] if whole else list(_runs(text, own)), CHAR_SHARE
        if _says_little(runs):
            runs, share = [(0, text)], 1.0
            if _says_little(runs):
                continue
        places = {f" {run} "[i : i + CHARS]: begin - 1 + i for begin, run in runs for i in range(len(run) + 3 - CHARS)}
        index.short[number] = Short(
            grams=frozenset(places),
            numbers=frozenset(word for _, run in runs for word in run.split() if any(map(str.isdigit, word))),
            begin=runs[0][0],
            span=runs[-1][0] + len(runs[-1][1]) - runs[0][0],
            share=share,
        )
        hashes.append(hash_chars("".join(places))[::CHARS])  # each by itself: those across two of them are left out
        part.append(np.full(len(places), number, np.int64))
        at.append(np.array(list(places.values()), np.int64))
    if hashes:
        found = np.concatenate(part)
        index.chars = _rarest(np.concatenate(hashes), found, np.concatenate(at), len(parts))


def _says_little(runs: Sequence[tuple[int, str]]) -> bool:
    words = [word for _, run in runs for word in run.split()]
    return len(words) < FEWEST_WORDS or sum(map(len, words)) + len(words) - 1 < FEWEST_CHARS


def _runs(text: str, own: npt.NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
    """Yield each run of a part's own words, with the characters before it."""
    run: list[str] = []
    begin = place = 0
    for word, kept in zip(text.split(" "), own.tolist(), strict=True):
        if kept:
            begin = begin if run else place
            run.append(word)
        elif run:
            yield begin, " ".join(run)
            run = []
        place += len(word) + 1
    if run:
        yield begin, " ".join(run)


def _rarest(hashes: Hashes, part: Numbers, at: Numbers, parts: int) -> Words:
    """Return the index of so many of each part's n-grams, the rarest, that MORE + 1 are there wherever CHAR_SHARE of all are.

    (Chaudhuri et al. 2006 call it prefix filtering.)
    """
    _, which, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    often = counts[which]
    order = np.lexsort((hashes, often, part))
    hashes, part, at, often = hashes[order], part[order], at[order], often[order]
    sizes = np.bincount(part, minlength=parts)
    begins = np.cumsum(sizes) - sizes
    missing = np.floor(sizes * (1 - CHAR_SHARE) + 1e-9).astype(np.int64)
    chosen = (np.arange(len(part)) - begins[part] <= missing[part] + MORE) & (often <= SEEDS)
    needed = np.maximum(np.bincount(part[chosen], minlength=parts) - missing, 1)
    return Words(size=CHARS, grams=Grams.of(hashes[chosen], part[chosen], at[chosen]), needed=needed)
