"""Words of texts as an index has them."""

from __future__ import annotations

import pytest

from tasks.duplicates.minhash import ngrams, words_of
from tasks.duplicates.words import packed, unpacked

TEXTS = ["the quick brown fox", "", "the slow brown fox 猫", "the quick brown fox"]


@pytest.mark.parametrize("part", [slice(0, 4), slice(1, 3), slice(3, 4), slice(1, 1)])
def test_they_come_back(part: slice):
    """Of a slice too, as many words as there were, the same where they were the same; so are their n-grams."""
    words, counts = unpacked(packed(*words_of(TEXTS))[part])
    texts = TEXTS[part]
    assert counts.tolist() == [len(text.split()) for text in texts]
    named = [word for text in texts for word in text.split()]
    assert len(words) == len(named)
    assert len(set(words.tolist())) == len(set(named)) == len(set(zip(words.tolist(), named, strict=True)))
    hashes, offsets = ngrams(words, counts, 2)
    spelt = [gram for text in texts for gram in (list(zip(text.split(), text.split()[1:], strict=False)) or [text])]
    assert len(hashes) == offsets[-1] == len(spelt)
    assert len(set(hashes.tolist())) == len(set(spelt)) == len(set(zip(hashes.tolist(), spelt, strict=True)))
