"""Two tokenizations of a text: what is aligned are the same bytes, and what could be is."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.exporters.alignment import Pair, Shared, Span, joined, pairs, placed, shared, spelled
from tasks.exporters.chat import vocabulary_of
from tests.tasks.exporters import students

TEXTS = st.text(min_size=1) | st.text(alphabet="Grüße 🙂你 \n4.ab", min_size=1)


@st.composite
def cut(draw: st.DrawFn, text: bytes) -> list[bytes]:
    """Return a text cut anywhere, in the middle of characters too."""
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)) | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(places)]


@given(st.data())
def test_aligned_tokens_are_the_same_bytes(data: st.DataObject):
    """For any text and any two ways to cut it, every pair covers the same bytes, and no token that could be in one is left out."""
    text = data.draw(TEXTS).encode()
    ours, theirs = data.draw(cut(text)), data.draw(cut(text))
    our_spans, their_spans = joined(ours), joined(theirs)
    found = list(pairs(our_spans, their_spans, Shared(0, 0, len(text))))
    for pair in found:
        assert our_spans[pair.ours] == their_spans[pair.theirs]
        assert ours[pair.ours] == theirs[pair.theirs]
        assert (pair.our_lead, pair.their_lead) == (0, 0)
    same = {(span.begin, span.end) for span in our_spans} & {(span.begin, span.end) for span in their_spans}
    assert len(found) == len({begin for begin, end in same if begin < end})


@given(st.data())
def test_in_two_streams(data: st.DataObject):
    """A text is found in both, whatever stands around it, and pairs are the same bytes there too."""
    text = data.draw(TEXTS).encode()
    before, behind = data.draw(st.binary(max_size=5)), data.draw(st.binary(max_size=5))
    ours, theirs = data.draw(cut(before + text)), data.draw(cut(text + behind))
    stretch = shared(b"".join(ours), b"".join(theirs), text)
    assert stretch is not None
    assert b"".join(ours)[stretch.ours :][: stretch.size] == b"".join(theirs)[stretch.theirs :][: stretch.size]
    assert stretch.size >= len(text.strip())
    for pair in pairs(joined(ours), joined(theirs), stretch):
        assert ours[pair.ours][pair.our_lead :] == theirs[pair.theirs][pair.their_lead :]


MAKERS = {"byte-level": students.small, "sentencepiece": students.sentencepiece, "smollm": students.smollm}


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[bytes | None]]:
    """Return a tokenizer and its tokens as bytes."""
    from transformers import AutoTokenizer

    folder = MAKERS[request.param](tmp_path_factory.mktemp("students") / request.param)
    return AutoTokenizer.from_pretrained(folder).backend_tokenizer, vocabulary_of(folder).tokens


@given(text=TEXTS)
def test_every_token_has_its_place(tokenizer: tuple[Any, list[bytes | None]], text: str):
    """Real tokenizers' tokens stand one behind the other, over all of the text, parts of characters too."""
    backend, known = tokenizer
    found = backend.encode(text, add_special_tokens=False)
    assume(backend.decode(found.ids, skip_special_tokens=False) == text)  # SmolLM2 has no token for some bytes, and drops them
    spans = placed([known[each] for each in found.ids], found.offsets, text)
    at = 0
    for span in spans:
        assert span is not None
        assert (span.begin, span.end >= span.begin) == (at, True)
        at = span.end
    assert at == len(text.encode())


def test_a_space_ahead(tmp_path: Path):
    """SentencePiece's first token has a space that the text hasn't, which is no part of what it stands for."""
    from transformers import AutoTokenizer

    folder = students.sentencepiece(tmp_path)
    found = AutoTokenizer.from_pretrained(folder).backend_tokenizer.encode("It is", add_special_tokens=False)
    spans = placed([vocabulary_of(folder).tokens[each] for each in found.ids], found.offsets, "It is")
    assert spans[0] is not None
    assert (spans[0].begin, spans[0].ahead) == (0, 1)


def test_what_is_not_there():
    """A token that isn't what stands at its place has none, and the next is found again."""
    assert placed([b"a", b"x", b"c"], [(0, 1), (1, 2), (2, 3)], "abc") == [Span(0, 1), None, Span(2, 3)]
    assert placed([None, b"c"], [(0, 2), (2, 3)], "abc") == [None, Span(2, 3)]


def test_the_last_place_counts():
    """A response that stands in the reasoning too is the one at the end; white space around it may be missing."""
    assert shared(b"4", b"<think>4</think>\n4", b"4") == Shared(0, 17, 1)
    assert shared(b"x It is.", b"It is.", b"\n It is. ") == Shared(2, 0, 6)
    assert shared(b"no", b"yes", b"maybe") is None
    assert shared(b"  ", b"  ", b"") is None


def test_leads():
    """A token that begins before the stretch is aligned by what is in it; its bytes before are said."""
    ours, theirs = joined([b" It", b" is"]), joined([b"It", b" is"])
    assert list(pairs(ours, theirs, Shared(1, 0, 5))) == [Pair(0, 0, 1, 0), Pair(1, 1, 0, 0)]


def test_spellings():
    """A server may leave special tokens out and replace parts of characters; anything else is another token."""
    assert spelled(b"", b"<|im_end|>")
    assert spelled("\ufffd".encode(), b"\xf0\x9f")
    assert spelled(b"a", b"a")
    assert not spelled(b"a", b"b")
    assert not spelled(b"a", None)
