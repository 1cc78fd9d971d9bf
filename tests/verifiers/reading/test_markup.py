"""Folding: one spelling of minus, digits, powers and spaces, whichever of Unicode's a text has."""

from __future__ import annotations

import sys
import unicodedata

from verifiers.reading.markup import fold

PLAIN = {"Cn", "Co", "Cs", "Lo"}
"""What no table of ours names: code points that are nothing, and the letters of scripts without cases, but for numerals."""


def test_every_character_folds_alike():
    """A text in which nothing is to be folded is only looked at; beside one that is, each character of it comes out the same."""
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    named = [each for each in characters if unicodedata.category(each) not in PLAIN or each.isnumeric()]
    assert len(named) > 15_000
    folded = fold("½")
    assert folded == "1/2"
    for character in named:
        for text in (f"x{character}", f"5{character}234"):
            assert fold(f"{text} ½") == f"{fold(text)} {folded}", f"{text!r} (U+{ord(character):04X})"
