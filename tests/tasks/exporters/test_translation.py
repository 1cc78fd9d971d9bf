"""A teacher's distributions as a student's, by hand: which probability goes to which token, and what is left outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tasks.exporters.translation import Learnt, Taught, Translator
from tasks.publishing.distributions import positions
from tasks.vocabulary import Vocabulary
from tests.tasks.exporters.distributions import logprobs

STUDENT = Vocabulary(dict(enumerate([b"It", b" is", b" 4", b".", b" was", b"<|im_end|>", b" It", b"\n"])))
TEACHER = Vocabulary(dict(enumerate([b"<eot>", b".", b" 4", b" is", b"It", b" was", b" is 5", b" It", b"4"])))
END = 5
SAID = "It is 4."


def learnt(ids: Sequence[int], text: str = SAID, *, ended: bool = True, parts: Sequence[str] = (SAID,), shift: int = 0) -> Learnt:
    """Return what a student learns: these tokens one behind the other, of a text that goes on with the end of the turn."""
    offsets, at = [], shift
    for each in ids:
        size = len(STUDENT.tokens[each] or b"")
        offsets.append((at, at + size))
        at += size
    return Learnt(text=text + "<|im_end|>\n", ids=ids, offsets=offsets, ended=ended, parts=parts)


def shares(taught: Taught) -> list[dict[int, float]]:
    """Return each token's alternatives with their probabilities."""
    cuts = np.cumsum(taught.counts)[:-1]
    rounded = np.exp(taught.logprobs.astype(np.float64)).round(4)
    return [
        dict(zip(ids.tolist(), given.tolist(), strict=True))
        for ids, given in zip(np.split(taught.ids, cuts), np.split(rounded, cuts), strict=True)
    ]


def said(
    *alternatives: dict[Any, float], tokens: Sequence[Any], ids: bool = False, sampled: Sequence[float] | None = None
) -> Any:
    """Return a sample's distributions, of probabilities by token, by bytes or by ids."""
    own = [math.log(each.get(token, 0.001)) for each, token in zip(alternatives, tokens, strict=True)]
    others = [[(token, math.log(share)) for token, share in each.items()] for each in alternatives]
    column = {"ids": tokens} if ids else {"tokens": tokens}
    return positions(logprobs(**column, others=others, sampled=sampled or own))


FIRST = {b"It": 0.7, b" It": 0.2}
SECOND = {b" is": 0.5, b" was": 0.25, b" is 5": 0.125}
REST = [{b" 4": 0.9}, {b".": 0.8, b"<eot>": 0.1}, {b"<eot>": 0.6, b"\n": 0.3}]
TOKENS = [b"It", b" is", b" 4", b".", b"<eot>"]


def by_ids(*alternatives: dict[bytes, float]) -> list[dict[int, float]]:
    """Return the same with the teacher's ids."""
    return [{TEACHER.ids[token]: share for token, share in each.items() if token in TEACHER.ids} for each in alternatives]


