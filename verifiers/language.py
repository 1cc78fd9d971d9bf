"""Finds out in which language a response is written.

By py3langid (Lui and Baldwin 2012, "langid.py: an off-the-shelf language identification tool", as remade by Barbaresi), which
knows some 140 languages by their byte sequences.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

import regex  # type: ignore[import-untyped]
from pydantic import Field

from storage.errors import SetupError, SpecError
from storage.plugins import nearest
from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier
from verifiers.reading.pieces import pieces
from verifiers.reading.thinking import spoken

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

Code = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
NO_LANGUAGE = "zxx"
"""What the model calls a text without words."""
MAX_READ = 30_000
"""Characters that are judged: of a longer text a third from its beginning, its middle and its end."""
LIKELY = 0.5
"""A response fails where some other language is at least so probable: what might be anything is no other language."""
_IDEOGRAPHS = "\u2e80"
"""The first sign of the scripts of which one says as much as several letters."""
_FORMS = {"wuu": "zh", "yue": "zh", "ary": "ar", "arz": "ar", "nn": "no", "ltg": "lv", "sdh": "ku", "uzs": "uz"}
"""Codes that the model has for a form of a language, by ISO 639-3, and that language's. It often takes Chinese for `wuu`."""
_ALIKE = frozenset({"bs", "hr", "sr"})
"""What the model, and often a reader, can't tell apart: one of them is no other language than the other."""
_LEFT_OUT = re.compile(
    r"`[^`\n]{1,400}`"  # code in a line
    r"|\$\$.{1,2000}?\$\$|(?<!\\)\$(?=[^\s$])[^$\n]{1,400}(?<=\S)\$(?!\d)"  # as Pandoc has it: "$5 and $6" are prices
    r"|\\\[.{1,2000}?\\\]|\\\(.{1,400}?\\\)|\\[a-zA-Z]+"  # formulas
    r"|https?://\S{1,400}|</?[a-zA-Z][^<>\n]{0,200}>",
    re.DOTALL,
)
_SIGNS = regex.compile(r"(?:[\p{N}\p{S}\p{Z}\s*#_/\\]|(?<!\p{L})-|-(?!\p{L}))++")
"""What is of no language, numbers, symbols, Markdown: the more of it, the less sure is the model."""
_PILED = regex.compile(r"\p{M}{4,}+")
"""Accents upon accents: no language's, and Unicode's normal form takes the square of their number."""


# Of a megabyte, 30,000 characters are judged.
@verifier(version="4", isolated=False, pure=True)
class Language:
    """Passes a response that is written in an expected language. Code, formulas, numbers, addresses don't count.

    Nor does a chain of thought at its beginning; one that never ends leaves it undecided. Too short a text, or one that might be
    in several languages, is left undecided. The answer is the likeliest language, the score how probable the expected ones are.
    Needs the extra `language`.
    """

    expect: Annotated[tuple[Code, ...], Field(min_length=1)]
    """ISO 639 codes of the languages that pass, such as [en]."""
    candidates: tuple[Code, ...] = ()
    """Which other languages it may be at all; left out: any that the model knows. A short list decides shorter texts."""
    confidence: Annotated[float, Field(gt=0.5, le=1)] = 0.8
    """How probable the expected languages must be for a pass, and the others for a fail; what is in between is undecided."""
    min_letters: Annotated[int, Field(ge=1)] = 20
    """Letters that a text must have to be judged at all; a sign of Chinese, Japanese or Korean counts as two."""

    def __post_init__(self) -> None:
        """Refuse candidates that decide nothing."""
        if self.candidates and set(self.candidates) <= set(self.expect):
            raise ValueError("candidates: has no language but the expected ones; add the others that it may be, or leave it out")

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Judge the prose of a response."""
        response = spoken(sample.response)
        if response is None:
            return Finding(passed=None, reason="the chain of thought never ends")
        text = _prose(response)
        letters = sum(1 + (character >= _IDEOGRAPHS) for character in text if character.isalpha())
        if letters < self.min_letters:
            return Finding(passed=None, reason=f"{letters} letters are too few to tell a language")
        ranked = self._ranked(text)
        likeliest, probability = ranked[0]
        expected = min(1.0, sum(each for code, each in ranked if code in self.expect))
        alike = likeliest in _ALIKE and not _ALIKE.isdisjoint(self.expect)
        another = likeliest not in {*self.expect, NO_LANGUAGE} and not alike and probability >= LIKELY
        passed = None
        if expected >= self.confidence:
            passed = True
        elif another and 1 - expected >= self.confidence:
            passed = False
        reason = f"{likeliest} at {probability:.0%}, {' or '.join(self.expect)} at {expected:.0%}"
        return Finding(passed=passed, score=expected, reason=reason, answer=likeliest)

    def ready(self) -> None:
        """Raise SetupError where the package is missing, SpecError where the model doesn't know a language."""
        known = _identifier(()).labels
        for code in (*self.expect, *self.candidates):
            if code not in known:
                raise SpecError(f"language: {code!r} is no language that the model knows; {nearest(code, known)}")

    def _ranked(self, text: str) -> list[tuple[str, float]]:
        """Return the languages with their probabilities, likeliest first; a form counts as its language, unless it is named."""
        found: dict[str, float] = {}
        for code, probability in _identifier(self._known).rank(text):
            named = code in {*self.expect, *self.candidates}
            language = str(code if named else _FORMS.get(str(code), code))
            found[language] = found.get(language, 0.0) + float(probability)
        return sorted(found.items(), key=lambda each: -each[1])

    @property
    def _known(self) -> tuple[str, ...]:
        return tuple(sorted({*self.candidates, *self.expect})) if self.candidates else ()


def _prose(text: str) -> str:
    """Return what is prose of a text, or parts of it where it is long."""
    text = "\n".join(piece.text for piece in pieces(text) if piece.info is None)
    if len(text) > MAX_READ:
        third = MAX_READ // 3
        middle = len(text) // 2
        text = "\n".join((text[:third], text[middle : middle + third], text[-third:]))
    without: str = _SIGNS.sub(" ", _PILED.sub("", _LEFT_OUT.sub(" ", text)))
    return without.strip()


@lru_cache(maxsize=16)
def _identifier(languages: tuple[str, ...]) -> LanguageIdentifier:
    """Return the model, restricted to some languages where any are named."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise SetupError("`use: language` needs the package py3langid: pip install 'stillhouse[language]'") from None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if languages:
        identifier.set_languages(languages)
    return identifier
