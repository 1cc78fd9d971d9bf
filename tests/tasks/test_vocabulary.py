"""Tokens as bytes: what a tokenizer's own decoder makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from storage.errors import SetupError
from tasks.exporters.chat import vocabulary_of
from tasks.vocabulary import Vocabulary, vocabulary
from tests.tasks.exporters import students

MAKERS = {"byte-level": students.small, "sentencepiece": students.sentencepiece, "smollm": students.smollm}


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Vocabulary]:
    """Return a tokenizer and its vocabulary."""
    folder = MAKERS[request.param](tmp_path_factory.mktemp("students") / request.param)
    return AutoTokenizer.from_pretrained(folder), vocabulary_of(folder)


@given(text=st.text(min_size=1) | st.text(alphabet="Grüße 🙂你 \n4.ab", min_size=1))
def test_tokens_make_the_text(tokenizer: tuple[Any, Vocabulary], text: str):
    """The bytes of a text's tokens are the text's, less the space that SentencePiece puts ahead of it."""
    found, known = tokenizer
    assume(found.decode(found.encode(text, add_special_tokens=False)) == text)  # SmolLM2 has no token for some bytes
    tokens = [known.tokens[each] for each in found.backend_tokenizer.encode(text, add_special_tokens=False).ids]
    assert None not in tokens
    assert b"".join(token or b"" for token in tokens) in {text.encode(), b" " + text.encode()}


def test_special_tokens_are_their_text(tokenizer: tuple[Any, Vocabulary]):
    """A special token is found by what it is called."""
    found, known = tokenizer
    assert known.ids[b"<|im_end|>"] == found.eos_token_id
    assert known.size == max(found.get_vocab().values()) + 1


def test_a_piece_comes_before_a_byte(tmp_path: Path):
    """Where a byte has a piece of its own, that is what its bytes are looked up as."""
    known = vocabulary_of(students.sentencepiece(tmp_path))
    found = known.ids[b"t"]
    assert known.tokens[found] == b"t" == known.tokens[known.tokens.index(b"t")]
    assert found > known.tokens.index(b"t")


def test_told_apart(tmp_path: Path):
    """A vocabulary's checksum depends on tokens and their order, not on a template."""
    small, same = (
        vocabulary_of(students.small(tmp_path / name, template)) for name, template in [("a", None), ("b", students.CHATML)]
    )
    assert small.sha256 == same.sha256
    assert small.sha256 != vocabulary_of(students.sentencepiece(tmp_path / "c")).sha256
    assert Vocabulary({0: b"a", 1: b"b"}).sha256 != Vocabulary({0: b"b", 1: b"a"}).sha256
    assert Vocabulary({0: b"ab"}).sha256 != Vocabulary({0: b"a", 1: b"b"}).sha256


def test_another_kind():
    """What is neither byte-level nor SentencePiece is refused by name."""
    from tokenizers import Tokenizer, decoders, models

    words = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    words.decoder = decoders.WordPiece()
    with pytest.raises(SetupError, match=r"students/bert: its tokens can't be told as bytes.*WordPiece"):
        vocabulary(words, name="students/bert")
