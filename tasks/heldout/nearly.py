"""Nearly: items of which most stands in a text, though no long run of words is the same, and items that have few words.

N-grams find the pairs of a text and an item that are worth a look; then the two are compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tasks.heldout.blocks import Block, Hit, shortened
from tasks.heldout.grams import Found
from tasks.heldout.index import Index, Words
from tasks.words import CHARS, Numbers, hash_chars


def near(index: Index, block: Block, words: Words, certain: set[tuple[int, int]]) -> Iterator[tuple[Hit, int, bool]]:
    """Yield the pairs of a text and a part of which most words stand in the same order in a stretch of the text.

    With each, the part, and whether all of its numbers stand there too. Pairs that are `certain` already aren't looked at.
    """
    places, numbers = block.look_up(words)
    found = words.grams.expand(places, numbers)
    for which, whose, lags in _pairs(found, block.text_of[found.place], found.place - found.at, words.needed):
        if (which, whose) in certain:
            continue
        length, counted = index.length(whose), int(index.owned[whose])
        slack = 2 + length // 10
        start = _crowded(lags, slack)
        low = max(start - slack, int(block.first[which]))
        high = min(start + length + 2 * slack, int(block.first[which + 1]))
        same = index.in_order(whose, block.hashes[low:high])
        if same >= index.heldout.benchmarks[index.heldout.parts[whose].benchmark].near * counted - 1e-9:
            hit = block.hit(
                index,
                which,
                whose,
                share=same / counted,
                how=f"{same} of {counted} words in their order",
                words=slice(max(start, low), start + length),
            )
            yield hit, whose, index.has_numbers(whose, block.hashes[low:high])


def short(index: Index, block: Block) -> Iterator[Hit]:
    """Yield the pairs of a text and an item with few words that have most character n-grams in common, close together."""
    if index.chars is None:
        return
    places, numbers = index.chars.grams.look_up(hash_chars(f" {block.joined} "))
    found = index.chars.grams.expand(places, numbers)
    text = np.maximum(np.searchsorted(block.begins, found.place, side="right") - 1, 0)
    lag = found.place - block.begins[text] - found.at
    for which, whose, lags in _pairs(found, text, lag, index.chars.needed):
        item, padded = index.short[whose], f" {block.normal[which]} "
        slack = CHARS + item.span // 10
        # Places count from the part's first word, of which forms of words may stand before its own.
        begin = _crowded(lags, slack) + item.begin
        window = _window(padded, begin - slack, begin + item.span + 2 * slack)
        there = item.grams & {window[i : i + CHARS] for i in range(len(window) - CHARS + 1)}
        share = len(there) / len(item.grams)
        if share >= item.share and item.numbers <= set(window.split()):
            text_, row = block.texts[which], index.heldout.parts[whose].row
            how = f"{share:.0%} of its characters' {CHARS}-grams"
            overlap = shortened(window.strip())
            yield Hit(key=text_.key, prompt=text_.prompt, where=text_.where, item=row, share=share, how=how, overlap=overlap)


def whole(index: Index, block: Block) -> Iterator[Hit]:
    """Yield the prompts that are an item with few words and nothing else."""
    for number, text in enumerate(block.texts):
        if text.whole:
            for part in index.whole.get(block.normal[number], ()):
                words = slice(int(block.first[number]), int(block.first[number + 1]))
                yield block.hit(index, number, part, share=1.0, how="all of it", words=words)


def begins_of(text: Numbers, part: Numbers) -> Numbers:
    """Return where a new pair begins among sorted ones."""
    new = np.ones(len(text), np.bool_)
    new[1:] = (text[1:] != text[:-1]) | (part[1:] != part[:-1])
    return np.flatnonzero(new)


def _pairs(found: Found, text: Numbers, lag: Numbers, needed: Numbers) -> Iterator[tuple[int, int, Numbers]]:
    """Yield the texts and parts that have as many different n-grams in common as needed, with where each says the part begins."""
    # Most pairs have less in common, by any count, and needn't be put in order.
    pair = text * len(needed) + found.part
    pairs, which, counts = np.unique(pair, return_inverse=True, return_counts=True)
    enough = (counts >= needed[pairs % len(needed)])[which]
    if not enough.any():
        return
    text, part, gram, lag = text[enough], found.part[enough], found.gram[enough], lag[enough]
    order = np.lexsort((gram, part, text))
    text, part, gram, lag = text[order], part[order], gram[order], lag[order]
    begins = begins_of(text, part)
    new = np.ones(len(gram), np.int64)
    new[1:] = gram[1:] != gram[:-1]
    new[begins] = 1
    ends = np.append(begins[1:], len(text))
    for each in np.flatnonzero(np.add.reduceat(new, begins) >= needed[part[begins]]).tolist():
        first = int(begins[each])
        yield int(text[first]), int(part[first]), lag[first : int(ends[each])]


def _crowded(lags: Numbers, slack: int) -> int:
    """Return where most of a part's n-grams say that it begins in the text."""
    lags = np.sort(lags)
    behind = np.searchsorted(lags, lags + slack, side="right") - np.arange(len(lags))
    return int(lags[int(np.argmax(behind))])


def _window(text: str, low: int, high: int) -> str:
    """Return a stretch of a text that is cut between words."""
    low = max(text.rfind(" ", 0, max(low, 0) + 1), 0)
    high = text.find(" ", max(min(high, len(text)) - 1, 0))
    return text[low : high + 1 if high >= 0 else len(text)]
