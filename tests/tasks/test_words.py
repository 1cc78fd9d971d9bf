"""Words: what makes no difference between two texts, and hashes that tell all else apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import words
from tasks.words import CHARS, grams, hash_chars, hash_words, normal

SAME = {
    "case": ("How MANY Clips?", "how many clips"),
    "line breaks": ("how\nmany\r\n\tclips", "how many clips"),
    "punctuation": ('"How -- many: *clips*?!"', "how many clips"),
    "quotes and dashes": ("“how” — many… ‘clips’ →", "how many clips"),
    "apostrophes": ("don't they’ll", "dont theyll"),
    "thousands": ("1,000,000 and 12,345.5", "1000000 and 12345 5"),
    "a list of numbers": ("1,2 and 3, 400", "1 2 and 3 400"),
    "full width": ("ＨＯＷ １，０００", "how 1000"),
    "composed": ("cafe\u0301", "café"),
    "ligatures": ("ﬁne", "fine"),
    "pictures in colour": ("how ❤\ufe0f many ➡\ufe0f clips 1\ufe0f\u20e3", "how many clips 1"),
    "variants of one letter": ("葛\U000e0100飾 a\u034fb", "葛 飾 ab"),
    "soft hyphens": ("how ma\u00adny \u200bclips", "how many clips"),
    "sharp s": ("GROSS groß", "gross gross"),
    "underscores": ("has_close_elements", "has close elements"),
    "no spaces between words": ("小明有3个苹果。", "小 明 有 3 个 苹 果"),
    "marks that belong to letters": ("हिन्दी", "हिन्दी"),
    "digits of other scripts": ("٤٢ и ४२ or ๔๒", "42 и 42 or 42"),
    "HTML": ('<p>How <b class="x">many</b> H<sub>2</sub>O</p>\n<br/>clips&nbsp;&amp;&#39;s', "how many h2o clips s"),
    "less and greater are no tags": ("x <b && c> y, i<a or b>c", "x less b c greater y i less a or b greater c"),
    "LaTeX": (r"\textbf{How} \text{many}~$\left(3\right) \cdot 4 \div 2$", "how many 3 times 4 over 2"),
    "nothing": (" …!? ", ""),
    "signs": ("17 - 3, 17-3 + 4", "17 minus 3 17 minus 3 plus 4"),
    "signs in other forms": ("17 − 3 × x ÷ 2", "17 minus 3 times x over 2"),
    "full-width signs": ("１７＋３", "17 plus 3"),
    "signs between variables and brackets": ("(b+c) * 2 - $x/\\frac12$", "b plus c times 2 minus x over frac12"),
    "comparisons": ("x>=3, y ≤ 2, z<x", "x greater 3 y less 2 z less x"),
    "hyphens": ("a 3-year-old's well-known x-axis - or I - a", "a 3 year olds well known x axis or i a"),
    "bullets": ("of 3\n- 4 *bold* 5 *words*\n* 6\n+ 7\n> 8", "of 3 4 bold 5 words 6 7 8"),
    "slashes between words": ("and/or 3 km/h", "and or 3 km h"),
    "signs of nothing": ("C++ 3+ - 2**3 --- <c>", "c 3 2 3 c"),
}


@pytest.mark.parametrize(("text", "expected"), SAME.values(), ids=SAME)
def test_normal(text: str, expected: str):
    """Case, punctuation, white space and Unicode forms make no difference."""
    assert normal(text) == expected
    assert normal(expected) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_quick_and_slow_agree(text: str):
    """Texts in ASCII take a quicker way to the same form: a foreign letter beside them changes nothing of it."""
    assert normal(f"{text} ж").split(" ")[:-1] == normal(text).split()


WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba", "aa", "ж", "long" * 30]), min_size=1, max_size=60)


@given(WORDS)
def test_hashes_of_words(listed: list[str]):
    """The same word has the same hash wherever it stands, and another word another."""
    hashes = hash_words(" ".join(listed)).tolist()
    assert len(hashes) == len(listed)
    assert len(set(zip(listed, hashes, strict=True))) == len(set(listed)) == len(set(hashes))


@settings(max_examples=50)
@given(WORDS, st.integers(1, 20))
def test_hashes_of_ngrams(listed: list[str], size: int):
    """So it is with n-grams of any length."""
    hashes = grams(hash_words(" ".join(listed)), size).tolist()
    runs = [tuple(listed[i : i + size]) for i in range(len(listed) - size + 1)]
    assert len(hashes) == len(runs)
    assert len(set(zip(runs, hashes, strict=True))) == len(set(runs)) == len(set(hashes))


def test_hashes_of_characters():
    """A character n-gram has as many characters, whatever their bytes."""
    text = "ein жук und ein жук"
    hashes = hash_chars(text).tolist()
    runs = [text[i : i + CHARS] for i in range(len(text) - CHARS + 1)]
    assert len(set(zip(runs, hashes, strict=True))) == len(set(runs)) == len(set(hashes))


def test_long_texts(monkeypatch: pytest.MonkeyPatch):
    """A text is hashed in pieces, cut between words; one word may be longer than a piece."""
    text = "one two " + "x" * 500 + " three " * 50 + "end"
    whole = hash_words(" ".join(text.split()))
    monkeypatch.setattr(words, "_PIECE", 16)
    words._powers.cache_clear()
    try:
        assert np.array_equal(hash_words(" ".join(text.split())), whole)
    finally:
        monkeypatch.undo()
        words._powers.cache_clear()


def test_hashes_stay_the_same():
    """They depend on the text alone, so that verdicts are the same on another day and machine."""
    assert hash_words("one two").tolist() == hash_words("one two").tolist()
    assert [f"{value:016x}" for value in hash_words("one two").tolist()] == ["63aadd2ce9b65402", "fc4b257657409bf1"]