class TestBytes:
    """Where the server gives tokens as bytes."""

    def test_by_hand(self):
        """Each alternative is the token of its bytes, what the student has no token for is left outside, and ends are ends."""
        given = said(FIRST, SECOND, *REST, tokens=TOKENS)
        taught = Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given)
        assert taught.how == "bytes"
        assert shares(taught) == [{0: 0.7, 6: 0.2}, {1: 0.5, 4: 0.25}, {2: 0.9}, {3: 0.8, END: 0.1}, {END: 0.6, 7: 0.3}]
        assert taught.rest.round(4).tolist() == pytest.approx([0.1, 0.25, 0.1, 0.1, 0.1])

    @pytest.mark.parametrize(("drawn", "line"), [(0.6, 0.625), (0.025, 0.625), (0.01, 0.635)])
    def test_two_of_the_same_bytes(self, drawn: float, line: float):
        """Of two tokens with the same bytes, as a line break and <0x0A> have, each has its own probability, as has a third that was drawn."""
        twice = [(token, math.log(share)) for token, share in ((b" is", 0.2), (b"\n", 0.6), (b"\n", 0.025))]
        first = [(b"It", math.log(0.7))]
        given = positions(logprobs(tokens=[b"It", b"\n"], others=[first, twice], sampled=[math.log(0.7), math.log(drawn)]))
        taught = Translator(STUDENT).translate(learnt([0, 7], "It\n", ended=False, parts=("It\n",)), given)
        assert shares(taught)[1] == {1: 0.2, 7: pytest.approx(line, abs=1e-3)}
        assert taught.rest[1] == pytest.approx(0.8 - line, abs=1e-3)

    def test_another_cut(self):
        """Tokens that end elsewhere have nothing; those behind them are aligned again."""
        joined = [b"It", b" is 4", b".", b"<eot>"]
        given = said(FIRST, {b" is 4": 0.9}, REST[1], REST[2], tokens=joined)
        taught = Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given)
        assert [len(each) for each in shares(taught)] == [2, 0, 0, 2, 2]
        assert taught.rest.tolist()[1:3] == [1, 1]
        assert taught.aligned == 3

    def test_the_last_part_of_a_character(self):
        """VLLM's texts: a part of a character is none, and the last part the whole one. What was likely there has no token's place."""
        student = Vocabulary(dict(enumerate([b"It", b" is", "中".encode(), b".", "丰".encode(), b"<|im_end|>"])))
        tokens = [b"It", b" is", b"", b"", "中".encode(), b".", b"<eot>"]
        parts = [{b"": 0.6, b".": 0.2}, {b"": 0.9}, {"中".encode(): 0.7, "丰".encode(): 0.2}]
        given = said({b"It": 0.7}, {b" is": 0.5}, *parts, {b".": 0.8}, {b"<eot>": 0.6}, tokens=tokens)
        text = "It is中."
        offsets = [(0, 2), (2, 5), (5, 6), (6, 7), (7, 17)]
        whole = Learnt(text=text + "<|im_end|>\n", ids=[0, 1, 2, 3, END], offsets=offsets, ended=True, parts=(text,))
        assert shares(Translator(student).translate(whole, given)) == [{0: 0.7}, {1: 0.5}, {}, {3: 0.8}, {END: 0.6}]

    def test_no_end(self):
        """A server that doesn't show the end, and a response that was cut off, leave the student's end to its label."""
        given = said(FIRST, SECOND, *REST[:2], tokens=TOKENS[:4])
        taught = Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given)
        assert shares(taught)[3:] == [{3: 0.8}, {}]
        cut = Translator(STUDENT).translate(learnt([0, 1, 2, 3], ended=False), said(FIRST, SECOND, *REST, tokens=TOKENS))
        assert shares(cut)[3] == {3: 0.8}

    def test_an_end_without_a_text(self):
        """A server that writes nothing for special tokens still ends the turn with one."""
        given = said(FIRST, SECOND, *REST[:2], {b"": 0.6, b"\n": 0.3}, tokens=[*TOKENS[:4], b""])
        assert shares(Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given))[4] == {END: 0.6, 7: 0.3}

    def test_sampled_outside(self):
        """What was drawn counts, though it is none of the best: its probability is known as well."""
        given = said({b" It": 0.5}, SECOND, *REST, tokens=TOKENS, sampled=[math.log(0.05), *map(math.log, (0.5, 0.9, 0.8, 0.6))])
        taught = Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given)
        assert shares(taught)[0] == {6: 0.5, 0: 0.05}
        assert taught.rest[0] == pytest.approx(0.45)

    def test_one_token_for_two(self):
        """Two ends of the teacher's are one of the student's: their probabilities add up."""
        given = said(FIRST, SECOND, *REST[:2], {b"<eot>": 0.6, b"<|im_end|>": 0.25}, tokens=TOKENS)
        assert shares(Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given))[4] == {END: 0.85}

    def test_a_space_of_the_template(self):
        """Where the template puts a space before a response, and the student's first token takes it, so do the alternatives."""
        given = said({b"It": 0.7, b" It": 0.2}, SECOND, *REST, tokens=TOKENS)
        taught = Translator(STUDENT).translate(learnt([6, 1, 2, 3, END], " " + SAID), given)
        assert shares(taught)[0] == {6: 0.7}
        assert shares(taught)[1] == {1: 0.5, 4: 0.25}

    def test_a_space_of_the_teacher(self):
        """Where the teacher's first token has a space that the template strips, its alternatives lose it too."""
        given = said({b" It": 0.7, b"It": 0.2}, SECOND, *REST, tokens=[b" It", *TOKENS[1:]])
        assert shares(Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given))[0] == {0: 0.7}

    def test_reasoning(self):
        """Reasoning that is learnt is taught too; that which isn't, or that the server hides, is nothing."""
        tokens = [b"It", b" was", b"</think>", *TOKENS]
        given = said(FIRST, SECOND, {b"</think>": 0.9}, FIRST, SECOND, *REST, tokens=tokens)
        plain = shares(Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given))
        assert plain[0] == {0: 0.7, 6: 0.2}
        both = learnt([0, 4, 7, 0, 1, 2, 3, END], "It was\n" + SAID, parts=[SAID, "It was"])
        taught = shares(Translator(STUDENT).translate(both, given))
        assert taught[:3] == [{0: 0.7, 6: 0.2}, {4: 0.25, 1: 0.5}, {}]
        assert taught[3:] == plain
        hidden = shares(Translator(STUDENT).translate(both, said(FIRST, SECOND, *REST, tokens=TOKENS)))
        assert hidden == [{}, {}, {}, *plain]

    def test_another_text(self):
        """Tokens that don't make the response teach nothing, and say so."""
        taught = Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), said(FIRST, tokens=[b"No"]))
        assert (taught.aligned, taught.how, taught.rest.tolist()) == (0, "other_text", [1] * 5)

    def test_cut(self):
        """What is truncated loses its distributions with its tokens."""
        taught = Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), said(FIRST, SECOND, *REST, tokens=TOKENS)).cut(2)
        assert shares(taught) == [{0: 0.7, 6: 0.2}, {1: 0.5, 4: 0.25}]


