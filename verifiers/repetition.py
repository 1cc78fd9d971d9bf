"""Finds text that repeats itself.

The shares and their bounds are those of Gopher's quality filters: Rae et al. 2021, "Scaling Language Models: Methods, Analysis &
Insights from Training Gopher", appendix A, table A1. They were made for web pages. A loop at the end is what a model does that
can't stop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier

TAIL = 20_000
"""Characters of the end in which a loop is looked for."""
LINES, PARAGRAPHS = (0.30, 0.20), (0.30, 0.20)
"""Of lines, and of paragraphs: the share that says what one before said, by number and by characters. Signs alone say nothing."""
TOP = {2: 0.20, 3: 0.18, 4: 0.16}
"""By n: the share of characters in the most frequent n-gram."""
DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""By n: the share of characters in n-grams that stand more than once."""
SHORT = 30
"""Words of a line that may be a list's or a table's: such lines have words in common, and each says something else."""
_WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\s\u2e80-\u9fff\uf900-\ufaff]+")
"""Chinese and Japanese put no space between words: each of their characters is one here, and two of them a word."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SENTENCE = re.compile(r"(?<=[\u3002\uff01\uff1f\uff1b])|(?<=[.!?;])(?=\s)")
_CLAUSE = re.compile(r"(?<=[\uff0c\u3001])|(?<=,)(?=\s)")
"""Where a sentence ends within a line, and where a clause does."""
COMPUTES = 3
"""Numbers of a sentence that computes something, such as 2 times 7 is 14: others like it say something else."""
_PARAGRAPH = re.compile(r"\n\s*\n")


@verifier(version="4", limit_s=20, pure=True)
class Repetition:
    """Passes a response that doesn't repeat itself: neither in a loop at its end, nor too much overall.

    A text of few words repeats some by chance: it is judged by its end alone. An empty response is left undecided.
    """

    loop_times: Annotated[int, Field(ge=2)] = 8
    """How often a unit must stand in a row at the end to be a loop, whole or cut off."""
    loop_chars: Annotated[int, Field(ge=1)] = 200
    """Characters that a loop must have in all: a ruled line is none."""
    min_words: Annotated[int, Field(ge=20)] = 100
    """Words that a response must have for the shares to be looked at."""
    slack: Annotated[float, Field(gt=0, le=10)] = 1.0
    """By what all bounds of the shares are multiplied: above 1 for texts that must repeat themselves, such as proofs."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Look for a loop at the end, then at the shares."""
        text = sample.response.strip()
        if not text:
            return Finding(passed=None, reason="the response is empty")
        unit, times = _loop(text[-TAIL:], self.loop_times, self.loop_chars)
        if times:
            return Finding(passed=False, reason=f"ends in a loop: {_short(unit)!r} {times} times and more")
        words = _WORD.findall(text)
        scale = 2 if sum(map(_is_ideograph, words)) > len(words) / 2 else 1
        if len(words) < self.min_words * scale:
            return Finding(passed=True, reason=f"no loop at the end of {len(words) // scale} words")
        for what, share, bound in _shares(text, scale):
            if share > bound * self.slack:
                return Finding(passed=False, reason=f"{what}: {share:.0%}, more than {bound * self.slack:.0%}")
        return Finding(passed=True, reason="no more repetition than usual")