class TestIds:
    """Where the server gives ids."""

    def test_the_teachers_vocabulary(self):
        """With its tokenizer, ids are what their bytes are."""
        given = said(*by_ids(FIRST, SECOND, *REST), tokens=[TEACHER.ids[each] for each in TOKENS], ids=True)
        taught = Translator(STUDENT, TEACHER).translate(learnt([0, 1, 2, 3, END]), given)
        assert taught.how == "ids"
        assert shares(taught) == [{0: 0.7, 6: 0.2}, {1: 0.5, 4: 0.25}, {2: 0.9}, {3: 0.8, END: 0.1}, {END: 0.6}]

    def test_one_vocabulary(self):
        """The student's own ids go straight through, whether or not its tokenizer is named as the teacher's."""
        given = said(
            {0: 0.7, 6: 0.2}, {1: 0.5, 99: 0.1}, {2: 0.9}, {3: 0.8}, {END: 0.6, 7: 0.3}, tokens=[0, 1, 2, 3, END], ids=True
        )
        for teacher in (None, STUDENT):
            taught = Translator(STUDENT, teacher).translate(learnt([0, 1, 2, 3, END]), given)
            assert shares(taught) == [{0: 0.7, 6: 0.2}, {1: 0.5}, {2: 0.9}, {3: 0.8}, {END: 0.6, 7: 0.3}]

    def test_unknown(self):
        """Ids alone of another vocabulary: they make another text, or are beyond the student's."""
        given = said(*by_ids(FIRST, SECOND, *REST), tokens=[TEACHER.ids[each] for each in TOKENS], ids=True)
        assert Translator(STUDENT).translate(learnt([0, 1, 2, 3, END]), given).how == "other_text"
        assert Translator(STUDENT).translate(learnt([0]), said({99: 0.5}, tokens=[99], ids=True)).how == "unknown_ids"

    def test_both(self):
        """Ids that aren't the student's are passed over where there are bytes."""
        others = [[((b"It", 4), math.log(0.7))], [((b" is", 3), math.log(0.5))]]
        given = positions(logprobs([b"It", b" is"], [4, 3], others=others, sampled=[math.log(0.7), math.log(0.5)]))
        taught = Translator(STUDENT).translate(learnt([0, 1], "It is", ended=False, parts=["It is"]), given)
        assert (taught.how, shares(taught)) == ("bytes", [{0: 0.7}, {1: 0.5}])

    def test_a_gap(self):
        """What a server left out has no distribution, and what stands behind it keeps its place."""
        others = [[((b"It", 0), math.log(0.7))], [], [((b".", 3), math.log(0.8))]]
        given = positions(
            logprobs([b"It", b" is 4", b"."], [0, -1, 3], others=others, sampled=[math.log(0.7), math.nan, math.log(0.8)])
        )
        for teacher in (None, STUDENT):
            taught = Translator(STUDENT, teacher).translate(learnt([0, 1, 2, 3], ended=False), given)
            assert shares(taught) == [{0: 0.7}, {}, {}, {3: 0.8}]

    def test_no_probability(self):
        """An alternative of no probability isn't one."""
        others = [[(0, math.log(0.7)), (6, -math.inf)]]
        given = positions(logprobs(ids=[0], others=others, sampled=[math.log(0.7)]))
        taught = Translator(STUDENT).translate(learnt([0], "It", ended=False, parts=["It"]), given)
        assert shares(taught) == [{0: 0.7}]