def _loop(text: str, least_times: int, least_chars: int) -> tuple[str, int]:
    """Return the shortest unit that ends a text again and again, and how often it does; no times where there is none.

    The Z-function of the reversed text says for each period how far back it holds, in linear time.
    """
    reach = _z_function(text[::-1])
    for period in range(1, len(text) // least_times + 1):
        length = period + reach[period] if period < len(text) else 0
        if length >= least_chars and length >= period * least_times:
            return text[len(text) - period :], length // period
    return "", 0


def _z_function(text: str) -> list[int]:
    """Return for each place how many characters from there on are as those from the beginning on."""
    reach = [0] * len(text)
    left = right = 0
    for place in range(1, len(text)):
        same = min(right - place, reach[place - left]) if place < right else 0
        while place + same < len(text) and text[same] == text[place + same]:
            same += 1
        reach[place] = same
        if place + same > right:
            left, right = place, place + same
    return reach


def _is_ideograph(word: str) -> bool:
    return len(word) == 1 and word >= "\u2e80"


def _shares(text: str, scale: int) -> Iterator[tuple[str, float, float]]:
    """Yield each share with what it is of and its bound."""
    for what, parts, bounds in (
        ("lines that repeat", text.splitlines(), LINES),
        ("paragraphs that repeat", _PARAGRAPH.split(text), PARAGRAPHS),
    ):
        stripped = [part for part in map(str.strip, parts) if any(map(str.isalnum, part))]
        if not stripped:
            continue
        again = Counter(stripped) - Counter(set(stripped))
        yield f"{what}, by number", again.total() / len(stripped), bounds[0]
        chars = sum(map(len, stripped))
        yield f"{what}, by characters", sum(len(part) * times for part, times in again.items()) / chars, bounds[1]
    said, within = list[str](), list[str]()
    for line in text.splitlines():
        for words, place in _told_apart(line, scale):
            said += words
            within += [place] * len(words)
    if said:
        yield from _ngrams(said, within, scale)


def _told_apart(line: str, scale: int) -> Iterator[tuple[list[str], str]]:
    """Yield the words of a line, and by what they are told from others that repeat them only where all is the same.

    A short line is told so by what it says but for its first number, which may only count the lines: "Step 5: I will check that
    again" says what step 4 said. Of a longer one each short sentence or clause is that computes something, but for that number.
    """
    words = _words(line)
    if len(words) <= SHORT * scale:
        yield words, _NUMBER.sub("", " ".join(words), count=1)
        return
    for sentence in _SENTENCE.split(line):
        for clause in [sentence] if len(_words(sentence)) <= SHORT * scale else _CLAUSE.split(sentence):
            words = _words(clause)
            yield words, _computed(" ".join(words)) if len(words) <= SHORT * scale else ""


def _computed(said: str) -> str:
    """Return what is computed, but for the first number, wherever it stands; empty where nothing is."""
    first, *others = _NUMBER.findall(said) or [""]
    return _NUMBER.sub(lambda number: "" if number[0] == first else number[0], said) if len(others) >= COMPUTES - 1 else ""


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text) if any(map(str.isalnum, word))]


def _ngrams(words: Sequence[str], within: Sequence[str] = (), scale: int = 1) -> Iterator[tuple[str, float, float]]:
    """Yield the shares of n-grams of words, each of them the same as another only `within` the same; of `scale` to a word."""
    total = sum(map(len, words))
    numbers: dict[object, int] = {}
    single = [numbers.setdefault(word, len(numbers)) for word in (zip(within, words, strict=True) if within else words)]
    grams = single
    for size in range(2, max(DUPLICATE) * scale + 1):
        # An n-gram is the n-1-gram before it and one word more: numbering these pairs compares no word twice.
        numbers = {}
        grams = [numbers.setdefault(pair, len(numbers)) for pair in zip(grams, single[size - 1 :], strict=False)]
        if not grams:
            return
        if size % scale:
            continue
        n = size // scale
        counted = Counter(grams)
        if n in TOP:
            gram, times = counted.most_common(1)[0]
            at = grams.index(gram)
            if times > 1:
                yield f"the most frequent {n}-gram", times * sum(map(len, words[at : at + size])) / total, TOP[n]
        if n in DUPLICATE:
            places = [place for place, gram in enumerate(grams) if counted[gram] > 1]
            yield f"{n}-grams that repeat", _covered(places, size, words) / total, DUPLICATE[n]


def _covered(places: Sequence[int], n: int, words: Sequence[str]) -> int:
    """Return the characters of the words within n-grams at these places, each counted once."""
    found = 0
    for place, following in pairwise([*places, len(words)]):
        found += sum(map(len, words[place : min(place + n, following)]))
    return found


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - of a unit, enough to know it
